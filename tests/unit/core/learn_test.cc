// Dispatch learn: slots in the plan, bindings that switches make, generations, limits, ICMP errors, IPv6.
#include <map>

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Capacity Rated(double requests_per_s) {
  Capacity capacity;
  capacity.requests_per_s = requests_per_s;
  return capacity;
}
SwitchRecord RowOf(SwitchId id, std::string name) {
  SwitchRecord row;
  row.id = id;
  row.name = std::move(name);
  return row;
}
ServiceRecord RowOf(ServiceId id, std::string name) {
  ServiceRecord row;
  row.id = id;
  row.name = std::move(name);
  return row;
}

class LearnTest : public CoreFixture {
 protected:
  LearnTest() {
    config_.services[0].dispatch = Dispatch::kLearn;
    config_.services[0].selection.policy = PolicyKind::kStatic;
    config_.services[0].sid_v6 = Ip("fd00:100::1");
    config_.agents[0].bids.push_back(Net("fd00:2::/64"));
  }
  const PlannedService& Planned(const char* sw = "r1") const {
    return core_->PlanInForce(Sw(sw))->services[0];
  }
  std::map<std::string, size_t> Shares() const {
    std::map<std::string, size_t> shares;
    for (const InstanceId id : Planned().slots_v4) {
      for (const auto& view : core_->View(now_).instances) {
        if (view.id == id) ++shares[view.name];
      }
    }
    return shares;
  }
  FoundBinding Learned(uint16_t port, std::string_view instance,
                       BindingPlace place = BindingPlace::kTimed) const {
    FoundBinding found{.key = {.client = Ip("10.11.0.5"),
                               .src_port = port,
                               .dst_port = 80,
                               .service = Sv("web"),
                               .at = Sw("r1"),
                               .proto = IpProto::kTcp},
                       .instance = View(instance).id};
    found.place = place;
    if (place == BindingPlace::kTimed) found.idle_timeout = seconds{60};
    return found;
  }
  Effects Learn(const std::vector<FoundBinding>& found) { return Do(BindingsLearned{Sw("r1"), found}); }
  Effects Configure() { return Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}); }
  // Agents that stay alive for the test.
  void KeepAlive() {
    Say("a2", wire::Heartbeat{milliseconds{3600000}});
    Say("a3", wire::Heartbeat{milliseconds{3600000}});
  }
};

TEST_F(LearnTest, SharesFollowWeightsAndMoveOnlyAsMuchAsTheyMust) {
  Start();
  Connect("r1");
  EXPECT_TRUE(Planned().slots_v4.empty());
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUp, Rated(100));
  EXPECT_EQ(Shares(), (std::map<std::string, size_t>{{"web-2", 1024}}));
  const auto joined = Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kUp, Rated(300));
  EXPECT_EQ(Shares(), (std::map<std::string, size_t>{{"web-2", 256}, {"web-3", 768}}));
  const auto contexts = Records<DecisionContextRecord>(joined);
  ASSERT_EQ(contexts.size(), 1u);
  EXPECT_EQ(contexts[0].switch_id, Sw("r1"));
  EXPECT_EQ(contexts[0].candidates[1].share, 0.75);
  EXPECT_TRUE(Planned().slots_v6.empty()) << "no instance of that family";
  const auto before = Planned().slots_v4;
  Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kUp, Rated(100));
  EXPECT_EQ(Planned().slots_v4, before) << "weights alone: once a second";
  KeepAlive();
  Tick(seconds{1});
  EXPECT_EQ(Shares(), (std::map<std::string, size_t>{{"web-2", 512}, {"web-3", 512}}));
  size_t moved = 0;
  for (size_t i = 0; i < kSlots; ++i) moved += Planned().slots_v4[i] != before[i] ? 1 : 0;
  EXPECT_EQ(moved, 256u);
  // The plan that takes its egress takes its slots too.
  const auto down = Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kDown);
  ASSERT_EQ(All<SetPlan>(down).size(), 1u);
  EXPECT_EQ(All<SetPlan>(down)[0].plan->instances.size(), 1u);
  EXPECT_EQ(Shares(), (std::map<std::string, size_t>{{"web-2", 1024}}));
  Do(DrainRequested{.instance = "web-2", .drain = true});
  EXPECT_TRUE(Planned().slots_v4.empty());
  EXPECT_EQ(*core_->PlanInForce(Sw("r1")), *core_->PlanAnew(Sw("r1")));
  EXPECT_EQ(All<RefuseDemand>(Do(Demand("r1", "web", 1))).size(), 1u);
}

