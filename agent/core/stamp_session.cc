#include "agent/core/stamp_session.h"

#include <algorithm>
#include <cstdlib>

namespace dyncast::agent {
namespace {

// More than any configuration makes of window, timeout and interval; the memory's bound whatever happens.
constexpr size_t kMaxPackets = 100000;
// A count that falls back or jumps ahead by more than this was started anew, less is reordering.
constexpr int32_t kReorderSlack = 16;
// By so much the clock of the times and the one of the timeouts may disagree.
constexpr int64_t kClockSlackNs = 1000000;
constexpr int64_t kLatestDepartureNs = 1000000000;

int32_t Ahead(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b); }

Micros ToMicros(double ns) { return Micros{static_cast<int64_t>(ns / 1000 + 0.5)}; }

class Mean {
 public:
  void Add(int64_t ns) {
    sum_ += static_cast<double>(ns);
    ++count_;
  }
  std::optional<Micros> Value() const {
    if (count_ == 0) return std::nullopt;
    return ToMicros(sum_ / static_cast<double>(count_));
  }

 private:
  double sum_ = 0;
  uint64_t count_ = 0;
};

}  // namespace

void StampSession::Expire(MonoTime now) {
  while (decided_ < packets_.size()) {
    Packet& packet = packets_[decided_];
    if (!packet.answered) {
      if (now < packet.sent_at + options_.timeout) break;
      packet.overdue = true;
      ++counters_.lost;
    }
    ++decided_;
  }
  while (!packets_.empty() && (packets_.front().sent_at + options_.window + options_.timeout < now ||
                               packets_.size() > kMaxPackets)) {
    packets_.pop_front();
    if (decided_ > 0) --decided_;
  }
}

std::string StampSession::Send(int64_t wall_ns, MonoTime now) {
  Expire(now);
  const StampTest test = {.sequence = next_++,
                          .timestamp = NtpFromUnix(wall_ns),
                          .error_estimate = kStampErrorEstimate,
                          .ssid = options_.ssid};
  Packet packet;
  packet.sent_at = now;
  packet.sent_ns = wall_ns;
  packet.timestamp = test.timestamp;
  packets_.push_back(packet);
  ++counters_.sent;
  return WriteStampTest(test, key_);
}

void StampSession::OnSent(uint32_t sequence, int64_t wall_ns) {
  const uint32_t back = next_ - 1 - sequence;
  if (back >= packets_.size()) return;
  Packet& packet = packets_[packets_.size() - 1 - back];
  // Another packet's time, or a clock that was set in between, would only do harm.
  if (wall_ns < packet.sent_ns || wall_ns > packet.sent_ns + kLatestDepartureNs) return;
  if (packet.answered) return;
  packet.sent_ns = wall_ns;
  ++counters_.kernel_sent;
}

void StampSession::TakeTimes(const StampReply& reply, int64_t wall_ns, MonoTime now, Packet* packet) {
  const int64_t received = UnixFromStamp(reply.received, reply.error_estimate);   // T2
  const int64_t answered = UnixFromStamp(reply.timestamp, reply.error_estimate);  // T3
  const int64_t held = answered - received;                                       // at the reflector
  const int64_t elapsed = wall_ns - packet->sent_ns;                              // T4 - T1
  const int64_t at_most = (now - packet->sent_at).count() * 1000 + kClockSlackNs;
  if (held < 0 || elapsed < held || elapsed > at_most) {
    ++counters_.clock_steps;
    return;
  }
  packet->rtt_ns = elapsed - held;
  packet->forward_ns = received - packet->sent_ns;
  packet->backward_ns = wall_ns - answered;
}

void StampSession::TakeCount(uint32_t count, uint32_t sequence, Packet* packet) {
  if (any_taken_) {
    const int32_t counted = Ahead(count, newest_count_);
    const int32_t sent = Ahead(sequence, newest_sequence_);
    if (sent < 0) ++counters_.reordered;
    if (counted < -kReorderSlack || counted > sent + kReorderSlack) ++era_;
    if (sent > 0) {
      newest_sequence_ = sequence;
      newest_count_ = count;
    }
  } else {
    any_taken_ = true;
    newest_sequence_ = sequence;
    newest_count_ = count;
  }
  packet->count = count;
  packet->era = era_;
}

