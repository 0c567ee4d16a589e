// L0 metrics to scores: history, categories, what agents say themselves, sites, contradictions.
#include <gmock/gmock.h>

#include <limits>

#include "controller/core/metric_levels.h"
#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr size_t kCompute = IndexOf(ScoreCategory::kCompute);
constexpr size_t kCommunication = IndexOf(ScoreCategory::kCommunication);
constexpr size_t kService = IndexOf(ScoreCategory::kService);

MetricSample ScoreSample(std::string_view name, MetricLevel level, double value) {
  return {.name = std::string(name), .value = value, .unit = "1", .level = level};
}

// The newest report alone counts; means throughout.
ScoreModel Simple() {
  ScoreModel model = DefaultScoreModel();
  model.window = milliseconds{0};
  model.within_category = Combine::kMean;
  model.over_categories = Combine::kMean;
  return model;
}

double Value(const std::optional<LevelScore>& score) { return score ? score->value : -1; }

struct Place {
  ScoreModel model = Simple();
  MetricHistory history{};
  std::vector<MetricSample> newest{};
  Capacity capacity{};
  MonoTime now{seconds{1000}};

  void Report(std::vector<MetricSample> samples, Micros later = seconds{1}) {
    now += later;
    newest = std::move(samples);
    history.Add(newest, model, now);
  }
  InstanceLevels Levels(Reports reports = Reports::kWindow) const {
    return LevelsOf(model, history, newest, capacity, reports);
  }
  LevelScores Scores(std::span<const MetricScore> path = {}) const { return Combined(model, Levels(), path); }
};

TEST(Levels, EachCategoryFromItsMetrics) {
  Place place;
  place.Report({Sample("cpu_utilization", 0.4), Sample("cpu_pressure", 0.2), Sample("utilization", 0.1),
                Sample("nobody_knows", 7)});
  const LevelScores scores = place.Scores();
  EXPECT_DOUBLE_EQ(Value(scores.l1[kCompute]), 7);
  EXPECT_DOUBLE_EQ(Value(scores.l1[kService]), 9);
  EXPECT_FALSE(scores.l1[kCommunication]) << "no metric, no score";
  EXPECT_DOUBLE_EQ(Value(scores.l2), 8) << "of what there is";
  EXPECT_EQ(scores.l2->source, MetricSource::kNormalized);
}

TEST(Levels, NothingFromNothing) {
  Place place;
  EXPECT_EQ(place.Scores(), LevelScores{});
  place.Report({Sample("nobody_knows", 7)});
  EXPECT_EQ(place.Scores(), LevelScores{});
}

TEST(Levels, BottleneckByDefault) {
  Place place;
  place.model = DefaultScoreModel();
  place.Report({Sample("cpu_utilization", 0.9), Sample("memory_utilization", 0.2), Sample("latency", 0.3)});
  const LevelScores scores = place.Scores();
  EXPECT_DOUBLE_EQ(Value(scores.l1[kCompute]), 1);
  EXPECT_DOUBLE_EQ(Value(scores.l1[kService]), 7);
  EXPECT_DOUBLE_EQ(Value(scores.l2), 1);
}

TEST(Levels, WeightsWithinAndOverCategories) {
  Place place;
  place.model.within_category = Combine::kWeighted;
  place.model.over_categories = Combine::kWeighted;
  place.model.category_weights = {3, 1, 1};
  ApplyScores({.rules = {{.metric = "cpu_utilization", .weight = 4}}}, &place.model);
  place.Report({Sample("cpu_utilization", 0.5), Sample("cpu_pressure", 0), Sample("utilization", 0.8)});
  const LevelScores scores = place.Scores();
  EXPECT_DOUBLE_EQ(Value(scores.l1[kCompute]), 6);
  EXPECT_DOUBLE_EQ(Value(scores.l2), (3 * 6 + 2) / 4.0);
}

TEST(Levels, CountsPerCapacity) {
  Place place;
  ApplyScores({.rules = {{.metric = "load1",
                          .category = ScoreRuleSettings::Use::kCompute,
                          .worst = 4,
                          .best = 1,
                          .per = CapacityTerm::kCpuCores}}},
              &place.model);
  place.Report({Sample("sessions", 30), Sample("load1", 10)});
  EXPECT_EQ(place.Scores(), LevelScores{}) << "capacity unknown: the metric makes no score";
  place.capacity.max_sessions = 120;
  place.capacity.cpu_cores = 4;
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kService]), 7.5);
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 5);
}

