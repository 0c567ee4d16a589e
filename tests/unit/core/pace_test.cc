// What is believed of instances' pace, and how crowds leave.
#include "controller/core/pace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

namespace dyncast::core {
namespace {

// Lognormal with sigma 1: many short ones, few long ones.
class Times {
 public:
  explicit Times(uint64_t seed) : random_(seed) {}
  double Next(double mean) { return mean * std::exp(normal_(random_) - 0.5); }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
};

TEST(Track, IsTheMeanOfManyAndGivesUpWhatIsNoLongerTrue) {
  Track track(1000);
  EXPECT_FALSE(track.known());
  track.Add(1.0, 50, 50);
  track.Add(1.2, 50, 50);
  EXPECT_NEAR(track.value(), 1.1, 1e-9);
  EXPECT_NEAR(track.weight(), 100, 1e-9);
  track.Add(3.0, 50, 50);
  EXPECT_NEAR(track.value(), 3.0, 1e-9) << "no chance makes 50 values three times as large";
  EXPECT_NEAR(track.weight(), 50, 1e-9);
  track.Add(1.5, 50, 50);
  EXPECT_NEAR(track.value(), 2.25, 1e-9) << "but half as large";
}

TEST(Track, AWindowThatOverlapsCountsOnlyForWhatIsNew) {
  Track track(1000);
  track.Add(1.0, 100, 100);
  track.Add(1.2, 100, 10);
  EXPECT_NEAR(track.value(), 1 + 0.2 * 10 / 110, 1e-9);
}

TEST(Track, IgnoresWhatIsNoSample) {
  Track track(1000);
  for (const double odd : {0.0, -1.0, std::nan(""), HUGE_VAL}) track.Add(odd, 10, 10);
  track.Add(1, 0, 0);
  EXPECT_FALSE(track.known());
}

// One worker after the other serves without a pause.
double Serve(PaceWatch* watch, Times* times, double mean, int requests) {
  double passed = 0;
  for (int i = 0; i < requests; ++i) {
    const double service = times->Next(mean);
    // Time passes in steps, as other events make it.
    for (int k = 0; k < 10; ++k) watch->Busy(service / 10);
    watch->Done();
    passed += service;
  }
  return passed;
}

TEST(PaceWatch, KnowsTheMean) {
  Times times(1);
  PaceWatch watch;
  EXPECT_FALSE(watch.known());
  Serve(&watch, &times, 0.05, 3000);
  EXPECT_NEAR(watch.value(), 0.05, 0.01);
}

TEST(PaceWatch, SeesAChangeSoon) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Times times(seed);
    PaceWatch watch;
    Serve(&watch, &times, 0.05, 2000);
    Serve(&watch, &times, 0.05 / 0.3, 80);
    EXPECT_GT(watch.value(), 0.09) << seed;
    Serve(&watch, &times, 0.05, 200);
    EXPECT_LT(watch.value(), 0.08) << seed;
  }
}

TEST(PaceWatch, OneLongRequestIsNoChange) {
  Times times(2);
  PaceWatch watch;
  for (int i = 0; i < 500; ++i) {
    watch.Busy(0.05);
    watch.Done();
  }
  for (int k = 0; k < 1000; ++k) watch.Busy(0.005);  // a hundred times as long
  watch.Done();
  EXPECT_LT(watch.value(), 0.07);
}

TEST(PaceWatch, WhatIsOldCountsLess) {
  PaceWatch watch;
  for (int i = 0; i < 100; ++i) {
    watch.Busy(1);
    watch.Done();
  }
  watch.Fade(0.02);
  EXPECT_TRUE(watch.known());
  EXPECT_NEAR(watch.weight(), 2, 0.01);
  watch.Fade(0.4);
  EXPECT_FALSE(watch.known());
}

// ---- Crowd --------------------------------------------------------------------------------------

TEST(Crowd, WaitingIsWhatIsOverWhereAllIsKnown) {
  EXPECT_DOUBLE_EQ(Waiting({.mean = 5, .variance = 0}, 1, 4), 2);
  EXPECT_DOUBLE_EQ(Waiting({.mean = 2, .variance = 0}, 1, 4), 0);
  EXPECT_NEAR(Waiting({.mean = 4, .variance = 4}, 0, 4), 2 * 0.39894, 1e-3)
      << "half of a normal distribution";
  EXPECT_NEAR(Waiting({.mean = 100, .variance = 4}, 0, 4), 96, 1e-9);
  EXPECT_NEAR(Waiting({.mean = 0, .variance = 0.01}, 0, 4), 0, 1e-9);
}

