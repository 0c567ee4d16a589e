#include "ovs-integration/pipeline/compile.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

// Far above what a fabric of 65,535 services and instances with single ports needs in any table but
// `return`, and still a table that OVS classifies quickly.
constexpr size_t kMaxFlowsPerTable = 65535;

std::tuple<uint8_t, int, const std::string&> SortKey(const Flow& flow) {
  return {flow.table, -static_cast<int>(flow.priority), flow.match};
}

bool KeyHasPorts(const Affinity& affinity) {
  return affinity.kind == AffinityKind::k5Tuple || affinity.kind == AffinityKind::k4Tuple;
}

}  // namespace

std::string ToText(const Flow& flow) {
  std::string text = "table=" + std::to_string(flow.table) + ",priority=" + std::to_string(flow.priority) +
                     ",cookie=" + Hex(flow.cookie);
  if (flow.idle_timeout_s > 0) text += ",idle_timeout=" + std::to_string(flow.idle_timeout_s);
  if (flow.hard_timeout_s > 0) text += ",hard_timeout=" + std::to_string(flow.hard_timeout_s);
  if (flow.send_flow_removed) text += ",send_flow_rem";
  if (!flow.match.empty()) text += "," + flow.match;
  return text + ",actions=" + flow.actions;
}

std::string ToText(const Meter& meter) {
  return "meter=" + std::to_string(meter.id) +
         ",pktps,burst,bands=type=drop,rate=" + std::to_string(meter.packets_per_s) +
         ",burst_size=" + std::to_string(meter.burst_packets);
}

std::string Visit(Table table) { return "resubmit(," + std::to_string(static_cast<unsigned>(table)) + ")"; }

std::string SetRegister(int reg, uint64_t value) {
  return "set_field:" + Hex(value) + "->reg" + std::to_string(reg);
}

std::set<IpProto> ProtosOf(const ServiceSpec& spec) {
  std::set<IpProto> protos;
  for (const PortRange& range : spec.ports) protos.insert(range.proto);
  return protos;
}

FlowBuilder::FlowBuilder(const SwitchPlan& plan) : plan_(plan) {
  for (const PlannedService& service : plan.services) {
    services_[service.id] = &service;
    if (!service.spec.sid_v4) continue;
    for (IpProto proto : ProtosOf(service.spec)) ++services_at_[{*service.spec.sid_v4, proto}];
  }
  for (const PlannedInstance& instance : plan.instances) ++instances_at_[instance.bid];
}

const PlannedService* FlowBuilder::Find(ServiceId id) const {
  const auto found = services_.find(id);
  return found == services_.end() ? nullptr : found->second;
}

bool FlowBuilder::SteersLaterFragments(const PlannedService& service, IpProto proto) const {
  if (KeyHasPorts(service.spec.affinity) || !service.spec.sid_v4) return false;
  const auto found = services_at_.find({*service.spec.sid_v4, proto});
  return found != services_at_.end() && found->second == 1;
}

bool FlowBuilder::SharesBid(const PlannedInstance& instance) const {
  const auto found = instances_at_.find(instance.bid);
  return found != instances_at_.end() && found->second > 1;
}

void FlowBuilder::Add(Table table, uint16_t priority, std::string match, std::string actions,
                      const FlowSubject& subject) {
  if (!match.empty() && match.back() == ',') match.pop_back();
  flows_.push_back(
      {.table = static_cast<uint8_t>(table),
       .priority = priority,
       .cookie = EncodeCookie(
           {.kind = subject.kind, .service = subject.service, .instance = subject.instance, .at = plan_.id}),
       .match = std::move(match),
       .actions = std::move(actions)});
}

std::string FlowBuilder::Punt(PuntReason reason, ServiceId service, const std::string& first) const {
  const bool demand = reason == PuntReason::kDemand || reason == PuntReason::kEgressGone;
  const uint32_t limit = demand ? plan_.punts.demands_per_s : plan_.punts.others_per_s;
  std::string text;
  if (limit > 0) text = "meter:" + std::to_string(demand ? kDemandMeter : kOtherMeter) + ",";
  if (!first.empty()) text += first + ",";
  std::array<char, 16> userdata{};
  std::snprintf(userdata.data(), userdata.size(), "%02x.%02x.%02x", static_cast<unsigned>(reason),
                service.value() >> 8, service.value() & 0xff);
  return text + "controller(max_len=65535,userdata=" + userdata.data() + ")";
}

std::vector<Flow> FlowBuilder::Take() {
  const auto before = [](const Flow& a, const Flow& b) { return SortKey(a) < SortKey(b); };
  const auto same = [](const Flow& a, const Flow& b) { return SortKey(a) == SortKey(b); };
  std::stable_sort(flows_.begin(), flows_.end(), before);
  flows_.erase(std::unique(flows_.begin(), flows_.end(), same), flows_.end());
  return std::move(flows_);
}

Result<Compiled> Compile(const SwitchPlan& plan) {
  if (Status checked = CheckPlan(plan); !checked.ok()) return checked.error();
  FlowBuilder builder(plan);
  CompileClassify(builder);
  CompileServices(builder);
  CompileInstances(builder);
  CompileRouting(builder);

  Compiled compiled;
  compiled.flows = builder.Take();
  std::map<uint8_t, size_t> per_table;
  for (const Flow& flow : compiled.flows) {
    if (++per_table[flow.table] > kMaxFlowsPerTable) {
      return MakeError(Errc::kLimit,
                       "table " + std::string(TableName(static_cast<Table>(flow.table))) +
                           " would need more than " + std::to_string(kMaxFlowsPerTable) + " flows",
                       "switch " + plan.name);
    }
  }
  // A burst of one second's worth: less would drop demands that merely arrive together.
  for (const auto& [id, limit] :
       {std::pair{kDemandMeter, plan.punts.demands_per_s}, std::pair{kOtherMeter, plan.punts.others_per_s}}) {
    if (limit > 0) compiled.meters.push_back({.id = id, .packets_per_s = limit, .burst_packets = limit});
  }
  return compiled;
}

}  // namespace dyncast::pipeline
