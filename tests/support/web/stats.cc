#include "tests/support/web/stats.h"

#include <fmt/core.h>

#include <algorithm>

namespace dyncast::web {

ServerStats::Slot& ServerStats::SlotAt(MonoTime at) {
  const int64_t number = at.time_since_epoch() / kSlot;
  Slot& slot = slots_[static_cast<size_t>(number) % kSlots];
  if (slot.number != number) slot = {.number = number};
  return slot;
}

ServerStats::Slot ServerStats::LastSecond(MonoTime now) const {
  const int64_t current = now.time_since_epoch() / kSlot;
  Slot sum;
  for (const Slot& slot : slots_) {
    if (slot.number >= current || slot.number < current - 10) continue;
    sum.busy += slot.busy;
    sum.latency += slot.latency;
    sum.answers += slot.answers;
  }
  return sum;
}

void ServerStats::AddBusy(MonoTime from, MonoTime to, size_t busy) {
  const std::lock_guard lock(mutex_);
  const auto times = static_cast<int64_t>(busy);
  busy_ += times * (to - from);
  // A long time is spread over the slots that it ran through.
  for (MonoTime at = from; at < to;) {
    Slot& slot = SlotAt(at);
    const MonoTime until = std::min(MonoTime{kSlot * (slot.number + 1)}, to);
    slot.busy += times * (until - at);
    at = until;
  }
}

void ServerStats::Count(MonoTime arrived, MonoTime ended) {
  --inflight_;
  ++requests_;
  const std::lock_guard lock(mutex_);
  Slot& slot = SlotAt(ended);
  slot.latency += ended - arrived;
  ++slot.answers;
}

void ServerStats::RequestEnded(MonoTime started, MonoTime ended) {
  AddBusy(started, ended, 1);
  Count(started, ended);
}

void ServerStats::RequestServed(MonoTime arrived, MonoTime ended) { Count(arrived, ended); }

double ServerStats::Utilization(MonoTime now) {
  const std::lock_guard lock(mutex_);
  const double had = 1e9 * workers_;
  return std::min(1.0, static_cast<double>(LastSecond(now).busy.count()) / had);
}

std::optional<double> ServerStats::LatencySeconds(MonoTime now) {
  const std::lock_guard lock(mutex_);
  const Slot sum = LastSecond(now);
  if (sum.answers == 0) return std::nullopt;
  return static_cast<double>(sum.latency.count()) / 1e9 / static_cast<double>(sum.answers);
}

std::string ServerStats::OpenMetrics(MonoTime now) {
  const double utilization = Utilization(now);
  const std::optional<double> latency = LatencySeconds(now);
  const std::lock_guard lock(mutex_);
  return fmt::format(
      "# TYPE requests counter\n"
      "requests_total {}\n"
      "# TYPE busy_seconds counter\n"
      "# UNIT busy_seconds seconds\n"
      "busy_seconds_total {:.6f}\n"
      "# TYPE utilization gauge\n"
      "utilization {:.4f}\n"
      "# TYPE inflight gauge\n"
      "inflight {}\n"
      "# TYPE waiting gauge\n"
      "waiting {}\n"
      "# TYPE latency_seconds gauge\n"
      "# UNIT latency_seconds seconds\n"
      "{}"
      "# TYPE connections gauge\n"
      "connections {}\n"
      "# EOF\n",
      requests_.load(), std::chrono::duration<double>(busy_).count(), utilization, inflight_.load(),
      waiting_.load(), latency ? fmt::format("latency_seconds {:.6f}\n", *latency) : "", connections_.load());
}

}  // namespace dyncast::web
