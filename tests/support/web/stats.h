// What the server counts of itself, for its OpenMetrics page. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace dyncast::web {

class ServerStats {
 public:
  using MonoTime = std::chrono::steady_clock::time_point;

  explicit ServerStats(uint32_t workers) : workers_(workers) {}

  void RequestStarted() { ++inflight_; }
  // By a worker that did nothing else meanwhile.
  void RequestEnded(MonoTime started, MonoTime ended);
  // By a station, whose time is told by AddBusy; `arrived` is before its wait.
  void RequestServed(MonoTime arrived, MonoTime ended);
  void RequestLeft() { --inflight_; }  // unanswered
  // So many workers, or places of a station, were busy from one moment to a later one.
  void AddBusy(MonoTime from, MonoTime to, size_t busy);
  void SetWaiting(size_t requests) { waiting_ = static_cast<int64_t>(requests); }
  void ConnectionOpened() { ++connections_; }
  void ConnectionClosed() { --connections_; }

  // Busy time of all workers in the second before `now`, over the time they had: 0..1.
  double Utilization(MonoTime now);
  // Mean time from arrival to answer of what was answered in the second before `now`; nullopt if nothing was.
  std::optional<double> LatencySeconds(MonoTime now);
  std::string OpenMetrics(MonoTime now);

 private:
  static constexpr std::chrono::milliseconds kSlot{100};
  static constexpr size_t kSlots = 16;  // more than a second's, so that the current one is left out

  struct Slot {
    int64_t number = 0;  // time since the clock's epoch in slots
    std::chrono::nanoseconds busy{0};
    std::chrono::nanoseconds latency{0};  // of all answers together
    uint64_t answers = 0;
  };

  Slot& SlotAt(MonoTime at);
  // Sum over the slots of the last second, the current one left out.
  Slot LastSecond(MonoTime now) const;
  void Count(MonoTime arrived, MonoTime ended);

  const uint32_t workers_;
  std::atomic<uint64_t> requests_{0};
  std::atomic<int64_t> inflight_{0};
  std::atomic<int64_t> connections_{0};
  std::atomic<int64_t> waiting_{0};
  std::mutex mutex_;
  std::chrono::nanoseconds busy_{0};
  std::array<Slot, kSlots> slots_{};
};

}  // namespace dyncast::web
