#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using wire::Announce;
using wire::Heartbeat;
using wire::Report;
using wire::Withdraw;

TEST(AgentCore, SaysEverythingAgainEveryInterval) {
  CoreDriver d(TestConfig({TestInstance("a"), TestInstance("b", "10.0.0.2")}));
  ASSERT_TRUE(d.RunTo(3000));
  EXPECT_THAT(d.TimesOf<Heartbeat>(), ElementsAre(0, 500, 1000, 1500, 2000, 2500, 3000));
  // The second at 0: its first check passed. 500: values over a window exist (report only).
  EXPECT_THAT(d.TimesOf<Announce>("a"), ElementsAre(0, 0, 1000, 2000, 3000));
  EXPECT_THAT(d.TimesOf<Report>("b"), ElementsAre(0, 500, 1000, 2000, 3000));
  EXPECT_THAT(d.samples, ElementsAre(0, 500, 1000, 2000, 3000));
  EXPECT_EQ(d.core.counters().updates.sent_interval, 10u);
}

TEST(AgentCore, SequenceGrowsByOneOverAllKinds) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(5000));
  d.Take(d.core.Stop(d.now()));
  ASSERT_TRUE(d.RunTo(6000));
  for (size_t i = 0; i < d.messages.size(); ++i) {
    EXPECT_EQ(d.messages[i].sequence, i + 1);
    EXPECT_EQ(d.messages[i].boot_epoch, 42u);
    EXPECT_EQ(d.messages[i].agent, "edge-2");
    EXPECT_EQ(UnixMicros(d.messages[i].sent_at), 5000000 + d.times_ms[i] * 1000);
  }
}

TEST(AgentCore, AnnouncesWhatTheInstanceIs) {
  config::InstanceConfig config = TestInstance("a", "10.0.0.9");
  config.capacity = {.cpu_cores = 3, .max_sessions = 100};
  CoreDriver d(TestConfig({config}));
  d.host.memory = MemoryInfo{.total_bytes = 1000, .available_bytes = 250};
  ASSERT_TRUE(d.RunTo(1000));
  ASSERT_NE(d.Last<Announce>(), nullptr);
  EXPECT_EQ(*d.Last<Announce>(),
            (Announce{.instance = "a",
                      .service = "web",
                      .sid = std::nullopt,
                      .bid = *IpAddress::Parse("10.0.0.9"),
                      .capacity = {.cpu_cores = 3, .memory_bytes = 1000, .max_sessions = 100},
                      .health = wire::Health::kUp}));
  EXPECT_EQ(d.Last<Report>()->metrics,
            (std::vector<MetricSample>{{.name = "memory_utilization", .value = 0.75, .unit = "ratio"}}));
}

TEST(AgentCore, AHealthChangeIsAnnouncedAtOnce) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(1400));
  d.Clear();
  d.outcome = CheckOutcome::kFail;
  ASSERT_TRUE(d.RunTo(1600));
  ASSERT_THAT(d.TimesOf<Announce>(), ElementsAre(1500));
  EXPECT_EQ(d.Last<Announce>()->health, wire::Health::kDown);
  EXPECT_EQ(d.notes.back().detail.substr(0, 4), "down");
  ASSERT_TRUE(d.RunTo(2000));  // and again in full at the interval
  EXPECT_THAT(d.TimesOf<Announce>(), ElementsAre(1500, 2000));
  EXPECT_EQ(d.Last<Announce>()->health, wire::Health::kDown);
}

TEST(AgentCore, ChecksBeginAtOnceAndKeepTheirInterval) {
  config::InstanceConfig config = TestInstance("a");
  config.health.interval = milliseconds(200);
  CoreDriver d(TestConfig({config}));
  ASSERT_TRUE(d.RunTo(700));
  std::vector<int64_t> times;
  for (const auto& [at, slot] : d.checks) times.push_back(at);
  EXPECT_THAT(times, ElementsAre(0, 200, 400, 600));
}

TEST(AgentCore, ACheckThatHangsDelaysNothingAndIsNotDoubled) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  d.answer_checks = false;
  ASSERT_TRUE(d.RunTo(2000));
  EXPECT_EQ(d.checks.size(), 1u);
  EXPECT_THAT(d.TimesOf<Heartbeat>(), ElementsAre(0, 500, 1000, 1500, 2000));
  EXPECT_THAT(d.TimesOf<Report>(), ElementsAre(0, 500, 1000, 2000));
  EXPECT_EQ(d.Last<Announce>()->health, wire::Health::kUnknown);
}

TEST(AgentCore, WithoutAHealthCheckItIsUp) {
  config::InstanceConfig config = TestInstance("a");
  config.health.kind = config::HealthCheckKind::kNone;
  CoreDriver d(TestConfig({config}));
  ASSERT_TRUE(d.RunTo(100));
  EXPECT_TRUE(d.checks.empty());
  EXPECT_EQ(d.Last<Announce>()->health, wire::Health::kUp);
}

