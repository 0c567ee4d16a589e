// What agents may say, and what happens to a message that breaks a rule.
#include "controller/core/agent_tracker.h"
#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class AgentsTest : public CoreFixture {
 protected:
  // A refusal by `rule`: counted at the fabric and the agent, and nothing else changed.
  void ExpectRefused(const std::string& agent, decltype(wire::AgentMessage::body) body,
                     const std::string& rule) {
    const auto before = Counter("refused-" + rule);
    const auto rows = core_->View(now_).instances.size();
    const auto effects = Say(agent, std::move(body));
    EXPECT_EQ(Counter("refused-" + rule), before + 1);
    EXPECT_EQ(core_->View(now_).instances.size(), rows);
    EXPECT_TRUE(All<SetPlan>(effects).empty());
    EXPECT_TRUE(Records<InstanceRecord>(effects).empty());
    for (const auto& view : core_->View(now_).agents) {
      if (view.name == agent) {
        EXPECT_EQ(view.last_refusal.rfind(rule + ": ", 0), 0u) << view.last_refusal;
      }
    }
  }
  static wire::Announce Of(std::string instance, std::string service, std::string_view bid) {
    wire::Announce announce;
    announce.instance = std::move(instance);
    announce.service = std::move(service);
    announce.bid = Ip(bid);
    announce.health = wire::Health::kUp;
    return announce;
  }
  AgentView Agent(const std::string& name) const {
    for (const auto& view : core_->View(now_).agents) {
      if (view.name == name) return view;
    }
    return {};
  }
};

TEST_F(AgentsTest, RulesOfAnnouncements) {
  StartWeb();
  ExpectRefused("stranger", Of("x", "web", "10.2.0.11"), "unknown-agent");
  ExpectRefused("a2", Of("x", "nothing", "10.2.0.11"), "unknown-service");
  ExpectRefused("a2", Of("x", "web", "10.3.0.11"), "bid-not-allowed");
  ExpectRefused("a2", Of("x", "web", "10.100.0.1"), "bid-is-sid");
  ExpectRefused("a2", Of("x", "web", "10.9.1.1"), "bid-is-gateway");
  ExpectRefused("a2", Of("x", "web", "224.0.0.1"), "bid-not-unicast");
  ExpectRefused("a2", Of("x", "web", "2001:db8::1"), "bid-family");
  auto wrong_sid = Of("x", "web", "10.2.0.11");
  wrong_sid.sid = Ip("10.100.0.2");
  ExpectRefused("a2", wrong_sid, "sid-mismatch");
  ExpectRefused("a2", Of("web-3", "web", "10.2.0.11"), "instance-of-another-agent");
  ExpectRefused("a2", Of("web-2", "web", "10.2.0.11"), "instance-changed");
  ExpectRefused("a2", Of("web-2", "rtp", "10.2.0.10"), "instance-changed");
  ExpectRefused("a2", Of("x", "web", "10.2.0.10"), "bid-conflict");
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  // One D-BID may serve two services that the return path can tell apart.
  Announce("a2", "rtp-2", "rtp", "10.2.0.10");
  EXPECT_EQ(View("rtp-2").state, InstanceState::kUp);
}

TEST_F(AgentsTest, ADBidStaysItsAgentsUntilWithdrawn) {
  config_.agents[1].bids.push_back(Net("10.2.0.0/24"));
  StartWeb();
  ExpectRefused("a3", Of("mine", "web", "10.2.0.10"), "bid-of-another-agent");
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  ExpectRefused("a3", Of("mine", "web", "10.2.0.10"), "bid-of-another-agent");
  ExpectRefused("a3", wire::Withdraw{.instance = "web-2", .reason = ""}, "instance-of-another-agent");
  Say("a2", wire::Withdraw{.instance = "web-2", .reason = ""});
  Announce("a3", "mine", "web", "10.2.0.10");
  EXPECT_EQ(View("mine").state, InstanceState::kUp);
}

TEST_F(AgentsTest, AConfigurationThatMakesTwoConflictKeepsTheFirst) {
  StartWeb();
  Announce("a2", "rtp-2", "rtp", "10.2.0.10");
  config_.services[1].ports = {{.proto = IpProto::kTcp, .first = 80, .last = 90}};
  Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)});
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  EXPECT_EQ(View("rtp-2").reason, "bid-conflict");
}

TEST_F(AgentsTest, ReportsOfOthersInstancesAndImplausibleValuesAreLeftOut) {
  StartWeb();
  wire::Report report;
  report.instance = "web-2";
  report.metrics = {Sample("cpu_utilization", 0.1)};
  ExpectRefused("a3", report, "instance-of-another-agent");
  report.instance = "nobody";
  ExpectRefused("a3", report, "unknown-instance");
  report.instance = "web-2";
  report.refused_metrics = 2;
  report.metrics = {Sample("cpu_utilization", 0.1), Sample("queue", -1),
                    Sample("latency", std::numeric_limits<double>::quiet_NaN())};
  const auto effects = Say("a2", report);
  EXPECT_EQ(Counter("metrics-refused"), 4u);
  ASSERT_EQ(Records<MetricsRecord>(effects).size(), 1u);
  EXPECT_EQ(Records<MetricsRecord>(effects)[0].metrics.size(), 1u);
  EXPECT_DOUBLE_EQ(View("web-2").load.value(), 0.1);
}

