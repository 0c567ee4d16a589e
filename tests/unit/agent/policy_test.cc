#include "agent/core/policy.h"

#include <gtest/gtest.h>

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using Decision = UpdatePolicy::Decision;

MonoTime At(int64_t ms) { return MonoTime{milliseconds(1000000 + ms)}; }
std::vector<MetricSample> Load(double value) { return {{.name = "load1", .value = value, .unit = "1"}}; }

config::UpdateRules Rules(std::vector<config::ThresholdConfig> thresholds) {
  config::UpdateRules rules;
  rules.thresholds = std::move(thresholds);
  return rules;
}

UpdatePolicy Policy(std::optional<double> change, std::optional<double> relative) {
  return UpdatePolicy(Rules({{.metric = "load1", .change = change, .relative = relative}}));
}

TEST(UpdatePolicy, SendsAtTheIntervalWhateverTheValue) {
  UpdatePolicy policy(Rules({}));
  EXPECT_EQ(policy.OnMetrics(Load(1), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(9), Trigger::kSample, At(500)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(1), Trigger::kInterval, At(1000)), Decision::kSend);
  EXPECT_EQ(policy.counters(), (UpdateCounters{.sent_interval = 2, .suppressed_unchanged = 1}));
}

TEST(UpdatePolicy, AnAbsoluteChangeIsMeasuredFromWhatWasLastReported) {
  UpdatePolicy policy = Policy(2.0, std::nullopt);
  EXPECT_EQ(policy.OnMetrics(Load(10), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(11), Trigger::kSample, At(200)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(11.9), Trigger::kSample, At(400)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(12), Trigger::kSample, At(600)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(10), Trigger::kSample, At(800)), Decision::kSend);
  EXPECT_EQ(policy.counters().sent_threshold, 2u);
}

TEST(UpdatePolicy, ARelativeChangeIsAPartOfWhatWasLastReported) {
  UpdatePolicy policy = Policy(std::nullopt, 0.5);
  EXPECT_EQ(policy.OnMetrics(Load(10), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(14.9), Trigger::kSample, At(200)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(15), Trigger::kSample, At(400)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kSample, At(600)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kSample, At(800)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(0.001), Trigger::kSample, At(1000)), Decision::kSend);  // from 0: always
}

TEST(UpdatePolicy, AnAbsoluteRuleDecidesFromZero) {
  UpdatePolicy policy = Policy(1.0, 0.1);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(0.5), Trigger::kSample, At(200)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(1), Trigger::kSample, At(400)), Decision::kSend);
}

TEST(UpdatePolicy, AMetricThatAppearsOrVanishesIsAChange) {
  UpdatePolicy policy = Policy(100.0, std::nullopt);
  EXPECT_EQ(policy.OnMetrics({}, Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics({}, Trigger::kSample, At(200)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(1), Trigger::kSample, At(400)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics({}, Trigger::kSample, At(600)), Decision::kSend);
}

TEST(UpdatePolicy, TheGapHoldsAReportBackAndItIsSentAfterIt) {
  UpdatePolicy policy = Policy(1.0, std::nullopt);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(5), Trigger::kSample, At(50)), Decision::kKeep);
  ASSERT_TRUE(policy.DueAt());
  EXPECT_EQ(*policy.DueAt(), At(100));
  EXPECT_EQ(policy.OnMetrics(Load(5), Trigger::kSample, At(99)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(5), Trigger::kSample, At(100)), Decision::kSend);
  EXPECT_FALSE(policy.DueAt());
  EXPECT_EQ(policy.counters(),
            (UpdateCounters{.sent_interval = 1, .sent_threshold = 1, .suppressed_gap = 2}));
}

TEST(UpdatePolicy, WhatWentBackWithinTheGapIsNoUpdate) {
  UpdatePolicy policy = Policy(1.0, std::nullopt);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(5), Trigger::kSample, At(50)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kSample, At(80)), Decision::kKeep);
  EXPECT_FALSE(policy.DueAt());
  EXPECT_EQ(policy.counters(),
            (UpdateCounters{.sent_interval = 1, .suppressed_gap = 1, .suppressed_unchanged = 1}));
}

