// What the switch cannot do to a packet by itself: ICMP errors about steered packets, later IPv4 fragments,
// and packets whose TTL ran out here. All of it is metered by the switch; nothing is kept.
#include <algorithm>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

// An error whose binding is not known goes to each instance that may have the connection; one without it
// ignores the error.
constexpr size_t kMostErrorCopies = 16;

bool Serves(const ServiceSpec& spec, IpProto proto, uint16_t port) {
  return std::any_of(spec.ports.begin(), spec.ports.end(), [&](const PortRange& range) {
    if (range.proto != proto && range.proto != IpProto::kAny) return false;
    return proto == IpProto::kIcmp || (range.first <= port && port <= range.last);
  });
}

}  // namespace

void Core::Impl::On(const IcmpErrorArrived& event, Now, Effects* effects) {
  const Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured) {
    ++counters_["icmp-errors-unknown"];
    return;
  }
  if (event.to_sid) {
    IcmpErrorToSid(event, effects);
  } else {
    IcmpErrorToClient(event, effects);
  }
}

void Core::Impl::IcmpErrorToClient(const IcmpErrorArrived& event, Effects* effects) {
  // It quotes client -> D-BID.
  const Demand& quoted = event.quoted;
  const Instance* found = nullptr;
  registry_.ForEach([&](const Instance& instance) {
    if (instance.record.bid != quoted.sid) return;
    const Service* service = services_.Find(instance.record.service);
    if (service == nullptr || !service->configured) return;
    if (!Serves(service->spec, quoted.proto, quoted.dst_port)) return;
    // One that is gone may have left its D-BID to another.
    if (found == nullptr || (!found->in_plan() && instance.in_plan())) found = &instance;
  });
  ReturnIcmpError out{
      .at = event.at, .neighbor = event.neighbor, .bid = {}, .sid = {}, .packet = event.packet};
  if (found != nullptr) {
    out.bid = quoted.sid;
    out.sid = services_.Find(found->record.service)->SidFor(quoted.sid);
  }
  ++counters_[found != nullptr ? "icmp-errors-returned" : "icmp-errors-passed"];
  effects->emplace_back(std::move(out));
}

void Core::Impl::IcmpErrorToSid(const IcmpErrorArrived& event, Effects* effects) {
  // It quotes D-SID -> client: the demand is the reverse.
  const Demand demand{.client = event.quoted.sid,
                      .sid = event.quoted.client,
                      .proto = event.quoted.proto,
                      .src_port = event.quoted.dst_port,
                      .dst_port = event.quoted.src_port};
  const bool v4 = demand.client.is_v4();
  const Service* service = nullptr;
  services_.ForEach([&](const Service& s) {
    if (service != nullptr || !s.configured || (v4 ? s.spec.sid_v4 : s.spec.sid_v6) != demand.sid) return;
    if (Serves(s.spec, demand.proto, demand.dst_port)) service = &s;
  });
  if (service == nullptr) {
    ++counters_["icmp-errors-unknown"];
    return;
  }
  const auto forward = [&](const Instance& instance) {
    ++counters_["icmp-errors-forwarded"];
    effects->emplace_back(ForwardIcmpError{.at = event.at,
                                           .in_port = event.in_port,
                                           .service = service->id,
                                           .instance = instance.id(),
                                           .bid = instance.record.bid,
                                           .packet = event.packet});
  };
  const BindingKey key = MakeBindingKey(service->spec.affinity, event.at, service->id, demand);
  const BindingRow* row = table_.Find(key);
  if (row != nullptr && Usable(*row)) {
    forward(*registry_.Find(row->instance));
    return;
  }
  size_t copies = 0;
  for (const Instance* instance : service->members) {
    if (!instance->in_plan() || instance->record.bid.is_v4() != v4 || copies == kMostErrorCopies) continue;
    ++copies;
    forward(*instance);
  }
}

void Core::Impl::On(const FragmentArrived& event, Now now, Effects* effects) {
  const Switch* sw = FindSwitch(event.at);
  const Service* service = services_.Find(event.service);
  if (sw == nullptr || !sw->configured || service == nullptr || !service->configured) {
    ++counters_["fragments-of-nothing-known"];
    return;
  }
  if (event.to_client) {
    ++counters_["fragments-returned"];
    effects->emplace_back(ReturnFragment{.at = event.at,
                                         .neighbor = event.neighbor,
                                         .sid = service->SidFor(event.demand.client),
                                         .packet = event.packet});
    return;
  }
  const Instance* instance = registry_.Find(event.instance);
  if (instance != nullptr && instance->in_plan() && instance->record.service == event.service) {
    ++counters_["fragments-forwarded"];
    effects->emplace_back(ForwardDemand{.at = event.at,
                                        .in_port = event.in_port,
                                        .service = event.service,
                                        .instance = event.instance,
                                        .bid = instance->record.bid,
                                        .packet = event.packet});
    return;
  }
  // The switch that decides for itself gives the key another instance with the next first fragment.
  if (DispatchAt(*sw, *service) == Dispatch::kLearn) {
    ++counters_["fragments-dropped-no-egress"];
    return;
  }
  On(DemandArrived{.at = event.at,
                   .service = event.service,
                   .demand = event.demand,
                   .in_port = event.in_port,
                   .egress_gone = true,
                   .forwarder = event.neighbor,
                   .packet = event.packet},
     now, effects);
}

void Core::Impl::On(const TtlExceeded& event, Now, Effects* effects) {
  const Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured || sw->plan == nullptr) return;
  const bool v4 = event.source.is_none() || event.source.is_v4();
  for (const PlannedPort& port : sw->plan->ports) {
    if (port.tagged() != event.in_port) continue;
    const IpAddress* gateway = nullptr;
    int longest = -2;
    for (const IpPrefix& prefix : port.addresses) {
      if (prefix.address.is_v4() != v4) continue;
      const int fits = prefix.Contains(event.source) ? prefix.length : -1;
      if (fits <= longest) continue;
      longest = fits;
      gateway = &prefix.address;
    }
    if (gateway == nullptr) break;
    ++counters_["ttl-exceeded-answered"];
    effects->emplace_back(AnswerTtlExceeded{
        .at = event.at, .in_port = event.in_port, .gateway = *gateway, .packet = event.packet});
    return;
  }
  ++counters_["ttl-exceeded-without-gateway"];
}

}  // namespace dyncast::core
