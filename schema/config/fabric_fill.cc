// Defaults of fabric.yaml that depend on other values.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "schema/config/fabric_check.h"

namespace dyncast::config {
namespace {

void FillTarget(Reader& reader, ControllerConfig& controller) {
  if (!controller.openflow_target.empty() || reader.Says("controller.openflow_target")) return;
  const std::string& listen = controller.openflow_listen;
  if (listen.starts_with("punix:")) {
    controller.openflow_target = "unix:" + listen.substr(6);
    return;
  }
  const size_t colon = listen.rfind(':');
  const std::string port = listen.substr(5, colon - 5);  // after "ptcp:"
  const std::string address = listen.substr(colon + 1);
  if (address == "0.0.0.0") {
    reader.Refuse("controller.openflow_listen", listen,
                  "listens at every address, so controller.openflow_target must say which one the switches "
                  "connect to");
    return;
  }
  controller.openflow_target = fmt::format("tcp:{}:{}", address, port);
}

// The name of a bridge's tunnel port, at most 15 bytes as Linux has it. A long bridge name is cut, and told
// from others that begin alike by a hash.
std::string TunnelPortName(const std::string& bridge) {
  constexpr std::string_view kSuffix = "-tun";
  constexpr size_t kMost = 15;
  std::string name = bridge;
  if (name.size() + kSuffix.size() > kMost) {
    name = fmt::format("{}-{:04x}", bridge.substr(0, 6), StableHash(bridge) & 0xffff);
  }
  return name.append(kSuffix);
}

enum class Family : uint8_t { kV4, kV6 };

// Walks the pool's addresses of one family, each once.
class Pool {
 public:
  Pool(const std::vector<IpPrefix>& prefixes, Family family) {
    for (const IpPrefix& prefix : prefixes) {
      if (prefix.address.is_v4() == (family == Family::kV4)) prefixes_.push_back(prefix);
    }
  }

  bool empty() const { return prefixes_.empty(); }

  // The next address that nothing in `taken` has; nothing where the pool is used up.
  std::optional<IpAddress> Next(const std::map<IpAddress, std::string>& taken) {
    for (; prefix_ < prefixes_.size(); ++prefix_, offset_ = 0) {
      const IpPrefix& prefix = prefixes_[prefix_];
      const bool v4 = prefix.address.is_v4();
      const unsigned host_bits = (v4 ? 32u : 128u) - prefix.length;
      // Of a wider network nobody sees the end.
      const uint64_t last = (uint64_t{1} << std::min(host_bits, 63u)) - 1;
      while (offset_ <= last) {
        const uint64_t offset = offset_++;
        // A network's own and its broadcast address confuse hosts, though nothing forbids them here.
        if (host_bits > 1 && (offset == 0 || (v4 && offset == last))) continue;
        const IpAddress address = Plus(prefix.address, offset);
        if (!taken.contains(address)) return address;
      }
    }
    return std::nullopt;
  }

 private:
  // `offset` lies within the host bits of `network`.
  static IpAddress Plus(const IpAddress& network, uint64_t offset) {
    std::array<uint8_t, 16> octets = network.octets();
    for (size_t i = 16; i-- > 8; offset >>= 8) octets[i] = static_cast<uint8_t>(octets[i] | (offset & 0xff));
    return IpAddress::V6(octets);
  }

  std::vector<IpPrefix> prefixes_;
  size_t prefix_ = 0;
  uint64_t offset_ = 0;
};

void FillSids(Reader& reader, FabricConfig& config) {
  std::map<IpAddress, std::string> taken = RouterAddresses(config);
  for (const ServiceSpec& service : config.services) {
    if (service.sid_v4) taken.emplace(*service.sid_v4, "");
    if (service.sid_v6) taken.emplace(*service.sid_v6, "");
  }
  Pool v4(config.sid_pool, Family::kV4);
  Pool v6(config.sid_pool, Family::kV6);
  for (size_t i = 0; i < config.services.size(); ++i) {
    const std::string path = fmt::format("services[{}].sid", i);
    if (reader.Says(path)) continue;
    ServiceSpec& service = config.services[i];
    if (v4.empty() && v6.empty()) {
      reader.Refuse(path, "is missing, and there is no sid_pool to take one from");
      continue;
    }
    if (!v4.empty()) service.sid_v4 = v4.Next(taken);
    if (!v6.empty()) service.sid_v6 = v6.Next(taken);
    if ((!v4.empty() && !service.sid_v4) || (!v6.empty() && !service.sid_v6)) {
      reader.Refuse(path, "is missing, and sid_pool has no free address left");
    }
  }
}

void FillAffinity(const Reader& reader, const std::string& path, Affinity& affinity) {
  const bool says_fin = reader.Says(path + ".fin_timeout");
  // Who gives a FIN timeout wants a store that keeps it.
  if (affinity.store == BindingStoreKind::kAuto && says_fin && affinity.fin_timeout.count() != 0) {
    affinity.store = BindingStoreKind::kTimed;
  }
  const BindingStoreKind store = StoreOf(affinity);
  const bool keeps_fin = affinity.kind == AffinityKind::k5Tuple &&
                         (store == BindingStoreKind::kTimed || store == BindingStoreKind::kConntrack);
  if (!keeps_fin && !says_fin) affinity.fin_timeout = std::chrono::seconds{0};
}

}  // namespace

std::map<IpAddress, std::string> RouterAddresses(const FabricConfig& config) {
  std::map<IpAddress, std::string> out;
  for (const SwitchConfig& sw : config.switches) {
    for (const PortConfig& port : sw.ports) {
      for (const IpPrefix& address : port.addresses) {
        if (address.address.is_none()) continue;
        out.emplace(address.address, fmt::format("an address of switch '{}'", sw.name));
      }
    }
    for (const RouteConfig& route : sw.routes) {
      if (route.via.is_none()) continue;
      out.emplace(route.via, fmt::format("a next hop of switch '{}'", sw.name));
    }
  }
  return out;
}

void FillIn(Reader& reader, FabricConfig& config) {
  FillTarget(reader, config.controller);
  for (size_t s = 0; s < config.switches.size(); ++s) {
    for (size_t p = 0; p < config.switches[s].ports.size(); ++p) {
      PortConfig& port = config.switches[s].ports[p];
      if (port.role != PortRole::kAccess ||
          reader.Says(fmt::format("switches[{}].ports[{}].sources", s, p))) {
        continue;
      }
      for (const IpPrefix& address : port.addresses) port.sources.push_back(address.Network());
    }
    SwitchConfig& sw = config.switches[s];
    if (sw.tunnel && !sw.bridge.empty() && !reader.Says(fmt::format("switches[{}].tunnel.port", s))) {
      sw.tunnel->port = TunnelPortName(sw.bridge);
    }
  }
  for (size_t i = 0; i < config.services.size(); ++i) {
    FillAffinity(reader, fmt::format("services[{}].affinity", i), config.services[i].affinity);
  }
  FillSids(reader, config);
}

}  // namespace dyncast::config
