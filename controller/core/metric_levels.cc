#include "controller/core/metric_levels.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dyncast::core {
namespace {

double Seconds(Micros us) { return static_cast<double>(us.count()) / 1e6; }

LevelScore Reported(const MetricSample& sample) {
  return {.value = sample.value,
          .reported = true,
          .source = sample.source,
          .statistic = sample.statistic,
          .window = sample.window};
}

// What the metrics of one category make together.
std::optional<LevelScore> Category(const ScoreModel& model, ScoreCategory category,
                                   std::span<const MetricScore> own, std::span<const MetricScore> path) {
  std::vector<WeightedScore> scores;
  LevelScore made{.statistic = StatisticOf(model.over_time)};
  for (const std::span<const MetricScore> some : {own, path}) {
    for (const MetricScore& m : some) {
      if (m.rule->category != category) continue;
      scores.push_back({.score = m.score, .weight = m.rule->weight});
      made.window = std::max(made.window, m.window);
    }
  }
  const std::optional<double> value = Aggregate(model.within_category, scores);
  if (!value) return std::nullopt;
  made.value = *value;
  return made;
}

std::optional<LevelScore> Overall(const ScoreModel& model,
                                  const PerCategory<std::optional<LevelScore>>& categories,
                                  const std::optional<LevelScore>& reported) {
  std::vector<WeightedScore> scores;
  LevelScore made{.statistic = StatisticOf(model.over_time)};
  const auto add = [&](const LevelScore& score, double weight) {
    scores.push_back({.score = score.value, .weight = weight});
    made.window = std::max(made.window, score.window);
  };
  double hidden = 0;  // weights of the categories that the agent's own score stands for
  for (const ScoreCategory category : kScoreCategories) {
    const double weight = model.category_weights[IndexOf(category)];
    if (categories[IndexOf(category)]) {
      add(*categories[IndexOf(category)], weight);
    } else if (category != ScoreCategory::kCommunication) {
      hidden += weight;
    }
  }
  const bool own =
      categories[IndexOf(ScoreCategory::kCompute)] || categories[IndexOf(ScoreCategory::kService)];
  if (!own && reported) {
    if (scores.empty()) return reported;
    add(*reported, hidden);
  }
  const std::optional<double> value = Aggregate(model.over_categories, scores);
  if (!value) return std::nullopt;
  made.value = *value;
  return made;
}

}  // namespace

void MetricHistory::Add(std::span<const MetricSample> samples, const ScoreModel& model, MonoTime now) {
  std::vector<Series> next;
  next.reserve(series_.size());
  for (const MetricSample& sample : samples) {
    if (sample.level != MetricLevel::kL0 || FindRule(model, sample.name) == nullptr) continue;
    const auto old = std::find_if(series_.begin(), series_.end(),
                                  [&sample](const Series& s) { return s.metric == sample.name; });
    Series& series = next.emplace_back();
    if (old != series_.end()) {
      series = std::move(*old);
    } else {
      series.metric = sample.name;
    }
    std::vector<Point>& points = series.points;
    const auto counts = [&](const Point& p) { return now - p.at <= model.window; };
    points.erase(points.begin(), std::find_if(points.begin(), points.end(), counts));
    if (points.size() >= kMostReports) points.erase(points.begin());
    points.push_back({.at = now, .raw = sample.value});
  }
  series_ = std::move(next);
}

std::optional<MetricHistory::Value> MetricHistory::Over(const ScoreRule& rule, const ScoreModel& model,
                                                        Reports reports) const {
  const auto series = std::find_if(series_.begin(), series_.end(),
                                   [&rule](const Series& s) { return s.metric == rule.metric; });
  if (series == series_.end()) return std::nullopt;
  const std::vector<Point>& points = series->points;
  const OverTime how = rule.over_time.value_or(model.over_time);
  const Point& newest = points.back();
  if (reports == Reports::kNewest || how == OverTime::kLast) return Value{.raw = newest.raw};
  std::vector<double> raw;
  MonoTime oldest = newest.at;
  for (const Point& p : points) {
    // The window may have been made shorter.
    if (newest.at - p.at > model.window) continue;
    if (raw.empty()) oldest = p.at;
    raw.push_back(p.raw);
  }
  const std::optional<double> value = Aggregate(how, raw);
  if (!value) return std::nullopt;
  return Value{.raw = *value,
               .window = std::chrono::duration_cast<std::chrono::milliseconds>(newest.at - oldest)};
}

