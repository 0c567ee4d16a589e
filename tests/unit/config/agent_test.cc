#include "schema/config/agent.h"

#include <gmock/gmock.h>

#include "tests/unit/config/texts.h"

namespace dyncast::config {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::string_view kValid = R"(name: edge2
controllers: [tcp://10.0.0.1:5570, ipc:///run/m.sock]
report_interval: 2s
heartbeat_interval: 250ms
sample_interval: 100ms
minimum_gap: 50ms
thresholds:
  - {metric: cpu_utilization, change: 0.1, relative: 0.5}
log_level: debug
instances:
  - name: video-1
    service: video
    bid: 10.2.0.1
    port: 8080
    network_namespace: /run/netns/v1
    check_inside: true
    cgroup: /sys/fs/cgroup/v1
    capacity: {cpu_cores: 1.5, memory_bytes: 1e9, gpus: 0, max_sessions: 10, requests_per_s: 20}
    health: {check: http, port: 8081, path: /h, interval: 1s, timeout: 900ms, fall: 2, rise: 3}
    scrape:
      url: http://127.0.0.1:9090/metrics
      timeout: 200ms
      metrics:
        - {name: request_rate, from: reqs_total, labels: {code: "200", m: get}, rate: true}
        - {name: busy, from: busy_seconds, rate: true}
        - {name: latency, from: ms, factor: 0.001, unit: seconds}
        - {name: own, from: own, unit: frames}
  - {name: web-1, service: web, bid: 10.2.0.1, port: 80, health: {interval: 100ms}}
)";

TEST(Agent, TakesEveryKey) {
  const Result<AgentConfig> c = ParseAgent(kValid, "a.yaml");
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  EXPECT_EQ(c->name, "edge2");
  EXPECT_THAT(c->controllers, ElementsAre("tcp://10.0.0.1:5570", "ipc:///run/m.sock"));
  EXPECT_EQ(c->report_interval, milliseconds{2000});
  EXPECT_EQ(c->heartbeat_interval, milliseconds{250});
  EXPECT_EQ(c->sample_interval, milliseconds{100});
  EXPECT_EQ(c->minimum_gap, milliseconds{50});
  EXPECT_EQ(c->log_level, "debug");
  EXPECT_THAT(c->thresholds, ElementsAre(ThresholdConfig{
                                 .metric = "cpu_utilization", .change = 0.1, .relative = 0.5, .levels = {}}));
  ASSERT_EQ(c->instances.size(), 2u);
  const InstanceConfig& i = c->instances[0];
  EXPECT_EQ(i.name, "video-1");
  EXPECT_EQ(i.service, "video");
  EXPECT_EQ(i.bid, *IpAddress::Parse("10.2.0.1"));
  EXPECT_EQ(i.port, 8080);
  EXPECT_EQ(i.network_namespace, "/run/netns/v1");
  EXPECT_TRUE(i.check_inside);
  EXPECT_EQ(i.cgroup, "/sys/fs/cgroup/v1");
  EXPECT_EQ(
      i.capacity,
      (Capacity{
          .cpu_cores = 1.5, .memory_bytes = 1e9, .gpus = 0.0, .max_sessions = 10, .requests_per_s = 20}));
  EXPECT_EQ(i.health, (HealthCheckConfig{.kind = HealthCheckKind::kHttp,
                                         .port = 8081,
                                         .path = "/h",
                                         .interval = milliseconds{1000},
                                         .timeout = milliseconds{900},
                                         .fall = 2,
                                         .rise = 3}));
  ASSERT_TRUE(i.scrape.has_value());
  EXPECT_EQ(i.scrape->url, "http://127.0.0.1:9090/metrics");
  EXPECT_EQ(i.scrape->timeout, milliseconds{200});
  ASSERT_EQ(i.scrape->metrics.size(), 4u);
  const ScrapedMetric& m = i.scrape->metrics[0];
  EXPECT_EQ(m.name, "request_rate");
  EXPECT_EQ(m.from, "reqs_total");
  EXPECT_THAT(m.labels, ElementsAre(Pair("code", "200"), Pair("m", "get")));
  EXPECT_TRUE(m.rate);
  EXPECT_EQ(m.factor, 1.0);
  EXPECT_EQ(m.unit, "1/s") << "the unit of the metric's definition";
  EXPECT_EQ(i.scrape->metrics[1].unit, "1/s") << "a rate of an unknown metric";
  EXPECT_EQ(i.scrape->metrics[2].factor, 0.001);
  EXPECT_EQ(i.scrape->metrics[2].unit, "seconds");
  EXPECT_EQ(i.scrape->metrics[3].unit, "frames");
}

TEST(Agent, FillsInWhatDependsOnOtherValues) {
  const Result<AgentConfig> c = ParseAgent(kValid, "a.yaml");
  ASSERT_TRUE(c.ok());
  const InstanceConfig& i = c->instances[1];
  EXPECT_EQ(i.health.port, 80) << "the instance's port";
  EXPECT_EQ(i.health.timeout, milliseconds{80}) << "less than the interval";
  EXPECT_FALSE(i.scrape.has_value());
  EXPECT_FALSE(i.capacity.cpu_cores.has_value()) << "absent is not 0";
}

TEST(Agent, ExampleIsValid) {
  const Result<AgentConfig> c = LoadAgent(SourcePath("docs/examples/agent.yaml"));
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  EXPECT_EQ(c->instances.size(), 3u);
}

struct Case {
  std::string what;
  std::string old_text;
  std::string new_text;
  std::string message;  // without "a.yaml:"
};

class AgentRefused : public ::testing::TestWithParam<Case> {};

TEST_P(AgentRefused, WithPlaceKeyValueAndRule) {
  const Case& c = GetParam();
  std::string text(kValid);
  const size_t at = text.find(c.old_text);
  ASSERT_NE(at, std::string::npos);
  const Result<AgentConfig> config = ParseAgent(text.replace(at, c.old_text.size(), c.new_text), "a.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().ToString(), "a.yaml:" + c.message);
}

const Case kCases[] = {
    {"no_controller", "controllers: [tcp://10.0.0.1:5570, ipc:///run/m.sock]\n", "",
     "1:1: key 'controllers': is missing"},
    {"controller_form", "tcp://10.0.0.1:5570", "10.0.0.1:5570",
     "2:15: key 'controllers[0]': value '10.0.0.1:5570': must be tcp://HOST:PORT or ipc://PATH"},
    {"controller_twice", "ipc:///run/m.sock", "tcp://10.0.0.1:5570",
     "2:36: key 'controllers[1]': value 'tcp://10.0.0.1:5570': this endpoint is already at 'controllers[0]'"},
    {"interval_zero", "report_interval: 2s", "report_interval: 0s",
     "3:18: key 'report_interval': value '0s': must be 10ms to 1h"},
    {"gap_beyond_interval", "minimum_gap: 50ms", "minimum_gap: 3s",
     "6:14: key 'minimum_gap': value '3s': must be at most report_interval, which is 2s"},
    {"threshold_of_nothing", "change: 0.1, relative: 0.5", "",
     "8:5: key 'thresholds[0]': must have change, relative or levels"},
    {"threshold_negative", "change: 0.1", "change: -1",
     "8:39: key 'thresholds[0].change': value '-1': must be a number, above 0 and at most 1e+18"},
    {"instance_twice", "name: web-1", "name: video-1",
     "28:12: key 'instances[1].name': value 'video-1': an instance of this name is already at "
     "'instances[0].name'"},
    {"bid_twice", "service: web", "service: video",
     "28:40: key 'instances[1].bid': value 'video 10.2.0.1': an instance of the same service with this D-BID "
     "is "
     "already at 'instances[0].bid'"},
    {"bid_multicast", "bid: 10.2.0.1", "bid: 224.0.0.1",
     "13:10: key 'instances[0].bid': value '224.0.0.1': must be a unicast address"},
    {"port_zero", "port: 8080", "port: 0",
     "14:11: key 'instances[0].port': value '0': must be an integer, 1 to 65535"},
    {"timeout_beyond_interval", "timeout: 900ms", "timeout: 1s",
     "19:72: key 'instances[0].health.timeout': value '1s': must be less than interval, which is 1s"},
    {"path_without_http", "check: http", "check: tcp",
     "19:44: key 'instances[0].health.path': only check: http has a path"},
    {"inside_of_nothing", "    network_namespace: /run/netns/v1\n", "",
     "15:19: key 'instances[0].check_inside': value 'true': needs a network_namespace"},
    {"cores_zero", "cpu_cores: 1.5", "cpu_cores: 0",
     "18:27: key 'instances[0].capacity.cpu_cores': value '0': must be a number, above 0 and at most 1e+18"},
    {"url_form", "http://127.0.0.1:9090/metrics", "https://127.0.0.1/metrics",
     "21:12: key 'instances[0].scrape.url': value 'https://127.0.0.1/metrics': must be "
     "http://HOST:PORT/PATH"},
    {"metric_twice", "name: busy", "name: request_rate",
     "25:18: key 'instances[0].scrape.metrics[1].name': value 'request_rate': a metric of this name is "
     "already at "
     "'instances[0].scrape.metrics[0].name'"},
    {"unit_of_definition", "unit: seconds", "unit: ms",
     "26:58: key 'instances[0].scrape.metrics[2].unit': value 'ms': metric latency has the unit 'seconds'; "
     "factor converts"},
    {"label_twice", "m: get", "code: get",
     "24:72: key 'instances[0].scrape.metrics[0].labels.code': said twice"},
    {"label_of_list", "m: get", "m: []",
     "24:75: key 'instances[0].scrape.metrics[0].labels.m': must be a single value, not a list"},
    {"unknown_key", "cgroup:", "cgruop:",
     "17:5: key 'instances[0].cgruop': unknown; known here: name, service, bid, port, network_namespace, "
     "check_inside, cgroup, capacity, health, scrape, orca, plugins, gpu, updates"},
};

INSTANTIATE_TEST_SUITE_P(All, AgentRefused, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.what; });

TEST(Agent, LongBidsAreCut) {
  EXPECT_THAT(ParseAgent("name: " + std::string(5000, 'x'), "a.yaml").error().ToString(),
              ::testing::AllOf(HasSubstr("xxx...'"), ::testing::Not(HasSubstr(std::string(65, 'x')))));
}

}  // namespace
}  // namespace dyncast::config
