// What the switch learns by itself, and how it ends.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/openflow/harness.h"

namespace dyncast::test {
namespace {

using openflow::CountScope;
using openflow::MsgType;
using State = openflow::Session::State;

class Learned : public ::testing::Test {
 protected:
  void SetUp() override {
    j.Start(LearnPlan());
    ASSERT_EQ(j.state(), State::kSynced) << j.session->last_error();
    j.fake.ResetCounts();
  }
  void Learn(uint32_t client, uint16_t instance, BindingPlace place = BindingPlace::kTimed) {
    j.fake.Learn(LearnedFlow(MakeBinding(client).key, instance, place));
  }
  static std::vector<BindingKey> Keys(const std::vector<FoundBinding>& bindings) {
    std::vector<BindingKey> keys;
    for (const FoundBinding& b : bindings) keys.push_back(b.key);
    std::sort(keys.begin(), keys.end());
    return keys;
  }
  Joined j;
};

TEST_F(Learned, BindingsAreReportedFromAllTablesThatTheSwitchLearnsInto) {
  EXPECT_EQ(j.fake.monitored(), (std::set<uint8_t>{20, 21, 22, 27, 28}));
  Learn(1, 2);
  Learn(2, 3, BindingPlace::kGeneration0);
  Learn(2, 3, BindingPlace::kGeneration1);
  Learn(1, 3);  // selected again
  j.Pump();
  ASSERT_EQ(j.recorder.learned.size(), 4u);
  EXPECT_EQ(j.recorder.learned[0].key, MakeBinding(1).key);
  EXPECT_EQ(j.recorder.learned[0].instance, InstanceId{2});
  EXPECT_EQ(j.recorder.learned[0].idle_timeout, std::chrono::seconds(60));
  EXPECT_EQ(j.recorder.learned[1].place, BindingPlace::kGeneration0);
  EXPECT_EQ(j.recorder.learned[2].place, BindingPlace::kGeneration1);
  EXPECT_EQ(j.recorder.learned[3].instance, InstanceId{3});
  EXPECT_EQ(j.counters.learned_received, 4u);
  EXPECT_EQ(j.counters.malformed_received, 0u);
}

TEST_F(Learned, OurOwnChangesAndStrangersAreNotReported) {
  for (uint32_t i = 0; i < 5; ++i) j.session->InstallBinding(MakeBinding(i), j.now.mono);
  j.Advance(Micros{2000});
  FakeFlow stranger = LearnedFlow(MakeBinding(9).key, 2);
  stranger.cookie = 0x77;
  j.fake.Learn(stranger);
  FakeFlow odd = LearnedFlow(MakeBinding(10).key, 2);
  odd.priority = 7;  // with our cookie, but not what the pipeline learns
  j.fake.Learn(odd);
  FakeFlow lying = LearnedFlow(MakeBinding(11).key, 2);
  lying.cookie ^= 1ull << 32;  // another service than its match
  j.fake.Learn(lying);
  j.Pump();
  EXPECT_TRUE(j.recorder.learned.empty());
  EXPECT_EQ(j.state(), State::kSynced);
  // A sync removes what pretends to be ours.
  j.session->Resync();
  j.Pump();
  EXPECT_EQ(j.recorder.synced.back().deleted, 2u);
  EXPECT_EQ(j.recorder.found.back().size(), 5u);
}

TEST_F(Learned, BindingsOfATimeBeforeTheDumpAreFoundOnce) {
  Learn(1, 2);
  Learn(2, 3, BindingPlace::kGeneration1);
  Learn(2, 3, BindingPlace::kGeneration0);
  j.Pump();
  j.recorder.learned.clear();
  j.Reconnect();
  j.fake.BeSilent(MsgType::kEchoRequest);
  j.Pump();
  ASSERT_EQ(j.recorder.found.size(), 2u);
  auto found = j.recorder.found[1];
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(std::count_if(found.begin(), found.end(),
                          [](const FoundBinding& b) { return b.place == BindingPlace::kTimed; }),
            1);
  EXPECT_TRUE(j.recorder.learned.empty());
}

TEST_F(Learned, WhatIsLearnedBehindTheDumpIsPartOfWhatIsFound) {
  Learn(1, 2);
  j.Pump();
  j.Reconnect();
  j.recorder.learned.clear();
  // In front of the flows' answer, as a switch that learns between the requests, and behind it.
  int asked = 0;
  j.fake.on_multipart = [&](uint16_t type) {
    if (type == 1 && ++asked == 1) Learn(7, 3), Learn(1, 3);
    if (type == 10) Learn(8, 2), Learn(1, 2);
  };
  j.Pump();
  ASSERT_EQ(asked, 1);
  ASSERT_EQ(j.recorder.found.size(), 2u);
  EXPECT_EQ(Keys(j.recorder.found[1]),
            (std::vector<BindingKey>{MakeBinding(1).key, MakeBinding(7).key, MakeBinding(8).key}));
  for (const FoundBinding& b : j.recorder.found[1]) {
    EXPECT_EQ(b.instance, InstanceId{b.key == MakeBinding(7).key ? uint16_t{3} : uint16_t{2}});
  }
  EXPECT_TRUE(j.recorder.learned.empty()) << "nobody knows the switch before OnFound";
}

TEST_F(Learned, APauseIsCountedAndTheGapReportedAfterIt) {
  j.fake.PauseMonitor();
  Learn(1, 2);
  Learn(2, 2);
  j.Pump();
  EXPECT_TRUE(j.recorder.learned.empty());
  EXPECT_EQ(j.counters.monitor_pauses, 1u);
  EXPECT_EQ(j.recorder.gaps, 0u);
  j.fake.ResumeMonitor();
  j.Pump();
  EXPECT_EQ(j.recorder.learned.size(), 2u);
  EXPECT_EQ(j.recorder.gaps, 1u);
}

TEST_F(Learned, EndsAreReportedAsForPushedOnes) {
  Learn(1, 2);
  Learn(2, 3);
  j.Pump();
  j.now.mono += std::chrono::seconds(2);
  const FakeFlow first = LearnedFlow(MakeBinding(1).key, 2);
  const FakeFlow second = LearnedFlow(MakeBinding(2).key, 3);
  ASSERT_TRUE(j.fake.Expire(FakeFlowKey(20, first.priority, first.match), 0));
  ASSERT_TRUE(j.fake.Expire(FakeFlowKey(20, second.priority, second.match), 2));
  j.Pump();
  ASSERT_EQ(j.recorder.ended.size(), 2u);
  EXPECT_EQ(j.recorder.ended[0].first.key, MakeBinding(1).key);
  EXPECT_EQ(j.recorder.ended[0].second, EndReason::kIdle);
  EXPECT_EQ(j.recorder.ended[0].first.idle_age, std::chrono::seconds(60));
  EXPECT_EQ(j.recorder.ended[1].second, EndReason::kFlowLost);
}

TEST_F(Learned, AllOfAServiceInOneTableGoByOneFlowModInFrontOfThePlan) {
  for (uint32_t i = 0; i < 50; ++i) {
    Learn(i, 2, BindingPlace::kGeneration0);
    Learn(i, 2, BindingPlace::kGeneration1);
    Learn(100 + i, 2);
  }
  j.Pump();
  j.session->InstallBinding(
      {.key = MakeBinding(900).key, .instance = InstanceId{2}, .place = BindingPlace::kGeneration1},
      j.now.mono);
  j.session->InstallBinding(
      {.key = MakeBinding(901).key, .instance = InstanceId{2}, .place = BindingPlace::kGeneration0},
      j.now.mono);
  j.fake.ResetCounts();
  std::vector<MsgType> order;
  j.session->RemoveBindingsAt(ServiceId{5}, BindingPlace::kGeneration1, j.now.mono);
  j.Want(LearnPlan(3, false, 1));
  j.session->Run(j.now);
  openflow::ByteView out = j.session->out().pending();
  size_t size = 0;
  while (openflow::CutMessage(out, &size) == openflow::CutState::kMessage) {
    order.push_back(openflow::MessageType(out));
    out = out.subspan(size);
  }
  ASSERT_GE(order.size(), 3u);
  EXPECT_EQ(order[0], MsgType::kFlowMod);
  EXPECT_EQ(std::count(order.begin(), order.end(), MsgType::kFlowMod), 1);
  j.Advance(Micros{2000});
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_TRUE(j.fake.FlowsOf(22).empty());
  EXPECT_EQ(j.fake.FlowsOf(21).size(), 51u);
  EXPECT_EQ(j.fake.FlowsOf(20).size(), 50u);
  // Timed ones would each tell of their end: not to the listener.
  j.now.mono += std::chrono::seconds(2);
  j.session->RemoveBindingsAt(ServiceId{5}, BindingPlace::kTimed, j.now.mono);
  j.Advance(Micros{2000});
  EXPECT_EQ(j.counters.flow_removed_received, 50u);
  EXPECT_TRUE(j.recorder.ended.empty());
}

TEST_F(Learned, AnInstanceThatGoesLeavesAllTablesByOneFlowMod) {
  Learn(1, 2);
  Learn(2, 2, BindingPlace::kGeneration0);
  Learn(3, 2, BindingPlace::kGeneration1);
  Learn(4, 3);
  j.Pump();
  j.now.mono += std::chrono::seconds(2);
  j.fake.ResetCounts();
  j.session->RemoveBindingsOf(ServiceId{5}, InstanceId{2}, j.now.mono);
  Learn(5, 2);  // in front of the deletion
  j.Pump();
  EXPECT_EQ(j.fake.received(MsgType::kFlowMod), 1u);
  EXPECT_LE(j.fake.received_total(), 3u);
  EXPECT_EQ(j.fake.FlowsOf(20).size(), 1u);
  EXPECT_TRUE(j.fake.FlowsOf(21).empty());
  EXPECT_TRUE(j.fake.FlowsOf(22).empty());
  EXPECT_TRUE(j.recorder.ended.empty());
  EXPECT_EQ(j.recorder.learned.size(), 4u) << "the fifth was deleted with the others";
  Learn(6, 2);  // behind it
  j.Pump();
  EXPECT_EQ(j.recorder.learned.size(), 5u);
}

TEST_F(Learned, OneIsRemovedAndReplacedInItsOwnForm) {
  Learn(1, 2);
  Learn(2, 2);
  Learn(3, 2, BindingPlace::kGeneration1);
  j.Pump();
  BindingFlow moved = MakeBinding(1, 3);
  moved.fin_timeout = std::chrono::seconds(5);  // asks for another match than the learned flow has
  j.session->InstallBinding(moved, j.now.mono);
  j.session->RemoveBinding(MakeBinding(2).key, j.now.mono);
  j.session->RemoveBinding(MakeBinding(3).key, j.now.mono);
  j.Advance(Micros{2000});
  ASSERT_EQ(j.fake.FlowsOf(20).size(), 1u) << "two flows of one key would match alike";
  EXPECT_EQ(pipeline::DecodeCookie(j.fake.FlowsOf(20)[0].cookie)->instance, InstanceId{3});
  EXPECT_TRUE(j.fake.FlowsOf(22).empty());
  EXPECT_TRUE(j.recorder.ended.empty());
}

TEST_F(Learned, OnesThatOutliveTheirDispatchAreReplacedInTheirForm) {
  Learn(1, 2);
  Learn(2, 2);
  j.Pump();
  j.Reconnect();
  j.Start(SmallPlan());  // the service is dispatched by the controller now
  j.session->InstallBinding(MakeBinding(1, 3), j.now.mono);
  j.Advance(Micros{2000});
  EXPECT_EQ(j.fake.FlowsOf(20).size(), 2u);
}

TEST_F(Learned, PushedOnesGiveWayToWhatThePlanLearns) {
  Joined k;
  k.Start(SmallPlan());
  k.session->InstallBinding(MakeBinding(1, 3), k.now.mono);
  k.Advance(Micros{2000});
  k.Want(LearnPlan());
  k.Pump();
  k.session->InstallBinding(MakeBinding(1, 2), k.now.mono);
  k.Advance(Micros{2000});
  ASSERT_EQ(k.fake.FlowsOf(20).size(), 1u);
  EXPECT_EQ(pipeline::DecodeCookie(k.fake.FlowsOf(20)[0].cookie)->instance, InstanceId{2});
  EXPECT_TRUE(k.recorder.ended.empty());
}

TEST_F(Learned, AreCountedByScope) {
  Learn(1, 2);
  Learn(2, 2, BindingPlace::kGeneration0);
  Learn(3, 2, BindingPlace::kGeneration1);
  j.Pump();
  j.session->CountBindings(CountScope::kTimed);
  j.Pump();
  EXPECT_EQ(j.recorder.counted.size(), 1u);
  j.recorder.counted.clear();
  j.session->CountBindings(CountScope::kAll);
  j.session->CountBindings(CountScope::kTimed);
  j.Pump();
  EXPECT_EQ(j.recorder.counted.size(), 3u);
}

// A plan that looks for bindings elsewhere comes behind those that are queued; another one does not wait.
TEST(Monitors, APlanComesBehindTheBindingsItLooksFor) {
  for (const bool elsewhere : {true, false}) {
    SCOPED_TRACE(elsewhere);
    Joined j;
    j.Start(LearnPlan());
    pipeline::Compiled plan = LearnPlan(elsewhere ? 3 : 4);
    for (pipeline::Flow& flow : plan.flows) {
      if (elsewhere && flow.table == 15) flow.actions = "resubmit(,26),resubmit(,30)";
    }
    j.session->InstallBinding(MakeBinding(9), j.now.mono);
    j.Pump();  // the next one has to wait for its tick
    const auto lookup = j.fake.FlowsOf(15).front().instructions;
    const size_t egress = j.fake.FlowsOf(40).size();
    std::optional<bool> plan_was_there;
    j.fake.on_binding = [&](openflow::ByteView) {
      const bool same = j.fake.FlowsOf(15).front().instructions == lookup;
      plan_was_there = !same || j.fake.FlowsOf(40).size() != egress;
    };
    BindingFlow moved = MakeBinding(1);
    moved.place = BindingPlace::kHeaderTimed;
    j.session->InstallBinding(moved, j.now.mono);
    j.Want(plan);
    j.Pump();
    j.Advance(Micros{20000});
    EXPECT_EQ(plan_was_there, !elsewhere);
    EXPECT_EQ(j.state(), State::kSynced);
  }
}

// So it does at a session's start, if the switch has the plan of before. An empty one gets its plan first.
TEST(Monitors, TheFirstPlanOfASessionComesBehindTheBindingsItLooksFor) {
  for (const bool empty : {false, true}) {
    SCOPED_TRACE(empty);
    Joined j;
    if (!empty) j.Start(LearnPlan());
    pipeline::Compiled plan = LearnPlan();
    for (pipeline::Flow& flow : plan.flows) {
      if (flow.table == 15) flow.actions = "resubmit(,26),resubmit(,30)";
    }
    const auto Lookup = [&] {
      const auto flows = j.fake.FlowsOf(15);
      return flows.empty() ? decltype(flows.front().instructions){} : flows.front().instructions;
    };
    const auto before = Lookup();
    std::optional<bool> plan_was_there;
    j.fake.on_binding = [&](openflow::ByteView) { plan_was_there = Lookup() != before; };
    j.recorder.on_found = [&] {
      j.Want(plan);
      BindingFlow moved = MakeBinding(1);
      moved.place = BindingPlace::kHeaderTimed;
      j.session->InstallBinding(moved, j.now.mono);
    };
    if (empty) {
      j.Pump();
    } else {
      j.Reconnect();
    }
    j.Pump();
    j.Advance(Micros{20000});
    EXPECT_EQ(plan_was_there, empty);
    EXPECT_EQ(j.fake.FlowsOf(26).size(), 1u);
    EXPECT_EQ(j.state(), State::kSynced);
  }
}

TEST(Monitors, ASwitchWithoutThemIsServedAllTheSame) {
  Joined j({.has_monitors = false});
  j.Start(LearnPlan());
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.counters.resyncs, 0u);
  EXPECT_EQ(j.counters.errors_received, 5u);
}

TEST(Monitors, BrokenUpdatesAreCounted) {
  Joined j;
  j.Start(SmallPlan());
  for (const uint16_t length : {uint16_t{0}, uint16_t{12}, uint16_t{16}, uint16_t{4096}}) {
    openflow::OutBuffer out;
    uint8_t* p = out.Message(MsgType::kMultipartReply, 0, 16 + 40);
    openflow::Put16(p + 8, 16);
    openflow::Put16(p + 16, length);
    openflow::Put16(p + 18, 1);  // added
    j.session->OnMessage(out.pending(), j.now);
  }
  EXPECT_EQ(j.counters.malformed_received, 4u);
  EXPECT_EQ(j.state(), State::kSynced);
}

}  // namespace
}  // namespace dyncast::test
