// D-Forwarders: whom they ask, what is bound there, and what their switches are told.
#include <algorithm>
#include <set>

#include "tests/unit/core/forwarders_fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::seconds;

TEST_F(ForwardersTest, PlansNameEachOther) {
  StartAll();
  const SwitchPlan& forwarder = PlanOf("f2");
  EXPECT_EQ(forwarder.role, SwitchRole::kDForwarder);
  EXPECT_EQ(forwarder.tunnel, (PlannedTunnel{.port = kTunnelPort, .local = Ip("10.255.2.2")}));
  EXPECT_EQ(forwarder.d_routers, (std::vector<IpAddress>{Ip("10.255.1.2"), Ip("10.255.3.2")}));
  EXPECT_EQ(forwarder.ask, Ip("10.255.1.2"));
  for (const PlannedService& service : forwarder.services) {
    EXPECT_EQ(service.spec.dispatch, Dispatch::kLearn) << "bindings come by themselves";
    EXPECT_TRUE(service.slots_v4.empty()) << "nothing is selected";
  }
  for (const char* name : {"r1", "r3"}) {
    ASSERT_EQ(PlanOf(name).forwarders.size(), 1u);
    EXPECT_EQ(
        PlanOf(name).forwarders[0],
        (PlannedForwarder{.id = Sw("f2"), .endpoint = Ip("10.255.2.2"), .sources = {Net("10.12.0.0/24")}}));
    EXPECT_FALSE(PlanOf(name).services[0].slots_v4.empty());
  }
}

TEST_F(ForwardersTest, BindingsOfAStoreOfMarksAreFlowsAtForwarders) {
  Affinity& affinity = config_.services[0].affinity;
  affinity.store = BindingStoreKind::kConntrack;
  for (const auto& [limit, store] : {std::pair{kTimedStoreMost, BindingStoreKind::kTimed},
                                     std::pair{kTimedStoreMost + 1, BindingStoreKind::kGenerations}}) {
    affinity.limit = limit;
    StartAll();
    EXPECT_EQ(PlanOf("f2").services[0].spec.affinity.store, store);
    EXPECT_EQ(PlanOf("r1").services[0].spec.affinity.store, BindingStoreKind::kConntrack);
    FoundBinding taken = Taken(WebKey(1), View("web-3").id);
    if (store == BindingStoreKind::kGenerations) taken.place = BindingPlace::kGeneration0;
    Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{taken}});
    const ServiceView web = core_->View(now_).services[0];
    EXPECT_TRUE(web.bindings_known);
    ASSERT_EQ(web.switches.size(), 3u);
    EXPECT_FALSE(web.switches[0].bindings_known);
    EXPECT_EQ(web.switches[1].bindings, 1u);
    EXPECT_EQ(web.switches[1].store, store);
    // At a D-Router no single binding has a meaning.
    BindingKey there = WebKey(2);
    there.at = Sw("r1");
    EXPECT_EQ(All<RemoveBinding>(
                  Do(BindingsLearned{Sw("r1"), std::vector<FoundBinding>{Taken(there, taken.instance)}}))
                  .size(),
              1u);
  }
}

TEST_F(ForwardersTest, AChangeOfTheStoreTouchesTheSwitchesThatItMeans) {
  Affinity& affinity = config_.services[0].affinity;
  StartAll();
  BindingKey own = WebKey(1);
  own.at = Sw("r1");
  own.client = Ip("10.11.0.5");
  const InstanceId web3 = View("web-3").id;
  Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Taken(WebKey(1), web3)}});
  Do(BindingsLearned{Sw("r1"), std::vector<FoundBinding>{Taken(own, web3)}});
  const auto configure = [&] { return Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}); };
  // To marks: D-Routers forget their flows; the D-Forwarder's go to the store that its limit means.
  affinity.store = BindingStoreKind::kConntrack;
  Effects effects = configure();
  auto ended = Records<BindingEnded>(effects);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].key, own);
  auto moved = All<InstallBinding>(effects);
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].at, Sw("f2"));
  EXPECT_EQ(moved[0].flow.place, BindingPlace::kGeneration0);
  // From there to what they have already.
  affinity.store = BindingStoreKind::kGenerations;
  effects = configure();
  EXPECT_TRUE(Records<BindingEnded>(effects).empty());
  EXPECT_TRUE(All<InstallBinding>(effects).empty());
  affinity.store = BindingStoreKind::kNone;
  ended = Records<BindingEnded>(configure());
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].key, WebKey(1));
}

