// The policies that look at the network or at expected times.
#include <cmath>
#include <map>
#include <random>

#include "controller/core/chooser.h"
#include "controller/core/water.h"
#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

std::vector<Candidate> Some(size_t n) {
  std::vector<Candidate> candidates(n);
  for (size_t i = 0; i < n; ++i) candidates[i].instance = InstanceId{static_cast<uint16_t>(i + 1)};
  return candidates;
}

Pace PaceFor(double service_s, double workers) {
  return {.service_s = service_s, .workers = workers, .full_per_s = workers / service_s, .known = true};
}

class Chosen100 : public ::testing::Test {
 protected:
  // Decides `times`; each chosen one has a demand and a binding more.
  std::vector<int> Shares(PolicyKind kind, std::vector<Candidate> candidates, int times,
                          const Situation& situation = {}) {
    Chooser chooser(5);
    std::vector<int> counts(candidates.size());
    for (int i = 0; i < times; ++i) {
      for (Candidate& c : candidates) c.in_draw = true;
      const size_t index = Index(chooser.Choose(PolicyOf(kind), situation, 1, &candidates));
      chooser.Settle(PolicyOf(kind), &candidates, index);
      ++counts[index];
      ++candidates[index].bindings;
      ++candidates[index].bindings_here;
      candidates[index].ahead.mean += 1;
    }
    return counts;
  }
  static size_t Index(const Choice& choice) { return std::get<Chosen>(choice).index; }
  static size_t Best(PolicyKind kind, std::vector<Candidate> candidates, const Situation& situation = {}) {
    Chooser chooser(5);
    return Index(chooser.Choose(PolicyOf(kind), situation, 1, &candidates));
  }
  static std::vector<double> Weights(PolicyKind kind, const std::vector<Candidate>& candidates,
                                     const Situation& situation = {}) {
    std::vector<double> weights(candidates.size());
    std::vector<double> capacities(candidates.size());
    PolicyOf(kind).Weigh(situation, candidates, weights, capacities);
    double sum = 0;
    for (const double w : weights) sum += w;
    for (double& w : weights) w /= sum;
    return weights;
  }
};

using LowestDelay = Chosen100;

TEST_F(LowestDelay, TheNearestAndEqualOnesByTurns) {
  auto c = Some(4);
  c[0].rtt_s = 0.010;
  c[1].rtt_s = 0.002;
  c[2].rtt_s = 0.002;
  EXPECT_EQ(Shares(PolicyKind::kLowestDelay, c, 10), (std::vector<int>{0, 5, 5, 0})) << "unknown is far";
  EXPECT_EQ(Shares(PolicyKind::kLowestDelay, Some(3), 9), (std::vector<int>{3, 3, 3})) << "nobody knows";
}

TEST_F(LowestDelay, SharesOfASwitchGoToTheNearestOnly) {
  auto c = Some(3);
  c[0].rtt_s = 0.010;
  c[1].rtt_s = 0.0200;
  c[2].rtt_s = 0.0104;  // hardly farther: a measurement's noise moves no slots
  const auto w = Weights(PolicyKind::kLowestDelay, c);
  EXPECT_NEAR(w[0], 0.5, 1e-3);
  EXPECT_LT(w[1], 1e-3);
  EXPECT_GT(w[1], 0) << "a change of delays is a change of weights";
  EXPECT_NEAR(w[2], 0.5, 1e-3);
}

using PowerOfTwo = Chosen100;

TEST_F(PowerOfTwo, TheBetterOfTwoThatAreDrawnEvenly) {
  auto c = Some(4);
  for (size_t i = 0; i < 4; ++i) c[i].load = 0.2 * static_cast<double>(i);
  const auto counts = Shares(PolicyKind::kPowerOfTwo, c, 6000);
  // Six pairs, all alike: the best is in three, the next best in two without it, then one, none.
  EXPECT_NEAR(counts[0], 3000, 150);
  EXPECT_NEAR(counts[1], 2000, 150);
  EXPECT_NEAR(counts[2], 1000, 150);
  EXPECT_EQ(counts[3], 0);
  const auto w = Weights(PolicyKind::kPowerOfTwo, c);
  EXPECT_NEAR(w[0] / w[2], 3, 1e-9) << "the same where a switch selects";
  EXPECT_GT(w[3], 0) << "but that it tries all";
}

