#include "tests/support/web/stats.h"

#include <fmt/core.h>

#include <algorithm>

namespace dyncast::web {

void ServerStats::RequestEnded(MonoTime started, MonoTime ended) {
  --inflight_;
  ++requests_;
  const std::lock_guard lock(mutex_);
  busy_ += ended - started;
  // A long request is spread over the slots it ran through.
  for (MonoTime at = started; at < ended;) {
    const int64_t number = at.time_since_epoch() / kSlot;
    const MonoTime slot_end{kSlot * (number + 1)};
    const MonoTime until = std::min(slot_end, ended);
    const size_t index = static_cast<size_t>(number) % kSlots;
    if (slot_number_[index] != number) {
      slot_number_[index] = number;
      slot_busy_[index] = std::chrono::nanoseconds{0};
    }
    slot_busy_[index] += until - at;
    at = until;
  }
}

double ServerStats::Utilization(MonoTime now) {
  const std::lock_guard lock(mutex_);
  const int64_t current = now.time_since_epoch() / kSlot;
  std::chrono::nanoseconds busy{0};
  for (size_t i = 0; i < kSlots; ++i) {
    if (slot_number_[i] < current && slot_number_[i] >= current - 10) {
      busy += slot_busy_[i];
    }
  }
  const double had = 1e9 * workers_;
  return std::min(1.0, static_cast<double>(busy.count()) / had);
}

std::string ServerStats::OpenMetrics(MonoTime now) {
  const double utilization = Utilization(now);
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
      "# TYPE connections gauge\n"
      "connections {}\n"
      "# EOF\n",
      requests_.load(), std::chrono::duration<double>(busy_).count(), utilization, inflight_.load(),
      connections_.load());
}

}  // namespace dyncast::web
