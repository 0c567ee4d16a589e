// What switches hold and say, across restarts of either side; drains and configurations with bindings.
#include <map>

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SwitchesTest : public CoreFixture {
 protected:
  static FoundBinding Found(const BindingKey& key, InstanceId instance, uint64_t packets = 1,
                            milliseconds idle = milliseconds{0}) {
    return {.key = key,
            .instance = instance,
            .packets = packets,
            .bytes = packets * 100,
            .age = milliseconds{1000},
            .idle_age = idle,
            .idle_timeout = seconds{60},
            .place = BindingPlace::kHeaderTimed};
  }
  // What a database would hold after `effects`.
  void Persist(const Effects& effects) {
    for (const auto& r : Records<SwitchRecord>(effects)) switches_[r.id] = r;
    for (const auto& r : Records<ServiceRecord>(effects)) services_[r.id] = r;
    for (const auto& r : Records<InstanceRecord>(effects)) instances_[r.id] = r;
    for (const Effect& effect : effects) {
      const Record* record = std::get_if<Record>(&effect);
      if (record == nullptr) continue;
      if (const auto* s = std::get_if<BindingStarted>(record)) bindings_[s->key] = s->instance;
      if (const auto* e = std::get_if<BindingEnded>(record)) bindings_.erase(e->key);
    }
  }
  PersistedState Persisted() const {
    PersistedState state;
    for (const auto& [id, r] : switches_) state.switches.push_back(r);
    for (const auto& [id, r] : services_) state.services.push_back(r);
    for (const auto& [id, r] : instances_) state.instances.push_back(r);
    for (const auto& [key, instance] : bindings_)
      state.bindings.push_back({.key = key, .instance = instance});
    return state;
  }
  // StartWeb with a database, and `n` bindings on r1.
  void StartBound(uint16_t n) {
    Start();
    Persist(Tick());
    Connect("r1");
    Connect("r2");
    Persist(Announce("a2", "web-2", "web", "10.2.0.10"));
    Persist(Announce("a3", "web-3", "web", "10.3.0.10"));
    for (uint16_t i = 1; i <= n; ++i) Persist(Do(Demand("r1", "web", i)));
  }
  std::map<SwitchId, SwitchRecord> switches_;
  std::map<ServiceId, ServiceRecord> services_;
  std::map<InstanceId, InstanceRecord> instances_;
  std::map<BindingKey, InstanceId> bindings_;
};

TEST_F(SwitchesTest, DrainKeepsBindingsUntilItsDeadline) {
  StartBound(20);
  const InstanceId two = View("web-2").id;
  const auto bound = core_->BindingsOf(Sw("r1"));
  const auto drain = Do(DrainRequested{.instance = "web-2", .drain = true, .deadline = seconds{30}});
  Persist(drain);
  EXPECT_TRUE(All<SetPlan>(drain).empty());
  EXPECT_EQ(View("web-2").state, InstanceState::kDraining);
  for (uint16_t i = 100; i < 120; ++i) EXPECT_NE(Went(Do(Demand("r1", "web", i))), two);
  for (const auto& flow : bound) {
    EXPECT_EQ(Went(Do(Demand("r1", "web", flow.key.src_port))), flow.instance);
  }
  Say("a2", wire::Heartbeat{milliseconds{60000}});
  Say("a3", wire::Heartbeat{milliseconds{60000}});
  const auto done = Tick(seconds{30});
  Persist(done);
  EXPECT_EQ(All<SetPlan>(done).size(), 2u);
  EXPECT_EQ(View("web-2").state, InstanceState::kDraining);
  EXPECT_EQ(View("web-2").reason, "drained");
  for (const auto& flow : bound) {
    if (flow.instance != two) continue;
    const auto effects = Do(Demand("r1", "web", flow.key.src_port));
    EXPECT_NE(Went(effects), two);
    EXPECT_EQ(Records<BindingEnded>(effects)[0].reason, EndReason::kInstanceDrained);
  }
  // Repeated announcements do not undo it, nor does a restart.
  Announce("a2", "web-2", "web", "10.2.0.10");
  EXPECT_EQ(View("web-2").reason, "drained");
  Start(Persisted());
  EXPECT_EQ(View("web-2").reason, "drained");
  epoch_ = 9;
  Announce("a2", "web-2", "web", "10.2.0.10");
  EXPECT_EQ(View("web-2").reason, "drained");
  Do(DrainRequested{.instance = "web-2", .drain = false});
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  Do(DrainRequested{.instance = "nobody"});
  EXPECT_EQ(Counter("drain-of-unknown-instance"), 1u);
}

