// Policies, chooser, instance metrics.
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "controller/core/chooser.h"
#include "controller/core/instance_metrics.h"
#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

constexpr PolicyKind kAll[] = {PolicyKind::kRoundRobin, PolicyKind::kStatic,        PolicyKind::kLeastLoaded,
                               PolicyKind::kWeighted,   PolicyKind::kLeastBindings, PolicyKind::kLowestDelay,
                               PolicyKind::kPowerOfTwo, PolicyKind::kWaterFilling,  PolicyKind::kAuto};

std::vector<Candidate> Some(size_t n) {
  std::vector<Candidate> candidates(n);
  for (size_t i = 0; i < n; ++i) candidates[i].instance = InstanceId{static_cast<uint16_t>(i + 1)};
  return candidates;
}

// Decides `times`; bindings stay.
std::vector<int> Shares(PolicyKind kind, std::vector<Candidate> candidates, int times) {
  Chooser chooser(5);
  std::vector<int> counts(candidates.size());
  for (int i = 0; i < times; ++i) {
    const Choice choice = chooser.Choose(PolicyOf(kind), {}, 1, &candidates);
    const size_t index = std::get<Chosen>(choice).index;
    chooser.Settle(PolicyOf(kind), &candidates, index);
    ++counts[index];
    ++candidates[index].bindings;
  }
  return counts;
}

TEST(Policy, RoundRobinIsEven) {
  EXPECT_EQ(Shares(PolicyKind::kRoundRobin, Some(4), 100), std::vector<int>(4, 25));
}

TEST(Policy, StaticFollowsCapacityAndPrefersTheOperatorsRating) {
  auto c = Some(3);
  c[0].cpu_cores = 1;
  c[1].cpu_cores = 2;  // c[2] unknown: the mean, 1.5
  EXPECT_EQ(Shares(PolicyKind::kStatic, c, 90), (std::vector<int>{20, 40, 30}));
  c[0].rated_requests_per_s = 300;
  c[1].rated_requests_per_s = 100;
  c[2].rated_requests_per_s = 200;
  EXPECT_EQ(Shares(PolicyKind::kStatic, c, 60), (std::vector<int>{30, 10, 20}));
  EXPECT_EQ(Shares(PolicyKind::kStatic, Some(2), 10), (std::vector<int>{5, 5}));
}

TEST(Policy, StaticIsSmooth) {
  auto c = Some(2);
  c[0].cpu_cores = 3;
  c[1].cpu_cores = 1;
  Chooser chooser(1);
  int run = 0;
  for (int i = 0; i < 40; ++i) {
    const size_t index = std::get<Chosen>(chooser.Choose(PolicyOf(PolicyKind::kStatic), {}, 1, &c)).index;
    chooser.Settle(PolicyOf(PolicyKind::kStatic), &c, index);
    run = index == 0 ? run + 1 : 0;
    EXPECT_LE(run, 3);
  }
}

TEST(Policy, LeastLoadedTakesTheLowestAndCountsUnknownAsAverage) {
  auto c = Some(3);
  c[0].load = 0.5;
  c[1].load = 0.2;
  EXPECT_EQ(Shares(PolicyKind::kLeastLoaded, c, 10), (std::vector<int>{0, 10, 0}));
  c[1].load = 0.5;  // now all are equal: nobody may get all
  EXPECT_EQ(Shares(PolicyKind::kLeastLoaded, c, 30), (std::vector<int>{10, 10, 10}));
}

TEST(Policy, WeightedFollowsEstimatesWithinBounds) {
  auto c = Some(3);
  c[0].estimate = 100;
  EXPECT_EQ(Shares(PolicyKind::kWeighted, c, 30), (std::vector<int>{10, 10, 10}))
      << "one known is not enough";
  c[1].estimate = 300;  // c[2]: mean, 200
  EXPECT_EQ(Shares(PolicyKind::kWeighted, c, 60), (std::vector<int>{10, 30, 20}));
  c[1].estimate = 1e9;
  c[2].estimate = 100;
  EXPECT_EQ(Shares(PolicyKind::kWeighted, c, 120), (std::vector<int>{10, 100, 10})) << "ten times the median";
}

TEST(Policy, LeastBindingsFillsInProportionToCapacity) {
  auto c = Some(2);
  c[0].cpu_cores = 1;
  c[1].cpu_cores = 3;
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 400), (std::vector<int>{100, 300}));
  // Seen capacity counts more than the static one.
  for (auto& x : c) {
    x.load = 0.5;
    x.request_rate = 1;
  }
  c[0].estimate = 300;
  c[1].estimate = 100;
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 400), (std::vector<int>{300, 100}));
}

