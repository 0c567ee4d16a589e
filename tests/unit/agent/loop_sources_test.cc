// The whole agent with every source of metrics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "loop_sources_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using After = TestServer::After;

TEST(LoopSources, APluginIsRunAndReported) {
  Subscriber subscriber;
  const Listener listener;
  char path[] = "/tmp/dyncast-queue-XXXXXX";
  close(mkstemp(path));
  std::ofstream(path) << "queue_length 4";  // without an end of line
  Running agent(Config(subscriber, {WithPlugin("a", listener.port(), "cat " + std::string(path))}));
  const auto report = [&](std::optional<double> wanted) {
    return subscriber.UntilBody<wire::Report>([&](const wire::Report& r) {
      return Value(r, metric::kQueue) == wanted && Value(r, metric::kLoad1);
    });
  };
  ASSERT_TRUE(report(4));
  for (const char* bad : {"queue_length four\n", "queue_length\n", "other 1\n", "queue_length NaN\n",
                          "queue_length -3\n", "\xff\xfe\n"}) {
    std::ofstream(path) << bad;
    EXPECT_TRUE(report(std::nullopt)) << bad;
    std::ofstream(path) << "queue_length 5\n";
    EXPECT_TRUE(report(5)) << bad;
  }
  unlink(path);
  EXPECT_TRUE(report(std::nullopt)) << "exit status 1";
  agent.Stop();
  EXPECT_GE(agent.loop().counters().plugins_failed, 4u);
}

TEST(LoopSources, LoadReportsComeWithTheHealthCheck) {
  Subscriber subscriber;
  TestServer server([](int fd, const std::string&) {
    return TestServer::Say(fd,
                           "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nendpoint-load-metrics: TEXT "
                           "application_utilization=0.25, rps_fractional=40, named_metrics.q=3\r\n\r\n");
  });
  config::InstanceConfig instance = OnLoopback("a", server.port());
  instance.health.kind = config::HealthCheckKind::kHttp;
  instance.orca.emplace();
  instance.orca->health = true;
  instance.orca->expiry = milliseconds(300);
  instance.orca->metrics = {{.name = "queue", .from = "named_metrics.q"}};
  Running agent(Config(subscriber, {instance}));
  const auto reported = [&](std::optional<double> utilization) {
    return subscriber.UntilBody<wire::Report>(
        [&](const wire::Report& r) { return Value(r, metric::kUtilization) == utilization; });
  };
  const auto report = reported(0.25);
  ASSERT_TRUE(report);
  EXPECT_EQ(Value(*report, metric::kRequestRate), 40);
  EXPECT_EQ(Value(*report, metric::kQueue), 3);
  server.SetHandler([](int fd, const std::string&) {
    return TestServer::Say(fd,
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
                           "endpoint-load-metrics: JSON {\"application_utilization\": 0.5}\r\n\r\n");
  });
  ASSERT_TRUE(reported(0.5)) << "a trailer";
  server.SetHandler([](int fd, const std::string&) {
    return TestServer::Say(fd, "HTTP/1.1 200 OK\r\nendpoint-load-metrics: BIN garbage!\r\n\r\n");
  });
  ASSERT_TRUE(reported(std::nullopt)) << "garbage: the last one expires";
  // The instance's health is that of the status, whatever comes after it.
  server.SetHandler([](int fd, const std::string&) {
    TestServer::Say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n");
    return After::kHang;
  });
  for (int i = 0; i < 3; ++i) {
    const auto announce = subscriber.UntilBody<wire::Announce>([](const wire::Announce&) { return true; });
    ASSERT_TRUE(announce);
    EXPECT_EQ(announce->health, wire::Health::kUp);
  }
  server.SetHandler([](int fd, const std::string&) {
    TestServer::Say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
    return After::kHang;
  });
  for (int i = 0; i < 3; ++i) {
    const auto announce = subscriber.UntilBody<wire::Announce>([](const wire::Announce&) { return true; });
    ASSERT_TRUE(announce);
    EXPECT_EQ(announce->health, wire::Health::kUp) << "a trailer that never comes is not waited for";
  }
}

TEST(LoopSources, ALoadReportIsFetched) {
  Subscriber subscriber;
  TestServer server([](int fd, const std::string& request) {
    EXPECT_TRUE(request.starts_with("GET /load HTTP/1.1\r\n")) << request;
    return TestServer::Say(fd,
                           "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                           "endpoint-load-metrics-bin: "
                           "CZqZmZmZmbk/MQAAAAAAAABAQg4KA2ZvbxGamZmZmZm5P0IOCgNiYXIRmpmZmZmZyT8=\r\n\r\n");
  });
  config::InstanceConfig instance = OnLoopback("a", server.port());
  instance.health.kind = config::HealthCheckKind::kNone;
  instance.orca.emplace();
  instance.orca->url = "http://127.0.0.1:" + std::to_string(server.port()) + "/load";
  instance.orca->expiry = milliseconds(300);
  Running agent(Config(subscriber, {instance}));
  ASSERT_TRUE(subscriber.UntilBody<wire::Report>([](const wire::Report& r) {
    return Value(r, metric::kRequestRate) == 2 && Value(r, metric::kCpuUtilization) == 0.1;
  }));
  const std::vector<TestServer::Handler> bad = {
      [](int fd, const std::string&) { return TestServer::Answer(fd, 200, "nothing"); },
      [](int fd, const std::string&) { return TestServer::Answer(fd, 503, ""); },
      [](int, const std::string&) { return After::kHang; }};
  for (const TestServer::Handler& handler : bad) {
    server.SetHandler(handler);
    EXPECT_TRUE(subscriber.UntilBody<wire::Report>(
        [](const wire::Report& r) { return !Value(r, metric::kRequestRate) && Value(r, metric::kLoad1); }));
    server.SetHandler([](int fd, const std::string&) {
      return TestServer::Say(fd, "HTTP/1.1 200 OK\r\nEndpoint-Load-Metrics: TEXT rps_fractional=9\r\n\r\n");
    });
    EXPECT_TRUE(subscriber.UntilBody<wire::Report>(
        [](const wire::Report& r) { return Value(r, metric::kRequestRate) == 9; }));
  }
}