TEST_F(SwitchesTest, ARestartThatFindsEverythingChangesNothing) {
  StartBound(20);
  const auto flows = core_->BindingsOf(Sw("r1"));
  const auto plan = *core_->PlanInForce(Sw("r1"));
  Advance(seconds{10});
  Start(Persisted());
  EXPECT_TRUE(View("web-2").trusted_from_before);
  Do(PortsKnown{Sw("r1"), {{"acc1", PortNo{1}}, {"up1", PortNo{2}}}});
  std::vector<FoundBinding> found;
  for (const auto& flow : flows) found.push_back(Found(flow.key, flow.instance, 0));
  const auto effects = Do(SwitchFound{Sw("r1"), found});
  ASSERT_EQ(All<SetPlan>(effects).size(), 1u);
  EXPECT_EQ(*All<SetPlan>(effects)[0].plan, plan);
  EXPECT_TRUE(All<InstallBinding>(effects).empty());
  EXPECT_TRUE(All<RemoveBinding>(effects).empty());
  EXPECT_TRUE(Records<BindingStarted>(effects).empty());
  EXPECT_TRUE(Records<BindingEnded>(effects).empty());
  EXPECT_EQ(core_->binding_count(), 20u);
  EXPECT_EQ(Went(Do(Demand("r1", "web", flows[0].key.src_port))), flows[0].instance);
  // The agents have the grace to speak up.
  epoch_ = 2;
  Announce("a3", "web-3", "web", "10.3.0.10");
  Say("a3", wire::Heartbeat{milliseconds{60000}});
  Tick(milliseconds{4999});
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  Tick(milliseconds{1});
  EXPECT_EQ(View("web-2").reason, "not-announced");
  EXPECT_EQ(View("web-3").state, InstanceState::kUp);
}

TEST_F(SwitchesTest, ARestartTakesTheSwitchesWordForItsBindings) {
  StartBound(4);
  const auto flows = core_->BindingsOf(Sw("r1"));
  const InstanceId two = View("web-2").id;
  const InstanceId three = View("web-3").id;
  const InstanceId other = flows[1].instance == two ? three : two;
  Start(Persisted());
  BindingKey unknown = flows[0].key;
  unknown.src_port = 999;
  BindingKey foreign = unknown;
  foreign.service = ServiceId{77};
  BindingKey coarse = flows[0].key;
  coarse.src_port = 0;
  Connect("r2");
  const auto effects = Do(SwitchFound{Sw("r1"),
                                      {Found(flows[0].key, flows[0].instance, 5), Found(flows[1].key, other),
                                       Found(unknown, two), Found(foreign, two), Found(coarse, two)}});
  std::map<BindingKey, EndReason> ended;
  for (const auto& e : Records<BindingEnded>(effects)) ended[e.key] = e.reason;
  const std::map<BindingKey, EndReason> expected = {{flows[1].key, EndReason::kReplaced},
                                                    {flows[2].key, EndReason::kAwayEnded},
                                                    {flows[3].key, EndReason::kAwayEnded}};
  EXPECT_EQ(ended, expected);
  std::map<BindingKey, InstanceId> started;
  for (const auto& s : Records<BindingStarted>(effects)) {
    EXPECT_EQ(s.reason, StartReason::kFound);
    started[s.key] = s.instance;
  }
  EXPECT_EQ(started, (std::map<BindingKey, InstanceId>{{flows[1].key, other}, {unknown, two}}));
  EXPECT_EQ(All<RemoveBinding>(effects).size(), 2u);
  EXPECT_TRUE(All<InstallBinding>(effects).empty());
  EXPECT_EQ(Records<BindingTouched>(effects).size(), 3u);
  EXPECT_EQ(core_->binding_count(), 3u);
}