StampFate StampSession::OnReply(std::string_view octets, int64_t wall_ns, MonoTime now) {
  StampReply reply;
  switch (ReadStampReply(octets, key_, &reply)) {
    case StampFault::kNone: break;
    case StampFault::kShort: ++counters_.short_packets; return StampFate::kShort;
    case StampFault::kForged: ++counters_.forged; return StampFate::kForged;
  }
  Expire(now);
  const uint32_t back = next_ - 1 - reply.test.sequence;
  const bool other_session = reply.ssid != 0 && reply.ssid != options_.ssid;  // 0: it knows of no identifiers
  if (back >= packets_.size() || other_session ||
      packets_[packets_.size() - 1 - back].timestamp != reply.test.timestamp) {
    ++counters_.unexpected;
    return StampFate::kUnexpected;
  }
  Packet& packet = packets_[packets_.size() - 1 - back];
  if (packet.answered) {
    ++counters_.duplicates;
    return StampFate::kDuplicate;
  }
  if (packet.overdue || now >= packet.sent_at + options_.timeout) {
    ++counters_.late;
    return StampFate::kLate;
  }
  packet.answered = true;
  ++counters_.taken;
  TakeTimes(reply, wall_ns, now, &packet);
  TakeCount(reply.sequence, reply.test.sequence, &packet);
  return StampFate::kTaken;
}

void StampSession::FillTimes(size_t first, PathSample* sample) const {
  Mean rtt;
  Mean forward;
  Mean backward;
  std::optional<int64_t> least;
  const Packet* before = nullptr;
  for (size_t i = first; i < packets_.size(); ++i) {
    const Packet& packet = packets_[i];
    if (!packet.rtt_ns) continue;
    rtt.Add(*packet.rtt_ns);
    least = std::min(least.value_or(*packet.rtt_ns), *packet.rtt_ns);
    if (before != nullptr) {
      const int64_t there = std::abs(*packet.forward_ns - *before->forward_ns);
      const int64_t home = std::abs(*packet.backward_ns - *before->backward_ns);
      // Each true one-way delay is between 0 and its round trip, so a larger difference is a clock's.
      const int64_t most = std::max(*packet.rtt_ns, *before->rtt_ns);
      if (there <= most && home <= most) {
        forward.Add(there);
        backward.Add(home);
      }
    }
    before = &packet;
  }
  sample->rtt = rtt.Value();
  if (least) sample->rtt_min = std::min(ToMicros(static_cast<double>(*least)), *sample->rtt);
  sample->jitter_forward = forward.Value();
  sample->jitter_backward = backward.Value();
}

void StampSession::FillDirections(size_t first, size_t end, PathSample* sample) const {
  if (options_.reflector == config::PeerReflector::kStateless) return;
  size_t from = end;
  size_t to = end;
  uint32_t home = 0;  // answered ones after `from`, up to `to`
  for (size_t i = first; i < end; ++i) {
    if (!packets_[i].answered) continue;
    if (from == end || packets_[i].era != packets_[from].era) {
      from = i;
      home = 0;
    } else {
      ++home;
    }
    to = i;
  }
  if (from == to) return;  // also where none was answered
  const auto sent = static_cast<int64_t>(to - from);
  const int64_t counted = Ahead(packets_[to].count, packets_[from].count);
  if (counted < home || counted > sent) return;  // reordered at an edge, or not a count; home is 1 or more
  sample->loss_forward = static_cast<double>(sent - counted) / static_cast<double>(sent);
  sample->loss_backward = static_cast<double>(counted - home) / static_cast<double>(counted);
}

std::optional<PathSample> StampSession::Window(MonoTime now) {
  Expire(now);
  const auto begin = std::find_if(packets_.begin(), packets_.end(),
                                  [&](const Packet& p) { return p.sent_at > now - options_.window; });
  const auto first = static_cast<size_t>(begin - packets_.begin());
  // Up to the first packet that may still be answered: behind it, losses are not known yet but answers are.
  if (decided_ <= first) return std::nullopt;
  PathSample sample;
  sample.sent = static_cast<uint32_t>(decided_ - first);
  const auto lost = std::count_if(begin, packets_.begin() + static_cast<std::ptrdiff_t>(decided_),
                                  [](const Packet& p) { return !p.answered; });
  sample.loss = static_cast<double>(lost) / sample.sent;
  sample.window = std::chrono::duration_cast<std::chrono::milliseconds>(options_.window);
  FillTimes(first, &sample);
  FillDirections(first, decided_, &sample);
  return sample;
}

}  // namespace dyncast::agent
