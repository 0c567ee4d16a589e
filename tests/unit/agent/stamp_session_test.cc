// A session's arithmetic, with a reflector of the test's own.
#include "agent/core/stamp_session.h"

#include <gtest/gtest.h>

#include <map>

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kWall = 1700000000000000000;
constexpr int64_t kMs = 1000000;  // nanoseconds

StampSession::Options Options() {
  return {.timeout = milliseconds(500), .window = milliseconds(5000), .ssid = 77};
}

// Both ends of a path. The peer's clock may be set apart from ours.
class Path {
 public:
  explicit Path(StampSession::Options options = Options(), StampKey key = {})
      : session(options, key), key_(std::move(key)), ssid_(options.ssid) {}

  MonoTime At(double ms) const { return MonoTime{Micros{1000000 + static_cast<int64_t>(ms * 1000)}}; }
  int64_t Wall(double ms) const { return kWall + static_cast<int64_t>(ms * kMs); }

  uint32_t Send(double ms) {
    octets_ = session.Send(Wall(ms), At(ms));
    const uint32_t sequence = session.last_sequence();
    EXPECT_EQ(ReadStampTest(octets_, key_, &sent_[sequence]), StampFault::kNone);
    return sequence;
  }
  // What the peer answers to `sequence`, received `there` after it was sent and held for `held`.
  std::string Answer(uint32_t sequence, uint32_t count, double there_ms, double held_ms,
                     double offset_ms = 0) {
    const StampTest& test = sent_.at(sequence);
    StampReply reply;
    const int64_t received = UnixFromStamp(test.timestamp, test.error_estimate) +
                             static_cast<int64_t>((there_ms + offset_ms) * kMs);
    reply.sequence = count;
    reply.received = NtpFromUnix(received);
    reply.timestamp = NtpFromUnix(received + static_cast<int64_t>(held_ms * kMs));
    reply.error_estimate = kStampErrorEstimate;
    reply.ssid = ssid_;
    reply.test = test;
    return WriteStampReply(reply, key_, "");
  }
  StampFate Take(const std::string& octets, double ms) { return session.OnReply(octets, Wall(ms), At(ms)); }
  // One packet there and back.
  StampFate Exchange(double ms, uint32_t count, double there_ms, double held_ms, double home_ms,
                     double offset_ms = 0) {
    const uint32_t sequence = Send(ms);
    return Take(Answer(sequence, count, there_ms, held_ms, offset_ms), ms + there_ms + held_ms + home_ms);
  }

  StampSession session;

 private:
  StampKey key_;
  uint16_t ssid_;
  std::map<uint32_t, StampTest> sent_;
  std::string octets_;
};

TEST(StampSession, ARoundTripIsWithoutTheReflectorsOwnTime) {
  Path path;
  EXPECT_EQ(path.Exchange(0, 0, 4, 30, 6), StampFate::kTaken);
  const auto window = path.session.Window(path.At(50));
  ASSERT_TRUE(window);
  EXPECT_EQ(window->rtt, milliseconds(10));
  EXPECT_EQ(window->rtt_min, milliseconds(10));
  EXPECT_EQ(window->sent, 1u);
  EXPECT_EQ(window->loss, 0);
  EXPECT_EQ(window->window, milliseconds(5000));
  EXPECT_FALSE(window->jitter_forward) << "of one packet there is no difference";
  EXPECT_FALSE(window->loss_forward) << "nor are there two answers to count between";
}

TEST(StampSession, ClocksThatAreApartDoNotMatter) {
  for (const double offset_ms : {-3600000.0, 0.0, 86400000.0}) {
    Path path;
    for (int i = 0; i < 4; ++i) {
      // To the peer 4, 7, 4, 7 ms; back 6 ms always.
      EXPECT_EQ(path.Exchange(100 * i, static_cast<uint32_t>(i), 4 + 3 * (i % 2), 1, 6, offset_ms),
                StampFate::kTaken);
    }
    const auto window = path.session.Window(path.At(400));
    ASSERT_TRUE(window);
    EXPECT_EQ(window->rtt, Micros(11500));
    EXPECT_EQ(window->rtt_min, Micros(10000));
    EXPECT_EQ(window->jitter_forward, Micros(3000));
    EXPECT_EQ(window->jitter_backward, Micros(0));
  }
}