TEST(Policy, LeastBindingsNeverStarvesAndNeverDividesByZero) {
  auto c = Some(2);
  c[0].load = 1;
  c[1].load = 0;
  const auto counts = Shares(PolicyKind::kLeastBindings, c, 420);
  EXPECT_GE(counts[0], 10);
  EXPECT_LE(counts[0], 25);
}

TEST(Policy, LeastBindingsDoesNotTakeAnIdleOneForAsSlowAsOneUsedByOthers) {
  auto c = Some(2);
  for (Candidate& x : c) x.request_rate = 140;
  c[0].load = 2;  // other work
  c[0].estimate = 70;
  c[1].load = 0.01;
  c[1].estimate = 7000;  // says little, but 140 requests/s at no more than 0.26 are 538
  const auto counts = Shares(PolicyKind::kLeastBindings, c, 608);
  EXPECT_NEAR(counts[0], 70, 2);
  EXPECT_NEAR(counts[1], 538, 2);
}

TEST(Policy, LeastBindingsHoldsAClaimAgainstTheOthers) {
  auto c = Some(4);
  for (Candidate& x : c) {
    x.load = 0.5;
    x.request_rate = 50;
    x.estimate = 100;
  }
  c[2].estimate = 1e9;
  c[3].estimate.reset();  // of this one nothing is known: it is as the others
  c[3].load.reset();
  const auto counts = Shares(PolicyKind::kLeastBindings, c, 1250);
  EXPECT_NEAR(counts[0], 100, 5);
  EXPECT_NEAR(counts[2], 1000, 10) << "ten times as much, not more";
  EXPECT_NEAR(counts[3], 50, 5) << "half of it, at the mean load";
}

TEST(Policy, SlowStartGivesAPartOfTheShare) {
  for (const PolicyKind kind :
       {PolicyKind::kRoundRobin, PolicyKind::kStatic, PolicyKind::kWeighted, PolicyKind::kLeastBindings}) {
    auto c = Some(2);
    c[0].warmth = 0.25F;
    const auto counts = Shares(kind, c, 100);
    EXPECT_NEAR(counts[0], 20, 1) << PolicyKindName(kind);
  }
  auto c = Some(2);
  c[0].warmth = 0.1F;
  c[0].load = 0;
  c[1].load = 0.5;
  EXPECT_EQ(Shares(PolicyKind::kLeastLoaded, c, 10), (std::vector<int>{0, 10}));
}

TEST(Policy, ValuesAreFiniteWhateverTheCandidatesSay) {
  std::mt19937 random(11);
  const double odd[] = {0,
                        1e-320,
                        1e308,
                        -0.0,
                        0.5,
                        std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()};
  const auto pick = [&]() -> std::optional<double> {
    if (random() % 3 == 0) return std::nullopt;
    return odd[random() % std::size(odd)];
  };
  for (int round = 0; round < 3000; ++round) {
    auto c = Some(1 + random() % 6);
    for (auto& x : c) {
      x.rated_requests_per_s = pick();
      x.cpu_cores = pick();
      x.load = pick();
      x.request_rate = pick();
      x.estimate = pick();
      x.bindings = static_cast<uint32_t>(random());
      x.warmth = random() % 2 ? 1.0F : 0.1F;
      x.exclusion = random() % 4 ? Exclusion::kNone : Exclusion::kFull;
    }
    for (const PolicyKind kind : kAll) {
      Chooser chooser(round);
      auto copy = c;
      const Choice choice = chooser.Choose(PolicyOf(kind), {}, 1, &copy);
      ASSERT_TRUE(std::holds_alternative<Chosen>(choice));
      ASSERT_LT(std::get<Chosen>(choice).index, c.size());
      Decision decision;
      chooser.Describe(copy, &decision);
      ASSERT_GT(decision.kept, 0);
      ASSERT_EQ(decision.scores[0].instance, copy[std::get<Chosen>(choice).index].instance);
      chooser.Settle(PolicyOf(kind), &copy, std::get<Chosen>(choice).index);
      for (const auto& x : copy) ASSERT_TRUE(std::isfinite(x.credit));
    }
  }
}

TEST(Chooser, FullOnesServeOnlyWhenAllAreFull) {
  auto c = Some(2);
  c[0].exclusion = Exclusion::kFull;
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 9), (std::vector<int>{0, 9}));
  c[1].exclusion = Exclusion::kFull;
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 10), (std::vector<int>{5, 5}));
  c[1].exclusion = Exclusion::kDown;
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 10), (std::vector<int>{10, 0}));
}