// A step of a metric is not to wait for a clock, and many are not to make a switch restless.
TEST_F(LearnTest, ANewWeightLeavesSoonAndTheNextOneAfterTheGap) {
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  config_.services[0].selection.blackout = milliseconds{0};
  StartWeb();
  KeepAlive();
  Tick(seconds{20});
  EXPECT_EQ(Shares(), (std::map<std::string, size_t>{{"web-2", 512}, {"web-3", 512}}));
  KeepAlive();
  const auto next = [this] { return core_->NextDeadline() - now_.mono; };
  Report("a2", "web-2", {{"utilization", 0.2}});
  Report("a3", "web-3", {{"utilization", 0.8}});
  EXPECT_LE(next(), milliseconds{100});
  const auto began = now_.mono;
  while (Shares().at("web-2") == 512 && now_.mono - began < seconds{1})
    Tick(std::max(Micros{1}, Micros{next()}));
  EXPECT_LE(now_.mono - began, milliseconds{120});
  EXPECT_EQ(Shares().at("web-2"), 819u) << "both news at once: 0.8 to 0.2";
  const auto pushed = now_.mono;
  Report("a2", "web-2", {{"utilization", 0.8}});
  while (Shares().at("web-2") == 819 && now_.mono - began < seconds{3})
    Tick(std::max(Micros{1}, Micros{next()}));
  EXPECT_EQ(Shares().at("web-2"), 512u);
  EXPECT_GE(now_.mono - pushed, seconds{1});
  EXPECT_LE(now_.mono - pushed, seconds{1} + milliseconds{1});
}

TEST_F(LearnTest, SlowStartGrowsTheShareOnceASecond) {
  config_.services[0].selection.slow_start = seconds{10};
  StartWeb();
  KeepAlive();
  Tick(seconds{20});
  EXPECT_EQ(Shares().at("web-3"), 512u);
  Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kDown);
  Announce("a3", "web-3", "web", "10.3.0.10");
  EXPECT_EQ(Shares().at("web-3"), 93u);  // 0.1 of 1.1
  size_t plans = 0;
  for (int i = 0; i < 100; ++i) {
    const auto effects = Tick(milliseconds{100});
    for (const SetPlan& set : All<SetPlan>(effects)) plans += set.at == Sw("r1") ? 1 : 0;
  }
  EXPECT_LE(plans, 10u);
  Tick(seconds{1});
  EXPECT_EQ(Shares().at("web-3"), 512u);
}

TEST_F(LearnTest, MoreInstancesThanAGroupTakesAreRefused) {
  Start();
  Connect("r1");
  Effects all;
  for (int i = 0; i < 258; ++i) {
    const auto effects =
        Announce("a2", "web-" + std::to_string(i), "web", "10.2.0." + std::to_string(i % 254 + 1));
    all.insert(all.end(), effects.begin(), effects.end());
    if (i == 253) config_.agents[0].bids = {Net("10.2.0.0/16")}, Configure();
    if (i >= 254) Announce("a2", "web-" + std::to_string(i), "web", "10.2.1." + std::to_string(i - 253));
  }
  EXPECT_EQ(Shares().size(), 256u);
  EXPECT_EQ(*core_->PlanInForce(Sw("r1")), *core_->PlanAnew(Sw("r1")));
  size_t excluded = 0;
  const auto explained = core_->Explain(Demand("r1", "web", 1).demand, Sv("web"), Sw("r1"), now_);
  for (const auto& c : explained.candidates) excluded += c.excluded == "too-many-instances" ? 1 : 0;
  EXPECT_EQ(excluded, 2u);
  EXPECT_EQ(explained.slots, Planned().slots_v4);
}

