// Tables service, select, egress and return: from a D-SID to an instance and back.
#include <string>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

constexpr uint16_t kLaterFragment = 120;
constexpr uint16_t kLaterFragmentRefused = 110;
constexpr uint16_t kNoSourcePort = 105;
constexpr uint16_t kServicePort = 100;
constexpr uint16_t kNoSuchPort = 50;
constexpr uint16_t kMiss = 0;

constexpr uint16_t kSelectAgain = 110;
constexpr uint16_t kSelect = 100;
constexpr uint16_t kSelectUnknown = 50;
constexpr uint16_t kSelected = 10;

constexpr uint16_t kEgress = 100;
constexpr uint16_t kEgressGone = 1;

constexpr uint16_t kReturnFragment = 110;
constexpr uint16_t kReturn = 100;

// What every packet of the service goes through, whatever its port.
std::string ServiceActions(const PlannedService& service) {
  const Affinity& affinity = service.spec.affinity;
  std::string actions = SetRegister(1, service.id.value()) + ",";
  // The client's bits that count, copied where the binding can match them exactly: one flow per client
  // and no mask in the binding table, however different the prefixes of the services are.
  if (affinity.kind == AffinityKind::kClient) {
    actions += "move:NXM_OF_IP_SRC[]->NXM_NX_REG8[],";
  } else if (affinity.kind == AffinityKind::kClientPrefix && affinity.prefix_v4 > 0) {
    const std::string bits =
        affinity.prefix_v4 >= 32 ? "[]" : "[" + std::to_string(32 - affinity.prefix_v4) + "..31]";
    actions += "move:NXM_OF_IP_SRC" + bits + "->NXM_NX_REG8" + bits + ",";
  }
  return actions + Visit(Table::kBinding) + "," + Visit(Table::kSelect);
}

void CompileService(FlowBuilder& out, const PlannedService& service) {
  const ServiceSpec& spec = service.spec;
  const FlowSubject subject{.service = service.id};
  if (spec.sid_v4) {
    const std::string to_sid = ",nw_dst=" + spec.sid_v4->ToString();
    const std::string actions = ServiceActions(service);
    for (const PortRange& range : spec.ports) {
      for (const PortMask& mask : PortMasks(range.first, range.last)) {
        out.Add(Table::kService, kServicePort,
                ProtoText(range.proto) + to_sid + ",tp_dst=" + PortMaskText(mask), actions, subject);
      }
    }
    for (IpProto proto : ProtosOf(spec)) {
      // Port 0 stands for 'left out' in a key: such a packet would bind the client's every port.
      if (spec.affinity.kind == AffinityKind::k5Tuple) {
        out.Add(Table::kService, kNoSourcePort, ProtoText(proto) + to_sid + ",tp_src=0", "drop", subject);
      }
      if (out.SteersLaterFragments(service, proto)) {
        out.Add(Table::kService, kLaterFragment, ProtoText(proto) + to_sid + ",nw_frag=later", actions,
                subject);
      }
    }
    // Both drops belong to the D-SID, which several services may share: no service in the cookie.
    out.Add(Table::kService, kLaterFragmentRefused, "ip" + to_sid + ",nw_frag=later", "drop");
    out.Add(Table::kService, kNoSuchPort, "ip" + to_sid, "drop");
  }
  const std::string unbound = "reg0=0,reg1=" + Hex(service.id.value());
  out.Add(Table::kSelect, kSelectAgain, unbound + ",reg2=0x1", out.Punt(PuntReason::kEgressGone, service.id),
          subject);
  out.Add(Table::kSelect, kSelect, unbound, out.Punt(PuntReason::kDemand, service.id), subject);
}

}  // namespace

void CompileServices(FlowBuilder& out) {
  for (const PlannedService& service : out.plan().services) CompileService(out, service);
  out.Add(Table::kService, kMiss, "", Visit(Table::kRoute));
  out.Add(Table::kSelect, kSelectUnknown, "reg0=0", "drop");
  out.Add(Table::kSelect, kSelected, "", Visit(Table::kEgress));
}

void CompileInstances(FlowBuilder& out) {
  for (const PlannedInstance& instance : out.plan().instances) {
    const PlannedService* service = out.Find(instance.service);
    if (service == nullptr || !service->spec.sid_v4) continue;
    const FlowSubject egress{.kind = FlowKind::kEgress, .service = instance.service, .instance = instance.id};
    out.Add(Table::kEgress, kEgress, "ip,reg0=" + Hex(instance.id.value()),
            "set_field:" + instance.bid.ToString() + "->ip_dst," + Visit(Table::kRoute), egress);

    const FlowSubject subject{.service = instance.service, .instance = instance.id};
    const std::string restore = "set_field:" + service->spec.sid_v4->ToString() + "->ip_src";
    // reg0=0: an instance that is itself the client of another service keeps its own source address.
    const std::string from = ",reg0=0,nw_src=" + instance.bid.ToString();
    for (const PortRange& range : service->spec.ports) {
      for (const PortMask& mask : PortMasks(range.first, range.last)) {
        out.Add(Table::kReturn, kReturn, ProtoText(range.proto) + from + ",tp_src=" + PortMaskText(mask),
                restore, subject);
      }
    }
    for (IpProto proto : ProtosOf(service->spec)) {
      if (!out.SharesBid(instance) && out.SteersLaterFragments(*service, proto)) {
        out.Add(Table::kReturn, kReturnFragment, ProtoText(proto) + from + ",nw_frag=later", restore,
                subject);
      }
    }
  }
  // An instance whose egress is gone: select again, once (reg2 guards the loop).
  out.Add(Table::kEgress, kEgressGone, "reg2=0",
          SetRegister(2, 1) + "," + SetRegister(0, 0) + "," + Visit(Table::kSelect));
  out.Add(Table::kEgress, kMiss, "", "drop");
}

}  // namespace dyncast::pipeline
