#include "controller/io/api_json.h"

#include <algorithm>
#include <string>

#include "controller/io/api_values.h"
#include "schema/base/time.h"
#include "schema/config/codec.h"

namespace dyncast::api {
namespace {

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
  return "client/" + std::to_string(a.prefix_v4) + "/" + std::to_string(a.prefix_v6);
}

// dispatch learn: closed by the controller. Else: demands beyond the limit are served without a binding.
bool IsFull(const core::ServiceView& s, const core::ServiceAtView& at) {
  return at.closed || (at.bindings_known && at.bindings >= s.spec.affinity.limit);
}
bool IsFull(const core::ServiceView& s) {
  return s.closed || std::any_of(s.switches.begin(), s.switches.end(),
                                 [&s](const core::ServiceAtView& at) { return IsFull(s, at); });
}

Json ServiceAtJson(const core::ServiceView& s) {
  Json rows = Json::array();
  for (const core::ServiceAtView& at : s.switches) {
    Json row = {{"switch", at.switch_name}};
    row["store"] = BindingStoreKindName(at.store);
    row["bindings"] = at.bindings_known ? Json(at.bindings) : Json(nullptr);
    row["full"] = IsFull(s, at);
    if (s.spec.dispatch == Dispatch::kLearn) {
      row["closings"] = at.closings;
      Json shares = Json::array();
      for (const core::ShareView& share : at.shares) {
        Json item = {{"instance", share.instance_name}};
        if (s.spec.sid_v4) item["share_v4"] = ShareOf(share.slots_v4);
        if (s.spec.sid_v6) item["share_v6"] = ShareOf(share.slots_v6);
        shares.push_back(std::move(item));
      }
      row["shares"] = shares;
    }
    if (at.store == BindingStoreKind::kGenerations) {
      row["generation"] = at.generation;
      row["generation_flips"] = at.flips;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// What an operator should look at now, one sentence each.
Json AlarmsJson(const core::FabricView& view) {
  Json out = Json::array();
  for (const core::ServiceView& s : view.services) {
    for (const core::ServiceAtView& at : s.switches) {
      if (!IsFull(s, at)) continue;
      out.push_back("service " + s.spec.name + " is full on " + at.switch_name + ": " +
                    std::to_string(at.bindings) + " bindings, limit " +
                    std::to_string(s.spec.affinity.limit) + "; new demands are served without a binding");
    }
  }
  return out;
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
  uint64_t unbound = 0;
  uint64_t full = 0;
  uint64_t closings = 0;
  for (const auto& s : view.services) {
    bindings += s.bindings;
    demands += s.demands;
    unbound += s.demands_unbound;
    full += IsFull(s);
    for (const auto& at : s.switches) closings += at.closings;
  }
  uint64_t learned = 0;
  uint64_t gaps = 0;
  for (const auto& s : view.switches) {
    learned += s.learned;
    gaps += s.monitor_gaps;
  }
  Json counters = Json::object();
  for (const auto& [name, value] : view.counters) counters[name] = value;
  counters["metric_messages_received"] = input.intake.received;
  counters["metric_messages_malformed"] = input.intake.malformed;
  counters["packets_unreadable"] = input.packets_unreadable;
  counters["demands_unbound"] = unbound;
  counters["binding_limit_closings"] = closings;
  counters["bindings_learned"] = learned;
  counters["monitor_gaps"] = gaps;
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
          {"services_full", full},
          {"services_total", view.services.size()},
          {"alarms", AlarmsJson(view)},
          {"warnings", input.warnings},
          {"last_malformed_message", input.intake.last_malformed},
          {"database", database},
          {"counters", counters}};
}

Json ServicesJson(const core::FabricView& view) {
  Json rows = Json::array();
  for (const auto& s : view.services) {
    Json ports = Json::array();
    for (const PortRange& p : s.spec.ports) ports.push_back(config::PortsText(p));
    Json row = {{"id", s.id.value()}, {"name", s.spec.name}};
    if (s.spec.sid_v4) row["sid_v4"] = s.spec.sid_v4->ToString();
    if (s.spec.sid_v6) row["sid_v6"] = s.spec.sid_v6->ToString();
    row["ports"] = ports;
    row["dispatch"] = DispatchName(s.spec.dispatch);
    row["store"] = BindingStoreKindName(s.store);
    row["affinity"] = AffinityText(s.spec.affinity);
    row["idle_timeout_s"] = s.spec.affinity.idle_timeout.count();
    row["policy"] = PolicyKindName(s.spec.selection.policy);
    row["instances_up"] = s.instances_up;
    row["instances_known"] = s.instances_known;
    // Stores conntrack and none: nobody here knows how many there are, and nothing bounds them.
    row["bindings"] = s.bindings_known ? Json(s.bindings) : Json(nullptr);
    row["binding_limit"] = s.bindings_known ? Json(s.spec.affinity.limit) : Json(nullptr);
    row["full"] = IsFull(s);
    row["demands"] = s.demands;
    row["demands_refused"] = s.demands_refused;
    row["demands_unbound"] = s.demands_unbound;
    row["switches"] = ServiceAtJson(s);
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

Json UpdatesJson(const UpdateCounters& updates) {
  return {{"sent", updates.sent()},
          {"sent_interval", updates.sent_interval},
          {"sent_threshold", updates.sent_threshold},
          {"sent_refresh", updates.sent_refresh},
          {"suppressed", updates.suppressed()},
          {"suppressed_gap", updates.suppressed_gap},
          {"suppressed_damped", updates.suppressed_damped},
          {"suppressed_hysteresis", updates.suppressed_hysteresis},
          {"suppressed_unchanged", updates.suppressed_unchanged}};
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
    if (a.updates) row["updates"] = UpdatesJson(*a.updates);
    rows.push_back(std::move(row));
  }
  return {{"agents", rows}};
}

Json ErrorJson(const Error& error) {
  return {{"error", {{"code", ErrcName(error.code)}, {"message", error.ToString()}}}};
}

}  // namespace dyncast::api
