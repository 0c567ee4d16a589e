#include "agent/core/path_policy.h"

#include <algorithm>
#include <cmath>

namespace dyncast::agent {
namespace {

bool RttChanged(const PathSample& was, const PathSample& is, const config::PathThresholdConfig& threshold) {
  if (was.rtt.has_value() != is.rtt.has_value()) return true;
  if (!is.rtt) return false;
  const auto difference = static_cast<double>(std::abs((*is.rtt - *was.rtt).count()));
  return difference > 0 && difference >= static_cast<double>(threshold.change.count()) &&
         difference >= threshold.relative * static_cast<double>(was.rtt->count());
}

}  // namespace

bool PathPolicy::Changed(const std::vector<PathSample>& paths) const {
  if (paths.size() != reported_.size()) return true;
  return std::any_of(paths.begin(), paths.end(), [this](const PathSample& is) {
    const auto was = std::find_if(reported_.begin(), reported_.end(), [&](const PathSample& r) {
      return r.peer == is.peer && r.ipv6 == is.ipv6;
    });
    return was == reported_.end() || RttChanged(*was, is, options_.threshold) ||
           std::abs(was->loss - is.loss) >= options_.threshold.loss;
  });
}

bool PathPolicy::OnPaths(const std::vector<PathSample>& paths, MonoTime now) {
  if (paths.empty() && !has_reported()) return false;
  const bool changed = Changed(paths);
  const bool due = now >= due_at_;
  if (!changed && !due && !refresh_) {
    ++counters_.suppressed_unchanged;
    return false;
  }
  if (last_sent_ && now < *last_sent_ + options_.gap) {
    ++counters_.suppressed_gap;
    return false;
  }
  if (due) {
    ++counters_.sent_interval;
  } else if (changed) {
    ++counters_.sent_threshold;
  } else {
    ++counters_.sent_refresh;
  }
  // The interval keeps its grid, whatever goes out in between.
  if (due)
    due_at_ = last_sent_ ? due_at_ + ((now - due_at_) / options_.interval + 1) * options_.interval
                         : now + options_.interval;
  if (!paths.empty()) {
    gone_left_ = 0;
  } else {
    gone_left_ = reported_.empty() ? gone_left_ - 1 : kGoneTimes - 1;
  }
  last_sent_ = now;
  refresh_ = false;
  reported_ = paths;
  return true;
}

}  // namespace dyncast::agent
