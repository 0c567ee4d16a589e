// Bindings on their way to the switch, and their ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "tests/unit/openflow/harness.h"

namespace dyncast::test {
namespace {

using openflow::MsgType;
using State = openflow::Session::State;
constexpr auto kPushed = openflow::BindingEncoder::Form::kPushed;

class Bindings : public ::testing::Test {
 protected:
  void Begin(FakeSwitchOptions fake = {}, openflow::ServerOptions options = {}) {
    j = std::make_unique<Joined>(fake, options);
    j->Start(SmallPlan());
    ASSERT_EQ(j->state(), State::kSynced);
    j->fake.ResetCounts();
  }
  void Install(const BindingFlow& b) { j->session->InstallBinding(b, j->now.mono); }
  std::unique_ptr<Joined> j;
};

TEST_F(Bindings, TheFirstLeavesAtOnceAndOthersTogetherAfterTheTick) {
  Begin();
  Install(MakeBinding(100));
  EXPECT_LE(j->session->NextDeadline(), j->now.mono) << "nothing was sent for a tick: no reason to wait";
  j->Pump();
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 1u);
  j->fake.ResetCounts();
  for (uint32_t i = 0; i < 5; ++i) Install(MakeBinding(i));
  j->Pump();
  EXPECT_EQ(j->fake.received_total(), 0u);
  EXPECT_EQ(j->session->NextDeadline(), j->now.mono + Micros{1000});
  j->Advance(Micros{1000});
  EXPECT_EQ(j->fake.received(MsgType::kBundleControl), 2u);
  EXPECT_EQ(j->fake.received(MsgType::kBundleAdd), 5u);
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 6u);
}

TEST_F(Bindings, BundlesSpreadUnderLoadAndComeTogetherAgain) {
  Begin();
  for (uint32_t i = 0; i < 100; ++i) Install(MakeBinding(i));
  j->Pump();
  Install(MakeBinding(100));
  EXPECT_EQ(j->session->NextDeadline(), j->now.mono + Micros{10000});
  j->Advance(Micros{9999});
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 100u);
  j->Advance(Micros{1});
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 101u);
  // One flow only was in that bundle: the next may follow after a tick.
  Install(MakeBinding(101));
  EXPECT_EQ(j->session->NextDeadline(), j->now.mono + Micros{1000});
}

TEST_F(Bindings, LeaveAtOnceWhenABundleIsFullAndAtMostEightAreInFlight) {
  Begin({}, {.bundle_max_flows = 4});
  j->fake.BeSilent(MsgType::kBundleControl);
  for (uint32_t i = 0; i < 50; ++i) Install(MakeBinding(i));
  j->Pump();
  EXPECT_EQ(j->fake.bundles_committed(), 8u);
  EXPECT_EQ(j->session->queued_bindings(), 50u - 32u);
  EXPECT_GT(j->session->NextDeadline(), j->now.mono);
}

TEST_F(Bindings, LaterOnesForTheSameKeyWin) {
  Begin();
  Install(MakeBinding(1, 7));
  Install(MakeBinding(2, 7));
  Install(MakeBinding(1, 8));
  j->session->RemoveBinding(MakeBinding(2).key, j->now.mono);
  j->Advance(Micros{1000});
  EXPECT_EQ(j->fake.received(MsgType::kBundleAdd), 4u);  // a removal looks for all three forms
  const auto flows = j->fake.FlowsOf(20);
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(pipeline::DecodeCookie(flows[0].cookie)->instance, InstanceId{8});
}

TEST_F(Bindings, ARefusedFlowIsReportedAndTheOthersStand) {
  Begin();
  for (uint32_t i = 0; i < 6; ++i) Install(MakeBinding(i));
  j->fake.RefuseFlow(3);
  j->Advance(Micros{1000});
  ASSERT_EQ(j->recorder.refused.size(), 1u);
  EXPECT_EQ(j->recorder.refused[0].first, MakeBinding(2).key);
  EXPECT_EQ(j->recorder.refused[0].second, "OFPFMFC_TABLE_FULL");
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 5u);
  EXPECT_EQ(j->state(), State::kSynced);
  EXPECT_EQ(j->counters.resyncs, 0u);
}

