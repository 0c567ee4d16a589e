#include "tests/support/relay/delay_queue.h"

#include <algorithm>
#include <utility>

namespace dyncast::relay {

DelayQueue::DelayQueue(const LinkParams& params) : params_(params), random_(params.seed) {}

void DelayQueue::Offer(std::span<const uint8_t> frame, MonoTime now) {
  ++counters_.offered;
  if (params_.loss > 0 && std::uniform_real_distribution<double>(0, 1)(random_) < params_.loss) {
    ++counters_.lost;
    return;
  }
  if (frames_.size() >= params_.queue_frames) {
    ++counters_.queue_full;
    return;
  }
  MonoTime sent = std::max(now, sender_free_);
  if (params_.rate_bits_per_s > 0) {
    const double seconds = static_cast<double>(frame.size()) * 8.0 / params_.rate_bits_per_s;
    sent += std::chrono::duration_cast<MonoTime::duration>(std::chrono::duration<double>(seconds));
    sender_free_ = sent;
  }
  auto travel = std::chrono::duration_cast<std::chrono::microseconds>(params_.delay);
  if (params_.jitter.count() > 0) {
    const int64_t jitter = params_.jitter.count();
    travel += std::chrono::microseconds(std::uniform_int_distribution<int64_t>(-jitter, jitter)(random_));
    travel = std::max(travel, std::chrono::microseconds{0});
  }
  MonoTime due = sent + travel;
  Frame entry{.due = due, .bytes = {frame.begin(), frame.end()}};
  if (params_.order == Order::kKept) {
    if (!frames_.empty()) {
      entry.due = std::max(due, frames_.back().due);
    }
    frames_.push_back(std::move(entry));
    return;
  }
  const auto at = std::upper_bound(frames_.begin(), frames_.end(), due,
                                   [](MonoTime when, const Frame& other) { return when < other.due; });
  frames_.insert(at, std::move(entry));
}

std::optional<MonoTime> DelayQueue::NextDue() const {
  if (frames_.empty()) {
    return std::nullopt;
  }
  return frames_.front().due;
}

std::optional<std::vector<uint8_t>> DelayQueue::PopDue(MonoTime now) {
  if (frames_.empty() || frames_.front().due > now) {
    return std::nullopt;
  }
  std::vector<uint8_t> bytes = std::move(frames_.front().bytes);
  frames_.pop_front();
  ++counters_.delivered;
  return bytes;
}

}  // namespace dyncast::relay
