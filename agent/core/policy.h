// When an instance's metrics are reported: at the interval, and between at thresholds, but never two
// reports within the minimum gap (the draft's security consideration: updates must not make the network
// flap). One object per instance. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/time.h"
#include "schema/config/agent.h"
#include "schema/model/metric.h"

namespace dyncast::agent {

enum class Trigger : uint8_t {
  kSample,    // values were read; report only at a threshold
  kInterval,  // the regular report
  kSettled,   // once after a start: values over a window exist now
  kRefresh,   // a controller has just connected
};

// What became of the samples, and why. Sums since the agent started.
struct UpdateCounters {
  uint64_t sent_interval = 0;  // also kSettled
  uint64_t sent_threshold = 0;
  uint64_t sent_refresh = 0;
  uint64_t suppressed_unchanged = 0;  // no threshold was reached
  uint64_t suppressed_gap = 0;        // due, but held back until the minimum gap passed
  friend bool operator==(const UpdateCounters&, const UpdateCounters&) = default;
};

class UpdatePolicy {
 public:
  UpdatePolicy(std::vector<config::ThresholdConfig> thresholds, Micros minimum_gap)
      : thresholds_(std::move(thresholds)), gap_(minimum_gap) {}

  enum class Decision : uint8_t { kSend, kKeep };
  // kSend: the caller sends `metrics` now, and they count as reported. A report held back by the gap is
  // due at DueAt().
  Decision OnMetrics(const std::vector<MetricSample>& metrics, Trigger trigger, MonoTime now);
  // When a report held back is due; OnMetrics at or after it sends, whatever its trigger.
  std::optional<MonoTime> DueAt() const { return due_at_; }
  const UpdateCounters& counters() const { return counters_; }

 private:
  bool ThresholdReached(const std::vector<MetricSample>& metrics) const;

  std::vector<config::ThresholdConfig> thresholds_;
  Micros gap_;
  std::map<std::string, double, std::less<>> reported_;  // of the thresholds' metrics
  std::optional<MonoTime> last_sent_;
  std::optional<MonoTime> due_at_;
  Trigger held_ = Trigger::kSample;  // why the report that is due at due_at_ is
  UpdateCounters counters_;
};

}  // namespace dyncast::agent