TEST(Crowd, LeavesAsServersWithRandomTimesLetIt) {
  // Against a simulation of the same: exponential times, nobody comes.
  std::mt19937_64 random(3);
  for (const int workers : {1, 3, 8}) {
    for (const int begin : {1, 4, 20}) {
      for (const double seconds : {0.02, 0.1, 0.5, 2.0}) {
        constexpr int kRuns = 4000;
        double left = 0;
        for (int run = 0; run < kRuns; ++run) {
          int n = begin;
          double t = 0;
          while (n > 0) {
            t += std::exponential_distribution<double>(std::min(n, workers) / 0.1)(random);
            if (t > seconds) break;
            --n;
          }
          left += n;
        }
        left /= kRuns;
        const Crowd crowd = After({.mean = static_cast<double>(begin), .variance = 0}, workers, 0.1, seconds);
        EXPECT_NEAR(crowd.mean, left, 0.15 + 0.08 * begin)
            << workers << " workers, " << begin << " demands, " << seconds << " s";
        EXPECT_GE(crowd.mean, 0);
        EXPECT_GE(crowd.variance, 0);
      }
    }
  }
}

TEST(Crowd, GetsSmallerWithTimeInStepsOrAtOnce) {
  Crowd crowd{.mean = 12, .variance = 0};
  for (int i = 0; i < 100; ++i) {
    const Crowd next = After(crowd, 4, 0.05, 0.01);
    EXPECT_LE(next.mean, crowd.mean);
    EXPECT_TRUE(std::isfinite(next.variance));
    crowd = next;
  }
  const Crowd at_once = After({.mean = 12, .variance = 0}, 4, 0.05, 1);
  EXPECT_NEAR(at_once.mean, crowd.mean, 0.2);
  EXPECT_NEAR(After({.mean = 1e6, .variance = 0}, 4, 0.05, 3600).mean, 1e6 - 4 / 0.05 * 3600, 5e3);
}

// ---- PaceJudge ----------------------------------------------------------------------------------

SeenPace Seen(double fixed, double service_s, double weight, double workers) {
  SeenPace seen;
  seen.fixed = fixed;
  seen.service_s = service_s;
  seen.service_weight = weight;
  seen.workers = workers;
  return seen;
}

std::vector<Pace> Judge(const std::vector<SeenPace>& seen, bool sessions = false) {
  std::vector<Pace> pace(seen.size());
  PaceJudge().Judge(seen, sessions, pace);
  return pace;
}

TEST(PaceJudge, ChanceIsNotBelieved) {
  const auto pace = Judge({Seen(4, 0.050, 100, 4), Seen(4, 0.055, 100, 4), Seen(4, 0.046, 100, 4)});
  EXPECT_DOUBLE_EQ(pace[0].service_s, pace[1].service_s);
  EXPECT_DOUBLE_EQ(pace[1].service_s, pace[2].service_s);
  EXPECT_NEAR(pace[0].full_per_s, 80, 3);
}

TEST(PaceJudge, WhatIsNoChanceIs) {
  const auto pace = Judge({Seen(4, 0.05, 100, 4), Seen(4, 0.16, 40, 4), Seen(4, 0.05, 100, 4)});
  EXPECT_GT(pace[1].service_s, 2.5 * pace[0].service_s);
  EXPECT_NEAR(pace[0].service_s, 0.05, 0.003) << "the slow one says nothing of the others";
}

TEST(PaceJudge, StaticCapacityIsOnlyAnExpectation) {
  // The operator rates all alike; the third is twice as fast, and that was seen a thousand times.
  const auto pace = Judge({Seen(1, 0.05, 1000, 2), Seen(1, 0.05, 1000, 2), Seen(1, 0.025, 1000, 2)});
  EXPECT_NEAR(pace[2].service_s, 0.025, 0.002);
  EXPECT_NEAR(pace[2].full_per_s, 80, 5);
}

TEST(PaceJudge, WhatIsNotSeenIsAsOfTheOthers) {
  std::vector<SeenPace> seen = {Seen(2, 0.05, 500, 2), Seen(4, 0.05, 500, 4), SeenPace{}};
  seen[2].fixed = 8;
  const auto pace = Judge(seen);
  EXPECT_NEAR(pace[2].workers, 8, 1e-6);
  EXPECT_NEAR(pace[2].service_s, 0.05, 1e-3);
  EXPECT_TRUE(pace[2].known);
}

TEST(PaceJudge, NothingKnownGoesByStaticCapacity) {
  std::vector<SeenPace> seen(3);
  for (size_t i = 0; i < 3; ++i) seen[i].fixed = static_cast<double>(i + 1);
  const auto pace = Judge(seen);
  EXPECT_NEAR(pace[2].full_per_s / pace[0].full_per_s, 3, 1e-9);
  EXPECT_FALSE(pace[0].known);
  for (const Pace& p : Judge(std::vector<SeenPace>(2))) {
    EXPECT_GT(p.full_per_s, 0);
    EXPECT_DOUBLE_EQ(p.workers, 1);
  }
}

