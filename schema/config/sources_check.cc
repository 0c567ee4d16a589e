#include "schema/config/sources_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "schema/config/codec.h"
#include "schema/config/unique.h"
#include "schema/model/name.h"

namespace dyncast::config {
namespace {

std::string MetricPath(const std::string& list, size_t index) {
  return fmt::format("{}.metrics[{}]", list, index);
}

// The unit of a metric that says none: that of its definition, else what its source is measured in.
void FillInUnit(const Reader& reader, const std::string& path, std::string_view name, std::string_view other,
                std::string* unit) {
  if (reader.Says(path + ".unit")) return;
  const std::string_view defined = DefinedUnit(name);
  *unit = defined.empty() ? other : defined;
}

void FillInUnits(const Reader& reader, const std::string& list, std::vector<ScrapedMetric>& metrics) {
  for (size_t m = 0; m < metrics.size(); ++m) {
    FillInUnit(reader, MetricPath(list, m), metrics[m].name, metrics[m].rate ? "1/s" : "1", &metrics[m].unit);
  }
}

std::string_view OrcaUnit(std::string_view from) {
  if (from.starts_with("utilization.") || from.ends_with("_utilization")) return "ratio";
  return from == "rps_fractional" || from == "eps" ? "1/s" : "1";
}

template <typename Metric>
void CheckMetrics(Reader& reader, const std::string& list, const std::vector<Metric>& metrics,
                  Unique* names) {
  for (size_t m = 0; m < metrics.size(); ++m) {
    const std::string path = MetricPath(list, m);
    names->Check(reader, path + ".name", metrics[m].name);
    const std::string_view defined = DefinedUnit(metrics[m].name);
    if (!defined.empty() && metrics[m].unit != defined) {
      reader.Refuse(path + ".unit", metrics[m].unit,
                    fmt::format("metric {} has the unit '{}'; factor converts", metrics[m].name, defined),
                    Errc::kConflict);
    }
  }
}

void CheckOrca(Reader& reader, const std::string& at, const InstanceConfig& instance) {
  const OrcaConfig& orca = *instance.orca;
  if (!orca.health && orca.url.empty() && !orca.post && !reader.Says(at + ".url")) {
    reader.Refuse(at, "must have health, url or post");
  }
  if (orca.health && instance.health.kind != HealthCheckKind::kHttp) {
    reader.Refuse(at + ".health", "true", "needs health: {check: http}", Errc::kConflict);
  }
}

void CheckPlugin(Reader& reader, const std::string& at, const PluginConfig& plugin) {
  const std::string program = at + ".command[0]";
  if (!plugin.command.empty() && !reader.Refused(program) && !plugin.command[0].starts_with('/')) {
    reader.Refuse(program, plugin.command[0], "must be an absolute path");
  }
  if (plugin.timeout >= plugin.interval) {
    reader.Refuse(at + ".timeout", FormatDuration(plugin.timeout),
                  "must be less than interval, which is " + FormatDuration(plugin.interval), Errc::kConflict);
  }
}

void CheckGpu(Reader& reader, const std::string& at, const GpuConfig& gpu) {
  std::set<uint32_t> seen;
  for (size_t d = 0; d < gpu.devices.size(); ++d) {
    const std::string path = fmt::format("{}.devices[{}]", at, d);
    if (reader.Refused(path) || seen.insert(gpu.devices[d]).second) continue;
    reader.Refuse(path, std::to_string(gpu.devices[d]), "this device is named already", Errc::kDuplicate);
  }
}

}  // namespace

void FillInSources(const Reader& reader, const std::string& path, InstanceConfig& instance) {
  if (instance.scrape) FillInUnits(reader, path + ".scrape", instance.scrape->metrics);
  for (size_t p = 0; p < instance.plugins.size(); ++p) {
    PluginConfig& plugin = instance.plugins[p];
    const std::string at = fmt::format("{}.plugins[{}]", path, p);
    FillInUnits(reader, at, plugin.metrics);
    if (!reader.Says(at + ".timeout")) plugin.timeout = std::min(plugin.timeout, plugin.interval * 4 / 5);
  }
  if (!instance.orca) return;
  for (size_t m = 0; m < instance.orca->metrics.size(); ++m) {
    OrcaMetric& metric = instance.orca->metrics[m];
    FillInUnit(reader, MetricPath(path + ".orca", m), metric.name, OrcaUnit(metric.from), &metric.unit);
  }
}

void CheckSources(Reader& reader, const std::string& path, const InstanceConfig& instance) {
  Unique names("a metric of this name");
  if (instance.scrape) CheckMetrics(reader, path + ".scrape", instance.scrape->metrics, &names);
  if (instance.plugins.size() > kMaxPlugins) {
    reader.Refuse(path + ".plugins", fmt::format("{} plug-ins", instance.plugins.size()),
                  fmt::format("must be at most {}", kMaxPlugins), Errc::kLimit);
  }
  for (size_t p = 0; p < instance.plugins.size(); ++p) {
    const std::string at = fmt::format("{}.plugins[{}]", path, p);
    CheckPlugin(reader, at, instance.plugins[p]);
    CheckMetrics(reader, at, instance.plugins[p].metrics, &names);
  }
  if (instance.orca) {
    CheckOrca(reader, path + ".orca", instance);
    CheckMetrics(reader, path + ".orca", instance.orca->metrics, &names);
  }
  if (instance.gpu) CheckGpu(reader, path + ".gpu", *instance.gpu);
}

void CheckAgentSources(Reader& reader, const AgentConfig& config) {
  if (config.gpu) CheckGpu(reader, "gpu", *config.gpu);
  const auto posts = [](const InstanceConfig& i) { return i.orca && i.orca->post; };
  for (size_t i = 0; i < config.instances.size(); ++i) {
    if (!posts(config.instances[i]) || !config.orca_listen.empty() || reader.Says("orca_listen")) continue;
    reader.Refuse(fmt::format("instances[{}].orca.post", i), "true", "needs orca_listen", Errc::kConflict);
  }
}

}  // namespace dyncast::config