TEST(UpdatePolicy, TheIntervalIsHeldBackByTheGapToo) {
  UpdatePolicy policy = Policy(1.0, std::nullopt);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(5), Trigger::kSample, At(950)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(5), Trigger::kInterval, At(1000)), Decision::kKeep);
  EXPECT_EQ(*policy.DueAt(), At(1050));
  EXPECT_EQ(policy.OnMetrics(Load(5), Trigger::kSample, At(1050)), Decision::kSend);
  EXPECT_EQ(policy.counters().sent_interval, 2u);
}

TEST(UpdatePolicy, ARefreshIsARefreshInTheCounters) {
  UpdatePolicy policy(Rules({}));
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kRefresh, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kRefresh, At(10)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kSample, At(110)), Decision::kSend);
  EXPECT_EQ(policy.counters().sent_refresh, 2u);
}

TEST(UpdatePolicy, AnIntervalPolicyLooksAtNoThreshold) {
  config::UpdateRules rules = Rules({{.metric = "load1", .change = 1.0}});
  rules.policy = config::UpdateWhen::kInterval;
  UpdatePolicy policy(rules);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(50), Trigger::kSample, At(500)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(50), Trigger::kInterval, At(1000)), Decision::kSend);
  EXPECT_EQ(policy.counters(), (UpdateCounters{.sent_interval = 2, .suppressed_unchanged = 1}));
}

TEST(UpdatePolicy, AThresholdPolicyRepeatsOnlyAfterTheRefreshTime) {
  config::UpdateRules rules = Rules({{.metric = "load1", .change = 1.0}});
  rules.policy = config::UpdateWhen::kThreshold;
  rules.refresh = milliseconds(5000);
  UpdatePolicy policy(rules);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kInterval, At(0)), Decision::kSend);
  for (int64_t at = 1000; at < 5000; at += 1000) {
    EXPECT_EQ(policy.OnMetrics(Load(0.5), Trigger::kInterval, At(at)), Decision::kKeep) << at;
  }
  EXPECT_EQ(policy.OnMetrics(Load(0.5), Trigger::kInterval, At(5000)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(1.5), Trigger::kInterval, At(6000)), Decision::kSend);  // it changed
  EXPECT_EQ(policy.OnMetrics(Load(1.5), Trigger::kRefresh, At(6200)), Decision::kSend);
  EXPECT_EQ(policy.counters(),
            (UpdateCounters{
                .sent_interval = 1, .sent_threshold = 1, .sent_refresh = 2, .suppressed_unchanged = 4}));
}

TEST(UpdatePolicy, ATurnBackWithinTheHysteresisIsNoUpdate) {
  UpdatePolicy policy(Rules({{.metric = "load1", .change = 1.0, .hysteresis = 3.0}}));
  EXPECT_EQ(policy.OnMetrics(Load(10), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(12), Trigger::kSample, At(1000)),
            Decision::kSend);  // the first move: at once
  EXPECT_EQ(policy.OnMetrics(Load(9), Trigger::kSample, At(2000)), Decision::kKeep);  // back by 3, not more
  EXPECT_EQ(policy.OnMetrics(Load(13), Trigger::kSample, At(3000)),
            Decision::kSend);  // on in the same direction
  EXPECT_EQ(policy.OnMetrics(Load(9.9), Trigger::kSample, At(4000)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(8.9), Trigger::kSample, At(5000)),
            Decision::kSend);  // down is the direction now
  EXPECT_EQ(policy.OnMetrics(Load(10), Trigger::kSample, At(6000)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(9.5), Trigger::kSample, At(7000)), Decision::kKeep);  // not even a change
  EXPECT_EQ(
      policy.counters(),
      (UpdateCounters{
          .sent_interval = 1, .sent_threshold = 4, .suppressed_hysteresis = 2, .suppressed_unchanged = 1}));
}

