// Rules across the values of services.
#include <fmt/core.h>

#include <algorithm>
#include <tuple>

#include "schema/config/fabric_check.h"
#include "schema/config/unique.h"

namespace dyncast::config {
namespace {

struct PlacedPorts {
  PortRange range;
  size_t service = 0;
  size_t item = 0;
};

std::string RangeText(const PortRange& r) {
  return r.first == r.last ? fmt::format("{}/{}", IpProtoName(r.proto), r.first)
                           : fmt::format("{}/{}-{}", IpProtoName(r.proto), r.first, r.last);
}

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
                                 ? "overlaps " + RangeText(first.range) + " of the same service"
                                 : fmt::format("overlaps {} of service '{}', which has the same D-SID",
                                               RangeText(first.range), config.services[first.service].name);
    reader.Refuse(fmt::format("services[{}].ports[{}]", later.service, later.item), RangeText(later.range),
                  rule, Errc::kConflict);
    if (next.range.last > furthest->range.last) furthest = &next;
  }
}

void CheckPortsAndSids(Reader& reader, const FabricConfig& config) {
  const std::map<IpAddress, std::string> routers = RouterAddresses(config);
  std::map<IpAddress, std::vector<PlacedPorts>> by_sid;
  for (size_t i = 0; i < config.services.size(); ++i) {
    const ServiceSpec& service = config.services[i];
    std::vector<PlacedPorts> ports;
    for (size_t p = 0; p < service.ports.size(); ++p) {
      if (service.ports[p].first != 0) ports.push_back({service.ports[p], i, p});
    }
    for (const std::optional<IpAddress>& sid : {service.sid_v4, service.sid_v6}) {
      if (!sid) continue;
      if (const auto found = routers.find(*sid); found != routers.end()) {
        reader.Refuse(fmt::format("services[{}].sid", i), sid->ToString(), "is " + found->second,
                      Errc::kConflict);
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
  const bool blind = selection.policy == PolicyKind::kRoundRobin || selection.policy == PolicyKind::kStatic;
  if (blind && !selection.load.empty()) {
    reader.Refuse(at + ".load", fmt::format("policy {} looks at no metric", PolicyKindName(selection.policy)),
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
    const std::string fin = path + ".affinity.fin_timeout";
    if (service.affinity.kind != AffinityKind::k5Tuple && service.affinity.fin_timeout.count() != 0 &&
        reader.Says(fin)) {
      reader.Refuse(fin, fmt::format("{}s", service.affinity.fin_timeout.count()),
                    "must be 0s unless key is 5-tuple: a coarser key covers connections that still run",
                    Errc::kConflict);
    }
  }
  CheckPortsAndSids(reader, config);
}

}  // namespace dyncast::config
