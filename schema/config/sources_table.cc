// agent.yaml: where the metrics that only the application, or a device, knows come from. Rules across values
// are in agent_check.cc.
#include <algorithm>

#include "schema/config/codec.h"
#include "schema/config/tables.h"
#include "schema/model/name.h"

namespace dyncast::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr Presence kRequired = Presence::kRequired;

// A metric's or label's name in the OpenMetrics text format.
bool IsSampleName(std::string_view text) {
  return !text.empty() && text.size() <= 255 && !(text[0] >= '0' && text[0] <= '9') &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == ':';
         });
}

// A field of OrcaLoadReport, or an entry of one of its maps.
bool IsOrcaField(std::string_view text) {
  for (const std::string_view map : {"named_metrics.", "utilization.", "request_cost."}) {
    if (text.starts_with(map)) return text.size() > map.size() && text.size() <= 255;
  }
  constexpr std::string_view kFields[] = {"application_utilization", "cpu_utilization", "mem_utilization",
                                          "rps_fractional", "eps"};
  return std::find(std::begin(kFields), std::end(kFields), text) != std::end(kFields);
}

// The loader looks for a bare name; a path is taken as it is.
bool IsLibrary(std::string_view text) {
  return !text.empty() && text.size() <= 4095 && (text.front() == '/' || text.find('/') == text.npos) &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c != 0x7f; });
}

// A map of label names and values; its keys are the user's own.
Option<ScrapedMetric> LabelsOption() {
  const Said said = {.key = "labels", .description = "Labels that the sample must have.", .fallback = "none"};
  const auto read = [](Reader& reader, const YamlNode& node, const std::string& path, ScrapedMetric& to) {
    if (!ExpectKind(reader, node, path, YamlNode::Kind::kMap)) return;
    for (const YamlEntry& entry : node.entries) {
      const std::string child = ChildPath(path, Shown(entry.key));
      if (!IsSampleName(entry.key)) {
        reader.RefuseAt(entry.place, child, "is not a label's name", Errc::kInvalid);
      }
      const bool again = std::any_of(to.labels.begin(), to.labels.end(),
                                     [&entry](const auto& label) { return label.first == entry.key; });
      if (again) reader.RefuseAt(entry.place, child, "said twice", Errc::kDuplicate);
      reader.Saw(child, entry.value.place);
      if (ExpectKind(reader, entry.value, child, YamlNode::Kind::kScalar)) {
        to.labels.emplace_back(entry.key, entry.value.scalar);
      }
    }
  };
  return {.info = MakeInfo(said, "map of label: value", "", ""), .set = read};
}

const Table<ScrapedMetric>& ScrapedTable() {
  using M = ScrapedMetric;
  static const Table<M> table({
      Value(&M::name, MetricNameText(),
            {.key = "name",
             .presence = kRequired,
             .description = "The name under which it is reported.",
             .rule_added = "unique within the instance"}),
      Value(&M::from, Text("sample name", "a sample's name as in OpenMetrics", IsSampleName),
            {.key = "from", .presence = kRequired, .description = "The sample's name on the page."}),
      LabelsOption(),
      Value(&M::rate, Boolean(),
            {.key = "rate", .description = "The sample is a counter: its increase per second is reported."}),
      Value(&M::factor, Number(0, Bound::kExcluded, 1e18),
            {.key = "factor", .description = "The value is multiplied by this."}),
      Value(
          &M::unit, Unit(),
          {.key = "unit",
           .description = "The unit after that.",
           .fallback = "the unit that the metric's definition gives, else `1/s` with `rate: true`, else `1`",
           .rule_added = "that of the definition, where the metric has one"}),
  });
  return table;
}

const Table<OrcaMetric>& OrcaMetricTable() {
  using M = OrcaMetric;
  static const Table<M> table({
      Value(&M::name, MetricNameText(),
            {.key = "name",
             .presence = kRequired,
             .description = "The name under which it is reported.",
             .rule_added = "unique within the instance"}),
      Value(&M::from,
            Text("field",
                 "named_metrics.NAME, utilization.NAME, request_cost.NAME, application_utilization, "
                 "cpu_utilization, mem_utilization, rps_fractional or eps",
                 IsOrcaField),
            {.key = "from", .presence = kRequired, .description = "Where it stands in the load report."}),
      Value(&M::factor, Number(0, Bound::kExcluded, 1e18),
            {.key = "factor", .description = "The value is multiplied by this."}),
      Value(
          &M::unit, Unit(),
          {.key = "unit",
           .description = "The unit after that.",
           .fallback = "the unit that the metric's definition gives, else `ratio` of a utilization, `1/s` of "
                       "`rps_fractional` and `eps`, else `1`",
           .rule_added = "that of the definition, where the metric has one"}),
  });
  return table;
}

}  // namespace

