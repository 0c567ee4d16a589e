// A service whose switches decide by themselves: what they learn reaches table, database and API; what they
// hand to the controller (neighbours, ICMP errors, expired packets) is answered.
#include <gtest/gtest.h>

#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/layout.h"
#include "ovs-integration/pipeline/packet.h"
#include "tests/unit/controller_io/loop_fixture.h"

namespace dyncast {
namespace {

using openflow::ByteView;
using pipeline::PuntReason;
using test::FakeFlow;
using test::Json;

class LearnLoopTest : public test::LoopFixture {
 protected:
  std::string ConfigText() override {
    const std::string at = dir_.path().string();
    return "controller: {openflow_listen: 'punix:" + at + "/of', metrics_bind: 'ipc://" + at +
           "/m', api_socket: '" + at + "/api', database: '" + at + "/d.db'}\n" + R"(
switches:
  - name: dr1
    ovsdb: unix:)" +
           at + R"(/none
    bridge: br0
    ports:
      - {name: c1, role: access, addresses: [192.168.10.1/24, 'fd00:10::1/64']}
      - {name: c1, role: access, vlan: 7, addresses: ['fd00:17::1/64']}
      - {name: up, role: uplink, addresses: [172.16.1.2/24, 'fd00:1::2/64']}
    routes: [{to: 0.0.0.0/0, via: 172.16.1.1}, {to: '::/0', via: 'fd00:1::1'}]
agents: [{name: edge, bids: [10.2.0.0/16, 'fd00:2::/48']}]
services:
  - name: web
    sid: [10.96.0.1, 'fd00:96::1']
    ports: [tcp/8080, icmp]
    dispatch: learn
    affinity: {key: 5-tuple, store: timed, limit: 20000}
    selection: {policy: static}
)";
  }

  // Turns until both families have their group.
  void BringUpLearn() {
    ASSERT_TRUE(fake_->Connect().ok());
    loop_->OnPorts("dr1", {{"c1", PortNo{1}}, {"up", PortNo{2}}});
    AnnounceUp("i1", "10.2.1.2");
    AnnounceUp("i2", "10.2.2.2");
    AnnounceUp("i6", "fd00:2::2");
    ASSERT_TRUE(Until([&] { return State() == "synced" && fake_->groups().size() == 2; }));
  }

  dyncast::Demand DemandOf(const std::string& client, uint16_t src_port) {
    dyncast::Demand demand;
    demand.client = test::Ip(client);
    demand.sid = test::Ip(demand.client.is_v4() ? "10.96.0.1" : "fd00:96::1");
    demand.src_port = src_port;
    demand.dst_port = 8080;
    return demand;
  }
  BindingKey KeyOf(const std::string& client, uint16_t src_port) {
    return MakeBindingKey(config_->services[0].affinity, SwitchId{1}, ServiceId{1},
                          DemandOf(client, src_port));
  }
  InstanceId IdOf(const std::string& name) {
    for (const core::InstanceView& i : loop_->core().View(ReadClocks()).instances) {
      if (i.name == name) return i.id;
    }
    return {};
  }
  FakeFlow Learned(const BindingKey& key, InstanceId instance) {
    const pipeline::KeyRegisters r = pipeline::RegistersOf(key);
    FakeFlow flow;
    flow.table = static_cast<uint8_t>(pipeline::Table::kBinding);
    flow.priority = pipeline::kBindingPriority;
    flow.cookie = pipeline::EncodeCookie(
        {.kind = pipeline::FlowKind::kBinding, .service = key.service, .instance = instance, .at = key.at});
    flow.idle_timeout_s = 60;
    flow.flags = 1;
    flow.match = test::LearnedMatch(r.reg1, r.reg4, r.reg7, r.xxreg2);
    return flow;
  }

  void Punt(PuntReason reason, uint32_t in_port, const std::string& neighbor, ByteView packet,
            InstanceId instance = {}) {
    test::FakePunt punt;
    punt.reg0 = instance.value();
    punt.userdata = {static_cast<uint8_t>(reason), 0, 1};
    punt.in_port = in_port;
    if (!neighbor.empty() && test::Ip(neighbor).is_v4()) {
      punt.reg5 = test::Ip(neighbor).v4();
    } else if (!neighbor.empty()) {
      const IpAddress address = test::Ip(neighbor);
      const auto& octets = address.octets();
      for (size_t i = 0; i < 16; ++i) punt.xxreg3[i / 4] = punt.xxreg3[i / 4] << 8 | octets[i];
    }
    fake_->SendPunt(punt, packet);
  }
  // The packet of the next packet-out that `wanted` takes.
  template <typename Wanted>
  bool WaitForPacketOut(Wanted wanted) {
    bool seen = false;
    fake_->on_packet_out = [&](ByteView message) {
      // The packet stands at the end, behind a header whose length depends on the actions.
      for (size_t at = 24; at + 14 <= message.size() && !seen; ++at) seen = wanted(message.subspan(at));
    };
    const bool done = Until([&] { return seen; });
    fake_->on_packet_out = nullptr;
    return done;
  }
};