TEST_F(LearnTest, WhatASwitchLearnsIsBound) {
  StartWeb();
  const auto first = Learn({Learned(1, "web-2"), Learned(2, "web-3")});
  const auto started = Records<BindingStarted>(first);
  ASSERT_EQ(started.size(), 2u);
  EXPECT_EQ(started[0].decided_by, DecidedBy::kSwitch);
  EXPECT_EQ(started[0].reason, StartReason::kNew);
  EXPECT_NE(started[0].decision.context, 0u);
  EXPECT_EQ(core_->BindingsOf(Sw("r1")).size(), 2u);
  EXPECT_TRUE(Records<BindingStarted>(Learn({Learned(1, "web-2")})).empty()) << "known";
  Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kDown);
  const auto again = Learn({Learned(2, "web-2")});
  EXPECT_EQ(Records<BindingEnded>(again)[0].reason, EndReason::kInstanceGone);
  EXPECT_EQ(Records<BindingStarted>(again)[0].reason, StartReason::kInstanceGone);
  Announce("a3", "web-3", "web", "10.3.0.10");
  EXPECT_EQ(Records<BindingEnded>(Learn({Learned(2, "web-3")}))[0].reason, EndReason::kReplaced);
  FoundBinding foreign = Learned(3, "web-2");
  foreign.key.service = ServiceId{99};
  FoundBinding coarse = Learned(0, "web-2");
  const auto refused = Learn({foreign, coarse});
  EXPECT_EQ(All<RemoveBinding>(refused).size(), 2u);
  EXPECT_EQ(Counter("learned-foreign-bindings"), 2u);
  EXPECT_EQ(core_->binding_count(), 2u);
  EXPECT_EQ(
      Records<BindingEnded>(Do(BindingFlowEnded{Sw("r1"), Learned(1, "web-2"), EndReason::kIdle})).size(),
      1u);
}

TEST_F(LearnTest, GenerationsTurnEachIdleTimeoutAndEndWhatWasNotRenewed) {
  config_.services[0].affinity.store = BindingStoreKind::kGenerations;
  config_.services[0].affinity.idle_timeout = seconds{10};
  StartWeb();
  KeepAlive();
  Learn({Learned(1, "web-2", BindingPlace::kGeneration0), Learned(2, "web-3", BindingPlace::kGeneration0)});
  EXPECT_EQ(core_->BindingsOf(Sw("r1"))[0].place, BindingPlace::kGeneration0);
  EXPECT_TRUE(All<RemoveBindingsAt>(Tick(milliseconds{9900})).empty());
  const auto flip = Tick(milliseconds{100});
  ASSERT_EQ(All<RemoveBindingsAt>(flip).size(), 2u) << "two switches";
  EXPECT_EQ(All<RemoveBindingsAt>(flip)[0].place, BindingPlace::kGeneration1);
  EXPECT_EQ(Planned().generation, 1u);
  Learn({Learned(2, "web-3", BindingPlace::kGeneration1)});
  // Without a word of the switch it may not have the plan: no further turn.
  EXPECT_TRUE(All<RemoveBindingsAt>(Tick(seconds{11})).empty());
  Do(SwitchSynced{Sw("r1")});
  const auto second = Tick(milliseconds{100});
  ASSERT_EQ(All<RemoveBindingsAt>(second).size(), 1u);
  EXPECT_EQ(All<RemoveBindingsAt>(second)[0].place, BindingPlace::kGeneration0);
  EXPECT_EQ(core_->BindingsOf(Sw("r1")).size(), 1u) << "its flow is gone already";
  const auto ended = Records<BindingEnded>(Tick(milliseconds{300}));
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].key.src_port, 1u);
  EXPECT_EQ(ended[0].reason, EndReason::kIdle);
  EXPECT_EQ(core_->binding_count(), 1u);
}

