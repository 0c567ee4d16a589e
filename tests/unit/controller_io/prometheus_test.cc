// The page for Prometheus and the port that serves it.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "controller/io/prometheus_listener.h"
#include "controller/io/prometheus_page.h"
#include "controller/io/scrape_http.h"
#include "tests/unit/controller_io/prometheus_text.h"

namespace dyncast {
namespace {

using api::FamilyOf;
using api::PrometheusInput;
using api::PrometheusPage;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

core::MetricRow Row(const std::string& instance, const std::string& name, double value,
                    const std::string& unit) {
  return {.instance = instance,
          .service = "web",
          .site = "edge",
          .switch_name = {},
          .family = {},
          .sample = {.name = name, .value = value, .unit = unit},
          .category = std::nullopt,
          .score = std::nullopt};
}

PrometheusInput Input() {
  PrometheusInput in;
  in.status.fabric = "lab";
  in.status.store.pending = 3;
  in.started = FromUnixMicros(1'700'000'000'500'000);
  in.view.counters["demands-refused"] = 7;
  core::InstanceView instance;
  instance.name = "web-1";
  instance.service = "web";
  instance.agent = "edge";
  instance.state = InstanceState::kDraining;
  instance.bindings = 12;
  instance.demands = 40;
  instance.load = 0.25;
  in.view.instances.push_back(instance);
  core::ServiceView service;
  service.spec.name = "web";
  service.spec.sid_v4 = IpAddress::V4(1);
  service.spec.dispatch = Dispatch::kLearn;
  service.switches.push_back(
      {.at = SwitchId(1),
       .switch_name = "r1",
       .bindings = 5,
       .shares = {
           {.instance = InstanceId(1), .instance_name = "web-1", .slots_v4 = kSlots / 4, .slots_v6 = 0}}});
  in.view.services.push_back(service);
  core::SwitchView sw;
  sw.name = "r1";
  sw.state = "synced";
  sw.learned = 9;
  in.view.switches.push_back(sw);
  core::AgentView agent;
  agent.name = "edge";
  agent.silent = false;
  agent.last_heard = std::chrono::milliseconds{400};
  agent.gaps = 2;
  in.view.agents.push_back(agent);
  return in;
}

TEST(PrometheusPage, ShowsWhatThereIs) {
  PrometheusInput in = Input();
  in.rows.push_back(Row("web-1", "cpu_utilization", 0.5, "ratio"));
  core::MetricRow score = Row("web-1", "computing_comb", 5, "1");
  score.sample.level = MetricLevel::kL1;
  score.category = ScoreCategory::kCompute;
  in.rows.push_back(score);
  score = Row("web-1", "norm_fi", 4.5, "1");
  score.sample.level = MetricLevel::kL2;
  score.switch_name = "r1";
  in.rows.push_back(score);
  score.in_force = false;
  score.sample.value = 9;
  score.switch_name = "";
  in.rows.push_back(score);
  score = Row("", "norm_fi", 6, "1");
  score.sample.level = MetricLevel::kL2;
  in.rows.push_back(score);
  core::MetricRow way = Row("", "rtt", 0.004, "seconds");
  way.service = "";
  way.switch_name = "r1";
  way.family = "ipv4";
  in.rows.push_back(way);
  PathSample sample;
  sample.peer = "far";
  sample.rtt = Micros(10285);
  sample.rtt_min = Micros(10113);
  sample.jitter_forward = Micros(143);
  sample.loss_forward = 0.2;
  sample.loss_backward = 0;
  sample.loss = 0.2;
  in.paths.push_back({.from = "edge", .sample = sample, .age = std::chrono::milliseconds{700}});
  core::LinkView link;
  link.port = "up1";
  link.role = PortRole::kUplink;
  link.speed_bit_s = 1000000000;
  link.counters = PortCounters{.number = PortNo(2), .in_bytes = 1u << 20, .out_dropped = 3};
  in.view.switches[0].links.push_back(link);
  const std::string page = PrometheusPage(in);
  const test::PrometheusText text = test::ReadPrometheus(page);
  EXPECT_THAT(text.problems, IsEmpty());
  const std::vector<std::pair<std::string, double>> expected = {
      {R"(dyncast_controller_info{version=")" DYNCAST_VERSION R"(",fabric="lab"})", 1},
      {"dyncast_controller_start_time_seconds", 1700000000.5},
      {"dyncast_database_pending_records", 3},
      {"dyncast_database_healthy", 1},
      {R"(dyncast_core_events_total{event="demands-refused"})", 7},
      {R"(dyncast_instance_state{instance="web-1",service="web",site="edge",state="up"})", 0},
      {R"(dyncast_instance_state{instance="web-1",service="web",site="edge",state="draining"})", 1},
      {R"(dyncast_instance_bindings{instance="web-1",service="web",site="edge"})", 12},
      {R"(dyncast_instance_demands_total{instance="web-1",service="web",site="edge"})", 40},
      {R"(dyncast_instance_load{instance="web-1",service="web",site="edge"})", 0.25},
      {R"(dyncast_service_bindings{service="web",switch="r1"})", 5},
      {R"(dyncast_service_share_ratio{service="web",switch="r1",instance="web-1",family="ipv4"})", 0.25},
      {R"(dyncast_switch_synced{switch="r1",role="d-router"})", 1},
      {R"(dyncast_switch_learned_bindings_total{switch="r1",role="d-router"})", 9},
      {R"(dyncast_agent_heard{site="edge"})", 1},
      {R"(dyncast_agent_silence_seconds{site="edge"})", 0.4},
      {R"(dyncast_agent_lost_messages_total{site="edge"})", 2},
      {R"(dyncast_l0_cpu_utilization_ratio{instance="web-1",service="web",site="edge"})", 0.5},
      {R"(dyncast_instance_score_l1{instance="web-1",service="web",site="edge",category="compute"})", 5},
      {R"(dyncast_instance_score_l2{instance="web-1",service="web",site="edge",switch="r1"})", 4.5},
      {R"(dyncast_site_score_l2{service="web",site="edge"})", 6},
      {R"(dyncast_path_rtt_seconds{switch="r1",site="edge",family="ipv4"})", 0.004},
      {R"(dyncast_agent_path_rtt_seconds{site="edge",peer="far",family="ipv4"})", 0.010285},
      {R"(dyncast_agent_path_rtt_min_seconds{site="edge",peer="far",family="ipv4"})", 0.010113},
      {R"(dyncast_agent_path_jitter_seconds{site="edge",peer="far",family="ipv4",direction="forward"})",
       0.000143},
      {R"(dyncast_agent_path_loss_ratio{site="edge",peer="far",family="ipv4",direction="both"})", 0.2},
      {R"(dyncast_agent_path_loss_ratio{site="edge",peer="far",family="ipv4",direction="backward"})", 0},
      {R"(dyncast_agent_path_age_seconds{site="edge",peer="far",family="ipv4"})", 0.7},
      {R"(dyncast_link_speed_bits_per_second{switch="r1",port="up1",port_role="uplink"})", 1e9},
      {R"(dyncast_link_in_bytes_total{switch="r1",port="up1",port_role="uplink"})", 1u << 20},
      {R"(dyncast_link_out_dropped_packets_total{switch="r1",port="up1",port_role="uplink"})", 3},
  };
  for (const auto& [series, value] : expected) EXPECT_DOUBLE_EQ(text.Value(series), value) << series;
  EXPECT_EQ(text.Value(R"(dyncast_instance_score_l2{instance="web-1",service="web",site="edge"})"), -1)
      << "an agent's own score beside a computed one is not in force";
  EXPECT_EQ(text.Value(R"(dyncast_instance_estimated_requests_per_second{instance="web-1"})"), -1)
      << "what is unknown is absent";
  EXPECT_EQ(page.find("dyncast_link_out_bytes_total{"), std::string::npos) << "not counted";
}

TEST(PrometheusPage, WhateverAgentsCallThingsThePageIsGood) {
  PrometheusInput in = Input();
  for (const std::string name : {"bindings", "l0", "x_seconds", "x", "total", "requests_total", "le"}) {
    for (const std::string unit : {"1", "seconds", "1/s", "%", "MB/s", "ratio"}) {
      in.rows.push_back(Row("web-1", name, 1, unit));
      in.rows.push_back(Row("web-1", name, 2, unit));
    }
  }
  in.status.fabric = "a\"b\\c\nd";
  const std::string page = PrometheusPage(in);
  // Names that end in _total are gauges here: what the agent's metric is nobody knows.
  std::string without;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("_total") == std::string::npos || line.find("dyncast_l0_") == std::string::npos) {
      without += line + "\n";
    }
  }
  const test::PrometheusText text = test::ReadPrometheus(without);
  EXPECT_THAT(text.problems, IsEmpty());
  EXPECT_THAT(page, HasSubstr(R"(fabric="a\"b\\c\nd")"));
  EXPECT_EQ(text.Value(R"(dyncast_l0_x_seconds{instance="web-1",service="web",site="edge"})"), 1)
      << "the first of two that would be one series";
}

TEST(PrometheusPage, UnitsAsPrometheusWritesThem) {
  EXPECT_EQ(FamilyOf("cpu_utilization", "ratio"), "dyncast_l0_cpu_utilization_ratio");
  EXPECT_EQ(FamilyOf("request_rate", "1/s"), "dyncast_l0_request_rate_per_second");
  EXPECT_EQ(FamilyOf("queue", "1"), "dyncast_l0_queue");
  EXPECT_EQ(FamilyOf("wait_seconds", "seconds"), "dyncast_l0_wait_seconds");
  EXPECT_EQ(FamilyOf("disk", "MB/s"), "dyncast_l0_disk_MB_s");
}

TEST(PrometheusText, TheReaderOfTheseTestsFindsFaults) {
  const std::string good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"1\"} 2\n";
  EXPECT_THAT(test::ReadPrometheus(good).problems, IsEmpty());
  const std::string bad[] = {
      good + "a_total{b=\"1\"} 3\n",         "# HELP a x\n# TYPE a counter\na 2\n",
      "# HELP a x\n# TYPE a gauge\nb 2\n",   "# HELP a x\n# TYPE a gauge\na{b=\"\"c\"} 2\n",
      "# HELP a x\n# TYPE a gauge\na nan\n", "# TYPE a gauge\na 1\n",
      "# HELP a x\n# TYPE a gauge\na 1",
  };
  for (const std::string& page : bad) EXPECT_EQ(test::ReadPrometheus(page).problems.size(), 1u) << page;
}

TEST(ScrapeHttp, ServesOnePath) {
  const std::vector<std::pair<std::string, ScrapeWish>> cases = {
      {"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", ScrapeWish::kPage},
      {"GET /metrics?a=b HTTP/1.0\r\n\r\n", ScrapeWish::kPage},
      {"GET /metricsx HTTP/1.1\r\n\r\n", ScrapeWish::kNotFound},
      {"GET / HTTP/1.1\r\n\r\n", ScrapeWish::kNotFound},
      {"POST /metrics HTTP/1.1\r\n\r\n", ScrapeWish::kNotAllowed},
      {"HEAD /metrics HTTP/1.1\r\n\r\n", ScrapeWish::kNotAllowed},
      {"GET /metrics\r\n\r\n", ScrapeWish::kMalformed},
      {"GET /metrics HTTP/2\r\n\r\n", ScrapeWish::kMalformed},
      {"GET metrics HTTP/1.1\r\n\r\n", ScrapeWish::kMalformed},
      {"\r\n\r\n", ScrapeWish::kMalformed},
      {"", ScrapeWish::kMalformed}};
  for (const auto& [head, wish] : cases) EXPECT_EQ(ReadScrape(head), wish) << head;
}

// ---- The port -------------------------------------------------------------------------------------

int ConnectTo(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

// All that comes until the other end closes.
std::string Drain(int fd) {
  std::string all;
  char piece[4096];
  ssize_t n = 0;
  while ((n = recv(fd, piece, sizeof piece, 0)) > 0) all.append(piece, static_cast<size_t>(n));
  close(fd);
  return all;
}

std::string Fetch(int port, const std::string& request) {
  const int fd = ConnectTo(port);
  EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  return Drain(fd);
}

class Listener : public testing::Test {
 protected:
  void SetUp() override {
    auto started = PrometheusListener::Start("127.0.0.1:0", [this]() -> Result<std::string> {
      ++pages_;
      if (fail_) return MakeError(Errc::kUnavailable, "the controller did not answer in time");
      return page_;
    });
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    listener_ = std::move(*started);
  }
  std::string page_ = "# HELP a x\n# TYPE a gauge\na 1\n";
  std::atomic<int> pages_{0};
  std::atomic<bool> fail_{false};
  std::unique_ptr<PrometheusListener> listener_;
};

TEST_F(Listener, AnswersAndCloses) {
  const std::string get = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string answer = Fetch(listener_->port(), get);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: " + std::to_string(page_.size()) + "\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n" + page_));
  EXPECT_THAT(Fetch(listener_->port(), "GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Fetch(listener_->port(), "POST /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Fetch(listener_->port(), "nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(pages_, 1);
  fail_ = true;
  EXPECT_THAT(Fetch(listener_->port(), get), StartsWith("HTTP/1.1 503 "));
}

TEST_F(Listener, TakesALargePage) {
  page_.assign(8 << 20, 'x');
  EXPECT_TRUE(Fetch(listener_->port(), "GET /metrics HTTP/1.1\r\n\r\n").ends_with(page_));
}

TEST_F(Listener, GivesUpOnWhoSendsTooMuchOrNothing) {
  const int silent = ConnectTo(listener_->port());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Drain(silent), "") << "closed without a word";
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  const int endless = ConnectTo(listener_->port());
  const std::string line(1000, 'x');
  bool open = true;
  for (int i = 0; i < 100 && open; ++i) open = send(endless, line.data(), line.size(), MSG_NOSIGNAL) > 0;
  EXPECT_EQ(Drain(endless), "");
  EXPECT_EQ(pages_, 0);
  EXPECT_THAT(Fetch(listener_->port(), "GET /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Listener, StopsWhileSomebodyIsConnected) {
  const int waiting = ConnectTo(listener_->port());
  ASSERT_GT(send(waiting, "GET", 3, MSG_NOSIGNAL), 0);
  const auto start = std::chrono::steady_clock::now();
  listener_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  close(waiting);
}

TEST(ListenerStart, SaysWhyItCannot) {
  const auto page = []() -> Result<std::string> { return std::string(); };
  auto first = PrometheusListener::Start("127.0.0.1:0", page);
  ASSERT_TRUE(first.ok());
  const std::string taken = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = PrometheusListener::Start(taken, page);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().ToString(), HasSubstr(taken));
  EXPECT_FALSE(PrometheusListener::Start("localhost:1", page).ok());
  EXPECT_FALSE(PrometheusListener::Start("127.0.0.1:70000", page).ok());
  EXPECT_FALSE(PrometheusListener::Start("127.0.0.1", page).ok());
}

}  // namespace
}  // namespace dyncast
