// What is accepted, but may not do what was meant.
#include <fmt/core.h>

#include <algorithm>

#include "schema/config/fabric.h"

namespace dyncast::config {
namespace {

void WarnOfServices(const FabricConfig& config, std::vector<std::string>* out) {
  const bool forwarders =
      std::any_of(config.switches.begin(), config.switches.end(),
                  [](const SwitchConfig& sw) { return sw.role == SwitchRole::kDForwarder; });
  for (const ServiceSpec& service : config.services) {
    const BindingStoreKind store = StoreOf(service.affinity);
    const uint32_t limit = service.affinity.limit;
    if (store == BindingStoreKind::kTimed && limit > kTimedStoreMost) {
      out->push_back(
          fmt::format("service '{}': limit {} with store: timed: above {} bindings each new one "
                      "slows the switch down; set a lower limit, or leave fin_timeout out and take store: "
                      "generations",
                      service.name, limit, kTimedStoreMost));
    }
    if (store == BindingStoreKind::kConntrack && forwarders) {
      out->push_back(
          fmt::format("service '{}': D-Forwarders hold no bindings with store: conntrack; each packet of "
                      "their clients goes "
                      "to the D-Router, and a change of shares moves flows",
                      service.name));
    }
    if (store != BindingStoreKind::kTimed && store != BindingStoreKind::kGenerations) continue;
    for (const SwitchConfig& sw : config.switches) {
      if (limit <= sw.binding_flow_limit) continue;
      out->push_back(
          fmt::format("service '{}': limit {} is above binding_flow_limit {} of switch '{}', which "
                      "is reached first",
                      service.name, limit, sw.binding_flow_limit, sw.name));
    }
  }
}

bool HasRouteTo(const SwitchConfig& sw, const IpAddress& address) {
  const auto connected = [&address](const PortConfig& port) {
    return std::any_of(port.addresses.begin(), port.addresses.end(),
                       [&address](const IpPrefix& network) { return network.Contains(address); });
  };
  return std::any_of(sw.ports.begin(), sw.ports.end(), connected) ||
         std::any_of(sw.routes.begin(), sw.routes.end(),
                     [&address](const RouteConfig& route) { return route.to.Contains(address); });
}

void WarnOfForwarder(const FabricConfig& config, const SwitchConfig& sw, std::vector<std::string>* out) {
  const bool clients = std::any_of(sw.ports.begin(), sw.ports.end(),
                                   [](const PortConfig& port) { return port.role == PortRole::kAccess; });
  if (!clients) {
    out->push_back(
        fmt::format("switch '{}': a d-forwarder without a port with role: access has no clients", sw.name));
  }
  for (const SwitchConfig& router : config.switches) {
    if (!router.tunnel ||
        std::find(sw.d_routers.begin(), sw.d_routers.end(), router.name) == sw.d_routers.end()) {
      continue;
    }
    if (clients && !HasRouteTo(sw, router.tunnel->address)) {
      out->push_back(fmt::format("switch '{}': has no route to {}, the tunnel endpoint of its D-Router '{}'",
                                 sw.name, router.tunnel->address.ToString(), router.name));
    }
    if (sw.tunnel && !HasRouteTo(router, sw.tunnel->address)) {
      out->push_back(
          fmt::format("switch '{}': has no route to {}, the tunnel endpoint of its D-Forwarder '{}'",
                      router.name, sw.tunnel->address.ToString(), sw.name));
    }
  }
}

}  // namespace

std::vector<std::string> FabricWarnings(const FabricConfig& config) {
  std::vector<std::string> out;
  WarnOfServices(config, &out);
  for (const SwitchConfig& sw : config.switches) {
    if (sw.role == SwitchRole::kDForwarder) WarnOfForwarder(config, sw, &out);
  }
  return out;
}

}  // namespace dyncast::config
