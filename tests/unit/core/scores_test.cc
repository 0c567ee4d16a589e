// Scores in the core: who has them and when, what is recorded, shown and counted.
#include <gmock/gmock.h>

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ScoresInCore : public CoreFixture {
 protected:
  // Agents a2 and a3 stand beside r1 and r2; a2 measured the way to a3.
  void StartPlaced() {
    config_.switches[0].agent = "a2";
    config_.switches[1].agent = "a3";
    StartWeb();
    SayWay(milliseconds{20});
  }
  Effects SayWay(milliseconds rtt) {
    PathSample way;
    way.peer = "a3";
    way.rtt = rtt;
    way.sent = 10;
    way.window = seconds{1};
    return Say("a2", wire::Paths{.paths = {way}});
  }
  // "instance site switch level category value", one a row, of those that `wanted` is true for.
  template <typename F>
  std::vector<std::string> Rows(F&& wanted) const {
    std::vector<std::string> out;
    for (const MetricRow& row : core_->Metrics(now_)) {
      if (!wanted(row)) continue;
      char value[32];
      std::snprintf(value, sizeof value, "%.3g", row.sample.value);
      out.push_back((row.instance.empty() ? "-" : row.instance) + " " + row.site + " " +
                    (row.switch_name.empty() ? "-" : row.switch_name) + " " +
                    std::string(MetricLevelName(row.sample.level)) + " " +
                    (row.category ? std::string(ScoreCategoryName(*row.category)) : "-") + " " + value);
    }
    return out;
  }
  static bool IsScore(const MetricRow& row) { return row.sample.level != MetricLevel::kL0; }
  std::optional<double> Level2(std::string_view instance, std::string_view at = {}) const {
    for (const MetricRow& row : core_->Metrics(now_)) {
      if (row.instance == instance && row.switch_name == at && row.sample.level == MetricLevel::kL2 &&
          row.in_force) {
        return row.score;
      }
    }
    return std::nullopt;
  }
  Effects ReportLevels(double cpu, std::string_view name, MetricLevel level, double score) {
    wire::Report report;
    report.instance = "web-2";
    report.metrics = {Sample("cpu_utilization", cpu)};
    report.metrics.push_back({.name = std::string(name), .value = score, .unit = "1", .level = level});
    return Say("a2", report);
  }
};

TEST_F(ScoresInCore, RowsOfAllLevels) {
  StartPlaced();
  Report("a2", "web-2", {{"cpu_utilization", 0.4}, {"own", 5}});
  Report("a3", "web-3", {{"cpu_utilization", 0.1}, {"latency", 0.25}});
  EXPECT_THAT(
      Rows([](const MetricRow& row) { return !row.instance.empty(); }),
      ElementsAre("web-2 a2 - L0 compute 0.4", "web-2 a2 - L0 - 5", "web-2 a2 - L1 compute 6",
                  "web-2 a2 - L2 - 6", "web-2 a2 r1 L1 communication 10", "web-2 a2 r1 L2 - 6",
                  "web-2 a2 r2 L1 communication 8", "web-2 a2 r2 L2 - 6",  //
                  "web-3 a3 - L0 compute 0.1", "web-3 a3 - L0 service 0.25", "web-3 a3 - L1 compute 9",
                  "web-3 a3 - L1 service 7.5", "web-3 a3 - L2 - 7.5", "web-3 a3 r1 L1 communication 8",
                  "web-3 a3 r1 L2 - 7.5", "web-3 a3 r2 L1 communication 10", "web-3 a3 r2 L2 - 7.5"));
  EXPECT_THAT(
      Rows([](const MetricRow& row) { return row.instance.empty() && !IsScore(row); }),
      ElementsAre("- a2 r1 L0 communication 0", "- a2 r1 L0 communication 0", "- a2 r1 L0 communication 0",
                  "- a2 r2 L0 communication 0.02", "- a2 r2 L0 communication 0",
                  "- a3 r1 L0 communication 0.02", "- a3 r1 L0 communication 0", "- a3 r2 L0 communication 0",
                  "- a3 r2 L0 communication 0", "- a3 r2 L0 communication 0"));
  SayWay(milliseconds{50});
  EXPECT_DOUBLE_EQ(Level2("web-3", "r1").value(), 5) << "the way is the bottleneck from there";
  EXPECT_DOUBLE_EQ(Level2("web-3", "r2").value(), 7.5);
  EXPECT_DOUBLE_EQ(Level2("web-3").value(), 7.5);
}