TEST(StampSession, AClockThatIsSetLeavesNoJitter) {
  Path path;
  for (int i = 0; i < 6; ++i) {
    path.Exchange(100 * i, static_cast<uint32_t>(i), 4 + i % 2, 1, 6,
                  i < 3 ? 0 : 1000);  // the peer's, by a second
  }
  const auto window = path.session.Window(path.At(600));
  ASSERT_TRUE(window);
  EXPECT_EQ(window->jitter_forward, Micros(1000));
  EXPECT_EQ(window->jitter_backward, Micros(0));
}

TEST(StampSession, AClockThatIsSetWhileAPacketIsOnItsWayLeavesNoTimesOfIt) {
  Path path;
  path.Exchange(0, 0, 4, 1, 6);
  const uint32_t sequence = path.Send(100);
  // By our clock it took two seconds, or came before it left; by the monotonic one 10 ms.
  EXPECT_EQ(path.session.OnReply(path.Answer(sequence, 1, 4, 1), path.Wall(2100), path.At(110)),
            StampFate::kTaken);
  const uint32_t next = path.Send(200);
  EXPECT_EQ(path.session.OnReply(path.Answer(next, 2, 4, 1), path.Wall(190), path.At(210)),
            StampFate::kTaken);
  const uint32_t third = path.Send(300);
  EXPECT_EQ(path.Take(path.Answer(third, 3, 4, -2), 310), StampFate::kTaken) << "the peer's clock went back";
  const auto window = path.session.Window(path.At(350));
  ASSERT_TRUE(window);
  EXPECT_EQ(window->sent, 4u);
  EXPECT_EQ(window->loss, 0);
  EXPECT_EQ(window->rtt, Micros(10000)) << "of the first alone";
  EXPECT_EQ(path.session.counters().clock_steps, 3u);
}

TEST(StampSession, TheKernelsTimeOfDepartureIsTaken) {
  Path path;
  const uint32_t sequence = path.Send(0);
  path.session.OnSent(sequence, path.Wall(2));
  path.Take(path.Answer(sequence, 0, 4, 1), 11);
  EXPECT_EQ(path.session.Window(path.At(20))->rtt, milliseconds(8));
  EXPECT_EQ(path.session.counters().kernel_sent, 1u);
  // Not plausible, not known, too late: not taken.
  const uint32_t next = path.Send(100);
  path.session.OnSent(next, path.Wall(99));
  path.session.OnSent(next, path.Wall(2000));
  path.session.OnSent(next + 1, path.Wall(101));
  path.session.OnSent(sequence, path.Wall(1));
  EXPECT_EQ(path.session.counters().kernel_sent, 1u);
}

TEST(StampSession, LossesAreToldApartByDirection) {
  Path path;
  uint32_t count = 0;
  for (int i = 0; i < 40; ++i) {
    const uint32_t sequence = path.Send(100 * i);
    if (i % 10 == 3) continue;  // lost on the way there: the peer does not count it
    const std::string answer = path.Answer(sequence, count++, 4, 1);
    if (i % 5 == 1) continue;  // the answer is lost
    EXPECT_EQ(path.Take(answer, 100 * i + 11), StampFate::kTaken);
  }
  // The first and the last are answered: 39 lie after the first, of which the peer counted 35.
  const auto window = path.session.Window(path.At(4600));
  ASSERT_TRUE(window);
  EXPECT_EQ(window->sent, 40u);
  EXPECT_DOUBLE_EQ(window->loss, 12.0 / 40);
  EXPECT_DOUBLE_EQ(*window->loss_forward, 4.0 / 39);
  EXPECT_DOUBLE_EQ(*window->loss_backward, 8.0 / 35);
}