TEST_F(LearnTest, ManyRowsOfAnEmptiedTableEndInPieces) {
  config_.services[0].affinity.store = BindingStoreKind::kGenerations;
  config_.services[0].affinity.idle_timeout = seconds{10};
  config_.services[0].affinity.limit = 1000000;
  StartWeb();
  KeepAlive();
  std::vector<FoundBinding> many;
  for (uint32_t i = 0; i < 60000; ++i) {
    FoundBinding found = Learned(static_cast<uint16_t>(i % 60000 + 1), "web-2", BindingPlace::kGeneration0);
    many.push_back(found);
  }
  Learn(many);
  EXPECT_EQ(core_->binding_count(), 60000u);
  Tick(seconds{10});
  Do(SwitchSynced{Sw("r1")});
  Tick(seconds{10});
  size_t steps = 0;
  while (core_->binding_count() > 0 && steps < 20) {
    const auto effects = Tick(milliseconds{250});
    EXPECT_LE(Records<BindingEnded>(effects).size(), 21000u);
    ++steps;
  }
  EXPECT_EQ(core_->binding_count(), 0u);
  EXPECT_GE(steps, 3u);
}

TEST_F(LearnTest, ALimitClosesAndOpensAgainBelowNineTenths) {
  config_.services[0].affinity.limit = 20;
  StartWeb();
  KeepAlive();
  std::vector<FoundBinding> found;
  for (uint16_t i = 1; i <= 19; ++i) found.push_back(Learned(i, "web-2"));
  Learn(found);
  EXPECT_FALSE(Planned().binding_closed);
  const auto closing = Learn({Learned(20, "web-3")});
  EXPECT_TRUE(Planned().binding_closed);
  EXPECT_FALSE(Planned("r2").binding_closed);
  ASSERT_EQ(All<SetPlan>(closing).size(), 1u);
  size_t told = 0;
  for (const auto& e : Records<EventRecord>(closing)) told += e.kind == "binding-limit" ? 1 : 0;
  EXPECT_EQ(told, 1u);
  EXPECT_TRUE(core_->View(now_).services[0].closed);
  const auto end = [&](uint16_t port, const char* instance) {
    Do(BindingFlowEnded{Sw("r1"), Learned(port, instance), EndReason::kIdle});
    Tick();
  };
  end(20, "web-3");
  end(19, "web-2");
  EXPECT_TRUE(Planned().binding_closed) << "18 of 20";
  end(18, "web-2");
  EXPECT_FALSE(Planned().binding_closed);
  EXPECT_EQ(Counter("binding-limit-closings"), 1u);
}

TEST_F(LearnTest, AStartOfTheControllerKeepsWhatTheSwitchDoes) {
  config_.services[0].affinity.store = BindingStoreKind::kGenerations;
  StartWeb();
  FoundDispatch dispatch;
  dispatch.service = Sv("web");
  dispatch.generation = 1;
  dispatch.slots_v4.assign(kSlots, View("web-2").id);
  for (size_t i = 0; i < 100; ++i) dispatch.slots_v4[i * 7] = View("web-3").id;
  PersistedState persisted;
  persisted.switches = {RowOf(Sw("r1"), "r1"), RowOf(Sw("r2"), "r2")};
  persisted.services = {RowOf(Sv("web"), "web"), RowOf(Sv("rtp"), "rtp")};
  for (const std::string n : {"2", "3"}) {
    InstanceRecord row;
    row.id = View("web-" + n).id;
    row.name = "web-" + n;
    row.service = Sv("web");
    row.bid = Ip("10." + n + ".0.10");
    row.agent = "a" + n;
    row.state = InstanceState::kUp;
    persisted.instances.push_back(row);
  }
  for (const uint16_t port : {uint16_t{1}, uint16_t{2}}) {
    persisted.bindings.push_back({Learned(port, "web-2").key, View("web-2").id});
  }
  const auto one = Learned(1, "web-2", BindingPlace::kGeneration0);
  Start(persisted);
  Do(PortsKnown{Sw("r1"), {{"acc1", PortNo{1}}, {"up1", PortNo{2}}}});
  Do(SwitchFound{Sw("r1"), {one}, {dispatch}, false});
  EXPECT_EQ(Planned().slots_v4, dispatch.slots_v4);
  EXPECT_EQ(Planned().generation, 1u);
  ASSERT_EQ(core_->BindingsOf(Sw("r1")).size(), 1u) << "the other one ended while nobody looked";
  EXPECT_EQ(core_->BindingsOf(Sw("r1"))[0].place, BindingPlace::kGeneration0);
  Tick(seconds{2});
  EXPECT_EQ(Planned().slots_v4, dispatch.slots_v4) << "weights wait until the agents have reported";
  // The switch's host starts again with the controller: what it lost comes back.
  Start(persisted);
  Do(PortsKnown{Sw("r1"), {{"acc1", PortNo{1}}, {"up1", PortNo{2}}}});
  const auto back = Do(SwitchFound{Sw("r1"), {}, {}, true});
  EXPECT_EQ(All<InstallBinding>(back).size(), 2u);
  EXPECT_EQ(All<InstallBinding>(back)[0].flow.place, BindingPlace::kGeneration0);
  Start(persisted);
  Advance(seconds{61});
  EXPECT_TRUE(All<InstallBinding>(Do(SwitchFound{Sw("r1"), {}, {}, true})).empty()) << "too old";
}