TEST_F(ScoresInCore, L0RowsSayWhatTheyScore) {
  StartWeb();
  Report("a2", "web-2", {{"cpu_utilization", 0.4}, {"own", 5}});
  for (const MetricRow& row : core_->Metrics(now_)) {
    if (row.sample.name == "cpu_utilization") {
      EXPECT_DOUBLE_EQ(row.score.value(), 6);
      EXPECT_EQ(row.service, "web");
    }
    if (row.sample.name == "own") {
      EXPECT_FALSE(row.score);
    }
  }
  Advance(seconds{3});
  EXPECT_EQ(core_->Metrics(now_).at(0).age, seconds(3));
}

TEST_F(ScoresInCore, SitesAreTheirInstancesThatTakeDemands) {
  config_.metrics.over_instances = Combine::kWeighted;
  StartWeb();
  Announce("a2", "web-2b", "web", "10.2.0.11", wire::Health::kUp,
           {.cpu_cores = 3, .memory_bytes = {}, .gpus = {}, .max_sessions = {}, .requests_per_s = {}});
  Report("a2", "web-2", {{"cpu_utilization", 0.8}});
  Report("a2", "web-2b", {{"cpu_utilization", 0.0}});
  const auto of_sites = [](const MetricRow& row) { return row.instance.empty(); };
  EXPECT_THAT(Rows(of_sites), ElementsAre("- a2 - L1 compute 6", "- a2 - L2 - 6")) << "one has no capacity";
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUp,
           {.cpu_cores = 1, .memory_bytes = {}, .gpus = {}, .max_sessions = {}, .requests_per_s = {}});
  EXPECT_THAT(Rows(of_sites), ElementsAre("- a2 - L1 compute 8", "- a2 - L2 - 8"));
  Do(DrainRequested{.instance = "web-2b"});
  EXPECT_THAT(Rows(of_sites), ElementsAre("- a2 - L1 compute 2", "- a2 - L2 - 2"));
  EXPECT_TRUE(Level2("web-2b")) << "a draining instance still has scores of its own";
}

TEST_F(ScoresInCore, DownAndStaleInstancesHaveNone) {
  StartWeb();
  Report("a2", "web-2", {{"cpu_utilization", 0.4}});
  EXPECT_TRUE(Level2("web-2"));
  Advance(config_.services[0].selection.metrics_expiry + milliseconds{1});
  EXPECT_THAT(Rows(IsScore), ElementsAre());
  Report("a2", "web-2", {{"cpu_utilization", 0.4}});
  EXPECT_TRUE(Level2("web-2"));
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  EXPECT_THAT(Rows(IsScore), ElementsAre());
  EXPECT_THAT(Rows([](const MetricRow&) { return true; }), ElementsAre("web-2 a2 - L0 compute 0.4"));
}

TEST_F(ScoresInCore, AServiceHasItsOwnRules) {
  config_.metrics.rules = {
      {.metric = "own", .category = ScoreRuleSettings::Use::kService, .worst = 0, .best = 10}};
  config_.services[1].scores.rules = {{.metric = "own", .best = 20}};
  StartWeb();
  Announce("a2", "rtp-2", "rtp", "10.2.0.12");
  Report("a2", "web-2", {{"own", 5}});
  Report("a2", "rtp-2", {{"own", 5}});
  EXPECT_DOUBLE_EQ(Level2("web-2").value(), 5);
  EXPECT_DOUBLE_EQ(Level2("rtp-2").value(), 2.5);
  config_.metrics.rules[0].best = 5;
  Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)});
  EXPECT_DOUBLE_EQ(Level2("web-2").value(), 10) << "as soon as it is configured";
}

TEST_F(ScoresInCore, ReportsAreRecordedWithTheirScores) {
  StartPlaced();
  Effects effects = Report("a3", "web-3", {{"cpu_utilization", 0.4}});
  auto records = Records<MetricsRecord>(effects);
  ASSERT_EQ(records.size(), 1u);
  ASSERT_EQ(records[0].scores.size(), 3u);
  EXPECT_FALSE(records[0].scores[0].at.valid());
  EXPECT_EQ(records[0].scores[0].scores.l2, 6);
  EXPECT_EQ(records[0].scores[1].at, Sw("r1"));
  const auto& l1 = records[0].scores[1].scores.l1;
  EXPECT_NEAR(l1[0].value(), 6, 1e-9);
  EXPECT_NEAR(l1[1].value(), 8, 1e-9);
  EXPECT_FALSE(l1[2]);
  EXPECT_EQ(records[0].scores_at, now_.wall);
  // At most once a second, whatever is reported.
  const WallTime first = now_.wall;
  Advance(milliseconds{999});
  records = Records<MetricsRecord>(Report("a3", "web-3", {{"cpu_utilization", 0.9}}));
  EXPECT_EQ(records[0].scores_at, first);
  EXPECT_EQ(records[0].scores[0].scores.l2, 6);
  Advance(milliseconds{1});
  records = Records<MetricsRecord>(Report("a3", "web-3", {{"cpu_utilization", 0.5}}));
  EXPECT_EQ(records[0].scores_at, now_.wall);
  EXPECT_NEAR(records[0].scores[0].scores.l2.value(), 4, 1e-9) << "the mean of three reports";
}

