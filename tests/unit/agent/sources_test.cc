// The schedule of plug-ins and load fetches, and whose value wins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

std::optional<double> Value(const wire::Report* report, std::string_view name) {
  for (const MetricSample& m : report->metrics) {
    if (m.name == name) return m.value;
  }
  return std::nullopt;
}

config::PluginConfig Plugin(milliseconds interval, std::vector<config::ScrapedMetric> metrics) {
  return {
      .command = {"/bin/true"}, .interval = interval, .timeout = interval / 2, .metrics = std::move(metrics)};
}

std::vector<int64_t> TimesOf(const CoreDriver& d, size_t plugin) {
  std::vector<int64_t> times;
  for (const auto& [at, run] : d.plugins) {
    if (run.plugin == plugin) times.push_back(at);
  }
  return times;
}

TEST(Plugins, EachRunsAtItsOwnInterval) {
  config::InstanceConfig instance = TestInstance("a");
  instance.plugins = {Plugin(milliseconds(300), {{.name = "x", .from = "x", .labels = {}}}),
                      Plugin(milliseconds(700), {{.name = "y", .from = "y", .labels = {}}})};
  CoreDriver d(TestConfig({instance}));
  for (int64_t at = 0; at <= 1500; at += 10) {
    ASSERT_TRUE(d.RunTo(at));
    for (const auto& [when, run] : d.plugins) {
      if (when == d.ms()) d.Take(d.core.OnPlugin(run, {{static_cast<double>(run.plugin)}}, d.now()));
    }
  }
  EXPECT_THAT(TimesOf(d, 0), ElementsAre(0, 300, 600, 900, 1200, 1500));
  EXPECT_THAT(TimesOf(d, 1), ElementsAre(0, 700, 1400));
  EXPECT_EQ(Value(d.Last<wire::Report>(), "x"), 0);
  EXPECT_EQ(Value(d.Last<wire::Report>(), "y"), 1);
}

TEST(Plugins, OneThatHangsIsNotDoubledAndItsValueGoes) {
  config::InstanceConfig instance = TestInstance("a");
  instance.plugins = {Plugin(milliseconds(400), {{.name = "x", .from = "x", .labels = {}}})};
  CoreDriver d(TestConfig({instance}));
  ASSERT_TRUE(d.RunTo(0));
  d.Take(d.core.OnPlugin(d.plugins[0].second, {{7.0}}, d.now()));
  ASSERT_TRUE(d.RunTo(10000));
  EXPECT_THAT(TimesOf(d, 0), ElementsAre(0, 400));
  EXPECT_FALSE(Value(d.Last<wire::Report>(), "x")) << "older than interval, timeout and window";
  EXPECT_EQ(d.TimesOf<wire::Report>().back(), 10000);
  d.Take(d.core.OnPlugin(d.plugins[1].second, std::nullopt, d.now()));  // killed at last
  EXPECT_EQ(d.core.counters().plugins_failed, 1u);
  ASSERT_TRUE(d.RunTo(10400));
  EXPECT_EQ(TimesOf(d, 0).back(), 10400);
}

TEST(Plugins, ANewValueMayBeReasonForAReportAtOnce) {
  config::InstanceConfig instance = TestInstance("a");
  instance.plugins = {Plugin(milliseconds(400), {{.name = "x", .from = "x", .labels = {}}})};
  config::AgentConfig config = TestConfig({instance});
  config.report_interval = milliseconds(60000);
  config.sample_interval = milliseconds(60000);
  config.thresholds = {{.metric = "x", .change = 1.0, .levels = {}}};
  CoreDriver d(config);
  for (int64_t at = 0; at <= 4000; at += 10) {
    ASSERT_TRUE(d.RunTo(at));
    for (const auto& [when, run] : d.plugins) {
      if (when == d.ms()) d.Take(d.core.OnPlugin(run, {{at < 2500 ? 5.0 : 9.0}}, d.now()));
    }
  }
  EXPECT_THAT(d.TimesOf<wire::Report>(), ElementsAre(0, 100, 500, 2800))
      << "the first, its appearance after the gap, the settled one, the step";
}

