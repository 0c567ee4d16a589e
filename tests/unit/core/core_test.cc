// The step function: plans, states of instances, demands.
#include <map>

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CoreTest : public CoreFixture {};

TEST_F(CoreTest, NoPlanBeforeTheSwitchesOwnBindingsAreFoundAndItsPortsKnown) {
  Start();
  const SwitchId r1 = Sw("r1");
  EXPECT_TRUE(All<SetPlan>(Tick()).empty());
  EXPECT_TRUE(All<SetPlan>(Do(SwitchFound{r1, {}})).empty());
  EXPECT_EQ(core_->View(now_).switches[0].state, "waiting-ports");
  const auto set = All<SetPlan>(Do(PortsKnown{r1, {{"acc1", PortNo{1}}, {"up1", PortNo{2}}}}));
  ASSERT_EQ(set.size(), 1u);
  EXPECT_EQ(set[0].plan, core_->PlanInForce(r1));
  EXPECT_EQ(*core_->PlanInForce(r1), *core_->PlanAnew(r1));
  // Away: changes are kept, and set again when it is back.
  Do(SwitchLost{r1, "gone"});
  EXPECT_EQ(core_->View(now_).switches[0].state, "away");
  EXPECT_TRUE(All<SetPlan>(Announce("a2", "web-2", "web", "10.2.0.10")).empty());
  EXPECT_EQ(*core_->PlanInForce(r1), *core_->PlanAnew(r1));
  const auto again = All<SetPlan>(Do(SwitchFound{r1, {}}));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].plan->instances.size(), 1u);
}

TEST_F(CoreTest, HealthDecidesWhetherAnInstanceIsUp) {
  Start();
  Connect("r1");
  EXPECT_TRUE(All<SetPlan>(Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUnknown)).empty());
  EXPECT_EQ(View("web-2").state, InstanceState::kDown);
  EXPECT_EQ(All<SetPlan>(Announce("a2", "web-2", "web", "10.2.0.10")).size(), 1u);
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  EXPECT_TRUE(All<SetPlan>(Announce("a2", "web-2", "web", "10.2.0.10")).empty()) << "nothing new";
  // An agent that starts again and has not checked yet changes nothing.
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUnknown);
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  const auto down = Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  EXPECT_EQ(View("web-2").reason, "health");
  ASSERT_EQ(All<SetPlan>(down).size(), 1u);
  EXPECT_TRUE(All<SetPlan>(down)[0].plan->instances.empty());
  Announce("a2", "web-2", "web", "10.2.0.10");
  Say("a2", wire::Withdraw{.instance = "web-2", .reason = "bye"});
  EXPECT_EQ(View("web-2").reason, "withdrawn");
}

TEST_F(CoreTest, AnAgentThatRestartsMustAnnounceAgainWithinTheGrace) {
  StartWeb();
  epoch_ = 2;
  sequence_ = 0;
  Say("a2", wire::Heartbeat{milliseconds{60000}});
  Say("a3", wire::Heartbeat{milliseconds{60000}});
  Announce("a3", "web-3", "web", "10.3.0.10");
  Tick(seconds{4});
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  Tick(seconds{1});
  EXPECT_EQ(View("web-2").reason, "not-announced");
  EXPECT_EQ(View("web-3").state, InstanceState::kUp);
}

TEST_F(CoreTest, ASilentAgentsInstancesGoDown) {
  StartWeb();
  Say("a2", wire::Heartbeat{milliseconds{500}});
  Say("a3", wire::Heartbeat{milliseconds{5000}});
  EXPECT_LE(core_->NextDeadline(), now_.mono + milliseconds{1501});
  Tick(milliseconds{1500});
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  const auto effects = Tick(milliseconds{1});
  EXPECT_EQ(View("web-2").reason, "agent-silent");
  EXPECT_EQ(View("web-3").state, InstanceState::kUp);
  EXPECT_EQ(All<SetPlan>(effects).size(), 2u) << "one for each switch, however many bindings";
  Announce("a2", "web-2", "web", "10.2.0.10");
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
}

TEST_F(CoreTest, ADemandGoesWhereItIsBoundAndABurstInstallsOnce) {
  StartWeb();
  const auto first = Do(Demand("r1", "web", 1));
  const InstanceId bound = Went(first);
  EXPECT_EQ(All<InstallBinding>(first).size(), 1u);
  for (int i = 0; i < 5; ++i) {
    const auto next = Do(Demand("r1", "web", 1));
    EXPECT_EQ(Went(next), bound);
    EXPECT_TRUE(All<InstallBinding>(next).empty());
    EXPECT_TRUE(Records<BindingStarted>(next).empty());
  }
  Advance(milliseconds{200});
  EXPECT_EQ(All<InstallBinding>(Do(Demand("r1", "web", 1))).size(), 1u);
  EXPECT_EQ(core_->binding_count(), 1u);
  EXPECT_EQ(core_->BindingsOf(Sw("r1")).size(), 1u);
  EXPECT_TRUE(core_->BindingsOf(Sw("r2")).empty());
  EXPECT_EQ(Went(Do(Demand("r1", "web", 2))),
            bound == View("web-2").id ? View("web-3").id : View("web-2").id);
}

