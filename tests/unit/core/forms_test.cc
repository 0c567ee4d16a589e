// What a service's bindings match: the header where the controller decides, registers where the switch does.
#include <map>
#include <set>

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class FormsTest : public CoreFixture {
 protected:
  void Begin(BindingStoreKind store) {
    config_.services[0].affinity.store = store;
    StartWeb();
    Say("a2", wire::Heartbeat{milliseconds{3600000}});
    Say("a3", wire::Heartbeat{milliseconds{3600000}});
    for (uint16_t port = 1; port <= 3; ++port) Do(Demand("r1", "web", port));
  }
  Effects Configure() { return Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}); }
  FoundBinding Found(const BindingFlow& flow) const {
    return {.key = flow.key,
            .instance = flow.instance,
            .idle_timeout = IsTimed(flow.place) ? flow.idle_timeout : seconds{0},
            .place = flow.place,
            .client_bits = flow.client_bits};
  }
  std::map<BindingKey, InstanceId> Held() const {
    std::map<BindingKey, InstanceId> held;
    for (const BindingFlow& flow : core_->BindingsOf(Sw("r1"))) held[flow.key] = flow.instance;
    return held;
  }
  // All bindings are sent to `place`, and none ends.
  void ExpectMoved(const Effects& effects, BindingPlace place,
                   const std::map<BindingKey, InstanceId>& bindings) {
    EXPECT_TRUE(Records<BindingEnded>(effects).empty());
    std::map<BindingKey, InstanceId> sent;
    for (const InstallBinding& install : All<InstallBinding>(effects)) {
      EXPECT_EQ(install.flow.place, place);
      sent[install.flow.key] = install.flow.instance;
    }
    EXPECT_EQ(sent, bindings);
    EXPECT_EQ(Held(), bindings);
  }
  // What is deleted within two seconds of virtual time at r1, where the switch has confirmed its plan.
  std::set<BindingPlace> LeftBehind() {
    std::set<BindingPlace> places;
    for (int i = 0; i < 20; ++i) {
      for (const RemoveBindingsAt& removed : All<RemoveBindingsAt>(Tick(milliseconds{100}))) {
        if (removed.at == Sw("r1")) places.insert(removed.place);
      }
    }
    return places;
  }
};

TEST_F(FormsTest, AnotherDispatchTakesTheBindingsOver) {
  Begin(BindingStoreKind::kTimed);
  const auto bindings = Held();
  ASSERT_EQ(bindings.size(), 3u);
  EXPECT_EQ(core_->BindingsOf(Sw("r1"))[0].place, BindingPlace::kHeaderTimed);
  config_.services[0].dispatch = Dispatch::kLearn;
  const Effects learns = Configure();
  ExpectMoved(learns, BindingPlace::kTimed, bindings);
  EXPECT_TRUE(All<RemoveBindingsAt>(learns).empty()) << "not before the plan is in force";
  EXPECT_EQ(LeftBehind(), (std::set<BindingPlace>{BindingPlace::kHeaderTimed}));
  config_.services[0].dispatch = Dispatch::kReactive;
  ExpectMoved(Configure(), BindingPlace::kHeaderTimed, bindings);
  EXPECT_EQ(LeftBehind(), (std::set<BindingPlace>{BindingPlace::kTimed}));
}

TEST_F(FormsTest, AnotherDispatchTakesGenerationsOver) {
  Begin(BindingStoreKind::kGenerations);
  const auto bindings = Held();
  config_.services[0].dispatch = Dispatch::kLearn;
  ExpectMoved(Configure(), BindingPlace::kGeneration0, bindings);
  EXPECT_EQ(LeftBehind(),
            (std::set<BindingPlace>{BindingPlace::kHeaderGeneration0, BindingPlace::kHeaderGeneration1}));
  config_.services[0].dispatch = Dispatch::kReactive;
  config_.services[0].affinity.store = BindingStoreKind::kTimed;
  ExpectMoved(Configure(), BindingPlace::kHeaderTimed, bindings);
  EXPECT_EQ(LeftBehind(), (std::set<BindingPlace>{BindingPlace::kGeneration0, BindingPlace::kGeneration1}));
}

// Back before what was left behind is deleted: it is in the way of nothing, and goes at once.
TEST_F(FormsTest, AChangeThatIsTakenBackKeepsAll) {
  Begin(BindingStoreKind::kTimed);
  const auto bindings = Held();
  config_.services[0].dispatch = Dispatch::kLearn;
  Configure();
  config_.services[0].dispatch = Dispatch::kReactive;
  const Effects back = Configure();
  ExpectMoved(back, BindingPlace::kHeaderTimed, bindings);
  ASSERT_EQ(All<RemoveBindingsAt>(back).size(), 2u);
  EXPECT_EQ(All<RemoveBindingsAt>(back)[0].place, BindingPlace::kHeaderTimed);
  EXPECT_EQ(LeftBehind(), (std::set<BindingPlace>{BindingPlace::kTimed}));
}

TEST_F(FormsTest, WhatIsFoundInTheOtherFormIsSentAnew) {
  Begin(BindingStoreKind::kTimed);
  const auto bindings = Held();
  std::vector<FoundBinding> found;
  for (BindingFlow flow : core_->BindingsOf(Sw("r1"))) {
    flow.place = BindingPlace::kTimed;
    found.push_back(Found(flow));
  }
  Do(SwitchLost{Sw("r1"), "test"});
  const Effects effects = Do(SwitchFound{Sw("r1"), found});
  ExpectMoved(effects, BindingPlace::kHeaderTimed, bindings);
  Do(SwitchSynced{Sw("r1")});
  EXPECT_EQ(LeftBehind(), (std::set<BindingPlace>{BindingPlace::kTimed}));
  // In the right form nothing is sent.
  found.clear();
  for (const BindingFlow& flow : core_->BindingsOf(Sw("r1"))) found.push_back(Found(flow));
  Do(SwitchLost{Sw("r1"), "test"});
  EXPECT_TRUE(All<InstallBinding>(Do(SwitchFound{Sw("r1"), found})).empty());
}

TEST_F(FormsTest, APrefixIsTheServicesOwn) {
  config_.services[0].affinity.kind = AffinityKind::kClientPrefix;
  config_.services[0].affinity.prefix_v4 = 24;
  Begin(BindingStoreKind::kTimed);
  const std::vector<BindingFlow> flows = core_->BindingsOf(Sw("r1"));
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].client_bits, 24);
  FoundBinding wide = Found(flows[0]);
  wide.client_bits = 16;
  wide.key.client = Ip("10.11.0.0");
  FoundBinding same = Found(flows[0]);
  Do(SwitchLost{Sw("r1"), "test"});
  const Effects effects = Do(SwitchFound{Sw("r1"), {same, wide}});
  ASSERT_EQ(All<RemoveBinding>(effects).size(), 1u);
  EXPECT_EQ(All<RemoveBinding>(effects)[0].client_bits, 16);
}

}  // namespace
}  // namespace dyncast::core
