#include "schema/model/score.h"

#include <algorithm>
#include <cmath>

namespace dyncast {
namespace {

ScoreRule Rule(std::string_view metric, ScoreCategory category, Normalisation normalisation,
               CapacityTerm per = CapacityTerm::kNone) {
  return {.metric = std::string(metric), .category = category, .normalisation = normalisation, .per = per};
}

ScoreModel MakeDefault() {
  using C = ScoreCategory;
  using P = CapacityTerm;
  ScoreModel model;
  model.rules = {
      Rule(metric::kCpuUtilization, C::kCompute, MinMax{.worst = 1, .best = 0}),
      // Half of the memory in use is no burden.
      Rule(metric::kMemoryUtilization, C::kCompute, MinMax{.worst = 1, .best = 0.5}),
      Rule(metric::kCpuPressure, C::kCompute, MinMax{.worst = 1, .best = 0}),
      // Work that waits for memory is thrashing long before all of it waits.
      Rule(metric::kMemoryPressure, C::kCompute, MinMax{.worst = 0.4, .best = 0}),
      Rule(metric::kIoPressure, C::kCompute, MinMax{.worst = 0.8, .best = 0}),
      Rule(metric::kGpuUtilization, C::kCompute, MinMax{.worst = 1, .best = 0}),
      Rule(metric::kUtilization, C::kService, MinMax{.worst = 1, .best = 0}),
      Rule(metric::kLatency, C::kService, MinMax{.worst = 1, .best = 0}),
      Rule(metric::kQueue, C::kService, MinMax{.worst = 100, .best = 0}),
      Rule(metric::kAcceptQueue, C::kService, MinMax{.worst = 100, .best = 0}),
      Rule(metric::kSessions, C::kService, MinMax{.worst = 1, .best = 0}, P::kMaxSessions),
      Rule(metric::kRequestRate, C::kService, MinMax{.worst = 1, .best = 0}, P::kRequestsPerS),
      Rule(metric::kRtt, C::kCommunication, MinMax{.worst = 0.1, .best = 0}),
      Rule(metric::kJitter, C::kCommunication, MinMax{.worst = 0.05, .best = 0}),
      Rule(metric::kLoss, C::kCommunication, MinMax{.worst = 0.05, .best = 0}),
  };
  std::sort(model.rules.begin(), model.rules.end(),
            [](const ScoreRule& a, const ScoreRule& b) { return a.metric < b.metric; });
  return model;
}

template <typename T>
void Take(const std::optional<T>& from, T* to) {
  if (from) *to = *from;
}

auto Place(std::vector<ScoreRule>* rules, std::string_view metric) {
  return std::lower_bound(rules->begin(), rules->end(), metric,
                          [](const ScoreRule& rule, std::string_view name) { return rule.metric < name; });
}

// `known`: what holds for the metric so far; nullptr for nothing.
std::optional<ScoreProblem> MakeNormalisation(const ScoreRuleSettings& said, const ScoreRule* known,
                                              Normalisation* to) {
  const auto problem = [](std::string_view key, std::string_view broken) {
    return ScoreProblem{.key = std::string(key), .broken = std::string(broken)};
  };
  const bool min_max = said.worst || said.best;
  const bool sigmoid = said.midpoint || said.slope;
  if (min_max && sigmoid) {
    return problem(said.midpoint ? "midpoint" : "slope",
                   "must not stand beside worst or best: a metric is normalised in one way");
  }
  if (!min_max && !sigmoid) {
    if (known != nullptr) return std::nullopt;
    return problem("metric", "has no rule by default: give worst and best, or midpoint and slope");
  }
  if (min_max) {
    const auto* old = known != nullptr ? std::get_if<MinMax>(&known->normalisation) : nullptr;
    if (old == nullptr && !said.worst) return problem("worst", "must be given with best");
    if (old == nullptr && !said.best) return problem("best", "must be given with worst");
    const MinMax made{.worst = said.worst ? *said.worst : old->worst,
                      .best = said.best ? *said.best : old->best};
    if (made.worst == made.best) return problem(said.best ? "best" : "worst", "must differ from the other");
    *to = made;
    return std::nullopt;
  }
  const auto* old = known != nullptr ? std::get_if<Sigmoid>(&known->normalisation) : nullptr;
  if (old == nullptr && !said.midpoint) return problem("midpoint", "must be given with slope");
  if (old == nullptr && !said.slope) return problem("slope", "must be given with midpoint");
  const Sigmoid made{.midpoint = said.midpoint ? *said.midpoint : old->midpoint,
                     .slope = said.slope ? *said.slope : old->slope};
  if (made.slope == 0) return problem("slope", "must not be 0");
  *to = made;
  return std::nullopt;
}

std::optional<ScoreProblem> ApplyRule(const ScoreRuleSettings& said, ScoreModel* model) {
  const auto at = Place(&model->rules, said.metric);
  const bool known = at != model->rules.end() && at->metric == said.metric;
  if (said.category == ScoreRuleSettings::Use::kNone) {
    if (known) model->rules.erase(at);
    return std::nullopt;
  }
  ScoreRule rule = known ? *at : ScoreRule{.metric = said.metric, .normalisation = MinMax{}};
  if (!known && !said.category) {
    return ScoreProblem{.key = "category", .broken = "must be given: the metric has no rule by default"};
  }
  if (said.category) rule.category = static_cast<ScoreCategory>(*said.category);
  if (auto problem = MakeNormalisation(said, known ? &*at : nullptr, &rule.normalisation)) return problem;
  Take(said.per, &rule.per);
  Take(said.weight, &rule.weight);
  if (said.over_time) rule.over_time = said.over_time;
  if (known) {
    *at = std::move(rule);
  } else {
    model->rules.insert(at, std::move(rule));
  }
  return std::nullopt;
}

}  // namespace

std::optional<ScoreCategory> CategoryOfScore(std::string_view metric_name) {
  for (const ScoreCategory category : kScoreCategories) {
    if (ScoreMetricName(category) == metric_name) return category;
  }
  return std::nullopt;
}

ScoreMeaning MeaningOf(double score) {
  if (score < 3.5) return ScoreMeaning::kNotRecommended;
  return score < 7.5 ? ScoreMeaning::kOptional : ScoreMeaning::kPriority;
}

MetricStatistic StatisticOf(OverTime how) {
  switch (how) {
    case OverTime::kLast: return MetricStatistic::kInstant;
    case OverTime::kMean: return MetricStatistic::kMean;
    case OverTime::kMin: return MetricStatistic::kMin;
    case OverTime::kMax: return MetricStatistic::kMax;
  }
  return MetricStatistic::kInstant;
}

std::optional<double> CapacityOf(CapacityTerm term, const Capacity& capacity) {
  std::optional<double> value;
  switch (term) {
    case CapacityTerm::kNone: return 1;
    case CapacityTerm::kCpuCores: value = capacity.cpu_cores; break;
    case CapacityTerm::kMemoryBytes: value = capacity.memory_bytes; break;
    case CapacityTerm::kGpus: value = capacity.gpus; break;
    case CapacityTerm::kMaxSessions: value = capacity.max_sessions; break;
    case CapacityTerm::kRequestsPerS: value = capacity.requests_per_s; break;
  }
  if (value && !(*value > 0)) value.reset();
  return value;
}

const ScoreModel& DefaultScoreModel() {
  static const ScoreModel model = MakeDefault();
  return model;
}

std::vector<ScoreProblem> ApplyScores(const ScoreSettings& settings, ScoreModel* model) {
  std::vector<ScoreProblem> problems;
  Take(settings.over_time, &model->over_time);
  Take(settings.window, &model->window);
  Take(settings.within_category, &model->within_category);
  Take(settings.over_categories, &model->over_categories);
  Take(settings.over_instances, &model->over_instances);
  Take(settings.tolerance, &model->tolerance);
  PerCategory<double> weights = model->category_weights;
  Take(settings.category_weights.compute, &weights[IndexOf(ScoreCategory::kCompute)]);
  Take(settings.category_weights.communication, &weights[IndexOf(ScoreCategory::kCommunication)]);
  Take(settings.category_weights.service, &weights[IndexOf(ScoreCategory::kService)]);
  if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; })) {
    problems.push_back({.key = "category_weights", .broken = "must not all be 0"});
  } else {
    model->category_weights = weights;
  }
  for (size_t i = 0; i < settings.rules.size(); ++i) {
    if (auto problem = ApplyRule(settings.rules[i], model)) {
      problem->rule = i;
      problems.push_back(std::move(*problem));
    }
  }
  return problems;
}

