// Random messages survive the wire; random damage to their bytes never crashes and never gives a message
// that breaks the rules. DYNCAST_SEED repeats a run.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>

#include "schema/model/name.h"
#include "schema/wire/message.h"

namespace dyncast::wire {
namespace {

class WireProperty : public ::testing::Test {
 protected:
  WireProperty() {
    const char* given = std::getenv("DYNCAST_SEED");
    const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "DYNCAST_SEED=" << seed << "\n";
    random_.seed(seed);
  }

  uint64_t Below(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(random_); }
  bool Chance() { return Below(2) == 0; }
  double Positive() { return std::exp(std::uniform_real_distribution<double>(-20, 40)(random_)); }

  std::string Word(std::string_view first, std::string_view rest) {
    std::string out(1, first[Below(first.size())]);
    for (uint64_t n = Below(63); n > 0; --n) out += rest[Below(rest.size())];
    return out;
  }
  std::string Name() {
    return Word("abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz0123456789-");
  }
  std::string MetricName() {
    return Word("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789_");
  }

  IpAddress Unicast() {
    while (true) {
      IpAddress a = IpAddress::V4(static_cast<uint32_t>(random_()));
      if (Chance()) {
        std::array<uint8_t, 16> octets{};
        for (uint8_t& o : octets) o = static_cast<uint8_t>(Below(256));
        a = IpAddress::V6(octets);
      }
      if (IsUnicast(a)) return a;
    }
  }

  Announce RandomAnnounce() {
    Announce a;
    a.instance = Name();
    a.service = Name();
    a.bid = Unicast();
    if (Chance()) a.sid = Unicast();
    if (a.sid == a.bid) a.sid.reset();
    a.health = static_cast<Health>(Below(3));
    if (Chance()) a.capacity.cpu_cores = Positive();
    if (Chance()) a.capacity.memory_bytes = Positive();
    if (Chance()) a.capacity.gpus = Chance() ? 0.0 : Positive();
    if (Chance()) a.capacity.max_sessions = Positive();
    if (Chance()) a.capacity.requests_per_s = Positive();
    return a;
  }

  Report RandomReport() {
    Report r;
    r.instance = Name();
    std::set<std::string> names;
    for (uint64_t n = Below(20); n > 0; --n) {
      MetricSample s{.name = MetricName(), .value = Chance() ? 0.0 : Positive(), .unit = "bytes"};
      if (!names.insert(s.name).second) continue;
      if (const std::string_view unit = DefinedUnit(s.name); !unit.empty()) s.unit = unit;
      s.level = static_cast<MetricLevel>(Below(3));
      if (s.level != MetricLevel::kL0) {
        s.unit = "1";
        s.value = static_cast<double>(Below(11));
      }
      s.source = static_cast<MetricSource>(Below(6));
      s.statistic = static_cast<MetricStatistic>(Below(7));
      s.window = std::chrono::milliseconds{Below(86400001)};
      if (PlausibleMetric(s)) r.metrics.push_back(s);
    }
    return r;
  }

  Paths RandomPaths() {
    Paths p;
    std::set<std::pair<std::string, bool>> seen;
    const auto part = [this] { return static_cast<double>(Below(1001)) / 1000; };
    const auto time = [this] { return Micros{Below(600000001)}; };
    for (uint64_t n = Below(20); n > 0; --n) {
      PathSample s;
      s.peer = Name();
      s.ipv6 = Chance();
      if (!seen.emplace(s.peer, s.ipv6).second) continue;
      if (Chance()) s.rtt = time();
      if (s.rtt && Chance()) s.rtt_min = Micros{Below(static_cast<uint64_t>(s.rtt->count()) + 1)};
      if (Chance()) s.jitter_forward = time();
      if (Chance()) s.jitter_backward = time();
      if (Chance()) s.loss_forward = part();
      if (Chance()) s.loss_backward = part();
      s.loss = part();
      s.sent = static_cast<uint32_t>(1 + Below(UINT32_MAX));
      s.window = std::chrono::milliseconds{1 + Below(86400000)};
      p.paths.push_back(s);
    }
    return p;
  }

