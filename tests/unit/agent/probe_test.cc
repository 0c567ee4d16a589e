#include "agent/io/probe.h"

#include <gtest/gtest.h>

#include <optional>

#include "agent/io/netns.h"
#include "test_server.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using After = TestServer::After;

ProbeSpec Spec(ProbeSpec::Kind kind, uint16_t port) {
  ProbeSpec spec;
  spec.kind = kind;
  spec.address = Loopback();
  spec.port = port;
  spec.timeout = milliseconds(10000);
  return spec;
}

// Runs the loop until the probe answered.
Result<ProbeAnswer> Probe(ProbeSpec spec) {
  Poller poller;
  ProbeRunner runner(&poller);
  std::optional<Result<ProbeAnswer>> answer;
  runner.Start(std::move(spec), ReadClocks().mono, [&](Result<ProbeAnswer> a) { answer = std::move(a); });
  while (!answer) {
    const MonoTime now = ReadClocks().mono;
    runner.OnTimers(now);
    if (!answer) poller.Wait(runner.NextDeadline() - now);
  }
  EXPECT_EQ(runner.running(), 0u);
  return *answer;
}

TEST(Probes, ConnectsToAListener) {
  const Listener listener;
  const auto answer = Probe(Spec(ProbeSpec::Kind::kConnect, listener.port()));
  EXPECT_TRUE(answer) << answer.error().ToString();
}

TEST(Probes, ARefusedConnectionSaysWhere) {
  Listener listener;
  listener.Close();
  const auto answer = Probe(Spec(ProbeSpec::Kind::kConnect, listener.port()));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().ToString(),
            "127.0.0.1:" + std::to_string(listener.port()) + ": connect: Connection refused");
}

TEST(Probes, ReadsStatusAndPage) {
  std::string seen;
  TestServer server([&](int fd, const std::string& request) {
    seen = request;
    return TestServer::Answer(fd, 503, "page");
  });
  ProbeSpec spec = Spec(ProbeSpec::Kind::kPage, server.port());
  spec.path = "/metrics?a=b";
  const auto page = Probe(spec);
  ASSERT_TRUE(page) << page.error().ToString();
  EXPECT_EQ(page->status, 503);
  EXPECT_EQ(page->body, "page");
  EXPECT_TRUE(seen.starts_with("GET /metrics?a=b HTTP/1.1\r\n")) << seen;
  const auto status = Probe(Spec(ProbeSpec::Kind::kStatus, server.port()));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->status, 503);
  EXPECT_EQ(status->body, "");
}

TEST(Probes, AServerThatHangsIsLeftAtTheDeadline) {
  for (const char* said : {"", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"}) {
    TestServer server([&](int fd, const std::string&) {
      TestServer::Say(fd, said);
      return After::kHang;
    });
    ProbeSpec spec = Spec(ProbeSpec::Kind::kPage, server.port());
    spec.timeout = milliseconds(50);
    const MonoTime before = ReadClocks().mono;
    const auto answer = Probe(spec);
    const auto took = ReadClocks().mono - before;
    ASSERT_FALSE(answer);
    EXPECT_NE(answer.error().message.find("within 50 ms"), std::string::npos) << answer.error().message;
    EXPECT_GE(took, milliseconds(50));
  }
}

TEST(Probes, AServerThatNeverStopsIsCutOff) {
  TestServer server([](int fd, const std::string&) {
    TestServer::Say(fd, "HTTP/1.0 200 OK\r\n\r\n");
    const std::string noise(65536, 'x');
    while (send(fd, noise.data(), noise.size(), MSG_NOSIGNAL) > 0) {
    }
    return After::kClose;
  });
  const auto answer = Probe(Spec(ProbeSpec::Kind::kPage, server.port()));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kLimit) << answer.error().ToString();
}

TEST(Probes, GarbageIsRefused) {
  TestServer server(
      [](int fd, const std::string&) { return TestServer::Say(fd, "\x16\x03\x01\n nonsense\n"); });
  const auto answer = Probe(Spec(ProbeSpec::Kind::kStatus, server.port()));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kProtocol) << answer.error().ToString();
}

TEST(Probes, AServerThatClosesWithoutAnAnswerFails) {
  TestServer server([](int, const std::string&) { return After::kClose; });
  EXPECT_FALSE(Probe(Spec(ProbeSpec::Kind::kStatus, server.port())));
}

TEST(Probes, ManyRunAtOnceAndNoneWaitsForAnother) {
  TestServer server([](int fd, const std::string&) { return TestServer::Answer(fd, 200, "ok"); });
  const Listener silent;  // connects, never answers
  Poller poller;
  ProbeRunner runner(&poller);
  size_t good = 0;
  size_t failed = 0;
  const MonoTime now = ReadClocks().mono;
  for (int i = 0; i < 20; ++i) {
    runner.Start(Spec(ProbeSpec::Kind::kStatus, silent.port()), now, [&](Result<ProbeAnswer>) { ++failed; });
    runner.Start(Spec(ProbeSpec::Kind::kStatus, server.port()), now,
                 [&](Result<ProbeAnswer> a) { good += a.ok(); });
  }
  while (good < 20) {
    ASSERT_LT(ReadClocks().mono, now + milliseconds(10000));
    poller.Wait(runner.NextDeadline() - ReadClocks().mono);
  }
  EXPECT_EQ(failed, 0u);
  EXPECT_EQ(runner.running(), 20u);
  runner.OnTimers(now + milliseconds(10000));
  EXPECT_EQ(failed, 20u);
}

TEST(Probes, ANamespaceThatIsNotThereIsNamed) {
  ProbeSpec spec = Spec(ProbeSpec::Kind::kConnect, 1);
  spec.network_namespace = "/run/netns/there-is-no-such-one";
  const auto answer = Probe(spec);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().where, spec.network_namespace);
  // A file that is no namespace: setns refuses it.
  EXPECT_FALSE(OpenSocketIn("/dev/null", AF_INET, SOCK_STREAM, 0));
}

}  // namespace
}  // namespace dyncast::agent
