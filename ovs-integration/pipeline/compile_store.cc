// Tables lookup, older, renew, marked, select and learn: which instance a key has, who gives it one, and
// where that is kept.
#include <string>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

constexpr uint16_t kLookup = 100;
constexpr uint16_t kOlder = 100;
constexpr uint16_t kRenew = 100;
constexpr uint16_t kMarked = 100;

constexpr uint16_t kSelectNoFragment = 120;
constexpr uint16_t kSelectAgain = 110;
constexpr uint16_t kSelect = 100;
constexpr uint16_t kSelectUnknown = 50;
constexpr uint16_t kSelectedFragment = 20;
constexpr uint16_t kSelected = 10;

constexpr uint16_t kLearnFragment = 120;
constexpr uint16_t kLearnClosed = 110;
constexpr uint16_t kLearn = 100;
constexpr uint16_t kMiss = 0;

std::string OfService(const PlannedService& service) { return "reg1=" + Hex(service.id.value()); }

// The table that is looked into first, and with generations what was so before.
Table CurrentTable(const FlowBuilder& out, const PlannedService& service) {
  return TableOf(PlaceAt(out.plan().role, service));
}
Table OlderTable(const FlowBuilder& out, const PlannedService& service) {
  const auto generation = static_cast<uint8_t>(1 - service.generation);
  return TableOf(GenerationPlace(generation, KeyFormAt(out.plan().role, service.spec)));
}

// The client's address as `learn` copies it, with a comma behind; empty where the key has none of it.
std::string ClientField(const Affinity& affinity, Family family) {
  const std::string bits = ClientBitRange(affinity, family);
  if (bits.empty()) return {};
  return (family == Family::kV4 ? "NXM_OF_IP_SRC" : "NXM_NX_IPV6_SRC") + bits + ",";
}

// "zone=S" of a service with store kConntrack.
std::string Zone(const PlannedService& service) { return "zone=" + std::to_string(service.id.value()); }

// `options` ends with a comma unless it is empty.
std::string MarkConnection(const PlannedService& service, const std::string& options = {}) {
  return "ct(commit," + options + Zone(service) +
         ",exec(move:NXM_NX_REG0[0..15]->NXM_NX_CT_MARK[0..15],"
         "move:NXM_NX_REG1[0..15]->NXM_NX_CT_MARK[16..31]))";
}

// The action that makes the switch hold the key for `instance`; `key`: what of it a flow matches beside reg1,
// reg4 and reg7, as specifications of `learn`.
std::string LearnBinding(const SwitchPlan& plan, const PlannedService& service, InstanceId instance,
                         const std::string& key) {
  const Affinity& affinity = service.spec.affinity;
  const bool timed = StoreOf(affinity) == BindingStoreKind::kTimed;
  const Table table = TableOf(PlaceAt(plan.role, service));
  std::string text = "learn(table=" + std::to_string(static_cast<unsigned>(table)) +
                     ",priority=" + std::to_string(kBindingPriority);
  if (timed) {
    text += ",idle_timeout=" + std::to_string(TimeoutSeconds(affinity.idle_timeout));
    const uint16_t fin_s = TimeoutSeconds(affinity.fin_timeout);
    if (affinity.kind == AffinityKind::k5Tuple && ProtosOf(service.spec).contains(IpProto::kTcp) &&
        fin_s > 0) {
      text += ",fin_idle_timeout=" + std::to_string(fin_s);
    }
    text += ",send_flow_rem";
  }
  const uint64_t cookie =
      EncodeCookie({.kind = FlowKind::kBinding, .service = service.id, .instance = instance, .at = plan.id});
  return text + ",cookie=" + Hex(cookie) + ",NXM_NX_REG1[],NXM_NX_REG4[],NXM_NX_REG7[]," + key +
         "load:" + Hex(instance.value()) + "->NXM_NX_REG0[])";
}
// What is learned of a key in registers has no match on the packet itself, so one action does for all
// protocols and families; equal keys replace each other.
constexpr const char* kKeyInRegisters = "NXM_NX_XXREG2[],";

void CompileLookup(FlowBuilder& out, const PlannedService& service) {
  const FlowSubject subject{
      .kind = FlowKind::kDispatch,
      .service = service.id,
      .instance = InstanceId{static_cast<uint16_t>(service.generation | (service.binding_closed ? 2u : 0u))}};
  const std::string select = Visit(Table::kSelect);
  const std::string match = OfService(service);
  switch (StoreOf(service.spec.affinity)) {
    case BindingStoreKind::kAuto:
    case BindingStoreKind::kTimed:
      out.Add(Table::kLookup, kLookup, match, Visit(CurrentTable(out, service)) + "," + select, subject);
      return;
    case BindingStoreKind::kGenerations:
      out.Add(Table::kLookup, kLookup, match,
              Visit(CurrentTable(out, service)) + "," + Visit(Table::kOlder) + "," + select, subject);
      return;
    case BindingStoreKind::kConntrack:
      for (Family family : kFamilies) {  // ct wants to know which
        if (!SidOf(service.spec, family)) continue;
        out.Add(
            Table::kLookup, kLookup, IpText(family) + "," + match,
            "ct(table=" + std::to_string(static_cast<unsigned>(Table::kMarked)) + "," + Zone(service) + ")",
            subject);
      }
      return;
    case BindingStoreKind::kNone: out.Add(Table::kLookup, kLookup, match, select, subject); return;
  }
}

