// Groups, learned bindings and their monitors on a real ovs-vswitchd.
#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "tests/ovs/openflow/switch_server_fixture.h"

namespace dyncast::test {
namespace {

// As LearnPlan, but whole: TCP to 192.0.2.1:80 is keyed, looked up in tables 20 and 22, hashed by the group,
// learned in the place, and leaves through p2.
pipeline::Compiled WorkingPlan(BindingPlace place, uint16_t instances = 3) {
  pipeline::Compiled plan = LearnPlan(instances);
  plan.flows[0].actions =
      "set_field:0x5->reg1,set_field:0x6->reg4,move:NXM_OF_TCP_SRC[]->NXM_NX_REG7[16..31],"
      "move:NXM_OF_TCP_DST[]->NXM_NX_REG7[0..15],move:NXM_OF_IP_SRC[]->NXM_NX_REG8[],"
      "resubmit(,20),resubmit(,22),resubmit(,30)";
  for (uint16_t i = 1; i <= instances; ++i) {
    const std::string cookie = std::to_string(pipeline::EncodeCookie({.kind = pipeline::FlowKind::kBinding,
                                                                      .service = ServiceId{5},
                                                                      .instance = InstanceId{i},
                                                                      .at = SwitchId{1}}));
    const bool timed = place == BindingPlace::kTimed;
    plan.flows.push_back({.table = 35,
                          .priority = 100,
                          .cookie = plan.flows[0].cookie,
                          .match = "reg0=" + std::to_string(i),
                          .actions = "learn(table=" + std::to_string(openflow::TableOf(place)) +
                                     ",priority=100,cookie=" + cookie +
                                     (timed ? ",idle_timeout=10,fin_idle_timeout=2,send_flow_rem" : "") +
                                     ",NXM_NX_REG1[],NXM_NX_REG4[],NXM_NX_REG7[],NXM_NX_XXREG2[],"
                                     "load:" +
                                     std::to_string(i) + "->NXM_NX_REG0[]),resubmit(,40)"});
  }
  // Bound already.
  plan.flows.push_back(
      {.table = 30, .priority = 1, .cookie = plan.flows[0].cookie, .match = "", .actions = "resubmit(,40)"});
  plan.flows.push_back(
      {.table = 60, .priority = 1, .cookie = plan.flows[0].cookie, .match = "ip", .actions = "output:2"});
  return plan;
}

class LearnOvs : public SwitchServerOvs {
 protected:
  void Send(uint32_t client, uint16_t src_port = 1234) {
    Ipv4Packet packet;
    packet.src = IpAddress::V4(0x0a000000u + client);
    packet.dst = IpAddress::V4(0xc0000201);
    packet.src_port = src_port;
    packet.dst_port = 80;
    ASSERT_TRUE(ovs->Inject("p1", Build(packet)).ok());
  }
  size_t FlowsIn(int table) {
    const auto flows = ovs->DumpFlows("br0", "table=" + std::to_string(table));
    return flows.ok() ? flows->size() : SIZE_MAX;
  }
};

TEST_F(LearnOvs, GroupsAreTakenAndComeBackAsTheyWereSent) {
  Start(WorkingPlan(BindingPlace::kTimed));
  const auto wanted = WorkingPlan(BindingPlace::kTimed);
  EXPECT_EQ(recorder.synced[0].added, wanted.flows.size() + wanted.groups.size());
  EXPECT_EQ(Counters().bundles_sent, 1u);
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(2));
  EXPECT_EQ(recorder.synced[1].differences, std::vector<std::string>{});
  EXPECT_EQ(recorder.synced[1].kept, wanted.flows.size() + wanted.groups.size());
  ASSERT_EQ(recorder.dispatch.back().size(), 1u);
  EXPECT_EQ(recorder.dispatch.back()[0].slots_v4, wanted.groups[0].slots);
  EXPECT_EQ(recorder.dispatch.back()[0].slots_v6, wanted.groups[1].slots);

  // A change of weights: one group mod, in a bundle.
  pipeline::Compiled plan = wanted;
  for (size_t i = 0; i < 100; ++i) plan.groups[0].slots[i] = InstanceId{3};
  const auto before = Counters();
  ASSERT_TRUE(server->SetDesired(kDpid, plan).ok());
  ASSERT_TRUE(Synced(3));
  EXPECT_EQ(Counters().messages_sent - before.messages_sent, 3u);
  EXPECT_EQ(Counters().flow_mods_sent, before.flow_mods_sent);
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(4));
  EXPECT_EQ(recorder.synced[3].differences, std::vector<std::string>{});

