#include "controller/core/instance_metrics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dyncast::core {
namespace {

// Weight of the newest report. Half: after three reports seven eighths of a change are seen.
constexpr double kSmoothing = 0.5;

}  // namespace

namespace {

const MetricSample* Find(const std::vector<MetricSample>& samples, std::string_view name) {
  for (const MetricSample& sample : samples) {
    if (sample.level == MetricLevel::kL0 && sample.name == name) return &sample;
  }
  return nullptr;
}

}  // namespace

std::optional<double> FindMetric(const std::vector<MetricSample>& samples, std::string_view name) {
  const MetricSample* sample = Find(samples, name);
  return sample != nullptr ? std::optional(sample->value) : std::nullopt;
}

std::optional<double> LoadOf(const std::vector<MetricSample>& samples, const Selection& selection) {
  std::optional<double> load;
  if (selection.load.empty()) {
    for (const std::string_view name : {metric::kUtilization, metric::kCpuUtilization}) {
      const auto value = FindMetric(samples, name);
      if (value) load = std::max(load.value_or(0), *value);
    }
  } else {
    load = 0;
    for (const MetricTerm& term : selection.load) {
      const auto value = FindMetric(samples, term.metric);
      if (!value) return std::nullopt;
      *load += term.weight * *value / term.scale;
    }
  }
  if (load && !std::isfinite(*load)) return std::nullopt;
  return load;
}

void InstanceMetrics::Replace(std::vector<MetricSample> samples, const Selection& selection, bool counts,
                              MonoTime now) {
  samples_ = std::move(samples);
  reported_ = true;
  counts_ = counts;
  at_ = now;
  Redefine(selection);
  const MetricSample* rate = Find(samples_, metric::kRequestRate);
  rate_ = rate != nullptr ? std::optional(rate->value) : std::nullopt;
  window_s_ = rate != nullptr ? static_cast<double>(rate->window.count()) * 1e-3 : 0;
  sessions_ = FindMetric(samples_, metric::kSessions);
  latency_ = FindMetric(samples_, metric::kLatency);
  if (!counts) return;
  if (estimate_ && now - estimated_at_ > selection.metrics_expiry) estimate_.reset();
  // Without requests the report says nothing about capacity.
  if (rate_ && *rate_ > 0 && load_) {
    const double sample = *rate_ / std::max(*load_, kLeastUtilisation);
    const double next = estimate_ ? *estimate_ + kSmoothing * (sample - *estimate_) : sample;
    if (std::isfinite(next) && next > 0) {
      estimate_ = next;
      estimated_at_ = now;
    }
  }
}

void InstanceMetrics::Forget() {
  counts_ = false;
  estimate_.reset();
}

void InstanceMetrics::Redefine(const Selection& selection) { load_ = LoadOf(samples_, selection); }

}  // namespace dyncast::core
