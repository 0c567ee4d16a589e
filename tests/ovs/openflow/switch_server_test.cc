// The sessions against a real ovs-vswitchd with dummy ports and virtual time.
#include "ovs-integration/openflow/switch_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "ovs-integration/openflow/loop.h"
#include "schema/base/log.h"
#include "tests/ovs/openflow/switch_server_fixture.h"

namespace dyncast::test {
namespace {

TEST_F(SwitchServerOvs, SyncsFromEmptyThenChangesNothingThenRepairs) {
  Serve();
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 1; }));
  // Only now: ovs-vswitchd empties its tables when a bridge gets its first controller.
  ASSERT_TRUE(ovs->Ofctl({"add-flow", "br0", "table=0,priority=7,cookie=0x99,arp,actions=drop"}).ok());
  server->Resync(kDpid);
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 2; }));
  ASSERT_TRUE(server->SetDesired(kDpid, SmallPlan()).ok());
  ASSERT_TRUE(Synced(1));
  EXPECT_EQ(recorder.synced[0].added, 5u);
  EXPECT_EQ(recorder.synced[0].deleted, 0u);
  EXPECT_EQ(server->Statuses()[0].state, "synced");
  const auto meters = ovs->Ofctl({"dump-meters", "br0"});
  ASSERT_TRUE(meters.ok());
  EXPECT_NE(meters->find("meter=1"), std::string::npos) << *meters;
  EXPECT_NE(meters->find("rate=20000"), std::string::npos) << *meters;

  const auto before = Counters();
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(2));
  EXPECT_EQ(recorder.synced[1].kept, 5u);
  EXPECT_EQ(recorder.synced[1].added, 0u);
  EXPECT_EQ(recorder.synced[1].deleted, 0u);
  EXPECT_TRUE(recorder.synced[1].differences.empty());
  EXPECT_EQ(Counters().flow_mods_sent, before.flow_mods_sent);

  ASSERT_TRUE(
      ovs->Ofctl({"--strict", "mod-flows", "br0", "table=40,priority=10,ip,reg0=2,actions=drop"}).ok());
  server->Check(kDpid, 5);
  ASSERT_TRUE(Until([&] { return !recorder.checked.empty(); }));
  EXPECT_EQ(recorder.checked[0].report.added, 1u);
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(3));
  EXPECT_EQ(recorder.synced[2].kept, 4u);
  EXPECT_EQ(recorder.synced[2].added, 1u);
  const auto foreign = ovs->DumpFlows("br0", "cookie=0x99/-1");
  ASSERT_TRUE(foreign.ok());
  EXPECT_EQ(foreign->size(), 1u);
  server->Check(kDpid, 6);
  ASSERT_TRUE(Until([&] { return recorder.checked.size() == 2; }));
  EXPECT_TRUE(recorder.checked[1].report.differences.empty());
}

TEST_F(SwitchServerOvs, AWholePlanOfThePipelineComesBackAsItWasSent) {
  SwitchPlan plan;
  plan.id = SwitchId{1};
  plan.name = "dr1";
  const auto port = [](const char* name, uint32_t number, PortRole role, const char* net) {
    return PlannedPort{.name = name,
                       .number = PortNo{number},
                       .role = role,
                       .addresses = {*IpPrefix::Parse(net)},
                       .sources = {},
                       .mac = MacFromText(name)};
  };
  plan.ports = {port("p1", 1, PortRole::kAccess, "10.1.0.1/24"),
                port("p2", 2, PortRole::kUplink, "10.2.0.1/24")};
  plan.routes = {{.to = *IpPrefix::Parse("10.9.0.0/16"), .via = *IpAddress::Parse("10.2.0.2")}};
  ServiceSpec spec;
  spec.name = "web";
  spec.sid_v4 = *IpAddress::Parse("192.0.2.1");
  spec.ports = {{.proto = IpProto::kTcp, .first = 80, .last = 90}};
  plan.services = {{.id = ServiceId{1}, .spec = spec, .slots_v4 = {}, .slots_v6 = {}}};
  for (uint16_t i = 1; i <= 3; ++i) {
    plan.instances.push_back({.id = InstanceId{i},
                              .service = ServiceId{1},
                              .bid = *IpAddress::Parse("10.9.0." + std::to_string(i))});
  }
  const auto compiled = pipeline::Compile(plan);
  ASSERT_TRUE(compiled.ok()) << compiled.error().ToString();
  Start(*compiled);
  EXPECT_EQ(recorder.synced[0].added, compiled->flows.size());
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(2));
  EXPECT_EQ(recorder.synced[1].kept, compiled->flows.size());
  EXPECT_EQ(recorder.synced[1].differences, std::vector<std::string>{});
}

