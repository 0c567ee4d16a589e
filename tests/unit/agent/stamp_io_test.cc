// Prober and reflector over real sockets, on loopback.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "agent/io/stamp_key.h"
#include "agent/io/stamp_prober.h"
#include "agent/io/stamp_responder.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kKeyText = "a key for this test";

// A file of this test's own, gone at its end.
class File {
 public:
  File(std::string_view content, mode_t mode) {
    const int fd = mkstemp(path_.data());
    if (fd < 0 || write(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
        fchmod(fd, mode) != 0) {
      std::abort();
    }
    close(fd);
  }
  ~File() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/dyncast-key-XXXXXX";
};

// A UDP port that nobody has right now.
uint16_t FreePort() {
  const auto socket = StampSocket::OpenSender({.address = *IpAddress::Parse("127.0.0.1"), .port = 9}, {});
  return socket ? socket->LocalPort() : 0;
}

struct Both {
  Poller poller;
  Problems problems;
  StampResponder reflector{&poller, &problems};
  StampProber prober{&poller, &problems};

  // Until `done`, at most ten seconds.
  template <typename Done>
  bool Until(Done done) {
    const MonoTime deadline = ReadClocks().mono + std::chrono::seconds(10);
    while (ReadClocks().mono < deadline) {
      const MonoTime now = ReadClocks().mono;
      reflector.OnTimers(now);
      prober.OnTimers(now);
      if (done()) return true;
      const MonoTime next =
          std::min({prober.NextDeadline(), reflector.NextDeadline(), now + milliseconds(50)});
      poller.Wait(std::max(next, now) - now);
    }
    return false;
  }
  // Until there is a path of so many packets; which one.
  std::optional<PathSample> Measured(uint32_t packets) {
    std::optional<PathSample> found;
    Until([&] {
      const std::vector<PathSample> paths = prober.Paths(ReadClocks().mono);
      if (paths.empty() || paths[0].sent < packets) return false;
      found = paths[0];
      return true;
    });
    return found;
  }
};

config::ReflectorConfig Reflector(const std::string& address, uint16_t port) {
  config::ReflectorConfig config;
  config.listen = {{.address = *IpAddress::Parse(address), .port = port}};
  config.senders = {*IpPrefix::Parse("127.0.0.0/8"), *IpPrefix::Parse("::1/128")};
  return config;
}

config::ProbeConfig Probe(const std::string& address, uint16_t port) {
  config::ProbeConfig config;
  config.peer = "edge3";
  config.address = *IpAddress::Parse(address);
  config.port = port;
  config.interval = milliseconds(10);
  config.timeout = milliseconds(100);
  return config;
}

class StampFamilies : public ::testing::TestWithParam<const char*> {};

TEST_P(StampFamilies, ArePathsWithAndWithoutAKey) {
  const std::string address = GetParam();
  const File key(kKeyText, 0600);
  for (const std::string& key_file : {std::string(), key.path()}) {
    Both both;
    const uint16_t port = FreePort();
    config::ReflectorConfig reflector = Reflector(address, port);
    config::ProbeConfig probe = Probe(address, port);
    reflector.key_file = probe.key_file = key_file;
    both.reflector.Configure(reflector, ReadClocks().mono);
    both.prober.Configure({probe}, ReadClocks().mono);
    const auto path = both.Measured(20);
    ASSERT_TRUE(path);
    EXPECT_EQ(path->peer, "edge3");
    EXPECT_EQ(path->ipv6, address.find(':') != std::string::npos);
    ASSERT_TRUE(path->rtt);
    EXPECT_LT(*path->rtt, milliseconds(50));
    EXPECT_EQ(path->loss, 0);
    EXPECT_EQ(path->loss_forward, 0);
    EXPECT_EQ(path->loss_backward, 0);
    EXPECT_TRUE(path->jitter_forward);
    EXPECT_EQ(both.problems.open(), 0u);
  }
}

TEST_P(StampFamilies, AReflectorOfAllAddressesAnswersFromTheOneThatWasAsked) {
  const std::string address = GetParam();
  Both both;
  const uint16_t port = FreePort();
  both.reflector.Configure(Reflector(address == "::1" ? "::" : "0.0.0.0", port), ReadClocks().mono);
  // The kernel drops what a connected socket gets from another address. 127.0.0.9 is not the preferred
  // source.
  both.prober.Configure({Probe(address == "::1" ? "::1" : "127.0.0.9", port)}, ReadClocks().mono);
  ASSERT_TRUE(both.Measured(5));
  EXPECT_EQ(both.prober.Paths(ReadClocks().mono)[0].loss, 0);
}

INSTANTIATE_TEST_SUITE_P(Both, StampFamilies, ::testing::Values("127.0.0.1", "::1"));

TEST(StampSockets, TheKernelTimesBothWays) {
  std::vector<char> buffer(2048);
  for (const char* address : {"127.0.0.1", "::1"}) {
    const uint16_t port = FreePort();
    auto reflector = StampSocket::OpenReflector({.address = *IpAddress::Parse(address), .port = port});
    ASSERT_TRUE(reflector) << reflector.error().ToString();
    auto sender = StampSocket::OpenSender({.address = *IpAddress::Parse(address), .port = port}, {});
    ASSERT_TRUE(sender);
    // The kernel begins to time what arrives a moment after the first socket asked for it.
    bool kernel_time = false;
    for (uint32_t tag = 100; tag < 100000 && !kernel_time; ++tag) {
      const int64_t before = UnixNanos();
      ASSERT_TRUE(sender->Send("12345678", tag));
      const auto left = sender->TakeDeparture();
      ASSERT_TRUE(left);
      EXPECT_EQ(left->tag, tag);
      EXPECT_GE(left->wall_ns, before);
      const auto received = reflector->Receive(&buffer);
      ASSERT_TRUE(received && *received);
      EXPECT_EQ((*received)->octets, "12345678");
      EXPECT_EQ((*received)->ttl, 255);
      EXPECT_EQ((*received)->to, *IpAddress::Parse(address));
      EXPECT_LE((*received)->wall_ns, UnixNanos());
      kernel_time = (*received)->kernel_time;
    }
    EXPECT_TRUE(kernel_time);
  }
}

TEST(StampSockets, NobodyThereIsAPathThatLosesAll) {
  Both both;
  const uint16_t port = FreePort();
  both.prober.Configure({Probe("127.0.0.1", port)}, ReadClocks().mono);
  const auto lost = both.Measured(3);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->loss, 1);
  EXPECT_FALSE(lost->rtt);
  both.reflector.Configure(Reflector("127.0.0.1", port), ReadClocks().mono);
  ASSERT_TRUE(both.Until([&] {
    const auto paths = both.prober.Paths(ReadClocks().mono);
    return !paths.empty() && paths[0].rtt;
  }));
  EXPECT_EQ(both.problems.open(), 0u);
}

