// The past of metrics against a plain model of it: any reports, windows and settings.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "controller/core/metric_levels.h"

namespace dyncast::core {
namespace {

// All that was ever reported; answers by looking through all of it.
class PlainHistory {
 public:
  void Add(const std::vector<MetricSample>& samples, MonoTime now) { reports_.push_back({now, samples}); }

  std::optional<double> Over(const std::string& metric, OverTime how,
                             std::chrono::milliseconds window) const {
    std::vector<double> newest_first;
    for (auto report = reports_.rbegin(); report != reports_.rend(); ++report) {
      const MetricSample* found = nullptr;
      for (const MetricSample& sample : report->second) {
        if (sample.name == metric) found = &sample;
      }
      if (found == nullptr) break;  // forgotten there
      if (reports_.back().first - report->first > window || newest_first.size() == kMostReports) break;
      newest_first.push_back(found->value);
    }
    if (newest_first.empty()) return std::nullopt;
    switch (how) {
      case OverTime::kLast: return newest_first.front();
      case OverTime::kMin: return *std::min_element(newest_first.begin(), newest_first.end());
      case OverTime::kMax: return *std::max_element(newest_first.begin(), newest_first.end());
      case OverTime::kMean: break;
    }
    double sum = 0;
    for (const double value : newest_first) sum += value;
    return sum / static_cast<double>(newest_first.size());
  }

 private:
  std::vector<std::pair<MonoTime, std::vector<MetricSample>>> reports_;
};

TEST(MetricHistoryProperty, IsWhatAPlainLookThroughAllReportsSays) {
  const char* fixed = std::getenv("DYNCAST_TEST_SEED");
  const uint64_t seed = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("DYNCAST_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const char* names[] = {"cpu_utilization", "latency", "queue", "no_rule"};
  for (int round = 0; round < 200; ++round) {
    ScoreModel model = DefaultScoreModel();
    model.window = std::chrono::milliseconds{pick(3) == 0 ? 0 : pick(20000)};
    MetricHistory history;
    PlainHistory plain;
    MonoTime now{std::chrono::hours{1}};
    for (size_t n = 1 + pick(150); n > 0; --n) {
      now += std::chrono::milliseconds{pick(400)};
      std::vector<MetricSample> samples;
      for (const char* name : names) {
        if (pick(50) == 0) continue;
        samples.push_back({.name = name, .value = static_cast<double>(pick(1000)) / 100, .unit = "1"});
      }
      history.Add(samples, model, now);
      plain.Add(samples, now);
      for (const ScoreRule& rule : model.rules) {
        const OverTime how = static_cast<OverTime>(pick(4));
        model.over_time = how;
        const auto value = history.Over(rule, model, Reports::kWindow);
        const auto expected = plain.Over(rule.metric, how, model.window);
        ASSERT_EQ(value.has_value(), expected.has_value()) << rule.metric;
        if (value) {
          ASSERT_NEAR(value->raw, *expected, 1e-9) << rule.metric << " " << OverTimeName(how);
          ASSERT_LE(value->window, model.window);
        }
      }
      // Whatever comes in, scores stay in their range and the bottleneck is no better than any category.
      const LevelScores scores =
          Combined(model, LevelsOf(model, history, samples, Capacity{}), std::span<const MetricScore>{});
      for (const auto& score : scores.l1) {
        if (!score) continue;
        ASSERT_TRUE(score->value >= 0 && score->value <= kMostScore);
        ASSERT_LE(scores.l2->value, score->value);
      }
    }
  }
}

}  // namespace
}  // namespace dyncast::core