TEST_F(Bindings, AFullTableTakesWhatItCanAndRefusesEachOther) {
  Begin({.flow_limit = 5 + 10});
  for (uint32_t i = 0; i < 30; ++i) Install(MakeBinding(i));
  j->Advance(Micros{1000});
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 10u);
  EXPECT_EQ(j->recorder.refused.size(), 20u);
  EXPECT_EQ(j->state(), State::kSynced);
}

TEST_F(Bindings, ARetryDoesNotBringBackWhatWasRemovedSince) {
  Begin();
  Install(MakeBinding(1));
  Install(MakeBinding(2));
  Install(MakeBinding(3));
  j->now.mono += Micros{1000};
  j->session->Run(j->now);  // the bundle is on its way
  j->fake.RefuseFlow(1);
  j->session->RemoveBinding(MakeBinding(2).key, j->now.mono);
  j->session->RemoveBindingsOf(ServiceId{5}, InstanceId{9}, j->now.mono);
  j->Advance(Micros{1000});
  ASSERT_EQ(j->recorder.refused.size(), 1u);
  const auto flows = j->fake.FlowsOf(20);
  EXPECT_EQ(flows.size(), 1u);
}

TEST_F(Bindings, AllOfAnInstanceGoByOneMessageAndSilently) {
  Begin();
  for (uint32_t i = 0; i < 100; ++i) Install(MakeBinding(i, 7));
  Install(MakeBinding(200, 8));
  j->Advance(Micros{1000});
  Install(MakeBinding(300, 7));  // queued: must not be sent after the deletion
  j->fake.ResetCounts();
  j->session->RemoveBindingsOf(ServiceId{5}, InstanceId{7}, j->now.mono);
  j->Advance(Micros{10000});
  EXPECT_EQ(j->fake.received(MsgType::kFlowMod), 1u);
  EXPECT_EQ(j->fake.received(MsgType::kBundleAdd), 3u);  // the removals of the queued one's key
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 1u);
  EXPECT_EQ(j->counters.flow_removed_received, 100u);
  EXPECT_TRUE(j->recorder.ended.empty());
}

TEST_F(Bindings, EndsAreToldApart) {
  Begin();
  for (uint32_t i = 0; i < 3; ++i) Install(MakeBinding(i));
  j->Advance(Micros{1000});
  j->now.mono += std::chrono::seconds(2);  // the emulated flows are one second old
  std::vector<std::string> keys;
  for (const auto& [key, flow] : j->fake.flows()) {
    if (flow.table == 20) keys.push_back(key);
  }
  ASSERT_TRUE(j->fake.Expire(keys[0], 0));
  ASSERT_TRUE(j->fake.Expire(keys[1], 2));
  j->Pump();
  j->session->RemoveBinding(MakeBinding(2).key, j->now.mono);
  j->Advance(Micros{1000});
  ASSERT_EQ(j->recorder.ended.size(), 2u);
  EXPECT_EQ(j->recorder.ended[0].first.key, MakeBinding(0).key);
  EXPECT_EQ(j->recorder.ended[0].first.instance, InstanceId{7});
  EXPECT_EQ(j->recorder.ended[0].first.idle_timeout, std::chrono::seconds(60));
  EXPECT_EQ(j->recorder.ended[0].second, EndReason::kIdle);
  EXPECT_EQ(j->recorder.ended[1].second, EndReason::kFlowLost);
  EXPECT_EQ(j->counters.flow_removed_received, 3u);
}

TEST_F(Bindings, AFlowDeletedByOthersAfterOurOwnRemovalIsStillALoss) {
  Begin();
  Install(MakeBinding(1));
  j->Advance(Micros{1000});
  j->session->RemoveBinding(MakeBinding(1).key, j->now.mono);
  j->Advance(Micros{1000});
  j->now.mono += std::chrono::seconds(3);
  Install(MakeBinding(1));
  j->Advance(Micros{1000});
  j->now.mono += std::chrono::seconds(1);
  ASSERT_EQ(j->fake.FlowsOf(20).size(), 1u);
  const auto flow = j->fake.FlowsOf(20)[0];
  ASSERT_TRUE(j->fake.Expire(FakeFlowKey(20, flow.priority, flow.match), 2));
  j->Pump();
  ASSERT_EQ(j->recorder.ended.size(), 1u);
  EXPECT_EQ(j->recorder.ended[0].second, EndReason::kFlowLost);
}

