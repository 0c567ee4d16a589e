// The sample switch on a real ovs-vswitchd, and the hosts around it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/packet.h"
#include "tests/ovs/pipeline/sample_plan.h"
#include "tests/support/dummy_ovs/dummy_ovs.h"

namespace dyncast::test {

#define ASSERT_GOOD(expression)                        \
  do {                                                 \
    const auto& good = (expression);                   \
    ASSERT_TRUE(good.ok()) << good.error().ToString(); \
  } while (false)

// A host behind a port of the sample switch.
struct Host {
  const char* port;
  IpAddress address;
  MacAddress mac;
  MacAddress gateway_mac;
  IpAddress gateway;
};

class PipelineTest : public testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<DummyOvs>> started = DummyOvs::Start();
    ASSERT_GOOD(started);
    ovs = std::move(*started);
    ASSERT_GOOD(ovs->AddBridge("br0", DatapathId{1}));
    std::set<std::string> names{"br0"};  // a port with several VLANs is there several times
    for (const PlannedPort& port : plan.ports) {
      if (names.insert(port.name).second) ASSERT_GOOD(ovs->AddPort("br0", port.name, port.number));
    }
    Result<pipeline::Compiled> result = pipeline::Compile(plan);
    ASSERT_GOOD(result);
    compiled = *result;
    ASSERT_GOOD(ovs->Install("br0", compiled));
  }
  void TearDown() override {
    if (ovs == nullptr) return;
    EXPECT_THAT(ovs->BadLogLines(), testing::IsEmpty());
  }

  // `host` asks for its gateway: the switch answers and learns it.
  void Announce(const Host& host);
  // A packet of `from` to `to`, over the gateway.
  Ipv4Packet Packet(const Host& from, const IpAddress& to) const;
  // Injects `packet` at `port` and returns the one frame that leaves through `out` for it.
  Bytes Through(const std::string& port, std::span<const uint8_t> packet, const std::string& out);
  Bytes Through(const std::string& port, const Ipv4Packet& packet, const std::string& out) {
    return Through(port, Build(packet), out);
  }
  // Injects `packet` and expects that it neither leaves nor reaches the controller; `flow_match` names the
  // flow (its table, priority and match) that must count it.
  void ExpectDropped(const std::string& port, std::span<const uint8_t> packet, pipeline::Table table,
                     uint16_t priority, const std::string& match);
  // The flow of the compiled plan; fails the test where there is none.
  pipeline::Flow Find(pipeline::Table table, uint16_t priority, const std::string& match) const;
  // Everything that left through any port so far.
  size_t TotalSent() const;
  // Binds `demand` of the plan's service to an instance, as the controller would.
  void Bind(ServiceId service, InstanceId instance, const Demand& demand,
            std::chrono::seconds fin_timeout = std::chrono::seconds{0});

  SwitchPlan plan = SamplePlan();
  pipeline::Compiled compiled;
  std::unique_ptr<DummyOvs> ovs;

  const Host client{"acc1", Ip("192.168.10.7"), Mac("0a:00:00:00:0a:07"), Mac("02:00:00:00:01:01"),
                    Ip("192.168.10.1")};
  const Host inner{"acc1", Ip("192.168.10.50"), Mac("0a:00:00:00:0a:50"), Mac("02:00:00:00:01:01"),
                   Ip("192.168.10.1")};  // instance 13
  const Host far{"acc2", Ip("192.168.20.8"), Mac("0a:00:00:00:14:08"), Mac("02:00:00:00:01:04"),
                 Ip("192.168.20.1")};
  const Host server{"edge", Ip("10.2.1.11"), Mac("0a:00:00:00:01:0b"), Mac("02:00:00:00:01:02"),
                    Ip("10.2.1.1")};  // instances 11 and 31
  const Host router{"up", Ip("172.16.0.2"), Mac("0a:00:00:00:00:02"), Mac("02:00:00:00:01:03"),
                    Ip("172.16.0.1")};
  const Host local{"br0", Ip("10.9.0.2"), Mac("0a:00:00:00:09:02"), Mac("02:00:00:00:01:05"),
                   Ip("10.9.0.1")};  // instance 14
};