TEST(Chooser, SaysWhyThereIsNobody) {
  Chooser chooser(1);
  const Policy& policy = PolicyOf(PolicyKind::kRoundRobin);
  const auto why = [&](std::vector<Candidate> c) {
    return std::get<NoInstance>(chooser.Choose(policy, {}, 1, &c)).reason;
  };
  EXPECT_EQ(why({}), NoInstanceReason::kNoneKnown);
  auto c = Some(2);
  c[0].exclusion = c[1].exclusion = Exclusion::kDown;
  EXPECT_EQ(why(c), NoInstanceReason::kAllDown);
  c[1].exclusion = Exclusion::kFamily;
  EXPECT_EQ(why(c), NoInstanceReason::kOtherFamily);
  c[0].exclusion = Exclusion::kDraining;
  EXPECT_EQ(why(c), NoInstanceReason::kAllDraining);
}

TEST(Chooser, DescribesTheBestFirst) {
  auto c = Some(12);
  for (size_t i = 0; i < c.size(); ++i) c[i].bindings = static_cast<uint32_t>(20 - i);
  c[11].exclusion = Exclusion::kDraining;
  Chooser chooser(1);
  ASSERT_TRUE(
      std::holds_alternative<Chosen>(chooser.Choose(PolicyOf(PolicyKind::kLeastBindings), {}, 1, &c)));
  Decision decision;
  chooser.Describe(c, &decision);
  EXPECT_EQ(decision.candidates, 12);
  ASSERT_EQ(decision.kept, Decision::kKept);
  for (size_t k = 0; k < decision.kept; ++k) {
    EXPECT_EQ(decision.scores[k].instance.value(), 11 - k);
    if (k > 0) {
      EXPECT_LT(decision.scores[k - 1].cost, decision.scores[k].cost);
    }
  }
}

TEST(Metrics, LoadIsTheLargestUtilisationOrTheSumOfTerms) {
  std::vector<MetricSample> samples = {Sample("cpu_utilization", 0.3), Sample("utilization", 0.6),
                                       Sample("cpu_pressure", 0.9), Sample("queue", 5)};
  EXPECT_DOUBLE_EQ(*LoadOf(samples, {}), 0.6);
  Selection selection;
  selection.load = {{.metric = "cpu_utilization", .weight = 2, .scale = 1},
                    {.metric = "queue", .weight = 1, .scale = 10}};
  EXPECT_DOUBLE_EQ(*LoadOf(samples, selection), 1.1);
  selection.load.push_back({.metric = "latency", .weight = 1, .scale = 1});
  EXPECT_EQ(LoadOf(samples, selection), std::nullopt) << "a part of a load is no load";
  EXPECT_EQ(LoadOf({}, {}), std::nullopt);
}

TEST(Metrics, LoadTakesAnyMetricByItsName) {
  const std::vector<MetricSample> samples = {Sample("gpu_utilization", 0.5),
                                             Sample("gpu_memory_utilization", 0.25), Sample("error_rate", 3),
                                             Sample("licences_used", 20), Sample("cpu_utilization", 0.9)};
  Selection selection;
  selection.load = {{.metric = "gpu_utilization", .weight = 1, .scale = 1},
                    {.metric = "gpu_memory_utilization", .weight = 2, .scale = 1},
                    {.metric = "error_rate", .weight = 1, .scale = 30},
                    {.metric = "licences_used", .weight = 0.5, .scale = 40}};
  EXPECT_DOUBLE_EQ(*LoadOf(samples, selection), 0.5 + 0.5 + 0.1 + 0.25);
  EXPECT_DOUBLE_EQ(*LoadOf(samples, {}), 0.9) << "what nobody names is not load";
}

TEST(Metrics, ReportReplacesAndExpires) {
  InstanceMetrics metrics;
  MonoTime now{std::chrono::seconds{100}};
  metrics.Replace({Sample("utilization", 0.5), Sample("request_rate", 50)}, {}, true, now);
  EXPECT_DOUBLE_EQ(metrics.estimate().value(), 100);
  metrics.Replace({Sample("utilization", 0.5)}, {}, true, now + std::chrono::seconds{1});
  EXPECT_EQ(metrics.request_rate(), std::nullopt);
  EXPECT_TRUE(metrics.Fresh(now + std::chrono::seconds{11}, std::chrono::seconds{10}));
  EXPECT_FALSE(metrics.Fresh(now + std::chrono::seconds{12}, std::chrono::seconds{10}));
  metrics.Replace({Sample("utilization", 0.0), Sample("request_rate", 0)}, {}, true,
                  now + std::chrono::seconds{20});
  EXPECT_EQ(metrics.estimate(), std::nullopt) << "nothing said about capacity for longer than the expiry";
}