InstanceLevels LevelsOf(const ScoreModel& model, const MetricHistory& history,
                        std::span<const MetricSample> newest, const Capacity& capacity, Reports reports) {
  InstanceLevels levels;
  for (const MetricSample& sample : newest) {
    if (sample.level == MetricLevel::kL2) {
      if (sample.name == kLevel2MetricName) levels.reported.l2 = Reported(sample);
      continue;
    }
    if (sample.level == MetricLevel::kL1) {
      if (const auto category = CategoryOfScore(sample.name)) {
        levels.reported.l1[IndexOf(*category)] = Reported(sample);
      }
      continue;
    }
    const ScoreRule* rule = FindRule(model, sample.name);
    if (rule == nullptr) continue;
    const std::optional<MetricHistory::Value> value = history.Over(*rule, model, reports);
    const std::optional<double> per = CapacityOf(rule->per, capacity);
    if (!value || !per) continue;
    if (const auto score = Normalise(rule->normalisation, value->raw / *per)) {
      levels.metrics.push_back({.rule = rule, .score = *score, .window = value->window});
    }
  }
  return levels;
}

std::vector<MetricSample> SamplesOf(const PathMetrics& path) {
  std::vector<MetricSample> samples;
  const auto add = [&samples](std::string_view name, double value, std::string_view unit) {
    samples.push_back({.name = std::string(name),
                       .value = value,
                       .unit = std::string(unit),
                       .statistic = MetricStatistic::kMean});
  };
  if (path.rtt) add(metric::kRtt, Seconds(*path.rtt), "seconds");
  if (path.jitter) add(metric::kJitter, Seconds(*path.jitter), "seconds");
  if (path.loss) add(metric::kLoss, *path.loss, "ratio");
  return samples;
}

std::vector<MetricScore> ScoresOf(const ScoreModel& model, std::span<const MetricSample> path) {
  std::vector<MetricScore> scores;
  for (const MetricSample& sample : path) {
    const ScoreRule* rule = FindRule(model, sample.name);
    // A way has no capacity to be divided by.
    if (rule == nullptr || rule->per != CapacityTerm::kNone) continue;
    if (const auto score = Normalise(rule->normalisation, sample.value)) {
      scores.push_back({.rule = rule, .score = *score, .window = sample.window});
    }
  }
  return scores;
}

LevelScores Combined(const ScoreModel& model, const InstanceLevels& instance,
                     std::span<const MetricScore> path) {
  LevelScores all;
  for (const ScoreCategory category : kScoreCategories) {
    std::optional<LevelScore>& made = all.l1[IndexOf(category)];
    made = Category(model, category, instance.metrics, path);
    if (!made) made = instance.reported.l1[IndexOf(category)];
  }
  all.l2 = Overall(model, all.l1, instance.reported.l2);
  return all;
}

LevelScores OfSite(const ScoreModel& model, std::span<const WeightedLevels> instances) {
  const auto combine = [&](auto&& get) -> std::optional<LevelScore> {
    std::vector<WeightedScore> scores;
    LevelScore made{.source = MetricSource::kAggregated, .statistic = StatisticOf(model.over_time)};
    for (const WeightedLevels& instance : instances) {
      const std::optional<LevelScore>& score = get(instance.scores);
      if (!score) continue;
      scores.push_back({.score = score->value, .weight = instance.weight});
      made.window = std::max(made.window, score->window);
    }
    const std::optional<double> value = Aggregate(model.over_instances, scores);
    if (!value) return std::nullopt;
    made.value = *value;
    return made;
  };
  LevelScores all;
  for (const ScoreCategory category : kScoreCategories) {
    all.l1[IndexOf(category)] =
        combine([category](const LevelScores& s) -> const auto& { return s.l1[IndexOf(category)]; });
  }
  all.l2 = combine([](const LevelScores& s) -> const auto& { return s.l2; });
  return all;
}

std::vector<Contradiction> Contradictions(const ScoreModel& model, const MetricHistory& history,
                                          std::span<const MetricSample> newest, const Capacity& capacity) {
  std::vector<Contradiction> found;
  const InstanceLevels window = LevelsOf(model, history, newest, capacity, Reports::kWindow);
  const InstanceLevels moment = LevelsOf(model, history, newest, capacity, Reports::kNewest);
  const auto compare = [&](std::string_view metric, const std::optional<LevelScore>& said,
                           const std::optional<LevelScore>& a, const std::optional<LevelScore>& b) {
    if (!said || !a || !b) return;
    const double off = std::min(std::abs(said->value - a->value), std::abs(said->value - b->value));
    // Scores are doubles: what is off by just the tolerance is not off by more.
    if (off > model.tolerance + 1e-9) {
      found.push_back({.metric = metric, .reported = said->value, .computed = a->value});
    }
  };
  InstanceLevels below = window;
  InstanceLevels below_moment = moment;
  below.reported.l2.reset();
  below_moment.reported.l2.reset();
  for (const ScoreCategory category : kScoreCategories) {
    compare(ScoreMetricName(category), window.reported.l1[IndexOf(category)],
            Category(model, category, window.metrics, {}), Category(model, category, moment.metrics, {}));
  }
  compare(kLevel2MetricName, window.reported.l2, Combined(model, below, {}).l2,
          Combined(model, below_moment, {}).l2);
  return found;
}

}  // namespace dyncast::core