TEST_F(ScoresInCore, DecisionsAreRecordedWithScores) {
  StartPlaced();
  Report("a2", "web-2", {{"cpu_utilization", 0.4}});
  SayWay(milliseconds{70});
  const Effects effects = Do(Demand("r2", "web", 1000));
  const auto contexts = Records<DecisionContextRecord>(effects);
  ASSERT_EQ(contexts.size(), 1u);
  EXPECT_EQ(contexts[0].switch_id, Sw("r2"));
  ASSERT_EQ(contexts[0].candidates.size(), 2u);
  const ScoreValues& scores = contexts[0].candidates[0].scores;
  EXPECT_NEAR(scores.l1[IndexOf(ScoreCategory::kCompute)].value(), 6, 1e-9);
  EXPECT_NEAR(scores.l1[IndexOf(ScoreCategory::kCommunication)].value(), 3, 1e-9);
  EXPECT_NEAR(scores.l2.value(), 3, 1e-9);
  EXPECT_EQ(contexts[0].candidates[0].rtt, milliseconds{70});
  EXPECT_EQ(contexts[0].candidates[1].scores, ScoreValues{}) << "web-3 reported nothing";
  EXPECT_EQ(Records<BindingStarted>(effects).at(0).decision.context, contexts[0].context);
}

TEST_F(ScoresInCore, EachPlaceHasContextsOfItsOwn) {
  StartPlaced();
  Report("a2", "web-2", {{"cpu_utilization", 0.2}});
  const auto decide = [this](const char* at, uint16_t port) {
    const Effects effects = Do(Demand(at, "web", port));
    const auto contexts = Records<DecisionContextRecord>(effects);
    EXPECT_LE(contexts.size(), 1u);
    const uint64_t used = Records<BindingStarted>(effects).at(0).decision.context;
    if (!contexts.empty()) {
      EXPECT_EQ(contexts[0].context, used);
      EXPECT_EQ(contexts[0].switch_id, Sw(at));
    }
    return std::pair(used, !contexts.empty());
  };
  const auto first = decide("r1", 1);
  const auto second = decide("r2", 2);
  EXPECT_TRUE(first.second && second.second);
  EXPECT_EQ(decide("r1", 3), std::pair(first.first, false));
  EXPECT_EQ(decide("r2", 4), std::pair(second.first, false));
  // Reports alone: once a second, for each.
  Report("a2", "web-2", {{"cpu_utilization", 0.4}});
  EXPECT_EQ(decide("r1", 5), std::pair(first.first, false));
  Advance(seconds{1});
  EXPECT_TRUE(decide("r1", 6).second);
  EXPECT_FALSE(decide("r1", 7).second);
  EXPECT_TRUE(decide("r2", 8).second);
  // An instance that comes or goes: at once.
  Do(DrainRequested{.instance = "web-3"});
  EXPECT_TRUE(decide("r1", 9).second);
  EXPECT_TRUE(decide("r2", 10).second);
}

TEST_F(ScoresInCore, SwitchesOfNoKnownPlaceShareTheirContexts) {
  StartWeb();
  const auto contexts = Records<DecisionContextRecord>(Do(Demand("r1", "web", 1)));
  ASSERT_EQ(contexts.size(), 1u);
  EXPECT_FALSE(contexts[0].switch_id.valid());
  EXPECT_TRUE(Records<DecisionContextRecord>(Do(Demand("r2", "web", 2))).empty());
}

TEST_F(ScoresInCore, SharesAreRecordedWithTheSwitchsOwnScores) {
  config_.services[0].dispatch = Dispatch::kLearn;
  StartPlaced();
  Report("a3", "web-3", {{"cpu_utilization", 0.1}});
  SayWay(milliseconds{70});
  Announce("a3", "web-3b", "web", "10.3.0.11");
  const auto contexts = Records<DecisionContextRecord>(Tick(seconds{2}));
  std::vector<DecisionContextRecord> all = contexts;
  const auto later = Records<DecisionContextRecord>(Announce("a3", "web-3c", "web", "10.3.0.12"));
  all.insert(all.end(), later.begin(), later.end());
  std::map<SwitchId, std::optional<double>> communication;
  for (const DecisionContextRecord& context : all) {
    for (const CandidateContext& c : context.candidates) {
      if (c.scores.l2) communication[context.switch_id] = c.scores.l1[IndexOf(ScoreCategory::kCommunication)];
    }
  }
  ASSERT_EQ(communication.size(), 2u);
  EXPECT_NEAR(communication[Sw("r1")].value(), 3, 1e-9);
  EXPECT_NEAR(communication[Sw("r2")].value(), 10, 1e-9);
}