TEST(Levels, OverTime) {
  Place place;
  place.model.window = seconds{10};
  for (const double load : {0.0, 0.2, 0.4}) place.Report({Sample("cpu_utilization", load)}, seconds{4});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 8);
  EXPECT_EQ(place.Scores().l1[kCompute]->window, milliseconds(8000));
  EXPECT_EQ(place.Scores().l1[kCompute]->statistic, MetricStatistic::kMean);
  EXPECT_DOUBLE_EQ(Value(Combined(place.model, place.Levels(Reports::kNewest), {}).l1[kCompute]), 6);
  place.model.over_time = OverTime::kMax;
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 6);
  place.model.over_time = OverTime::kMin;
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 10);
  place.model.over_time = OverTime::kLast;
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 6);
  ApplyScores({.rules = {{.metric = "cpu_utilization", .over_time = OverTime::kMin}}}, &place.model);
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 10) << "the metric's own";
  place.model = Simple();
  place.model.window = seconds{10};
  place.Report({Sample("cpu_utilization", 0.4)}, seconds{7});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 6) << "only the last two are within the window";
  place.model.window = seconds{0};
  place.Report({Sample("cpu_utilization", 1)}, seconds{1});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 0) << "the newest alone";
}

TEST(Levels, AMetricThatIsMissingIsForgotten) {
  Place place;
  place.model.window = seconds{100};
  place.Report({Sample("cpu_utilization", 1), Sample("cpu_pressure", 0)});
  place.Report({Sample("cpu_pressure", 0)});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 10);
  place.Report({Sample("cpu_utilization", 0), Sample("cpu_pressure", 0)});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 10) << "its past went with it";
}

TEST(Levels, ThePastIsBounded) {
  Place place;
  place.model.window = std::chrono::hours{1};
  for (size_t i = 0; i < 3 * kMostReports; ++i)
    place.Report({Sample("cpu_utilization", 1)}, milliseconds{10});
  for (size_t i = 0; i + 1 < kMostReports; ++i)
    place.Report({Sample("cpu_utilization", 0)}, milliseconds{10});
  EXPECT_NEAR(Value(place.Scores().l1[kCompute]), 10 - 10.0 / kMostReports, 1e-9);
  place.Report({Sample("cpu_utilization", 0)}, milliseconds{10});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l1[kCompute]), 10);
}

TEST(Levels, TheWayIsTheCommunicationScore) {
  Place place;
  place.Report({Sample("cpu_utilization", 0.2)});
  const std::vector<MetricSample> way =
      SamplesOf({.rtt = milliseconds{40}, .loss = 0.01, .jitter = milliseconds{0}});
  ASSERT_EQ(way.size(), 3u);
  EXPECT_EQ(way[0].name, "rtt");
  EXPECT_DOUBLE_EQ(way[0].value, 0.04);
  EXPECT_EQ(way[0].unit, "seconds");
  const auto path = core::ScoresOf(place.model, way);
  const LevelScores scores = place.Scores(path);
  EXPECT_NEAR(Value(scores.l1[kCommunication]), (6 + 10 + 8) / 3.0, 1e-9);
  EXPECT_NEAR(Value(scores.l2), 8, 1e-9);
  // A way that nothing comes back from has a loss and no times.
  const auto lost = SamplesOf({.rtt = std::nullopt, .loss = 1.0, .jitter = std::nullopt});
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_DOUBLE_EQ(Value(place.Scores(core::ScoresOf(place.model, lost)).l1[kCommunication]), 0);
}

TEST(Levels, AnAgentsOwnScoreStandsWhereNoneIsComputed) {
  Place place;
  place.Report({ScoreSample("computing_comb", MetricLevel::kL1, 3),
                ScoreSample("communication_comb", MetricLevel::kL1, 9), Sample("utilization", 0.4)});
  LevelScores scores = place.Scores();
  EXPECT_DOUBLE_EQ(Value(scores.l1[kCompute]), 3);
  EXPECT_TRUE(scores.l1[kCompute]->reported);
  EXPECT_DOUBLE_EQ(Value(scores.l1[kCommunication]), 9);
  EXPECT_FALSE(scores.l1[kService]->reported);
  EXPECT_DOUBLE_EQ(Value(scores.l2), 6);
  place.Report({ScoreSample("computing_comb", MetricLevel::kL1, 3), Sample("cpu_utilization", 0.2)});
  scores = place.Scores();
  EXPECT_DOUBLE_EQ(Value(scores.l1[kCompute]), 8) << "the computed one is used";
  EXPECT_FALSE(scores.l1[kCompute]->reported);
  // A name that is no category's, a level that is not the name's.
  place.Report({ScoreSample("composed_comb", MetricLevel::kL1, 3),
                ScoreSample("norm_fi", MetricLevel::kL1, 3),
                ScoreSample("computing_comb", MetricLevel::kL2, 3),
                ScoreSample("computing_comb", MetricLevel::kL0, 3)});
  EXPECT_EQ(place.Scores(), LevelScores{});
}

TEST(Levels, AnAgentsLevel2StandsForTheCategoriesItHides) {
  Place place;
  place.Report({ScoreSample("norm_fi", MetricLevel::kL2, 4)});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l2), 4);
  EXPECT_TRUE(place.Scores().l2->reported);
  const auto path = core::ScoresOf(
      place.model, SamplesOf({.rtt = Micros{0}, .loss = std::nullopt, .jitter = std::nullopt}));
  EXPECT_DOUBLE_EQ(Value(place.Scores(path).l2), 7) << "beside what the way makes";
  EXPECT_FALSE(place.Scores(path).l2->reported);
  place.model.over_categories = Combine::kWeighted;
  EXPECT_DOUBLE_EQ(Value(place.Scores(path).l2), 6) << "with the weights of compute and service";
  place.Report({ScoreSample("norm_fi", MetricLevel::kL2, 4), Sample("cpu_utilization", 0)});
  EXPECT_DOUBLE_EQ(Value(place.Scores().l2), 10);
}