TEST_F(PowerOfTwo, OfOneOrTwoAllAreDrawn) {
  EXPECT_EQ(Shares(PolicyKind::kPowerOfTwo, Some(1), 3), (std::vector<int>{3}));
  auto c = Some(2);
  c[0].load = 0.3;
  c[1].load = 0.1;
  EXPECT_EQ(Shares(PolicyKind::kPowerOfTwo, c, 5), (std::vector<int>{0, 5}));
}

TEST_F(PowerOfTwo, TheSeedDecides) {
  auto c = Some(6);
  for (size_t i = 0; i < 6; ++i) c[i].load = 0.1 * static_cast<double>(i);
  const auto run = [&](uint64_t seed) {
    Chooser chooser(seed);
    std::vector<size_t> chosen;
    for (int i = 0; i < 50; ++i) {
      auto copy = c;
      chosen.push_back(Index(chooser.Choose(PolicyOf(PolicyKind::kPowerOfTwo), {}, 1, &copy)));
      chooser.Settle(PolicyOf(PolicyKind::kPowerOfTwo), &copy, chosen.back());
    }
    return chosen;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

using LeastBindings = Chosen100;

TEST_F(LeastBindings, AddsTheNetworkWhereCapacityIsInRequestsPerSecond) {
  auto c = Some(2);
  c[0].rated_requests_per_s = c[1].rated_requests_per_s = 100;
  c[0].rtt_s = 0.001;
  c[1].rtt_s = 0.051;  // five demands of 10 ms each
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 5), (std::vector<int>{5, 0}));
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 105), (std::vector<int>{55, 50}));
  c[0].rated_requests_per_s = c[1].rated_requests_per_s = std::nullopt;
  EXPECT_EQ(Shares(PolicyKind::kLeastBindings, c, 10), (std::vector<int>{5, 5})) << "no common unit";
}

TEST_F(LeastBindings, OfEqualOnesThatWithFewestBindingsHere) {
  auto c = Some(3);
  c[0].bindings = c[1].bindings = c[2].bindings = 7;
  c[0].bindings_here = 3;
  c[1].bindings_here = 1;
  c[2].bindings_here = 2;
  EXPECT_EQ(Best(PolicyKind::kLeastBindings, c), 1u);
}

// ---- Water-filling ------------------------------------------------------------------------------

TEST(Water, OneRequestMoreCostsTheSameWhereverItGoes) {
  std::mt19937_64 random(1);
  const auto between = [&](double a, double b) {
    return std::uniform_real_distribution<double>(a, b)(random);
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<Basin> basins(2 + random() % 6);
    double room = 0;
    for (Basin& b : basins) {
      b = {.network_s = between(0, 0.05),
           .service_s = between(0.01, 0.1),
           .full_per_s = between(10, 200),
           .base_per_s = 0};
      b.base_per_s = random() % 2 ? between(0, 0.5) * b.full_per_s : 0;
      room += b.full_per_s - b.base_per_s;
    }
    const double per_s = between(0.01, 0.95) * room;
    std::vector<double> part(basins.size());
    Fill(
        basins.size(), [&](size_t i) { return basins[i]; }, per_s, part);
    double sum = 0;
    double level = -1;
    for (size_t i = 0; i < basins.size(); ++i) {
      sum += part[i];
      const Basin& b = basins[i];
      const double use = (b.base_per_s + part[i]) / b.full_per_s;
      ASSERT_LT(use, 1);
      const double cost = b.network_s + b.service_s + (1 / (1 - use) / (1 - use) - 1) / b.full_per_s;
      if (part[i] <= 0) continue;
      if (level < 0) level = cost;
      EXPECT_NEAR(cost / level, 1, 1e-3);
    }
    EXPECT_NEAR(sum / per_s, 1, 1e-3);
    for (size_t i = 0; i < basins.size(); ++i) {
      const Basin& b = basins[i];
      const double use = b.base_per_s / b.full_per_s;
      const double dry = b.network_s + b.service_s + (1 / (1 - use) / (1 - use) - 1) / b.full_per_s;
      if (part[i] <= 0) {
        EXPECT_GE(dry, level * (1 - 1e-3)) << "dry only above the level";
      }
    }
  }
}

TEST(Water, WhatDoesNotFitIsSharedByCapacity) {
  const std::vector<Basin> basins = {{.network_s = 0, .service_s = 0.01, .full_per_s = 10, .base_per_s = 0},
                                     {.network_s = 1, .service_s = 0.01, .full_per_s = 30, .base_per_s = 0}};
  std::vector<double> part(2);
  for (const double per_s : {0.0, 100.0, std::nan("")}) {
    Fill(
        2, [&](size_t i) { return basins[i]; }, per_s, part);
    EXPECT_DOUBLE_EQ(part[1] / part[0], 3) << per_s;
  }
}

