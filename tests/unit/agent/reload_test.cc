#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core_fixture.h"

namespace dyncast::agent {
namespace {

using testing::ElementsAre;
using wire::Announce;
using wire::Health;
using wire::Withdraw;

void Reload(CoreDriver* d, config::AgentConfig config) {
  auto effects = d->core.Reload(std::move(config), d->now());
  ASSERT_TRUE(effects) << effects.error().ToString();
  d->Take(std::move(*effects));
}

TEST(Reload, AnInstanceThatVanishedIsWithdrawnThreeTimes) {
  CoreDriver d(TestConfig({TestInstance("a"), TestInstance("b")}));
  ASSERT_TRUE(d.RunTo(1300));
  d.Clear();
  Reload(&d, TestConfig({TestInstance("b")}));
  ASSERT_TRUE(d.RunTo(6000));
  EXPECT_THAT(d.TimesOf<Withdraw>("a"), ElementsAre(1300, 2300, 3300));
  EXPECT_TRUE(d.TimesOf<Withdraw>("b").empty());
  EXPECT_TRUE(d.TimesOf<Announce>("a").empty());
  EXPECT_EQ(d.TimesOf<Announce>("b").front(), 1300);
}

TEST(Reload, AnInstanceThatComesBackIsNotWithdrawnAgain) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(1300));
  Reload(&d, TestConfig({}));
  ASSERT_TRUE(d.RunTo(1400));
  Reload(&d, TestConfig({TestInstance("a")}));
  d.Clear();
  ASSERT_TRUE(d.RunTo(6000));
  EXPECT_TRUE(d.TimesOf<Withdraw>().empty());
  EXPECT_EQ(d.Last<Announce>()->health, Health::kUp);
}

TEST(Reload, AnUnchangedInstanceKeepsItsStateAndSlot) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(1300));
  const Slot slot = d.core.instances().begin()->first;
  Reload(&d, TestConfig({TestInstance("a"), TestInstance("c")}));
  EXPECT_EQ(d.core.instances().begin()->first, slot);
  EXPECT_EQ(d.core.instances().begin()->second.health().health(), Health::kUp);
}

TEST(Reload, AChangeThatMovesNothingKeepsTheHealth) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(1300));
  d.answer_checks = false;
  d.Clear();
  config::InstanceConfig changed = TestInstance("a");
  changed.health.fall = 3;
  Reload(&d, TestConfig({changed}));
  ASSERT_TRUE(d.RunTo(1300));
  EXPECT_EQ(d.Last<Announce>()->health, Health::kUp);
  EXPECT_TRUE(d.TimesOf<Withdraw>().empty());
}

TEST(Reload, AnotherAddressIsWithdrawnAndAnnouncedAnew) {
  CoreDriver d(TestConfig({TestInstance("a", "10.0.0.1")}));
  ASSERT_TRUE(d.RunTo(1300));
  d.answer_checks = false;
  d.Clear();
  Reload(&d, TestConfig({TestInstance("a", "10.0.0.2")}));
  ASSERT_TRUE(d.RunTo(6000));
  EXPECT_THAT(d.TimesOf<Withdraw>(), ElementsAre(1300));
  EXPECT_TRUE(std::holds_alternative<Withdraw>(d.messages.front().body));
  EXPECT_EQ(d.Last<Announce>()->bid, *IpAddress::Parse("10.0.0.2"));
  EXPECT_EQ(d.Last<Announce>()->health, Health::kUnknown);
}

TEST(Reload, ResultsOfAnInstanceThatIsGoneAreLeftOut) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  d.answer_checks = false;
  ASSERT_TRUE(d.RunTo(100));
  const Slot slot = d.checks.at(0).second;
  Reload(&d, TestConfig({}));
  d.Clear();
  d.Take(d.core.OnCheck(slot, CheckOutcome::kPass, "", d.now()));
  d.core.OnScrape(slot, std::nullopt, d.now());
  EXPECT_TRUE(d.messages.empty());
}

TEST(Reload, AnotherAgentNameIsRefusedAndChangesNothing) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(1300));
  config::AgentConfig other = TestConfig({});
  other.name = "edge-3";
  const auto effects = d.core.Reload(other, d.now());
  ASSERT_FALSE(effects);
  EXPECT_NE(effects.error().message.find("'edge-2' to 'edge-3'"), std::string::npos);
  EXPECT_EQ(d.core.instances().size(), 1u);
  EXPECT_EQ(d.core.config().name, "edge-2");
}

TEST(Reload, NewIntervalsHoldForOldInstances) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(1300));
  config::AgentConfig config = TestConfig({TestInstance("a")});
  config.report_interval = std::chrono::milliseconds(300);
  Reload(&d, config);
  d.Clear();
  ASSERT_TRUE(d.RunTo(2000));
  EXPECT_THAT(d.TimesOf<wire::Report>(), ElementsAre(1300, 1600, 1900));
}

TEST(Reload, AStopDuringAWithdrawalEndsBoth) {
  CoreDriver d(TestConfig({TestInstance("a"), TestInstance("b")}));
  ASSERT_TRUE(d.RunTo(1300));
  Reload(&d, TestConfig({TestInstance("b")}));
  d.Clear();
  d.Take(d.core.Stop(d.now()));
  ASSERT_TRUE(d.RunTo(1500));
  EXPECT_TRUE(d.core.stopped());
  EXPECT_THAT(d.TimesOf<Withdraw>("a"), ElementsAre(1300, 1350));
  EXPECT_THAT(d.TimesOf<Withdraw>("b"), ElementsAre(1300, 1350, 1400));
}

}  // namespace
}  // namespace dyncast::agent