TEST_F(ScoresInCore, ExplainShowsThemFromTheSwitchAskedFor) {
  StartPlaced();
  Report("a3", "web-3", {{"cpu_utilization", 0.1}});
  SayWay(milliseconds{70});
  const auto l2_of_web3 = [&](std::optional<SwitchId> at) -> std::optional<double> {
    const Explanation explained = core_->Explain(Demand("r1", "web", 1000).demand, Sv("web"), at, now_);
    for (const ExplainedCandidate& c : explained.candidates) {
      if (c.name == "web-3") return c.scores.l2;
    }
    return std::nullopt;
  };
  EXPECT_NEAR(l2_of_web3(std::nullopt).value(), 9, 1e-9);
  EXPECT_NEAR(l2_of_web3(Sw("r1")).value(), 3, 1e-9);
  EXPECT_NEAR(l2_of_web3(Sw("r2")).value(), 9, 1e-9);
}

TEST_F(ScoresInCore, ScoresOutOfRangeAreLeftOutAndCounted) {
  StartWeb();
  ReportLevels(0.4, "computing_comb", MetricLevel::kL1, 10.5);
  EXPECT_EQ(Counter("metrics-refused"), 1u);
  EXPECT_EQ(Counter("scores-contradicted"), 0u);
  EXPECT_DOUBLE_EQ(Level2("web-2").value(), 6);
}

TEST_F(ScoresInCore, ContradictionsAreCountedTheComputedScoreIsUsed) {
  StartWeb();
  const Effects effects = ReportLevels(0.9, "computing_comb", MetricLevel::kL1, 10);
  EXPECT_EQ(Counter("scores-contradicted"), 1u);
  EXPECT_DOUBLE_EQ(Level2("web-2").value(), 1);
  EXPECT_THAT(Rows(IsScore), ElementsAre("web-2 a2 - L1 compute 10", "web-2 a2 - L1 compute 1",
                                         "web-2 a2 - L2 - 1", "- a2 - L1 compute 1", "- a2 - L2 - 1"));
  EXPECT_FALSE(core_->Metrics(now_).at(1).in_force) << "the agent's own is shown, marked";
  const auto events = Records<EventRecord>(effects);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, "scores-contradicted");
  EXPECT_EQ(events[0].subject, "web-2");
  EXPECT_THAT(events[0].detail, HasSubstr("agent 'a2' says computing_comb 10.00"));
  // Counted each time, told once in ten seconds.
  Advance(seconds{5});
  EXPECT_TRUE(Records<EventRecord>(ReportLevels(0.9, "norm_fi", MetricLevel::kL2, 10)).empty());
  EXPECT_EQ(Counter("scores-contradicted"), 2u);
  Advance(seconds{5});
  EXPECT_EQ(Records<EventRecord>(ReportLevels(0.9, "computing_comb", MetricLevel::kL1, 10)).size(), 1u);
  ReportLevels(0.9, "computing_comb", MetricLevel::kL1, 1.5);
  EXPECT_EQ(Counter("scores-contradicted"), 3u);
}

TEST_F(ScoresInCore, AnAgentsOwnScoreInForceIsShownOnce) {
  StartWeb();
  wire::Report report;
  report.instance = "web-2";
  report.metrics = {{.name = "norm_fi", .value = 7, .unit = "1", .level = MetricLevel::kL2},
                    {.name = "composed_comb", .value = 2, .unit = "1", .level = MetricLevel::kL1}};
  Say("a2", report);
  EXPECT_THAT(Rows([](const MetricRow& row) { return !row.instance.empty(); }),
              ElementsAre("web-2 a2 - L1 - 2", "web-2 a2 - L2 - 7"));
}

TEST_F(ScoresInCore, AnInstanceThatMovesLeavesItsPast) {
  StartWeb();
  Report("a2", "web-2", {{"cpu_utilization", 1}});
  Say("a2", wire::Withdraw{.instance = "web-2", .reason = {}});
  Announce("a2", "web-2", "web", "10.2.0.20");
  EXPECT_THAT(Rows(IsScore), ElementsAre());
  Report("a2", "web-2", {{"cpu_utilization", 0}});
  EXPECT_DOUBLE_EQ(Level2("web-2").value(), 10);
}

}  // namespace
}  // namespace dyncast::core
