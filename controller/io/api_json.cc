#include "controller/io/api_json.h"

#include <cmath>
#include <string_view>

#include "schema/base/time.h"

namespace dyncast::api {
namespace {

double Seconds(std::chrono::milliseconds ms) { return static_cast<double>(ms.count()) / 1000.0; }

// JSON has no infinity: an unknown or unbounded number is absent.
void Put(Json* out, const char* key, const std::optional<double>& value) {
  if (value && std::isfinite(*value)) (*out)[key] = *value;
}

Json CapacityJson(const Capacity& c) {
  Json out = Json::object();
  Put(&out, "cpu_cores", c.cpu_cores);
  Put(&out, "memory_bytes", c.memory_bytes);
  Put(&out, "gpus", c.gpus);
  Put(&out, "max_sessions", c.max_sessions);
  Put(&out, "requests_per_s", c.requests_per_s);
  return out;
}

std::string AffinityText(const Affinity& a) {
  if (a.kind != AffinityKind::kClientPrefix) return std::string(AffinityKindName(a.kind));
  return "client/" + std::to_string(a.prefix_v4);
}

std::string_view LevelName(MetricLevel level) {
  switch (level) {
    case MetricLevel::kL0: return "L0";
    case MetricLevel::kL1: return "L1";
    case MetricLevel::kL2: return "L2";
  }
  return "?";
}

std::string_view SourceName(MetricSource source) {
  switch (source) {
    case MetricSource::kNominal: return "nominal";
    case MetricSource::kMeasured: return "measured";
    case MetricSource::kEstimated: return "estimated";
    case MetricSource::kAggregated: return "aggregated";
    case MetricSource::kDirect: return "direct";
  }
  return "?";
}

std::string_view StatisticName(MetricStatistic statistic) {
  switch (statistic) {
    case MetricStatistic::kInstant: return "instant";
    case MetricStatistic::kMean: return "mean";
    case MetricStatistic::kMin: return "min";
    case MetricStatistic::kMax: return "max";
    case MetricStatistic::kP50: return "p50";
    case MetricStatistic::kP99: return "p99";
    case MetricStatistic::kRate: return "rate";
  }
  return "?";
}

Json KeyJson(const BindingKey& key) {
  Json out = {{"client", key.client.ToString()}};
  if (key.src_port != 0) out["src_port"] = key.src_port;
  if (key.dst_port != 0) out["dst_port"] = key.dst_port;
  if (key.proto != IpProto::kAny) out["proto"] = IpProtoName(key.proto);
  return out;
}

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

Json StatusJson(const core::FabricView& view, const StatusInput& input) {
  uint64_t synced = 0;
  uint64_t up = 0;
  uint64_t heard = 0;
  uint64_t bindings = 0;
  uint64_t demands = 0;
  for (const auto& s : view.switches) synced += s.state == "synced";
  uint64_t draining = 0;
  for (const auto& i : view.instances) {
    up += i.state == InstanceState::kUp;
    draining += i.state == InstanceState::kDraining;
  }
  for (const auto& a : view.agents) heard += !a.silent;
  for (const auto& s : view.services) {
    bindings += s.bindings;
    demands += s.demands;
  }
  Json counters = Json::object();
  for (const auto& [name, value] : view.counters) counters[name] = value;
  counters["metric_messages_received"] = input.intake.received;
  counters["metric_messages_malformed"] = input.intake.malformed;
  Json database = {{"healthy", input.store.healthy},      {"pending", input.store.pending},
                   {"written", input.store.written},      {"merged", input.store.merged},
                   {"dropped", input.store.dropped},      {"failures", input.store.failures},
                   {"last_error", input.store.last_error}};
  return {{"version", DYNCAST_VERSION},
          {"fabric", input.fabric},
          {"at", FormatWall(view.at)},
          {"uptime_s", input.uptime_s},
          {"pid", input.pid},
          {"switches_synced", synced},
          {"switches_total", view.switches.size()},
          {"instances_up", up},
          {"instances_draining", draining},
          {"instances_known", view.instances.size()},
          {"agents_heard", heard},
          {"agents_total", view.agents.size()},
          {"bindings", bindings},
          {"demands", demands},
          {"warnings", input.warnings},
          {"last_malformed_message", input.intake.last_malformed},
          {"database", database},
          {"counters", counters}};
}

Json ServicesJson(const core::FabricView& view) {
  Json rows = Json::array();
  for (const auto& s : view.services) {
    Json ports = Json::array();
    for (const PortRange& p : s.spec.ports) {
      std::string text = std::string(IpProtoName(p.proto)) + "/" + std::to_string(p.first);
      if (p.last != p.first) text += "-" + std::to_string(p.last);
      ports.push_back(text);
    }
    Json row = {{"id", s.id.value()}, {"name", s.spec.name}};
    if (s.spec.sid_v4) row["sid_v4"] = s.spec.sid_v4->ToString();
    if (s.spec.sid_v6) row["sid_v6"] = s.spec.sid_v6->ToString();
    row["ports"] = ports;
    row["dispatch"] = DispatchName(s.spec.dispatch);
    row["affinity"] = AffinityText(s.spec.affinity);
    row["idle_timeout_s"] = s.spec.affinity.idle_timeout.count();
    row["policy"] = PolicyKindName(s.spec.selection.policy);
    row["instances_up"] = s.instances_up;
    row["instances_known"] = s.instances_known;
    row["bindings"] = s.bindings;
    row["binding_limit"] = s.spec.affinity.limit;
    row["demands"] = s.demands;
    row["demands_refused"] = s.demands_refused;
    row["demands_unbound"] = s.demands_unbound;
    rows.push_back(std::move(row));
  }
  return {{"services", rows}};
}

Json InstancesJson(const core::FabricView& view) {
  Json rows = Json::array();
  for (const auto& i : view.instances) {
    Json metrics = Json::object();
    for (const auto& m : i.metrics) metrics[m.sample.name] = m.sample.value;
    Json row = {{"id", i.id.value()},
                {"name", i.name},
                {"service", i.service},
                {"bid", i.bid.ToString()},
                {"agent", i.agent},
                {"state", InstanceStateName(i.state)},
                {"reason", i.reason},
                {"trusted_from_before", i.trusted_from_before},
                {"in_state_s", Seconds(i.in_state)},
                {"bindings", i.bindings},
                {"demands", i.demands}};
    Put(&row, "load", i.load);
    Put(&row, "estimated_capacity", i.estimated_capacity);
    row["capacity"] = CapacityJson(i.capacity);
    row["metrics"] = metrics;
    rows.push_back(std::move(row));
  }
  return {{"instances", rows}};
}

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
    row["bindings"] = s.bindings;
    row["demands"] = s.demands;
    row["plan_changes"] = s.plan_changes;
    row["refused_flows"] = s.refused_flows;
    row["last_error"] = last_error;
    rows.push_back(std::move(row));
  }
  return {{"switches", rows}};
}

