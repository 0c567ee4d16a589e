// Rules about D-Forwarders, the D-Routers that they ask, and the tunnels between them.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "schema/config/fabric_check.h"
#include "schema/config/networks.h"

namespace dyncast::config {
namespace {

std::string PathOf(size_t sw) { return fmt::format("switches[{}]", sw); }

// The first switch of that name; nothing for none.
const SwitchConfig* FindSwitch(const FabricConfig& config, const std::string& name) {
  for (const SwitchConfig& sw : config.switches) {
    if (sw.name == name) return &sw;
  }
  return nullptr;
}

// The rule that `address` breaks as an endpoint of `sw`; empty: none.
std::string BrokenEndpointRule(const SwitchConfig& sw, const IpAddress& address) {
  if (!address.is_v4()) return "must be an IPv4 address";
  const auto local = std::find_if(sw.ports.begin(), sw.ports.end(), [&sw](const PortConfig& port) {
    return port.name == sw.bridge && port.vlan == 0;
  });
  if (local == sw.ports.end()) {
    return fmt::format("must be an address of the host behind the bridge's local port: ports has no '{}'",
                       sw.bridge);
  }
  if (local->role != PortRole::kEdge) {
    return fmt::format(
        "must be an address of the host behind the bridge's local port: '{}' must have role: edge",
        sw.bridge);
  }
  bool within = false;
  for (const IpPrefix& own : local->addresses) {
    if (own.address == address) return fmt::format("is the gateway's own address on port '{}'", sw.bridge);
    within = within || IsHostIn(own, address);
  }
  return within ? "" : fmt::format("must be a host's address in a network of port '{}'", sw.bridge);
}

void CheckEndpoints(Reader& reader, const FabricConfig& config) {
  std::map<IpAddress, std::string> first;
  for (size_t i = 0; i < config.switches.size(); ++i) {
    const SwitchConfig& sw = config.switches[i];
    const std::string path = PathOf(i) + ".tunnel.address";
    if (!sw.tunnel || sw.tunnel->address.is_none()) continue;
    const IpAddress& address = sw.tunnel->address;
    // A wrong bridge name is its own message, and hides which port is the local one.
    if (const std::string rule = sw.bridge.empty() ? "" : BrokenEndpointRule(sw, address); !rule.empty()) {
      reader.Refuse(path, address.ToString(), rule, Errc::kConflict);
      continue;
    }
    const auto [other, fresh] = first.emplace(address, path);
    if (!fresh) {
      reader.Refuse(path, address.ToString(), fmt::format("this endpoint is already at '{}'", other->second),
                    Errc::kDuplicate);
    }
  }
}

// A switch of role d-forwarder, with whom it asks.
void CheckForwarder(Reader& reader, const FabricConfig& config, size_t index) {
  const SwitchConfig& sw = config.switches[index];
  const std::string path = PathOf(index);
  if (!sw.tunnel && !reader.Says(path + ".tunnel")) {
    reader.Refuse(path + ".tunnel", "is missing: a d-forwarder asks its D-Router through it");
  }
  if (sw.d_routers.empty() && !reader.Refused(path + ".d_routers")) {
    reader.Refuse(path + ".d_routers", "must have at least one item: a d-forwarder asks a D-Router");
  }
  std::map<std::string, size_t> first;
  for (size_t d = 0; d < sw.d_routers.size(); ++d) {
    const std::string& name = sw.d_routers[d];
    const std::string item = fmt::format("{}.d_routers[{}]", path, d);
    if (name.empty()) continue;  // it broke a rule of its own
    if (const auto [other, fresh] = first.emplace(name, d); !fresh) {
      reader.Refuse(item, name, fmt::format("is already at '{}.d_routers[{}]'", path, other->second),
                    Errc::kDuplicate);
      continue;
    }
    const SwitchConfig* router = FindSwitch(config, name);
    if (router == nullptr) {
      reader.Refuse(item, name, "must be the name of a switch", Errc::kNotFound);
    } else if (router->role != SwitchRole::kDRouter) {
      reader.Refuse(item, name, "must be a switch with role: d-router", Errc::kConflict);
    } else if (!router->tunnel) {
      reader.Refuse(item, name, "must be a switch that has a tunnel", Errc::kConflict);
    }
  }
}

// The prefixes that clients of `sw` send from to anybody but the gateway, each with its place: sources that
// the file does not say are the networks of the addresses, in their order. Link-local ones cross no router.
void AddSources(const Reader& reader, const FabricConfig& config, size_t index,
                std::vector<PlacedPrefix>* out) {
  const SwitchConfig& sw = config.switches[index];
  for (size_t p = 0; p < sw.ports.size(); ++p) {
    if (sw.ports[p].role != PortRole::kAccess) continue;
    const std::string port = fmt::format("{}.ports[{}]", PathOf(index), p);
    const std::string_view key = reader.Says(port + ".sources") ? "sources" : "addresses";
    for (size_t s = 0; s < sw.ports[p].sources.size(); ++s) {
      if (sw.ports[p].sources[s].address.is_link_local()) continue;
      out->push_back({sw.ports[p].sources[s], fmt::format("{}.{}[{}]", port, key, s), index});
    }
  }
}

// A D-Router tells its D-Forwarders' demands from each other's, and from its own clients', by their sources.
void CheckSources(Reader& reader, const FabricConfig& config) {
  for (size_t r = 0; r < config.switches.size(); ++r) {
    const SwitchConfig& router = config.switches[r];
    if (router.role != SwitchRole::kDRouter || router.name.empty()) continue;
    std::vector<PlacedPrefix> all;
    bool asked = false;
    for (size_t f = 0; f < config.switches.size(); ++f) {
      const SwitchConfig& sw = config.switches[f];
      const bool asks =
          sw.role == SwitchRole::kDForwarder &&
          std::find(sw.d_routers.begin(), sw.d_routers.end(), router.name) != sw.d_routers.end();
      asked = asked || asks;
      if (f == r || asks) AddSources(reader, config, f, &all);
    }
    if (!asked) continue;
    RefuseOverlaps(
        reader, std::move(all),
        fmt::format("D-Router '{}' tells the clients of its D-Forwarders and its own apart by their "
                    "sources",
                    router.name));
  }
}

// What a client sends from an endpoint's address would be taken for that switch's word.
void CheckSpoofing(Reader& reader, const FabricConfig& config) {
  for (size_t i = 0; i < config.switches.size(); ++i) {
    std::vector<PlacedPrefix> sources;
    AddSources(reader, config, i, &sources);
    for (const PlacedPrefix& source : sources) {
      if (reader.Refused(source.path)) continue;
      for (const SwitchConfig& sw : config.switches) {
        if (!sw.tunnel || sw.tunnel->address.is_none() || !source.prefix.Contains(sw.tunnel->address))
          continue;
        reader.Refuse(
            source.path, source.prefix.ToString(),
            fmt::format("contains {}, the tunnel endpoint of switch '{}', which no client may send from",
                        sw.tunnel->address.ToString(), sw.name),
            Errc::kConflict);
        break;
      }
    }
  }
}

}  // namespace

void CheckTunnels(Reader& reader, const FabricConfig& config) {
  for (size_t i = 0; i < config.switches.size(); ++i) {
    if (reader.Refused(PathOf(i) + ".role")) continue;
    if (config.switches[i].role == SwitchRole::kDForwarder) {
      CheckForwarder(reader, config, i);
    } else if (reader.Says(PathOf(i) + ".d_routers")) {
      reader.Refuse(PathOf(i) + ".d_routers", "only a switch with role: d-forwarder has d_routers");
    }
  }
  CheckEndpoints(reader, config);
  CheckSources(reader, config);
  CheckSpoofing(reader, config);
}

}  // namespace dyncast::config