TEST_F(LearnTest, AnotherStoreTakesTheBindingsOver) {
  StartWeb();
  KeepAlive();
  Learn({Learned(1, "web-2"), Learned(2, "web-3")});
  config_.services[0].affinity.store = BindingStoreKind::kGenerations;
  const auto moved = Configure();
  EXPECT_TRUE(Records<BindingEnded>(moved).empty());
  ASSERT_EQ(All<InstallBinding>(moved).size(), 2u);
  EXPECT_EQ(All<InstallBinding>(moved)[0].flow.place, BindingPlace::kGeneration0);
  EXPECT_TRUE(All<RemoveBindingsAt>(moved).empty()) << "not before the plan is in force";
  const auto later = All<RemoveBindingsAt>(Tick(seconds{1}));
  ASSERT_EQ(later.size(), 2u);
  EXPECT_EQ(later[0].place, BindingPlace::kTimed);
  config_.services[0].affinity.store = BindingStoreKind::kNone;
  EXPECT_EQ(Records<BindingEnded>(Configure()).size(), 2u);
  EXPECT_FALSE(core_->View(now_).services[0].bindings_known);
  EXPECT_EQ(All<RemoveBinding>(Learn({Learned(1, "web-2")})).size(), 1u);
}

// The switch counts from 0 again when the flow is made anew.
TEST_F(LearnTest, PacketsWithoutABindingAddUp) {
  StartWeb();
  const auto unbound = [&] { return core_->View(now_).services[0].demands_unbound; };
  const auto count = [&](std::vector<UnboundPackets> packets) {
    Do(UnboundCounted{Sw("r1"), std::move(packets)});
  };
  count({{Sv("web"), 5, false}, {ServiceId{999}, 7, false}});
  EXPECT_EQ(unbound(), 5u);
  count({{Sv("web"), 8, false}});
  EXPECT_EQ(unbound(), 8u);
  count({{Sv("web"), 9, true}});
  EXPECT_EQ(unbound(), 9u);
  count({{Sv("web"), 20, false}});
  EXPECT_EQ(unbound(), 29u);
  count({{Sv("web"), 1, false}});
  EXPECT_EQ(unbound(), 30u);
}

TEST_F(LearnTest, LaterFragmentsFindTheirWay) {
  StartWeb();
  FragmentArrived event;
  event.at = Sw("r1");
  event.service = Sv("web");
  event.instance = View("web-2").id;
  event.packet = packet_;
  event.demand = {.client = Ip("10.11.0.5"), .sid = Ip("10.100.0.1"), .proto = IpProto::kUdp};
  const auto forwarded = All<ForwardDemand>(Do(event));
  ASSERT_EQ(forwarded.size(), 1u);
  EXPECT_EQ(forwarded[0].instance, event.instance);
  EXPECT_EQ(forwarded[0].bid, Ip("10.2.0.10"));
  event.instance = InstanceId{999};
  EXPECT_TRUE(Do(event).empty()) << "the switch decides";
  event.to_client = true;
  event.neighbor = Ip("10.11.0.5");
  const auto returned = All<ReturnFragment>(Do(event));
  ASSERT_EQ(returned.size(), 1u);
  EXPECT_EQ(returned[0].sid, Ip("10.100.0.1"));
  EXPECT_EQ(returned[0].neighbor, event.neighbor);
  event.service = ServiceId{999};
  EXPECT_TRUE(Do(event).empty());
}

