// Desired against installed: only the difference is sent, in bundles, and errors lead to a resync.
#include <gtest/gtest.h>

#include "tests/unit/openflow/harness.h"

namespace dyncast::test {
namespace {

using openflow::MsgType;
using State = openflow::Session::State;

TEST(Sync, FillsAnEmptySwitchAndThenChangesNothing) {
  Joined j;
  j.Start(SmallPlan());
  ASSERT_EQ(j.recorder.synced.size(), 1u);
  EXPECT_EQ(j.recorder.synced[0].added, 5u);
  EXPECT_EQ(j.fake.flows().size(), 5u);
  EXPECT_EQ(j.fake.meters().size(), 2u);
  EXPECT_EQ(j.fake.bundles_committed(), 1u);

  // A controller that comes back finds all in order.
  j.fake.ResetCounts();
  j.Reconnect();
  j.Start(SmallPlan());
  ASSERT_EQ(j.recorder.synced.size(), 2u);
  EXPECT_EQ(j.recorder.synced[1].kept, 5u);
  EXPECT_EQ(j.recorder.synced[1].added, 0u);
  EXPECT_EQ(j.recorder.synced[1].deleted, 0u);
  EXPECT_TRUE(j.recorder.synced[1].differences.empty());
  EXPECT_EQ(j.fake.received(MsgType::kBundleControl), 0u);
  EXPECT_EQ(j.fake.received(MsgType::kFlowMod), 0u);
  EXPECT_EQ(j.fake.received(MsgType::kMeterMod), 0u);
}

TEST(Sync, RepairsAChangedFlowAndDeletesAnUnwantedOne) {
  Joined j;
  j.Start(SmallPlan());
  auto& first = j.fake.flows().begin()->second;
  ASSERT_FALSE(first.instructions.empty());
  const auto right = first.instructions;
  first.instructions.clear();  // somebody made it drop
  FakeFlow unwanted = j.fake.flows().rbegin()->second;
  unwanted.priority = 77;
  j.fake.flows()["unwanted"] = unwanted;
  FakeFlow foreign = unwanted;
  foreign.cookie = 0x1234;
  foreign.priority = 78;
  j.fake.flows()["foreign"] = foreign;

  j.session->Resync();
  j.Pump();
  ASSERT_EQ(j.recorder.synced.size(), 2u);
  EXPECT_EQ(j.recorder.synced[1].kept, 4u);
  EXPECT_EQ(j.recorder.synced[1].added, 1u);
  EXPECT_EQ(j.recorder.synced[1].deleted, 1u);
  EXPECT_EQ(j.recorder.synced[1].differences.size(), 2u);
  EXPECT_EQ(j.fake.flows().begin()->second.instructions, right);
  EXPECT_TRUE(j.fake.flows().contains("foreign"));
}

TEST(Sync, OneInstanceGoneIsThreeMessagesWhateverTheNumberOfBindings) {
  for (const uint32_t bindings : {10u, 10000u}) {
    Joined j;
    j.Start(SmallPlan());
    for (uint32_t i = 0; i < bindings; ++i) j.session->InstallBinding(MakeBinding(i, 2), j.now.mono);
    j.Advance(Micros{2000});
    ASSERT_EQ(j.fake.FlowsOf(20).size(), bindings);
    j.fake.ResetCounts();
    const auto before = j.counters;
    pipeline::Compiled less = SmallPlan();
    less.flows.erase(less.flows.begin() + 3);
    j.Want(less);
    j.Pump();
    EXPECT_EQ(j.fake.received_total(), 3u);  // open, delete, commit
    EXPECT_EQ(j.counters.messages_sent - before.messages_sent, 3u);
    EXPECT_EQ(j.counters.flow_mods_sent - before.flow_mods_sent, 1u);
    EXPECT_EQ(j.counters.bundles_sent - before.bundles_sent, 1u);
    EXPECT_EQ(j.fake.FlowsOf(20).size(), bindings);
    EXPECT_EQ(j.fake.FlowsOf(40).size(), 2u);
  }
}

TEST(Sync, CutsLargeChangesIntoSeveralBundles) {
  Joined j({}, {.bundle_max_flows = 10});
  j.Start(SmallPlan(33));
  EXPECT_EQ(j.fake.bundles_committed(), 4u);
  EXPECT_EQ(j.fake.flows().size(), 35u);
}

TEST(Sync, WaitsForTheLastBundleBeforeTheNext) {
  Joined j;
  j.Start(SmallPlan());
  j.fake.BeSilent(MsgType::kBundleControl);
  j.Want(SmallPlan(4));
  j.Pump();
  j.fake.ResetCounts();
  j.Want(SmallPlan(5));
  j.Want(SmallPlan(6));
  j.Pump();
  EXPECT_EQ(j.fake.received_total(), 0u);
  EXPECT_EQ(j.state(), State::kSyncing);
}

TEST(Sync, MetersAreAddedChangedAndRemoved) {
  Joined j;
  j.Start(SmallPlan());
  pipeline::Compiled plan = SmallPlan();
  plan.meters[1].packets_per_s = 300;
  j.fake.ResetCounts();
  j.Want(plan);
  j.Pump();
  EXPECT_EQ(j.fake.received(MsgType::kMeterMod), 1u);
  EXPECT_EQ(j.fake.received(MsgType::kBarrierRequest), 1u);
  plan.meters.pop_back();
  j.Want(plan);
  j.Pump();
  EXPECT_EQ(j.fake.meters().size(), 1u);
  EXPECT_EQ(j.state(), State::kSynced);
  j.Reconnect();
  j.Start(plan);
  EXPECT_TRUE(j.recorder.synced.back().differences.empty());
}

TEST(Sync, ARefusedStaticFlowLeadsToAResyncThatHelps) {
  Joined j;
  j.Pump();
  j.fake.RefuseFlow(2);
  j.Want(SmallPlan());
  j.Pump();
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.counters.resyncs, 1u);
  EXPECT_EQ(j.recorder.found.size(), 2u);
  EXPECT_EQ(j.fake.flows().size(), 5u);
}

// Time passes, and the switch answers echo requests.
void Pass(Joined* j, std::chrono::seconds time) {
  for (int64_t i = 0; i < time.count(); ++i) j->Advance(std::chrono::seconds(1));
}

TEST(Sync, ASwitchThatRefusesThePlanStaysAndIsTriedAgainEverMoreSeldom) {
  Joined j({.flow_limit = 4});
  j.Start(SmallPlan());
  EXPECT_EQ(j.state(), State::kRefused);
  EXPECT_EQ(openflow::StateName(j.state()), "refused");
  EXPECT_EQ(j.counters.resyncs, 3u);
  EXPECT_NE(j.session->last_error().find("OFPFMFC_TABLE_FULL"), std::string::npos) << j.session->last_error();
  EXPECT_TRUE(j.fake.flows().empty());  // a bundle is all or nothing
  // Bindings go on.
  j.session->InstallBinding(MakeBinding(1), j.now.mono);
  Pass(&j, std::chrono::seconds(9));
  EXPECT_EQ(j.fake.FlowsOf(20).size(), 1u);
  EXPECT_EQ(j.counters.resyncs, 3u);
  Pass(&j, std::chrono::seconds(1));
  EXPECT_EQ(j.counters.resyncs, 4u);
  EXPECT_EQ(j.state(), State::kRefused);
  Pass(&j, std::chrono::seconds(20 + 40 + 80 + 160 + 300 + 300));
  EXPECT_EQ(j.counters.resyncs, 10u);
  EXPECT_EQ(j.state(), State::kRefused);
  EXPECT_TRUE(j.recorder.synced.empty());
  // A plan that fits need not wait so long.
  j.Want(SmallPlan(1));
  Pass(&j, std::chrono::seconds(5));
  EXPECT_EQ(j.state(), State::kSynced);
  ASSERT_EQ(j.recorder.synced.size(), 1u);
  EXPECT_EQ(j.fake.flows().size(), 4u);
  // And then there is nothing left to be tried.
  Pass(&j, std::chrono::seconds(400));
  EXPECT_EQ(j.recorder.synced.size(), 1u);
}

TEST(Sync, ASwitchWithoutMetersIsServedWhenNoneAreWanted) {
  Joined j({.has_meters = false});
  pipeline::Compiled plan = SmallPlan();
  plan.meters.clear();
  plan.flows.erase(plan.flows.begin() + 1);
  j.Start(plan);
  EXPECT_EQ(j.state(), State::kSynced);
}

TEST(Sync, AConnectionLostInTheMiddleOfABundleIsMadeGood) {
  Joined j;
  j.Pump();
  j.fake.DisconnectBeforeCommit();
  j.Want(SmallPlan());
  j.Pump();
  EXPECT_EQ(j.state(), State::kClosed);
  EXPECT_TRUE(j.fake.flows().empty());
  j.Reconnect();
  j.Start(SmallPlan());
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.fake.flows().size(), 5u);
}