TEST_F(ForwardersTest, ASwitchThatTakesAnotherRoleBringsItsBindingsAlongWhereItCan) {
  config_.services[0].affinity.store = BindingStoreKind::kConntrack;
  StartAll();
  FoundBinding taken = Taken(WebKey(1), View("web-3").id);
  taken.place = BindingPlace::kGeneration0;
  Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{taken}});
  config_.switches[1].role = SwitchRole::kDRouter;
  config_.switches[1].d_routers.clear();
  const Effects effects = Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)});
  EXPECT_EQ(Records<BindingEnded>(effects).size(), 1u) << "a D-Router marks connections";
}

TEST_F(ForwardersTest, TheControllersDecisionIsBoundWhereItWasAsked) {
  StartAll();
  const Effects effects = Do(Asked("rtp", 6000));
  const auto forwards = All<ForwardDemand>(effects);
  ASSERT_EQ(forwards.size(), 1u);
  EXPECT_EQ(forwards[0].at, Sw("r1"));
  EXPECT_EQ(forwards[0].forwarder, Ip("10.255.2.2"));
  EXPECT_EQ(forwards[0].key.at, Sw("f2"));
  EXPECT_TRUE(All<InstallBinding>(effects).empty()) << "the answer says it";
  const auto started = Records<BindingStarted>(effects);
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(started[0].key.at, Sw("f2"));
  EXPECT_EQ(started[0].decided_by, DecidedBy::kController);

  // Packets that came before the answer did are told the same.
  const auto again = All<ForwardDemand>(Do(Asked("rtp", 6000)));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].instance, forwards[0].instance);
  EXPECT_EQ(again[0].forwarder, Ip("10.255.2.2"));
  // It says that it has learned what is known already.
  const Effects learned =
      Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Taken(forwards[0].key, forwards[0].instance)}});
  EXPECT_TRUE(Records<BindingStarted>(learned).empty());
  EXPECT_EQ(core_->View(now_).switches[1].bindings, 1u);
  EXPECT_EQ(core_->View(now_).switches[0].bindings, 0u);
}

TEST_F(ForwardersTest, StrangersAreNotAnswered) {
  StartAll();
  DemandArrived event = Asked("rtp", 6000);
  event.forwarder = Ip("10.255.7.2");
  EXPECT_TRUE(Do(event).empty());
  EXPECT_EQ(Counter("demands-of-unknown-forwarder"), 1u);
}

TEST_F(ForwardersTest, WhatASwitchDecidedIsTheForwardersWithTheSharesOfItsRouter) {
  StartAll();
  const Effects effects =
      Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Taken(WebKey(40000), View("web-3").id)}});
  const auto started = Records<BindingStarted>(effects);
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(started[0].decided_by, DecidedBy::kForwarder);
  EXPECT_NE(started[0].decision.context, 0u);
  const auto contexts = Records<DecisionContextRecord>(effects);
  if (!contexts.empty()) {
    EXPECT_EQ(contexts[0].switch_id, Sw("r1"));
  }
  const dyncast::Demand demand{.client = Ip("10.12.0.5"),
                               .sid = Ip("10.100.0.1"),
                               .proto = IpProto::kTcp,
                               .src_port = 40000,
                               .dst_port = 80};
  const Explanation explained = core_->Explain(demand, Sv("web"), Sw("f2"), now_);
  EXPECT_EQ(explained.asks, "r1");
  EXPECT_EQ(explained.slots, PlanOf("r1").services[0].slots_v4);
  ASSERT_EQ(explained.bound.size(), 1u);
  EXPECT_EQ(explained.bound[0].switch_name, "f2");
}