TEST(StampSession, AStatelessReflectorTellsNoDirection) {
  StampSession::Options options = Options();
  options.reflector = config::PeerReflector::kStateless;
  Path path(options);
  for (int i = 0; i < 10; ++i) {
    const uint32_t sequence = path.Send(100 * i);
    if (i % 2 == 0) path.Take(path.Answer(sequence, sequence, 4, 1), 100 * i + 11);
  }
  const auto window = path.session.Window(path.At(2000));
  ASSERT_TRUE(window);
  EXPECT_DOUBLE_EQ(window->loss, 0.5);
  EXPECT_FALSE(window->loss_forward);
  EXPECT_FALSE(window->loss_backward);
}

TEST(StampSession, APathThatLosesAllHasLossesAndNoTimes) {
  Path path;
  for (int i = 0; i < 10; ++i) {
    path.Send(100 * i);
    EXPECT_EQ(path.session.Window(path.At(100 * i + 99)).has_value(), i >= 5) << "overdue after 500 ms";
  }
  const auto window = path.session.Window(path.At(1200));
  ASSERT_TRUE(window);
  EXPECT_EQ(window->sent, 8u) << "the last two may still be answered";
  EXPECT_EQ(window->loss, 1);
  EXPECT_FALSE(window->rtt);
  EXPECT_FALSE(window->jitter_forward);
  EXPECT_FALSE(window->loss_forward);
}

TEST(StampSession, NothingOlderThanTheWindowCounts) {
  Path path;
  for (int i = 0; i < 20; ++i) path.Send(100 * i);  // all lost
  for (int i = 20; i < 100; ++i) {
    path.Exchange(100 * i, static_cast<uint32_t>(i), 4, 1, 6);
    if (i == 60) {
      EXPECT_DOUBLE_EQ(path.session.Window(path.At(6050))->loss, 9.0 / 50);
    }
  }
  const auto window = path.session.Window(path.At(9950));
  EXPECT_EQ(window->loss, 0);
  EXPECT_EQ(window->sent, 50u);
  EXPECT_FALSE(path.session.Window(path.At(20000))) << "nothing was sent in it";
}

TEST(StampSession, SequenceNumbersWrap) {
  StampSession::Options options = Options();
  options.first_sequence = 0xfffffff0;
  Path path(options);
  uint32_t count = 0xfffffffa;  // the reflector's wraps elsewhere
  for (int i = 0; i < 32; ++i) {
    const uint32_t sequence = path.Send(100 * i);
    if (i == 15) continue;  // 0xffffffff is lost on the way there
    const std::string answer = path.Answer(sequence, count++, 4, 1);
    if (i == 16) continue;  // the answer to 0 is lost
    EXPECT_EQ(path.Take(answer, 100 * i + 11), StampFate::kTaken) << i;
  }
  const auto window = path.session.Window(path.At(3700));
  ASSERT_TRUE(window);
  EXPECT_EQ(window->sent, 32u);
  EXPECT_DOUBLE_EQ(*window->loss_forward, 1.0 / 31);
  EXPECT_DOUBLE_EQ(*window->loss_backward, 1.0 / 30);
  EXPECT_EQ(path.session.counters().reordered, 0u);
}

TEST(StampSession, ReorderedAnswersAreNoLosses) {
  Path path;
  const uint32_t first = path.Send(0);
  const uint32_t second = path.Send(100);
  const uint32_t third = path.Send(200);
  EXPECT_EQ(path.Take(path.Answer(third, 1, 4, 1), 211), StampFate::kTaken);
  EXPECT_EQ(path.Take(path.Answer(first, 0, 4, 1), 215), StampFate::kTaken);
  EXPECT_EQ(path.Take(path.Answer(second, 2, 4, 1), 220), StampFate::kTaken);
  const uint32_t fourth = path.Send(300);
  path.Take(path.Answer(fourth, 3, 4, 1), 311);
  EXPECT_EQ(path.session.counters().reordered, 2u);
  const auto window = path.session.Window(path.At(350));
  EXPECT_EQ(window->loss, 0);
  EXPECT_EQ(window->loss_forward, 0);
  EXPECT_EQ(window->loss_backward, 0);
}