TEST_F(AgentsTest, MetricsThatNobodyKnowsAreKeptAndCounted) {
  config_.services[0].selection.load = {{.metric = "licences_used", .weight = 1, .scale = 40}};
  StartWeb();
  wire::Report report;
  report.instance = "web-2";
  report.metrics = {Sample("cpu_utilization", 0.1), Sample("gpu_utilization", 0.2),
                    Sample("licences_used", 20)};
  Say("a2", report);
  EXPECT_EQ(Counter("metrics-unknown"), 0u) << "defined, or named by the service";
  report.metrics.push_back(Sample("phase_of_the_moon", 0.5));
  MetricSample score = Sample("my_own_score", 3);
  score.level = MetricLevel::kL1;
  report.metrics.push_back(score);
  Say("a2", report);
  EXPECT_EQ(Counter("metrics-unknown"), 2u);
  EXPECT_EQ(Counter("metrics-refused"), 0u);
  EXPECT_EQ(View("web-2").metrics.size(), 5u) << "shown all the same";
  EXPECT_DOUBLE_EQ(View("web-2").load.value(), 0.5);
}

TEST_F(AgentsTest, SequenceGapsAreCountedAndReplaysRefused) {
  Start();
  epoch_ = 5;
  sequence_ = 9;
  Announce("a2", "web-2", "web", "10.2.0.10");  // 10
  sequence_ = 13;
  Say("a2", wire::Heartbeat{});  // 14: three missing
  EXPECT_EQ(Agent("a2").gaps, 3u);
  sequence_ = 10;
  ExpectRefused("a2", wire::Withdraw{.instance = "web-2", .reason = ""}, "replayed");
  sequence_ = 13;
  ExpectRefused("a2", wire::Withdraw{.instance = "web-2", .reason = ""}, "replayed");
  epoch_ = 4;
  sequence_ = 100;
  ExpectRefused("a2", wire::Withdraw{.instance = "web-2", .reason = ""}, "replayed");
  EXPECT_EQ(Agent("a2").replayed, 3u);
  EXPECT_EQ(View("web-2").state, InstanceState::kUp);
  epoch_ = 6;
  sequence_ = 0;
  Say("a2", wire::Withdraw{.instance = "web-2", .reason = ""});
  EXPECT_EQ(View("web-2").state, InstanceState::kDown);
  EXPECT_EQ(Agent("a2").gaps, 3u);
}

TEST_F(AgentsTest, ClocksMayDifferOnlySoMuch) {
  Start();
  for (const int64_t off_us : {int64_t{60'000'001}, int64_t{-60'000'001}, INT64_MAX, INT64_MIN}) {
    wire::AgentMessage message{.agent = "a2",
                               .boot_epoch = 99,
                               .sequence = 1,
                               .sent_at = FromUnixMicros(off_us > 1'000'000'000 || off_us < -1'000'000'000
                                                             ? off_us
                                                             : UnixMicros(now_.wall) + off_us),
                               .body = wire::Heartbeat{}};
    Do(AgentSaid{message});
  }
  EXPECT_EQ(Counter("refused-clock-skew"), 4u);
  EXPECT_EQ(Agent("a2").boot_epoch, 0u) << "nothing was believed";
  EXPECT_TRUE(Agent("a2").silent);
}

TEST_F(AgentsTest, WhatAnAgentCountsIsShownAsItsLastHeartbeatSaid) {
  StartWeb();
  EXPECT_FALSE(Agent("a2").updates);
  const UpdateCounters counted{.sent_interval = 7, .suppressed_damped = 3};
  Say("a2", wire::Heartbeat{.interval = milliseconds{500}, .updates = counted});
  EXPECT_EQ(Agent("a2").updates, counted);
  EXPECT_FALSE(Agent("a3").updates);
  Say("a2", wire::Heartbeat{.interval = milliseconds{500}});  // one that does not count any more
  EXPECT_FALSE(Agent("a2").updates);
}

TEST_F(AgentsTest, RefusalsDoNotKeepAnAgentAlive) {
  StartWeb();
  Say("a2", wire::Heartbeat{milliseconds{500}});
  Say("a3", wire::Heartbeat{milliseconds{5000}});
  for (int i = 0; i < 4; ++i) {
    Advance(milliseconds{500});
    Say("a2", Of("x", "nothing", "10.2.0.11"));
  }
  Tick();
  EXPECT_EQ(View("web-2").reason, "agent-silent");
}

TEST_F(AgentsTest, ASlowFirstCheckAfterAnAgentsRestartTakesNothingDown) {
  StartWeb();
  const auto restart = [&] {
    ++epoch_;
    sequence_ = 0;
    Say("a2", wire::Heartbeat{milliseconds{20000}});
  };
  restart();
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUnknown);
  Tick(config_.controller.startup_grace + seconds{1});
  EXPECT_EQ(View("web-2").state, InstanceState::kUp) << View("web-2").reason;
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  EXPECT_EQ(View("web-2").reason, "health");
  Announce("a2", "web-2", "web", "10.2.0.10");
  // Not even named: it is gone.
  restart();
  Tick(config_.controller.startup_grace);
  EXPECT_EQ(View("web-2").reason, "not-announced");
  Announce("a2", "web-2", "web", "10.2.0.10");
  restart();
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUnknown);
  Tick(seconds{61});
  EXPECT_EQ(View("web-2").reason, "agent-silent");
}

TEST_F(AgentsTest, EventsAboutRefusalsAreFew) {
  Start();
  size_t events = Records<EventRecord>(Tick()).size();
  events = 0;
  for (int i = 0; i < 100; ++i) {
    Advance(milliseconds{50});
    events += Records<EventRecord>(Say("stranger" + std::to_string(i), Of("x", "web", "10.2.0.11"))).size();
  }
  EXPECT_EQ(events, 1u);
  EXPECT_EQ(Counter("refused-unknown-agent"), 100u);
  EXPECT_EQ(core_->View(now_).agents.size(), 2u);
}

}  // namespace
}  // namespace dyncast::core
