// `orca`, `plugins` and `gpu` of agent.yaml.
#include <gmock/gmock.h>

#include "schema/config/agent.h"

namespace dyncast::config {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kValid = R"(name: edge2
controllers: [tcp://10.0.0.1:5570]
gpu: {}
orca_listen: 10.2.0.254:5580
orca_allow: [192.0.2.0/24]
instances:
  - name: a
    service: web
    bid: 10.2.0.1
    port: 80
    health: {check: http}
    orca:
      health: true
      url: http://10.2.0.1:80/load
      timeout: 200ms
      post: true
      expiry: 4s
      metrics:
        - {name: queue, from: named_metrics.q, factor: 2}
        - {name: disk, from: utilization.disk}
        - {name: errors, from: eps}
    plugins:
      - command: [/usr/lib/x, "--flag", "two words"]
        interval: 500ms
        metrics:
          - {name: licences, from: free}
          - {name: jobs, from: done, rate: true}
      - {command: [/bin/y], interval: 10s, timeout: 2s, metrics: [{name: z, from: z}]}
    gpu: {library: /opt/libnvml.so, devices: [1, 3], timeout: 300ms}
  - {name: b, service: web, bid: 10.2.0.2, port: 80}
)";

TEST(AgentSources, TakesEveryKey) {
  const Result<AgentConfig> c = ParseAgent(kValid, "a.yaml");
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  EXPECT_EQ(c->gpu, GpuConfig{});
  EXPECT_EQ(c->orca_listen, "10.2.0.254:5580");
  EXPECT_THAT(c->orca_allow, ElementsAre(*IpPrefix::Parse("192.0.2.0/24")));
  const InstanceConfig& i = c->instances[0];
  EXPECT_EQ(i.orca, (OrcaConfig{.health = true,
                                .url = "http://10.2.0.1:80/load",
                                .timeout = milliseconds{200},
                                .post = true,
                                .expiry = milliseconds{4000},
                                .metrics = {{"queue", "named_metrics.q", 2, "1"},
                                            {"disk", "utilization.disk", 1, "ratio"},
                                            {"errors", "eps", 1, "1/s"}}}));
  ASSERT_EQ(i.plugins.size(), 2u);
  EXPECT_THAT(i.plugins[0].command, ElementsAre("/usr/lib/x", "--flag", "two words"));
  EXPECT_EQ(i.plugins[0].interval, milliseconds{500});
  EXPECT_EQ(i.plugins[0].timeout, milliseconds{400}) << "less than the interval";
  EXPECT_EQ(i.plugins[0].metrics[0].unit, "1");
  EXPECT_EQ(i.plugins[0].metrics[1].unit, "1/s");
  EXPECT_EQ(i.plugins[1].timeout, milliseconds{2000});
  EXPECT_EQ(i.gpu,
            (GpuConfig{.library = "/opt/libnvml.so", .devices = {1, 3}, .timeout = milliseconds{300}}));
  EXPECT_FALSE(c->instances[1].orca);
  EXPECT_FALSE(c->instances[1].gpu) << "the agent's";
  EXPECT_THAT(c->instances[1].plugins, IsEmpty());
}

TEST(AgentSources, ListensWhereItIsTold) {
  for (const std::string good : {"127.0.0.1:5580", "0.0.0.0:1", "'[::1]:5580'", "unix:/run/a.sock"}) {
    std::string text(kValid);
    text.replace(text.find("10.2.0.254:5580"), 15, good);
    EXPECT_TRUE(ParseAgent(text, "a.yaml").ok()) << good;
  }
  for (const std::string bad :
       {"5580", "host:5580", "127.0.0.1:0", "'::1:5580'", "'[127.0.0.1]:80'", "unix:", "224.0.0.1:80"}) {
    std::string text(kValid);
    text.replace(text.find("10.2.0.254:5580"), 15, bad);
    EXPECT_FALSE(ParseAgent(text, "a.yaml").ok()) << bad;
  }
}

struct Case {
  std::string what;
  std::string old_text;
  std::string new_text;
  std::string message;
};

class AgentSourcesRefused : public ::testing::TestWithParam<Case> {};

TEST_P(AgentSourcesRefused, WithKeyValueAndRule) {
  const Case& c = GetParam();
  std::string text(kValid);
  const size_t at = text.find(c.old_text);
  ASSERT_NE(at, std::string::npos);
  const Result<AgentConfig> config = ParseAgent(text.replace(at, c.old_text.size(), c.new_text), "a.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().ToString(), HasSubstr(c.message));
}

const Case kCases[] = {
    {"health_without_http", "health: {check: http}", "health: {check: tcp}",
     "key 'instances[0].orca.health': value 'true': needs health: {check: http}"},
    {"post_without_listener", "orca_listen: 10.2.0.254:5580\n", "",
     "key 'instances[0].orca.post': value 'true': needs orca_listen"},
    {"no_source",
     "      health: true\n      url: http://10.2.0.1:80/load\n      timeout: 200ms\n      post: true\n", "",
     "key 'instances[0].orca': must have health, url or post"},
    {"field", "named_metrics.q", "namedmetrics.q",
     "key 'instances[0].orca.metrics[0].from': value 'namedmetrics.q': must be named_metrics.NAME"},
    {"field_without_name", "named_metrics.q", "named_metrics.", "value 'named_metrics.'"},
    {"unit", "name: errors, from: eps", "name: error_rate, from: eps, unit: 1/min",
     "key 'instances[0].orca.metrics[2].unit': value '1/min': metric error_rate has the unit '1/s'"},
    {"name_twice", "name: licences", "name: queue",
     "key 'instances[0].orca.metrics[0].name': value 'queue': a metric of this name is already at "
     "'instances[0].plugins[0].metrics[0].name'"},
    {"no_command", "command: [/bin/y]", "command: []",
     "key 'instances[0].plugins[1].command': must have at least one item"},
    {"relative_command", "[/bin/y]", "[y]",
     "key 'instances[0].plugins[1].command[0]': value 'y': must be an absolute path"},
    {"timeout", "timeout: 2s", "timeout: 10s",
     "key 'instances[0].plugins[1].timeout': value '10s': must be less than interval, which is 10s"},
    {"too_often", "interval: 500ms", "interval: 99ms",
     "key 'instances[0].plugins[0].interval': value '99ms': must be 100ms to 1h"},
    {"no_metrics", "metrics: [{name: z, from: z}]", "metrics: []",
     "key 'instances[0].plugins[1].metrics': must have at least one item"},
    {"device_twice", "[1, 3]", "[3, 3]",
     "key 'instances[0].gpu.devices[1]': value '3': this device is named already"},
    {"library", "/opt/libnvml.so", "opt/libnvml.so",
     "key 'instances[0].gpu.library': value 'opt/libnvml.so': must be a file name, or an absolute path"},
    {"allow", "192.0.2.0/24", "192.0.2.1/24", "key 'orca_allow[0]': value '192.0.2.1/24'"},
};

INSTANTIATE_TEST_SUITE_P(All, AgentSourcesRefused, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.what; });

TEST(AgentSources, PluginsAreBounded) {
  std::string text(kValid);
  std::string many = "    plugins:\n";
  for (size_t i = 0; i <= kMaxPlugins; ++i) {
    const std::string n = std::to_string(i);
    many += "      - {command: [/bin/y], metrics: [{name: m" + n + ", from: m}]}\n";
  }
  const size_t begin = text.find("    plugins:");
  text.replace(begin, text.find("    gpu: {library") - begin, many);
  const Result<AgentConfig> c = ParseAgent(text, "a.yaml");
  ASSERT_FALSE(c.ok());
  EXPECT_THAT(c.error().ToString(), HasSubstr("value '17 plug-ins': must be at most 16"));
}

}  // namespace
}  // namespace dyncast::config