const Table<ScrapeConfig>& ScrapeTable() {
  using S = ScrapeConfig;
  static const Table<S> table({
      Value(&S::url, HttpUrl(),
            {.key = "url", .presence = kRequired, .description = "The application's OpenMetrics page."}),
      Value(&S::timeout, Duration<milliseconds>(milliseconds{1}, hours{1}),
            {.key = "timeout", .description = "A page that takes longer is given up for this time."}),
      Sections(&S::metrics, ScrapedTable(),
               {.key = "metrics", .presence = kRequired, .description = "What is taken from it."}),
  });
  return table;
}

const Table<OrcaConfig>& OrcaTable() {
  using O = OrcaConfig;
  static const Table<O> table({
      Value(
          &O::health, Boolean(),
          {.key = "health",
           .description = "Take the load report from the answers of the health check: the header or trailer "
                          "`endpoint-load-metrics`.",
           .rule_added = "only with `check: http`"}),
      Value(&O::url, HttpUrl(),
            {.key = "url",
             .description =
                 "Fetch this before each report, and take the load report from the answer's header or "
                 "trailer.",
             .fallback = "none"}),
      Value(&O::timeout, Duration<milliseconds>(milliseconds{1}, hours{1}),
            {.key = "timeout", .description = "An answer of `url` that takes longer is given up."}),
      Value(&O::post, Boolean(),
            {.key = "post",
             .description = "The application posts load reports to `orca_listen`, as `/v1/load/INSTANCE`."}),
      Value(&O::expiry, Duration<milliseconds>(milliseconds{10}, hours{1}),
            {.key = "expiry", .description = "The newest load report counts for this long."}),
      Sections(&O::metrics, OrcaMetricTable(),
               {.key = "metrics",
                .description = "What is taken from it beside `utilization`, `cpu_utilization`, "
                               "`memory_utilization`, `request_rate` and `error_rate`.",
                .fallback = "none"}),
  });
  return table;
}

const Table<PluginConfig>& PluginTable() {
  using P = PluginConfig;
  static const Table<P> table({
      List(&P::command, CommandWord(),
           {.key = "command",
            .presence = kRequired,
            .description = "The program's path and its arguments. No shell reads them.",
            .rule_added = "begins with an absolute path"}),
      Value(&P::interval, Duration<milliseconds>(milliseconds{100}, hours{1}),
            {.key = "interval", .description = "From one run to the next."}),
      Value(&P::timeout, Duration<milliseconds>(milliseconds{10}, hours{1}),
            {.key = "timeout",
             .description = "A run that takes longer is killed, with its process group.",
             .fallback = "1s, or 4/5 of a shorter `interval`",
             .rule_added = "less than `interval`"}),
      Sections(&P::metrics, ScrapedTable(),
               {.key = "metrics",
                .presence = kRequired,
                .description = "What is taken from its output: OpenMetrics, or lines `NAME VALUE`."}),
  });
  return table;
}

const Table<GpuConfig>& GpuTable() {
  using G = GpuConfig;
  static const Table<G> table({
      Value(&G::library, Text("library", "a file name, or an absolute path, without spaces", IsLibrary),
            {.key = "library",
             .description = "NVML, loaded at run time. Where there is none, there are no metrics."}),
      List(&G::devices, Unsigned<uint32_t>(0, 1023),
           {.key = "devices",
            .description = "Numbers of the devices, as `nvidia-smi -L` has them; their mean is reported.",
            .fallback = "all of them",
            .rule_added = "each once"}),
      Value(&G::timeout, Duration<milliseconds>(milliseconds{10}, hours{1}),
            {.key = "timeout", .description = "Values that the library took longer for are not used."}),
  });
  return table;
}

}  // namespace dyncast::config
