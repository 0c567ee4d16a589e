#include "agent/core/policy.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace dyncast::agent {
namespace {

std::optional<double> ValueOf(const std::vector<MetricSample>& metrics, std::string_view name) {
  const auto it =
      std::find_if(metrics.begin(), metrics.end(), [&](const MetricSample& m) { return m.name == name; });
  if (it == metrics.end()) return std::nullopt;
  return it->value;
}

}  // namespace

UpdatePolicy::UpdatePolicy(config::UpdateRules rules) : rules_(std::move(rules)) {
  if (rules_.policy == config::UpdateWhen::kInterval) return;
  for (const config::ThresholdConfig& threshold : rules_.thresholds) {
    thresholds_.emplace_back(threshold, rules_.damping);
  }
}

Threshold::Verdict UpdatePolicy::Look(const std::vector<MetricSample>& metrics, MonoTime now) {
  Threshold::Verdict most = Threshold::Verdict::kUnchanged;
  for (Threshold& threshold : thresholds_) {
    most = std::max(most, threshold.Look(ValueOf(metrics, threshold.metric()), now));
  }
  return most;
}

Trigger UpdatePolicy::Meaning(Trigger trigger, MonoTime now) const {
  if (trigger != Trigger::kInterval || rules_.policy != config::UpdateWhen::kThreshold) return trigger;
  if (!last_sent_) return Trigger::kInterval;
  return now - *last_sent_ >= rules_.refresh ? Trigger::kRefresh : Trigger::kSample;
}

UpdatePolicy::Decision UpdatePolicy::Keep(Threshold::Verdict verdict) {
  switch (verdict) {
    case Threshold::Verdict::kDamped: ++counters_.suppressed_damped; break;
    case Threshold::Verdict::kHysteresis: ++counters_.suppressed_hysteresis; break;
    default: ++counters_.suppressed_unchanged; break;
  }
  return Decision::kKeep;
}

void UpdatePolicy::CountSent(Trigger trigger) {
  switch (trigger) {
    case Trigger::kSample: ++counters_.sent_threshold; break;
    case Trigger::kInterval:
    case Trigger::kSettled: ++counters_.sent_interval; break;
    case Trigger::kRefresh: ++counters_.sent_refresh; break;
  }
}

UpdatePolicy::Decision UpdatePolicy::OnMetrics(const std::vector<MetricSample>& metrics, Trigger trigger,
                                               MonoTime now) {
  const Threshold::Verdict verdict = Look(metrics, now);
  trigger = Meaning(trigger, now);
  if (trigger == Trigger::kSample) trigger = held_;
  if (trigger == Trigger::kSample && verdict != Threshold::Verdict::kReached) {
    due_at_.reset();  // what the gap held back has gone back meanwhile
    return Keep(verdict);
  }
  if (last_sent_ && now - *last_sent_ < rules_.minimum_gap) {
    held_ = trigger;
    due_at_ = *last_sent_ + rules_.minimum_gap;
    ++counters_.suppressed_gap;
    return Decision::kKeep;
  }
  CountSent(trigger);
  last_sent_ = now;
  due_at_.reset();
  held_ = Trigger::kSample;
  for (Threshold& threshold : thresholds_) threshold.Reported(ValueOf(metrics, threshold.metric()));
  return Decision::kSend;
}

}  // namespace dyncast::agent