TEST(PaceJudge, AClaimIsHeldAgainstWhatItCannotMove) {
  for (const double fixed : {4.0, 0.0}) {
    for (const size_t n : {size_t{2}, size_t{3}, size_t{6}}) {
      std::vector<SeenPace> seen(n, Seen(fixed, 0.05, 500, 4));
      for (const double claim : {1e3, 1e6, 1e11}) {
        seen[n - 1].workers = claim;
        const auto pace = Judge(seen);
        EXPECT_NEAR(pace[0].workers, 4, 1e-9) << n << " " << claim;
        EXPECT_LE(pace[n - 1].workers, 40 + 1e-9) << n << " " << claim;
      }
      seen[n - 1].workers = 1e-6;
      if (n == 2) continue;
      EXPECT_NEAR(Judge(seen)[n - 1].workers, 0.2, 1e-9);
    }
  }
}

TEST(PaceJudge, AClaimSaysNothingOfThoseThatAreSilent) {
  std::vector<SeenPace> seen(5, Seen(4, 0.05, 500, 4));
  seen[3] = SeenPace{};
  seen[3].fixed = 4;
  seen[4].workers = 1e6;
  EXPECT_NEAR(Judge(seen)[3].workers, 4, 1e-9);
}

TEST(PaceJudge, ClaimsOfRequestsAtFullUseAreBounded) {
  for (const double fixed : {4.0, 0.0}) {
    std::vector<SeenPace> seen(4, Seen(fixed, 0.05, 500, 4));
    for (SeenPace& s : seen) {
      s.full_per_s = 80;
      s.full_weight = 500;
    }
    seen[3].full_per_s = 1e9;
    const auto pace = Judge(seen, true);
    EXPECT_NEAR(pace[0].full_per_s, 80, 8);
    EXPECT_LE(pace[3].full_per_s, 800 * 1.01);
  }
}

TEST(PaceJudge, AClaimOfStaticCapacityIsBounded) {
  std::vector<SeenPace> seen(4, Seen(4, 0.05, 500, 4));
  seen[3] = SeenPace{};
  seen[3].fixed = 1e15;
  const auto pace = Judge(seen);
  EXPECT_NEAR(pace[0].workers, 4, 1e-9);
  EXPECT_LE(pace[3].workers, 400 + 1e-6);
}

TEST(PaceJudge, OddFiguresAreNotKnown) {
  for (const double odd : {0.0, -1.0, std::nan(""), HUGE_VAL, 1e-300, 1e300}) {
    auto seen = std::vector<SeenPace>{Seen(4, 0.05, 500, 4), Seen(odd, odd, odd, odd)};
    seen[1].full_per_s = odd;
    seen[1].full_weight = odd;
    for (const bool sessions : {false, true}) {
      for (const Pace& p : Judge(seen, sessions)) {
        EXPECT_TRUE(std::isfinite(p.service_s) && p.service_s > 0) << odd;
        EXPECT_TRUE(std::isfinite(p.workers) && p.workers > 0) << odd;
        EXPECT_TRUE(std::isfinite(p.full_per_s) && p.full_per_s > 0) << odd;
      }
    }
  }
}

TEST(PaceJudge, OrderAndUnitsDoNotMatter) {
  std::mt19937_64 random(7);
  const auto between = [&](double a, double b) {
    return std::uniform_real_distribution<double>(a, b)(random);
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<SeenPace> seen(2 + random() % 6);
    for (SeenPace& s : seen) {
      s.fixed = between(1, 8);
      if (random() % 4 != 0) s.service_s = between(0.01, 0.2);
      s.service_weight = between(1, 500);
      if (random() % 4 != 0) s.workers = between(1, 8);
      if (random() % 4 != 0) s.full_per_s = between(10, 200);
      s.full_weight = between(1, 500);
    }
    const bool sessions = random() % 2 == 0;
    const auto pace = Judge(seen, sessions);
    std::vector<size_t> order(seen.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    std::vector<SeenPace> shuffled;
    for (const size_t i : order) shuffled.push_back(seen[i]);
    const auto other = Judge(shuffled, sessions);
    for (size_t k = 0; k < order.size(); ++k) {
      EXPECT_NEAR(other[k].service_s / pace[order[k]].service_s, 1, 1e-9);
      EXPECT_NEAR(other[k].full_per_s / pace[order[k]].full_per_s, 1, 1e-9);
    }
    // All services ten times as long.
    for (SeenPace& s : seen) {
      if (s.service_s) s.service_s = *s.service_s * 10;
      if (s.full_per_s) s.full_per_s = *s.full_per_s / 10;
    }
    const bool any = std::any_of(seen.begin(), seen.end(), [](const SeenPace& s) { return s.service_s; });
    if (!any) continue;
    const auto slower = Judge(seen, sessions);
    for (size_t i = 0; i < seen.size(); ++i) {
      EXPECT_NEAR(slower[i].service_s / pace[i].service_s, 10, 1e-6);
      EXPECT_NEAR(slower[i].workers / pace[i].workers, 1, 1e-6);
    }
  }
}

}  // namespace
}  // namespace dyncast::core