// The controller starts again with another store, and knows the ports late: until the plan comes the switch
// goes on with the tables of before, and what was put into the new one ages unused.
TEST_F(SwitchesTest, WhatWaitsForAPlanDoesNotEndByAge) {
  StartBound(3);
  std::vector<FoundBinding> before;
  for (const auto& [key, instance] : bindings_) {
    before.push_back(Found(key, instance));
    before.back().place = BindingPlace::kHeaderGeneration0;
    before.back().idle_timeout = seconds{0};
  }
  Start(Persisted());
  epoch_ = 2;
  for (const char* agent : {"a2", "a3"}) Say(agent, wire::Heartbeat{milliseconds{3600000}});
  Announce("a2", "web-2", "web", "10.2.0.10");
  Announce("a3", "web-3", "web", "10.3.0.10");
  EXPECT_EQ(All<InstallBinding>(Do(SwitchFound{Sw("r1"), before})).size(), 3u);
  const auto end = [&] {
    FoundBinding idle = Found(before[0].key, before[0].instance);
    idle.age = seconds{61};
    Tick(seconds{61});
    return Do(BindingFlowEnded{Sw("r1"), idle, EndReason::kIdle});
  };
  const auto effects = end();
  EXPECT_EQ(All<InstallBinding>(effects).size(), 1u);
  EXPECT_TRUE(Records<BindingEnded>(effects).empty());
  // Found once more: whichever it went by, the time of all starts anew.
  auto both = before;
  for (const FoundBinding& found : before) {
    both.push_back(Found(found.key, found.instance, 0, milliseconds{59000}));
  }
  Do(SwitchLost{Sw("r1"), "test"});
  EXPECT_EQ(All<InstallBinding>(Do(SwitchFound{Sw("r1"), both})).size(), 3u);
  // The plan comes: once more, and then they age as ever.
  const auto plan = Do(PortsKnown{Sw("r1"), {{"acc1", PortNo{1}}, {"up1", PortNo{2}}}});
  EXPECT_EQ(All<SetPlan>(plan).size(), 1u);
  EXPECT_EQ(All<InstallBinding>(plan).size(), 3u);
  Do(SwitchSynced{Sw("r1")});
  const auto ended = Records<BindingEnded>(end());
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].reason, EndReason::kIdle);
}

TEST_F(SwitchesTest, ASwitchThatComesBackEmptyGetsItsLiveBindingsAgain) {
  StartBound(3);
  Advance(seconds{50});
  Do(BindingsCounted{Sw("r1"),
                     {Found(core_->BindingsOf(Sw("r1"))[0].key, core_->BindingsOf(Sw("r1"))[0].instance, 9,
                            milliseconds{1000})}});
  Advance(seconds{20});
  Do(SwitchLost{Sw("r1"), "restart"});
  const auto effects = Do(SwitchFound{Sw("r1"), {}});
  EXPECT_EQ(All<InstallBinding>(effects).size(), 1u);
  const auto ended = Records<BindingEnded>(effects);
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].reason, EndReason::kFlowLost);
  EXPECT_EQ(core_->binding_count(), 1u);
}