TEST_F(CoreTest, FinTimeoutOnlyForFiveTuplesOfTcp) {
  StartWeb();
  Announce("a2", "rtp-2", "rtp", "10.2.0.20");
  EXPECT_EQ(All<InstallBinding>(Do(Demand("r1", "web", 1)))[0].flow.fin_timeout, seconds{5});
  EXPECT_EQ(All<InstallBinding>(Do(Demand("r1", "rtp", 1)))[0].flow.fin_timeout, seconds{0});
}

TEST_F(CoreTest, AResetOfAConnectionThatNobodyKnowsIsNoDemand) {
  StartWeb();
  DemandArrived reset = Demand("r1", "web", 4001);
  reset.phase = TcpPhase::kReset;
  EXPECT_TRUE(Do(reset).empty());
  EXPECT_EQ(core_->binding_count(), 0u);
  reset.phase = TcpPhase::kNone;
  Do(reset);
  ASSERT_EQ(core_->binding_count(), 1u);
  reset.phase = TcpPhase::kReset;
  EXPECT_EQ(All<InstallBinding>(Do(reset)).size(), 1u) << "of a known one it is the end, and is delivered";
}

// A short connection may close before the switch uses its flow: the controller alone sees the FIN.
TEST_F(CoreTest, AFinThatReachesTheControllerShortensTheBinding) {
  StartWeb();
  DemandArrived demand = Demand("r1", "web", 4000);
  demand.phase = TcpPhase::kOpening;
  const auto opened = All<InstallBinding>(Do(demand));
  ASSERT_EQ(opened.size(), 1u);
  EXPECT_EQ(opened[0].flow.idle_timeout, seconds{60});
  demand.phase = TcpPhase::kNone;
  EXPECT_TRUE(All<InstallBinding>(Do(demand)).empty()) << "on its way";
  demand.phase = TcpPhase::kClosing;
  const Effects fin = Do(demand);
  ASSERT_EQ(All<InstallBinding>(fin).size(), 1u) << "at once, not only after the gap of a burst";
  EXPECT_EQ(All<InstallBinding>(fin)[0].flow.idle_timeout, seconds{5});
  EXPECT_EQ(Went(fin), opened[0].flow.instance);
  demand.phase = TcpPhase::kNone;
  EXPECT_TRUE(All<InstallBinding>(Do(demand)).empty()) << "the last ACK lengthens nothing";
  EXPECT_EQ(core_->BindingsOf(Sw("r1"))[0].idle_timeout, seconds{5});
  demand.phase = TcpPhase::kOpening;
  ASSERT_EQ(All<InstallBinding>(Do(demand)).size(), 1u) << "the port is used anew";
  EXPECT_EQ(core_->BindingsOf(Sw("r1"))[0].idle_timeout, seconds{60});
}

TEST_F(CoreTest, AGoneInstancesBindingsSelectAgainOneByOne) {
  StartWeb();
  for (uint16_t i = 1; i <= 100; ++i) Do(Demand("r1", "web", i));
  EXPECT_EQ(View("web-2").bindings, 50u);
  const auto down = Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  EXPECT_TRUE(Records<BindingEnded>(down).empty());
  EXPECT_EQ(All<SetPlan>(down).size(), 2u);
  EXPECT_EQ(View("web-2").bindings, 0u);
  EXPECT_EQ(core_->binding_count(), 100u);
  const InstanceId three = View("web-3").id;
  size_t moved = 0;
  for (uint16_t i = 1; i <= 100; ++i) {
    auto demand = Demand("r1", "web", i);
    demand.egress_gone = true;
    const auto effects = Do(demand);
    EXPECT_EQ(Went(effects), three);
    const auto ended = Records<BindingEnded>(effects);
    const auto started = Records<BindingStarted>(effects);
    ASSERT_EQ(ended.size(), started.size());
    if (ended.empty()) continue;
    ++moved;
    EXPECT_EQ(ended[0].reason, EndReason::kInstanceGone);
    EXPECT_EQ(started[0].reason, StartReason::kInstanceGone);
    EXPECT_EQ(ended[0].key, started[0].key);
  }
  EXPECT_EQ(moved, 50u);
}

TEST_F(CoreTest, APacketWithoutEgressIsForwardedOnlyWhileThePlanIsOnItsWay) {
  config_.services[0].affinity.limit = 1;
  StartWeb();
  const InstanceId bound = Went(Do(Demand("r1", "web", 1)));
  auto again = Demand("r1", "web", 1);
  again.egress_gone = true;
  auto unbound = Demand("r1", "web", 2);
  unbound.egress_gone = true;
  Advance(milliseconds{999});
  EXPECT_EQ(Went(Do(again)), bound);
  EXPECT_TRUE(Went(Do(unbound)).valid());
  EXPECT_EQ(Counter("demands-dropped-no-egress"), 0u);
  Advance(milliseconds{1});
  EXPECT_TRUE(All<ForwardDemand>(Do(again)).empty());
  EXPECT_TRUE(All<ForwardDemand>(Do(unbound)).empty());
  EXPECT_EQ(Counter("demands-dropped-no-egress"), 2u);
  EXPECT_EQ(Went(Do(Demand("r1", "web", 1))), bound) << "a packet that has not yet been there";
  EXPECT_EQ(core_->binding_count(), 1u) << "the binding stays";
  // A new plan is a new chance.
  Announce("a3", "web-4", "web", "10.3.0.11");
  EXPECT_EQ(Went(Do(again)), bound);
}