inline Ipv4Packet PipelineTest::Packet(const Host& from, const IpAddress& to) const {
  Ipv4Packet packet;
  packet.eth_src = from.mac;
  packet.eth_dst = from.gateway_mac;
  packet.src = from.address;
  packet.dst = to;
  return packet;
}

inline void PipelineTest::Announce(const Host& host) {
  const size_t before = ovs->Sent(host.port).size();
  ASSERT_GOOD(ovs->Inject(
      host.port,
      Build(ArpFrame{
          .eth_src = host.mac, .sender_mac = host.mac, .sender = host.address, .target = host.gateway})));
  ASSERT_GOOD(ovs->WaitSent(host.port, before + 1));
}

inline Bytes PipelineTest::Through(const std::string& port, std::span<const uint8_t> packet,
                                   const std::string& out) {
  const size_t before = ovs->Sent(out).size();
  const size_t total = TotalSent();
  const Status injected = ovs->Inject(port, packet);
  EXPECT_TRUE(injected.ok());
  const Result<std::vector<Bytes>> sent = ovs->WaitSent(out, before + 1);
  EXPECT_TRUE(sent.ok()) << sent.error().ToString();
  EXPECT_EQ(TotalSent(), total + 1);
  return sent.ok() ? sent->back() : Bytes{};
}

inline pipeline::Flow PipelineTest::Find(pipeline::Table table, uint16_t priority,
                                         const std::string& match) const {
  for (const pipeline::Flow& flow : compiled.flows) {
    if (flow.table == static_cast<uint8_t>(table) && flow.priority == priority && flow.match == match)
      return flow;
  }
  ADD_FAILURE() << "no flow " << pipeline::TableName(table) << " " << priority << " " << match;
  return {};
}

inline void PipelineTest::ExpectDropped(const std::string& port, std::span<const uint8_t> packet,
                                        pipeline::Table table, uint16_t priority, const std::string& match) {
  const pipeline::Flow flow = Find(table, priority, match);
  EXPECT_EQ(flow.actions, "drop");
  const size_t total = TotalSent();
  const size_t punts = ovs->PacketIns().size();
  const Result<uint64_t> before = ovs->Packets("br0", flow);
  ASSERT_GOOD(before);
  ASSERT_GOOD(ovs->Inject(port, packet));
  // The count is the condition to wait for: then the packet has gone wherever it goes.
  Result<uint64_t> after = before;
  EXPECT_TRUE(Eventually([&] {
    after = ovs->Packets("br0", flow);
    return after.ok() && *after > *before;
  })) << pipeline::ToText(flow);
  ASSERT_GOOD(after);
  EXPECT_EQ(*after, *before + 1);
  EXPECT_EQ(TotalSent(), total);
  EXPECT_EQ(ovs->PacketIns().size(), punts);
}

inline size_t PipelineTest::TotalSent() const {
  size_t total = 0;
  std::set<std::string> names;
  for (const PlannedPort& port : plan.ports) {
    if (names.insert(port.name).second) total += ovs->Sent(port.name).size();
  }
  return total;
}

inline void PipelineTest::Bind(ServiceId service, InstanceId instance, const Demand& demand,
                               std::chrono::seconds fin_timeout) {
  for (const PlannedService& planned : plan.services) {
    if (planned.id != service) continue;
    const Affinity& affinity = planned.spec.affinity;
    ASSERT_GOOD(ovs->AddFlow(
        "br0", pipeline::CompileBinding({.key = MakeBindingKey(affinity, plan.id, service, demand),
                                         .instance = instance,
                                         .idle_timeout = std::chrono::seconds{60},
                                         .fin_timeout = fin_timeout,
                                         .place = PlaceAt(plan.role, planned),
                                         .client_bits = ClientBits(affinity, demand.client)})));
    return;
  }
  FAIL() << "no service " << service.value();
}

}  // namespace dyncast::test
