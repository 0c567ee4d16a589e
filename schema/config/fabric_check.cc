#include "schema/config/fabric_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "schema/config/codec.h"
#include "schema/config/networks.h"
#include "schema/config/unique.h"

namespace dyncast::config {
namespace {

void CheckPool(Reader& reader, const FabricConfig& config) {
  std::vector<PlacedPrefix> all;
  for (size_t i = 0; i < config.sid_pool.size(); ++i) {
    all.push_back({config.sid_pool[i], fmt::format("sid_pool[{}]", i), i});
  }
  RefuseOverlaps(reader, std::move(all), "each address may be in the pool once");
}

void CheckAgents(Reader& reader, const FabricConfig& config) {
  Unique names("an agent of this name");
  for (size_t i = 0; i < config.agents.size(); ++i) {
    names.Check(reader, fmt::format("agents[{}].name", i), config.agents[i].name);
  }
  for (size_t i = 0; i < config.switches.size(); ++i) {
    const std::string& agent = config.switches[i].agent;
    const bool listed = std::any_of(config.agents.begin(), config.agents.end(),
                                    [&agent](const AgentAllowance& a) { return a.name == agent; });
    if (agent.empty() || listed) continue;
    reader.Refuse(fmt::format("switches[{}].agent", i), agent, "must be the name of one of 'agents'",
                  Errc::kConflict);
  }
}

// A switch of another host connects to its own loopback, or to a socket that is not there.
void CheckTarget(Reader& reader, const FabricConfig& config) {
  const ControllerConfig& c = config.controller;
  if (c.openflow_target.empty() || reader.Refused("controller.openflow_target") ||
      reader.Refused("controller.openflow_listen")) {
    return;
  }
  const std::optional<IpAddress> target = TcpAddress(c.openflow_target);
  if (target && !target->is_loopback()) return;
  for (size_t i = 0; i < config.switches.size(); ++i) {
    const SwitchConfig& sw = config.switches[i];
    const std::optional<IpAddress> ovsdb = TcpAddress(sw.ovsdb);
    if (!ovsdb || ovsdb->is_loopback()) continue;
    const bool said = reader.Says("controller.openflow_target");
    reader.Refuse(
        said ? "controller.openflow_target" : "controller.openflow_listen",
        said ? c.openflow_target : c.openflow_listen,
        fmt::format("switch '{}' at {} cannot connect to {}: {}", sw.name, sw.ovsdb, c.openflow_target,
                    said ? "give an address of this host that the switches reach"
                         : "listen at an address that the switches reach, or give openflow_target"),
        Errc::kConflict);
    return;
  }
}

void CheckPorts(Reader& reader, const std::string& at, const SwitchConfig& sw) {
  Unique names("a port of this name and VLAN id");
  std::vector<PlacedPrefix> networks;
  std::set<IpAddress> own;
  std::map<std::string, uint64_t> speeds;  // by interface
  for (size_t p = 0; p < sw.ports.size(); ++p) {
    const PortConfig& port = sw.ports[p];
    const std::string path = fmt::format("{}.ports[{}]", at, p);
    const std::string vlan = port.vlan == 0 ? "" : fmt::format(" (VLAN {})", port.vlan);
    names.Check(reader, path + ".name", port.name.empty() ? "" : port.name + vlan);
    for (size_t a = 0; a < port.addresses.size(); ++a) {
      const std::string item = fmt::format("{}.addresses[{}]", path, a);
      networks.push_back({port.addresses[a], item, p});
      if (!reader.Refused(item) && !own.insert(port.addresses[a].address).second) {
        reader.Refuse(item, port.addresses[a].ToString(), "this switch already has this address",
                      Errc::kDuplicate);
      }
    }
    if (port.speed && !port.name.empty()) {
      const auto [first, fresh] = speeds.emplace(port.name, *port.speed);
      if (!fresh && first->second != *port.speed) {
        reader.Refuse(path + ".speed", FormatBitRate(*port.speed),
                      fmt::format("must be the same for all VLANs of {}, where {} stands already", port.name,
                                  FormatBitRate(first->second)),
                      Errc::kConflict);
      }
    }
    if (port.role != PortRole::kAccess && reader.Says(path + ".sources")) {
      reader.Refuse(path + ".sources", "only a port with role: access has sources");
    }
  }
  RefuseOverlaps(reader, std::move(networks), "the networks of two ports of a switch must not overlap");
}

void CheckRoutes(Reader& reader, const std::string& at, const SwitchConfig& sw) {
  std::set<IpAddress> own;
  std::set<IpPrefix> connected;
  for (const PortConfig& port : sw.ports) {
    for (const IpPrefix& address : port.addresses) {
      own.insert(address.address);
      connected.insert(address.Network());
    }
  }
  std::set<IpPrefix> destinations;
  for (size_t r = 0; r < sw.routes.size(); ++r) {
    const RouteConfig& route = sw.routes[r];
    const std::string path = fmt::format("{}.routes[{}]", at, r);
    if (!reader.Refused(path + ".to")) {
      if (!destinations.insert(route.to).second) {
        reader.Refuse(path + ".to", route.to.ToString(), "this switch already has a route to this network",
                      Errc::kDuplicate);
      }
      if (connected.contains(route.to)) {
        reader.Refuse(path + ".to", route.to.ToString(), "is the network of one of the ports",
                      Errc::kConflict);
      }
    }
    if (route.via.is_none()) continue;
    if (own.contains(route.via)) {
      reader.Refuse(path + ".via", route.via.ToString(), "is the switch's own address", Errc::kConflict);
      continue;
    }
    const bool reachable = std::any_of(connected.begin(), connected.end(), [&route](const IpPrefix& network) {
      return IsHostIn(network, route.via);
    });
    if (!reachable) {
      reader.Refuse(path + ".via", route.via.ToString(),
                    "must be a host's address on the network of one of the switch's ports", Errc::kConflict);
    }
  }
}

}  // namespace

std::optional<IpAddress> TcpAddress(std::string_view endpoint) {
  if (!endpoint.starts_with("tcp:")) return std::nullopt;
  endpoint.remove_prefix(endpoint.starts_with("tcp://") ? 6 : 4);
  Result<IpAddress> address = IpAddress::Parse(endpoint.substr(0, endpoint.rfind(':')));
  return address.ok() ? std::optional<IpAddress>(*address) : std::nullopt;
}

void CheckSwitches(Reader& reader, const FabricConfig& config) {
  Unique names("a switch of this name");
  std::map<std::string, Unique> interfaces;  // by OVSDB server: a name is an interface of one bridge
  std::map<uint64_t, std::string> datapaths;
  for (size_t i = 0; i < config.switches.size(); ++i) {
    const SwitchConfig& sw = config.switches[i];
    const std::string path = fmt::format("switches[{}]", i);
    names.Check(reader, path + ".name", sw.name);
    if (!sw.ovsdb.empty()) {
      Unique& there = interfaces.try_emplace(sw.ovsdb, "at this OVSDB server, this name").first->second;
      there.Check(reader, path + ".bridge", sw.bridge);
      std::set<std::string> seen;  // a name said twice within the switch is CheckPorts' matter
      for (size_t p = 0; p < sw.ports.size(); ++p) {
        const std::string& name = sw.ports[p].name;
        if (name == sw.bridge || !seen.insert(name).second) continue;
        there.Check(reader, fmt::format("{}.ports[{}].name", path, p), name);
      }
      if (sw.tunnel) there.Check(reader, path + ".tunnel.port", sw.tunnel->port);
    }
    if (!sw.name.empty()) {
      const uint64_t id = DatapathIdFor(config.controller.fabric, sw.name);
      const auto [first, fresh] = datapaths.emplace(id, sw.name);
      if (!fresh && first->second != sw.name) {
        reader.Refuse(
            path + ".name", sw.name,
            fmt::format("gives the same datapath id {:016x} as '{}'; choose another name", id, first->second),
            Errc::kConflict);
      }
    }
    CheckPorts(reader, path, sw);
    CheckRoutes(reader, path, sw);
  }
}

void CheckFabric(Reader& reader, const FabricConfig& config) {
  CheckPool(reader, config);
  CheckTarget(reader, config);
  CheckSwitches(reader, config);
  CheckTunnels(reader, config);
  CheckAgents(reader, config);
  CheckServices(reader, config);
  CheckScores(reader, config);
}

}  // namespace dyncast::config