TEST_F(CoreTest, BindingsOfAnInstanceThatReturnsAreItsOwnAgain) {
  StartWeb();
  for (uint16_t i = 1; i <= 10; ++i) Do(Demand("r1", "web", i));
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUp);
  EXPECT_EQ(View("web-2").bindings, 5u);
  // At another D-BID it is another server: its old bindings must not follow.
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  const auto moved = Announce("a2", "web-2", "web", "10.2.0.11", wire::Health::kUp);
  EXPECT_EQ(Records<BindingEnded>(moved).size(), 5u);
  ASSERT_EQ(All<RemoveBindingsOf>(moved).size(), 1u);
  EXPECT_EQ(View("web-2").bindings, 0u);
}

TEST_F(CoreTest, NobodyThereIsAnAnswer) {
  Start();
  Connect("r1");
  const auto refused = Do(Demand("r1", "web", 1));
  EXPECT_EQ(All<RefuseDemand>(refused).size(), 1u);
  EXPECT_TRUE(All<ForwardDemand>(refused).empty());
  config_.services[0].no_instance = NoInstanceAction::kDrop;
  Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)});
  EXPECT_TRUE(Do(Demand("r1", "web", 1)).empty());
  EXPECT_EQ(core_->View(now_).services[0].demands_refused, 2u);
  EXPECT_EQ(Counter("demands-refused"), 2u);
  EXPECT_EQ(core_->Explain(Demand("r1", "web", 1).demand, Sv("web"), std::nullopt, now_).no_instance_reason,
            "no instance is known");
}

TEST_F(CoreTest, TheLastInstancesEndRemovesTheFlowOfItsBinding) {
  Start();
  Connect("r1");
  Announce("a2", "web-2", "web", "10.2.0.10");
  Do(Demand("r1", "web", 1));
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  const auto effects = Do(Demand("r1", "web", 1));
  EXPECT_EQ(Records<BindingEnded>(effects).size(), 1u);
  EXPECT_EQ(All<RemoveBinding>(effects).size(), 1u);
  EXPECT_EQ(All<RefuseDemand>(effects).size(), 1u);
}

TEST_F(CoreTest, OverTheLimitDemandsAreServedByHashWithoutABinding) {
  config_.services[0].affinity.limit = 10;
  StartWeb();
  for (uint16_t i = 1; i <= 10; ++i) Do(Demand("r1", "web", i));
  std::map<InstanceId, int> where;
  for (uint16_t i = 100; i < 200; ++i) {
    const auto once = Do(Demand("r1", "web", i));
    EXPECT_TRUE(All<InstallBinding>(once).empty());
    EXPECT_TRUE(Records<BindingStarted>(once).empty());
    EXPECT_EQ(Went(once), Went(Do(Demand("r1", "web", i))));
    ++where[Went(once)];
  }
  EXPECT_EQ(where.size(), 2u);
  EXPECT_GT(where.begin()->second, 25);
  EXPECT_EQ(core_->binding_count(), 10u);
  EXPECT_EQ(core_->View(now_).services[0].demands_unbound, 200u);
  EXPECT_FALSE(Records<BindingStarted>(Do(Demand("r2", "web", 1, "10.12.0.5"))).empty()) << "per switch";
}

TEST_F(CoreTest, ExplainSaysWhereAndWhy) {
  StartWeb();
  Report("a2", "web-2", {{"cpu_utilization", 0.9}});
  Report("a3", "web-3", {{"cpu_utilization", 0.1}});
  const auto went = Went(Do(Demand("r1", "web", 5)));
  auto open = Demand("r1", "web", 5).demand;
  open.src_port = open.dst_port = 0;
  const auto why = core_->Explain(open, Sv("web"), std::nullopt, now_);
  ASSERT_EQ(why.bound.size(), 1u);
  EXPECT_EQ(why.bound[0].instance, went);
  EXPECT_EQ(why.bound[0].switch_name, "r1");
  EXPECT_FALSE(why.bound[0].instance_gone);
  ASSERT_EQ(why.candidates.size(), 2u);
  EXPECT_EQ(why.would_choose, why.candidates[0].instance);
  EXPECT_EQ(why.would_choose_name, "web-3");
  EXPECT_EQ(why.policy, "least-bindings");
  EXPECT_FALSE(why.formula.empty());
  EXPECT_TRUE(core_->Explain(open, Sv("web"), Sw("r2"), now_).bound.empty());
  EXPECT_EQ(Went(Do(Demand("r1", "web", 6))), *why.would_choose) << "explaining decides nothing";
  EXPECT_EQ(core_->FindService("10.100.0.1"), Sv("web"));
}

}  // namespace
}  // namespace dyncast::core