// Bindings without timeouts: what is found in the older table moves to the current one, so that the older one
// can be emptied when its time has come. A full service goes on with this: it adds no key.
void CompileGenerations(FlowBuilder& out, const PlannedService& service) {
  out.Add(Table::kOlder, kOlder, "reg0=0," + OfService(service),
          Visit(OlderTable(out, service)) + "," + Visit(Table::kRenew), {.service = service.id});
}

void CompileMarked(FlowBuilder& out, const PlannedService& service) {
  const uint32_t mark = static_cast<uint32_t>(service.id.value()) << 16;
  out.Add(Table::kMarked, kMarked, OfService(service) + ",ct_mark=" + Hex(mark) + "/0xffff0000",
          "move:NXM_NX_CT_MARK[0..15]->NXM_NX_REG0[0..15]," + Visit(Table::kSelect), {.service = service.id});
}

void CompileSelect(FlowBuilder& out, const PlannedService& service) {
  const FlowSubject subject{.service = service.id};
  const std::string unbound = "reg0=0," + OfService(service);
  if (out.plan().role == SwitchRole::kDForwarder) {
    // Whether it was bound before or not: whoever decides says where to.
    out.Add(Table::kSelect, kSelect, unbound, Visit(Table::kMiss), subject);
    return;
  }
  const std::string punt = out.Punt(PuntReason::kDemand, service.id);
  if (service.spec.dispatch == Dispatch::kReactive) {
    out.Add(Table::kSelect, kSelectAgain, unbound + ",reg2=0x1",
            out.Punt(PuntReason::kEgressGone, service.id), subject);
    out.Add(Table::kSelect, kSelect, unbound, punt, subject);
    // The controller reads keys from packets. A first fragment has ports in it, but its key has none: a later
    // one, which has none, is what the controller can bind for all of them.
    bool ports = false;
    for (IpProto proto : ProtosOf(service.spec)) ports |= KeyHasPorts(service.spec.affinity, proto);
    for (Family family : kFamilies) {
      if (!ports || !SidOf(service.spec, family)) continue;
      out.Add(Table::kSelect, kSelectNoFragment, IpText(family) + "," + unbound + ",nw_frag=first", "drop",
              subject);
    }
    return;
  }
  // With reg2=1 too: what is learned then takes the place of the binding whose instance is gone.
  for (Family family : kFamilies) {
    if (!SidOf(service.spec, family)) continue;
    const bool v6 = family == Family::kV6;
    const bool any = !(v6 ? service.slots_v6 : service.slots_v4).empty();
    out.Add(Table::kSelect, kSelect, IpText(family) + "," + unbound,
            any ? "group:" + std::to_string(GroupId(service.id, v6)) : punt, subject);
  }
}

// What keeps a choice. A service without a flow here keeps none.
void CompileLearn(FlowBuilder& out, const PlannedService& service) {
  if (service.spec.dispatch != Dispatch::kLearn) return;
  const BindingStoreKind store = StoreOf(service.spec.affinity);
  if (store == BindingStoreKind::kNone) return;
  const FlowSubject subject{.service = service.id};
  if (service.binding_closed) {
    // Nothing new is kept. A binding whose instance is gone gets another one (bit 0 of reg2): that adds none.
    const bool forwarder = out.plan().role == SwitchRole::kDForwarder;
    out.Add(Table::kLearn, kLearnClosed,
            OfService(service) + ",reg2=" + (forwarder ? Hex(kOfferInRegister2) : "0"), Visit(Table::kEgress),
            {.kind = FlowKind::kUnbound, .service = service.id});
  }
  if (store != BindingStoreKind::kConntrack) return;
  for (Family family : kFamilies) {
    if (!SidOf(service.spec, family)) continue;
    out.Add(Table::kLearn, kLearn, IpText(family) + "," + OfService(service),
            MarkConnection(service) + "," + Visit(Table::kEgress), subject);
  }
}