TEST_F(SwitchesTest, EndsAndCountsAreRecorded) {
  StartBound(2);
  const auto flow = core_->BindingsOf(Sw("r1"))[0];
  auto counted = Do(BindingsCounted{Sw("r1"), {Found(flow.key, flow.instance, 7, milliseconds{500})}});
  ASSERT_EQ(Records<BindingTouched>(counted).size(), 1u);
  EXPECT_EQ(Records<BindingTouched>(counted)[0].last_seen, now_.wall - milliseconds{500});
  counted = Do(BindingsCounted{Sw("r1"), {Found(flow.key, flow.instance, 7, milliseconds{900})}});
  EXPECT_TRUE(counted.empty()) << "nothing new";
  const InstanceId other{static_cast<uint16_t>(flow.instance.value() == 1 ? 2 : 1)};
  EXPECT_TRUE(Do(BindingFlowEnded{Sw("r1"), Found(flow.key, other), EndReason::kIdle}).empty())
      << "an old flow";
  const auto ended = Records<BindingEnded>(
      Do(BindingFlowEnded{Sw("r1"), Found(flow.key, flow.instance, 8), EndReason::kIdle}));
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].packets, 8u);
  EXPECT_EQ(core_->binding_count(), 1u);
  Tick(seconds{1});
  size_t asked = 0;
  for (int i = 0; i < 300; ++i) asked += All<CountBindings>(Tick(milliseconds{100})).size();
  EXPECT_GE(asked, 4u);  // two switches, every 10 s, staggered
  EXPECT_LE(asked, 6u);
}

TEST_F(SwitchesTest, ALateEndOfAFlowThatWasSentAgainIsNotItsEnd) {
  StartBound(1);
  const auto flow = core_->BindingsOf(Sw("r1"))[0];
  Advance(seconds{60});
  EXPECT_EQ(All<InstallBinding>(Do(Demand("r1", "web", 1))).size(), 1u) << "its flow has just timed out";
  EXPECT_TRUE(Do(BindingFlowEnded{Sw("r1"), Found(flow.key, flow.instance), EndReason::kIdle}).empty());
  EXPECT_EQ(core_->binding_count(), 1u);
  Advance(seconds{60});
  EXPECT_EQ(
      Records<BindingEnded>(Do(BindingFlowEnded{Sw("r1"), Found(flow.key, flow.instance), EndReason::kIdle}))
          .size(),
      1u);
}

TEST_F(SwitchesTest, AFlowThatSomebodyDeletedGoesBack) {
  StartBound(1);
  const auto flow = core_->BindingsOf(Sw("r1"))[0];
  const auto lost = [&] {
    return Do(BindingFlowEnded{Sw("r1"), Found(flow.key, flow.instance), EndReason::kFlowLost});
  };
  Advance(seconds{2});
  const Effects restored = lost();
  EXPECT_TRUE(Records<BindingEnded>(restored).empty());
  ASSERT_EQ(All<InstallBinding>(restored).size(), 1u);
  EXPECT_EQ(All<InstallBinding>(restored)[0].flow.key, flow.key);
  EXPECT_EQ(All<InstallBinding>(restored)[0].flow.instance, flow.instance);
  EXPECT_EQ(Counter("flows-restored"), 1u);
  const bool second = View("web-2").id == flow.instance;
  Announce(second ? "a2" : "a3", second ? "web-2" : "web-3", "web", second ? "10.2.0.10" : "10.3.0.10",
           wire::Health::kDown);
  Advance(seconds{2});
  const Effects gone = lost();
  EXPECT_TRUE(All<InstallBinding>(gone).empty());
  EXPECT_EQ(Records<BindingEnded>(gone).size(), 1u);
  EXPECT_EQ(Counter("flows-restored"), 1u);
}

