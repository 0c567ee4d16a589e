// Values that stand, step, swing and wander, under random update rules: what must hold of the reports
// whatever happens, seen from the messages alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <random>

#include "core_fixture.h"

namespace dyncast::agent {
namespace {

using config::UpdateWhen;
using std::chrono::milliseconds;

uint64_t Seed() {
  const char* given = std::getenv("DYNCAST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("DYNCAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

constexpr double kChange = 1.0;

struct Said {
  int64_t at_ms = 0;
  double value = 0;
};

class Reporter {
 public:
  explicit Reporter(uint64_t seed) : random_(seed), driver_(RandomConfig()) {}

  int64_t Pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  config::AgentConfig RandomConfig() {
    config::AgentConfig config = TestConfig({TestInstance("a")});
    config.report_interval = milliseconds(Pick(200, 2000));
    config.sample_interval = milliseconds(10);  // each jump is seen
    config.minimum_gap = milliseconds(Pick(0, 3) == 0 ? 0 : Pick(1, 200));
    config.thresholds = {{.metric = "load1", .change = kChange, .relative = std::nullopt, .levels = {}}};
    constexpr UpdateWhen kAll[] = {UpdateWhen::kBoth, UpdateWhen::kInterval, UpdateWhen::kThreshold};
    config.updates.policy = kAll[Pick(0, 2)];
    config.updates.refresh = milliseconds(Pick(1000, 4000));
    config.updates.damping = config::DampingConfig{.enabled = true,
                                                   .suppress = static_cast<double>(Pick(2, 8)),
                                                   .reuse = 1,
                                                   .half_life = milliseconds(Pick(200, 2000)),
                                                   .max_hold = milliseconds(10000)};
    return config;
  }

  // One value for each millisecond from now on. Each is in place before the agent looks.
  void Live(int64_t for_ms, const std::function<double(int64_t ms)>& value) {
    for (const int64_t end = driver_.ms() + for_ms; driver_.ms() < end;) {
      const int64_t next = driver_.ms() + 1;
      driver_.host.load1 = value(next);
      ASSERT_TRUE(driver_.RunTo(next));
    }
    Collect();
  }
  void Begin(double value) {
    driver_.host.load1 = value;
    ASSERT_TRUE(driver_.RunTo(0));
    Collect();
  }
  const config::AgentConfig& config() const { return driver_.core.config(); }
  int64_t ms() const { return driver_.ms(); }
  int64_t gap_ms() const { return config().minimum_gap.count(); }
  bool at_thresholds() const { return config().updates.policy != UpdateWhen::kInterval; }
  std::vector<Said> Since(int64_t ms) const {
    std::vector<Said> later;
    std::copy_if(said_.begin(), said_.end(), std::back_inserter(later),
                 [&](const Said& s) { return s.at_ms > ms; });
    return later;
  }
  const std::vector<Said>& said() const { return said_; }
  UpdateCounters counters() const { return driver_.core.counters().updates; }
  int64_t FirstLookFrom(int64_t ms) const {
    return *std::find_if(driver_.samples.begin(), driver_.samples.end(),
                         [&](int64_t at) { return at >= ms; });
  }
  // How long after its last change a value may be unreported.
  int64_t LongestSilence() const {
    const int64_t often = config().updates.policy == UpdateWhen::kThreshold
                              ? config().updates.refresh->count() + config().report_interval.count()
                              : config().report_interval.count();
    return often + gap_ms();
  }

 private:
  void Collect() {
    for (size_t i = 0; i < driver_.messages.size(); ++i) {
      if (const auto* report = std::get_if<wire::Report>(&driver_.messages[i].body)) {
        said_.push_back({.at_ms = driver_.times_ms[i], .value = report->metrics.at(0).value});
      }
    }
    driver_.Clear();
  }

  std::mt19937_64 random_;
  CoreDriver driver_;
  std::vector<Said> said_;
};

void ExpectGaps(const Reporter& r) {
  for (size_t i = 1; i < r.said().size(); ++i) {
    ASSERT_GE(r.said()[i].at_ms - r.said()[i - 1].at_ms, r.gap_ms()) << "report " << i;
  }
  ASSERT_EQ(r.counters().sent(), r.said().size());
}

// A step after a calm time leaves with the first look, or as soon as the gap allows.
TEST(Updates, AStepIsReportedAtOnce) {
  const uint64_t seed = Seed();
  for (uint64_t round = 0; round < 40; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed + round));
    Reporter r(seed + round);
    r.Begin(50);
    r.Live(r.Pick(3000, 6000), [](int64_t) { return 50.0; });
    double value = 50;
    for (int step = 0; step < 5; ++step) {
      const double next = value + (r.Pick(0, 1) == 0 ? -1 : 1) * kChange * static_cast<double>(r.Pick(1, 4));
      const int64_t at = r.ms();
      r.Live(25000, [&](int64_t) { return next; });
      const std::vector<Said> after = r.Since(at);
      const auto first =
          std::find_if(after.begin(), after.end(), [&](const Said& s) { return s.value == next; });
      ASSERT_NE(first, after.end());
      const auto before = std::find_if(r.said().rbegin(), r.said().rend(),
                                       [&](const Said& s) { return s.at_ms < first->at_ms; });
      const int64_t allowed = std::max(r.FirstLookFrom(at + 1), before->at_ms + r.gap_ms());
      if (r.at_thresholds()) {
        ASSERT_EQ(first->at_ms, allowed) << "step " << step << " at " << at;
      } else {
        ASSERT_LE(first->at_ms - at, r.LongestSilence());
      }
      value = next;
    }
    ExpectGaps(r);
  }
}

// 100 jumps a second: beside the regular reports only as many as the damping lets pass.
TEST(Updates, AMetricThatJumpsIsReportedNoMoreThanAllowed) {
  const uint64_t seed = Seed();
  for (uint64_t round = 0; round < 40; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed + round));
    Reporter r(seed + round);
    r.Begin(0);
    const int64_t begin = r.ms();
    const int64_t duration = 20000;
    r.Live(duration, [](int64_t ms) { return ms / 10 % 2 == 0 ? 0.0 : 8.0; });
    const UpdateCounters counters = r.counters();
    const int64_t regular =
        duration / r.config().report_interval.count() + 2;  // the first, and the settled one
    const double burst = r.config().updates.damping->suppress + 2;
    switch (*r.config().updates.policy) {
      case UpdateWhen::kInterval:
        EXPECT_EQ(counters.sent_threshold, 0u);
        EXPECT_LE(counters.sent(), static_cast<uint64_t>(regular));
        break;
      case UpdateWhen::kBoth:
        EXPECT_LE(static_cast<double>(counters.sent_threshold), burst);
        EXPECT_LE(static_cast<double>(counters.sent()), static_cast<double>(regular) + burst);
        break;
      case UpdateWhen::kThreshold:
        EXPECT_LE(static_cast<double>(counters.sent_threshold), burst);
        EXPECT_LE(counters.sent_refresh,
                  static_cast<uint64_t>(duration / r.config().updates.refresh->count() + 1));
        break;
    }
    ASSERT_GE(r.Since(begin).size(), 3u) << "it is not silenced either";
    // It comes to rest: the last value is told.
    r.Live(r.LongestSilence() + 10, [](int64_t) { return 3.0; });
    ASSERT_EQ(r.said().back().value, 3.0);
    // And after a calm time a step is told at once again.
    r.Live(30000, [](int64_t) { return 3.0; });
    const int64_t at = r.ms();
    r.Live(r.LongestSilence() + 10, [](int64_t) { return 7.0; });
    const int64_t told = r.Since(at).front().at_ms;
    if (r.at_thresholds() && r.Since(at).front().value == 7.0) {
      EXPECT_LE(told - at, 10 + r.gap_ms());
    }
    ASSERT_EQ(r.said().back().value, 7.0);
    ExpectGaps(r);
  }
}

TEST(Updates, AWanderingValueKeepsTheGapAndIsToldInTheEnd) {
  const uint64_t seed = Seed();
  for (uint64_t round = 0; round < 30; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed + round));
    Reporter r(seed + round);
    double value = 50;
    r.Begin(value);
    std::mt19937_64 steps(seed + round);
    for (int stretch = 0; stretch < 5; ++stretch) {
      const int64_t every = std::uniform_int_distribution<int64_t>(1, 100)(steps);
      r.Live(3000, [&](int64_t ms) {
        if (ms % every == 0) {
          value = std::clamp(value + std::uniform_real_distribution<double>(-1.5, 1.5)(steps), 0.0, 1000.0);
        }
        return value;
      });
      r.Live(r.LongestSilence() + 10, [&](int64_t) { return value; });
      ASSERT_EQ(r.said().back().value, value);
    }
    ExpectGaps(r);
  }
}

}  // namespace
}  // namespace dyncast::agent