  // Foreign-shaped ones of ours are replaced, others' are left alone.
  ASSERT_TRUE(ovs->Ofctl({"mod-group", "br0", "group_id=5,type=all,bucket=output:2"}).ok());
  ASSERT_TRUE(ovs->Ofctl({"mod-group", "br0",
                          "group_id=65541,type=select,selection_method=hash,fields(ip_src),"
                          "bucket=bucket_id:0,weight:7,output:2"})
                  .ok());
  ASSERT_TRUE(ovs->Ofctl({"add-group", "br0", "group_id=77,type=all,bucket=output:2"}).ok());
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(5));
  EXPECT_EQ(recorder.synced[4].added, 2u);
  EXPECT_EQ(recorder.synced[4].deleted, 0u);
  server->Check(kDpid, 1);
  ASSERT_TRUE(Until([&] { return !recorder.checked.empty(); }));
  EXPECT_EQ(recorder.checked[0].report.differences, std::vector<std::string>{});

  // The service goes, and leaves nothing.
  ASSERT_TRUE(server->SetDesired(kDpid, {}).ok());
  ASSERT_TRUE(Synced(6));
  const auto groups = ovs->Ofctl({"dump-groups", "br0"});
  ASSERT_TRUE(groups.ok());
  EXPECT_EQ(groups->find("group_id=5"), std::string::npos) << *groups;
  EXPECT_NE(groups->find("group_id=77"), std::string::npos) << *groups;
  EXPECT_EQ(Counters().errors_received, 0u);
}

TEST_F(LearnOvs, LearnedBindingsAreReportedAndEnd) {
  Start(WorkingPlan(BindingPlace::kTimed));
  server->InstallBinding(kDpid, MakeBinding(900, 2));
  for (uint32_t client = 1; client <= 20; ++client) Send(client);
  ASSERT_TRUE(Until([&] { return recorder.learned.size() >= 20 && FlowsIn(20) == 21; }));
  const auto sent = ovs->WaitSent("p2", 20);
  ASSERT_TRUE(sent.ok()) << sent.error().ToString();
  EXPECT_EQ(recorder.learned.size(), 20u) << "our own is not learned";
  std::map<BindingKey, InstanceId> learned;
  for (const FoundBinding& b : recorder.learned) {
    learned[b.key] = b.instance;
    EXPECT_EQ(b.idle_timeout, std::chrono::seconds(10));
    EXPECT_EQ(b.place, BindingPlace::kTimed);
  }
  for (uint32_t client = 1; client <= 20; ++client) EXPECT_TRUE(learned.contains(MakeBinding(client).key));
  // The same are found by the next session.
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(2));
  std::map<BindingKey, InstanceId> found;
  for (const FoundBinding& b : recorder.found.back()) found[b.key] = b.instance;
  EXPECT_EQ(found.erase(MakeBinding(900).key), 1u);
  EXPECT_EQ(found, learned);

  // Moved, removed, and deleted by another: each finds the flow in the form that the switch gave it.
  ASSERT_TRUE(ovs->Warp(std::chrono::seconds(3)).ok());  // a flow of no age could be a new one
  BindingFlow moved = MakeBinding(1, 2);
  moved.fin_timeout = std::chrono::seconds(5);
  moved.idle_timeout = std::chrono::seconds(10);
  server->InstallBinding(kDpid, moved);
  server->RemoveBinding(kDpid, MakeBinding(2).key);
  ASSERT_TRUE(Until([&] { return FlowsIn(20) == 20 && Counters().flow_removed_received == 1; }));
  EXPECT_TRUE(recorder.ended.empty());
  ASSERT_TRUE(ovs->Ofctl({"--strict", "del-flows", "br0",
                          "table=20,priority=100," +
                              pipeline::BindingMatch(MakeBinding(3).key, BindingPlace::kGeneration0)})
                  .ok());
  ASSERT_TRUE(Until([&] { return recorder.ended.size() == 1; }));
  EXPECT_EQ(recorder.ended[0].first.key, MakeBinding(3).key);
  EXPECT_EQ(recorder.ended[0].second, EndReason::kFlowLost);
  ASSERT_TRUE(ovs->Warp(std::chrono::seconds(14)).ok());
  ASSERT_TRUE(Until([&] { return recorder.ended.size() == 1 + 18; }));
  EXPECT_EQ(recorder.ended.back().second, EndReason::kIdle);
  EXPECT_EQ(FlowsIn(20), 1u);
  EXPECT_EQ(Counters().errors_received, 0u);
}