TEST(Sync, CheckSeesADifferenceAndChangesNothing) {
  Joined j;
  j.Start(SmallPlan());
  j.session->InstallBinding(MakeBinding(1), j.now.mono);
  j.Advance(Micros{2000});
  j.fake.flows().begin()->second.cookie ^= 0x10000;
  j.fake.ResetCounts();
  j.session->Check(42);
  j.Pump();
  ASSERT_EQ(j.recorder.checked.size(), 1u);
  EXPECT_EQ(j.recorder.checked[0].request, 42u);
  EXPECT_EQ(j.recorder.checked[0].report.added, 1u);
  EXPECT_EQ(j.recorder.checked[0].report.kept, 4u);
  EXPECT_EQ(j.recorder.checked[0].bindings.size(), 1u);
  EXPECT_EQ(j.fake.received(MsgType::kBundleControl), 0u);
  EXPECT_EQ(j.state(), State::kSynced);
}

TEST(Sync, APlanDoesNotWaitForACheck) {
  Joined j;
  j.Start(SmallPlan());
  j.session->Check(42);
  j.session->Run(j.now);  // the request is out, its answer not yet in
  j.Want(SmallPlan(4));
  j.session->Run(j.now);
  EXPECT_EQ(j.state(), State::kSyncing);
  j.Pump();
  EXPECT_EQ(j.state(), State::kSynced);
  ASSERT_EQ(j.recorder.checked.size(), 1u);
  EXPECT_EQ(j.recorder.checked[0].request, 42u);
  EXPECT_EQ(j.recorder.checked[0].report.kept, 6u);
  EXPECT_TRUE(j.recorder.checked[0].report.differences.empty());
}

