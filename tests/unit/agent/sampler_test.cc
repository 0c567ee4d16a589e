#include "agent/core/sampler.h"

#include <gtest/gtest.h>

#include "agent/core/health.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

MonoTime At(int64_t ms) { return MonoTime{milliseconds(1000000 + ms)}; }

TEST(WindowedRatio, NeedsTwoReadingsThatAreApart) {
  WindowedRatio ratio(milliseconds(500));
  EXPECT_FALSE(ratio.Current());
  ratio.Add(At(0), 10, 100);
  EXPECT_FALSE(ratio.Current());
  ratio.Add(At(49), 11, 110);
  EXPECT_FALSE(ratio.Current());
  ratio.Add(At(50), 12, 110);
  ASSERT_TRUE(ratio.Current());
  EXPECT_DOUBLE_EQ(ratio.Current()->value, 0.2);
  EXPECT_EQ(ratio.Current()->window, milliseconds(50));
}

TEST(WindowedRatio, ForgetsWhatIsOlderThanTheWindow) {
  WindowedRatio ratio(milliseconds(500));
  for (int i = 0; i <= 4; ++i) ratio.Add(At(250 * i), 0, 250 * i);
  for (int i = 5; i <= 8; ++i) ratio.Add(At(250 * i), 250 * (i - 4), 250 * i);
  ASSERT_TRUE(ratio.Current());
  EXPECT_DOUBLE_EQ(ratio.Current()->value, 1.0);  // idle before, busy for the last 500 ms
  EXPECT_EQ(ratio.Current()->window, milliseconds(500));
}

TEST(WindowedRatio, TheWindowGrowsWithTheInterval) {
  WindowedRatio ratio(milliseconds(500));
  ratio.Add(At(0), 0, 0);
  ratio.Add(At(10000), 4, 10);
  ratio.Add(At(20000), 6, 20);
  EXPECT_DOUBLE_EQ(ratio.Current()->value, 0.2);
  EXPECT_EQ(ratio.Current()->window, milliseconds(10000));
}

TEST(WindowedRatio, BeginsAnewWhenASumShrinks) {
  WindowedRatio ratio(milliseconds(500));
  ratio.Add(At(0), 1000, 5000);
  ratio.Add(At(500), 1100, 5100);
  ratio.Add(At(1000), 5, 5200);
  EXPECT_FALSE(ratio.Current());
  ratio.Add(At(1500), 30, 5300);
  EXPECT_DOUBLE_EQ(ratio.Current()->value, 0.25);
}

TEST(WindowedRatio, HasNoValueWhereTheDenominatorStands) {
  WindowedRatio ratio(milliseconds(500));
  ratio.Add(At(0), 1, 100);
  ratio.Add(At(500), 2, 100);
  EXPECT_FALSE(ratio.Current());
}

TEST(CounterRate, SurvivesAReset) {
  CounterRate rate(milliseconds(500));
  rate.Add(At(0), 1000000);
  EXPECT_FALSE(rate.Current());
  rate.Add(At(1000), 1000100);
  EXPECT_NEAR(rate.Current()->value, 100, 1e-6);
  rate.Add(At(2000), 40);  // restarted, 40 since
  EXPECT_NEAR(rate.Current()->value, 40, 1e-6);
  rate.Add(At(3000), 90);
  EXPECT_NEAR(rate.Current()->value, 50, 1e-6);
}

TEST(CpuShare, DividesByTheProcessorsThatWereAllowedAtTheTime) {
  CpuShare share(milliseconds(500));
  share.Add(At(0), std::chrono::seconds(7), 2);
  share.Add(At(1000), std::chrono::seconds(8), 2);
  EXPECT_DOUBLE_EQ(share.Current()->value, 0.5);
  share.Add(At(2000), std::chrono::milliseconds(8250), 0.5);  // cpu.max was lowered
  EXPECT_DOUBLE_EQ(share.Current()->value, 0.5);
}

TEST(HealthTracker, CountsInARowOnly) {
  HealthTracker health(3, 2, wire::Health::kUnknown);
  const auto pass = [&] { return health.OnCheck(CheckOutcome::kPass); };
  const auto fail = [&] { return health.OnCheck(CheckOutcome::kFail); };
  EXPECT_EQ(pass(), HealthChange::kSame);
  EXPECT_EQ(health.health(), wire::Health::kUnknown);
  EXPECT_EQ(pass(), HealthChange::kChanged);
  EXPECT_EQ(health.health(), wire::Health::kUp);
  EXPECT_EQ(pass(), HealthChange::kSame);
  EXPECT_EQ(fail(), HealthChange::kSame);
  EXPECT_EQ(fail(), HealthChange::kSame);
  EXPECT_EQ(pass(), HealthChange::kSame);  // the failures before do not count any more
  EXPECT_EQ(fail(), HealthChange::kSame);
  EXPECT_EQ(fail(), HealthChange::kSame);
  EXPECT_EQ(health.health(), wire::Health::kUp);
  EXPECT_EQ(fail(), HealthChange::kChanged);
  EXPECT_EQ(health.health(), wire::Health::kDown);
  EXPECT_EQ(fail(), HealthChange::kSame);
}

TEST(HealthTracker, TheFirstFailureIsEnoughWithFallOne) {
  HealthTracker health(1, 1, wire::Health::kUnknown);
  EXPECT_EQ(health.OnCheck(CheckOutcome::kFail), HealthChange::kChanged);
  EXPECT_EQ(health.health(), wire::Health::kDown);
  EXPECT_EQ(health.OnCheck(CheckOutcome::kPass), HealthChange::kChanged);
}

}  // namespace
}  // namespace dyncast::agent
