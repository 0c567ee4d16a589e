// The whole agent, but for main: real /proc, real sockets, a real subscriber.
#include "agent/io/loop.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "loop_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using After = TestServer::After;

TEST(AgentLoop, AnnouncesReportsBeatsAndWithdraws) {
  Subscriber subscriber;
  const Listener listener;
  const int client = listener.Connect();
  Running agent(Config(subscriber, {OnLoopback("a", listener.port())}));
  const auto announce = subscriber.UntilBody<wire::Announce>(
      [](const wire::Announce& a) { return a.health == wire::Health::kUp; });
  ASSERT_TRUE(announce);
  EXPECT_EQ(announce->instance, "a");
  EXPECT_EQ(announce->bid, Loopback());
  EXPECT_EQ(announce->capacity.cpu_cores, static_cast<double>(std::thread::hardware_concurrency()));
  EXPECT_GT(announce->capacity.memory_bytes.value_or(0), 1e8);
  const auto report = subscriber.UntilBody<wire::Report>(
      [](const wire::Report& r) { return Value(r, metric::kCpuUtilization).has_value(); });
  ASSERT_TRUE(report);
  EXPECT_GE(Value(*report, metric::kSessions).value_or(0), 1);
  EXPECT_GE(Value(*report, metric::kAcceptQueue).value_or(0), 1);
  EXPECT_TRUE(Value(*report, metric::kMemoryUtilization));
  EXPECT_TRUE(Value(*report, metric::kLoad1));
  const auto beat = subscriber.UntilBody<wire::Heartbeat>([](const wire::Heartbeat&) { return true; });
  ASSERT_TRUE(beat);
  EXPECT_EQ(beat->interval, milliseconds(50));
  const auto before = std::chrono::steady_clock::now();
  agent.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
  for (int i = 0; i < 3; ++i) {
    const auto withdraw = subscriber.UntilBody<wire::Withdraw>([](const wire::Withdraw&) { return true; });
    ASSERT_TRUE(withdraw) << i;
    EXPECT_EQ(withdraw->instance, "a");
  }
  close(client);
}

TEST(AgentLoop, ADeadServerIsAnnouncedDown) {
  Subscriber subscriber;
  Listener listener;
  Running agent(Config(subscriber, {OnLoopback("a", listener.port())}));
  ASSERT_TRUE(subscriber.UntilBody<wire::Announce>(
      [](const wire::Announce& a) { return a.health == wire::Health::kUp; }));
  listener.Close();
  ASSERT_TRUE(subscriber.UntilBody<wire::Announce>(
      [](const wire::Announce& a) { return a.health == wire::Health::kDown; }));
  // Sessions of a server that is gone are absent, not 0.
  ASSERT_TRUE(subscriber.UntilBody<wire::Report>(
      [](const wire::Report& r) { return !Value(r, metric::kSessions) && Value(r, metric::kLoad1); }));
}

TEST(AgentLoop, HttpHealthFollowsTheStatus) {
  Subscriber subscriber;
  TestServer server([](int fd, const std::string&) { return TestServer::Answer(fd, 200, "fine"); });
  config::InstanceConfig instance = OnLoopback("a", server.port());
  instance.health.kind = config::HealthCheckKind::kHttp;
  Running agent(Config(subscriber, {instance}));
  const auto health = [&](wire::Health wanted) {
    return subscriber.UntilBody<wire::Announce>([&](const wire::Announce& a) { return a.health == wanted; });
  };
  ASSERT_TRUE(health(wire::Health::kUp));
  server.SetHandler([](int fd, const std::string&) { return TestServer::Answer(fd, 500, ""); });
  ASSERT_TRUE(health(wire::Health::kDown));
  server.SetHandler([](int fd, const std::string&) { return TestServer::Answer(fd, 204, ""); });
  ASSERT_TRUE(health(wire::Health::kUp));
  server.SetHandler([](int, const std::string&) { return After::kHang; });
  ASSERT_TRUE(health(wire::Health::kDown));
}

