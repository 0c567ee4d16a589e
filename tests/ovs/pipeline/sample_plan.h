// The switch that the pipeline's tests and docs/pipeline.md speak of.
#pragma once

#include <algorithm>

#include "schema/model/switch_plan.h"
#include "tests/support/packets/packets.h"

namespace dyncast::test {

inline PlannedPort SamplePort(const char* name, uint32_t number, PortRole role, const char* address,
                              const char* mac) {
  PlannedPort port;
  port.name = name;
  port.number = PortNo{number};
  port.role = role;
  port.addresses = {Prefix(address)};
  port.mac = Mac(mac);
  return port;
}

inline PlannedService SampleService(uint16_t id, const char* name, const char* sid,
                                    std::vector<PortRange> ports, AffinityKind kind) {
  PlannedService service;
  service.id = ServiceId{id};
  service.spec.name = name;
  service.spec.sid_v4 = Ip(sid);
  service.spec.ports = std::move(ports);
  service.spec.affinity.kind = kind;
  service.spec.affinity.store = BindingStoreKind::kTimed;
  return service;
}

// One access network, one with a wide source filter, a local edge, an uplink to the remote edge
// 10.2.2.0/24, and the switch's own host behind LOCAL. A service for each affinity key that the controller
// dispatches, and one for each store that the switch dispatches.
inline SwitchPlan SamplePlan() {
  SwitchPlan plan;
  plan.id = SwitchId{1};
  plan.name = "dr1";
  plan.ports = {
      SamplePort("acc1", 1, PortRole::kAccess, "192.168.10.1/24", "02:00:00:00:01:01"),
      SamplePort("edge", 2, PortRole::kEdge, "10.2.1.1/24", "02:00:00:00:01:02"),
      SamplePort("up", 3, PortRole::kUplink, "172.16.0.1/24", "02:00:00:00:01:03"),
      SamplePort("acc2", 4, PortRole::kAccess, "192.168.20.1/24", "02:00:00:00:01:04"),
      SamplePort("br0", 65534, PortRole::kEdge, "10.9.0.1/24", "02:00:00:00:01:05"),
  };
  plan.ports[3].sources = {Prefix("192.168.20.0/24"), Prefix("10.0.0.0/8")};
  plan.routes = {{.to = Prefix("10.2.2.0/24"), .via = Ip("172.16.0.2")},
                 {.to = Prefix("192.168.30.0/24"), .via = Ip("192.168.20.9")}};
  plan.services = {
      SampleService(1, "web", "10.96.0.1", {{IpProto::kTcp, 80, 80}, {IpProto::kTcp, 8000, 8099}},
                    AffinityKind::k5Tuple),
      SampleService(2, "media", "10.96.0.2", {{IpProto::kUdp, 5004, 5005}}, AffinityKind::k3Tuple),
      SampleService(3, "store", "10.96.0.3", {{IpProto::kTcp, 443, 443}}, AffinityKind::k4Tuple),
      SampleService(4, "dns", "10.96.0.4", {{IpProto::kUdp, 53, 53}, {IpProto::kTcp, 53, 53}},
                    AffinityKind::kClient),
      SampleService(5, "game", "10.96.0.5", {{IpProto::kUdp, 7000, 7000}}, AffinityKind::kClientPrefix),
      SampleService(6, "admin", "10.96.0.1", {{IpProto::kTcp, 443, 443}}, AffinityKind::k3Tuple),
      SampleService(7, "sig", "10.96.0.7", {{IpProto::kSctp, 2905, 2905}}, AffinityKind::k5Tuple),
  };
  plan.services[4].spec.affinity.prefix_v4 = 26;
  const auto instance = [](uint16_t id, uint16_t service, const char* bid) {
    return PlannedInstance{.id = InstanceId{id}, .service = ServiceId{service}, .bid = Ip(bid)};
  };
  plan.instances = {
      instance(11, 1, "10.2.1.11"), instance(12, 1, "10.2.2.12"), instance(13, 1, "192.168.10.50"),
      instance(14, 1, "10.9.0.2"),  instance(21, 2, "10.2.1.21"), instance(22, 2, "10.2.2.22"),
      instance(31, 3, "10.2.1.11"), instance(41, 4, "10.2.1.41"), instance(51, 5, "10.2.1.51"),
      instance(61, 6, "10.2.2.12"), instance(71, 7, "10.2.1.71"),
  };
  const auto learn = [&](uint16_t id, const char* name, const char* sid, std::vector<PortRange> ports,
                         AffinityKind kind, BindingStoreKind store) -> PlannedService& {
    PlannedService service = SampleService(id, name, sid, std::move(ports), kind);
    service.spec.dispatch = Dispatch::kLearn;
    service.spec.affinity.store = store;
    return plan.services.emplace_back(std::move(service));
  };
  PlannedService& chat = learn(8, "chat", "10.96.0.8", {{IpProto::kTcp, 5222, 5222}, {IpProto::kIcmp, 0, 0}},
                               AffinityKind::k5Tuple, BindingStoreKind::kTimed);
  chat.spec.sid_v6 = Ip("fd96::8");
  chat.slots_v4.assign(kSlots, InstanceId{81});
  std::fill_n(chat.slots_v4.begin(), kSlots / 4, InstanceId{82});
  chat.slots_v6.assign(kSlots, InstanceId{83});
  learn(9, "feed", "10.96.0.9", {{IpProto::kTcp, 9000, 9000}}, AffinityKind::kClient,
        BindingStoreKind::kGenerations)
      .slots_v4.assign(kSlots, InstanceId{91});
  learn(10, "bulk", "10.96.0.10", {{IpProto::kTcp, 5201, 5201}}, AffinityKind::k5Tuple,
        BindingStoreKind::kConntrack)
      .slots_v4.assign(kSlots, InstanceId{101});
  for (const PlannedInstance& more :
       {instance(81, 8, "10.2.1.81"), instance(82, 8, "10.2.2.82"), instance(83, 8, "fd02:1::83"),
        instance(91, 9, "10.2.1.91"), instance(101, 10, "10.2.1.101")}) {
    plan.instances.push_back(more);
  }
  return plan;
}

}  // namespace dyncast::test
