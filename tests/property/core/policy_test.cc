// What holds for every policy, whatever the candidates are.
#include "controller/core/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <set>

#include "controller/core/chooser.h"

namespace dyncast::core {
namespace {

constexpr PolicyKind kAll[] = {PolicyKind::kRoundRobin, PolicyKind::kStatic,        PolicyKind::kLeastLoaded,
                               PolicyKind::kWeighted,   PolicyKind::kLeastBindings, PolicyKind::kLowestDelay,
                               PolicyKind::kPowerOfTwo, PolicyKind::kWaterFilling,  PolicyKind::kAuto};

uint64_t Seed() {
  if (const char* fixed = std::getenv("DYNCAST_TEST_SEED")) return std::strtoull(fixed, nullptr, 10);
  return std::random_device{}();
}

class PolicyProperty : public ::testing::Test {
 protected:
  PolicyProperty() : seed_(Seed()), random_(seed_) {
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed_));
  }
  double Between(double a, double b) { return std::uniform_real_distribution<double>(a, b)(random_); }
  bool Often() { return random_() % 4 != 0; }
  std::optional<double> Maybe(double a, double b) {
    return Often() ? std::optional(Between(a, b)) : std::nullopt;
  }

  // Such as a fabric has them.
  std::vector<Candidate> Sane() {
    std::vector<Candidate> candidates(1 + random_() % 9);
    std::set<uint16_t> ids;
    while (ids.size() < candidates.size()) ids.insert(static_cast<uint16_t>(1 + random_() % 60000));
    auto id = ids.begin();
    const bool rated = Often();
    for (Candidate& c : candidates) {
      c.instance = InstanceId{*id++};
      if (rated) c.rated_requests_per_s = Between(10, 1000);
      c.cpu_cores = Maybe(1, 32);
      c.load = Maybe(0, 1.2);
      c.request_rate = Maybe(0, 100);
      c.estimate = Maybe(10, 1000);
      c.bindings = static_cast<uint32_t>(random_() % 100);
      c.bindings_here = c.bindings / 2;
      c.rtt_s = Maybe(0, 0.08);
      c.ahead = {.mean = Between(0, 20), .variance = Often() ? Between(0, 10) : 0};
      c.pace.service_s = Between(0.001, 0.2);
      c.pace.workers = Between(0.5, 16);
      c.pace.full_per_s = c.pace.workers / c.pace.service_s;
      c.pace.known = true;
      c.bound_per_s = Between(0, 0.5) * c.pace.full_per_s;
      c.bound_here_per_s = Between(0, 1) * c.bound_per_s;
      c.warmth = Often() ? 1.0F : 0.3F;
      if (!Often()) c.exclusion = Exclusion::kDraining;
    }
    candidates[random_() % candidates.size()].exclusion = Exclusion::kNone;
    return candidates;
  }
  Situation Any() {
    return {.sessions = random_() % 2 == 0, .requests_per_binding_s = Often() ? Between(0.1, 5) : 0};
  }

  static size_t Choose(Chooser* chooser, PolicyKind kind, const Situation& situation,
                       std::vector<Candidate>* candidates) {
    for (Candidate& c : *candidates) c.in_draw = true;
    return std::get<Chosen>(chooser->Choose(PolicyOf(kind), situation, 1, candidates)).index;
  }

  uint64_t seed_;
  std::mt19937_64 random_;
};

TEST_F(PolicyProperty, ValuesAreFiniteWhateverIsSaid) {
  const double odd[] = {0,     1e-320, 1e-9,
                        1e308, -1.0,   std::numeric_limits<double>::quiet_NaN(),
                        0.5,   1e18,   std::numeric_limits<double>::infinity()};
  const auto pick = [&] { return odd[random_() % std::size(odd)]; };
  const auto maybe = [&]() -> std::optional<double> {
    return Often() ? std::optional(pick()) : std::nullopt;
  };
  for (int round = 0; round < 4000; ++round) {
    auto c = Sane();
    for (Candidate& x : c) {
      for (auto* value : {&x.rated_requests_per_s, &x.cpu_cores, &x.load, &x.request_rate, &x.estimate,
                          &x.rtt_s, &x.loss}) {
        *value = maybe();
      }
    }
    for (const PolicyKind kind : kAll) {
      Chooser chooser(1);
      auto copy = c;
      const Situation situation = Any();
      const size_t index = Choose(&chooser, kind, situation, &copy);
      ASSERT_LT(index, c.size());
      ASSERT_TRUE(copy[index].eligible());
      for (size_t i = 0; i < c.size(); ++i) {
        if (!copy[i].eligible()) continue;
        ASSERT_TRUE(std::isfinite(chooser.costs()[i])) << PolicyKindName(kind);
      }
      std::vector<double> weights(c.size());
      std::vector<double> capacities(c.size());
      PolicyOf(kind).Weigh(situation, copy, weights, capacities);
      bool any = false;
      for (size_t i = 0; i < c.size(); ++i) {
        if (copy[i].eligible()) any = any || (std::isfinite(weights[i]) && weights[i] > 0);
      }
      ASSERT_TRUE(any) << PolicyKindName(kind);
    }
  }
}

