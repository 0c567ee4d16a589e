// Tables egress, return and returned: from an instance id to its D-BID, and from its answers to the D-SID.
#include <string>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

constexpr uint16_t kEgress = 100;
constexpr uint16_t kEgressGone = 1;

// In table return, highest first. Answers from a port are found before any other mask is tried: no ICMP error
// and no fragment (they show port 0) matches such a flow. A fragment does look like an IPv4 echo reply, whose
// type and code are 0.
constexpr uint16_t kReturn = 310;
constexpr uint16_t kReturnBlock = 300;  // part of a range of ports
constexpr uint16_t kIcmpError = 200;
constexpr uint16_t kReturnFragment = 110;
constexpr uint16_t kReturnEcho = 100;

constexpr uint16_t kTrack = 100;
constexpr uint16_t kMiss = 0;

void CompileEgress(FlowBuilder& out, const PlannedInstance& instance) {
  out.Add(Table::kEgress, kEgress, IpText(FamilyOf(instance.bid)) + ",reg0=" + Hex(instance.id.value()),
          SetDestination(instance.bid) + "," + Visit(Table::kRoute),
          {.kind = FlowKind::kEgress, .service = instance.service, .instance = instance.id});
}

void CompileReturn(FlowBuilder& out, const PlannedService& service, const PlannedInstance& instance) {
  const Family family = FamilyOf(instance.bid);
  const FlowSubject subject{.service = instance.service, .instance = instance.id};
  std::string restore = SetSource(*SidOf(service.spec, family)) + ",";
  if (StoreOf(service.spec.affinity) == BindingStoreKind::kConntrack) {
    restore += SetRegister(1, service.id.value()) + "," + Visit(Table::kReturned);
  } else {
    restore += VisitOut();
  }
  // reg0=0: an instance that is itself the client of another service keeps its own source address.
  const std::string from = ",reg0=0," + FromAddress(instance.bid);
  for (const PortRange& range : service.spec.ports) {
    const std::string answer = ProtoText(range.proto, family) + from;
    if (!HasPorts(range.proto)) {
      const std::string reply = family == Family::kV4 ? "0" : "129";
      out.Add(Table::kReturn, kReturnEcho, answer + ",icmp_type=" + reply + ",icmp_code=0", restore, subject);
      continue;
    }
    for (const PortMask& mask : PortMasks(range.first, range.last)) {
      out.Add(Table::kReturn, mask.IsPort() ? kReturn : kReturnBlock,
              answer + ",tp_src=" + PortMaskText(mask), restore, subject);
    }
  }
  for (IpProto proto : ProtosOf(service.spec)) {
    if (!out.RestoresFragments(instance, proto)) continue;
    const auto [first, later] = FragmentMatches(proto, family);
    const bool spoiled = family == Family::kV4 && SpoiledAsLaterFragment(proto);
    out.Add(Table::kReturn, kReturnFragment, first.protocol + from + first.which, restore, subject);
    out.Add(Table::kReturn, kReturnFragment, later.protocol + from + later.which,
            spoiled ? out.Punt(PuntReason::kFragmentToClient, service.id) : restore, subject);
  }
}

// Connection tracking sees the answers of such a service, so that it knows how long to remember what; whose
// they are does not depend on it, so a connection outlives the loss of what was tracked. Fragments pass by:
// later ones may not be recognised, and the first one would wait for them.
void CompileReturned(FlowBuilder& out, const PlannedService& service) {
  for (Family family : kFamilies) {
    if (!SidOf(service.spec, family)) continue;
    out.Add(Table::kReturned, kTrack,
            IpText(family) + ",reg1=" + Hex(service.id.value()) + ",nw_frag=no,ct_state=-trk",
            "ct(table=" + std::to_string(static_cast<unsigned>(Table::kReturned)) +
                ",zone=" + std::to_string(service.id.value()) + ")",
            {.service = service.id});
  }
}

}  // namespace

void CompileInstances(FlowBuilder& out) {
  for (const PlannedInstance& instance : out.plan().instances) {
    const PlannedService* service = out.Find(instance.service);
    if (service == nullptr || !SidOf(service->spec, FamilyOf(instance.bid))) continue;
    if (instance.reachable) CompileEgress(out, instance);
    CompileReturn(out, *service, instance);
  }
  for (const PlannedService& service : out.plan().services) {
    if (StoreOf(service.spec.affinity) == BindingStoreKind::kConntrack) CompileReturned(out, service);
  }
  // An instance whose egress is gone: select again, once (reg2 guards the loop).
  out.Add(Table::kEgress, kEgressGone, "reg2=0",
          SetRegister(2, 1) + "," + SetRegister(0, 0) + "," + Visit(Table::kSelect));
  out.Add(Table::kEgress, kMiss, "", "drop");

  for (Family family : kFamilies) {
    for (int type : IcmpErrorTypes(family)) {
      out.Add(Table::kReturn, kIcmpError,
              ProtoText(IpProto::kIcmp, family) + ",icmp_type=" + std::to_string(type),
              out.Punt(PuntReason::kIcmpErrorToClient, ServiceId{}));
    }
  }
  out.Add(Table::kReturn, kMiss, "", VisitOut());
  out.Add(Table::kReturned, kMiss, "", VisitOut());
}

}  // namespace dyncast::pipeline