TEST_F(LearnLoopTest, WhatTheSwitchLearnsIsInTableDatabaseAndExplanation) {
  BringUpLearn();
  const std::vector<std::pair<std::string, uint16_t>> clients = {{"192.168.10.2", 40000},
                                                                 {"fd00:10::5", 40001}};
  std::vector<std::string> instances;
  for (const auto& [client, port] : clients) {
    const std::string who = client[0] == 'f' ? "[" + client + "]" : client;
    const std::string path = "/v1/explain?service=web&client=" + who + ":" + std::to_string(port);
    const Json before = Ask("GET", path);
    ASSERT_EQ(before["verdicts"].size(), 1u) << before;
    const Json& verdict = before["verdicts"][0];
    EXPECT_EQ(verdict["switch"], "dr1");
    EXPECT_FALSE(verdict.contains("bound"));
    // The verdict is that of the group that the switch was given.
    const auto plan = loop_->core().PlanInForce(SwitchId{1});
    const auto& slots = client[0] == 'f' ? plan->services[0].slots_v6 : plan->services[0].slots_v4;
    const size_t slot = pipeline::SlotOf(KeyOf(client, port), slots.size());
    EXPECT_EQ(verdict["slot"], slot);
    instances.push_back(verdict["instance"]);
    EXPECT_EQ(IdOf(instances.back()), slots[slot]);

    fake_->Learn(Learned(KeyOf(client, port), slots[slot]));
    ASSERT_TRUE(
        Until([&] { return loop_->core().View(ReadClocks()).services[0].bindings == instances.size(); }));
    ASSERT_TRUE(store_->Flush(std::chrono::seconds(5)).ok());
    const Json after = Ask("GET", path);
    EXPECT_EQ(after["verdicts"][0]["bound"], instances.back()) << after;
    EXPECT_EQ(after["bound"][0]["decision"]["decided_by"], "switch") << after;
  }
  EXPECT_EQ(instances[1], "i6") << "the only one with an IPv6 D-BID";
  const Json bindings = Ask("GET", "/v1/bindings?service=fd00:96::1");
  ASSERT_EQ(bindings["bindings"].size(), 1u);
  EXPECT_EQ(bindings["bindings"][0]["client"], "fd00:10::5");
  EXPECT_EQ(bindings["bindings"][0]["decided_by"], "switch");

  const Json services = Ask("GET", "/v1/services");
  const Json& at = services["services"][0]["switches"][0];
  EXPECT_EQ(services["services"][0]["store"], "timed");
  EXPECT_EQ(services["services"][0]["full"], false);
  double v4 = 0;
  for (const Json& share : at["shares"]) v4 += share["share_v4"].get<double>();
  EXPECT_DOUBLE_EQ(v4, 1.0) << at;
  const Json check = Ask("POST", "/v1/check");
  EXPECT_EQ(check["ok"], true) << check;
  EXPECT_EQ(check["switches"][0]["bindings_switch"], 2);

  // A group that somebody changed is seen and repaired.
  fake_->groups().erase(fake_->groups().begin());
  const Json broken = Ask("POST", "/v1/check");
  EXPECT_EQ(broken["ok"], false);
  EXPECT_EQ(broken["switches"][0]["missing"], 1) << broken;
  EXPECT_EQ(Ask("POST", "/v1/sync")["ok"], true);
  EXPECT_EQ(Ask("POST", "/v1/check")["ok"], true);
  const Json partial = Ask("GET", "/v1/explain?service=web&client=192.168.10.2");
  EXPECT_EQ(partial["key_complete"], false);
  EXPECT_FALSE(partial["verdicts"][0].contains("instance"));
  EXPECT_EQ(partial["verdicts"][0]["shares"].size(), 2u);
  EXPECT_EQ(Ask("GET", "/v1/explain?service=web&client=192.168.10.2&proto=icmp")["key_complete"], true)
      << "echo requests have no ports";
}