Json AgentsJson(const core::FabricView& view) {
  Json rows = Json::array();
  for (const auto& a : view.agents) {
    Json row = {{"name", a.name}, {"silent", a.silent}};
    if (a.last_heard) row["last_heard_s"] = Seconds(*a.last_heard);
    row["heartbeat_interval_s"] = Seconds(a.heartbeat_interval);
    row["boot_epoch"] = a.boot_epoch;
    row["last_sequence"] = a.last_sequence;
    row["messages"] = a.messages;
    row["gaps"] = a.gaps;
    row["replayed"] = a.replayed;
    row["refused"] = a.refused;
    row["last_refusal"] = a.last_refusal;
    rows.push_back(std::move(row));
  }
  return {{"agents", rows}};
}

Json MetricsJson(const core::FabricView& view, const std::string& instance) {
  Json rows = Json::array();
  for (const auto& i : view.instances) {
    if (!instance.empty() && i.name != instance) continue;
    for (const auto& m : i.metrics) {
      rows.push_back({{"instance", i.name},
                      {"service", i.service},
                      {"name", m.sample.name},
                      {"value", m.sample.value},
                      {"unit", m.sample.unit},
                      {"level", LevelName(m.sample.level)},
                      {"source", SourceName(m.sample.source)},
                      {"statistic", StatisticName(m.sample.statistic)},
                      {"window_s", Seconds(m.sample.window)},
                      {"age_s", Seconds(m.age)}});
    }
  }
  return {{"metrics", rows}};
}

Json ExplainJson(const core::Explanation& e) {
  Json bound = Json::array();
  for (const auto& b : e.bound) {
    Json row = KeyJson(b.key);
    row["switch"] = b.switch_name;
    row["instance"] = b.instance_name;
    row["instance_gone"] = b.instance_gone;
    bound.push_back(std::move(row));
  }
  Json candidates = Json::array();
  for (const auto& c : e.candidates) {
    Json metrics = Json::object();
    Json ages = Json::object();
    for (const auto& m : c.metrics) {
      metrics[m.sample.name] = m.sample.value;
      ages[m.sample.name] = Seconds(m.age);
    }
    Json row = {{"instance", c.name}, {"state", InstanceStateName(c.state)}, {"excluded", c.excluded}};
    Put(&row, "cost", c.cost);
    Put(&row, "load", c.load);
    Put(&row, "capacity", c.capacity);
    row["bindings"] = c.bindings;
    row["metrics"] = metrics;
    row["metric_ages_s"] = ages;
    candidates.push_back(std::move(row));
  }
  Json out = {{"service", e.service},  {"policy", e.policy}, {"formula", e.formula},
              {"key", KeyJson(e.key)}, {"bound", bound},     {"candidates", candidates}};
  if (e.would_choose) out["would_choose"] = e.would_choose_name;
  out["no_instance_reason"] = e.no_instance_reason;
  return out;
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

Json ErrorJson(const Error& error) {
  return {{"error", {{"code", ErrcName(error.code)}, {"message", error.ToString()}}}};
}

}  // namespace dyncast::api
