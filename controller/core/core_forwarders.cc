// D-Forwarders: whom they ask, who answers them, and what they are told of instances that are gone.
#include <algorithm>
#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

// Open vSwitch forgets the next hop of a tunnel 15 minutes after it was last seen.
constexpr std::chrono::seconds kHelloInterval{30};
// The first one only makes it ask for the next hop; one that follows goes the whole way, and whoever has to
// learn of it on that way does so before a demand comes.
constexpr std::chrono::milliseconds kFirstHelloInterval{100};
constexpr int kFirstHellos = 4;

std::vector<IpAddress> PeersOf(const SwitchPlan& plan) {
  std::vector<IpAddress> peers = plan.d_routers;
  for (const PlannedForwarder& forwarder : plan.forwarders) peers.push_back(forwarder.endpoint);
  return peers;
}

std::vector<IpPrefix> ClientsOf(const config::SwitchConfig& sw) {
  std::vector<IpPrefix> clients;
  for (const config::PortConfig& port : sw.ports) {
    if (port.role != PortRole::kAccess) continue;
    for (const IpPrefix& prefix : port.sources.empty() ? port.addresses : port.sources) {
      if (!prefix.address.is_link_local()) clients.push_back(prefix.Network());
    }
  }
  return clients;
}

}  // namespace

const Switch* Core::Impl::ByName(const std::string& name) const {
  for (const auto& sw : switches_) {
    if (sw && sw->configured && sw->config.name == name) return sw.get();
  }
  return nullptr;
}

// The first of its D-Routers that is there; while none is, or nobody knows, the first that is configured:
// switches go on without the controller.
const Switch* Core::Impl::AskedBy(const Switch& forwarder) const {
  const Switch* first = nullptr;
  for (const std::string& name : forwarder.config.d_routers) {
    const Switch* d_router = ByName(name);
    if (d_router == nullptr || !d_router->config.tunnel) continue;
    // A resync does not make it go away, but without its tunnel's port and endpoint it cannot be asked.
    const bool there = d_router->serving && d_router->endpoint_known && d_router->numbers &&
                       d_router->numbers->contains(d_router->config.tunnel->port);
    if (there) return d_router;
    if (first == nullptr) first = d_router;
  }
  return first;
}

const Switch* Core::Impl::ForwarderAt(const IpAddress& endpoint) const {
  for (const auto& sw : switches_) {
    if (!sw || !sw->configured || !sw->forwarder() || !sw->config.tunnel) continue;
    if (sw->config.tunnel->address == endpoint) return sw.get();
  }
  return nullptr;
}

Dispatch Core::Impl::DispatchAt(const Switch& sw, const Service& service) {
  return sw.forwarder() ? Dispatch::kLearn : service.spec.dispatch;
}

const Switch& Core::Impl::DeciderOf(const Switch& sw) const {
  const Switch* asked = sw.forwarder() ? AskedBy(sw) : nullptr;
  return asked != nullptr ? *asked : sw;
}

const std::string& Core::Impl::PlaceOf(const Switch& sw) const {
  return sw.config.agent.empty() ? DeciderOf(sw).config.agent : sw.config.agent;
}

TunnelPlan Core::Impl::TunnelsOf(const Switch& sw) const {
  TunnelPlan out;
  if (!sw.config.tunnel) return out;
  if (sw.forwarder()) {
    for (const std::string& name : sw.config.d_routers) {
      const Switch* d_router = ByName(name);
      if (d_router != nullptr && d_router->config.tunnel) {
        out.d_routers.push_back(d_router->config.tunnel->address);
      }
    }
    if (const Switch* asked = AskedBy(sw)) out.ask = asked->config.tunnel->address;
    registry_.ForEach([&](const Instance& instance) {
      if (!instance.in_plan() && table_.CountOf(instance.id()) > 0) out.gone.push_back(instance.id());
    });
    return out;
  }
  for (const auto& other : switches_) {
    if (!other || !other->configured || !other->forwarder() || !other->config.tunnel) continue;
    const std::vector<std::string>& names = other->config.d_routers;
    if (std::find(names.begin(), names.end(), sw.config.name) == names.end()) continue;
    out.forwarders.push_back(
        {.id = other->id, .endpoint = other->config.tunnel->address, .sources = ClientsOf(other->config)});
  }
  return out;
}

// Bindings to an instance that is gone end one after the other, without a change of the instance.
bool Core::Impl::PlanLags(const Switch& sw) const {
  if (!sw.forwarder() || sw.plan == nullptr) return false;
  const SwitchPlan anew = Anew(sw);
  return anew.instances != sw.plan->instances;
}

void Core::Impl::SendHellos(Switch* sw, MonoTime now, Effects* effects) {
  if (!sw->synced || sw->plan == nullptr || !sw->plan->tunnel) return;
  std::vector<IpAddress> peers = PeersOf(*sw->plan);
  if (peers != sw->greeted) {
    sw->first_hellos = kFirstHellos;
  } else if (now < sw->next_hello) {
    return;
  }
  for (const IpAddress& peer : peers) {
    effects->emplace_back(SendHello{.at = sw->id, .tunnel = sw->plan->tunnel->port, .to = peer});
  }
  sw->greeted = std::move(peers);
  if (sw->first_hellos > 0) --sw->first_hellos;
  sw->next_hello = now + (sw->first_hellos > 0 ? Micros{kFirstHelloInterval} : Micros{kHelloInterval});
}

// The refusal of a demand that a D-Forwarder asked about goes out where its client is. What was too large for
// the tunnel came by way of routers, so the frame does not tell whom to send to: the D-Forwarder's routes do.
void Core::Impl::RefuseAtForwarder(const DemandArrived& event, const Switch& forwarder, Effects* effects) {
  if (!forwarder.connected || forwarder.plan == nullptr) return;
  const NextHop hop = FindNextHop(*forwarder.plan, event.demand.client);
  if (hop.port == nullptr || hop.port->role != PortRole::kAccess) return;
  effects->emplace_back(RefuseDemand{
      .at = forwarder.id, .in_port = hop.port->tagged(), .neighbor = hop.address, .packet = event.packet});
}

}  // namespace dyncast::core
