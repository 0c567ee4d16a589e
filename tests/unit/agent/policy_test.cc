#include "agent/core/policy.h"

#include <gtest/gtest.h>

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using Decision = UpdatePolicy::Decision;

MonoTime At(int64_t ms) { return MonoTime{milliseconds(1000000 + ms)}; }
std::vector<MetricSample> Load(double value) { return {{.name = "load1", .value = value, .unit = "1"}}; }

UpdatePolicy Policy(std::optional<double> change, std::optional<double> relative) {
  return UpdatePolicy({{.metric = "load1", .change = change, .relative = relative}}, milliseconds(100));
}

TEST(UpdatePolicy, SendsAtTheIntervalWhateverTheValue) {
  UpdatePolicy policy({}, milliseconds(100));
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
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kSample, At(100)),
            Decision::kSend);  // due, even if it went back
  EXPECT_FALSE(policy.DueAt());
  EXPECT_EQ(policy.counters(),
            (UpdateCounters{.sent_interval = 1, .sent_threshold = 1, .suppressed_gap = 2}));
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
  UpdatePolicy policy({}, milliseconds(100));
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kRefresh, At(0)), Decision::kSend);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kRefresh, At(10)), Decision::kKeep);
  EXPECT_EQ(policy.OnMetrics(Load(0), Trigger::kSample, At(110)), Decision::kSend);
  EXPECT_EQ(policy.counters().sent_refresh, 2u);
}

}  // namespace
}  // namespace dyncast::agent
