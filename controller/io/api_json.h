// The API's documents, made from views: pure. Field names are stable and listed in docs/api.md.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/view.h"
#include "controller/io/binding_store.h"
#include "controller/io/control_loop.h"
#include "controller/io/metric_subscriber.h"
#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/ovsdb/ovsdb_manager.h"

namespace dyncast::api {

using Json = nlohmann::ordered_json;

// What is known of one switch beside the core's view.
struct SwitchEdges {
  std::optional<openflow::SwitchStatus> openflow;
  std::optional<ovsdb::BridgeStatus> bridge;
  std::optional<openflow::SyncReport> last_sync;
};

struct StatusInput {
  std::string fabric;
  double uptime_s = 0;
  int pid = 0;
  uint64_t warnings = 0;
  uint64_t packets_unreadable = 0;
  StoreCounters store;
  SubscriberCounters intake;
};

Json StatusJson(const core::FabricView& view, const StatusInput& input);
Json ServicesJson(const core::FabricView& view);
Json InstancesJson(const core::FabricView& view);
Json SwitchesJson(const core::FabricView& view, const std::vector<SwitchEdges>& edges);  // same order
Json AgentsJson(const core::FabricView& view);
// What rows of metrics are wanted; empty: any.
struct MetricFilter {
  std::string instance;
  std::string service;
  std::string site;
  std::string switch_name;
  std::string name;
  std::optional<MetricLevel> level;
  std::optional<ScoreCategory> category;
};
Json MetricsJson(const std::vector<core::MetricRow>& rows, const MetricFilter& filter);
// What agents say of the ways between them; empty filters: any.
Json PathsJson(const std::vector<core::PathView>& paths, const std::string& agent, const std::string& peer);
// Ports of switches; an empty filter: all.
Json LinksJson(const core::FabricView& view, const std::string& switch_name);
// One port's traffic, without its names.
Json LinkJson(const core::LinkView& link);
Json ExplainJson(const core::Explanation& explanation);
// dispatch learn: what one switch does with the demand, by the slots in force there. Without a complete key
// (a source port is missing) it says the shares only.
enum class KeyState : uint8_t { kComplete, kPartial };
Json VerdictJson(const std::string& switch_name, const core::Explanation& at_switch, KeyState key);
Json SyncJson(const std::string& name, const std::optional<openflow::SyncReport>& report);
Json CheckJson(const SwitchCheck& check, std::optional<uint64_t> bindings_database);
Json ErrorJson(const Error& error);

}  // namespace dyncast::api
