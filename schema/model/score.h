// Scores: levels 1 and 2 of CATS (draft-ietf-cats-metric-definition), 0..10, 10 is best, and the rules that
// make them from L0 metrics. docs/metrics.md has the formulas and the defaults.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "schema/model/metric.h"

namespace dyncast {

inline constexpr double kMostScore = 10;

// Level 1 has one score for each of these, level 2 one over all.
enum class ScoreCategory : uint8_t { kCompute, kCommunication, kService };
inline constexpr std::array kScoreCategories = {ScoreCategory::kCompute, ScoreCategory::kCommunication,
                                                ScoreCategory::kService};
template <typename T>
using PerCategory = std::array<T, kScoreCategories.size()>;
constexpr size_t IndexOf(ScoreCategory category) { return static_cast<size_t>(category); }
std::string_view ScoreCategoryName(ScoreCategory category);  // "compute", "communication", "service"

// What the metrics of levels 1 and 2 are called on the wire: the draft's metric types.
std::string_view ScoreMetricName(ScoreCategory category);  // "computing_comb", "communication_comb", ...
inline constexpr std::string_view kLevel2MetricName = "norm_fi";
// nullopt for a name that is none of the categories'.
std::optional<ScoreCategory> CategoryOfScore(std::string_view metric_name);

// The draft's meaning of a score, rounded to the nearest whole number: 0-3, 4-7, 8-10.
enum class ScoreMeaning : uint8_t { kNotRecommended, kOptional, kPriority };
ScoreMeaning MeaningOf(double score);
std::string_view ScoreMeaningName(ScoreMeaning meaning);  // "not-recommended", "optional", "priority"

// The raw values of one metric over the newest reports to one.
enum class OverTime : uint8_t { kLast, kMean, kMin, kMax };
std::string_view OverTimeName(OverTime how);
// The statistic that such a value is.
MetricStatistic StatisticOf(OverTime how);

// Several scores to one.
enum class Combine : uint8_t { kMin, kMean, kMax, kWeighted };
std::string_view CombineName(Combine how);

// What a raw value is divided by first, of the instance's Capacity.
enum class CapacityTerm : uint8_t { kNone, kCpuCores, kMemoryBytes, kGpus, kMaxSessions, kRequestsPerS };
std::string_view CapacityTermName(CapacityTerm term);  // "none", "cpu_cores", ...
// nullopt if it is unknown or 0; 1 for kNone.
std::optional<double> CapacityOf(CapacityTerm term, const Capacity& capacity);

// 10 * (x - worst) / (best - worst), kept within 0..10. Smaller is better where best < worst.
struct MinMax {
  double worst = 1;  // differs from best
  double best = 0;
  friend bool operator==(const MinMax&, const MinMax&) = default;
};
// 10 / (1 + exp(-slope * (x - midpoint))). Smaller is better with a negative slope.
struct Sigmoid {
  double midpoint = 0;  // scores 5
  double slope = -1;    // not 0; per unit of the metric
  friend bool operator==(const Sigmoid&, const Sigmoid&) = default;
};
using Normalisation = std::variant<MinMax, Sigmoid>;

// How one L0 metric becomes a score.
struct ScoreRule {
  std::string metric;
  ScoreCategory category = ScoreCategory::kCompute;
  Normalisation normalisation;
  CapacityTerm per = CapacityTerm::kNone;
  double weight = 1;                    // > 0, beside the other metrics of its category
  std::optional<OverTime> over_time{};  // absent: the model's
  friend bool operator==(const ScoreRule&, const ScoreRule&) = default;
};

// Everything that makes scores of one service's instances.
struct ScoreModel {
  std::vector<ScoreRule> rules;  // by metric, each once
  OverTime over_time = OverTime::kMean;
  std::chrono::milliseconds window{10000};  // reports that are older do not count; 0: the newest alone
  Combine within_category = Combine::kMin;
  Combine over_categories = Combine::kMin;
  Combine over_instances = Combine::kMean;           // of a site; kWeighted: by static capacity
  PerCategory<double> category_weights = {1, 1, 1};  // >= 0, not all 0
  double tolerance = 1;  // an agent's own score that differs by more contradicts its L0 metrics
  friend bool operator==(const ScoreModel&, const ScoreModel&) = default;
};

// What the configuration says at one place, fabric-wide or of a service; the rest is as it was.
struct ScoreRuleSettings {
  enum class Use : uint8_t { kCompute, kCommunication, kService, kNone };
  std::string metric;
  std::optional<Use> category{};  // kNone: the metric makes no score
  std::optional<double> worst{};  // with or without `best`: MinMax
  std::optional<double> best{};
  std::optional<double> midpoint{};  // with or without `slope`: Sigmoid
  std::optional<double> slope{};
  std::optional<CapacityTerm> per{};
  std::optional<double> weight{};
  std::optional<OverTime> over_time{};
  friend bool operator==(const ScoreRuleSettings&, const ScoreRuleSettings&) = default;
};
struct CategoryWeightSettings {
  std::optional<double> compute{};
  std::optional<double> communication{};
  std::optional<double> service{};
  friend bool operator==(const CategoryWeightSettings&, const CategoryWeightSettings&) = default;
};
struct ScoreSettings {
  std::optional<OverTime> over_time{};
  std::optional<std::chrono::milliseconds> window{};
  std::optional<Combine> within_category{};
  std::optional<Combine> over_categories{};
  std::optional<Combine> over_instances{};
  CategoryWeightSettings category_weights{};
  std::optional<double> tolerance{};
  std::vector<ScoreRuleSettings> rules{};  // a metric once
  friend bool operator==(const ScoreSettings&, const ScoreSettings&) = default;
};

// The rules that hold where nothing is configured: one for each metric whose meaning is known.
const ScoreModel& DefaultScoreModel();

// Why a setting cannot be taken.
struct ScoreProblem {
  std::optional<size_t> rule{};  // its index in `rules`; absent: not of a rule
  std::string key;               // within the rule, or of the settings
  std::string broken;            // "must ..."
};
// Changes `model` as `settings` say. A rule with a problem changes nothing.
std::vector<ScoreProblem> ApplyScores(const ScoreSettings& settings, ScoreModel* model);
// The defaults, changed fabric-wide, then for the service.
ScoreModel ResolveScores(const ScoreSettings& fabric, const ScoreSettings& service);

// nullptr if the metric makes no score.
const ScoreRule* FindRule(const ScoreModel& model, std::string_view metric);

// A raw value as a score; nullopt if it is not finite.
std::optional<double> Normalise(const Normalisation& how, double raw);

struct WeightedScore {
  double score = 0;
  double weight = 1;  // counts with kWeighted only
};
// nullopt for no scores, or none with a weight above 0. Never outside of the scores' own range.
std::optional<double> Aggregate(Combine how, std::span<const WeightedScore> scores);
// The same over the raw values of one metric, oldest first.
std::optional<double> Aggregate(OverTime how, std::span<const double> raw);

}  // namespace dyncast
