// How L0 metrics become scores: `metrics:` of fabric.yaml and `scores:` of a service, one table for both.
#include "schema/config/codec.h"
#include "schema/config/tables.h"

namespace dyncast::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

Codec<OverTime> OverTimes() {
  return Words<OverTime>({{.word = "last", .value = OverTime::kLast},
                          {.word = "mean", .value = OverTime::kMean},
                          {.word = "min", .value = OverTime::kMin},
                          {.word = "max", .value = OverTime::kMax}});
}

Codec<Combine> Combines() {
  return Words<Combine>({{.word = "min", .value = Combine::kMin},
                         {.word = "mean", .value = Combine::kMean},
                         {.word = "max", .value = Combine::kMax},
                         {.word = "weighted", .value = Combine::kWeighted}});
}

const Table<ScoreRuleSettings>& RuleTable() {
  using R = ScoreRuleSettings;
  constexpr double kMost = 1e18;
  static const Table<R> table({
      Value(&R::metric, MetricNameText(),
            {.key = "metric",
             .presence = Presence::kRequired,
             .description = "The L0 metric's name.",
             .rule_added = "unique within the list"}),
      Value(&R::category,
            Words<R::Use>({{.word = "compute", .value = R::Use::kCompute},
                           {.word = "communication", .value = R::Use::kCommunication},
                           {.word = "service", .value = R::Use::kService},
                           {.word = "none", .value = R::Use::kNone}}),
            {.key = "category",
             .description = "The L1 score that it is part of; `none`: of none.",
             .fallback = "that of the known rule",
             .rule_added = "must be given for a metric without one"}),
      Value(&R::worst, Number(0, Bound::kIncluded, kMost),
            {.key = "worst",
             .description = "Min-max: this value scores 0, in the metric's unit.",
             .fallback = "that of the known rule",
             .rule_added = "differs from `best`; not beside `midpoint` and `slope`"}),
      Value(&R::best, Number(0, Bound::kIncluded, kMost),
            {.key = "best",
             .description = "Min-max: this value scores 10. Smaller values are better where it is below "
                            "`worst`.",
             .fallback = "that of the known rule"}),
      Value(&R::midpoint, Number(0, Bound::kIncluded, kMost),
            {.key = "midpoint",
             .description = "Sigmoid: this value scores 5, in the metric's unit.",
             .fallback = "that of the known rule",
             .rule_added = "not beside `worst` and `best`"}),
      Value(&R::slope, Number(-kMost, Bound::kIncluded, kMost),
            {.key = "slope",
             .description = "Sigmoid: how steep, per unit of the metric; below 0: smaller values are better.",
             .fallback = "that of the known rule",
             .rule_added = "not 0"}),
      Value(&R::per,
            Words<CapacityTerm>({{.word = "none", .value = CapacityTerm::kNone},
                                 {.word = "cpu_cores", .value = CapacityTerm::kCpuCores},
                                 {.word = "memory_bytes", .value = CapacityTerm::kMemoryBytes},
                                 {.word = "gpus", .value = CapacityTerm::kGpus},
                                 {.word = "max_sessions", .value = CapacityTerm::kMaxSessions},
                                 {.word = "requests_per_s", .value = CapacityTerm::kRequestsPerS}}),
            {.key = "per",
             .description = "What the value is divided by first, of the instance's `capacity`; while that is "
                            "unknown the metric makes no score.",
             .fallback = "that of the known rule, else none"}),
      Value(&R::weight, Number(0, Bound::kExcluded, 1e6),
            {.key = "weight",
             .description = "Beside the other metrics of its category, with `within_category: weighted`.",
             .fallback = "that of the known rule, else 1"}),
      Value(&R::over_time, OverTimes(),
            {.key = "over_time",
             .description = "As above, for this metric.",
             .fallback = "that of the known rule, else the one above"}),
  });
  return table;
}

const Table<CategoryWeightSettings>& WeightTable() {
  using W = CategoryWeightSettings;
  static const Table<W> table({
      Value(&W::compute, Number(0, Bound::kIncluded, 1e6),
            {.key = "compute", .description = "Of the compute score.", .fallback = "1"}),
      Value(&W::communication, Number(0, Bound::kIncluded, 1e6),
            {.key = "communication", .description = "Of the communication score.", .fallback = "1"}),
      Value(&W::service, Number(0, Bound::kIncluded, 1e6),
            {.key = "service", .description = "Of the service score.", .fallback = "1"}),
  });
  return table;
}

Table<ScoreSettings> MakeTable(ScorePlace place) {
  using S = ScoreSettings;
  // What a service leaves out is as `metrics` says.
  const auto fallback = [place](std::string_view own) {
    return place == ScorePlace::kService ? std::string_view("as in `metrics`") : own;
  };
  return Table<S>({
      Value(
          &S::window, Duration<milliseconds>(milliseconds{0}, hours{1}),
          {.key = "window",
           .description = "Reports that are older do not count; `0s`: the newest alone. At most 64 reports.",
           .fallback = fallback("10s")}),
      Value(&S::over_time, OverTimes(),
            {.key = "over_time",
             .description = "What stands for a metric's values within `window`.",
             .fallback = fallback("mean")}),
      Value(&S::within_category, Combines(),
            {.key = "within_category",
             .description = "From the metrics of a category to its L1 score.",
             .fallback = fallback("min")}),
      Value(&S::over_categories, Combines(),
            {.key = "over_categories",
             .description = "From L1 scores to the L2 score.",
             .fallback = fallback("min")}),
      Value(&S::over_instances, Combines(),
            {.key = "over_instances",
             .description = "From the scores of a service's instances of one agent to those of the site; "
                            "`weighted`: by static capacity.",
             .fallback = fallback("mean")}),
      Section(&S::category_weights, WeightTable(),
              {.key = "category_weights",
               .description = "With `over_categories: weighted`.",
               .rule_added = "not all 0"}),
      Value(&S::tolerance, Number(0, Bound::kIncluded, 10),
            {.key = "tolerance",
             .description = "An agent's own L1 or L2 score that differs by more from what its L0 metrics "
                            "make is counted as contradicting them. It is not used either way where there "
                            "is a computed one.",
             .fallback = fallback("1")}),
      Sections(&S::rules, RuleTable(),
               {.key = "rules",
                .description = "Metrics with another rule than the known ones (metrics.md has those). What a "
                               "rule leaves out stays as it was.",
                .fallback = "none"}),
  });
}

}  // namespace

const Table<ScoreSettings>& ScoreTable(ScorePlace place) {
  static const Table<ScoreSettings> fabric = MakeTable(ScorePlace::kFabric);
  static const Table<ScoreSettings> service = MakeTable(ScorePlace::kService);
  return place == ScorePlace::kFabric ? fabric : service;
}

}  // namespace dyncast::config