using WaterFilling = Chosen100;

TEST_F(WaterFilling, FillsTheNearFirstAndTheFarWhenTheyAreBusy) {
  auto c = Some(2);
  for (Candidate& x : c) {
    x.pace = PaceFor(0.05, 4);
    x.bound_per_s = x.bound_here_per_s = 2;
  }
  c[0].rtt_s = 0.001;
  c[1].rtt_s = 0.041;
  const auto calm = Weights(PolicyKind::kWaterFilling, c);
  EXPECT_GT(calm[0], 0.9);
  EXPECT_GT(calm[1], 0.02) << "tried now and then";
  c[0].bound_per_s = c[0].bound_here_per_s = 70;
  c[1].bound_per_s = c[1].bound_here_per_s = 50;
  const auto busy = Weights(PolicyKind::kWaterFilling, c);
  EXPECT_GT(busy[1], 0.4);
  // What other D-Routers send there leaves less room.
  c[0].bound_per_s = 75;
  c[0].bound_here_per_s = 5;
  EXPECT_GT(Weights(PolicyKind::kWaterFilling, c)[1], 0.6);
}

TEST_F(WaterFilling, WithoutKnowledgeInProportionToCapacity) {
  auto c = Some(2);
  c[0].pace = {.service_s = 0.01, .workers = 1, .full_per_s = 100, .known = false};
  c[1].pace = {.service_s = 0.01, .workers = 3, .full_per_s = 300, .known = false};
  c[0].bound_per_s = c[0].bound_here_per_s = 1;
  const auto w = Weights(PolicyKind::kWaterFilling, c);
  EXPECT_NEAR(w[1] / w[0], 3, 1e-9);
}

// ---- Auto ---------------------------------------------------------------------------------------

using Auto = Chosen100;

TEST_F(Auto, TakesAFreeWorkerBeforeAQueue) {
  auto c = Some(2);
  c[0].pace = c[1].pace = PaceFor(0.05, 4);
  c[0].ahead.mean = 6;
  c[1].ahead.mean = 3;
  EXPECT_EQ(Best(PolicyKind::kAuto, c), 1u);
  c[0].pace = PaceFor(0.01, 4);  // the queue of one that is five times as fast is shorter
  EXPECT_EQ(Best(PolicyKind::kAuto, c), 0u);
}

TEST_F(Auto, WeighsTheNetworkAgainstTheQueue) {
  auto c = Some(2);
  c[0].pace = c[1].pace = PaceFor(0.05, 4);
  c[0].rtt_s = 0.002;
  c[1].rtt_s = 0.030;
  EXPECT_EQ(Best(PolicyKind::kAuto, c), 0u);
  c[0].ahead.mean = 10;
  EXPECT_EQ(Best(PolicyKind::kAuto, c), 1u);
  c[1].loss = 0.2;  // a quarter of a second for each demand
  EXPECT_EQ(Best(PolicyKind::kAuto, c), 0u);
}

TEST_F(Auto, SharesInTheLongRunAreByCapacity) {
  auto c = Some(3);
  c[0].pace = PaceFor(0.05, 2);
  c[1].pace = PaceFor(0.05, 4);
  c[2].pace = PaceFor(0.025, 4);
  const auto counts = Shares(PolicyKind::kAuto, c, 1400);
  EXPECT_NEAR(counts[0], 200, 12);
  EXPECT_NEAR(counts[1], 400, 12);
  EXPECT_NEAR(counts[2], 800, 12);
}

TEST_F(Auto, SessionsGoWhereTheyWillBeServedNotWhereItIsQuietNow) {
  auto c = Some(2);
  c[0].pace = c[1].pace = PaceFor(0.05, 4);
  c[0].bindings = 30;
  c[1].bindings = 20;
  c[0].ahead.mean = 0;
  c[1].ahead.mean = 3;
  const Situation sessions{.sessions = true, .requests_per_binding_s = 2};
  EXPECT_EQ(Best(PolicyKind::kAuto, c, sessions), 1u);
}

TEST_F(Auto, ColdOnesTakeAPart) {
  auto c = Some(2);
  c[0].pace = c[1].pace = PaceFor(0.05, 4);
  c[0].warmth = 0.1F;
  const auto counts = Shares(PolicyKind::kAuto, c, 110);
  EXPECT_NEAR(counts[0], 10, 4);
}