TEST_F(LearnTest, IcmpErrorsFindTheirWay) {
  StartWeb();
  const dyncast::Demand from_hop{
      .client = Ip("10.11.0.5"), .sid = Ip("10.2.0.10"), .src_port = 1, .dst_port = 80};
  IcmpErrorArrived event;
  event.at = Sw("r1");
  event.in_port = PortNo{2};
  event.neighbor = Ip("10.11.0.5");
  event.packet = packet_;
  event.quoted = from_hop;
  auto out = All<ReturnIcmpError>(Do(event));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].bid, Ip("10.2.0.10"));
  EXPECT_EQ(out[0].sid, Ip("10.100.0.1"));
  event.quoted.dst_port = 81;
  out = All<ReturnIcmpError>(Do(event));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_TRUE(out[0].bid.is_none()) << "no service has that port";
  event.to_sid = true;
  event.quoted = {.client = Ip("10.100.0.1"), .sid = Ip("10.11.0.5"), .src_port = 80, .dst_port = 1};
  EXPECT_EQ(All<ForwardIcmpError>(Do(event)).size(), 2u) << "not bound: to all";
  Learn({Learned(1, "web-3")});
  const auto forwarded = All<ForwardIcmpError>(Do(event));
  ASSERT_EQ(forwarded.size(), 1u);
  EXPECT_EQ(forwarded[0].bid, Ip("10.3.0.10"));
  event.quoted.client = Ip("10.100.0.99");
  EXPECT_TRUE(Do(event).empty());
  const auto answer = All<AnswerTtlExceeded>(Do(TtlExceeded{Sw("r1"), PortNo{1}, Ip("10.11.0.5"), packet_}));
  ASSERT_EQ(answer.size(), 1u);
  EXPECT_EQ(answer[0].gateway, Ip("10.11.0.1"));
  EXPECT_TRUE(Do(TtlExceeded{Sw("r1"), PortNo{1}, Ip("fd00::5"), packet_}).empty())
      << "no such address there";
}

TEST_F(LearnTest, Ipv6AndVlans) {
  auto& ports = config_.switches[0].ports;
  ports[0].addresses.push_back(Net("fd00:11::1/64"));
  auto tagged = ports[0];
  tagged.vlan = 7;
  tagged.addresses = {Net("10.77.0.1/24"), Net("fd00:2::1/64")};
  ports.push_back(tagged);
  Start();
  Connect("r1");
  Announce("a2", "web-2", "web", "10.2.0.10");
  Announce("a2", "web-6", "web", "fd00:2::10");
  const auto& plan = *core_->PlanInForce(Sw("r1"));
  ASSERT_EQ(plan.ports.size(), 3u);
  EXPECT_EQ(plan.ports[2].vlan, 7u);
  EXPECT_EQ(plan.ports[2].number, PortNo{1});
  EXPECT_NE(plan.ports[2].sources, plan.ports[0].sources);
  EXPECT_EQ(Planned().slots_v4[0], View("web-2").id);
  EXPECT_EQ(Planned().slots_v6[0], View("web-6").id);
  const auto asked = All<AskNeighbor>(Tick());
  bool found = false;
  for (const AskNeighbor& ask : asked) {
    if (ask.target != Ip("fd00:2::10")) continue;
    found = true;
    EXPECT_EQ(ask.sender, Ip("fd00:2::1"));
    EXPECT_EQ(ask.port, TaggedPort(PortNo{1}, 7));
  }
  EXPECT_TRUE(found);
  FoundBinding v6 = Learned(5, "web-6");
  v6.key.client = Ip("fd00:11::5");
  EXPECT_EQ(Records<BindingStarted>(Learn({v6}))[0].sid, Ip("fd00:100::1"));
  v6.instance = View("web-2").id;
  EXPECT_EQ(All<RemoveBinding>(Learn({v6})).size(), 1u) << "of the other family";
}

}  // namespace
}  // namespace dyncast::core
