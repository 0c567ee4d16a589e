// agent.yaml: when metrics are reported. Rules across values are in agent_check.cc.
#include "schema/config/codec.h"
#include "schema/config/tables.h"

namespace dyncast::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

const Table<DampingConfig>& DampingTable() {
  using D = DampingConfig;
  static const Table<D> table({
      Value(&D::enabled, Boolean(), {.key = "enabled", .description = "Whether metrics are damped at all."}),
      Value(&D::suppress, Number(1, Bound::kIncluded, 1e6),
            {.key = "suppress",
             .description = "A metric with a higher penalty is damped; each turn of its value adds 1."}),
      Value(&D::reuse, Number(0, Bound::kExcluded, 1e6),
            {.key = "reuse",
             .description = "It counts again when its penalty has fallen to this.",
             .rule_added = "less than `suppress`"}),
      Value(&D::half_life, Duration<milliseconds>(milliseconds{10}, hours{1}),
            {.key = "half_life", .description = "The penalty falls by half in this time."}),
      Value(&D::max_hold, Duration<milliseconds>(milliseconds{10}, hours{24}),
            {.key = "max_hold",
             .description = "After its last turn a metric is damped for this long at most.",
             .rule_added = "longer than from `suppress` to `reuse`"}),
  });
  return table;
}

}  // namespace

const Table<ThresholdConfig>& ThresholdTable() {
  using T = ThresholdConfig;
  static const Table<T> table({
      Value(&T::metric, MetricNameText(),
            {.key = "metric",
             .presence = Presence::kRequired,
             .description = "The metric's name.",
             .rule_added = "unique within the list"}),
      Value(&T::change, Number(0, Bound::kExcluded, 1e18),
            {.key = "change",
             .description = "Report when the value differs from the one last reported by this much.",
             .fallback = "none",
             .rule_added = "`change`, `relative` or `levels` must be given"}),
      Value(&T::relative, Number(0, Bound::kExcluded, 1e6),
            {.key = "relative",
             .description = "The same as a part of the value last reported: 0.2 is a fifth.",
             .fallback = "none"}),
      List(&T::levels, Number(0, Bound::kIncluded, 1e18),
           {.key = "levels",
            .description = "Report when the value crosses one of these.",
            .fallback = "none",
            .rule_added = "ascending"}),
      Value(&T::hysteresis, Number(0, Bound::kIncluded, 1e18),
            {.key = "hysteresis",
             .description = "A change against the direction of the last one counts only if it is larger than "
                            "this; a level is left downwards only at a value below it by more than this."}),
  });
  return table;
}

const Table<UpdatesConfig>& UpdatesTable() {
  using U = UpdatesConfig;
  static const Table<U> table({
      Value(&U::policy,
            Words<UpdateWhen>({{.word = "interval", .value = UpdateWhen::kInterval},
                               {.word = "threshold", .value = UpdateWhen::kThreshold},
                               {.word = "both", .value = UpdateWhen::kBoth}}),
            {.key = "policy",
             .description =
                 "`interval`: every `report_interval`; `threshold`: at `thresholds`, and again after "
                 "`refresh`; `both`: every `report_interval` and at `thresholds`.",
             .fallback = "the agent's, else `both`"}),
      Value(&U::minimum_gap, Duration<milliseconds>(milliseconds{0}, hours{1}),
            {.key = "minimum_gap",
             .description = "Between two reports of one instance, whatever the thresholds say.",
             .fallback = "the agent's, else `100ms`",
             .rule_added = "at most `report_interval`"}),
      Value(
          &U::refresh, Duration<milliseconds>(milliseconds{10}, hours{1}),
          {.key = "refresh",
           .description = "With `policy: threshold`: a report without a change, since messages may be lost. "
                          "Keep it below the services' `metrics_expiry`.",
           .fallback = "the agent's, else `5s`",
           .rule_added = "at least `minimum_gap`"}),
      Section(&U::damping, DampingTable(),
              {.key = "damping",
               .description = "Keeps a metric that turns back and forth from being a reason for reports.",
               .fallback = "the agent's, else with its defaults"}),
      Sections(&U::thresholds, ThresholdTable(),
               {.key = "thresholds",
                .description = "Changes that are reported at once.",
                .fallback = "the agent's"}),
  });
  return table;
}

}  // namespace dyncast::config
