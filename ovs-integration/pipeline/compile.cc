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

constexpr std::chrono::seconds kMaxTimeout{65535};  // OpenFlow holds 16 bits

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

std::string ToText(const Group& group) {
  std::string text =
      "group_id=" + std::to_string(group.id) + ",type=select,selection_method=hash,fields(reg4,reg7,xxreg2)";
  for (size_t i = 0; i < group.slots.size(); ++i) {
    text += ",bucket=bucket_id:" + std::to_string(i) +
            ",weight:1,actions=" + SetRegister(0, group.slots[i].value()) + "," + Visit(Table::kLearn);
  }
  return text;
}

std::string Visit(Table table) { return "resubmit(," + std::to_string(static_cast<unsigned>(table)) + ")"; }

std::string SetRegister(int reg, uint64_t value) {
  return "set_field:" + Hex(value) + "->reg" + std::to_string(reg);
}

std::string VisitOut() { return Visit(Table::kNeighbor) + "," + Visit(Table::kOutput); }

uint16_t TimeoutSeconds(std::chrono::seconds timeout) {
  return static_cast<uint16_t>(std::clamp(timeout, std::chrono::seconds{0}, kMaxTimeout).count());
}

std::set<IpProto> ProtosOf(const ServiceSpec& spec) {
  std::set<IpProto> protos;
  for (const PortRange& range : spec.ports) protos.insert(range.proto);
  return protos;
}

std::string SourcePortField(IpProto proto) {
  switch (proto) {
    case IpProto::kTcp: return "NXM_OF_TCP_SRC[]";
    case IpProto::kUdp: return "NXM_OF_UDP_SRC[]";
    default: return "OXM_OF_SCTP_SRC[]";
  }
}

std::string DestinationPortField(IpProto proto) {
  switch (proto) {
    case IpProto::kTcp: return "NXM_OF_TCP_DST[]";
    case IpProto::kUdp: return "NXM_OF_UDP_DST[]";
    default: return "OXM_OF_SCTP_DST[]";
  }
}

std::string ClientBitRange(const Affinity& affinity, Family family) {
  const int all = family == Family::kV4 ? 32 : 128;
  int length = all;
  if (affinity.kind == AffinityKind::kClientPrefix) {
    length = family == Family::kV4 ? affinity.prefix_v4 : affinity.prefix_v6;
  }
  if (length == 0) return {};
  if (length >= all) return "[]";
  return "[" + std::to_string(all - length) + ".." + std::to_string(all - 1) + "]";
}

bool KeyHasPorts(const Affinity& affinity, IpProto proto) {
  return HasPorts(proto) &&
         (affinity.kind == AffinityKind::k5Tuple || affinity.kind == AffinityKind::k4Tuple);
}

bool KeyHasProto(const Affinity& affinity) {
  return affinity.kind != AffinityKind::kClient && affinity.kind != AffinityKind::kClientPrefix;
}

std::array<FragmentMatch, 2> FragmentMatches(IpProto proto, Family family) {
  const std::string first = ProtoText(proto, family);
  return {{{first, ",nw_frag=first"}, {family == Family::kV4 ? first : IpText(family), ",nw_frag=later"}}};
}

const std::vector<int>& IcmpErrorTypes(Family family) {
  // RFC 792: destination unreachable, source quench, time exceeded, parameter problem. RFC 4443: destination
  // unreachable, packet too big, time exceeded, parameter problem.
  static const std::vector<int> v4{3, 4, 11, 12};
  static const std::vector<int> v6{1, 2, 3, 4};
  return family == Family::kV4 ? v4 : v6;
}

FlowBuilder::FlowBuilder(const SwitchPlan& plan) : plan_(plan) {
  for (const PlannedService& service : plan.services) {
    services_[service.id] = &service;
    for (Family family : kFamilies) {
      const std::optional<IpAddress>& sid = SidOf(service.spec, family);
      if (!sid) continue;
      for (IpProto proto : ProtosOf(service.spec)) at_sid_[*sid].emplace(service.id, proto);
    }
  }
  for (const PlannedInstance& instance : plan.instances) {
    const PlannedService* service = Find(instance.service);
    if (service == nullptr) continue;
    for (IpProto proto : ProtosOf(service->spec)) at_bid_[instance.bid].emplace(instance.service, proto);
  }
}

