// The sample switch with IPv6 everywhere, and a trunk: VLANs 10 and 20 are access networks, untagged packets
// are not of the plan.
#pragma once

#include "tests/ovs/pipeline/sample_plan.h"

namespace dyncast::test {

inline SwitchPlan RouterPlan() {
  SwitchPlan plan = SamplePlan();
  const char* networks[] = {"fd10::1/64", "fd02:1::1/64", "fd16::1/64", "fd20::1/64", "fd09::1/64"};
  for (size_t i = 0; i < plan.ports.size(); ++i) plan.ports[i].addresses.push_back(Prefix(networks[i]));
  plan.ports[3].sources.push_back(Prefix("fd00::/8"));
  for (const uint16_t vlan : {uint16_t{10}, uint16_t{20}}) {
    const std::string n = std::to_string(vlan);
    const std::string mac = "02:00:00:00:06:" + n;
    PlannedPort port =
        SamplePort("trunk", 6, PortRole::kAccess, ("10.30." + n + ".1/24").c_str(), mac.c_str());
    port.vlan = vlan;
    port.addresses.push_back(Prefix("fd30:" + n + "::1/64"));
    plan.ports.push_back(port);
  }
  plan.routes.push_back({.to = Prefix("fd02:2::/64"), .via = Ip("fd16::2")});
  plan.routes.push_back({.to = Prefix("fd40::/64"), .via = Ip("fd20::9")});
  plan.services[0].spec.sid_v6 = Ip("fd96::1");
  plan.services[1].spec.sid_v6 = Ip("fd96::2");
  for (const auto& [id, bid] : {std::pair{15, "fd02:1::15"}, {16, "fd02:2::16"}, {17, "fd10::17"}}) {
    plan.instances.push_back(
        {.id = InstanceId{static_cast<uint16_t>(id)}, .service = ServiceId{1}, .bid = Ip(bid)});
  }
  return plan;
}

}  // namespace dyncast::test