TEST(LoopSources, ALoadReportIsPosted) {
  Subscriber subscriber;
  const Listener listener;
  const uint16_t port = FreePort();
  config::InstanceConfig instance = OnLoopback("a", listener.port());
  instance.orca.emplace();
  instance.orca->post = true;
  config::AgentConfig config = Config(subscriber, {instance});
  config.orca_listen = "127.0.0.1:" + std::to_string(port);
  Running agent(config);
  ASSERT_TRUE(subscriber.UntilBody<wire::Report>([](const wire::Report&) { return true; }));
  Poster poster(port);
  EXPECT_EQ(poster.Post("a", "application_utilization=0.5"), 204);
  EXPECT_TRUE(subscriber.UntilBody<wire::Report>(
      [](const wire::Report& r) { return Value(r, metric::kUtilization) == 0.5; }));
  EXPECT_EQ(poster.Post("b", "application_utilization=0.5"), 404);
  EXPECT_EQ(poster.Post("a", "what?"), 400);
  // A reload moves the listener.
  const uint16_t other = FreePort();
  config.orca_listen = "127.0.0.1:" + std::to_string(other);
  agent.loop().RequestReload(config);
  EXPECT_EQ(Poster(other).Post("a", "application_utilization=0.75"), 204);
  EXPECT_TRUE(subscriber.UntilBody<wire::Report>(
      [](const wire::Report& r) { return Value(r, metric::kUtilization) == 0.75; }));
}

// The whole way from an application that changes its mind 100 times a second to the wire.
TEST(LoopSources, AMetricThatJumpsIsSaidNoMoreThanAllowed) {
  Subscriber subscriber;
  const Listener listener;
  const uint16_t port = FreePort();
  config::InstanceConfig instance = OnLoopback("a", listener.port());
  instance.orca.emplace();
  instance.orca->post = true;
  config::AgentConfig config = Config(subscriber, {instance});
  config.orca_listen = "127.0.0.1:" + std::to_string(port);
  config.report_interval = milliseconds(500);
  config.sample_interval = milliseconds(10);
  config.minimum_gap = milliseconds(100);
  config.thresholds = {{.metric = "utilization", .change = 0.1, .levels = {}}};
  config.updates.damping = config::DampingConfig{.suppress = 3};
  Running agent(config);
  ASSERT_TRUE(subscriber.UntilBody<wire::Report>([](const wire::Report&) { return true; }));

  std::atomic<bool> stop{false};
  std::atomic<int> posted{0};
  std::thread application([&] {
    Poster poster(port);
    auto next = std::chrono::steady_clock::now();
    while (!stop) {
      EXPECT_EQ(
          poster.Post("a", posted++ % 2 == 0 ? "application_utilization=0.1" : "application_utilization=0.9"),
          204);
      next += milliseconds(10);
      std::this_thread::sleep_until(next);  // lint: sleep it is the application's pace
    }
    poster.Post("a", "application_utilization=0.6");
  });
  WallTime first{};
  WallTime last{};
  int reports = 0;
  Micros least = Micros::max();
  while (posted < 300) {
    const auto message = subscriber.Until(
        [](const wire::AgentMessage& m) { return std::holds_alternative<wire::Report>(m.body); });
    ASSERT_TRUE(message);
    if (++reports == 1) {
      first = message->sent_at;
    } else {
      least = std::min<Micros>(least, message->sent_at - last);
    }
    last = message->sent_at;
  }
  stop = true;
  application.join();
  EXPECT_TRUE(subscriber.UntilBody<wire::Report>([](const wire::Report& r) {
    return Value(r, metric::kUtilization) == 0.6;
  })) << "the last value is told";
  agent.Stop();
  // Two a second are due; before the metric is damped each gap may bring one more.
  const double took = std::chrono::duration<double>(last - first).count();
  EXPECT_LE(reports, 2 * took + 12) << "in " << took << " s";
  EXPECT_GE(least, milliseconds(90));
  const UpdateCounters updates = agent.loop().counters().updates;
  EXPECT_GT(updates.suppressed_damped, 50u);
  std::printf("%d posts, %d reports in %.1f s; sent %llu, held back %llu\n", posted.load(), reports, took,
              static_cast<unsigned long long>(updates.sent()),
              static_cast<unsigned long long>(updates.suppressed()));
}

}  // namespace
}  // namespace dyncast::agent