const PlannedService* FlowBuilder::Find(ServiceId id) const {
  const auto found = services_.find(id);
  return found == services_.end() ? nullptr : found->second;
}

bool FlowBuilder::Alone(const std::map<IpAddress, Claims>& claims, const IpAddress& address, IpProto proto) {
  const auto found = claims.find(address);
  if (found == claims.end()) return false;
  return 1 == std::count_if(found->second.begin(), found->second.end(),
                            [&](const auto& claim) { return !address.is_v4() || claim.second == proto; });
}

bool FlowBuilder::RestoresFragments(const PlannedInstance& instance, IpProto proto) const {
  return Alone(at_bid_, instance.bid, proto);
}

bool FlowBuilder::SteersFragments(const PlannedService& service, IpProto proto, Family family) const {
  const IpAddress& sid = *SidOf(service.spec, family);
  if (Alone(at_sid_, sid, proto)) return true;
  const Claims& claims = at_sid_.at(sid);
  return !KeyHasProto(service.spec.affinity) &&
         std::all_of(claims.begin(), claims.end(),
                     [&](const auto& claim) { return claim.first == service.id; });
}

void FlowBuilder::Add(Table table, uint16_t priority, std::string match, std::string actions,
                      const FlowSubject& subject) {
  if (!match.empty() && match.back() == ',') match.pop_back();
  flows_.push_back(
      {.table = static_cast<uint8_t>(table),
       .priority = priority,
       .cookie = EncodeCookie(
           {.kind = subject.kind, .service = subject.service, .instance = subject.instance, .at = plan_.id}),
       // Its last count is not to be lost.
       .send_flow_removed = subject.kind == FlowKind::kUnbound,
       .match = std::move(match),
       .actions = std::move(actions)});
}

uint32_t MeterOf(PuntReason reason) {
  switch (reason) {
    case PuntReason::kDemand:
    case PuntReason::kEgressGone: return kDemandMeter;
    case PuntReason::kFragmentToInstance:
    case PuntReason::kFragmentToClient: return kFragmentMeter;
    default: return kOtherMeter;
  }
}

uint32_t MeterLimit(const PuntLimits& limits, uint32_t meter) {
  if (meter == kDemandMeter) return limits.demands_per_s;
  return meter == kFragmentMeter ? limits.fragments_per_s : limits.others_per_s;
}

std::string FlowBuilder::Punt(PuntReason reason, ServiceId service, const std::string& first) const {
  const uint32_t meter = MeterOf(reason);
  std::string text;
  if (MeterLimit(plan_.punts, meter) > 0) text = "meter:" + std::to_string(meter) + ",";
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
  CompileStores(builder);
  CompileInstances(builder);
  CompileTunnel(builder);
  CompileRouting(builder);

  Compiled compiled;
  if (plan.tunnel) compiled.tunnel_options = TunnelOptions();
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
  for (const PlannedService& service : plan.services) {
    if (service.spec.dispatch != Dispatch::kLearn) continue;
    for (Family family : kFamilies) {
      const bool v6 = family == Family::kV6;
      const std::vector<InstanceId>& slots = v6 ? service.slots_v6 : service.slots_v4;
      if (slots.empty() || !SidOf(service.spec, family)) continue;
      compiled.groups.push_back({.id = GroupId(service.id, v6), .slots = slots});
    }
  }
  std::sort(compiled.groups.begin(), compiled.groups.end(),
            [](const Group& a, const Group& b) { return a.id < b.id; });
  // A burst of one second's worth: less would drop demands that merely arrive together.
  for (const uint32_t id : {kDemandMeter, kOtherMeter, kFragmentMeter}) {
    const uint32_t limit = MeterLimit(plan.punts, id);
    if (limit > 0) compiled.meters.push_back({.id = id, .packets_per_s = limit, .burst_packets = limit});
  }
  return compiled;
}

}  // namespace dyncast::pipeline
