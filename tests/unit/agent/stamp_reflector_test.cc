#include "agent/core/stamp_reflector.h"

#include <gtest/gtest.h>

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int64_t kWall = 1700000000000000000;

MonoTime At(int64_t ms) { return MonoTime{milliseconds(1000000 + ms)}; }

StampArrival From(const std::string& address, uint16_t port = 4000) {
  return {.source = *IpAddress::Parse(address),
          .source_port = port,
          .destination = *IpAddress::Parse("10.0.0.2"),
          .destination_port = kStampPort,
          .ttl = 61,
          .wall_ns = kWall};
}

StampReflector Reflector(StampKey key = {}, uint32_t rate_limit = 200) {
  return StampReflector(
      {.senders = {*IpPrefix::Parse("10.0.0.0/24"), *IpPrefix::Parse("fd00::/64")}, .rate_limit = rate_limit},
      std::move(key));
}

std::string Question(uint32_t sequence, int64_t wall_ns, const StampKey& key = {}, uint16_t ssid = 5) {
  return WriteStampTest({.sequence = sequence,
                         .timestamp = NtpFromUnix(wall_ns),
                         .error_estimate = kStampErrorEstimate,
                         .ssid = ssid},
                        key);
}

TEST(StampReflector, AnswersWithItsOwnCountAndACopyOfTheQuestion) {
  StampReflector reflector = Reflector();
  StampReply reply;
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_EQ(reflector.Admit(Question(100 + 10 * i, kWall + i), From("10.0.0.1"), At(i), &reply),
              StampVerdict::kAnswered);
    EXPECT_EQ(reply.sequence, i);
    EXPECT_EQ(reply.test.sequence, 100 + 10 * i);
    EXPECT_EQ(reply.test.timestamp, NtpFromUnix(kWall + i));
    EXPECT_EQ(reply.ssid, 5);
    EXPECT_EQ(reply.test_ttl, 61);
    EXPECT_EQ(reply.received, NtpFromUnix(kWall));
  }
}

TEST(StampReflector, AnswersNobodyWhoIsNotConfigured) {
  StampReflector reflector = Reflector();
  StampReply reply;
  for (const char* stranger : {"10.0.1.1", "fd01::1", "0.0.0.0", "::"}) {
    EXPECT_EQ(reflector.Admit(Question(0, kWall), From(stranger), At(0), &reply),
              StampVerdict::kUnknownSender);
  }
  EXPECT_EQ(reply, StampReply());
  EXPECT_EQ(reflector.sessions(), 0u);
  EXPECT_EQ(reflector.counters()[static_cast<size_t>(StampVerdict::kUnknownSender)], 4u);
  EXPECT_EQ(reflector.Admit(Question(0, kWall), From("fd00::9"), At(0), &reply), StampVerdict::kAnswered);
  StampReflector closed({}, {});
  EXPECT_EQ(closed.Admit(Question(0, kWall), From("10.0.0.1"), At(0), &reply), StampVerdict::kUnknownSender);
}

TEST(StampReflector, WithAKeyAnswersOnlyItsHolders) {
  const StampKey key("sixteen octets at least");
  StampReflector reflector = Reflector(key);
  StampReply reply;
  EXPECT_EQ(reflector.Admit(Question(0, kWall), From("10.0.0.1"), At(0), &reply), StampVerdict::kShort);
  EXPECT_EQ(reflector.Admit(Question(0, kWall) + std::string(200, '\0'), From("10.0.0.1"), At(0), &reply),
            StampVerdict::kForged);
  EXPECT_EQ(reflector.Admit(Question(0, kWall, StampKey("another of sixteen octets")), From("10.0.0.1"),
                            At(0), &reply),
            StampVerdict::kForged);
  EXPECT_EQ(reflector.sessions(), 0u);
  EXPECT_EQ(reflector.Admit(Question(0, kWall, key), From("10.0.0.1"), At(0), &reply),
            StampVerdict::kAnswered);
}

TEST(StampReflector, AnswersNoPacketTwice) {
  const StampKey key("sixteen octets at least");
  StampReflector reflector = Reflector(key);
  StampReply reply;
  std::vector<std::string> sent;
  for (uint32_t i = 0; i < 100; ++i) {
    sent.push_back(Question(i, kWall + i * 1000, key));
    ASSERT_EQ(reflector.Admit(sent.back(), From("10.0.0.1"), At(i * 100), &reply), StampVerdict::kAnswered);
  }
  for (const std::string& again : sent) {
    EXPECT_EQ(reflector.Admit(again, From("10.0.0.1"), At(10000), &reply), StampVerdict::kReplayed);
  }
  // What went wrong left the count as it was.
  ASSERT_EQ(reflector.Admit(Question(100, kWall + 100000, key), From("10.0.0.1"), At(10100), &reply),
            StampVerdict::kAnswered);
  EXPECT_EQ(reply.sequence, 100u);
}

