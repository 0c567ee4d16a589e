#include "schema/config/fabric_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "schema/config/codec.h"
#include "schema/config/unique.h"

namespace dyncast::config {
namespace {

struct PlacedPrefix {
  IpPrefix prefix;
  std::string path;
  size_t owner = 0;  // prefixes of one owner may overlap
};

// Refuses each prefix that overlaps one of another owner. Sorted, a prefix stands before all that lie in it.
void RefuseOverlaps(Reader& reader, std::vector<PlacedPrefix> all, std::string_view rule) {
  std::erase_if(all, [](const PlacedPrefix& p) { return p.prefix.address.is_none(); });
  std::stable_sort(all.begin(), all.end(), [](const PlacedPrefix& a, const PlacedPrefix& b) {
    return a.prefix.Network() < b.prefix.Network();
  });
  const PlacedPrefix* widest = nullptr;
  for (const PlacedPrefix& next : all) {
    if (widest == nullptr || !widest->prefix.Overlaps(next.prefix)) {
      widest = &next;
    } else if (widest->owner != next.owner) {
      reader.Refuse(next.path, next.prefix.ToString(),
                    fmt::format("overlaps {} at '{}': {}", widest->prefix.ToString(), widest->path, rule),
                    Errc::kConflict);
    }
  }
}

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
}

void CheckPorts(Reader& reader, const std::string& at, const SwitchConfig& sw) {
  Unique names("a port of this name");
  std::vector<PlacedPrefix> networks;
  std::set<IpAddress> own;
  for (size_t p = 0; p < sw.ports.size(); ++p) {
    const PortConfig& port = sw.ports[p];
    const std::string path = fmt::format("{}.ports[{}]", at, p);
    names.Check(reader, path + ".name", port.name);
    for (size_t a = 0; a < port.addresses.size(); ++a) {
      const std::string item = fmt::format("{}.addresses[{}]", path, a);
      networks.push_back({port.addresses[a], item, p});
      if (!port.addresses[a].address.is_none() && !own.insert(port.addresses[a].address).second) {
        reader.Refuse(item, port.addresses[a].ToString(), "this switch already has this address",
                      Errc::kDuplicate);
      }
    }
    if (port.role != PortRole::kAccess && reader.Says(path + ".sources")) {
      reader.Refuse(path + ".sources", "only a port with role: access has sources");
    }
  }
  RefuseOverlaps(reader, std::move(networks), "the networks of two ports of a switch must not overlap");
}

// True if a host can have `a` in the network of `prefix`.
bool IsHostIn(const IpPrefix& prefix, const IpAddress& a) {
  if (prefix.address.is_none() || !prefix.Contains(a)) return false;
  if (!a.is_v4() || prefix.length >= 31) return true;
  const uint32_t mask = 0xffffffffu >> prefix.length;
  return (a.v4() & mask) != 0 && (a.v4() & mask) != mask;
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
    if (!route.to.address.is_none()) {
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

void RefuseIpv6(Reader& reader, const FabricConfig& config) {
  const auto check = [&reader](const std::string& path, const IpAddress& address) {
    if (address.is_none() || address.is_v4()) return;
    reader.Refuse(path, address.ToString(), fmt::format("IPv6 is {}", kNotSupported));
  };
  const auto check_all = [&check](const std::string& path, const std::vector<IpPrefix>& prefixes) {
    for (size_t i = 0; i < prefixes.size(); ++i) check(ItemPath(path, i), prefixes[i].address);
  };
  check_all("sid_pool", config.sid_pool);
  for (size_t s = 0; s < config.switches.size(); ++s) {
    const SwitchConfig& sw = config.switches[s];
    for (size_t p = 0; p < sw.ports.size(); ++p) {
      const std::string path = fmt::format("switches[{}].ports[{}]", s, p);
      check_all(path + ".addresses", sw.ports[p].addresses);
      if (reader.Says(path + ".sources")) check_all(path + ".sources", sw.ports[p].sources);
    }
    for (size_t r = 0; r < sw.routes.size(); ++r) {
      const std::string path = fmt::format("switches[{}].routes[{}]", s, r);
      check(path + ".to", sw.routes[r].to.address);
      check(path + ".via", sw.routes[r].via);
    }
  }
  for (size_t i = 0; i < config.agents.size(); ++i) {
    check_all(fmt::format("agents[{}].bids", i), config.agents[i].bids);
  }
  for (size_t i = 0; i < config.services.size(); ++i) {
    if (const auto& sid = config.services[i].sid_v6) check(fmt::format("services[{}].sid", i), *sid);
  }
}

void CheckFabric(Reader& reader, const FabricConfig& config) {
  CheckPool(reader, config);
  CheckSwitches(reader, config);
  CheckAgents(reader, config);
  CheckServices(reader, config);
  RefuseIpv6(reader, config);
}

}  // namespace dyncast::config