TEST(AgentLoop, ScrapesThePageOfTheApplication) {
  Subscriber subscriber;
  std::atomic<int> served{0};
  TestServer server([&](int fd, const std::string&) {
    served += 100;
    return TestServer::Answer(fd, 200,
                              "queue_length 7\nserved_total " + std::to_string(served) + "\n# EOF\n");
  });
  config::InstanceConfig instance = OnLoopback("a", server.port());
  instance.health.kind = config::HealthCheckKind::kNone;
  config::ScrapedMetric queue;
  queue.name = "queue";
  queue.from = "queue_length";
  queue.factor = 2;
  config::ScrapedMetric rate;
  rate.name = "request_rate";
  rate.from = "served_total";
  rate.rate = true;
  rate.unit = "1/s";
  instance.scrape.emplace();
  instance.scrape->url = "http://127.0.0.1:" + std::to_string(server.port()) + "/metrics";
  instance.scrape->timeout = milliseconds(80);
  instance.scrape->metrics = {queue, rate};
  Running agent(Config(subscriber, {instance}));
  const auto report = subscriber.UntilBody<wire::Report>([](const wire::Report& r) {
    return Value(r, metric::kQueue) == 14 && Value(r, metric::kRequestRate).value_or(0) > 0;
  });
  ASSERT_TRUE(report);
  // A page that turns to garbage, to an endless one, to silence: the metric goes, the rest goes on.
  const std::vector<TestServer::Handler> bad = {
      [](int fd, const std::string&) { return TestServer::Answer(fd, 200, "queue_length seven\n"); },
      [](int fd, const std::string&) {
        TestServer::Say(fd, "HTTP/1.0 200 OK\r\n\r\n");
        const std::string noise(65536, 'x');
        while (send(fd, noise.data(), noise.size(), MSG_NOSIGNAL) > 0) {
        }
        return After::kClose;
      },
      [](int, const std::string&) { return After::kHang; },
      [](int fd, const std::string&) { return TestServer::Answer(fd, 404, "queue_length 7\n"); }};
  for (size_t i = 0; i < bad.size(); ++i) {
    server.SetHandler(bad[i]);
    EXPECT_TRUE(subscriber.UntilBody<wire::Report>([](const wire::Report& r) {
      return !Value(r, metric::kQueue) && Value(r, metric::kLoad1);
    })) << i;
    server.SetHandler(
        [](int fd, const std::string&) { return TestServer::Answer(fd, 200, "queue_length 7\n"); });
    EXPECT_TRUE(subscriber.UntilBody<wire::Report>([](const wire::Report& r) {
      return Value(r, metric::kQueue) == 14;
    })) << i;
  }
}

TEST(AgentLoop, AnApplicationThatHangsDelaysNoHeartbeat) {
  Subscriber subscriber;
  const Listener silent;  // accepts by the kernel, never answers
  std::vector<config::InstanceConfig> instances;
  for (int i = 0; i < 8; ++i) {
    config::InstanceConfig instance = OnLoopback("a" + std::to_string(i), silent.port());
    instance.health.kind = config::HealthCheckKind::kHttp;
    instance.health.interval = milliseconds(5000);
    instance.health.timeout = milliseconds(4000);
    instance.scrape.emplace();
    instance.scrape->url = "http://127.0.0.1:" + std::to_string(silent.port()) + "/";
    instance.scrape->timeout = milliseconds(4000);
    instances.push_back(instance);
  }
  Running agent(Config(subscriber, instances));
  WallTime last{};
  std::chrono::microseconds worst{0};
  std::set<std::string> reported;
  for (int i = 0; i < 20;) {
    const auto message = subscriber.Until([](const wire::AgentMessage&) { return true; });
    ASSERT_TRUE(message);
    if (const auto* report = std::get_if<wire::Report>(&message->body)) reported.insert(report->instance);
    if (!std::holds_alternative<wire::Heartbeat>(message->body)) continue;
    if (i++ > 0) worst = std::max(worst, message->sent_at - last);
    last = message->sent_at;
  }
  EXPECT_EQ(reported.size(), 8u);
  EXPECT_LT(worst, milliseconds(1000));  // 50 ms are due; 4 s it would be if a check blocked
}

TEST(AgentLoop, AReloadWithdrawsWhatIsGoneAndAnnouncesWhatIsNew) {
  Subscriber subscriber;
  const Listener listener;
  Running agent(Config(subscriber, {OnLoopback("a", listener.port())}));
  const auto announced = [&](const std::string& name) {
    return subscriber.UntilBody<wire::Announce>([&](const wire::Announce& a) { return a.instance == name; });
  };
  ASSERT_TRUE(announced("a"));
  config::AgentConfig wrong = Config(subscriber, {});
  wrong.name = "another";
  agent.loop().RequestReload(wrong);
  ASSERT_TRUE(announced("a"));
  agent.loop().RequestReload(Config(subscriber, {OnLoopback("b", listener.port())}));
  const auto withdraw = subscriber.UntilBody<wire::Withdraw>([](const wire::Withdraw&) { return true; });
  ASSERT_TRUE(withdraw);
  EXPECT_EQ(withdraw->instance, "a");
  ASSERT_TRUE(announced("b"));
}

TEST(AgentLoop, AControllerThatComesLateHearsAllAtOnce) {
  Subscriber first;
  Subscriber second;
  const Listener listener;
  config::AgentConfig config = Config(first, {OnLoopback("a", listener.port())});
  config.report_interval = milliseconds(3600000);  // by the interval it would hear nothing
  Running agent(config);
  ASSERT_TRUE(first.UntilBody<wire::Announce>([](const wire::Announce&) { return true; }));
  config.controllers.push_back(second.endpoint());
  agent.loop().RequestReload(config);
  ASSERT_TRUE(second.UntilBody<wire::Announce>([](const wire::Announce&) { return true; }));
  ASSERT_TRUE(second.UntilBody<wire::Report>([](const wire::Report&) { return true; }));
}

TEST(AgentLoop, AnEndpointThatZeroMQRefusesIsNamed) {
  config::AgentConfig config;
  config.name = "edge-2";
  config.controllers = {"nonsense"};
  AgentLoop loop(config, {});
  const Status status = loop.Run();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().where, "nonsense");
}

}  // namespace
}  // namespace dyncast::agent