TEST(LoadFetches, AreMadeBeforeEachSample) {
  config::InstanceConfig instance = TestInstance("a");
  instance.orca.emplace();
  instance.orca->url = "http://10.0.0.1:80/load";
  CoreDriver d(TestConfig({instance}));
  ASSERT_TRUE(d.RunTo(0));
  ASSERT_EQ(d.load_fetches.size(), 1u);
  d.Take(d.core.OnLoadFetch(d.load_fetches[0].second, LoadReport{{"eps", 3.0}}, d.now()));
  ASSERT_TRUE(d.RunTo(500));
  ASSERT_EQ(d.load_fetches.size(), 2u);
  EXPECT_EQ(d.load_fetches[1].first, 450);
  EXPECT_EQ(Value(d.Last<wire::Report>(), "error_rate"), 3);
  ASSERT_TRUE(d.RunTo(5000));
  EXPECT_EQ(d.load_fetches.size(), 2u) << "the second was never answered";
  d.Take(d.core.OnLoadFetch(d.load_fetches[1].second, MakeError(Errc::kUnavailable, "late"), d.now()));
  EXPECT_EQ(d.core.counters().load_reports_refused, 1u);
  ASSERT_TRUE(d.RunTo(6000));
  EXPECT_EQ(d.load_fetches.size(), 3u);
}

TEST(Sources, WhatIsConfiguredByNameWins) {
  config::InstanceConfig instance = TestInstance("a");
  instance.scrape =
      config::ScrapeConfig{.url = "http://10.0.0.1/",
                           .metrics = {{.name = "utilization", .from = "u", .labels = {}, .unit = "ratio"}}};
  instance.plugins = {
      Plugin(milliseconds(400), {{.name = "cpu_utilization", .from = "c", .labels = {}, .unit = "ratio"}})};
  instance.orca.emplace();
  instance.orca->post = true;
  instance.orca->metrics = {{.name = "memory_utilization", .from = "named_metrics.m", .unit = "ratio"}};
  CoreDriver d(TestConfig({instance}));
  d.host.memory = MemoryInfo{.total_bytes = 100, .available_bytes = 90};
  ASSERT_TRUE(d.RunTo(0));
  const Slot slot = d.core.instances().begin()->first;
  d.core.OnScrape(slot, {{0.11}}, d.now());
  d.Take(d.core.OnPlugin(d.plugins[0].second, {{0.22}}, d.now()));
  d.Take(d.core.OnLoadReport(slot,
                             LoadReport{{"application_utilization", 0.91},
                                        {"cpu_utilization", 0.92},
                                        {"mem_utilization", 0.93},
                                        {"named_metrics.m", 0.33},
                                        {"rps_fractional", 5}},
                             d.now()));
  ASSERT_TRUE(d.RunTo(500));
  const wire::Report* report = d.Last<wire::Report>();
  EXPECT_EQ(Value(report, "utilization"), 0.11);
  EXPECT_EQ(Value(report, "cpu_utilization"), 0.22);
  EXPECT_EQ(Value(report, "memory_utilization"), 0.33);
  EXPECT_EQ(Value(report, "request_rate"), 5);
}

TEST(Sources, GpusAreReportedAndCounted) {
  CoreDriver d(TestConfig({TestInstance("a")}));
  ASSERT_TRUE(d.RunTo(0));
  const Slot slot = d.core.instances().begin()->first;
  EXPECT_FALSE(Value(d.Last<wire::Report>(), "gpu_utilization"));
  EXPECT_FALSE(d.Last<wire::Announce>()->capacity.gpus);
  d.readings[slot].gpu = {.utilization = 0.5, .memory = 0.25, .devices = 2};
  ASSERT_TRUE(d.RunTo(2000));
  EXPECT_EQ(Value(d.Last<wire::Report>(), "gpu_utilization"), 0.5);
  EXPECT_EQ(Value(d.Last<wire::Report>(), "gpu_memory_utilization"), 0.25);
  EXPECT_EQ(d.Last<wire::Announce>()->capacity.gpus, 2);
  d.readings[slot].gpu = {};  // the library hangs: the values go, the capacity stays
  ASSERT_TRUE(d.RunTo(3000));
  EXPECT_FALSE(Value(d.Last<wire::Report>(), "gpu_utilization"));
  EXPECT_EQ(d.Last<wire::Announce>()->capacity.gpus, 2);
}

TEST(Sources, AnswersForAnInstanceThatIsGoneAreLeftOut) {
  config::InstanceConfig instance = TestInstance("a");
  instance.plugins = {Plugin(milliseconds(400), {{.name = "x", .from = "x", .labels = {}}})};
  CoreDriver d(TestConfig({instance}));
  ASSERT_TRUE(d.RunTo(0));
  const PluginRun run = d.plugins[0].second;
  ASSERT_TRUE(d.core.Reload(TestConfig({}), d.now()));
  d.Clear();
  d.Take(d.core.OnPlugin(run, {{1.0}}, d.now()));
  d.Take(d.core.OnLoadReport(run.slot, LoadReport{{"eps", 1.0}}, d.now()));
  d.Take(d.core.OnPlugin({.slot = run.slot, .plugin = 99}, {{1.0}}, d.now()));
  EXPECT_TRUE(d.messages.empty());
}

}  // namespace
}  // namespace dyncast::agent
