#include "agent/core/path_policy.h"

#include <gtest/gtest.h>

#include "core_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

MonoTime At(int64_t ms) { return MonoTime{milliseconds(1000000 + ms)}; }

PathSample Path(int64_t rtt_us, double loss = 0, const std::string& peer = "edge3") {
  PathSample path;
  path.peer = peer;
  if (rtt_us >= 0) path.rtt = Micros(rtt_us);
  path.loss = loss;
  path.sent = 50;
  path.window = milliseconds(5000);
  return path;
}

PathPolicy Policy() {
  return PathPolicy({.interval = milliseconds(1000),
                     .gap = milliseconds(100),
                     .threshold = {.relative = 0.25, .change = Micros(1000), .loss = 0.05}});
}

TEST(PathPolicy, SendsAtTheIntervalAndKeepsItsGrid) {
  PathPolicy policy = Policy();
  std::vector<int64_t> sent;
  for (int64_t ms = 0; ms <= 5000; ms += 260) {
    if (policy.OnPaths({Path(10000)}, At(ms))) sent.push_back(ms);
  }
  EXPECT_EQ(sent, (std::vector<int64_t>{0, 1040, 2080, 3120, 4160}));
  EXPECT_EQ(policy.counters().sent_interval, 5u);
  EXPECT_EQ(policy.counters().suppressed_unchanged, 15u);
}

TEST(PathPolicy, ALargeChangeGoesOutAtOnce) {
  PathPolicy policy = Policy();
  ASSERT_TRUE(policy.OnPaths({Path(10000)}, At(0)));
  EXPECT_FALSE(policy.OnPaths({Path(12400)}, At(200))) << "less than a quarter";
  EXPECT_TRUE(policy.OnPaths({Path(12500)}, At(300)));
  EXPECT_FALSE(policy.OnPaths({Path(10000)}, At(500))) << "a fifth of what was said";
  EXPECT_TRUE(policy.OnPaths({Path(9000)}, At(600)));
  EXPECT_EQ(policy.counters().sent_threshold, 2u);
}

TEST(PathPolicy, ATinyPathMayDoubleUnsaid) {
  PathPolicy policy = Policy();
  ASSERT_TRUE(policy.OnPaths({Path(100)}, At(0)));
  EXPECT_FALSE(policy.OnPaths({Path(1000)}, At(200)));
  EXPECT_TRUE(policy.OnPaths({Path(1100)}, At(300)));
}

TEST(PathPolicy, LossAndWhatAppearsOrVanishesAreChanges) {
  PathPolicy policy = Policy();
  ASSERT_TRUE(policy.OnPaths({Path(10000)}, At(0)));
  EXPECT_FALSE(policy.OnPaths({Path(10000, 0.04)}, At(150)));
  EXPECT_TRUE(policy.OnPaths({Path(10000, 0.06)}, At(300)));
  EXPECT_TRUE(policy.OnPaths({Path(-1, 0.06)}, At(450))) << "no times any more";
  EXPECT_TRUE(policy.OnPaths({Path(-1, 0.06), Path(10000, 0, "edge4")}, At(600)));
  EXPECT_TRUE(policy.OnPaths({Path(-1, 0.06), Path(10000, 0, "edge5")}, At(750)));
  PathSample v6 = Path(10000, 0, "edge5");
  v6.ipv6 = true;
  EXPECT_TRUE(policy.OnPaths({Path(-1, 0.06), v6}, At(900)));
}

TEST(PathPolicy, NothingGoesOutWithinTheGap) {
  PathPolicy policy = Policy();
  ASSERT_TRUE(policy.OnPaths({Path(10000)}, At(0)));
  for (int64_t ms = 10; ms < 100; ms += 10) EXPECT_FALSE(policy.OnPaths({Path(10000 * ms)}, At(ms)));
  EXPECT_TRUE(policy.OnPaths({Path(50000)}, At(100)));
  EXPECT_EQ(policy.counters().suppressed_gap, 9u);
}

TEST(PathPolicy, ANewControllerHearsItAfterTheGap) {
  PathPolicy policy = Policy();
  ASSERT_TRUE(policy.OnPaths({Path(10000)}, At(0)));
  policy.Refresh();
  EXPECT_FALSE(policy.OnPaths({Path(10000)}, At(50)));
  EXPECT_TRUE(policy.OnPaths({Path(10000)}, At(100)));
  EXPECT_FALSE(policy.OnPaths({Path(10000)}, At(250)));
  EXPECT_EQ(policy.counters().sent_refresh, 1u);
}

TEST(PathPolicy, ThatNoPathIsLeftIsSaidThreeTimes) {
  PathPolicy policy = Policy();
  EXPECT_FALSE(policy.OnPaths({}, At(0)));
  EXPECT_FALSE(policy.has_reported());
  ASSERT_TRUE(policy.OnPaths({Path(10000)}, At(100)));
  EXPECT_TRUE(policy.OnPaths({}, At(300)));
  EXPECT_TRUE(policy.has_reported());
  EXPECT_FALSE(policy.OnPaths({}, At(500)));
  EXPECT_TRUE(policy.OnPaths({}, At(1200)));
  EXPECT_TRUE(policy.OnPaths({}, At(2200)));
  EXPECT_FALSE(policy.has_reported());
  EXPECT_FALSE(policy.OnPaths({}, At(3300)));
}

TEST(PathPolicy, AReloadKeepsWhatWasSaid) {
  PathPolicy policy = Policy();
  ASSERT_TRUE(policy.OnPaths({Path(10000)}, At(0)));
  policy.SetOptions({.interval = milliseconds(400), .gap = milliseconds(100), .threshold = {}});
  EXPECT_FALSE(policy.OnPaths({Path(10000)}, At(300)));
  EXPECT_TRUE(policy.OnPaths({Path(10000)}, At(400)));
}

TEST(AgentCore, PathsAreSaidWithTheNumbersOfAllMessages) {
  CoreDriver driver(TestConfig({TestInstance("a")}));
  EXPECT_TRUE(driver.core.OnPaths({Path(10000)}, driver.now()).messages.empty()) << "not started";
  ASSERT_TRUE(driver.RunTo(100));
  const uint64_t before = driver.messages.back().sequence;
  driver.Take(driver.core.OnPaths({Path(10000)}, driver.now()));
  ASSERT_NE(driver.Last<wire::Paths>(), nullptr);
  EXPECT_EQ(driver.Last<wire::Paths>()->paths, std::vector<PathSample>{Path(10000)});
  EXPECT_EQ(driver.messages.back().sequence, before + 1);
  EXPECT_EQ(driver.core.counters().paths, 1u);
  driver.core.OnSubscriber(driver.now());
  driver.at_us += 150000;
  EXPECT_EQ(driver.core.OnPaths({Path(10000)}, driver.now()).messages.size(), 1u);
  driver.Take(driver.core.Stop(driver.now()));
  EXPECT_TRUE(driver.core.OnPaths({Path(99999)}, driver.now()).messages.empty());
}

}  // namespace
}  // namespace dyncast::agent