TEST(UpdatePolicy, ALevelIsCrossedUpAtItAndDownBelowTheHysteresis) {
  UpdatePolicy policy(Rules({{.metric = "load1", .levels = {5.0, 8.0}, .hysteresis = 1.0}}));
  const auto look = [&](double value, int64_t at) {
    return policy.OnMetrics(Load(value), Trigger::kSample, At(at)) == Decision::kSend;
  };
  EXPECT_EQ(policy.OnMetrics(Load(1), Trigger::kInterval, At(0)), Decision::kSend);
  EXPECT_FALSE(look(4.9, 1000));
  EXPECT_TRUE(look(5, 2000));
  EXPECT_FALSE(look(4, 3000));  // not below 4
  EXPECT_FALSE(look(7.9, 4000));
  EXPECT_EQ(policy.OnMetrics(Load(4.5), Trigger::kInterval, At(4500)), Decision::kSend);
  EXPECT_FALSE(look(5.5, 5000)) << "the level was not left in between";
  EXPECT_TRUE(look(9, 6000));
  EXPECT_TRUE(look(3.9, 7000)) << "both levels left at once";
  EXPECT_TRUE(look(6, 8000));
  EXPECT_EQ(policy.counters().sent_threshold, 4u);
  EXPECT_EQ(policy.counters().suppressed_hysteresis, 1u);
}

TEST(UpdatePolicy, AMetricThatTurnsTooOftenIsDampedAndCountsAgainWhenItIsCalm) {
  config::UpdateRules rules = Rules({{.metric = "load1", .change = 1.0}});
  rules.minimum_gap = milliseconds(0);
  rules.damping = {
      .suppress = 3, .reuse = 1, .half_life = milliseconds(1000), .max_hold = milliseconds(4000)};
  UpdatePolicy policy(rules);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kInterval, At(0)), Decision::kSend);
  int64_t sent = 0;
  for (int64_t at = 10; at <= 1000; at += 10) {  // 100 turns a second
    sent += policy.OnMetrics(Load(at / 10 % 2 == 1 ? 5 : 0), Trigger::kSample, At(at)) == Decision::kSend;
  }
  EXPECT_EQ(sent, 4) << "one move and three turns of which none is above the limit";
  EXPECT_EQ(policy.counters().suppressed_damped, 48u);  // at the reported value's other side
  EXPECT_EQ(policy.counters().suppressed_unchanged, 48u);
  // At the last turn the penalty was at most what falls to 1 within max_hold, however long it went on.
  EXPECT_EQ(policy.OnMetrics(Load(9), Trigger::kSample, At(4900)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(9), Trigger::kSample, At(8900)), Decision::kSend);
  // And a step after that leaves at once.
  EXPECT_EQ(policy.OnMetrics(Load(20), Trigger::kSample, At(8910)), Decision::kSend);
}

TEST(UpdatePolicy, ARampIsNoFlapping) {
  config::UpdateRules rules = Rules({{.metric = "load1", .change = 1.0}});
  rules.minimum_gap = milliseconds(0);
  UpdatePolicy policy(rules);
  for (int64_t at = 0; at < 1000; ++at) {
    EXPECT_EQ(policy.OnMetrics(Load(static_cast<double>(at)), Trigger::kSample, At(at)), Decision::kSend);
  }
}

TEST(UpdatePolicy, DampingMayBeOff) {
  config::UpdateRules rules = Rules({{.metric = "load1", .change = 1.0}});
  rules.minimum_gap = milliseconds(0);
  rules.damping.enabled = false;
  UpdatePolicy policy(rules);
  for (int64_t at = 0; at < 1000; ++at) {
    EXPECT_EQ(policy.OnMetrics(Load(static_cast<double>(at % 2)), Trigger::kSample, At(at)), Decision::kSend);
  }
}

TEST(UpdatePolicy, AnotherMetricsStepIsNotHeldBackByADampedOne) {
  config::UpdateRules rules =
      Rules({{.metric = "load1", .change = 1.0}, {.metric = "sessions", .change = 1.0}});
  UpdatePolicy policy(rules);
  const auto look = [&](double load, double sessions, int64_t at) {
    return policy.OnMetrics({{.name = "load1", .value = load, .unit = "1"},
                             {.name = "sessions", .value = sessions, .unit = "1"}},
                            Trigger::kSample, At(at)) == Decision::kSend;
  };
  for (int64_t at = 0; at <= 3000; at += 10) look(at / 10 % 2 == 0 ? 5 : 0, 7, at);
  EXPECT_GT(policy.counters().suppressed_damped, 100u);
  EXPECT_FALSE(look(0, 7, 3200));
  EXPECT_TRUE(look(5, 9, 3210));
}

}  // namespace
}  // namespace dyncast::agent