TEST_F(Bindings, TheEndOfAFormerFlowOfAKeyInFlightIsNoEnd) {
  Begin();
  Install(MakeBinding(1));
  j->Advance(Micros{1000});
  const auto flow = j->fake.FlowsOf(20)[0];
  Install(MakeBinding(1));
  ASSERT_TRUE(j->fake.Expire(FakeFlowKey(20, flow.priority, flow.match), 0));
  j->Advance(Micros{1000});
  EXPECT_TRUE(j->recorder.ended.empty());
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 1u);
}

TEST_F(Bindings, AreFoundAgainByTheNextSession) {
  Begin();
  Install(MakeBinding(1, 7));
  Install(MakeBinding(2, 8));
  j->Advance(Micros{1000});
  for (auto& [key, flow] : j->fake.flows()) flow.packets = 11;
  j->Reconnect();
  j->Start(SmallPlan());
  ASSERT_EQ(j->recorder.found.size(), 2u);
  auto found = j->recorder.found[1];
  ASSERT_EQ(found.size(), 2u);
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  EXPECT_EQ(found[0].key, MakeBinding(1).key);
  EXPECT_EQ(found[0].instance, InstanceId{7});
  EXPECT_EQ(found[0].packets, 11u);
  EXPECT_EQ(found[0].idle_timeout, std::chrono::seconds(60));
  EXPECT_EQ(found[1].instance, InstanceId{8});
  EXPECT_EQ(j->recorder.synced.back().kept, 5u);  // bindings are not part of the static flows
  EXPECT_EQ(j->fake.FlowsOf(20).size(), 2u);
}

TEST_F(Bindings, WhatChangesDuringAResyncIsInItsResult) {
  Begin();
  Install(MakeBinding(1));
  Install(MakeBinding(2));
  j->Advance(Micros{1000});
  j->session->Resync();
  j->session->Run(j->now);  // the request is out, its answer not yet in
  ASSERT_EQ(j->state(), State::kDumping);
  Install(MakeBinding(3));
  j->session->RemoveBinding(MakeBinding(2).key, j->now.mono);
  j->now.mono += Micros{1000};
  j->session->Run(j->now);
  j->Pump();
  ASSERT_EQ(j->recorder.found.size(), 2u);
  std::vector<BindingKey> keys;
  for (const auto& b : j->recorder.found[1]) keys.push_back(b.key);
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (std::vector<BindingKey>{MakeBinding(1).key, MakeBinding(3).key}));
}

TEST_F(Bindings, AreCountedInSeveralReplies) {
  Begin();
  for (uint32_t i = 0; i < 1000; ++i) Install(MakeBinding(i));
  j->Advance(Micros{1000});
  j->session->CountBindings(openflow::CountScope::kTimed);
  j->session->CountBindings(openflow::CountScope::kTimed);
  j->Pump();
  EXPECT_EQ(j->recorder.counted.size(), 1000u);
  EXPECT_GT(j->recorder.counts, 1u);
}

TEST_F(Bindings, ThoseWhoGotNoneAreCountedWithThem) {
  Begin();
  pipeline::Compiled plan = SmallPlan();
  plan.flows.push_back(
      {.table = 35,
       .priority = 110,
       .cookie = pipeline::EncodeCookie(
           {.kind = pipeline::FlowKind::kUnbound, .service = ServiceId{5}, .at = SwitchId{1}}),
       .send_flow_removed = true,
       .match = "reg1=0x5,reg2=0",
       .actions = "resubmit(,40)"});
  plan.flows.push_back(
      {.table = 37,
       .priority = 0,
       .cookie = pipeline::EncodeCookie({.kind = pipeline::FlowKind::kUnbound, .at = SwitchId{1}}),
       .send_flow_removed = true,
       .match = "",
       .actions = "resubmit(,38)"});
  j->Want(plan);
  j->Pump();
  for (auto& [key, flow] : j->fake.flows()) flow.packets = 41 + flow.table;
  j->session->CountBindings(openflow::CountScope::kTimed);
  j->Pump();
  EXPECT_EQ(j->recorder.unbound,
            (std::vector<UnboundPackets>{{ServiceId{5}, 76, false}, {ServiceId{}, 78, false}}));
  EXPECT_EQ(j->recorder.counts, 2u);  // of each timed table
  j->Want(SmallPlan());
  j->Pump();
  EXPECT_THAT(std::vector<UnboundPackets>(j->recorder.unbound.begin() + 2, j->recorder.unbound.end()),
              testing::UnorderedElementsAre(UnboundPackets{ServiceId{5}, 76, true},
                                            UnboundPackets{ServiceId{}, 78, true}));
}

