// When an instance's metrics are reported: at the interval, at thresholds, or both, but never two reports
// within the minimum gap, and not for a metric that turns back and forth (the draft's security consideration:
// updates must not make the network flap). One object per instance. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/core/threshold.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"
#include "schema/model/metric.h"
#include "schema/model/updates.h"

namespace dyncast::agent {

enum class Trigger : uint8_t {
  kSample,    // values were read; report only at a threshold
  kInterval,  // the regular report
  kSettled,   // once after a start: values over a window exist now
  kRefresh,   // a controller has just connected
};

class UpdatePolicy {
 public:
  explicit UpdatePolicy(config::UpdateRules rules);

  enum class Decision : uint8_t { kSend, kKeep };
  // kSend: the caller sends `metrics` now, and they count as reported. What is held back by the gap is looked
  // at again at DueAt(). `now` does not go back.
  Decision OnMetrics(const std::vector<MetricSample>& metrics, Trigger trigger, MonoTime now);
  // When a report that the gap held back is due: call OnMetrics then, with kSample.
  std::optional<MonoTime> DueAt() const { return due_at_; }
  const UpdateCounters& counters() const { return counters_; }

 private:
  Threshold::Verdict Look(const std::vector<MetricSample>& metrics, MonoTime now);
  // What the trigger means under the policy; kSample: nothing but a look.
  Trigger Meaning(Trigger trigger, MonoTime now) const;
  Decision Keep(Threshold::Verdict verdict);
  void CountSent(Trigger trigger);

  config::UpdateRules rules_;
  std::vector<Threshold> thresholds_;  // none with the policy 'interval'
  std::optional<MonoTime> last_sent_;
  std::optional<MonoTime> due_at_;
  Trigger held_ = Trigger::kSample;  // what the gap holds back beside thresholds
  UpdateCounters counters_;
};

}  // namespace dyncast::agent