TEST_F(SwitchesTest, AKeyThatEndsAndIsRefusedAgainIsLookedAtOnce) {
  StartWeb();
  const auto first = All<InstallBinding>(Do(Demand("r1", "web", 1)))[0].flow;
  Do(BindingFlowRefused{Sw("r1"), first.key, "table full"});
  Advance(milliseconds{500});
  // The switch has it after all, and it ends there.
  Do(BindingFlowEnded{Sw("r1"), Found(first.key, first.instance), EndReason::kIdle});
  ASSERT_EQ(core_->binding_count(), 0u);
  Do(Demand("r1", "web", 1));
  Do(BindingFlowRefused{Sw("r1"), first.key, "table full"});
  Say("a2", wire::Heartbeat{milliseconds{3600000}});
  Say("a3", wire::Heartbeat{milliseconds{3600000}});
  size_t ended = 0;
  for (int i = 0; i < 70; ++i) ended += Records<BindingEnded>(Tick(seconds{1})).size();
  EXPECT_EQ(ended, 1u);
  // The list forgot the key with its row: it is watched anew.
  Do(Demand("r1", "web", 1));
  Do(BindingFlowRefused{Sw("r1"), first.key, "table full"});
  for (int i = 0; i < 70; ++i) ended += Records<BindingEnded>(Tick(seconds{1})).size();
  EXPECT_EQ(ended, 2u);
}

TEST_F(SwitchesTest, ARefusedFlowStaysABindingAndEndsWhenIdle) {
  StartWeb();
  const auto first = Do(Demand("r1", "web", 1));
  const BindingKey key = All<InstallBinding>(first)[0].flow.key;
  Do(BindingFlowRefused{Sw("r1"), key, "table full"});
  EXPECT_TRUE(core_->BindingsOf(Sw("r1")).empty());
  EXPECT_EQ(core_->View(now_).switches[0].refused_flows, 1u);
  EXPECT_EQ(core_->View(now_).switches[0].last_error, "table full");
  Advance(milliseconds{500});
  EXPECT_EQ(Went(Do(Demand("r1", "web", 1))), Went(first));
  Advance(milliseconds{600});
  EXPECT_EQ(All<InstallBinding>(Do(Demand("r1", "web", 1))).size(), 1u) << "tried again";
  Do(BindingFlowRefused{Sw("r1"), key, "table full"});
  Effects last;
  Say("a2", wire::Heartbeat{milliseconds{3600000}});
  Say("a3", wire::Heartbeat{milliseconds{3600000}});
  for (int i = 0; i < 59; ++i) EXPECT_TRUE(Records<BindingEnded>(Tick(seconds{1})).empty()) << i;
  EXPECT_EQ(Records<BindingEnded>(Tick(seconds{2})).size(), 1u);
  EXPECT_EQ(core_->binding_count(), 0u);
}

TEST_F(SwitchesTest, ConfigurationEndsBindingsOnlyOfRemovedServicesAndOtherKeys) {
  StartBound(10);
  Announce("a2", "rtp-2", "rtp", "10.2.0.20");
  Do(Demand("r1", "rtp", 1));
  const auto set = [&] { return Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}); };
  config_.services[0].affinity.idle_timeout = seconds{7};
  config_.services[0].selection.policy = PolicyKind::kWeighted;
  EXPECT_TRUE(Records<BindingEnded>(set()).empty());
  config_.services[0].affinity.kind = AffinityKind::kClient;
  const auto other_key = set();
  EXPECT_EQ(Records<BindingEnded>(other_key).size(), 10u);
  EXPECT_EQ(All<RemoveBindingsAt>(other_key).size(), 12u) << "six tables of two switches";
  config_.services.erase(config_.services.begin() + 1);
  const auto removed = set();
  ASSERT_EQ(Records<BindingEnded>(removed).size(), 1u);
  EXPECT_EQ(Records<BindingEnded>(removed)[0].reason, EndReason::kServiceRemoved);
  EXPECT_EQ(View("rtp-2").reason, "service-removed");
  EXPECT_EQ(core_->FindService("rtp"), std::nullopt);
  EXPECT_EQ(*core_->PlanInForce(Sw("r1")), *core_->PlanAnew(Sw("r1")));
  config_.switches.pop_back();
  set();
  EXPECT_EQ(core_->FindSwitch("r2"), std::nullopt);
  config_.agents.erase(config_.agents.begin());
  set();
  EXPECT_EQ(View("web-2").reason, "agent-removed");
}

}  // namespace
}  // namespace dyncast::core