TEST(Sync, ChecksBeyondTheLimitAreAnsweredAsFailed) {
  Joined j;
  j.Start(SmallPlan());
  for (uint64_t request = 1; request <= openflow::kMaxChecks + 2; ++request) j.session->Check(request);
  j.Pump();
  ASSERT_EQ(j.recorder.checked.size(), openflow::kMaxChecks + 2);
  for (const auto& checked : j.recorder.checked) {
    const bool failed = checked.request > openflow::kMaxChecks;
    EXPECT_EQ(checked.report.deleted, failed ? 1u : 0u) << checked.request;
    EXPECT_EQ(checked.report.differences.size(), failed ? 1u : 0u) << checked.request;
  }
}

TEST(ImageCache, RefusesBadTextAndDoubleFlows) {
  openflow::ImageCache cache;
  pipeline::Compiled plan = SmallPlan();
  plan.flows[0].actions = "set_field:1->reg99";
  const auto bad = cache.Compile(plan);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, Errc::kInvalid);
  EXPECT_NE(bad.error().message.find("reg99"), std::string::npos);
  plan = SmallPlan();
  plan.flows.push_back(plan.flows[0]);
  plan.flows.back().actions = "drop";
  const auto twice = cache.Compile(plan);
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().code, Errc::kConflict);
}

}  // namespace
}  // namespace dyncast::test