// The flow that renews a binding in header form: one for each shape of the service's keys, since a match on
// ports names its protocol. The packet was found by this key, so the datapath's flow matches all of it
// anyway.
void CompileRenewedHeaders(FlowBuilder& out, const PlannedService& service, const PlannedInstance& instance) {
  const Affinity& affinity = service.spec.affinity;
  const Family family = FamilyOf(instance.bid);
  const FlowSubject subject{.service = service.id, .instance = instance.id};
  const std::string chosen = "," + OfService(service) + ",reg0=" + Hex(instance.id.value()) + ",reg7=";
  const std::string head = std::string("eth_type=") + (family == Family::kV4 ? "0x800," : "0x86dd,");
  const std::string client = ClientField(affinity, family);
  out.Add(Table::kRenew, kRenew, IpText(family) + chosen + "0",
          LearnBinding(out.plan(), service, instance.id, head + client), subject);
  for (IpProto proto : ProtosOf(service.spec)) {
    if (!KeyHasPorts(affinity, proto)) continue;
    std::string key = head + "nw_proto=" + std::to_string(ProtoNumber(proto, family)) + "," + client;
    if (affinity.kind == AffinityKind::k5Tuple) key += SourcePortField(proto) + ",";
    key += DestinationPortField(proto) + ",";
    out.Add(Table::kRenew, kRenew, ProtoText(proto, family) + chosen + Hex(kKeyHasPorts),
            LearnBinding(out.plan(), service, instance.id, key), subject);
  }
}

void CompileLearned(FlowBuilder& out, const PlannedService& service, const PlannedInstance& instance) {
  const BindingStoreKind store = StoreOf(service.spec.affinity);
  if (store != BindingStoreKind::kTimed && store != BindingStoreKind::kGenerations) return;
  const FlowSubject subject{.service = service.id, .instance = instance.id};
  const std::string chosen = OfService(service) + ",reg0=" + Hex(instance.id.value());
  if (KeyFormAt(out.plan().role, service.spec) == KeyForm::kHeader) {
    if (store == BindingStoreKind::kGenerations) CompileRenewedHeaders(out, service, instance);
    return;
  }
  const std::string learn = LearnBinding(out.plan(), service, instance.id, kKeyInRegisters);
  if (store == BindingStoreKind::kGenerations) out.Add(Table::kRenew, kRenew, chosen, learn, subject);
  if (service.spec.dispatch != Dispatch::kLearn) return;
  out.Add(Table::kLearn, kLearn, chosen, learn + "," + Visit(Table::kEgress), subject);
}

// Where an instance is known, just before egress would give a later fragment its D-BID. By the group's
// verdict nothing is kept: the first fragment gets the same one, and keeps it.
void CompileLaterFragments(FlowBuilder& out, const PlannedService& service) {
  if (!service.spec.sid_v4) return;
  for (IpProto proto : ProtosOf(service.spec)) {
    if (!SpoiledAsLaterFragment(proto) || !out.SteersFragments(service, proto, Family::kV4)) continue;
    const std::string match = ProtoText(proto, Family::kV4) + "," + OfService(service) + ",nw_frag=later";
    const std::string punt = out.Punt(PuntReason::kFragmentToInstance, service.id);
    out.Add(Table::kSelect, kSelectedFragment, match, punt, {.service = service.id});
    // At a D-Forwarder binding info comes to table learn, and the frame behind it may be a small fragment.
    if (out.plan().role == SwitchRole::kDForwarder) continue;
    if (StoreOf(service.spec.affinity) != BindingStoreKind::kConntrack) {
      out.Add(Table::kLearn, kLearnFragment, match, punt, {.service = service.id});
      continue;
    }
    // Connection tracking holds fragments until it has seen them all, and lets them go on together in the way
    // of the one that came last: each must find its own way again.
    const std::string again = "table=" + std::to_string(static_cast<unsigned>(Table::kSelect)) + ",";
    for (const FragmentMatch& fragment : FragmentMatches(proto, Family::kV4)) {
      out.Add(Table::kLearn, kLearnFragment, fragment.protocol + "," + OfService(service) + fragment.which,
              MarkConnection(service, again), {.service = service.id});
    }
  }
}

}  // namespace

void CompileStores(FlowBuilder& out) {
  for (const PlannedService& service : out.plan().services) {
    const BindingStoreKind store = StoreOf(service.spec.affinity);
    CompileLookup(out, service);
    if (store == BindingStoreKind::kGenerations) CompileGenerations(out, service);
    if (store == BindingStoreKind::kConntrack) CompileMarked(out, service);
    CompileSelect(out, service);
    CompileLearn(out, service);
    CompileLaterFragments(out, service);
  }
  for (const PlannedInstance& instance : out.plan().instances) {
    const PlannedService* service = out.Find(instance.service);
    if (service != nullptr) CompileLearned(out, *service, instance);
  }
  out.Add(Table::kLookup, kMiss, "", "drop");
  out.Add(Table::kMarked, kMiss, "", Visit(Table::kSelect));
  out.Add(Table::kSelect, kSelectUnknown, "reg0=0", "drop");
  out.Add(Table::kSelect, kSelected, "", Visit(Table::kEgress));
  out.Add(Table::kLearn, kMiss, "", Visit(Table::kEgress));
}

}  // namespace dyncast::pipeline