TEST_F(LearnLoopTest, ABurstOfLearnedBindingsReachesTheDatabase) {
  BringUpLearn();
  constexpr uint64_t kBurst = 20000;
  const InstanceId i1 = IdOf("i1");
  for (uint16_t i = 0; i < kBurst; ++i) {
    fake_->Learn(Learned(KeyOf("192.168.10.2", static_cast<uint16_t>(1024 + i)), i1));
  }
  ASSERT_TRUE(Until([&] { return loop_->core().View(ReadClocks()).services[0].bindings == kBurst; }));
  ASSERT_TRUE(store_->Flush(std::chrono::seconds(20)).ok());
  const Json check = Ask("POST", "/v1/check");
  EXPECT_EQ(check["ok"], true) << check;
  EXPECT_EQ(check["switches"][0]["bindings_database"], kBurst);
  const Json status = Ask("GET", "/v1/status");
  EXPECT_EQ(status["counters"]["bindings_learned"], kBurst) << status;
  EXPECT_EQ(status["services_full"], 1) << "its limit is 20000";
  EXPECT_EQ(status["alarms"].size(), 1u);

  // All of them end by their timeout.
  std::vector<std::string> keys;
  for (const auto& [key, flow] : fake_->flows()) {
    if (flow.table == static_cast<uint8_t>(pipeline::Table::kBinding)) keys.push_back(key);
  }
  ASSERT_EQ(keys.size(), kBurst);
  for (const std::string& key : keys) ASSERT_TRUE(fake_->Expire(key, 0));
  ASSERT_TRUE(Until([&] { return loop_->core().View(ReadClocks()).services[0].bindings == 0; }));
  ASSERT_TRUE(store_->Flush(std::chrono::seconds(20)).ok());
  EXPECT_EQ(Ask("GET", "/v1/bindings?service=web")["bindings"], Json::array());
  EXPECT_EQ(Ask("GET", "/v1/status")["database"]["dropped"], 0);
}

TEST(BindingKeyOf, IcmpHasNoPorts) {
  dyncast::Demand demand;
  demand.client = test::Ip("fd00::1");
  demand.proto = IpProto::kIcmp;
  demand.src_port = 128;  // whatever a parser found there
  demand.dst_port = 7;
  for (AffinityKind kind : {AffinityKind::k5Tuple, AffinityKind::k4Tuple, AffinityKind::k3Tuple}) {
    Affinity affinity;
    affinity.kind = kind;
    const BindingKey key = MakeBindingKey(affinity, SwitchId{1}, ServiceId{1}, demand);
    EXPECT_EQ(key.src_port, 0);
    EXPECT_EQ(key.dst_port, 0);
    EXPECT_EQ(key.proto, IpProto::kIcmp);
  }
}

TEST_F(LearnLoopTest, AMonitorGapIsCounted) {
  BringUpLearn();
  fake_->PauseMonitor();
  fake_->Learn(Learned(KeyOf("192.168.10.2", 40000), IdOf("i2")));
  fake_->ResumeMonitor();
  ASSERT_TRUE(Until([&] { return loop_->core().View(ReadClocks()).services[0].bindings == 1; }));
  ASSERT_TRUE(Until([&] { return loop_->core().View(ReadClocks()).switches[0].monitor_gaps == 1; }));
  EXPECT_EQ(Ask("GET", "/v1/status")["counters"]["monitor_gaps"], 1);
}

TEST_F(LearnLoopTest, ExpiredPacketsAreAnsweredFromTheGateway) {
  BringUpLearn();
  Punt(PuntReason::kTtlExceeded, 1, "",
       test::Build(
           test::Ipv6Packet{.src = test::Ip("fd00:10::5"), .dst = test::Ip("fd00:96::1"), .hop_limit = 1}));
  EXPECT_TRUE(WaitForPacketOut([&](ByteView packet) {
    const auto error = pipeline::ParseIcmpError(packet);
    return error.ok() && error->source == test::Ip("fd00:10::1") &&
           error->destination == test::Ip("fd00:10::5");
  }));
  // Broken bytes are counted, and nothing else.
  const std::vector<uint8_t> broken = {1, 2, 3};
  for (PuntReason reason :
       {PuntReason::kTtlExceeded, PuntReason::kIcmpErrorToSid, PuntReason::kIcmpErrorToClient,
        PuntReason::kDemand, PuntReason::kFragmentToClient}) {
    Punt(reason, 1, "", broken);
  }
  Punt(PuntReason::kNeighborFound, 1, "", broken);
  EXPECT_TRUE(Until([&] { return loop_->unreadable_packets() == 5; }));
  EXPECT_EQ(Ask("GET", "/v1/status")["counters"]["packets_unreadable"], 5);
}

