// Defaults of fabric.yaml that depend on other values.
#include <fmt/core.h>

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

// Walks the pool's addresses, each once.
class Pool {
 public:
  explicit Pool(const std::vector<IpPrefix>& prefixes) : prefixes_(prefixes) {}

  // The next address that nothing in `taken` has; nothing where the pool is used up.
  std::optional<IpAddress> Next(const std::map<IpAddress, std::string>& taken) {
    for (; prefix_ < prefixes_.size(); ++prefix_, offset_ = 0) {
      const IpPrefix& prefix = prefixes_[prefix_];
      if (!prefix.address.is_v4()) continue;
      const uint64_t size = uint64_t{1} << (32 - prefix.length);
      while (offset_ < size) {
        const uint64_t offset = offset_++;
        // A network's own and its broadcast address confuse hosts, though nothing forbids them here.
        if (prefix.length < 31 && (offset == 0 || offset == size - 1)) continue;
        const IpAddress address = IpAddress::V4(static_cast<uint32_t>(prefix.address.v4() + offset));
        if (!taken.contains(address)) return address;
      }
    }
    return std::nullopt;
  }

 private:
  const std::vector<IpPrefix>& prefixes_;
  size_t prefix_ = 0;
  uint64_t offset_ = 0;
};

void FillSids(Reader& reader, FabricConfig& config) {
  std::map<IpAddress, std::string> taken = RouterAddresses(config);
  for (const ServiceSpec& service : config.services) {
    if (service.sid_v4) taken.emplace(*service.sid_v4, "");
  }
  Pool pool(config.sid_pool);
  for (size_t i = 0; i < config.services.size(); ++i) {
    const std::string path = fmt::format("services[{}].sid", i);
    if (reader.Says(path)) continue;
    config.services[i].sid_v4 = pool.Next(taken);
    if (!config.services[i].sid_v4) {
      reader.Refuse(path, config.sid_pool.empty() ? "is missing, and there is no sid_pool to take one from"
                                                  : "is missing, and sid_pool has no free address left");
    }
  }
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
  }
  for (size_t i = 0; i < config.services.size(); ++i) {
    Affinity& affinity = config.services[i].affinity;
    if (affinity.kind != AffinityKind::k5Tuple &&
        !reader.Says(fmt::format("services[{}].affinity.fin_timeout", i))) {
      affinity.fin_timeout = std::chrono::seconds{0};
    }
  }
  FillSids(reader, config);
}

}  // namespace dyncast::config
