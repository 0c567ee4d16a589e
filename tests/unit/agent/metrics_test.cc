#include "agent/core/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "agent/core/instance.h"
#include "schema/wire/message.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

std::vector<std::string> Names(const std::vector<MetricSample>& metrics) {
  std::vector<std::string> names;
  for (const MetricSample& m : metrics) names.push_back(m.name);
  return names;
}

const MetricSample* Find(const std::vector<MetricSample>& metrics, std::string_view name) {
  for (const MetricSample& m : metrics) {
    if (m.name == name) return &m;
  }
  return nullptr;
}

TEST(BuildMetrics, AbsentIsAbsent) { EXPECT_TRUE(BuildMetrics({}).metrics.empty()); }

TEST(BuildMetrics, NamesUnitsAndWindows) {
  Measured measured;
  measured.cpu = Windowed{.value = 0.5, .window = milliseconds(750)};
  measured.memory_ratio = 0.25;
  measured.pressure = {.cpu = 0.1, .memory = 0.2, .io = 0.3};
  measured.load1 = 1.5;
  measured.sockets = {.sessions = 7, .accept_queue = 0};
  measured.scraped = {{.name = "request_rate",
                       .unit = "1/s",
                       .statistic = MetricStatistic::kRate,
                       .value = {.value = 12, .window = milliseconds(1000)}}};
  const BuiltMetrics built = BuildMetrics(measured);
  EXPECT_TRUE(built.refused.empty());
  EXPECT_THAT(Names(built.metrics),
              testing::ElementsAre("cpu_utilization", "memory_utilization", "cpu_pressure", "memory_pressure",
                                   "io_pressure", "load1", "sessions", "accept_queue", "request_rate"));
  EXPECT_EQ(built.metrics[0], (MetricSample{.name = "cpu_utilization",
                                            .value = 0.5,
                                            .unit = "ratio",
                                            .statistic = MetricStatistic::kMean,
                                            .window = milliseconds(750)}));
  EXPECT_EQ(built.metrics[7], (MetricSample{.name = "accept_queue", .value = 0, .unit = "1"}));
  EXPECT_EQ(built.metrics[8], (MetricSample{.name = "request_rate",
                                            .value = 12,
                                            .unit = "1/s",
                                            .source = MetricSource::kDirect,
                                            .statistic = MetricStatistic::kRate,
                                            .window = milliseconds(1000)}));
}

TEST(BuildMetrics, LeavesOutImplausibleValuesAndNamesThem) {
  Measured measured;
  const auto scraped = [](const char* name, double value) {
    return ScrapedValue{.name = name, .unit = "1", .value = {.value = value}};
  };
  measured.scraped = {scraped("a", std::numeric_limits<double>::quiet_NaN()), scraped("b", -1),
                      scraped("c", std::numeric_limits<double>::infinity()), scraped("d", 1)};
  const BuiltMetrics built = BuildMetrics(measured);
  EXPECT_THAT(Names(built.metrics), testing::ElementsAre("d"));
  EXPECT_THAT(built.refused, testing::ElementsAre("a=nan", "b=-1", "c=inf"));
}

TEST(BuildMetrics, TheApplicationsOwnValueWins) {
  Measured measured;
  measured.sockets.sessions = 7;
  measured.scraped = {{.name = "sessions", .unit = "1", .value = {.value = 3}}};
  const BuiltMetrics built = BuildMetrics(measured);
  ASSERT_EQ(built.metrics.size(), 1u);
  EXPECT_EQ(built.metrics[0].value, 3);
  EXPECT_EQ(built.metrics[0].source, MetricSource::kDirect);
}

TEST(BuildMetrics, NeverMoreThanAMessageHolds) {
  Measured measured;
  for (size_t i = 0; i < wire::kMaxMetrics + 5; ++i) {
    measured.scraped.push_back({.name = "m" + std::to_string(i), .unit = "1", .value = {.value = 1}});
  }
  const BuiltMetrics built = BuildMetrics(measured);
  EXPECT_EQ(built.metrics.size(), wire::kMaxMetrics);
  EXPECT_EQ(built.refused.size(), 5u);
}

HostReadings Host(uint64_t busy, uint64_t total) {
  return {.cpu = CpuTimes{.busy_ticks = busy, .total_ticks = total, .processors = 8},
          .memory = MemoryInfo{.total_bytes = 1000, .available_bytes = 400},
          .load1 = 1.0,
          .pressure = {.cpu = 0.5, .memory = 0.5, .io = 0.5}};
}

TEST(EffectiveCapacity, ConfiguredThenCgroupThenHost) {
  const HostReadings host = Host(0, 0);
  CgroupReadings limited;
  limited.cpu_limit_cores = std::optional<double>(1.5);
  limited.memory_limit_bytes = std::optional<uint64_t>(500);
  CgroupReadings unlimited;
  unlimited.cpu_limit_cores = std::optional<double>();
  unlimited.memory_limit_bytes = std::optional<uint64_t>();
  EXPECT_EQ(EffectiveCapacity({.cpu_cores = 3, .max_sessions = 10}, limited, host),
            (Capacity{.cpu_cores = 3, .memory_bytes = 500, .max_sessions = 10}));
  EXPECT_EQ(EffectiveCapacity({}, unlimited, host), (Capacity{.cpu_cores = 8, .memory_bytes = 1000}));
  EXPECT_EQ(EffectiveCapacity({}, std::nullopt, host), (Capacity{.cpu_cores = 8, .memory_bytes = 1000}));
  EXPECT_EQ(EffectiveCapacity({}, std::nullopt, {}), Capacity{});
  limited.cpu_limit_cores = std::optional<double>(64);  // more than there is
  limited.memory_limit_bytes = std::optional<uint64_t>(0);
  EXPECT_EQ(EffectiveCapacity({}, limited, host), (Capacity{.cpu_cores = 8, .memory_bytes = 1000}));
}

