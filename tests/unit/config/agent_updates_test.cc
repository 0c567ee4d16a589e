// `updates` and `thresholds` of agent.yaml.
#include <gmock/gmock.h>

#include "schema/config/agent.h"

namespace dyncast::config {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

constexpr std::string_view kValid = R"(name: edge2
controllers: [tcp://10.0.0.1:5570]
updates:
  policy: both
  minimum_gap: 50ms
  refresh: 3s
  damping: {suppress: 4, reuse: 1, half_life: 1s, max_hold: 8s}
  thresholds:
    - {metric: cpu_utilization, change: 0.1, hysteresis: 0.2, levels: [0.5, 0.8]}
instances:
  - {name: a, service: web, bid: 10.2.0.1, port: 80}
  - name: b
    service: web
    bid: 10.2.0.2
    port: 80
    updates:
      policy: threshold
      minimum_gap: 20ms
      damping: {enabled: false}
      thresholds:
        - {metric: queue, change: 5}
)";

TEST(AgentUpdates, AnInstanceTakesWhatItDoesNotSayFromTheAgent) {
  const Result<AgentConfig> c = ParseAgent(kValid, "a.yaml");
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  const UpdateRules a = UpdateRulesOf(*c, c->instances[0]);
  EXPECT_EQ(a.policy, UpdateWhen::kBoth);
  EXPECT_EQ(a.minimum_gap, milliseconds{50});
  EXPECT_EQ(a.refresh, milliseconds{3000});
  EXPECT_EQ(a.damping, (DampingConfig{.enabled = true,
                                      .suppress = 4,
                                      .reuse = 1,
                                      .half_life = milliseconds{1000},
                                      .max_hold = milliseconds{8000}}));
  EXPECT_THAT(a.thresholds, ElementsAre(ThresholdConfig{.metric = "cpu_utilization",
                                                        .change = 0.1,
                                                        .relative = std::nullopt,
                                                        .levels = {0.5, 0.8},
                                                        .hysteresis = 0.2}));
  const UpdateRules b = UpdateRulesOf(*c, c->instances[1]);
  EXPECT_EQ(b.policy, UpdateWhen::kThreshold);
  EXPECT_EQ(b.minimum_gap, milliseconds{20});
  EXPECT_EQ(b.refresh, milliseconds{3000});
  EXPECT_FALSE(b.damping.enabled);
  ASSERT_EQ(b.thresholds.size(), 1u);
  EXPECT_EQ(b.thresholds[0].metric, "queue");
}

TEST(AgentUpdates, NothingSaidIsBothWithDamping) {
  const Result<AgentConfig> c = ParseAgent(
      "name: e\ncontrollers: [tcp://10.0.0.1:5570]\nminimum_gap: 70ms\n"
      "thresholds: [{metric: queue, relative: 0.5}]\n"
      "instances: [{name: a, service: web, bid: 10.2.0.1, port: 80}]\n",
      "a.yaml");
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  const UpdateRules rules = UpdateRulesOf(*c, c->instances[0]);
  EXPECT_EQ(rules.policy, UpdateWhen::kBoth);
  EXPECT_EQ(rules.minimum_gap, milliseconds{70});
  EXPECT_TRUE(rules.damping.enabled);
  ASSERT_EQ(rules.thresholds.size(), 1u);
}

struct Case {
  std::string what;
  std::string old_text;
  std::string new_text;
  std::string message;  // without "a.yaml:"
};

class AgentUpdatesRefused : public ::testing::TestWithParam<Case> {};

TEST_P(AgentUpdatesRefused, WithPlaceKeyValueAndRule) {
  const Case& c = GetParam();
  std::string text(kValid);
  const size_t at = text.find(c.old_text);
  ASSERT_NE(at, std::string::npos);
  const Result<AgentConfig> config = ParseAgent(text.replace(at, c.old_text.size(), c.new_text), "a.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().ToString(), "a.yaml:" + c.message);
}

const Case kCases[] = {
    {"policy", "policy: both", "policy: sometimes",
     "4:11: key 'updates.policy': value 'sometimes': must be one of: interval, threshold, both"},
    {"gap_twice", "updates:\n  policy: both", "minimum_gap: 50ms\nupdates:\n  policy: both",
     "6:16: key 'updates.minimum_gap': is said at the top level too"},
    {"gap_beyond_interval", "minimum_gap: 20ms", "minimum_gap: 2s",
     "18:20: key 'instances[1].updates.minimum_gap': value '2s': must be at most report_interval, which is "
     "1s"},
    {"reuse_above_suppress", "reuse: 1", "reuse: 4",
     "7:33: key 'updates.damping.reuse': value '4': must be less than suppress, which is 4"},
    {"never_damped", "max_hold: 8s", "max_hold: 2s",
     "7:61: key 'updates.damping.max_hold': value '2s': must be more than 2.00 x half_life, from suppress to "
     "reuse, or nothing is ever damped"},
    {"levels_order", "[0.5, 0.8]", "[0.8, 0.5]",
     "9:77: key 'updates.thresholds[0].levels[1]': value '0.5': must be above the one before, 0.8"},
    {"hysteresis_negative", "hysteresis: 0.2", "hysteresis: -1",
     "9:58: key 'updates.thresholds[0].hysteresis': value '-1': must be a number, 0 to 1e+18"},
    {"refresh_below_gap", "refresh: 3s", "refresh: 10ms",
     "17:7: key 'instances[1].updates.refresh': value '10ms': must be at least minimum_gap, which is 20ms"},
    {"threshold_twice", "- {metric: queue, change: 5}",
     "- {metric: queue, change: 5}\n        - {metric: queue, "
     "change: 6}",
     "22:20: key 'instances[1].updates.thresholds[1].metric': value 'queue': a threshold of this metric is "
     "already at 'instances[1].updates.thresholds[0].metric'"},
};

INSTANTIATE_TEST_SUITE_P(All, AgentUpdatesRefused, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.what; });

TEST(AgentUpdates, AThresholdPolicyNeedsThresholds) {
  const Result<AgentConfig> c = ParseAgent(
      "name: e\ncontrollers: [tcp://10.0.0.1:5570]\nupdates: {policy: threshold}\n"
      "instances: [{name: a, service: web, bid: 10.2.0.1, port: 80}]\n",
      "a.yaml");
  ASSERT_FALSE(c.ok());
  EXPECT_EQ(c.error().ToString(), "a.yaml:3:19: key 'updates.policy': value 'threshold': needs thresholds");
}

}  // namespace
}  // namespace dyncast::config
