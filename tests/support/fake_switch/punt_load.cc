#include "tests/support/fake_switch/punt_load.h"

#include <algorithm>
#include <bit>

namespace dyncast::test {

using openflow::ByteView;
using openflow::Get16;
using openflow::Get32;
using openflow::Put16;
using openflow::Put32;

namespace {

constexpr uint32_t kClientRegs = 0x80010808;    // xreg4: reg8 holds an IPv4 client
constexpr uint32_t kClientSource = 0x80001604;  // OXM_OF_IPV4_SRC
constexpr size_t kIpOffset = 14;
constexpr size_t kPacketSize = 60;
constexpr uint32_t kSequenceMask = 0xffffff;

void SetIpChecksum(uint8_t* ip) {
  Put16(ip + 10, 0);
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2) sum += Get16(ip + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  Put16(ip + 10, static_cast<uint16_t>(~sum));
}

}  // namespace

void LatencyCounts::Add(const LatencyCounts& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
}

uint64_t LatencyCounts::Quantile(double q) const {
  const auto wanted = static_cast<uint64_t>(q * static_cast<double>(total_));
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > wanted) return i;
  }
  return 0;
}

PuntLoad::PuntLoad(FakeSwitch* fake, const PuntLoadOptions& options)
    : fake_(fake),
      options_(options),
      packet_(kPacketSize),
      slots_(std::bit_ceil(options.window * 4u + 1024u)) {
  uint8_t* p = packet_.data();
  p[0] = p[6] = 0x02;
  p[5] = 1;
  p[11] = 2;
  Put16(p + 12, 0x0800);
  uint8_t* ip = p + kIpOffset;
  ip[0] = 0x45;
  Put16(ip + 2, kPacketSize - kIpOffset);
  ip[8] = 64;
  ip[9] = 6;
  Put32(ip + 16, options.sid.v4());
  Put16(ip + 20, 40000);
  Put16(ip + 22, options.port);
  ip[32] = 0x50;
  ip[33] = 0x02;  // SYN
  fake->on_packet_out = [this](ByteView m) { OnPacketOut(m); };
  fake->on_binding = [this](ByteView m) { OnBinding(m); };
}

void PuntLoad::Fill() {
  if (outstanding_ >= options_.window) return;
  const auto now = std::chrono::steady_clock::now();
  if (options_.per_s <= 0) {
    while (outstanding_ < options_.window) Send(now);
    return;
  }
  const auto period = std::chrono::nanoseconds(static_cast<int64_t>(1e9 / options_.per_s));
  if (due_ == std::chrono::steady_clock::time_point{}) due_ = now;
  for (; due_ <= now && outstanding_ < options_.window; due_ += period) Send(due_);
}

std::optional<std::chrono::nanoseconds> PuntLoad::UntilNext() const {
  if (options_.per_s <= 0 || outstanding_ >= options_.window) return std::nullopt;
  return std::max(std::chrono::nanoseconds{0},
                  std::chrono::nanoseconds(due_ - std::chrono::steady_clock::now()));
}

void PuntLoad::Send(std::chrono::steady_clock::time_point since) {
  while (slots_[next_ & (slots_.size() - 1)].seen != kFree) {
    next_ = (next_ + 1) & kSequenceMask;  // an old one still waits there
  }
  slots_[next_ & (slots_.size() - 1)] = {.sequence = next_, .seen = kWaiting, .sent = since};
  uint8_t* ip = packet_.data() + kIpOffset;
  Put32(ip + 12, static_cast<uint32_t>(options_.client_net) << 24 | next_);
  SetIpChecksum(ip);
  fake_->SendPunt(1, options_.service, options_.in_port, 0, packet_);
  ++outstanding_;
  next_ = (next_ + 1) & kSequenceMask;
}

void PuntLoad::ResetCounts() { latencies_ = {}; }

void PuntLoad::Mark(uint32_t sequence, uint8_t what) {
  sequence &= kSequenceMask;
  Slot& slot = slots_[sequence & (slots_.size() - 1)];
  if (slot.seen == kFree || slot.sequence != sequence || (slot.seen & what) != 0) {
    ++unasked_;
    return;
  }
  slot.seen |= what;
  if (slot.seen != (kWaiting | kBound | kForwarded)) return;
  slot.seen = kFree;
  --outstanding_;
  const auto waited = std::chrono::steady_clock::now() - slot.sent;
  latencies_.Add(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(waited).count()));
}

void PuntLoad::OnPacketOut(ByteView message) {
  const size_t packet = 32u + Get16(message.data() + 12);
  if (message.size() >= packet + kIpOffset + 20)
    Mark(Get32(message.data() + packet + kIpOffset + 12), kForwarded);
}

void PuntLoad::OnBinding(ByteView flow_mod) {
  const auto is_client = [&](size_t at) {
    const uint32_t field = Get32(flow_mod.data() + at);
    return field == kClientRegs || field == kClientSource;
  };
  if (client_offset_ == 0 || client_offset_ + 8 > flow_mod.size() || !is_client(client_offset_)) {
    client_offset_ = 0;
    const size_t end = std::min<size_t>(flow_mod.size(), 48u + Get16(flow_mod.data() + 50));
    for (size_t at = 52; at + 8 <= end; at += 4u + flow_mod[at + 3]) {
      if (is_client(at)) client_offset_ = at;
    }
  }
  if (client_offset_ != 0) Mark(Get32(flow_mod.data() + client_offset_ + 4), kBound);
}

}  // namespace dyncast::test