TEST(StampSockets, AnAddressThatComesLaterIsTriedAgain) {
  Both both;
  const uint16_t port = FreePort();
  {
    // Another program has the port.
    auto other = StampSocket::OpenReflector({.address = *IpAddress::Parse("127.0.0.1"), .port = port});
    ASSERT_TRUE(other);
    both.reflector.Configure(Reflector("127.0.0.1", port), ReadClocks().mono);
    EXPECT_EQ(both.problems.open(), 1u);
    EXPECT_NE(both.reflector.NextDeadline(), MonoTime::max());
  }
  EXPECT_TRUE(both.Until([&] { return both.problems.open() == 0; }));
  EXPECT_EQ(both.reflector.NextDeadline(), MonoTime::max());
}

TEST(StampSockets, AReloadEndsOnlyWhatChanged) {
  Both both;
  const uint16_t port = FreePort();
  both.reflector.Configure(Reflector("127.0.0.1", port), ReadClocks().mono);
  config::ProbeConfig other = Probe("127.0.0.1", port);
  other.peer = "edge4";
  both.prober.Configure({Probe("127.0.0.1", port), other}, ReadClocks().mono);
  ASSERT_TRUE(both.Measured(10));
  other.interval = milliseconds(11);
  both.reflector.Configure(Reflector("127.0.0.1", port), ReadClocks().mono);
  both.prober.Configure({other, Probe("127.0.0.1", port)}, ReadClocks().mono);
  const auto paths = both.prober.Paths(ReadClocks().mono);
  ASSERT_EQ(paths.size(), 1u) << "the changed one has sent nothing yet";
  EXPECT_EQ(paths[0].peer, "edge3");
  EXPECT_GE(paths[0].sent, 10u);
  both.prober.Configure({}, ReadClocks().mono);
  EXPECT_TRUE(both.prober.Paths(ReadClocks().mono).empty());
  EXPECT_EQ(both.prober.NextDeadline(), MonoTime::max());
}

TEST(StampKeys, OthersMustNotReadThem) {
  EXPECT_EQ(LoadStampKey(File("sixteen bytes ok", 0600).path())->octets(), "sixteen bytes ok");
  EXPECT_EQ(LoadStampKey(File("sixteen bytes ok\n", 0640).path())->octets(), "sixteen bytes ok");
  for (const mode_t mode : {mode_t{0604}, mode_t{0602}, mode_t{0666}}) {
    const File file("sixteen bytes ok", mode);
    const auto key = LoadStampKey(file.path());
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().where, file.path());
    EXPECT_EQ(key.error().ToString().find("sixteen"), std::string::npos);
  }
  EXPECT_FALSE(LoadStampKey(File("fifteen bytes..", 0600).path()));
  EXPECT_FALSE(LoadStampKey(File("fifteen bytes..\n", 0600).path()));
  EXPECT_TRUE(LoadStampKey(File(std::string(1024, 'k') + "\n", 0600).path()));
  EXPECT_FALSE(LoadStampKey(File(std::string(1025, 'k'), 0600).path()));
  EXPECT_FALSE(LoadStampKey("/nonexistent/key"));
  EXPECT_FALSE(LoadStampKey("/dev/zero"));
  EXPECT_TRUE(LoadStampKey("")->empty());
}

TEST(StampKeys, WithoutItsKeyNothingIsSentAndNobodyAnswered) {
  Both both;
  const uint16_t port = FreePort();
  const File readable(kKeyText, 0644);
  config::ReflectorConfig reflector = Reflector("127.0.0.1", port);
  reflector.key_file = readable.path();
  both.reflector.Configure(reflector, ReadClocks().mono);
  config::ProbeConfig keyed = Probe("127.0.0.1", port);
  keyed.key_file = readable.path();
  config::ProbeConfig open = Probe("127.0.0.1", port);
  open.peer = "edge4";
  both.prober.Configure({keyed, open}, ReadClocks().mono);
  const auto lost = both.Measured(10);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->peer, "edge4") << "of the one with the key nothing was sent";
  EXPECT_EQ(lost->loss, 1);
  // Once others can't read it any more, both go on by themselves.
  ASSERT_EQ(chmod(readable.path().c_str(), 0600), 0);
  EXPECT_TRUE(both.Until([&] {
    const auto paths = both.prober.Paths(ReadClocks().mono);
    return !paths.empty() && paths[0].peer == "edge3" && paths[0].rtt;
  }));
}

}  // namespace
}  // namespace dyncast::agent