TEST(StampSession, EachPacketIsAnsweredOnce) {
  Path path;
  const uint32_t sequence = path.Send(0);
  const std::string answer = path.Answer(sequence, 0, 4, 1);
  EXPECT_EQ(path.Take(answer, 11), StampFate::kTaken);
  EXPECT_EQ(path.Take(answer, 12), StampFate::kDuplicate);
  const auto window = path.session.Window(path.At(50));
  EXPECT_EQ(window->sent, 1u);
  EXPECT_EQ(path.session.counters().duplicates, 1u);
  EXPECT_EQ(path.session.counters().taken, 1u);
}

TEST(StampSession, AnAnswerThatComesLateLeavesItsPacketLost) {
  Path path;
  const uint32_t sequence = path.Send(0);
  EXPECT_EQ(path.Take(path.Answer(sequence, 0, 4, 1), 500), StampFate::kLate);
  EXPECT_EQ(path.session.Window(path.At(600))->loss, 1);
  EXPECT_EQ(path.session.counters().late, 1u);
}

TEST(StampSession, StrangeAnswersChangeNothing) {
  Path path;
  Path other;
  const uint32_t sequence = path.Send(0);
  other.Send(30);  // the same number, another time
  EXPECT_EQ(path.Take(other.Answer(sequence, 0, 4, 1), 40), StampFate::kUnexpected);
  EXPECT_EQ(path.Take(std::string(43, '\0'), 40), StampFate::kShort);
  StampReply reply;
  ASSERT_EQ(ReadStampReply(path.Answer(sequence, 0, 4, 1), {}, &reply), StampFault::kNone);
  reply.ssid = 78;
  EXPECT_EQ(path.Take(WriteStampReply(reply, {}, ""), 40), StampFate::kUnexpected);
  reply.ssid = 77;
  reply.test.sequence = sequence + 1;
  EXPECT_EQ(path.Take(WriteStampReply(reply, {}, ""), 40), StampFate::kUnexpected);
  EXPECT_FALSE(path.session.Window(path.At(50)));
  // RFC 8972 section 3: a reflector without identifiers says 0.
  reply.test.sequence = sequence;
  reply.ssid = 0;
  EXPECT_EQ(path.Take(WriteStampReply(reply, {}, ""), 40), StampFate::kTaken);
}

TEST(StampSession, OnlyTheKeysHolderIsBelieved) {
  const StampKey key("a key of sixteen octets");
  Path path(Options(), key);
  const uint32_t sequence = path.Send(0);
  std::string forged = path.Answer(sequence, 0, 4, 1);
  forged[20] ^= 1;
  EXPECT_EQ(path.Take(forged, 11), StampFate::kForged);
  EXPECT_EQ(path.Take(path.Answer(sequence, 0, 4, 1).substr(0, 44), 11), StampFate::kShort);
  EXPECT_EQ(path.Take(path.Answer(sequence, 0, 4, 1), 11), StampFate::kTaken);
  EXPECT_EQ(path.session.counters().forged, 1u);
}

TEST(StampSession, AReflectorThatBeginsToCountAnewIsNoLoss) {
  Path path;
  for (int i = 0; i < 30; ++i) path.Exchange(100 * i, static_cast<uint32_t>(1000 + i), 4, 1, 6);
  for (int i = 30; i < 40; ++i) path.Exchange(100 * i, static_cast<uint32_t>(i - 30), 4, 1, 6);
  const auto window = path.session.Window(path.At(4000));
  EXPECT_EQ(window->loss, 0);
  EXPECT_EQ(window->loss_forward, 0);
  EXPECT_EQ(window->loss_backward, 0);
}

TEST(StampSession, ACountThatCanNotBeIsNotBelieved) {
  Path path;
  // Eleven numbers for each of our packets: not a count of them.
  for (int i = 0; i < 10; ++i) path.Exchange(100 * i, static_cast<uint32_t>(11 * i), 4, 1, 6);
  const auto window = path.session.Window(path.At(1000));
  EXPECT_FALSE(window->loss_forward);
  EXPECT_EQ(window->loss, 0);
}

}  // namespace
}  // namespace dyncast::agent