TEST_F(SwitchServerOvs, BindingsComeAndGo) {
  Start(SmallPlan());
  BindingFlow brief = MakeBinding(1, 2);
  brief.idle_timeout = std::chrono::seconds(5);
  server->InstallBinding(kDpid, brief);
  for (uint32_t i = 2; i <= 5; ++i) server->InstallBinding(kDpid, MakeBinding(i, 3));
  ASSERT_TRUE(Until([&] { return BindingFlows() == 5; }));

  // By itself.
  ASSERT_TRUE(ovs->Warp(std::chrono::seconds(8)).ok());
  ASSERT_TRUE(Until([&] { return recorder.ended.size() == 1; }));
  EXPECT_EQ(recorder.ended[0].first.key, brief.key);
  EXPECT_EQ(recorder.ended[0].first.instance, InstanceId{2});
  EXPECT_EQ(recorder.ended[0].first.idle_timeout, std::chrono::seconds(5));
  EXPECT_EQ(recorder.ended[0].second, EndReason::kIdle);

  // By us: silent.
  server->RemoveBinding(kDpid, MakeBinding(2).key);
  ASSERT_TRUE(Until([&] { return Counters().flow_removed_received == 2; }));
  EXPECT_EQ(recorder.ended.size(), 1u);

  // By somebody else.
  const std::string match = "table=20," + pipeline::BindingMatch(MakeBinding(3).key);
  ASSERT_TRUE(ovs->Ofctl({"del-flows", "br0", match}).ok());
  ASSERT_TRUE(Until([&] { return recorder.ended.size() == 2; }));
  EXPECT_EQ(recorder.ended[1].first.key, MakeBinding(3).key);
  EXPECT_EQ(recorder.ended[1].second, EndReason::kFlowLost);

  server->CountBindings(kDpid, openflow::CountScope::kTimed);
  ASSERT_TRUE(Until([&] { return recorder.counted.size() == 2; }));
  server->RemoveBindingsOf(kDpid, ServiceId{5}, InstanceId{3});
  ASSERT_TRUE(Until([&] { return BindingFlows() == 0 && Counters().flow_removed_received == 5; }));
  EXPECT_EQ(recorder.ended.size(), 2u);
}

TEST_F(SwitchServerOvs, ARefusedBindingIsReportedAndTheOthersStand) {
  Start(SmallPlan());
  ASSERT_TRUE(ovs->Vsctl({"--", "--id=@t", "create", "flow_table", "flow_limit=4", "overflow_policy=refuse",
                          "--", "set", "bridge", "br0", "flow_tables:20=@t"})
                  .ok());
  for (uint32_t i = 0; i < 10; ++i) server->InstallBinding(kDpid, MakeBinding(i));
  ASSERT_TRUE(Until([&] { return recorder.refused.size() == 6; }));
  EXPECT_EQ(BindingFlows(), 4u);
  EXPECT_NE(recorder.refused[0].second.find("TABLE_FULL"), std::string::npos) << recorder.refused[0].second;
  EXPECT_EQ(server->Statuses()[0].state, "synced");
  EXPECT_EQ(Counters().resyncs, 0u);
  // Places that come free are used again.
  server->RemoveBindingsOf(kDpid, ServiceId{5}, InstanceId{7});
  server->InstallBinding(kDpid, MakeBinding(50));
  ASSERT_TRUE(Until([&] { return BindingFlows() == 1; }));
}

TEST_F(SwitchServerOvs, ADemandGoesOnAndIsBound) {
  pipeline::Compiled plan = SmallPlan();
  plan.flows.push_back(
      {.table = 60, .priority = 1, .cookie = plan.flows[0].cookie, .match = "ip", .actions = "output:2"});
  recorder.on_punt = [&](const openflow::Punt& punt) {
    server->ForwardDemand(kDpid, punt.in_port, punt.service, InstanceId{2}, punt.packet);
    server->InstallBinding(kDpid, MakeBinding(1, 2));
  };
  Start(plan);
  Ipv4Packet packet;
  packet.src = IpAddress::V4(0x0a000001);
  packet.dst = IpAddress::V4(0xc0000201);
  packet.src_port = 1234;
  packet.dst_port = 80;
  ASSERT_TRUE(ovs->Inject("p1", Build(packet)).ok());
  ASSERT_TRUE(Until([&] { return !recorder.punts.empty() && BindingFlows() == 1; }));
  EXPECT_EQ(recorder.punts[0].punt.service, ServiceId{5});
  EXPECT_EQ(recorder.punts[0].punt.in_port, PortNo{1});
  const auto sent = ovs->WaitSent("p2", 1);
  ASSERT_TRUE(sent.ok()) << sent.error().ToString();
  const std::vector<uint8_t> to = {10, 9, 0, 3};  // instance 2's address in the small plan
  EXPECT_TRUE(std::equal(to.begin(), to.end(), (*sent)[0].begin() + 30));
  EXPECT_EQ(Counters().errors_received, 0u);
}

