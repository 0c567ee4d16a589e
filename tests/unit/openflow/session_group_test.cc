// Select groups: in the same bundle as the flows that use them, compared, repaired, left alone.
#include <gtest/gtest.h>

#include "tests/unit/openflow/harness.h"

namespace dyncast::test {
namespace {

using openflow::MsgType;
using State = openflow::Session::State;

constexpr uint32_t kGroup4 = 5;
constexpr uint32_t kGroup6 = 0x10005;

TEST(SelectGroups, ComeWithTheirFlowsAndAreThenLeftAlone) {
  Joined j;
  j.Pump();
  ASSERT_EQ(j.recorder.empty.size(), 1u);
  EXPECT_TRUE(j.recorder.empty[0]);
  j.Want(LearnPlan());
  j.Pump();
  ASSERT_EQ(j.state(), State::kSynced) << j.session->last_error();
  EXPECT_EQ(j.fake.bundles_committed(), 1u);
  EXPECT_EQ(j.fake.groups().size(), 2u);
  EXPECT_EQ(j.recorder.synced[0].added, 8u + 2u);  // flows and groups

  j.fake.ResetCounts();
  const uint64_t mods = j.fake.group_mods_seen() + j.fake.flow_mods_seen();
  j.Reconnect();
  j.Start(LearnPlan());
  EXPECT_EQ(j.recorder.synced[1].kept, 10u);
  EXPECT_EQ(j.recorder.synced[1].differences, std::vector<std::string>{});
  EXPECT_EQ(j.fake.group_mods_seen() + j.fake.flow_mods_seen(), mods);
  EXPECT_EQ(j.fake.received(MsgType::kBundleControl), 0u);
}

TEST(SelectGroups, AreFoundWithTheDispatch) {
  Joined j;
  j.Start(LearnPlan(3, true, 1));
  j.Reconnect();
  j.Pump();
  ASSERT_EQ(j.recorder.dispatch.size(), 2u);
  EXPECT_TRUE(j.recorder.dispatch[0].empty());
  EXPECT_FALSE(j.recorder.empty[1]);
  ASSERT_EQ(j.recorder.dispatch[1].size(), 1u);
  const FoundDispatch& found = j.recorder.dispatch[1][0];
  EXPECT_EQ(found.service, ServiceId{5});
  EXPECT_EQ(found.generation, 1);
  EXPECT_TRUE(found.binding_closed);
  EXPECT_EQ(found.slots_v4, LearnPlan().groups[0].slots);
  EXPECT_EQ(found.slots_v6, LearnPlan().groups[1].slots);
}

TEST(SelectGroups, AChangeOfWeightsIsOneGroupMod) {
  Joined j;
  j.Start(LearnPlan());
  j.fake.ResetCounts();
  const uint64_t flow_mods = j.fake.flow_mods_seen();
  const uint64_t group_mods = j.fake.group_mods_seen();
  pipeline::Compiled plan = LearnPlan();
  plan.groups[0].slots[17] = InstanceId{2};
  j.Want(plan);
  j.Pump();
  EXPECT_EQ(j.fake.received_total(), 3u);  // open, modify, commit
  EXPECT_EQ(j.fake.group_mods_seen(), group_mods + 1);
  EXPECT_EQ(j.fake.flow_mods_seen(), flow_mods);
  j.Reconnect();
  j.Pump();
  ASSERT_EQ(j.recorder.dispatch.back().size(), 1u);
  EXPECT_EQ(j.recorder.dispatch.back()[0].slots_v4, plan.groups[0].slots);
}

TEST(SelectGroups, AServiceThatGoesTakesThemWithIt) {
  Joined j;
  j.Start(LearnPlan());
  FakeGroup foreign = j.fake.groups().at(kGroup4);
  foreign.buckets.clear();
  j.fake.groups()[77] = foreign;       // somebody's group, with an id that could be a service's
  j.fake.groups()[0x20005] = foreign;  // an id that is no service's
  j.session->Resync();
  j.Pump();
  EXPECT_EQ(j.fake.groups().size(), 4u);
  j.Want(SmallPlan());
  j.Pump();
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.fake.groups().size(), 2u);
  EXPECT_TRUE(j.fake.groups().contains(77));
  EXPECT_EQ(j.fake.flows().size(), 5u);
  EXPECT_EQ(j.counters.errors_received, 0u);
  // Nothing is left to be done.
  j.session->Check(1);
  j.Pump();
  EXPECT_EQ(j.recorder.checked.back().report.differences, std::vector<std::string>{});
}

TEST(SelectGroups, WrongOnesAreReplacedWhateverTheirShape) {
  Joined j;
  j.Start(LearnPlan());
  const FakeGroup right = j.fake.groups().at(kGroup4);
  const std::vector<std::function<void(FakeGroup&)>> faults = {
      [](FakeGroup& g) { g.type = 0; },
      [](FakeGroup& g) { g.buckets.resize(g.buckets.size() / 2); },
      [](FakeGroup& g) { g.buckets.clear(); },
      [](FakeGroup& g) { g.properties.clear(); },
      [](FakeGroup& g) { g.properties.back() ^= 1; },
      [](FakeGroup& g) { g.buckets[7] ^= 1; },                     // a bucket id
      [](FakeGroup& g) { g.buckets[g.buckets.size() - 5] ^= 2; },  // the last bucket's weight
      [](FakeGroup& g) {
        for (uint8_t& octet : g.buckets) octet = octet == 35 ? 40 : octet;  // goes past kLearn
      },
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    faults[i](j.fake.groups().at(kGroup4));
    const uint64_t mods = j.fake.group_mods_seen();
    j.session->Check(i);
    j.Pump();
    EXPECT_EQ(j.recorder.checked.back().report.added, 1u) << "fault " << i;
    EXPECT_EQ(j.recorder.checked.back().report.deleted, 0u) << "fault " << i;
    j.session->Resync();
    j.Pump();
    ASSERT_EQ(j.state(), State::kSynced);
    EXPECT_EQ(j.fake.group_mods_seen(), mods + 1) << "fault " << i;
    EXPECT_EQ(j.fake.groups().at(kGroup4).buckets, right.buckets) << "fault " << i;
    EXPECT_EQ(j.fake.groups().at(kGroup4).properties, right.properties) << "fault " << i;
    EXPECT_EQ(j.fake.groups().at(kGroup4).type, right.type) << "fault " << i;
  }
  j.fake.groups().erase(kGroup6);
  j.session->Resync();
  j.Pump();
  EXPECT_TRUE(j.fake.groups().contains(kGroup6));
}

TEST(SelectGroups, ARefusalNamesSwitchServiceValueAndRule) {
  Joined j({.group_limit = 1});
  j.Start(LearnPlan());
  EXPECT_EQ(j.state(), State::kRefused);
  const std::string& why = j.session->last_error();
  EXPECT_NE(why.find("switch 0x2a refuses select group 0x10005 (service 5, IPv6): 1024 slots of 3 instances: "
                     "OFPGMFC_OUT_OF_GROUPS"),
            std::string::npos)
      << why;
  EXPECT_TRUE(j.fake.groups().empty()) << "a bundle is all or nothing";
  EXPECT_TRUE(j.fake.flows().empty());
  // Bindings go on.
  j.session->InstallBinding(MakeBinding(1), j.now.mono);
  j.Advance(Micros{2000});
  EXPECT_EQ(j.fake.FlowsOf(20).size(), 1u);
}

TEST(SelectGroups, ARefusedFlowIsNamedToo) {
  Joined j({.flow_limit = 4});
  j.Start(LearnPlan());
  EXPECT_EQ(j.state(), State::kRefused);
  const std::string& why = j.session->last_error();
  EXPECT_NE(why.find("switch 0x2a refuses a flow of service 5: "), std::string::npos) << why;
  EXPECT_NE(why.find("OFPFMFC_TABLE_FULL"), std::string::npos) << why;
}

TEST(SelectGroups, ManyGoInSeveralBundlesAndNotAllAtOnce) {
  Joined j;
  pipeline::Compiled plan;
  for (uint16_t s = 1; s <= 300; ++s) {
    plan.groups.push_back({.id = s, .slots = std::vector<InstanceId>(kSlots, InstanceId{s})});
  }
  j.Pump();
  j.Want(plan);
  j.session->Run(j.now);
  EXPECT_LT(j.session->out().size(), openflow::kSyncWindowOctets + 2 * openflow::kMaxBundleOctets);
  j.Pump();
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.fake.groups().size(), 300u);
  EXPECT_GT(j.fake.bundles_committed(), 10u);
  j.Reconnect();
  j.Start(plan);
  EXPECT_EQ(j.recorder.synced.back().kept, 300u);
}

TEST(SelectGroups, OnesThatNoMessageHoldsAreRefusedAtOnce) {
  openflow::ImageCache cache;
  pipeline::Compiled plan = LearnPlan();
  plan.groups[0].slots.resize(2000, InstanceId{1});
  const auto large = cache.Compile(plan);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Errc::kLimit);
  plan = LearnPlan();
  plan.groups.push_back(plan.groups[0]);
  ASSERT_FALSE(cache.Compile(plan).ok());
  plan = LearnPlan();
  plan.groups[1].slots[3] = InstanceId{};
  ASSERT_FALSE(cache.Compile(plan).ok());
}

}  // namespace
}  // namespace dyncast::test
