#include "agent/core/metrics.h"

#include <fmt/core.h>

#include <algorithm>

#include "schema/wire/message.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPressureWindow{10000};  // avg10
constexpr milliseconds kLoadWindow{60000};
constexpr milliseconds kGpuWindow{1000};  // NVML: 1/6 s to 1 s, as the device has it

class Builder {
 public:
  void Add(MetricSample sample) {
    if (!PlausibleMetric(sample) || built_.metrics.size() == wire::kMaxMetrics) {
      built_.refused.push_back(fmt::format("{}={}", sample.name, sample.value));
      return;
    }
    const auto same = std::find_if(built_.metrics.begin(), built_.metrics.end(),
                                   [&](const MetricSample& m) { return m.name == sample.name; });
    if (same != built_.metrics.end()) {
      *same = std::move(sample);
    } else {
      built_.metrics.push_back(std::move(sample));
    }
  }
  void AddMean(std::string_view name, std::optional<double> value, std::string_view unit,
               milliseconds window) {
    if (!value) return;
    Add({.name = std::string(name),
         .value = *value,
         .unit = std::string(unit),
         .statistic = MetricStatistic::kMean,
         .window = window});
  }
  template <typename Number>
  void AddInstant(std::string_view name, std::optional<Number> value, std::string_view unit) {
    if (!value) return;
    Add({.name = std::string(name), .value = static_cast<double>(*value), .unit = std::string(unit)});
  }
  BuiltMetrics Take() { return std::move(built_); }

 private:
  BuiltMetrics built_;
};

}  // namespace

BuiltMetrics BuildMetrics(const Measured& measured) {
  Builder builder;
  if (measured.cpu) {
    builder.AddMean(metric::kCpuUtilization, measured.cpu->value, "ratio", measured.cpu->window);
  }
  builder.AddInstant(metric::kMemoryUtilization, measured.memory_ratio, "ratio");
  builder.AddMean(metric::kCpuPressure, measured.pressure.cpu, "ratio", kPressureWindow);
  builder.AddMean(metric::kMemoryPressure, measured.pressure.memory, "ratio", kPressureWindow);
  builder.AddMean(metric::kIoPressure, measured.pressure.io, "ratio", kPressureWindow);
  builder.AddMean(metric::kLoad1, measured.load1, "1", kLoadWindow);
  builder.AddInstant(metric::kSessions, measured.sockets.sessions, "1");
  builder.AddInstant(metric::kAcceptQueue, measured.sockets.accept_queue, "1");
  builder.AddMean(metric::kGpuUtilization, measured.gpu.utilization, "ratio", kGpuWindow);
  builder.AddInstant(metric::kGpuMemoryUtilization, measured.gpu.memory, "ratio");
  for (const ScrapedValue& scraped : measured.scraped) {
    builder.Add({.name = scraped.name,
                 .value = scraped.value.value,
                 .unit = scraped.unit,
                 .source = MetricSource::kDirect,
                 .statistic = scraped.statistic,
                 .window = scraped.value.window});
  }
  return builder.Take();
}

Capacity EffectiveCapacity(const Capacity& configured, const std::optional<CgroupReadings>& cgroup,
                           const HostReadings& host) {
  Capacity capacity = configured;
  if (!capacity.cpu_cores && cgroup && cgroup->cpu_limit_cores) capacity.cpu_cores = *cgroup->cpu_limit_cores;
  if (!configured.cpu_cores && host.cpu) {  // a limit above what the host has is none
    const double cores = static_cast<double>(host.cpu->processors);
    capacity.cpu_cores = std::min(capacity.cpu_cores.value_or(cores), cores);
  }
  // A limit of 0 bytes is possible and means that nothing runs; as a capacity it would be a lie.
  if (!capacity.memory_bytes && cgroup && cgroup->memory_limit_bytes &&
      cgroup->memory_limit_bytes->value_or(0) > 0) {
    capacity.memory_bytes = static_cast<double>(**cgroup->memory_limit_bytes);
  }
  if (!configured.memory_bytes && host.memory) {
    const double bytes = static_cast<double>(host.memory->total_bytes);
    capacity.memory_bytes = std::min(capacity.memory_bytes.value_or(bytes), bytes);
  }
  return capacity;
}

}  // namespace dyncast::agent