TEST_F(ForwardersTest, AnInstanceThatGoesLeavesAllButItsEgressWhileItIsBoundTo) {
  StartAll();
  Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Taken(WebKey(1), View("web-3").id)}});
  Tick();
  const SwitchPlan before = PlanOf("f2");
  Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kDown);
  Tick();
  SwitchPlan expected = before;
  for (PlannedInstance& instance : expected.instances) {
    if (instance.id == View("web-3").id) instance.reachable = false;
  }
  EXPECT_EQ(PlanOf("f2"), expected);
  EXPECT_EQ(PlanOf("r1").instances.size(), before.instances.size() - 1);
  // Nobody is bound to it any more.
  Do(BindingFlowEnded{Sw("f2"), Taken(WebKey(1), View("web-3").id), EndReason::kIdle});
  Tick();
  EXPECT_EQ(PlanOf("f2").instances, PlanOf("r1").instances);
}

TEST_F(ForwardersTest, ADBidThatIsTakenOverIsNotPlannedTwice) {
  StartAll();
  Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Taken(WebKey(1), View("web-3").id)}});
  Say("a3", wire::Withdraw{.instance = "web-3", .reason = ""});
  Announce("a3", "web-4", "web", "10.3.0.10");
  Tick();
  std::set<IpAddress> bids;
  for (const PlannedInstance& instance : PlanOf("f2").instances) {
    EXPECT_TRUE(bids.insert(instance.bid).second);
    EXPECT_TRUE(instance.reachable);
  }
}

TEST_F(ForwardersTest, AResyncMovesNoQuestion) {
  StartAll();
  Do(SwitchFound{Sw("r1"), {}});
  Tick();
  EXPECT_EQ(PlanOf("f2").ask, Ip("10.255.1.2"));
  // Without the tunnel's port it cannot be asked.
  Do(PortsKnown{Sw("r1"), {{"acc1", PortNo{1}}, {"up1", PortNo{2}}}});
  Tick();
  EXPECT_EQ(PlanOf("f2").ask, Ip("10.255.3.2"));
}

TEST_F(ForwardersTest, ARepeatedQuestionLeavesTheBindingAsItIs) {
  StartAll();
  const auto first = All<ForwardDemand>(Do(Asked("rtp", 6000)));
  ASSERT_EQ(first.size(), 1u);
  Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Taken(first[0].key, first[0].instance)}});
  Advance(seconds{5});
  DemandArrived fin = Asked("rtp", 6000);
  fin.phase = TcpPhase::kClosing;
  EXPECT_TRUE(All<InstallBinding>(Do(fin)).empty());
  // The flow is older than the question: its end is the binding's.
  FoundBinding ended = Taken(first[0].key, first[0].instance);
  ended.age = seconds{5};
  EXPECT_EQ(Records<BindingEnded>(Do(BindingFlowEnded{Sw("f2"), ended, EndReason::kIdle})).size(), 1u);
}

TEST_F(ForwardersTest, AsksTheNextWhileItsRouterIsAway) {
  StartAll();
  Do(SwitchLost{Sw("r1"), "gone"});
  Tick();
  EXPECT_EQ(PlanOf("f2").ask, Ip("10.255.3.2"));
  EXPECT_EQ(core_->View(now_).switches[1].asks, "r3");
  Do(SwitchLost{Sw("r3"), "gone"});
  Tick();
  EXPECT_EQ(PlanOf("f2").ask, Ip("10.255.1.2")) << "nobody is known to be there";
  Do(SwitchFound{Sw("r3"), {}});
  Do(SwitchSynced{Sw("r3")});
  Tick();
  EXPECT_EQ(PlanOf("f2").ask, Ip("10.255.1.2")) << "nobody is at its endpoint yet";
  FindEndpoint("r3", "3");
  Tick();
  EXPECT_EQ(PlanOf("f2").ask, Ip("10.255.3.2"));
  // The first is back.
  Bring("r1", "1");
  Tick();
  EXPECT_EQ(PlanOf("f2").ask, Ip("10.255.1.2"));
}

