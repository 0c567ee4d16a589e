// What is accepted, but may not do what was meant.
#include <fmt/core.h>

#include <algorithm>

#include "schema/config/fabric.h"
#include "schema/config/fabric_check.h"

namespace dyncast::config {
namespace {

// The default is right for agents on this host only, and elsewhere it looks as if they were silent.
void WarnOfMetrics(const FabricConfig& config, std::vector<std::string>* out) {
  const std::optional<IpAddress> bind = TcpAddress(config.controller.metrics_bind);
  if (!bind || !bind->is_loopback() || config.agents.empty()) return;
  for (const SwitchConfig& sw : config.switches) {
    const std::optional<IpAddress> ovsdb = TcpAddress(sw.ovsdb);
    if (!ovsdb || ovsdb->is_loopback()) continue;
    out->push_back(fmt::format(
        "controller.metrics_bind {} takes in agents of this host only, while switch '{}' is at {}: give "
        "an address of this host that the agents reach",
        config.controller.metrics_bind, sw.name, sw.ovsdb));
    return;
  }
}

void WarnOfServices(const FabricConfig& config, std::vector<std::string>* out) {
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
    for (const SwitchConfig& sw : config.switches) {
      const BindingStoreKind there = StoreAt(sw.role, service.affinity);
      const bool flows = there == BindingStoreKind::kTimed || there == BindingStoreKind::kGenerations;
      if (!flows || limit <= sw.binding_flow_limit) continue;
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

void WarnOfController(const ControllerConfig& controller, std::vector<std::string>* out) {
  const std::string& listen = controller.prometheus_listen;
  const Result<IpAddress> address = IpAddress::Parse(listen.substr(0, listen.rfind(':')));
  if (!address.ok() || address->is_loopback()) return;
  out->push_back(
      fmt::format("prometheus_listen: {}: whoever can connect there reads the names, states and "
                  "metrics of all instances",
                  listen));
}

}  // namespace

std::vector<std::string> FabricWarnings(const FabricConfig& config) {
  std::vector<std::string> out;
  WarnOfMetrics(config, &out);
  WarnOfController(config.controller, &out);
  WarnOfServices(config, &out);
  for (const SwitchConfig& sw : config.switches) {
    if (sw.role == SwitchRole::kDForwarder) WarnOfForwarder(config, sw, &out);
  }
  return out;
}

}  // namespace dyncast::config