ScoreModel ResolveScores(const ScoreSettings& fabric, const ScoreSettings& service) {
  ScoreModel model = DefaultScoreModel();
  ApplyScores(fabric, &model);
  ApplyScores(service, &model);
  return model;
}

const ScoreRule* FindRule(const ScoreModel& model, std::string_view metric) {
  const auto at =
      std::lower_bound(model.rules.begin(), model.rules.end(), metric,
                       [](const ScoreRule& rule, std::string_view name) { return rule.metric < name; });
  return at != model.rules.end() && at->metric == metric ? &*at : nullptr;
}

std::optional<double> Normalise(const Normalisation& how, double raw) {
  if (!std::isfinite(raw)) return std::nullopt;
  double part = 0;
  if (const auto* linear = std::get_if<MinMax>(&how)) {
    part = (raw - linear->worst) / (linear->best - linear->worst);
  } else {
    const Sigmoid& curve = std::get<Sigmoid>(how);
    part = 1 / (1 + std::exp(-curve.slope * (raw - curve.midpoint)));
  }
  if (std::isnan(part)) return std::nullopt;
  return kMostScore * std::clamp(part, 0.0, 1.0) + 0.0;  // never -0
}

std::optional<double> Aggregate(Combine how, std::span<const WeightedScore> scores) {
  double sum = 0;
  double weights = 0;
  double least = 0;
  double most = 0;
  for (const WeightedScore& s : scores) {
    const double weight = how == Combine::kWeighted ? s.weight : 1;
    if (!(weight > 0)) continue;
    least = weights > 0 ? std::min(least, s.score) : s.score;
    most = weights > 0 ? std::max(most, s.score) : s.score;
    sum += weight * s.score;
    weights += weight;
  }
  if (!(weights > 0)) return std::nullopt;
  switch (how) {
    case Combine::kMin: return least;
    case Combine::kMax: return most;
    case Combine::kMean:
    case Combine::kWeighted: break;
  }
  // Rounding must not carry a mean out of what it is the mean of.
  return std::clamp(sum / weights, least, most);
}

std::optional<double> Aggregate(OverTime how, std::span<const double> raw) {
  if (raw.empty()) return std::nullopt;
  if (how == OverTime::kLast) return raw.back();
  const auto [least, most] = std::minmax_element(raw.begin(), raw.end());
  if (how == OverTime::kMin) return *least;
  if (how == OverTime::kMax) return *most;
  double mean = 0;
  for (const double value : raw) mean += value / static_cast<double>(raw.size());
  return std::clamp(mean, *least, *most);
}

}  // namespace dyncast