TEST_F(Bindings, BeforeTheSwitchIsKnownAreNotSent) {
  Joined k;
  k.session->InstallBinding(MakeBinding(1), k.now.mono);
  k.Start(SmallPlan());
  k.Advance(Micros{10000});
  EXPECT_TRUE(k.fake.FlowsOf(20).empty());
}

TEST_F(Bindings, AskedForWhenFoundFollowTheStaticFlows) {
  Joined k;
  k.recorder.on_found = [&] { k.session->InstallBinding(MakeBinding(1), k.now.mono); };
  k.Pump();
  k.Advance(Micros{10000});
  EXPECT_TRUE(k.fake.flows().empty());
  k.Want(SmallPlan());
  k.Pump();
  EXPECT_EQ(k.fake.FlowsOf(20).size(), 1u);
  EXPECT_EQ(k.state(), State::kSynced);
}

TEST_F(Bindings, GoWithoutAPlanThatDoesNotCome) {
  Joined k;
  k.Pump();
  ASSERT_EQ(k.recorder.found.size(), 1u);
  for (uint32_t i = 0; i < 100000; ++i) k.session->InstallBinding(MakeBinding(i % 10), k.now.mono);
  k.Advance(std::chrono::milliseconds(1999));
  EXPECT_TRUE(k.fake.flows().empty());
  EXPECT_EQ(k.session->queued_bindings(), 10u);
  EXPECT_LE(k.session->NextDeadline(), k.now.mono + std::chrono::milliseconds(1));
  k.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(k.fake.FlowsOf(20).size(), 10u);
  EXPECT_EQ(k.fake.received(MsgType::kBundleAdd), 10u);
  k.Want(SmallPlan());
  k.Pump();
  EXPECT_EQ(k.state(), State::kSynced);
}

TEST(BindingQueue, HoldsLittleMoreThanItsKeys) {
  openflow::BindingQueue queue(Micros{1000}, 1000);
  openflow::OutBuffer out;
  openflow::SwitchCounters counters;
  uint32_t xid = openflow::kFirstXid;
  std::map<BindingKey, uint16_t> sent;  // 0: removed
  const std::function<void(const BindingKey&, const BindingFlow*)> on_sent = [&](const BindingKey& key,
                                                                                 const BindingFlow* flow) {
    sent[key] = flow == nullptr ? uint16_t{0} : flow->instance.value();
  };
  MonoTime now{Micros{1000000}};
  const auto flush = [&] {
    queue.Flush({.out = &out, .next_xid = &xid, .counters = &counters, .now = now, .sent = &on_sent});
  };
  // One batch is in flight: its numbers must stay below those that are given anew.
  for (uint32_t i = 0; i < 5; ++i) queue.Install(MakeBinding(i, 3), kPushed, now);
  flush();
  ASSERT_EQ(sent.size(), 5u);
  EXPECT_TRUE(queue.InstallPending(MakeBinding(4).key));
  std::map<BindingKey, uint16_t> wanted = sent;
  std::mt19937 random(4711);  // irregular, so that numbers change when superseded ones go
  for (uint32_t i = 0; i < 100000; ++i) {
    const auto client = static_cast<uint32_t>(1 + random() % 10);  // 0 stays in flight
    const bool remove = i % 13 == 0;
    const BindingFlow flow = MakeBinding(client, static_cast<uint16_t>(1 + i % 50));
    if (remove) {
      queue.Remove(flow.key, now);
    } else {
      queue.Install(flow, kPushed, now);
    }
    wanted[flow.key] = remove ? uint16_t{0} : flow.instance.value();
    ASSERT_LE(queue.held(), 2 * queue.queued() + 1024);
    ASSERT_LE(queue.queued(), 10u);
    ASSERT_EQ(queue.InstallPending(flow.key), !remove) << i;
  }
  for (const auto& [key, instance] : wanted) EXPECT_EQ(queue.InstallPending(key), instance != 0);
  now += Micros{1000};
  flush();
  EXPECT_EQ(sent, wanted);
  EXPECT_EQ(queue.held(), 0u);
  for (const auto& [key, instance] : wanted) EXPECT_EQ(queue.InstallPending(key), instance != 0);
}

}  // namespace
}  // namespace dyncast::test