MonoTime At(int64_t ms) { return MonoTime{milliseconds(1000000 + ms)}; }

TEST(InstanceMetrics, ACgroupIsReadInsteadOfTheHost) {
  Instance instance({.name = "i", .cgroup = "/cg"}, UpdatePolicy(config::UpdateRules{}), {});
  InstanceReadings own;
  own.cgroup = CgroupReadings{.cpu_used = std::chrono::seconds(1),
                              .cpu_limit_cores = std::optional<double>(2),
                              .memory_bytes = 100,
                              .memory_limit_bytes = std::optional<uint64_t>(400),
                              .pressure = {.cpu = 0.25, .memory = std::nullopt, .io = std::nullopt}};
  const Windowed host_cpu{.value = 0.9, .window = milliseconds(1000)};
  instance.OnSample(Host(0, 0), own, host_cpu, At(0));
  EXPECT_EQ(Find(instance.metrics(), "cpu_utilization"), nullptr);  // one reading is none; not the host's
  own.cgroup->cpu_used = std::chrono::seconds(2);
  instance.OnSample(Host(0, 0), own, host_cpu, At(1000));
  EXPECT_DOUBLE_EQ(Find(instance.metrics(), "cpu_utilization")->value, 0.5);
  EXPECT_DOUBLE_EQ(Find(instance.metrics(), "memory_utilization")->value, 0.25);
  EXPECT_DOUBLE_EQ(Find(instance.metrics(), "cpu_pressure")->value, 0.25);
  EXPECT_EQ(Find(instance.metrics(), "memory_pressure"), nullptr);
  EXPECT_DOUBLE_EQ(Find(instance.metrics(), "load1")->value, 1.0);
  EXPECT_EQ(instance.Announce().capacity, (Capacity{.cpu_cores = 2, .memory_bytes = 400}));
  own.cgroup->cpu_used.reset();  // could not be read: absent, not the old value, not 0
  instance.OnSample(Host(0, 0), own, host_cpu, At(2000));
  EXPECT_EQ(Find(instance.metrics(), "cpu_utilization"), nullptr);
}

TEST(InstanceMetrics, AConfiguredNumberOfCoresDividesTheCgroupsUse) {
  Instance instance({.name = "i", .cgroup = "/cg", .capacity = {.cpu_cores = 4}},
                    UpdatePolicy(config::UpdateRules{}), {});
  InstanceReadings own;
  own.cgroup = CgroupReadings{.cpu_used = std::chrono::seconds(0)};
  instance.OnSample({}, own, std::nullopt, At(0));
  own.cgroup->cpu_used = std::chrono::seconds(1);
  instance.OnSample({}, own, std::nullopt, At(1000));
  EXPECT_DOUBLE_EQ(Find(instance.metrics(), "cpu_utilization")->value, 0.25);
}

TEST(InstanceMetrics, ScrapedValuesHaveFactorRateAndAnEnd) {
  config::InstanceConfig config{.name = "i"};
  config.scrape = config::ScrapeConfig{
      .url = "http://127.0.0.1/",
      .metrics = {{.name = "latency", .from = "ms", .labels = {}, .factor = 0.001, .unit = "seconds"},
                  {.name = "request_rate", .from = "total", .labels = {}, .rate = true, .unit = "1/s"}}};
  Instance instance(config, UpdatePolicy(config::UpdateRules{}), {.expiry = milliseconds(1500)});
  const auto sample = [&](int64_t ms) {
    instance.OnSample({}, {}, std::nullopt, At(ms));
    return Names(instance.metrics());
  };
  EXPECT_THAT(sample(0), testing::ElementsAre());
  instance.OnScrape({{20.0, 100.0}}, At(0));
  EXPECT_THAT(sample(10), testing::ElementsAre("latency"));
  EXPECT_DOUBLE_EQ(instance.metrics()[0].value, 0.02);
  instance.OnScrape({{30.0, 150.0}}, At(1000));
  EXPECT_THAT(sample(1010), testing::ElementsAre("latency", "request_rate"));
  EXPECT_NEAR(instance.metrics()[1].value, 50, 1e-6);
  EXPECT_THAT(sample(2500), testing::ElementsAre("latency", "request_rate"));
  EXPECT_THAT(sample(2501), testing::ElementsAre());  // too old
  instance.OnScrape({{30.0, std::nullopt}}, At(3000));
  EXPECT_THAT(sample(3010), testing::ElementsAre("latency"));
  instance.OnScrape(std::nullopt, At(4000));  // failed
  EXPECT_THAT(sample(4010), testing::ElementsAre());
}

}  // namespace
}  // namespace dyncast::agent