  Heartbeat RandomHeartbeat() {
    Heartbeat beat;
    beat.interval = std::chrono::milliseconds{10 + Below(3599991)};
    if (Chance()) {
      beat.updates = UpdateCounters{.sent_interval = random_(),
                                    .sent_threshold = random_(),
                                    .sent_refresh = random_(),
                                    .suppressed_gap = random_(),
                                    .suppressed_damped = random_(),
                                    .suppressed_hysteresis = random_(),
                                    .suppressed_unchanged = random_()};
    }
    return beat;
  }

  AgentMessage RandomMessage() {
    AgentMessage m{.agent = Name(),
                   .boot_epoch = 1 + Below(UINT64_MAX),
                   .sequence = random_(),
                   .sent_at = FromUnixMicros(static_cast<int64_t>(1 + Below(253402300799999999))),
                   .body = {}};
    switch (Below(5)) {
      case 0: m.body = RandomAnnounce(); break;
      case 1: m.body = RandomReport(); break;
      case 2: m.body = Withdraw{.instance = Name(), .reason = std::string(Below(129), 'r')}; break;
      case 3: m.body = RandomPaths(); break;
      default: m.body = RandomHeartbeat(); break;
    }
    return m;
  }

  // Breaks rules that damaged bytes seldom reach.
  void Spoil(AgentMessage& m) {
    if (auto* a = std::get_if<Announce>(&m.body)) {
      switch (Below(4)) {
        case 0: a->bid = IpAddress::V4(static_cast<uint32_t>(0xe0000000 + Below(0x20000000))); break;
        case 1: a->sid = a->bid; break;
        case 2: a->capacity.gpus = -Positive(); break;
        default: a->service += "_"; break;
      }
    } else if (auto* r = std::get_if<Report>(&m.body)) {
      if (r->metrics.empty()) return;
      MetricSample extra = r->metrics[Below(r->metrics.size())];
      switch (Below(4)) {
        case 0: break;  // said twice
        case 1: extra = {.name = "extra", .value = std::nan(""), .unit = "1"}; break;
        case 2: extra = {.name = "extra", .value = -1, .unit = "1"}; break;
        default: extra = {.name = "cpu_utilization", .value = 65, .unit = "ratio"}; break;
      }
      r->metrics.push_back(extra);
    } else if (auto* p = std::get_if<Paths>(&m.body)) {
      if (p->paths.empty()) return;
      PathSample extra = p->paths[Below(p->paths.size())];
      if (Chance()) extra.peer = "extra";  // else: said twice
      switch (Below(5)) {
        case 0: extra.loss = std::nan(""); break;
        case 1: extra.loss_forward = 1.5; break;
        case 2: extra.rtt = Micros{-1}; break;
        case 3: extra.rtt_min = Micros{600000000}; break;
        default: extra.sent = 0; break;
      }
      p->paths.push_back(extra);
    } else if (auto* w = std::get_if<Withdraw>(&m.body)) {
      w->reason = std::string(129, 'x');
    } else {
      m.boot_epoch = 0;
    }
  }

  std::string Damage(std::string bytes) {
    for (uint64_t n = 1 + Below(4); n > 0 && !bytes.empty(); --n) {
      const size_t at = Below(bytes.size());
      switch (Below(5)) {
        case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8))); break;
        case 1: bytes[at] = static_cast<char>(Below(256)); break;
        case 2: bytes.erase(at, 1 + Below(8)); break;
        case 3: bytes.insert(at, 1 + Below(8), static_cast<char>(Below(256))); break;
        default: bytes.insert(at, bytes.substr(Below(bytes.size()), Below(40))); break;
      }
    }
    return bytes;
  }

  std::mt19937_64 random_;
};

