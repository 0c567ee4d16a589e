// From what was measured of an instance to the samples of its report. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/readings.h"
#include "agent/core/sampler.h"
#include "schema/config/agent.h"
#include "schema/model/metric.h"

namespace dyncast::agent {

// A metric of the application's own, after factor and rate.
struct ScrapedValue {
  std::string name;
  std::string unit;
  MetricStatistic statistic = MetricStatistic::kInstant;
  Windowed value;
};

struct Measured {
  std::optional<Windowed> cpu;         // ratio
  std::optional<double> memory_ratio;  // 0..1
  PressureReadings pressure;
  std::optional<double> load1;
  SocketReadings sockets;
  GpuReadings gpu;
  std::vector<ScrapedValue> scraped;  // of the application, by whatever source
};

struct BuiltMetrics {
  std::vector<MetricSample> metrics;  // plausible, each name once, at most wire::kMaxMetrics
  std::vector<std::string> refused;   // "NAME=VALUE" of what was left out
};

// The application's own value wins where it has the name of one of the agent's.
BuiltMetrics BuildMetrics(const Measured& measured);

// What the instance has: as configured, else as its cgroup allows, else as the host has.
Capacity EffectiveCapacity(const Capacity& configured, const std::optional<CgroupReadings>& cgroup,
                           const HostReadings& host);

}  // namespace dyncast::agent