TEST(StampReflector, ReorderedPacketsAreAnswered) {
  StampReflector reflector = Reflector();
  StampReply reply;
  for (const uint32_t sequence : {5u, 3u, 4u, 70u, 7u, 69u}) {
    EXPECT_EQ(reflector.Admit(Question(sequence, kWall + sequence), From("10.0.0.1"), At(0), &reply),
              StampVerdict::kAnswered)
        << sequence;
  }
  EXPECT_EQ(reply.sequence, 5u);
  // 64 behind the newest is too far to tell.
  EXPECT_EQ(reflector.Admit(Question(6, kWall + 6), From("10.0.0.1"), At(0), &reply),
            StampVerdict::kReplayed);
}

TEST(StampReflector, SequenceNumbersWrap) {
  StampReflector reflector = Reflector();
  StampReply reply;
  uint32_t sequence = 0xfffffffd;
  for (uint32_t i = 0; i < 6; ++i, ++sequence) {
    ASSERT_EQ(reflector.Admit(Question(sequence, kWall + i), From("10.0.0.1"), At(i), &reply),
              StampVerdict::kAnswered);
    EXPECT_EQ(reply.sequence, i);
  }
  EXPECT_EQ(reflector.Admit(Question(0xfffffffe, kWall + 1), From("10.0.0.1"), At(9), &reply),
            StampVerdict::kReplayed);
}

TEST(StampReflector, ASenderThatBeginsAnewIsCountedAnew) {
  StampReflector reflector = Reflector();
  StampReply reply;
  for (uint32_t i = 0; i < 200; ++i) {
    reflector.Admit(Question(i, kWall + i), From("10.0.0.1"), At(i * 100), &reply);
  }
  // The same ports and identifier, numbers from 0, a later time.
  EXPECT_EQ(reflector.Admit(Question(0, kWall + 1000), From("10.0.0.1"), At(30000), &reply),
            StampVerdict::kAnswered);
  EXPECT_EQ(reply.sequence, 0u);
  EXPECT_EQ(reflector.Admit(Question(1, kWall + 1001), From("10.0.0.1"), At(30100), &reply),
            StampVerdict::kAnswered);
  EXPECT_EQ(reply.sequence, 1u);
}

TEST(StampReflector, SessionsAreToldByBothEndsAndTheIdentifier) {
  StampReflector reflector = Reflector();
  StampReply reply;
  StampArrival other_target = From("10.0.0.1");
  other_target.destination = *IpAddress::Parse("10.0.0.3");
  for (const StampArrival& arrival :
       {From("10.0.0.1"), From("10.0.0.1", 4001), From("10.0.0.9"), other_target}) {
    EXPECT_EQ(reflector.Admit(Question(0, kWall), arrival, At(0), &reply), StampVerdict::kAnswered);
    EXPECT_EQ(reply.sequence, 0u);
  }
  EXPECT_EQ(reflector.Admit(Question(0, kWall, {}, 6), From("10.0.0.1"), At(0), &reply),
            StampVerdict::kAnswered);
  EXPECT_EQ(reply.sequence, 0u);
  EXPECT_EQ(reflector.sessions(), 5u);
}

TEST(StampReflector, ASessionHasARate) {
  StampReflector reflector = Reflector({}, 10);
  StampReply reply;
  uint32_t sequence = 0;
  const auto ask = [&](int64_t ms) {
    ++sequence;
    return reflector.Admit(Question(sequence, kWall + sequence), From("10.0.0.1"), At(ms), &reply);
  };
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(0), StampVerdict::kAnswered);
  EXPECT_EQ(ask(0), StampVerdict::kRateLimited);
  EXPECT_EQ(ask(99), StampVerdict::kRateLimited);
  EXPECT_EQ(ask(100), StampVerdict::kAnswered);
  EXPECT_EQ(ask(101), StampVerdict::kRateLimited);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(60000), StampVerdict::kAnswered);
  EXPECT_EQ(ask(60000), StampVerdict::kRateLimited);
  // Another session has its own.
  EXPECT_EQ(reflector.Admit(Question(0, kWall), From("10.0.0.2"), At(60000), &reply),
            StampVerdict::kAnswered);
}

TEST(StampReflector, KeepsSoManySessionsAndNoMore) {
  StampReflector reflector = Reflector();
  StampReply reply;
  for (uint16_t port = 1; port <= StampReflector::kMaxSessions; ++port) {
    ASSERT_EQ(reflector.Admit(Question(0, kWall), From("10.0.0.1", port), At(port), &reply),
              StampVerdict::kAnswered);
  }
  EXPECT_EQ(reflector.Admit(Question(0, kWall), From("10.0.0.1", 9999), At(2000), &reply),
            StampVerdict::kNoRoom);
  EXPECT_EQ(reflector.Admit(Question(1, kWall + 1), From("10.0.0.1", 1), At(2000), &reply),
            StampVerdict::kAnswered);
  // The one that was silent the longest goes, once it was so for ten seconds.
  EXPECT_EQ(reflector.Admit(Question(0, kWall), From("10.0.0.1", 9999), At(10002), &reply),
            StampVerdict::kAnswered);
  EXPECT_EQ(reflector.sessions(), StampReflector::kMaxSessions);
  ASSERT_EQ(reflector.Admit(Question(2, kWall + 2), From("10.0.0.1", 1), At(10002), &reply),
            StampVerdict::kAnswered);
  EXPECT_EQ(reply.sequence, 2u) << "the first is still known";
}

}  // namespace
}  // namespace dyncast::agent
