#include "schema/config/agent_check.h"

#include <fmt/core.h>

#include <algorithm>

#include "schema/config/codec.h"
#include "schema/config/sources_check.h"
#include "schema/config/unique.h"
#include "schema/config/updates_check.h"

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

void CheckInstance(Reader& reader, const std::string& path, const InstanceConfig& instance) {
  CheckHealth(reader, path + ".health", instance.health);
  CheckSources(reader, path, instance);
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
    FillInSources(reader, path, instance);
  }
}

void CheckAgent(Reader& reader, const AgentConfig& config) {
  CheckAgentUpdates(reader, config);
  Unique endpoints("this endpoint");
  for (size_t i = 0; i < config.controllers.size(); ++i) {
    endpoints.Check(reader, fmt::format("controllers[{}]", i), config.controllers[i]);
  }
  CheckAgentSources(reader, config);
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
    CheckUpdateRules(reader, path, config, instance);
  }
  CheckPaths(reader, config);
}

}  // namespace dyncast::config