TEST_F(LearnLoopTest, Ipv6NeighboursAreAskedForAndPacketsThatWaitedAreSent) {
  BringUpLearn();
  const std::vector<uint8_t> waiting = test::Build(
      test::Ipv6Packet{.src = test::Ip("fd00:2::2"), .dst = test::Ip("fd00:17::5"), .src_port = 7777});
  Punt(PuntReason::kNeighborWanted, 2, "fd00:17::5", waiting);
  EXPECT_TRUE(WaitForPacketOut([&](ByteView packet) {
    const auto asked = pipeline::ParseNeighbor(packet);
    return asked.ok() && asked->request && asked->target == test::Ip("fd00:17::5");
  }));
  Punt(PuntReason::kNeighborFound, 1, "",
       test::Build(test::NdFrame{.src = test::Ip("fd00:17::5"),
                                 .dst = test::Ip("fd00:17::1"),
                                 .advertisement = true,
                                 .flags = 0x60000000,
                                 .target = test::Ip("fd00:17::5"),
                                 .link_address = MacAddress{{2, 0, 0, 0, 0, 9}}}));
  EXPECT_TRUE(WaitForPacketOut([&](ByteView packet) {
    const auto parsed = pipeline::ParsePacket(packet);
    return parsed.ok() && parsed->demand.sid == test::Ip("fd00:17::5") && parsed->demand.src_port == 7777;
  }));
}

TEST_F(LearnLoopTest, LaterFragmentsGoOnWithTheirAddressesChanged) {
  BringUpLearn();
  const test::Ipv4Packet fragment{.src = test::Ip("192.168.10.2"),
                                  .dst = test::Ip("10.96.0.1"),
                                  .proto = IpProto::kUdp,
                                  .fragment_offset = 1480,
                                  .payload = std::string(1000, 'p')};
  test::Ipv4Packet wanted = fragment;
  wanted.dst = test::Ip("10.2.2.2");
  Punt(PuntReason::kFragmentToInstance, 1, "", test::Build(fragment), IdOf("i2"));
  EXPECT_TRUE(WaitForPacketOut([&](ByteView packet) {
    const test::Bytes expected = test::Build(wanted);
    return std::ranges::equal(packet.subspan(12), std::span(expected).subspan(12));
  }));
  const dyncast::Demand demand = DemandOf("192.168.10.2", 40000);
  test::Ipv4Packet answer = fragment;
  answer.src = test::Ip("10.2.2.2");
  answer.dst = demand.client;
  wanted = answer;
  wanted.src = demand.sid;
  Punt(PuntReason::kFragmentToClient, 2, "192.168.10.2", test::Build(answer));
  EXPECT_TRUE(WaitForPacketOut([&](ByteView packet) {
    const test::Bytes expected = test::Build(wanted);
    return std::ranges::equal(packet.subspan(12), std::span(expected).subspan(12));
  }));
}

TEST_F(LearnLoopTest, AnIcmpErrorToTheClientQuotesTheSid) {
  BringUpLearn();
  const dyncast::Demand demand = DemandOf("192.168.10.2", 40000);
  // A router behind the D-Router says that the request to the D-BID was too big.
  const std::vector<uint8_t> request = test::Build(test::Ipv4Packet{.src = demand.client,
                                                                    .dst = test::Ip("10.2.1.2"),
                                                                    .src_port = demand.src_port,
                                                                    .dst_port = demand.dst_port});
  const auto error = pipeline::MakeTimeExceeded(request, test::Ip("172.16.1.77"));
  ASSERT_TRUE(error.has_value());
  Punt(PuntReason::kIcmpErrorToClient, 2, "192.168.10.2", *error);
  EXPECT_TRUE(WaitForPacketOut([&](ByteView packet) {
    const auto parsed = pipeline::ParseIcmpError(packet);
    return parsed.ok() && parsed->source == test::Ip("172.16.1.77") && parsed->destination == demand.client &&
           parsed->quoted.client == demand.client && parsed->quoted.sid == demand.sid;
  }));
}

TEST_F(LearnLoopTest, AnIcmpErrorToTheSidReachesTheInstance) {
  BringUpLearn();
  const dyncast::Demand demand = DemandOf("192.168.10.2", 40000);
  fake_->Learn(Learned(KeyOf("192.168.10.2", 40000), IdOf("i2")));
  ASSERT_TRUE(Until([&] { return loop_->core().View(ReadClocks()).services[0].bindings == 1; }));
  const std::vector<uint8_t> answer = test::Build(test::Ipv4Packet{
      .src = demand.sid, .dst = demand.client, .src_port = demand.dst_port, .dst_port = demand.src_port});
  const auto error = pipeline::MakeTimeExceeded(answer, test::Ip("192.168.10.99"));
  ASSERT_TRUE(error.has_value());
  Punt(PuntReason::kIcmpErrorToSid, 1, "", *error);
  EXPECT_TRUE(WaitForPacketOut([&](ByteView packet) {
    const auto parsed = pipeline::ParseIcmpError(packet);
    return parsed.ok() && parsed->destination == test::Ip("10.2.2.2") &&
           parsed->quoted.client == test::Ip("10.2.2.2") && parsed->quoted.sid == demand.client;
  }));
}

}  // namespace
}  // namespace dyncast
