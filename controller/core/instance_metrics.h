// What an instance's reports say: its newest samples, its load, and the capacity estimated from them.
// docs/selection.md has the formulas.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "schema/base/time.h"
#include "schema/model/metric.h"
#include "schema/model/service.h"

namespace dyncast::core {

// Less counts as this much: nearer to 0, rate over utilisation is noise.
inline constexpr double kLeastUtilisation = 0.02;

class InstanceMetrics {
 public:
  // Replaces all samples by those of one report and, if it counts, updates the estimate. Samples must be
  // plausible. One that does not count is shown, nothing more.
  void Replace(std::vector<MetricSample> samples, const Selection& selection, bool counts, MonoTime now);
  // The instance came up: what it said before is shown, nothing more.
  void Forget();
  // The service's definition of load changed.
  void Redefine(const Selection& selection);

  // The newest report is not too old, whether or not it counts: for people and for scores.
  bool Recent(MonoTime now, std::chrono::milliseconds expiry) const {
    return reported_ && now - at_ <= expiry;
  }
  // The newest report counts, and is not too old: for decisions.
  bool Fresh(MonoTime now, std::chrono::milliseconds expiry) const { return counts_ && now - at_ <= expiry; }
  const std::vector<MetricSample>& samples() const { return samples_; }
  // Precondition: reported().
  MonoTime at() const { return at_; }
  bool reported() const { return reported_; }
  // The newest report came after the service's blackout.
  bool counts() const { return counts_; }

  // All of the newest report, whatever its age.
  std::optional<double> load() const { return load_; }
  std::optional<double> request_rate() const { return rate_; }
  std::optional<double> sessions() const { return sessions_; }
  std::optional<double> latency() const { return latency_; }  // seconds to serve a request
  // What request rate and latency are of; 0: not said.
  double window_s() const { return window_s_; }
  // Requests per second at full use: moving average of request rate over load. `estimated_at` is the
  // last report that could say something about it.
  std::optional<double> estimate() const { return estimate_; }
  MonoTime estimated_at() const { return estimated_at_; }

 private:
  std::vector<MetricSample> samples_;
  bool reported_ = false;
  bool counts_ = false;
  MonoTime at_{};
  std::optional<double> load_;
  std::optional<double> rate_;
  std::optional<double> sessions_;
  std::optional<double> latency_;
  double window_s_ = 0;
  std::optional<double> estimate_;
  MonoTime estimated_at_{};
};

// The value of a metric; nullopt if absent.
std::optional<double> FindMetric(const std::vector<MetricSample>& samples, std::string_view name);
// Load as `selection` defines it: the sum of weight * value / scale over its terms (nullopt if a term's
// metric is absent), or without terms the largest of utilization and cpu_utilization.
std::optional<double> LoadOf(const std::vector<MetricSample>& samples, const Selection& selection);

}  // namespace dyncast::core
