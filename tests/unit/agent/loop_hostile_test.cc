// Sources that hang, flood, never end or talk nonsense: nothing else is delayed.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "fake_nvml_state.h"
#include "loop_sources_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using After = TestServer::After;

TEST(LoopHostile, PluginsThatHangOrFloodDelayNothing) {
  Subscriber subscriber;
  const Listener listener;
  std::vector<config::InstanceConfig> instances;
  for (int i = 0; i < 4; ++i) {
    const std::string n = std::to_string(i);
    instances.push_back(
        WithPlugin("hang" + n, listener.port(), "sleep 3600 & sleep 3600", milliseconds(2000)));
    instances.push_back(WithPlugin("flood" + n, listener.port(), "yes queue_length 1"));
    instances.push_back(WithPlugin("shout" + n, listener.port(), "yes >&2", milliseconds(2000)));
  }
  instances.push_back(WithPlugin("good", listener.port(), "echo queue_length 7"));
  Running agent(Config(subscriber, instances));
  ASSERT_TRUE(subscriber.UntilBody<wire::Report>(
      [](const wire::Report& r) { return r.instance == "good" && Value(r, metric::kQueue) == 7; }));
  EXPECT_LT(WorstHeartbeat(&subscriber, 40), milliseconds(1000));
  agent.Stop();
  EXPECT_GT(agent.loop().counters().plugins_failed, 8u);
}

TEST(LoopHostile, PostedGarbageAndFloodsDelayNothing) {
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
  std::atomic<bool> stop{false};
  std::vector<std::thread> attackers;
  attackers.emplace_back([&] {  // as fast as it can
    while (!stop) {
      Poster poster(port);
      for (int i = 0; i < 100 && !stop; ++i) poster.Post("a", std::string("\0\xff{]=", 5));
    }
  });
  attackers.emplace_back([&] {  // bytes that never end
    const std::string noise(65536, 'x');
    while (!stop) {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(port);
      if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        TestServer::Say(
            fd, "POST /v1/load/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n");
        while (!stop && send(fd, noise.data(), noise.size(), MSG_NOSIGNAL) > 0) {
        }
      }
      close(fd);
    }
  });
  EXPECT_LT(WorstHeartbeat(&subscriber, 40), milliseconds(1000));
  stop = true;
  for (std::thread& attacker : attackers) attacker.join();
  EXPECT_EQ(Poster(port).Post("a", "eps=1"), 204);
  agent.Stop();
  EXPECT_GT(agent.loop().counters().load_reports_refused, 10u);
}

TEST(LoopHostile, APageOf100MegabytesOrWithoutAnEndIsCutOff) {
  Subscriber subscriber;
  std::atomic<uint64_t> sent_bytes{0};
  TestServer server(
      [](int fd, const std::string&) { return TestServer::Answer(fd, 200, "queue_length 7\n"); });
  config::InstanceConfig instance = OnLoopback("a", server.port());
  instance.health.kind = config::HealthCheckKind::kNone;
  instance.scrape.emplace();
  instance.scrape->url = "http://127.0.0.1:" + std::to_string(server.port()) + "/metrics";
  instance.scrape->timeout = milliseconds(400);
  instance.scrape->metrics = {Metric("queue", "queue_length")};
  Running agent(Config(subscriber, {instance}));
  const auto reported = [&](std::optional<double> wanted) {
    return subscriber.UntilBody<wire::Report>([&](const wire::Report& r) {
      return Value(r, metric::kQueue) == wanted && Value(r, metric::kLoad1);
    });
  };
  ASSERT_TRUE(reported(7));
  constexpr uint64_t kHuge = 100'000'000;
  const std::string line = "queue_length{x=\"" + std::string(4000, 'y') + "\"} 1\n";
  const auto pour = [&](int fd, const std::string& head) {
    TestServer::Say(fd, head);
    uint64_t sent = 0;
    while (sent < kHuge) {
      const ssize_t n = send(fd, line.data(), line.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<uint64_t>(n);
    }
    sent_bytes = std::max<uint64_t>(sent_bytes, sent);
    return After::kClose;
  };
  const std::vector<TestServer::Handler> bad = {
      [&](int fd, const std::string&) {
        return pour(fd, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kHuge) + "\r\n\r\n");
      },
      [&](int fd, const std::string&) { return pour(fd, "HTTP/1.0 200 OK\r\n\r\n"); },
      [&](int fd, const std::string&) {
        return pour(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n");
      },
      [&](int fd, const std::string&) {  // a byte now and then, for ever: the deadline ends it
        TestServer::Say(fd, "HTTP/1.0 200 OK\r\n\r\nqueue_len");
        return After::kHang;
      }};
  for (size_t i = 0; i < bad.size(); ++i) {
    server.SetHandler(bad[i]);
    EXPECT_TRUE(reported(std::nullopt)) << i;
    EXPECT_LT(WorstHeartbeat(&subscriber, 10), milliseconds(1000)) << i;
    server.SetHandler(
        [](int fd, const std::string&) { return TestServer::Answer(fd, 200, "queue_length 7\n"); });
    EXPECT_TRUE(reported(7)) << i;
  }
  EXPECT_LT(sent_bytes, 20'000'000u) << "nobody read more than the bound and what sockets hold";
}

TEST(LoopHostile, AGpuLibraryThatHangsDelaysNoHeartbeat) {
  FakeNvmlState state;
  state.Say("device 50 1 4\n");
  Subscriber subscriber;
  const Listener listener;
  config::AgentConfig config = Config(subscriber, {OnLoopback("a", listener.port())});
  config.gpu = config::GpuConfig{.library = FAKE_NVML, .timeout = milliseconds(200)};
  Running agent(config);
  const auto reported = [&](std::optional<double> wanted) {
    return subscriber.UntilBody<wire::Report>([&](const wire::Report& r) {
      return Value(r, metric::kGpuUtilization) == wanted && Value(r, metric::kLoad1);
    });
  };
  ASSERT_TRUE(reported(0.5));
  state.Hang();
  ASSERT_TRUE(reported(std::nullopt));
  EXPECT_LT(WorstHeartbeat(&subscriber, 20), milliseconds(1000));
  const auto before = std::chrono::steady_clock::now();
  agent.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(2));
}

}  // namespace
}  // namespace dyncast::agent
