// When the paths of an agent are reported: every interval, at once when one of them changed by more than the
// thresholds or a controller has just connected, but never twice within the minimum gap. All paths go in one
// message, so that what is not in it is no longer known. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "agent/core/policy.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"
#include "schema/model/path.h"

namespace dyncast::agent {

class PathPolicy {
 public:
  // After the last path went, "none" is said so often: a message may be lost.
  static constexpr uint32_t kGoneTimes = 3;
  struct Options {
    Micros interval{1000000};
    Micros gap{100000};
    config::PathThresholdConfig threshold;
  };
  explicit PathPolicy(Options options) : options_(options) {}

  // True: the caller sends `paths` now, and they count as reported.
  bool OnPaths(const std::vector<PathSample>& paths, MonoTime now);
  // A controller knows nothing yet: the next OnPaths after the gap sends.
  void Refresh() { refresh_ = true; }
  // Controllers know of paths, or may.
  bool has_reported() const { return !reported_.empty() || gone_left_ != 0; }
  // What was reported stays known; also for a reload.
  void SetOptions(Options options) {
    options_ = options;
    due_at_ = std::min(due_at_, last_sent_.value_or(MonoTime::min()) + options_.interval);
  }
  const UpdateCounters& counters() const { return counters_; }

 private:
  bool Changed(const std::vector<PathSample>& paths) const;

  Options options_;
  std::vector<PathSample> reported_;
  std::optional<MonoTime> last_sent_;
  MonoTime due_at_ = MonoTime::min();  // by the interval
  uint32_t gone_left_ = 0;
  bool refresh_ = false;
  UpdateCounters counters_;
};

}  // namespace dyncast::agent
