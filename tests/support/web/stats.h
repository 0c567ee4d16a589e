// What the server counts of itself, for its OpenMetrics page. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace dyncast::web {

class ServerStats {
 public:
  using MonoTime = std::chrono::steady_clock::time_point;

  explicit ServerStats(uint32_t workers) : workers_(workers) {}

  void RequestStarted() { ++inflight_; }
  void RequestEnded(MonoTime started, MonoTime ended);
  void ConnectionOpened() { ++connections_; }
  void ConnectionClosed() { --connections_; }

  // Busy time of all workers in the second before `now`, over the time they had: 0..1.
  double Utilization(MonoTime now);
  std::string OpenMetrics(MonoTime now);

 private:
  static constexpr std::chrono::milliseconds kSlot{100};
  static constexpr size_t kSlots = 16;  // more than a second's, so that the current one is left out

  const uint32_t workers_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<int64_t> inflight_{0};
  std::atomic<int64_t> connections_{0};
  std::mutex mutex_;
  std::chrono::nanoseconds busy_{0};
  std::array<std::chrono::nanoseconds, kSlots> slot_busy_{};
  std::array<int64_t, kSlots> slot_number_{};
};

}  // namespace dyncast::web