TEST_F(PolicyProperty, TheSameIsDecidedAgainAndInAnyOrder) {
  for (int round = 0; round < 3000; ++round) {
    const auto c = Sane();
    const Situation situation = Any();
    auto shuffled = c;
    std::shuffle(shuffled.begin(), shuffled.end(), random_);
    for (const PolicyKind kind : kAll) {
      if (kind == PolicyKind::kPowerOfTwo) continue;  // draws by place
      Chooser one(3);
      Chooser again(3);
      Chooser other(3);
      auto a = c;
      auto b = c;
      auto s = shuffled;
      const size_t first = Choose(&one, kind, situation, &a);
      ASSERT_EQ(Choose(&again, kind, situation, &b), first);
      const size_t third = Choose(&other, kind, situation, &s);
      // Sums in another order differ in their last digits: what is that near counts as equal.
      const double cost = one.costs()[first];
      const double cost_there = other.costs()[third];
      if (a[first].instance != s[third].instance) {
        ASSERT_NEAR(cost, cost_there, 1e-6 * std::abs(cost) + 1e-9) << PolicyKindName(kind);
      }
    }
  }
}

TEST_F(PolicyProperty, WhoIsExcludedHasNoInfluence) {
  for (int round = 0; round < 2000; ++round) {
    auto c = Sane();
    const Situation situation = Any();
    auto without = c;
    std::erase_if(without, [](const Candidate& x) { return !x.eligible(); });
    for (const PolicyKind kind : kAll) {
      if (kind == PolicyKind::kPowerOfTwo && without.size() < 3) continue;
      Chooser one(3);
      Chooser two(3);
      auto a = c;
      auto b = without;
      const size_t first = Choose(&one, kind, situation, &a);
      const size_t second = Choose(&two, kind, situation, &b);
      ASSERT_EQ(a[first].instance, b[second].instance) << PolicyKindName(kind);
    }
  }
}

// Each decision adds a demand and a binding; nothing else changes, nothing ends. least-loaded, power-of-two
// and lowest-delay do starve, as long as nothing that they look at changes.
TEST_F(PolicyProperty, NobodyStarvesForEver) {
  for (int round = 0; round < 150; ++round) {
    auto c = Sane();
    const Situation situation{.sessions = random_() % 2 == 0, .requests_per_binding_s = Between(0.1, 0.5)};
    size_t eligible = 0;
    for (const Candidate& x : c) eligible += x.eligible() ? 1 : 0;
    for (const PolicyKind kind : {PolicyKind::kRoundRobin, PolicyKind::kStatic, PolicyKind::kWeighted,
                                  PolicyKind::kLeastBindings, PolicyKind::kWaterFilling, PolicyKind::kAuto}) {
      Chooser chooser(4);
      auto copy = c;
      // auto leaves one that is slow alone until the others are as slow: that is to happen, so that all begin
      // idle and each decision is of a hundred demands.
      const bool by_time = kind == PolicyKind::kAuto;
      for (Candidate& x : copy) {
        if (by_time) x.bindings = 0, x.ahead.mean = 0;
      }
      std::set<size_t> chosen;
      for (int i = 0; i < 60000 && chosen.size() < eligible; ++i) {
        const size_t index = Choose(&chooser, kind, situation, &copy);
        chooser.Settle(PolicyOf(kind), &copy, index);
        chosen.insert(index);
        copy[index].bindings += by_time ? 100 : 1;
        copy[index].ahead.mean += by_time ? 100 : 1;
      }
      ASSERT_EQ(chosen.size(), eligible) << PolicyKindName(kind);
    }
  }
}

// Whatever the others are like.
TEST_F(PolicyProperty, EqualInstancesGetTheSame) {
  for (int round = 0; round < 300; ++round) {
    auto c = Sane();
    Candidate twin = c.front();
    twin.exclusion = Exclusion::kNone;
    c.front() = twin;
    twin.instance = InstanceId{60001};
    c.push_back(twin);
    const Situation situation = Any();
    for (const PolicyKind kind : kAll) {
      if (kind == PolicyKind::kPowerOfTwo) continue;  // by chance
      Chooser chooser(4);
      auto copy = c;
      int first = 0;
      int second = 0;
      for (int i = 0; i < 300; ++i) {
        const size_t index = Choose(&chooser, kind, situation, &copy);
        chooser.Settle(PolicyOf(kind), &copy, index);
        ++copy[index].bindings;
        ++copy[index].bindings_here;
        copy[index].ahead.mean += 1;
        first += index == 0 ? 1 : 0;
        second += index + 1 == copy.size() ? 1 : 0;
        ASSERT_LE(std::abs(first - second), 1) << PolicyKindName(kind) << " after " << i;
      }
    }
  }
}

