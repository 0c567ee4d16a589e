// The sending side of one stream: which packets are due, and their frames.
#pragma once

#include <algorithm>
#include <vector>

#include "tests/support/pktgen/packet_port.h"
#include "tests/support/pktgen/traffic.h"

namespace dyncast::pktgen {

inline constexpr size_t kSendBatch = 64;

// A full window that makes no progress for so long is taken for lost.
inline constexpr uint64_t kStallNs = 2'000'000'000;

class Sending {
 public:
  Sending(const Setup& setup, size_t index, uint32_t run, const MacAddress& own, const MacAddress& gateway,
          Tally* tally)
      : stream_(setup.streams[index]),
        space_(setup.space),
        index_(index),
        run_(run),
        writer_({.source = own,
                 .destination = gateway,
                 .vlan = setup.client_vlan,
                 .transport = setup.space.transport,
                 .tcp_flags = stream_.tcp_flags,
                 .sid = setup.space.sid,
                 .ttl = setup.ttl,
                 .padding_bytes = setup.padding_bytes}),
        tally_(tally),
        limit_(PacketLimit(stream_)),
        frames_(kSendBatch * writer_.size()) {
    for (size_t i = 0; i < kSendBatch; ++i) {
      writer_.Prepare({&frames_[i * writer_.size()], writer_.size()});
    }
  }

  static uint64_t PacketLimit(const Stream& stream) {
    if (stream.pattern == Pattern::kOnce) {
      return uint64_t{stream.flows} * stream.packets_per_flow;
    }
    const double most = stream.rate_per_s > 0 ? stream.rate_per_s : 3e6;
    return static_cast<uint64_t>(most * stream.seconds) + 1;
  }

  size_t frame_bytes() const { return writer_.size(); }
  bool Done(uint64_t elapsed_ns) const {
    return next_ >= limit_ || static_cast<double>(elapsed_ns) / 1e9 >= stream_.seconds;
  }
  uint64_t outstanding(uint64_t progress) const { return next_ - std::min(next_, progress + written_off_); }

  // Packets that may leave now.
  uint64_t Due(uint64_t elapsed_ns, uint64_t progress) const {
    uint64_t due = limit_ - next_;
    if (stream_.rate_per_s > 0) {
      const auto scheduled =
          static_cast<uint64_t>(static_cast<double>(elapsed_ns) / 1e9 * stream_.rate_per_s) + 1;
      due = std::min(due, scheduled - std::min(scheduled, next_));
    }
    if (stream_.window > 0) {
      const uint64_t under_way = outstanding(progress);
      due = std::min(due, stream_.window - std::min<uint64_t>(stream_.window, under_way));
    }
    return due;
  }
  // When the next packet is due, in ns after the start; `now_ns` if only the window holds it back.
  uint64_t NextDue(uint64_t now_ns) const {
    if (stream_.rate_per_s <= 0) {
      return now_ns;
    }
    return static_cast<uint64_t>(static_cast<double>(next_) / stream_.rate_per_s * 1e9);
  }

  // Sends up to `count` packets; how many the kernel took.
  size_t Send(PacketPort* port, size_t count) {
    count = std::min(count, kSendBatch);
    const uint64_t now = RealtimeNs();
    for (size_t i = 0; i < count; ++i) {
      const uint64_t packet = next_ + i;
      const uint64_t flow =
          stream_.pattern == Pattern::kOnce ? packet / stream_.packets_per_flow : packet % stream_.flows;
      const Stamp stamp{.run = run_,
                        .sequence = static_cast<uint32_t>(packet),
                        .flow = static_cast<uint32_t>(flow),
                        .sent_ns = now,
                        .stream = static_cast<uint16_t>(index_)};
      writer_.Write(space_.At(stream_.first_flow + flow), stamp,
                    {&frames_[i * writer_.size()], writer_.size()});
    }
    const size_t sent = port->Send(frames_.data(), writer_.size(), writer_.size(), count);
    if (sent != 0) {
      if (tally_->sent == 0) {
        tally_->first_sent_ns = now;
      }
      tally_->last_sent_ns = now;
    }
    next_ += sent;
    tally_->sent += sent;
    return sent;
  }

  // With a full window that makes no progress, what is under way is lost. True if that was so.
  bool WriteOff(uint64_t progress, uint64_t now_ns) {
    if (progress != last_progress_ || stream_.window == 0 || outstanding(progress) < stream_.window) {
      last_progress_ = progress;
      last_progress_ns_ = now_ns;
      return false;
    }
    if (now_ns - last_progress_ns_ < kStallNs) {
      return false;
    }
    written_off_ += outstanding(progress);
    last_progress_ns_ = now_ns;
    return true;
  }

 private:
  const Stream& stream_;
  const FlowSpace& space_;
  size_t index_;
  uint32_t run_;
  FrameWriter writer_;
  Tally* tally_;
  uint64_t limit_;
  std::vector<uint8_t> frames_;
  uint64_t next_ = 0;
  uint64_t written_off_ = 0;
  uint64_t last_progress_ = 0;
  uint64_t last_progress_ns_ = 0;
};

}  // namespace dyncast::pktgen