// ---- In the core --------------------------------------------------------------------------------

class PoliciesInCore : public CoreFixture {
 protected:
  PoliciesInCore() {
    config_.switches[0].agent = "m1";
    config_.switches[1].agent = "m2";
    config_.agents.push_back({.name = "m1", .bids = {Net("10.8.1.1/32")}});
    config_.agents.push_back({.name = "m2", .bids = {Net("10.8.2.1/32")}});
  }
  PathSample Way(std::string peer, int64_t ms) {
    PathSample sample;
    sample.peer = std::move(peer);
    sample.rtt = std::chrono::milliseconds{ms};
    sample.sent = 10;
    sample.window = std::chrono::seconds{1};
    return sample;
  }
  void Ways(int64_t near_ms, int64_t far_ms) {
    Say("m1", wire::Paths{.paths = {Way("a2", near_ms), Way("a3", far_ms)}, .refused_paths = 0});
    Say("m2", wire::Paths{.paths = {Way("a2", far_ms), Way("a3", near_ms)}, .refused_paths = 0});
  }
};

TEST_F(PoliciesInCore, EachSwitchHasItsOwnNearestInstance) {
  config_.services[0].selection.policy = PolicyKind::kLowestDelay;
  StartWeb();
  Ways(2, 20);
  EXPECT_EQ(Went(Do(Demand("r1", "web", 1))), View("web-2").id);
  EXPECT_EQ(Went(Do(Demand("r2", "web", 1))), View("web-3").id);
  const auto record = Do(Demand("r1", "web", 2));
  // Delays change: an older look-up holds for a moment only.
  Ways(20, 2);
  Advance(std::chrono::milliseconds{200});
  EXPECT_EQ(Went(Do(Demand("r1", "web", 3))), View("web-3").id);
  // Nobody measures any more.
  Advance(std::chrono::seconds{30});
  const auto first = Went(Do(Demand("r1", "web", 4)));
  EXPECT_NE(Went(Do(Demand("r1", "web", 5))), first) << "by turns";
}

TEST_F(PoliciesInCore, SwitchesThatSelectHaveTheirOwnShares) {
  config_.services[0].selection.policy = PolicyKind::kLowestDelay;
  config_.services[0].dispatch = Dispatch::kLearn;
  StartWeb();
  Ways(2, 20);
  Tick(std::chrono::seconds{2});
  const auto slots = [&](const char* at, const char* name) {
    const auto plan = core_->PlanInForce(Sw(at));
    const auto& all = plan->services.front().slots_v4;
    return std::count(all.begin(), all.end(), View(name).id);
  };
  EXPECT_GE(slots("r1", "web-2"), 1023);
  EXPECT_GE(slots("r2", "web-3"), 1023);
}

TEST_F(PoliciesInCore, ExplainNamesWhatDecided) {
  config_.services[0].selection.policy = PolicyKind::kAuto;
  StartWeb();
  Ways(2, 20);
  Do(Demand("r1", "web", 1));
  const auto explained = core_->Explain(Demand("r1", "web", 2).demand, Sv("web"), Sw("r1"), now_);
  ASSERT_EQ(explained.candidates.size(), 2u);
  const ExplainedCandidate& best = explained.candidates[0];
  EXPECT_EQ(best.name, explained.would_choose_name);
  ASSERT_TRUE(best.rtt && best.expected_ms && best.outstanding && best.capacity);
  EXPECT_GT(*best.expected_ms, 0);
  EXPECT_LE(*best.expected_ms, *explained.candidates[1].expected_ms);
  for (const ExplainedCandidate& c : explained.candidates) {
    EXPECT_EQ(*c.rtt, c.name == "web-2" ? Micros{2000} : Micros{20000});
    EXPECT_EQ(*c.outstanding > 0, c.bindings > 0);
  }
}

TEST_F(PoliciesInCore, ADecisionsContextNamesWhatDecided) {
  config_.services[0].selection.policy = PolicyKind::kAuto;
  StartWeb();
  Ways(2, 20);
  const auto contexts = Records<DecisionContextRecord>(Do(Demand("r1", "web", 1)));
  ASSERT_EQ(contexts.size(), 1u);
  EXPECT_EQ(contexts[0].policy, PolicyKind::kAuto);
  for (const CandidateContext& c : contexts[0].candidates) {
    EXPECT_TRUE(c.rtt && c.outstanding && c.expected_ms && c.capacity);
  }
}

}  // namespace
}  // namespace dyncast::core