TEST_F(ForwardersTest, RefusalsGoOutWhereTheClientIs) {
  StartAll();
  for (const char* instance : {"rtp-2", "rtp-3"}) {
    Announce(std::string(instance) == "rtp-2" ? "a2" : "a3", instance, "rtp",
             std::string(instance) == "rtp-2" ? "10.2.0.20" : "10.3.0.20", wire::Health::kDown);
  }
  // By tunnel or the plain way, whose frame is the last router's: to the client itself.
  DemandArrived plain = Asked("rtp", 6000);
  plain.in_port = PortNo{2};
  for (const DemandArrived& event : {Asked("rtp", 6000), plain}) {
    const auto refused = All<RefuseDemand>(Do(event));
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].at, Sw("f2"));
    EXPECT_EQ(refused[0].in_port, PortNo{1});
    EXPECT_EQ(refused[0].neighbor, Ip("10.12.0.5"));
  }
  // A client behind a router of the access side: by that one.
  config_.switches[1].ports[0].sources = {Net("10.12.0.0/24"), Net("172.30.0.0/16")};
  config_.switches[1].routes.push_back({.to = Net("172.30.0.0/16"), .via = Ip("10.12.0.9")});
  Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)});
  DemandArrived behind = Asked("rtp", 6000);
  behind.demand.client = Ip("172.30.1.1");
  auto refused = All<RefuseDemand>(Do(behind));
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].in_port, PortNo{1});
  EXPECT_EQ(refused[0].neighbor, Ip("10.12.0.9"));
  // Who is reached by the uplink only is no client there.
  behind.demand.client = Ip("10.77.0.1");
  EXPECT_TRUE(All<RefuseDemand>(Do(behind)).empty());
}

TEST_F(ForwardersTest, TheLimitIsTheForwardersOwn) {
  config_.services[0].affinity.limit = 2;
  config_.services[1].affinity.limit = 2;
  StartAll();
  for (uint16_t port : {uint16_t{1}, uint16_t{2}}) {
    Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Taken(WebKey(port), View("web-3").id)}});
  }
  Tick();
  EXPECT_TRUE(PlanOf("f2").services[0].binding_closed);
  EXPECT_FALSE(PlanOf("r1").services[0].binding_closed);
}

TEST_F(ForwardersTest, WhatIsAskedIsCounted) {
  StartAll();
  const auto misses = [&](const char* at, uint64_t packets) {
    Do(UnboundCounted{Sw(at), {{ServiceId{}, packets, false}}});
    return core_->View(now_).switches[at == std::string("f2") ? 1 : 0].misses;
  };
  EXPECT_EQ(misses("f2", 5), 5u);
  EXPECT_EQ(misses("f2", 8), 8u);
  EXPECT_EQ(misses("f2", 1), 9u) << "its flow was made anew";
  EXPECT_EQ(misses("r1", 7), 0u) << "a D-Router asks nobody";
}

TEST_F(ForwardersTest, TheWayIsKeptKnown) {
  StartAll();
  std::map<SwitchId, int> hellos;
  const auto run = [&](Micros time, int steps) {
    hellos.clear();
    for (int i = 0; i < steps; ++i) {
      for (const SendHello& hello : All<SendHello>(Tick(time / steps))) {
        EXPECT_EQ(hello.tunnel, kTunnelPort);
        EXPECT_EQ(hello.to, hello.at == Sw("f2") ? hello.to : Ip("10.255.2.2"));
        ++hellos[hello.at];
      }
    }
  };
  run(seconds{2}, 20);
  EXPECT_GE(hellos[Sw("r1")], 2) << "the first one only makes the switch ask";
  EXPECT_GE(hellos[Sw("f2")], 4) << "to both";
  run(seconds{60}, 60);
  EXPECT_EQ(hellos[Sw("r1")], 2);
  EXPECT_EQ(hellos[Sw("f2")], 4);
  // The host behind LOCAL has its address, at last.
  Do(SwitchLost{Sw("r1"), "gone"});
  Join("r1", "1");
  run(seconds{2}, 20);
  FindEndpoint("r1", "1");
  run(seconds{1}, 10);
  EXPECT_GE(hellos[Sw("r1")], 2);
  Do(SwitchLost{Sw("r1"), "gone"});
  run(seconds{60}, 60);
  EXPECT_EQ(hellos[Sw("r1")], 0);
}

}  // namespace
}  // namespace dyncast::core