TEST_F(SwitchServerOvs, ARestartedControllerFindsItsBindingsAndChangesNothing) {
  Start(SmallPlan());
  for (uint32_t i = 0; i < 500; ++i) server->InstallBinding(kDpid, MakeBinding(i));
  ASSERT_TRUE(Until([&] { return BindingFlows() == 500; }));
  Serve();
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 2; }));
  EXPECT_EQ(recorder.found[1].size(), 500u);
  ASSERT_TRUE(server->SetDesired(kDpid, SmallPlan()).ok());
  ASSERT_TRUE(Synced(2));
  EXPECT_EQ(recorder.synced[1].kept, 5u);
  EXPECT_EQ(Counters().flow_mods_sent, 0u);
}

TEST_F(SwitchServerOvs, AConnectionCutInTheMiddleOfABundleIsMadeGood) {
  Serve({.bundle_max_flows = 100000});
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 1; }));
  const pipeline::Compiled plan = SmallPlan(20000);
  ASSERT_TRUE(server->SetDesired(kDpid, plan).ok());
  server->Run(ReadClocks());  // more than a socket takes at once
  EXPECT_EQ(server->Statuses()[0].state, "syncing");
  Serve();
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 2; }));
  ASSERT_TRUE(server->SetDesired(kDpid, plan).ok());
  ASSERT_TRUE(Synced(1));
  EXPECT_EQ(recorder.synced[0].added, plan.flows.size());
  server->Check(kDpid, 1);
  ASSERT_TRUE(Until([&] { return !recorder.checked.empty(); }));
  EXPECT_EQ(recorder.checked[0].report.kept, plan.flows.size());
}

TEST_F(SwitchServerOvs, ALostSwitchIsReportedAndServedAgain) {
  Start(SmallPlan());
  ASSERT_TRUE(ovs->Vsctl({"del-controller", "br0"}).ok());
  ASSERT_TRUE(Until([&] { return recorder.lost.size() == 1; }));
  EXPECT_EQ(server->Statuses()[0].state, "away");
  const std::string path = ovs->dir() + "/of1.sock";
  ASSERT_TRUE(ovs->Vsctl({"set-controller", "br0", "unix:" + path}).ok());
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 2; }));
  EXPECT_EQ(Counters().connects, 2u);
}

TEST_F(SwitchServerOvs, AnOlderProtocolAndAStrangerAreRefused) {
  Serve();
  server->SetExpected({DatapathId{77}});
  const uint64_t warnings = log::WarningsWritten();
  ASSERT_TRUE(Until([&] { return log::WarningsWritten() >= warnings + 1; }));
  EXPECT_TRUE(recorder.found.empty());
  EXPECT_EQ(server->Statuses()[0].state, "away");

  server->SetExpected({kDpid});
  FakeSwitch old({.target = "unix:" + ovs->dir() + "/of1.sock", .dpid = kDpid.value(), .version = 0x04});
  ASSERT_TRUE(old.Connect().ok());
  ASSERT_TRUE(Until([&] { return !old.Step(); }));
  EXPECT_EQ(old.error_received(), (std::pair<uint16_t, uint16_t>(0, 0)));
}

TEST_F(SwitchServerOvs, ANewerConnectionOfTheSameSwitchTakesOver) {
  Start(SmallPlan());
  FakeSwitch twin({.target = "unix:" + ovs->dir() + "/of1.sock", .dpid = kDpid.value()});
  ASSERT_TRUE(twin.Connect().ok());
  ASSERT_TRUE(Until([&] {
    twin.Step();
    return recorder.found.size() == 2;
  }));
  EXPECT_EQ(recorder.lost.size(), 1u);
  EXPECT_TRUE(recorder.found[1].empty());
}

}  // namespace
}  // namespace dyncast::test