TEST(AgentCore, AThresholdReportsBetweenTheIntervals) {
  config::AgentConfig config = TestConfig({TestInstance("a")});
  config.report_interval = milliseconds(10000);
  config.thresholds = {{.metric = "sessions", .change = 10.0, .relative = std::nullopt}};
  CoreDriver d(config);
  ASSERT_TRUE(d.RunTo(0));
  const Slot slot = d.core.instances().begin()->first;
  d.readings[slot].sockets.sessions = 5;
  ASSERT_TRUE(d.RunTo(2000));  // 250: the metric appeared; 500: settled
  EXPECT_THAT(d.TimesOf<Report>(), ElementsAre(0, 250, 500));
  d.readings[slot].sockets.sessions = 14;
  ASSERT_TRUE(d.RunTo(3000));
  EXPECT_EQ(d.TimesOf<Report>().size(), 3u);
  d.readings[slot].sockets.sessions = 15;
  ASSERT_TRUE(d.RunTo(4000));
  EXPECT_THAT(d.TimesOf<Report>(), ElementsAre(0, 250, 500, 3250));
  EXPECT_EQ(d.core.counters().updates.sent_threshold, 2u);
  EXPECT_GT(d.core.counters().updates.suppressed_unchanged, 5u);
}

TEST(AgentCore, WithoutThresholdsNothingIsReadBetweenReports) {
  config::AgentConfig config = TestConfig({TestInstance("a")});
  config.report_interval = milliseconds(10000);
  CoreDriver d(config);
  ASSERT_TRUE(d.RunTo(20000));
  EXPECT_THAT(d.samples, ElementsAre(0, 500, 10000, 20000));
}

TEST(AgentCore, APageIsAskedForBeforeItsSample) {
  config::InstanceConfig instance = TestInstance("a");
  instance.scrape = config::ScrapeConfig{.url = "http://127.0.0.1/",
                                         .metrics = {{.name = "queue", .from = "q", .labels = {}}}};
  CoreDriver d(TestConfig({instance}));
  ASSERT_TRUE(d.RunTo(0));
  ASSERT_EQ(d.scrapes.size(), 1u);
  d.core.OnScrape(d.scrapes[0].second, {{4.0}}, d.now());
  ASSERT_TRUE(d.RunTo(500));
  ASSERT_EQ(d.scrapes.size(), 2u);
  EXPECT_EQ(d.scrapes[1].first, 450);
  EXPECT_EQ(d.Last<Report>()->metrics,
            (std::vector<MetricSample>{
                {.name = "queue", .value = 4, .unit = "1", .source = MetricSource::kDirect}}));
  ASSERT_TRUE(d.RunTo(5000));  // never answered again: the value goes, the reports do not
  EXPECT_EQ(d.scrapes.size(), 2u);
  EXPECT_TRUE(d.Last<Report>()->metrics.empty());
  EXPECT_EQ(d.TimesOf<Report>().back(), 5000);
}

TEST(AgentCore, ANewControllerHearsAllWithinTheGap) {
  CoreDriver d(TestConfig({TestInstance("a"), TestInstance("b")}));
  ASSERT_TRUE(d.RunTo(1300));
  d.Clear();
  for (int i = 0; i < 50; ++i) d.core.OnSubscriber(d.now());
  ASSERT_TRUE(d.RunTo(1300));
  EXPECT_THAT(d.TimesOf<Announce>(), ElementsAre(1300, 1300));
  EXPECT_THAT(d.TimesOf<Report>(), ElementsAre(1300, 1300));
  for (int i = 0; i < 50; ++i) d.core.OnSubscriber(d.now());
  ASSERT_TRUE(d.RunTo(1450));
  EXPECT_THAT(d.TimesOf<Announce>(), ElementsAre(1300, 1300, 1400, 1400));
  EXPECT_THAT(d.TimesOf<Report>(), ElementsAre(1300, 1300, 1400, 1400));
}

TEST(AgentCore, AStopWithdrawsAllThreeTimesAndIsSilentThen) {
  CoreDriver d(TestConfig({TestInstance("a"), TestInstance("b")}));
  ASSERT_TRUE(d.RunTo(1300));
  d.Clear();
  d.Take(d.core.Stop(d.now()));
  EXPECT_FALSE(d.core.stopped());
  ASSERT_TRUE(d.RunTo(5000));
  EXPECT_TRUE(d.core.stopped());
  EXPECT_THAT(d.TimesOf<Withdraw>("a"), ElementsAre(1300, 1350, 1400));
  EXPECT_THAT(d.TimesOf<Withdraw>("b"), ElementsAre(1300, 1350, 1400));
  EXPECT_EQ(d.messages.size(), 6u);
  EXPECT_EQ(d.Last<Withdraw>()->reason, "agent stopped");
}

TEST(AgentCore, AStopBeforeTheStartIsDoneAtOnce) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  d.Take(d.core.Stop(d.now()));
  EXPECT_TRUE(d.core.stopped());
  EXPECT_TRUE(d.messages.empty());
}

TEST(AgentCore, ALateLoopSkipsWhatItMissed) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(1000));
  d.Clear();
  d.at_us = 7700000;  // the process was stopped for a while
  ASSERT_TRUE(d.RunTo(8000));
  EXPECT_THAT(d.TimesOf<Heartbeat>(), ElementsAre(7700, 8000));
  EXPECT_THAT(d.TimesOf<Report>(), ElementsAre(7700, 8000));
}

TEST(AgentCore, RefusedMetricsAreCountedAndNoted) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  d.host.load1 = -1;
  ASSERT_TRUE(d.RunTo(0));
  EXPECT_EQ(d.core.counters().refused_metrics, 1u);
  EXPECT_EQ(d.notes.back().detail, "load1=-1");
}

}  // namespace
}  // namespace dyncast::agent
