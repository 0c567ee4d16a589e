// Random lives of an agent: values that move, checks that pass, fail or hang, pages, reloads, late loops,
// new controllers. What must hold on the wire whatever happens is checked against the messages alone.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "core_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

uint64_t Seed() {
  const char* given = std::getenv("DYNCAST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("DYNCAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

class Life {
 public:
  explicit Life(uint64_t seed) : random_(seed), driver_(RandomConfig()) { driver_.answer_checks = false; }

  int64_t Pick(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

  config::AgentConfig RandomConfig() {
    config::AgentConfig config = TestConfig({});
    config.report_interval = milliseconds(Pick(20, 3000));
    config.sample_interval = milliseconds(Pick(10, 1000));
    config.heartbeat_interval = milliseconds(Pick(10, 1000));
    config.minimum_gap = milliseconds(std::min<int64_t>(Pick(1, 400), config.report_interval.count()));
    if (Pick(0, 1) == 1) config.thresholds = {{.metric = "load1", .change = 0.5, .relative = std::nullopt}};
    for (int i = 0; i < 4; ++i) {
      if (Pick(0, 2) == 0) continue;
      config::InstanceConfig instance =
          TestInstance("i" + std::to_string(i), "10.0.0." + std::to_string(Pick(1, 2)));
      instance.health.interval = milliseconds(Pick(20, 2000));
      instance.health.fall = static_cast<uint32_t>(Pick(1, 3));
      if (Pick(0, 1) == 1) {
        instance.scrape.emplace();
        instance.scrape->metrics = {{.name = "request_rate", .from = "n", .labels = {}, .rate = true}};
      }
      config.instances.push_back(instance);
    }
    return config;
  }

  void Step() {
    switch (Pick(0, 9)) {
      case 0: driver_.host.load1 = static_cast<double>(Pick(-1, 8)) / 2; break;
      case 1: driver_.host.load1.reset(); break;
      case 2: driver_.core.OnSubscriber(driver_.now()); break;
      case 3: driver_.at_us += Pick(0, 3000) * 1000; break;  // a late loop
      case 4:
        if (Pick(0, 9) == 0) Reload();
        break;
      case 5:
        driver_.host.cpu = CpuTimes{.busy_ticks = static_cast<uint64_t>(Pick(0, 1000)),
                                    .total_ticks = static_cast<uint64_t>(Pick(1000, 2000)),
                                    .processors = 2};
        break;
      default: break;
    }
    ASSERT_TRUE(driver_.RunTo(driver_.ms() + Pick(0, 200))) << "the core asks for the same moment for ever";
    SayPaths();
    AnswerSome();
    Check();
  }

  uint64_t paths_said = 0;
  void StopAndCheck() {
    driver_.Take(driver_.core.Stop(driver_.now()));
    ASSERT_TRUE(driver_.RunTo(driver_.ms() + 1000));
    EXPECT_TRUE(driver_.core.stopped());
    Check();
    EXPECT_TRUE(present_.empty()) << *present_.begin() << " was announced and never withdrawn";
  }

 private:
  void Reload() {
    auto effects = driver_.core.Reload(RandomConfig(), driver_.now());
    ASSERT_TRUE(effects);
    last_report_ms_.clear();  // a new policy may report at once
    last_paths_ms_.reset();   // the gap may be longer now
    driver_.Take(std::move(*effects));
  }
  void SayPaths() {
    std::vector<PathSample> paths;
    for (const char* peer : {"edge-3", "edge-4"}) {
      if (Pick(0, 3) == 0) continue;
      PathSample path;
      path.peer = peer;
      if (Pick(0, 3) != 0) path.rtt = Micros(Pick(0, 50000));
      path.loss = static_cast<double>(Pick(0, 10)) / 10;
      path.sent = 50;
      path.window = milliseconds(5000);
      paths.push_back(path);
    }
    driver_.Take(driver_.core.OnPaths(std::move(paths), driver_.now()));
  }
  void AnswerSome() {
    auto checks = std::exchange(driver_.checks, {});
    for (const auto& [at, slot] : checks) {
      if (Pick(0, 3) == 0) {
        driver_.checks.push_back({at, slot});  // it hangs on
        continue;
      }
      const CheckOutcome outcome = Pick(0, 3) == 0 ? CheckOutcome::kFail : CheckOutcome::kPass;
      driver_.Take(driver_.core.OnCheck(slot, outcome, "", driver_.now()));
    }
    for (const auto& [at, slot] : std::exchange(driver_.scrapes, {})) {
      std::optional<std::vector<std::optional<double>>> values;
      if (Pick(0, 3) != 0) values = {{static_cast<double>(Pick(0, 100000))}};
      driver_.core.OnScrape(slot, values, driver_.now());
    }
  }
  void Check() {
    const int64_t gap_ms = driver_.core.config().minimum_gap.count();
    for (size_t i = 0; i < driver_.messages.size(); ++i) {
      const wire::AgentMessage& message = driver_.messages[i];
      ASSERT_EQ(message.sequence, ++sequence_);
      const int64_t at = UnixMicros(message.sent_at) / 1000 - 5000;
      if (const auto* announce = std::get_if<wire::Announce>(&message.body)) {
        present_.insert(announce->instance);
      } else if (const auto* withdraw = std::get_if<wire::Withdraw>(&message.body)) {
        present_.erase(withdraw->instance);
        last_report_ms_.erase(withdraw->instance);
      } else if (const auto* report = std::get_if<wire::Report>(&message.body)) {
        ASSERT_TRUE(present_.count(report->instance)) << "a report of what was not announced";
        const auto last = last_report_ms_.find(report->instance);
        if (last != last_report_ms_.end()) {
          ASSERT_GE(at, last->second + gap_ms);
        }
        last_report_ms_[report->instance] = at;
        for (const MetricSample& m : report->metrics) ASSERT_TRUE(PlausibleMetric(m)) << m.name;
      } else if (std::holds_alternative<wire::Paths>(message.body)) {
        if (last_paths_ms_) {
          ASSERT_GE(at, *last_paths_ms_ + gap_ms);
        }
        last_paths_ms_ = at;
        ++paths_said;
      }
    }
    driver_.Clear();
    driver_.samples.clear();
    driver_.notes.clear();
  }

  std::mt19937_64 random_;
  CoreDriver driver_;
  uint64_t sequence_ = 0;
  std::set<std::string> present_;
  std::map<std::string, int64_t> last_report_ms_;
  std::optional<int64_t> last_paths_ms_;
};

TEST(AgentLife, KeepsItsPromisesOnTheWire) {
  const uint64_t seed = Seed();
  for (uint64_t life = 0; life < 60; ++life) {
    SCOPED_TRACE("seed " + std::to_string(seed + life));
    Life l(seed + life);
    for (int i = 0; i < 150 && !testing::Test::HasFatalFailure(); ++i) l.Step();
    if (testing::Test::HasFatalFailure()) return;
    l.StopAndCheck();
    if (testing::Test::HasFatalFailure()) return;
    EXPECT_GT(l.paths_said, 0u);
  }
}

TEST(AgentLife, IsTheSameForTheSameEvents) {
  const auto run = [] {
    CoreDriver d(TestConfig({TestInstance("a"), TestInstance("b")}));
    EXPECT_TRUE(d.RunTo(7000));
    return std::move(d.messages);
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace dyncast::agent
