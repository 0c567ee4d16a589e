// From L0 metrics to the scores of CATS' levels 1 and 2: of an instance, of the way to it, of a site.
// schema/model/score.h has the functions and the rules, docs/metrics.md the formulas. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/paths.h"
#include "schema/base/time.h"
#include "schema/model/metric.h"
#include "schema/model/score.h"

namespace dyncast::core {

// What of an instance's past is kept, whatever the window.
inline constexpr size_t kMostReports = 64;

// Which reports a value is made from.
enum class Reports : uint8_t { kWindow, kNewest };

// The values of an instance's L0 metrics in its newest reports; of those metrics that make a score.
class MetricHistory {
 public:
  // The samples of one report, complete: a metric that is not among them is forgotten.
  void Add(std::span<const MetricSample> samples, const ScoreModel& model, MonoTime now);

  struct Value {
    double raw = 0;
    std::chrono::milliseconds window{0};  // from the oldest report that counts to the newest
  };
  // nullopt if the newest report does not have the metric, or no report had it since the rule is there.
  std::optional<Value> Over(const ScoreRule& rule, const ScoreModel& model, Reports reports) const;

 private:
  struct Point {
    MonoTime at{};
    double raw = 0;
  };
  struct Series {
    std::string metric;
    std::vector<Point> points;  // oldest first, at least one
  };
  std::vector<Series> series_;
};

// A score of level 1 or 2.
struct LevelScore {
  double value = 0;       // 0..10
  bool reported = false;  // the agent's own; else computed here
  MetricSource source = MetricSource::kNormalized;
  MetricStatistic statistic = MetricStatistic::kInstant;
  std::chrono::milliseconds window{0};
  friend bool operator==(const LevelScore&, const LevelScore&) = default;
};
struct LevelScores {
  PerCategory<std::optional<LevelScore>> l1;
  std::optional<LevelScore> l2;
  friend bool operator==(const LevelScores&, const LevelScores&) = default;
};

// One L0 metric as a score.
struct MetricScore {
  const ScoreRule* rule = nullptr;  // of the model; never null
  double score = 0;
  std::chrono::milliseconds window{0};
};

// What an instance's reports say.
struct InstanceLevels {
  std::vector<MetricScore> metrics;
  LevelScores reported;  // the agent's own scores
};
InstanceLevels LevelsOf(const ScoreModel& model, const MetricHistory& history,
                        std::span<const MetricSample> newest, const Capacity& capacity,
                        Reports reports = Reports::kWindow);

// The way to a site as L0 metrics, and those as scores.
std::vector<MetricSample> SamplesOf(const PathMetrics& path);
std::vector<MetricScore> ScoresOf(const ScoreModel& model, std::span<const MetricSample> path);

// All levels of an instance: computed where some L0 metric makes a score of the category, else as the agent
// reports it. `path`: the way to it; empty where nothing is known or none is meant.
LevelScores Combined(const ScoreModel& model, const InstanceLevels& instance,
                     std::span<const MetricScore> path);

// A site's instances to one. Weights count with Combine::kWeighted.
struct WeightedLevels {
  LevelScores scores;
  double weight = 1;
};
LevelScores OfSite(const ScoreModel& model, std::span<const WeightedLevels> instances);

// An agent's own score that its L0 metrics, or its own scores below, contradict.
struct Contradiction {
  std::string_view metric;  // "computing_comb", ..., "norm_fi"
  double reported = 0;
  double computed = 0;
};
// Compared with the newest report alone and with the window: an agent may mean either.
std::vector<Contradiction> Contradictions(const ScoreModel& model, const MetricHistory& history,
                                          std::span<const MetricSample> newest, const Capacity& capacity);

}  // namespace dyncast::core
