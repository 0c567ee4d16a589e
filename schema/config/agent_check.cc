#include "schema/config/agent_check.h"

#include <fmt/core.h>

#include <algorithm>

#include "schema/config/codec.h"
#include "schema/config/unique.h"
#include "schema/model/name.h"

namespace dyncast::config {
namespace {

void CheckHealth(Reader& reader, const std::string& at, const HealthCheckConfig& health) {
  if (health.timeout >= health.interval) {
    reader.Refuse(at + ".timeout", FormatDuration(health.timeout),
                  "must be less than interval, which is " + FormatDuration(health.interval), Errc::kConflict);
  }
  if (health.kind != HealthCheckKind::kHttp && reader.Says(at + ".path")) {
    reader.Refuse(at + ".path", "only check: http has a path", Errc::kConflict);
  }
}

void CheckScrape(Reader& reader, const std::string& at, const ScrapeConfig& scrape) {
  Unique names("a metric of this name");
  for (size_t m = 0; m < scrape.metrics.size(); ++m) {
    const ScrapedMetric& metric = scrape.metrics[m];
    const std::string path = fmt::format("{}.metrics[{}]", at, m);
    names.Check(reader, path + ".name", metric.name);
    const std::string_view defined = DefinedUnit(metric.name);
    if (!defined.empty() && metric.unit != defined) {
      reader.Refuse(path + ".unit", metric.unit,
                    fmt::format("metric {} has the unit '{}'; factor converts", metric.name, defined),
                    Errc::kConflict);
    }
  }
}

void CheckInstance(Reader& reader, const std::string& path, const InstanceConfig& instance) {
  CheckHealth(reader, path + ".health", instance.health);
  if (instance.scrape) CheckScrape(reader, path + ".scrape", *instance.scrape);
  if (instance.check_inside && instance.network_namespace.empty() &&
      !reader.Says(path + ".network_namespace")) {
    reader.Refuse(path + ".check_inside", "true", "needs a network_namespace", Errc::kConflict);
  }
}

}  // namespace

void FillIn(const Reader& reader, AgentConfig& config) {
  FillInPaths(reader, config);
  for (size_t i = 0; i < config.instances.size(); ++i) {
    InstanceConfig& instance = config.instances[i];
    const std::string path = fmt::format("instances[{}]", i);
    HealthCheckConfig& health = instance.health;
    if (health.port == 0) health.port = instance.port;
    if (!reader.Says(path + ".health.timeout")) {
      health.timeout = std::min(health.timeout, health.interval * 4 / 5);
    }
    if (!instance.scrape) continue;
    for (size_t m = 0; m < instance.scrape->metrics.size(); ++m) {
      ScrapedMetric& metric = instance.scrape->metrics[m];
      if (reader.Says(fmt::format("{}.scrape.metrics[{}].unit", path, m))) continue;
      const std::string_view defined = DefinedUnit(metric.name);
      metric.unit = !defined.empty() ? defined : metric.rate ? "1/s" : "1";
    }
  }
}

void CheckAgent(Reader& reader, const AgentConfig& config) {
  if (config.minimum_gap > config.report_interval) {
    reader.Refuse("minimum_gap", FormatDuration(config.minimum_gap),
                  "must be at most report_interval, which is " + FormatDuration(config.report_interval),
                  Errc::kConflict);
  }
  Unique endpoints("this endpoint");
  for (size_t i = 0; i < config.controllers.size(); ++i) {
    endpoints.Check(reader, fmt::format("controllers[{}]", i), config.controllers[i]);
  }
  Unique metrics("a threshold of this metric");
  for (size_t i = 0; i < config.thresholds.size(); ++i) {
    const std::string path = fmt::format("thresholds[{}]", i);
    metrics.Check(reader, path + ".metric", config.thresholds[i].metric);
    if (!reader.Says(path + ".change") && !reader.Says(path + ".relative")) {
      reader.Refuse(path, "must have change, relative or both");
    }
  }
  Unique names("an instance of this name");
  Unique bids("an instance of the same service with this D-BID");
  for (size_t i = 0; i < config.instances.size(); ++i) {
    const InstanceConfig& instance = config.instances[i];
    const std::string path = fmt::format("instances[{}]", i);
    names.Check(reader, path + ".name", instance.name);
    if (!instance.service.empty() && !instance.bid.is_none()) {
      bids.Check(reader, path + ".bid", instance.service + " " + instance.bid.ToString());
    }
    CheckInstance(reader, path, instance);
  }
  CheckPaths(reader, config);
}

}  // namespace dyncast::config