// The rules once more, written apart from Decode.
void ExpectValid(const AgentMessage& m) {
  EXPECT_TRUE(IsName(m.agent));
  EXPECT_NE(m.boot_epoch, 0u);
  EXPECT_GT(UnixMicros(m.sent_at), 0);
  if (const auto* a = std::get_if<Announce>(&m.body)) {
    EXPECT_TRUE(IsName(a->instance) && IsName(a->service));
    EXPECT_TRUE(IsUnicast(a->bid));
    EXPECT_TRUE(!a->sid || (IsUnicast(*a->sid) && *a->sid != a->bid));
    for (const auto& value : {a->capacity.cpu_cores, a->capacity.memory_bytes, a->capacity.max_sessions,
                              a->capacity.requests_per_s, a->capacity.gpus}) {
      EXPECT_TRUE(!value || (std::isfinite(*value) && *value >= 0));
    }
  } else if (const auto* r = std::get_if<Report>(&m.body)) {
    EXPECT_TRUE(IsName(r->instance));
    EXPECT_LE(r->metrics.size(), kMaxMetrics);
    std::set<std::string> names;
    for (const MetricSample& s : r->metrics) {
      EXPECT_TRUE(IsMetricName(s.name) && IsUnit(s.unit) && PlausibleMetric(s));
      EXPECT_TRUE(names.insert(s.name).second) << s.name;
    }
  } else if (const auto* p = std::get_if<Paths>(&m.body)) {
    EXPECT_LE(p->paths.size(), kMaxPaths);
    std::set<std::pair<std::string, bool>> seen;
    for (const PathSample& s : p->paths) {
      EXPECT_TRUE(IsName(s.peer) && seen.emplace(s.peer, s.ipv6).second) << s.peer;
      for (const std::optional<double>& loss :
           {std::optional<double>(s.loss), s.loss_forward, s.loss_backward}) {
        EXPECT_TRUE(!loss || (*loss >= 0 && *loss <= 1));
      }
      for (const std::optional<Micros>& t : {s.rtt, s.rtt_min, s.jitter_forward, s.jitter_backward}) {
        EXPECT_TRUE(!t || (t->count() >= 0 && t->count() <= 600000000));
      }
      EXPECT_TRUE(!s.rtt_min || (s.rtt && *s.rtt_min <= *s.rtt));
      EXPECT_TRUE(s.sent > 0 && s.window.count() > 0);
    }
  } else if (const auto* w = std::get_if<Withdraw>(&m.body)) {
    EXPECT_TRUE(IsName(w->instance));
    EXPECT_LE(w->reason.size(), 128u);
  } else {
    const auto interval = std::get<Heartbeat>(m.body).interval.count();
    EXPECT_TRUE(interval >= 10 && interval <= 3600000);
  }
}

TEST_F(WireProperty, RoundTrip) {
  for (int i = 0; i < 5000; ++i) {
    const AgentMessage m = RandomMessage();
    const Result<AgentMessage> again = Decode(Topic(m), Encode(m));
    ASSERT_TRUE(again.ok()) << again.error().ToString();
    ASSERT_EQ(*again, m);
  }
}

TEST_F(WireProperty, DamagedBytesNeverGiveAnInvalidMessage) {
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < 20000 && !HasFailure(); ++i) {
    AgentMessage m = RandomMessage();
    const bool spoil = Chance();
    if (spoil) Spoil(m);
    const Result<AgentMessage> damaged = Decode(Topic(m), spoil ? Encode(m) : Damage(Encode(m)));
    if (damaged.ok()) {
      ++accepted;
      ExpectValid(*damaged);
    } else {
      ++refused;
      EXPECT_FALSE(damaged.error().message.empty());
      EXPECT_LT(damaged.error().ToString().size(), 400u);
    }
  }
  // Both ways out must have been taken, or the damage tests nothing.
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace dyncast::wire
