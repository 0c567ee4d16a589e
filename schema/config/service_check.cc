// Rules across the values of services.
#include <fmt/core.h>

#include <algorithm>
#include <tuple>

#include "schema/config/codec.h"
#include "schema/config/fabric_check.h"
#include "schema/config/unique.h"

namespace dyncast::config {
namespace {

// More timed flows than this make a switch unusable: fewer than 3,000 changes per second are left.
constexpr uint32_t kTimedStoreLimit = 100000;

struct PlacedPorts {
  PortRange range;
  size_t service = 0;
  size_t item = 0;
};

// `all` are the ports at one D-SID.
void RefuseSharedPorts(Reader& reader, const FabricConfig& config, std::vector<PlacedPorts> all) {
  std::stable_sort(all.begin(), all.end(), [](const PlacedPorts& a, const PlacedPorts& b) {
    return std::tie(a.range.proto, a.range.first) < std::tie(b.range.proto, b.range.first);
  });
  const PlacedPorts* furthest = nullptr;  // of those before, the one that reaches furthest
  for (const PlacedPorts& next : all) {
    if (furthest == nullptr || furthest->range.proto != next.range.proto ||
        furthest->range.last < next.range.first) {
      furthest = &next;
      continue;
    }
    // Which of the two the file says later is the one at fault.
    const bool next_is_later =
        std::tie(next.service, next.item) > std::tie(furthest->service, furthest->item);
    const PlacedPorts& later = next_is_later ? next : *furthest;
    const PlacedPorts& first = next_is_later ? *furthest : next;
    const std::string rule = later.service == first.service
                                 ? "overlaps " + PortsText(first.range) + " of the same service"
                                 : fmt::format("overlaps {} of service '{}', which has the same D-SID",
                                               PortsText(first.range), config.services[first.service].name);
    reader.Refuse(fmt::format("services[{}].ports[{}]", later.service, later.item), PortsText(later.range),
                  rule, Errc::kConflict);
    if (next.range.last > furthest->range.last) furthest = &next;
  }
}

// Says in which network `sid` is that belongs to hosts; empty: in none. There one of them could have the
// address, or look for it by ARP.
std::string NetworkWith(const Reader& reader, const FabricConfig& config, const IpAddress& sid) {
  for (size_t a = 0; a < config.agents.size(); ++a) {
    const AgentAllowance& agent = config.agents[a];
    for (size_t b = 0; b < agent.bids.size(); ++b) {
      if (reader.Refused(fmt::format("agents[{}].bids[{}]", a, b)) || !agent.bids[b].Contains(sid)) continue;
      return fmt::format("lies in {}, where agent '{}' may have D-BIDs", agent.bids[b].ToString(),
                         agent.name);
    }
  }
  for (size_t s = 0; s < config.switches.size(); ++s) {
    for (const PortConfig& port : config.switches[s].ports) {
      for (const IpPrefix& address : port.addresses) {
        if (address.address.is_none() || !address.Contains(sid)) continue;
        return fmt::format("lies in {}, the network of port '{}' of switch '{}'",
                           address.Network().ToString(), port.name, config.switches[s].name);
      }
    }
  }
  return {};
}

void CheckPortsAndSids(Reader& reader, const FabricConfig& config) {
  const std::map<IpAddress, std::string> routers = RouterAddresses(config);
  std::map<IpAddress, std::vector<PlacedPorts>> by_sid;
  for (size_t i = 0; i < config.services.size(); ++i) {
    const ServiceSpec& service = config.services[i];
    std::vector<PlacedPorts> ports;
    for (size_t p = 0; p < service.ports.size(); ++p) {
      if (!reader.Refused(fmt::format("services[{}].ports[{}]", i, p)))
        ports.push_back({service.ports[p], i, p});
    }
    for (const std::optional<IpAddress>& sid : {service.sid_v4, service.sid_v6}) {
      if (!sid) continue;
      if (const auto found = routers.find(*sid); found != routers.end()) {
        reader.Refuse(fmt::format("services[{}].sid", i), sid->ToString(), "is " + found->second,
                      Errc::kConflict);
      } else if (const std::string whose = NetworkWith(reader, config, *sid); !whose.empty()) {
        reader.Refuse(fmt::format("services[{}].sid", i), sid->ToString(), whose, Errc::kConflict);
      }
      std::vector<PlacedPorts>& there = by_sid[*sid];
      there.insert(there.end(), ports.begin(), ports.end());
    }
    // Where the D-SID is wrong, the service's own ports are still compared.
    if (!service.sid_v4 && !service.sid_v6) RefuseSharedPorts(reader, config, std::move(ports));
  }
  for (auto& [sid, ports] : by_sid) RefuseSharedPorts(reader, config, std::move(ports));
}

void CheckSelection(Reader& reader, const std::string& at, const Selection& selection) {
  Unique metrics("this metric");
  for (size_t t = 0; t < selection.load.size(); ++t) {
    metrics.Check(reader, fmt::format("{}.load[{}].metric", at, t), selection.load[t].metric);
  }
  const bool blind = selection.policy == PolicyKind::kRoundRobin || selection.policy == PolicyKind::kStatic ||
                     selection.policy == PolicyKind::kLowestDelay;
  if (blind && !selection.load.empty()) {
    reader.Refuse(at + ".load",
                  fmt::format("policy {} looks at no metric of instances", PolicyKindName(selection.policy)),
                  Errc::kConflict);
  }
}

void CheckAffinity(Reader& reader, const std::string& service, const ServiceSpec& spec) {
  const Affinity& affinity = spec.affinity;
  const BindingStoreKind store = StoreOf(affinity);
  const std::string path = service + ".affinity";
  const std::string store_path = path + ".store";
  const std::string_view store_name = BindingStoreKindName(store);
  const bool switch_store = store == BindingStoreKind::kConntrack || store == BindingStoreKind::kNone;
  if (switch_store && spec.dispatch != Dispatch::kLearn && !reader.Refused(service + ".dispatch")) {
    reader.Refuse(store_path, store_name,
                  "needs dispatch: learn; reactive bindings are flows: timed or generations",
                  Errc::kConflict);
  }
  if (store == BindingStoreKind::kConntrack && affinity.kind != AffinityKind::k5Tuple) {
    reader.Refuse(store_path, store_name,
                  fmt::format("holds connections, so key must be 5-tuple, not {}; other keys: timed, "
                              "generations, none",
                              AffinityKindName(affinity.kind)),
                  Errc::kConflict);
  }
  const bool says_fin = affinity.fin_timeout.count() != 0 && reader.Says(path + ".fin_timeout");
  const std::string fin_text = FormatDuration(affinity.fin_timeout);
  if (says_fin && affinity.kind != AffinityKind::k5Tuple) {
    reader.Refuse(path + ".fin_timeout", fin_text,
                  "must be 0s unless key is 5-tuple: a coarser key covers connections that still run",
                  Errc::kConflict);
  } else if (says_fin && (store == BindingStoreKind::kGenerations || store == BindingStoreKind::kNone)) {
    reader.Refuse(path + ".fin_timeout", fin_text,
                  fmt::format("must be 0s with store: {}, which has no FIN timeout; timed and conntrack have",
                              store_name),
                  Errc::kConflict);
  }
  if (store == BindingStoreKind::kTimed && affinity.limit > kTimedStoreLimit) {
    reader.Refuse(
        path + ".limit", fmt::format("{}", affinity.limit),
        fmt::format("must be at most {} with store: timed{}: each change of a flow table costs Open "
                    "vSwitch time for every timed flow; generations hold any number",
                    kTimedStoreLimit, reader.Says(store_path) ? "" : " (which a fin_timeout asks for)"),
        Errc::kConflict);
  }
}

}  // namespace

void CheckServices(Reader& reader, const FabricConfig& config) {
  Unique names("a service of this name");
  for (size_t i = 0; i < config.services.size(); ++i) {
    const ServiceSpec& service = config.services[i];
    const std::string path = fmt::format("services[{}]", i);
    names.Check(reader, path + ".name", service.name);
    CheckSelection(reader, path + ".selection", service.selection);
    CheckAffinity(reader, path, service);
  }
  CheckPortsAndSids(reader, config);
}

}  // namespace dyncast::config
