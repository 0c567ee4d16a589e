// One direction of an imperfect link: frames wait for their turn at the link's rate, then travel for the
// delay with jitter, or are lost. Pure: no clock, no sockets; the same seed and the same offers give the
// same outcome.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <vector>

namespace dyncast::relay {

using MonoTime = std::chrono::steady_clock::time_point;

enum class Order : uint8_t { kKept, kFree };  // kFree: jitter may let a frame overtake another

struct LinkParams {
  std::chrono::microseconds delay{0};
  std::chrono::microseconds jitter{0};  // uniform in [-jitter, +jitter], never below a delay of 0
  double loss = 0;                      // probability 0..1 of each frame
  double rate_bits_per_s = 0;           // 0: no limit
  size_t queue_frames = 1000;           // frames under way or waiting; more are dropped
  Order order = Order::kKept;
  uint64_t seed = 1;
};

struct LinkCounters {
  uint64_t offered = 0;
  uint64_t delivered = 0;
  uint64_t lost = 0;        // by `loss`
  uint64_t queue_full = 0;  // dropped because the queue was full
};

class DelayQueue {
 public:
  explicit DelayQueue(const LinkParams& params);

  // Takes a copy of `frame`, or drops it (see counters).
  void Offer(std::span<const uint8_t> frame, MonoTime now);
  // When the next frame is due; nullopt if none is under way.
  std::optional<MonoTime> NextDue() const;
  // The oldest due frame, or nullopt if none is due at `now`.
  std::optional<std::vector<uint8_t>> PopDue(MonoTime now);

  size_t size() const { return frames_.size(); }
  const LinkCounters& counters() const { return counters_; }

 private:
  struct Frame {
    MonoTime due;
    std::vector<uint8_t> bytes;
  };

  LinkParams params_;
  std::mt19937_64 random_;
  std::deque<Frame> frames_;  // ordered by due
  MonoTime sender_free_{};    // when the link's sender has finished all earlier frames
  LinkCounters counters_;
};

}  // namespace dyncast::relay
