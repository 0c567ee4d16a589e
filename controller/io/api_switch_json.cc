// The API's documents about switches: their state, check and sync.
#include <string>

#include "controller/io/api_json.h"
#include "controller/io/api_values.h"

namespace dyncast::api {
namespace {

std::string Hex(uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (size_t i = 16; i-- > 0; value >>= 4) out[i] = kDigits[value & 0xf];
  return out;
}

Json SyncFields(const openflow::SyncReport& report) {
  return {{"kept", report.kept}, {"added", report.added}, {"deleted", report.deleted}};
}

}  // namespace

Json SwitchesJson(const core::FabricView& view, const std::vector<SwitchEdges>& edges) {
  Json rows = Json::array();
  for (size_t i = 0; i < view.switches.size(); ++i) {
    const auto& s = view.switches[i];
    Json row = {{"id", s.id.value()}, {"name", s.name}, {"role", SwitchRoleName(s.role)}, {"state", s.state}};
    std::string last_error = s.last_error;
    if (i < edges.size() && edges[i].openflow) {
      const openflow::SwitchStatus& of = *edges[i].openflow;
      const openflow::SwitchCounters& c = of.counters;
      row["dpid"] = Hex(of.dpid.value());
      row["peer"] = of.peer;
      row["openflow_state"] = of.state;
      if (!of.last_error.empty()) last_error = of.last_error;
      row["counters"] = {{"messages_sent", c.messages_sent},
                         {"flow_mods_sent", c.flow_mods_sent},
                         {"bundles_sent", c.bundles_sent},
                         {"packet_outs_sent", c.packet_outs_sent},
                         {"punts_received", c.punts_received},
                         {"flow_removed_received", c.flow_removed_received},
                         {"learned_received", c.learned_received},
                         {"monitor_pauses", c.monitor_pauses},
                         {"errors_received", c.errors_received},
                         {"malformed_received", c.malformed_received},
                         {"connects", c.connects},
                         {"resyncs", c.resyncs}};
    }
    if (i < edges.size() && edges[i].bridge) {
      const ovsdb::BridgeStatus& bridge = *edges[i].bridge;
      row["ovsdb_state"] = bridge.state;
      row["ovsdb_transactions"] = bridge.transactions;
      if (!bridge.last_error.empty()) last_error = bridge.last_error;
      Json ports = Json::object();
      for (const auto& [name, number] : bridge.ports) ports[name] = number.value();
      row["ports"] = ports;
    }
    if (i < edges.size() && edges[i].last_sync) row["last_sync"] = SyncFields(*edges[i].last_sync);
    Json loads = Json::object();
    for (const core::LinkView& link : s.links) {
      Json load = LinkJson(link);
      load.erase("number");  // among `ports`
      if (!load.empty()) loads[link.port] = std::move(load);
    }
    row["link_load"] = loads;
    row["bindings"] = s.bindings;
    row["demands"] = s.demands;
    row["learned"] = s.learned;
    if (s.role == SwitchRole::kDForwarder) {
      row["asks"] = s.asks;
      row["misses"] = s.misses;
    }
    row["monitor_gaps"] = s.monitor_gaps;
    row["plan_changes"] = s.plan_changes;
    row["refused_flows"] = s.refused_flows;
    row["last_error"] = last_error;
    rows.push_back(std::move(row));
  }
  return {{"switches", rows}};
}

Json SyncJson(const std::string& name, const std::optional<openflow::SyncReport>& report) {
  Json row = {{"name", name}, {"ok", report.has_value()}};
  if (report) {
    row.update(SyncFields(*report));
    row["differences"] = report->differences;
  } else {
    row["error"] = "the switch is not connected or not in sync";
  }
  return row;
}

Json CheckJson(const SwitchCheck& c, std::optional<uint64_t> bindings_database) {
  const bool ok = c.reachable && c.flows.added == 0 && c.flows.deleted == 0 && c.bindings_differ == 0 &&
                  c.plan_equal && c.ports_missing.empty() &&
                  (!bindings_database || *bindings_database == c.bindings_table);
  Json row = {{"name", c.name}, {"ok", ok}, {"reachable", c.reachable}};
  if (!c.reachable) return row;
  row["kept"] = c.flows.kept;
  row["missing"] = c.flows.added;
  row["unexpected"] = c.flows.deleted;
  row["bindings_switch"] = c.bindings_switch;
  row["bindings_table"] = c.bindings_table;
  row["bindings_differ"] = c.bindings_differ;
  if (bindings_database) row["bindings_database"] = *bindings_database;
  row["plan_equal"] = c.plan_equal;
  row["ports_missing"] = c.ports_missing;
  row["differences"] = c.flows.differences;
  for (const std::string& port : c.ports_missing) {
    row["differences"].push_back("port " + port + " has no OpenFlow number: see `dyncastctl switches`");
  }
  return row;
}

}  // namespace dyncast::api
