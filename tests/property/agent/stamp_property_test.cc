// Random networks between a STAMP session and a reflector: losses on each way, delays, packets that overtake
// each other, copies, clocks that are apart, numbers about to wrap. What the session says of its window is
// compared with what the network knows it did. DYNCAST_SEED repeats a run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <queue>
#include <random>

#include "agent/core/stamp_reflector.h"
#include "agent/core/stamp_session.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kWall = 1700000000000000000;

uint64_t Seed() {
  const char* given = std::getenv("DYNCAST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("DYNCAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

// What truly became of one packet.
struct Truth {
  int64_t sent_us = 0;
  bool there = false;  // reached the reflector
  std::optional<int64_t> back_us;
  int64_t rtt_us = 0;
};

class Network {
 public:
  Network(uint64_t seed, bool overtaking) : random_(seed), overtaking_(overtaking) {
    loss_there_ = Unit() * 0.4;
    loss_back_ = Unit() * 0.4;
    base_us_ = Pick(50, 40000);
    jitter_us_ = overtaking ? 150000 : Pick(0, 4000);
    offset_us_ = Pick(-1000000000, 1000000000);
    copies_ = Unit() * 0.2;
    options_ = {.timeout = milliseconds(500),
                .window = milliseconds(5000),
                .ssid = static_cast<uint16_t>(Pick(0, 0xffff)),
                .first_sequence = static_cast<uint32_t>(Pick(0, 1) == 0 ? 0 : 0xffffffff - Pick(0, 200))};
    if (Pick(0, 1) == 0) key_ = StampKey("a key of sixteen or more");
    session.emplace(options_, key_);
    reflector.emplace(StampReflector::Options{.senders = {*IpPrefix::Parse("10.0.0.1")}, .rate_limit = 1000},
                      key_);
    first_ = options_.first_sequence;
  }

  void Run(int packets) {
    for (int i = 0; i < packets; ++i) {
      Deliver(at_us_);
      Ask();
      at_us_ += 20000;
    }
    Deliver(at_us_);
  }

  MonoTime Mono(int64_t us) const { return MonoTime{Micros{5000000 + us}}; }
  int64_t now_us() const { return at_us_; }
  // The packets sent since `from_us`, in order.
  std::vector<Truth> Sent(int64_t from_us) const {
    std::vector<Truth> found;
    for (const Truth& truth : truths_) {
      if (truth.sent_us > from_us) found.push_back(truth);
    }
    return found;
  }
  int64_t timeout_us() const { return Micros(options_.timeout).count(); }

  std::optional<StampSession> session;
  std::optional<StampReflector> reflector;

 private:
  struct Flight {
    int64_t at_us;
    bool question;
    std::string octets;
    size_t number;
    bool operator>(const Flight& other) const { return at_us > other.at_us; }
  };
  int64_t Pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }
  double Unit() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  int64_t OurWall(int64_t us) const { return kWall + us * 1000; }

  void Launch(Flight flight, int64_t* last_us) {
    flight.at_us += base_us_ + Pick(0, jitter_us_);
    if (!overtaking_) flight.at_us = std::max(flight.at_us, *last_us + 1);
    *last_us = std::max(*last_us, flight.at_us);
    flights_.push(flight);
    if (Unit() < copies_) {
      flight.at_us += Pick(1, 1000);
      if (!overtaking_) *last_us = flight.at_us;
      flights_.push(flight);
    }
  }

  void Ask() {
    const std::string octets = session->Send(OurWall(at_us_), Mono(at_us_));
    truths_.push_back({.sent_us = at_us_, .there = false, .back_us = {}, .rtt_us = 0});
    if (Unit() < loss_there_) return;
    Launch({.at_us = at_us_, .question = true, .octets = octets, .number = truths_.size() - 1},
           &last_there_us_);
  }

  void Deliver(int64_t until_us) {
    while (!flights_.empty() && flights_.top().at_us <= until_us) {
      const Flight flight = flights_.top();
      flights_.pop();
      flight.question ? Question(flight) : Answer(flight);
    }
  }

  void Question(const Flight& flight) {
    StampReply reply;
    const StampArrival arrival = {.source = *IpAddress::Parse("10.0.0.1"),
                                  .source_port = 5000,
                                  .destination = *IpAddress::Parse("10.0.0.2"),
                                  .destination_port = kStampPort,
                                  .ttl = 60,
                                  .wall_ns = OurWall(flight.at_us + offset_us_)};
    Truth& truth = truths_[flight.number];
    const StampVerdict verdict = reflector->Admit(flight.octets, arrival, Mono(flight.at_us), &reply);
    // Copies are refused, and nothing else is.
    ASSERT_EQ(verdict, truth.there ? StampVerdict::kReplayed : StampVerdict::kAnswered);
    if (truth.there) return;
    truth.there = true;
    const int64_t held_us = Pick(0, 3000);
    truth.rtt_us -= held_us;
    reply.timestamp = NtpFromUnix(OurWall(flight.at_us + offset_us_ + held_us));
    if (Unit() < loss_back_) return;
    Launch({.at_us = flight.at_us + held_us,
            .question = false,
            .octets = WriteStampReply(reply, key_, ""),
            .number = flight.number},
           &last_back_us_);
  }

  void Answer(const Flight& flight) {
    Truth& truth = truths_[flight.number];
    const int64_t took_us = flight.at_us - truth.sent_us;
    const StampFate fate = session->OnReply(flight.octets, OurWall(flight.at_us), Mono(flight.at_us));
    if (truth.back_us) {
      ASSERT_EQ(fate, StampFate::kDuplicate);
    } else if (took_us >= timeout_us()) {
      ASSERT_EQ(fate, StampFate::kLate);
    } else {
      ASSERT_EQ(fate, StampFate::kTaken);
      truth.back_us = flight.at_us;
      truth.rtt_us += took_us;
    }
  }

  std::mt19937_64 random_;
  bool overtaking_;
  double loss_there_ = 0, loss_back_ = 0, copies_ = 0;
  int64_t base_us_ = 0, jitter_us_ = 0, offset_us_ = 0;
  StampSession::Options options_;
  StampKey key_;
  uint32_t first_ = 0;
  int64_t at_us_ = 0, last_there_us_ = 0, last_back_us_ = 0;
  std::vector<Truth> truths_;
  std::priority_queue<Flight, std::vector<Flight>, std::greater<>> flights_;
};

// Why `said` is not what the network did; empty if it is. Losses by direction are exact where nothing
// overtakes.
std::string Difference(const std::optional<PathSample>& said, const Network& network, bool exact) {
  const std::vector<Truth> sent = network.Sent(network.now_us() - 5000000);
  size_t decided = 0;
  while (decided < sent.size() &&
         (sent[decided].back_us || sent[decided].sent_us + network.timeout_us() <= network.now_us())) {
    ++decided;
  }
  if (decided == 0) return said ? "said something of nothing" : "";
  if (!said) return "said nothing";
  if (said->sent != decided) return "sent " + std::to_string(said->sent) + " not " + std::to_string(decided);
  size_t lost = 0;
  double rtt = 0;
  size_t answered = 0;
  for (size_t i = 0; i < sent.size(); ++i) {
    if (i < decided && !sent[i].back_us) ++lost;
    if (!sent[i].back_us) continue;
    rtt += static_cast<double>(sent[i].rtt_us);
    ++answered;
  }
  if (std::abs(said->loss - static_cast<double>(lost) / static_cast<double>(decided)) > 1e-9) return "loss";
  if (said->rtt.has_value() != (answered > 0)) return "a round trip of nothing, or none";
  if (answered > 0 &&
      std::abs(static_cast<double>(said->rtt->count()) - rtt / static_cast<double>(answered)) > 1) {
    return "rtt " + std::to_string(said->rtt->count()) + " not " +
           std::to_string(rtt / static_cast<double>(answered));
  }
  size_t from = decided;
  size_t to = decided;
  for (size_t i = 0; i < decided; ++i) {
    if (!sent[i].back_us) continue;
    if (from == decided) from = i;
    to = i;
  }
  if (from == to) return said->loss_forward ? "a direction out of one answer" : "";
  if (!said->loss_forward) return exact ? "no direction" : "";
  double there = 0;
  double back = 0;
  for (size_t i = from + 1; i <= to; ++i) {
    there += sent[i].there ? 1 : 0;
    back += sent[i].back_us ? 1 : 0;
  }
  const double all = static_cast<double>(to - from);
  const double slack = exact ? 1e-9 : 16.0 / all;  // 8 may have overtaken each of the two at the edges
  if (std::abs(*said->loss_forward - (all - there) / all) > slack) return "loss_forward";
  if (std::abs(*said->loss_backward - (there - back) / there) > 2 * slack) return "loss_backward";
  return "";
}

TEST(StampProperty, WhatIsSaidOfAPathIsWhatTheNetworkDid) {
  const uint64_t seed = Seed();
  for (uint64_t life = 0; life < 60; ++life) {
    Network network(seed + life, false);
    for (int part = 0; part < 12; ++part) {
      network.Run(37);
      const auto said = network.session->Window(network.Mono(network.now_us()));
      ASSERT_EQ(Difference(said, network, true), "") << "life " << life << " part " << part;
    }
    EXPECT_EQ(network.session->counters().reordered, 0u);
    EXPECT_EQ(network.session->counters().clock_steps, 0u);
  }
}

TEST(StampProperty, PacketsThatOvertakeEachOtherAreNoLosses) {
  const uint64_t seed = Seed();
  uint64_t overtaken = 0;
  for (uint64_t life = 0; life < 40; ++life) {
    Network network(seed + life, true);
    for (int part = 0; part < 12; ++part) {
      network.Run(37);
      const auto said = network.session->Window(network.Mono(network.now_us()));
      ASSERT_EQ(Difference(said, network, false), "") << "life " << life << " part " << part;
    }
    overtaken += network.session->counters().reordered;
  }
  EXPECT_GT(overtaken, 1000u);
}

// The comparison above finds what is wrong.
TEST(StampProperty, TheComparisonCanFail) {
  Network network(4711, false);
  network.Run(300);
  const auto said = network.session->Window(network.Mono(network.now_us()));
  ASSERT_EQ(Difference(said, network, true), "");
  ASSERT_TRUE(said->loss_forward && said->loss_backward && *said->loss_forward != *said->loss_backward);
  const auto wrong = [&](auto change) {
    PathSample changed = *said;
    change(changed);
    return Difference(changed, network, true);
  };
  EXPECT_EQ(wrong([](PathSample& p) { std::swap(p.loss_forward, p.loss_backward); }), "loss_forward");
  EXPECT_EQ(wrong([](PathSample& p) { *p.loss_backward += 0.001; }), "loss_backward");
  EXPECT_EQ(wrong([](PathSample& p) { p.loss += 0.001; }), "loss");
  EXPECT_NE(wrong([](PathSample& p) { *p.rtt += Micros(3); }), "");
  EXPECT_NE(wrong([](PathSample& p) { ++p.sent; }), "");
  EXPECT_NE(Difference(std::nullopt, network, true), "");
}

}  // namespace
}  // namespace dyncast::agent