class SelectionInCore : public CoreFixture {
 protected:
  // `n` new demands; how many went to web-2.
  int Demands(int n) {
    int to_2 = 0;
    const InstanceId two = View("web-2").id;
    for (int i = 0; i < n; ++i) to_2 += Went(Do(Demand("r1", "web", port_++))) == two ? 1 : 0;
    return to_2;
  }
  uint16_t port_ = 1000;
};

TEST_F(SelectionInCore, AnEdgeWhoseCpuIsBurntByOthersLosesNewDemands) {
  for (const bool with_rate : {false, true}) {
    config_.services[0].affinity.idle_timeout = std::chrono::seconds{5};
    StartWeb();
    // Bindings end with their demands here, so that only capacity tells.
    const auto report = [&](double util_2) {
      for (const std::string n : {"2", "3"}) {
        std::vector<std::pair<std::string, double>> metrics = {{"cpu_utilization", n == "2" ? util_2 : 0.3}};
        if (with_rate) metrics.emplace_back("request_rate", n == "2" && util_2 > 0.9 ? 5.0 : 30.0);
        Report("a" + n, "web-" + n, metrics);
      }
    };
    report(0.3);
    EXPECT_NEAR(Demands(100), 50, 2) << with_rate;
    for (int i = 0; i < 3; ++i) {
      Advance(std::chrono::seconds{1});
      report(1.0);
    }
    const auto before = View("web-2").bindings;
    EXPECT_LE(Demands(100), 5) << with_rate;
    EXPECT_GE(View("web-2").bindings, before) << "what is bound stays";
    for (int i = 0; i < 3; ++i) {
      Advance(std::chrono::seconds{1});
      report(0.3);
    }
    EXPECT_GE(Demands(100), 50) << with_rate;
  }
}

TEST_F(SelectionInCore, ExpiredMetricsAreNotUsed) {
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  config_.services[0].selection.metrics_expiry = std::chrono::milliseconds{3000};
  StartWeb();
  Report("a2", "web-2", {{"cpu_utilization", 0.9}});
  Report("a3", "web-3", {{"cpu_utilization", 0.1}});
  EXPECT_EQ(Demands(10), 0);
  Advance(std::chrono::seconds{4});
  EXPECT_EQ(Demands(10), 5);
}

TEST_F(SelectionInCore, MaxSessionsIsAGuard) {
  Start();
  Connect("r1");
  Capacity capacity;
  capacity.max_sessions = 3;
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUp, capacity);
  Announce("a3", "web-3", "web", "10.3.0.10");
  EXPECT_EQ(Demands(20), 3);
}

TEST_F(SelectionInCore, SlowStartOfANewInstanceButNotOfATrustedOne) {
  config_.services[0].selection.policy = PolicyKind::kRoundRobin;
  config_.services[0].selection.slow_start = std::chrono::milliseconds{10000};
  StartWeb();
  Advance(std::chrono::seconds{20});
  Announce("a2", "web-2b", "web", "10.2.0.11");
  Demands(110);
  EXPECT_NEAR(static_cast<double>(View("web-2b").bindings), 110 * 0.1 / 2.1, 2);
  Advance(std::chrono::seconds{20});
  const auto before = View("web-2b").bindings;
  Demands(90);
  EXPECT_NEAR(static_cast<double>(View("web-2b").bindings - before), 30, 1);
}

TEST_F(SelectionInCore, ADecisionNamesItsContextOnce) {
  StartWeb();
  Report("a2", "web-2", {{"cpu_utilization", 0.5}});
  const auto first = Do(Demand("r1", "web", 1));
  const auto second = Do(Demand("r1", "web", 2));
  const auto contexts = Records<DecisionContextRecord>(first);
  ASSERT_EQ(contexts.size(), 1u);
  EXPECT_EQ(contexts[0].candidates.size(), 2u);
  EXPECT_TRUE(Records<DecisionContextRecord>(second).empty());
  const auto started = Records<BindingStarted>(second);
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(started[0].decision.context, contexts[0].context);
  EXPECT_EQ(started[0].decision.kept, 2);
  EXPECT_EQ(started[0].decision.scores[0].instance, started[0].instance);
  EXPECT_EQ(started[0].sid, Ip("10.100.0.1"));
  Report("a3", "web-3", {{"cpu_utilization", 0.5}});
  EXPECT_EQ(Records<DecisionContextRecord>(Do(Demand("r1", "web", 3))).size(), 1u);
}

}  // namespace
}  // namespace dyncast::core
