// Metrics as CATS defines them (draft-ietf-cats-metric-definition): level, unit, source, statistic.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dyncast {

enum class MetricLevel : uint8_t { kL0, kL1, kL2 };
enum class MetricSource : uint8_t { kNominal, kMeasured, kEstimated, kAggregated, kDirect, kNormalized };
enum class MetricStatistic : uint8_t { kInstant, kMean, kMin, kMax, kP50, kP99, kRate };
std::string_view MetricLevelName(MetricLevel level);              // "L0", "L1", "L2"
std::string_view MetricSourceName(MetricSource source);           // "nominal", "measured", ...
std::string_view MetricStatisticName(MetricStatistic statistic);  // "instant", "mean", ..., "p99", "rate"

// One value of one instance (or of its host). An absent metric is absent, never 0.
struct MetricSample {
  std::string name;
  double value = 0;  // finite
  std::string unit;  // "ratio", "1", "bytes", "seconds", "1/s"
  MetricLevel level = MetricLevel::kL0;
  MetricSource source = MetricSource::kMeasured;
  MetricStatistic statistic = MetricStatistic::kInstant;
  std::chrono::milliseconds window{0};  // 0: instantaneous
  friend bool operator==(const MetricSample&, const MetricSample&) = default;
};

// The L0 metrics that the agent makes and the core knows by name. Any other name may be used in
// `selection.load`; it is kept and shown but has no meaning of its own.
namespace metric {
inline constexpr std::string_view kCpuUtilization =
    "cpu_utilization";  // ratio 0..1 of the host's or cgroup's capacity
inline constexpr std::string_view kMemoryUtilization = "memory_utilization";  // ratio 0..1
inline constexpr std::string_view kCpuPressure = "cpu_pressure";        // ratio 0..1, PSI some avg10 / 100
inline constexpr std::string_view kMemoryPressure = "memory_pressure";  // ratio 0..1
inline constexpr std::string_view kIoPressure = "io_pressure";          // ratio 0..1
inline constexpr std::string_view kLoad1 = "load1";                     // 1, run queue length
inline constexpr std::string_view kSessions = "sessions";  // 1, established connections at the instance
inline constexpr std::string_view kAcceptQueue = "accept_queue";  // 1, connections not yet accepted
inline constexpr std::string_view kRequestRate = "request_rate";  // 1/s
inline constexpr std::string_view kUtilization = "utilization";   // ratio, the application's own
inline constexpr std::string_view kLatency = "latency";           // seconds, mean time to serve a request
inline constexpr std::string_view kQueue = "queue";               // 1, requests waiting in the application
inline constexpr std::string_view kErrorRate = "error_rate";      // 1/s, requests that failed
inline constexpr std::string_view kGpuUtilization =
    "gpu_utilization";  // ratio 0..1, of the time, mean of GPUs
inline constexpr std::string_view kGpuMemoryUtilization = "gpu_memory_utilization";  // ratio 0..1
}  // namespace metric

// Of the network between a switch and a site, made from what agents measure (schema/model/path.h).
namespace metric {
inline constexpr std::string_view kRtt = "rtt";        // seconds, mean round-trip time
inline constexpr std::string_view kJitter = "jitter";  // seconds, the larger of both ways
inline constexpr std::string_view kLoss = "loss";      // ratio 0..1, of both ways together
}  // namespace metric

// True for a value that the metric's definition allows: finite, not negative; a ratio at most 64, since
// utilisation over several cores or a queue over its bound may exceed 1; a score (level 1 or 2) at most 10.
bool PlausibleMetric(const MetricSample& sample);

// What an instance has whether or not it is used. All optional: absent is unknown.
struct Capacity {
  std::optional<double> cpu_cores;       // > 0
  std::optional<double> memory_bytes;    // > 0
  std::optional<double> gpus;            // >= 0
  std::optional<double> max_sessions;    // > 0
  std::optional<double> requests_per_s;  // > 0, as the operator rates it
  friend bool operator==(const Capacity&, const Capacity&) = default;
};

}  // namespace dyncast
