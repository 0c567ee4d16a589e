#include "agent/core/policy.h"

#include <algorithm>
#include <cmath>

namespace dyncast::agent {
namespace {

const MetricSample* Find(const std::vector<MetricSample>& metrics, std::string_view name) {
  const auto it =
      std::find_if(metrics.begin(), metrics.end(), [&](const MetricSample& m) { return m.name == name; });
  return it == metrics.end() ? nullptr : &*it;
}

}  // namespace

bool UpdatePolicy::ThresholdReached(const std::vector<MetricSample>& metrics) const {
  return std::any_of(thresholds_.begin(), thresholds_.end(), [&](const config::ThresholdConfig& t) {
    const MetricSample* now = Find(metrics, t.metric);
    const auto before = reported_.find(t.metric);
    if (now == nullptr || before == reported_.end()) {
      return (now == nullptr) != (before == reported_.end());  // it appeared or vanished
    }
    const double difference = std::abs(now->value - before->second);
    if (difference == 0) return false;
    if (t.change && difference >= *t.change) return true;
    // From 0 every change is infinitely large; then an absolute rule, if there is one, decides alone.
    if (t.relative && before->second == 0) return !t.change;
    return t.relative && difference >= *t.relative * std::abs(before->second);
  });
}

UpdatePolicy::Decision UpdatePolicy::OnMetrics(const std::vector<MetricSample>& metrics, Trigger trigger,
                                               MonoTime now) {
  if (due_at_ && now >= *due_at_) {
    if (trigger == Trigger::kSample) trigger = held_;
  } else if (trigger == Trigger::kSample && !due_at_ && !ThresholdReached(metrics)) {
    ++counters_.suppressed_unchanged;
    return Decision::kKeep;
  }
  if (last_sent_ && now < *last_sent_ + gap_) {
    ++counters_.suppressed_gap;
    if (!due_at_ || trigger != Trigger::kSample) held_ = trigger;
    due_at_ = *last_sent_ + gap_;
    return Decision::kKeep;
  }
  switch (trigger) {
    case Trigger::kSample: ++counters_.sent_threshold; break;
    case Trigger::kInterval:
    case Trigger::kSettled: ++counters_.sent_interval; break;
    case Trigger::kRefresh: ++counters_.sent_refresh; break;
  }
  last_sent_ = now;
  due_at_.reset();
  reported_.clear();
  for (const config::ThresholdConfig& t : thresholds_) {
    if (const MetricSample* m = Find(metrics, t.metric)) reported_[t.metric] = m->value;
  }
  return Decision::kSend;
}

}  // namespace dyncast::agent
