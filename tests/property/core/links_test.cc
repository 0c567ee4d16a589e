// Rates from counters: what is said to have passed has passed, whatever ports come, go and begin anew.
#include "controller/core/links.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>

namespace dyncast::core {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

uint64_t Seed() {
  if (const char* fixed = std::getenv("DYNCAST_TEST_SEED")) return std::strtoull(fixed, nullptr, 10);
  return std::random_device{}();
}

struct Port {
  MonoTime born{};
  uint64_t in_bytes = 0;
  uint64_t out_packets = 0;
};
// A port as it was when it was read last.
struct Reading {
  MonoTime at{};
  Port port;
};

class World {
 public:
  World(uint64_t seed, bool tells_age) : random_(seed), tells_age_(tells_age) {}

  void Turn() {
    now_ += milliseconds(1 + (Pick(3) == 0 ? Pick(60) : Pick(12000)));
    for (uint32_t number = 1; number <= 4; ++number) {
      switch (Pick(8)) {
        case 0: ports_.erase(number); break;
        case 1: ports_[number] = {.born = now_}; break;
        default: break;
      }
      const auto at = ports_.find(number);
      if (at == ports_.end() || Pick(4) == 0) continue;
      at->second.in_bytes += Pick(3) == 0 ? random_() >> (20 + Pick(40)) : Pick(1000000);
      at->second.out_packets += Pick(1000);
    }
    if (Pick(3) != 0) Read();
  }
  uint64_t rates = 0;
  uint64_t refusals = 0;

 private:
  uint64_t Pick(uint64_t n) { return random_() % n; }
  void Read() {
    std::vector<PortCounters> counted;
    for (const auto& [number, port] : ports_) {
      PortCounters counters{.number = PortNo{number}};
      counters.in_bytes = port.in_bytes;
      counters.out_packets = port.out_packets;
      if (tells_age_) counters.alive = duration_cast<Micros>(now_ - port.born);
      counted.push_back(counters);
    }
    links_.Set(counted, now_);
    for (uint32_t number = 1; number <= 4; ++number) {
      const auto at = ports_.find(number);
      const LinkTable::Link* link = links_.Find(PortNo{number});
      ASSERT_EQ(link != nullptr, at != ports_.end());
      if (link == nullptr) {
        last_.erase(number);
        continue;
      }
      const auto last = last_.find(number);
      if (last != last_.end() && link->at == last->second.at) {
        ASSERT_LT(now_ - link->at, LinkTable::kLeastWindow)
            << "only one too close to the last is passed over";
        continue;
      }
      ASSERT_EQ(link->at, now_);
      ASSERT_EQ(link->counters.in_bytes, at->second.in_bytes);
      if (last == last_.end()) {
        ASSERT_FALSE(link->rates.has_value());
      } else {
        Check(*link, last->second, at->second);
      }
      if (testing::Test::HasFatalFailure()) return;
      last_[number] = {.at = now_, .port = at->second};
    }
  }
  void Check(const LinkTable::Link& link, const Reading& last, const Port& port) {
    const bool fell = port.in_bytes < last.port.in_bytes || port.out_packets < last.port.out_packets;
    if (port.born != last.port.born) {
      // Without an age, counters that began anew and have risen above the old ones cannot be told.
      if (!tells_age_ && !fell) return;
      ASSERT_FALSE(link.rates.has_value());
      ++refusals;
      return;
    }
    if (!link.rates) {
      ASSERT_TRUE(tells_age_ && port.born == last.at) << "unless made at the very moment of the last reading";
      return;
    }
    const double seconds = std::chrono::duration<double>(now_ - last.at).count();
    ASSERT_EQ(link.rates->window, duration_cast<Micros>(now_ - last.at));
    const auto bits = static_cast<double>(port.in_bytes - last.port.in_bytes) * 8;
    ASSERT_NEAR(*link.rates->in_bit_s * seconds, bits, 1e-3 + bits * 1e-9);
    const auto packets = static_cast<double>(port.out_packets - last.port.out_packets);
    ASSERT_NEAR(*link.rates->out_packets_s * seconds, packets, 1e-3 + packets * 1e-9);
    ASSERT_FALSE(link.rates->out_bit_s) << "not counted";
    ++rates;
  }

  std::mt19937_64 random_;
  bool tells_age_;
  MonoTime now_{std::chrono::seconds(1000)};
  std::map<uint32_t, Port> ports_;
  std::map<uint32_t, Reading> last_;
  LinkTable links_;
};

TEST(LinkTableProperty, RatesAreWhatPassed) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("DYNCAST_TEST_SEED=" + std::to_string(seed));
  for (const bool tells_age : {true, false}) {
    uint64_t rates = 0;
    uint64_t refusals = 0;
    for (uint64_t run = 0; run < 50; ++run) {
      World world(seed + run, tells_age);
      for (int turn = 0; turn < 200; ++turn) {
        world.Turn();
        if (testing::Test::HasFatalFailure()) return;
      }
      rates += world.rates;
      refusals += world.refusals;
    }
    EXPECT_GT(rates, 1000u);
    EXPECT_GT(refusals, 200u);
  }
}

}  // namespace
}  // namespace dyncast::core
