// A switch whose services are dispatched by itself: each affinity key, each store.
#pragma once

#include <algorithm>
#include <random>

#include "tests/ovs/pipeline/sample_plan.h"

namespace dyncast::test {

// Slots so that each instance has its share to within one slot, mixed by a fixed seed.
inline std::vector<InstanceId> SlotsFor(const std::vector<std::pair<InstanceId, double>>& weights) {
  double all = 0;
  for (const auto& [id, weight] : weights) all += weight;
  std::vector<InstanceId> slots;
  double until = 0;
  for (const auto& [id, weight] : weights) {
    until += weight;
    const auto size = static_cast<size_t>(until / all * static_cast<double>(kSlots) + 0.5);
    slots.resize(std::max(size, slots.size()), id);
  }
  std::shuffle(slots.begin(), slots.end(), std::mt19937(11));
  return slots;
}

// Service `id` at 10.97.0.ID and fd97::ID takes tcp, udp and sctp 80 and ICMP echo. Its instances are
// ID*10+1..4 at 10.2.ID.1..4 and ID*10+5..8 at fd02:ID::5..8, with weights 1:2:3:4, in both families.
inline void AddLearnService(SwitchPlan& plan, uint16_t id, AffinityKind kind, BindingStoreKind store) {
  PlannedService service;
  service.id = ServiceId{id};
  service.spec.name = "s" + std::to_string(id);
  service.spec.sid_v4 = Ip("10.97.0." + std::to_string(id));
  service.spec.sid_v6 = Ip("fd97::" + std::to_string(id));
  service.spec.ports = {
      {IpProto::kTcp, 80, 80}, {IpProto::kUdp, 80, 80}, {IpProto::kSctp, 80, 80}, {IpProto::kIcmp, 0, 0}};
  service.spec.dispatch = Dispatch::kLearn;
  service.spec.affinity.kind = kind;
  service.spec.affinity.store = store;
  if (kind == AffinityKind::kClientPrefix) {
    service.spec.affinity.prefix_v4 = 26;
    service.spec.affinity.prefix_v6 = 64;
  }
  std::vector<std::pair<InstanceId, double>> v4;
  std::vector<std::pair<InstanceId, double>> v6;
  for (uint16_t i = 1; i <= 8; ++i) {
    const InstanceId instance{static_cast<uint16_t>(id * 10 + i)};
    const std::string n = std::to_string(id);
    const IpAddress bid =
        i <= 4 ? Ip("10.2." + n + "." + std::to_string(i)) : Ip("fd02:" + n + "::" + std::to_string(i));
    plan.instances.push_back({.id = instance, .service = service.id, .bid = bid});
    (i <= 4 ? v4 : v6).emplace_back(instance, i <= 4 ? i : i - 4);
  }
  service.slots_v4 = SlotsFor(v4);
  service.slots_v6 = SlotsFor(v6);
  plan.services.push_back(std::move(service));
}

// Services 11..15 hold timed bindings by 5-tuple, 4-tuple, 3-tuple, client, client/26 (client/64 in IPv6);
// 16 generations, 17 conntrack, 18 none, all by 5-tuple; 19 generations by client.
inline SwitchPlan LearnPlan() {
  SwitchPlan plan;
  plan.id = SwitchId{1};
  plan.name = "dr1";
  plan.ports = {
      SamplePort("acc", 1, PortRole::kAccess, "192.168.0.1/16", "02:00:00:00:01:01"),
      SamplePort("edge", 2, PortRole::kEdge, "10.2.0.1/16", "02:00:00:00:01:02"),
  };
  plan.ports[0].addresses.push_back(Prefix("fd10::1/32"));
  plan.ports[1].addresses.push_back(Prefix("fd02::1/16"));
  using enum AffinityKind;
  uint16_t id = 11;
  for (AffinityKind kind : {k5Tuple, k4Tuple, k3Tuple, kClient, kClientPrefix}) {
    AddLearnService(plan, id++, kind, BindingStoreKind::kTimed);
  }
  AddLearnService(plan, 16, k5Tuple, BindingStoreKind::kGenerations);
  AddLearnService(plan, 17, k5Tuple, BindingStoreKind::kConntrack);
  AddLearnService(plan, 18, k5Tuple, BindingStoreKind::kNone);
  AddLearnService(plan, 19, kClient, BindingStoreKind::kGenerations);
  return plan;
}

}  // namespace dyncast::test