TEST(Levels, OfASite) {
  ScoreModel model = Simple();
  const auto scores = [](double compute, std::optional<double> l2) {
    LevelScores s;
    s.l1[kCompute] = LevelScore{.value = compute, .window = milliseconds{static_cast<int>(compute)}};
    if (l2) s.l2 = LevelScore{.value = *l2};
    return s;
  };
  const std::vector<WeightedLevels> instances = {{.scores = scores(2, 2), .weight = 1},
                                                 {.scores = scores(8, std::nullopt), .weight = 5}};
  LevelScores site = OfSite(model, instances);
  EXPECT_DOUBLE_EQ(Value(site.l1[kCompute]), 5);
  EXPECT_EQ(site.l1[kCompute]->source, MetricSource::kAggregated);
  EXPECT_EQ(site.l1[kCompute]->window, milliseconds(8));
  EXPECT_DOUBLE_EQ(Value(site.l2), 2);
  EXPECT_FALSE(site.l1[kService]);
  model.over_instances = Combine::kMax;
  EXPECT_DOUBLE_EQ(Value(OfSite(model, instances).l1[kCompute]), 8);
  model.over_instances = Combine::kMin;
  EXPECT_DOUBLE_EQ(Value(OfSite(model, instances).l1[kCompute]), 2);
  model.over_instances = Combine::kWeighted;
  EXPECT_DOUBLE_EQ(Value(OfSite(model, instances).l1[kCompute]), 7);
  EXPECT_EQ(OfSite(model, {}), LevelScores{});
}

std::vector<std::string> Contradicted(const Place& place) {
  std::vector<std::string> names;
  for (const Contradiction& c : Contradictions(place.model, place.history, place.newest, place.capacity)) {
    names.emplace_back(c.metric);
  }
  return names;
}

TEST(Contradictions, BeyondTheToleranceOnly) {
  Place place;
  const auto say = [&](double score) {
    place.Report({Sample("cpu_utilization", 0.4), ScoreSample("computing_comb", MetricLevel::kL1, score)});
  };
  for (const double fine : {6.0, 5.0, 7.0}) {
    say(fine);
    EXPECT_THAT(Contradicted(place), ElementsAre()) << fine;
  }
  for (const double off : {4.99, 7.01, 0.0, 10.0}) {
    say(off);
    EXPECT_THAT(Contradicted(place), ElementsAre("computing_comb")) << off;
  }
  place.model.tolerance = 4;
  EXPECT_THAT(Contradicted(place), ElementsAre());
}

TEST(Contradictions, NoneWhereThereIsNothingToCompareWith) {
  Place place;
  place.Report({ScoreSample("computing_comb", MetricLevel::kL1, 0), Sample("utilization", 0),
                ScoreSample("communication_comb", MetricLevel::kL1, 0)});
  EXPECT_THAT(Contradicted(place), ElementsAre());
  place.Report({ScoreSample("norm_fi", MetricLevel::kL2, 9)});
  EXPECT_THAT(Contradicted(place), ElementsAre());
}

TEST(Contradictions, OfLevel2WithWhatIsBelow) {
  Place place;
  place.Report(
      {ScoreSample("computing_comb", MetricLevel::kL1, 2), ScoreSample("norm_fi", MetricLevel::kL2, 9)});
  EXPECT_THAT(Contradicted(place), ElementsAre("norm_fi")) << "its own level 1 says otherwise";
  place.Report({Sample("cpu_utilization", 0.8), ScoreSample("computing_comb", MetricLevel::kL1, 9),
                ScoreSample("norm_fi", MetricLevel::kL2, 2)});
  EXPECT_THAT(Contradicted(place), ElementsAre("computing_comb"));
}

TEST(Contradictions, TheAgentMayMeanTheMomentOrTheWindow) {
  Place place;
  place.model.window = seconds{100};
  place.Report({Sample("cpu_utilization", 0)});
  place.Report({Sample("cpu_utilization", 0)});
  for (const double fine : {0.0, 7.0}) {  // of the newest report, of the mean over three
    Place after = place;
    after.Report({Sample("cpu_utilization", 1), ScoreSample("computing_comb", MetricLevel::kL1, fine)});
    EXPECT_THAT(Contradicted(after), ElementsAre()) << fine;
  }
  place.Report({Sample("cpu_utilization", 1), ScoreSample("computing_comb", MetricLevel::kL1, 3.5)});
  EXPECT_THAT(Contradicted(place), ElementsAre("computing_comb"));
}

}  // namespace
}  // namespace dyncast::core