TEST_F(LearnOvs, AGenerationGoesByOneMessage) {
  Start(WorkingPlan(BindingPlace::kGeneration1));
  for (uint32_t client = 1; client <= 20; ++client) Send(client);
  ASSERT_TRUE(Until([&] { return recorder.learned.size() == 20; }));
  for (const FoundBinding& b : recorder.learned) EXPECT_EQ(b.place, BindingPlace::kGeneration1);
  EXPECT_EQ(FlowsIn(22), 20u);
  server->CountBindings(kDpid, openflow::CountScope::kAll);
  ASSERT_TRUE(Until([&] { return recorder.counted.size() == 20; }));
  const auto before = Counters();
  server->RemoveBindingsOf(kDpid, ServiceId{5}, recorder.learned[0].instance);
  const auto gone = static_cast<size_t>(
      std::count_if(recorder.learned.begin(), recorder.learned.end(),
                    [&](const FoundBinding& b) { return b.instance == recorder.learned[0].instance; }));
  ASSERT_TRUE(Until([&] { return FlowsIn(22) == 20 - gone; }));
  EXPECT_EQ(Counters().flow_mods_sent - before.flow_mods_sent, 1u);
  server->RemoveBindingsAt(kDpid, ServiceId{5}, BindingPlace::kGeneration1);
  ASSERT_TRUE(Until([&] { return FlowsIn(22) == 0; }));
  EXPECT_EQ(Counters().flow_mods_sent - before.flow_mods_sent, 2u);
  EXPECT_TRUE(recorder.ended.empty());
  // Put back by the controller, and found by a packet again.
  server->InstallBinding(
      kDpid, {.key = MakeBinding(1).key, .instance = InstanceId{2}, .place = BindingPlace::kGeneration1});
  ASSERT_TRUE(Until([&] { return FlowsIn(22) == 1; }));
  const size_t learned = recorder.learned.size();
  Send(1);
  const auto sent = ovs->WaitSent("p2", 21);
  ASSERT_TRUE(sent.ok()) << sent.error().ToString();
  const std::vector<uint8_t> to = {10, 9, 0, 3};  // instance 2's address in the small plan
  EXPECT_TRUE(std::equal(to.begin(), to.end(), sent->back().begin() + 30));
  EXPECT_EQ(recorder.learned.size(), learned);
}

TEST_F(LearnOvs, WhatIsLearnedWhileTheControllerIsAwayIsFound) {
  Start(WorkingPlan(BindingPlace::kTimed));
  Send(1);
  ASSERT_TRUE(Until([&] { return recorder.learned.size() == 1; }));
  server.reset();
  for (uint32_t client = 2; client <= 10; ++client) Send(client);
  ASSERT_TRUE(ovs->WaitSent("p2", 10).ok());
  Serve();
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 2; }));
  EXPECT_EQ(recorder.found[1].size(), 10u);
  EXPECT_FALSE(recorder.empty[1]);
  ASSERT_TRUE(server->SetDesired(kDpid, WorkingPlan(BindingPlace::kTimed)).ok());
  ASSERT_TRUE(Synced(2));
  EXPECT_EQ(recorder.synced[1].differences, std::vector<std::string>{});
  EXPECT_EQ(recorder.learned.size(), 1u);
  Send(11);
  ASSERT_TRUE(Until([&] { return recorder.learned.size() == 2; }));
}

TEST_F(LearnOvs, AReaderThatStallsHearsOfTheGapAndConverges) {
  Start(WorkingPlan(BindingPlace::kTimed));
  // Learned by packets that the controller sends, with nobody reading: beyond what sockets and queue hold.
  constexpr uint32_t kBurst = 12000;
  std::string flows;
  for (uint32_t i = 0; i < kBurst; ++i) {
    const BindingFlow b = MakeBinding(i + 1, 2, static_cast<uint16_t>(20000 + i % 30000));
    pipeline::Flow flow = pipeline::CompileBinding(b);
    flow.match = pipeline::BindingMatch(b.key, BindingPlace::kGeneration0);
    flows += pipeline::ToText(flow) + "\n";
  }
  const std::string file = ovs->dir() + "/burst.txt";
  std::ofstream(file) << flows;
  ASSERT_TRUE(ovs->Ofctl({"add-flows", "br0", file}).ok());
  ASSERT_TRUE(Until([&] { return recorder.gaps >= 1; })) << recorder.learned.size();
  EXPECT_GE(Counters().monitor_pauses, 1u);
  ASSERT_TRUE(Until([&] {
    std::set<BindingKey> keys;
    for (const FoundBinding& b : recorder.learned) keys.insert(b.key);
    return keys.size() == kBurst;
  }));
}

TEST_F(LearnOvs, AFullBindingTableRefusesWhatIsLearnedAndThePacketGoesOn) {
  allowed.push_back("LEARN action execution failed");
  Start(WorkingPlan(BindingPlace::kTimed));
  ASSERT_TRUE(ovs->Vsctl({"--", "--id=@t", "create", "flow_table", "flow_limit=5", "overflow_policy=refuse",
                          "--", "set", "bridge", "br0", "flow_tables:20=@t"})
                  .ok());
  for (uint32_t client = 1; client <= 20; ++client) Send(client);
  const auto sent = ovs->WaitSent("p2", 20);
  ASSERT_TRUE(sent.ok()) << sent.error().ToString();
  EXPECT_EQ(FlowsIn(20), 5u);
  ASSERT_TRUE(Until([&] { return recorder.learned.size() == 5; }));
  EXPECT_EQ(server->Statuses()[0].state, "synced");
}

}  // namespace
}  // namespace dyncast::test