TEST_F(PolicyProperty, UnitsDoNotMatter) {
  for (int round = 0; round < 2000; ++round) {
    const auto c = Sane();
    const double by = std::pow(2.0, static_cast<double>(random_() % 7) - 3);  // exact
    const auto same = [&](PolicyKind kind, const Situation& before, const Situation& after, auto&& change) {
      Chooser one(3);
      Chooser two(3);
      auto a = c;
      // What waits is to be served in a fixed time.
      for (Candidate& x : a) x.ahead.mean = kind == PolicyKind::kWaterFilling ? 0 : x.ahead.mean;
      auto b = a;
      for (Candidate& x : b) change(&x);
      const size_t first = Choose(&one, kind, before, &a);
      const size_t second = Choose(&two, kind, after, &b);
      ASSERT_NEAR(one.costs()[first], one.costs()[second], 1e-5 * std::abs(one.costs()[first]) + 1e-9)
          << PolicyKindName(kind);
    };
    const auto scale = [by](std::optional<double>* v) {
      if (*v) *v = **v * by;
    };
    same(PolicyKind::kStatic, {}, {}, [&](Candidate* x) {
      scale(&x->rated_requests_per_s);
      scale(&x->cpu_cores);
    });
    same(PolicyKind::kWeighted, {}, {}, [&](Candidate* x) { scale(&x->estimate); });
    same(PolicyKind::kLowestDelay, {}, {}, [&](Candidate* x) { scale(&x->rtt_s); });
    const auto slower = [&](Candidate* x) {
      scale(&x->rtt_s);
      x->pace.service_s *= by;
      x->pace.full_per_s /= by;
      x->bound_per_s /= by;
      x->bound_here_per_s /= by;
      if (x->request_rate) x->request_rate = *x->request_rate / by;
    };
    const Situation sessions{.sessions = true, .requests_per_binding_s = 1.5};
    const Situation slow_sessions{.sessions = true, .requests_per_binding_s = 1.5 / by};
    for (const PolicyKind kind : {PolicyKind::kAuto, PolicyKind::kWaterFilling}) {
      same(kind, {}, {}, slower);
      same(kind, sessions, slow_sessions, slower);
    }
  }
}

TEST_F(PolicyProperty, FartherBusierOrSlowerIsNeverBetter) {
  for (int round = 0; round < 3000; ++round) {
    const auto c = Sane();
    const Situation situation{.sessions = random_() % 2 == 0, .requests_per_binding_s = Between(0.1, 5)};
    Chooser one(3);
    auto a = c;
    const size_t chosen = Choose(&one, PolicyKind::kAuto, situation, &a);
    const size_t other = random_() % c.size();
    if (other == chosen) continue;
    auto b = c;
    switch (random_() % 4) {
      case 0: b[other].loss = 0.5; break;
      case 1: b[other].ahead.mean += Between(0, 10); break;
      case 2: b[other].bindings += 5; break;
      default: b[other].pace.service_s *= 2; b[other].pace.full_per_s /= 2;
    }
    Chooser two(3);
    ASSERT_NE(Choose(&two, PolicyKind::kAuto, situation, &b), other);
  }
}

TEST_F(PolicyProperty, MaxShareHoldsInEveryStretch) {
  for (int round = 0; round < 60; ++round) {
    const auto c = Sane();
    const double most = Between(0.2, 0.9);
    for (const PolicyKind kind : kAll) {
      Chooser chooser(4);
      auto copy = c;
      double eligible = 0;
      for (const Candidate& x : copy) eligible += x.eligible() ? 1 : 0;
      std::vector<int> counts(c.size());
      constexpr int kWarm = 200;
      constexpr int kMeasured = 1000;
      for (int i = 0; i < kWarm + kMeasured; ++i) {
        for (Candidate& x : copy) x.in_draw = true;
        const size_t index = std::get<Chosen>(chooser.Choose(PolicyOf(kind), Situation{}, most, &copy)).index;
        chooser.Settle(PolicyOf(kind), &copy, index);
        if (i >= kWarm) ++counts[index];
      }
      for (const int n : counts) {
        ASSERT_LE(n, std::max(most, 1 / eligible) * kMeasured + 40) << PolicyKindName(kind);
      }
    }
  }
}

}  // namespace
}  // namespace dyncast::core
