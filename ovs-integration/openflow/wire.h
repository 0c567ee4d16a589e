// OpenFlow 1.5's octets as far as the sessions write and read them by hand: header, message types, byte
// order, and the buffers that messages are cut from and collected in (OpenFlow 1.5.1, section 7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace dyncast::openflow {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline constexpr uint8_t kVersion15 = 0x06;
inline constexpr size_t kHeaderSize = 8;
inline constexpr uint32_t kNiciraVendor = 0x00002320;

// ofp_type of OpenFlow 1.5.
enum class MsgType : uint8_t {
  kHello = 0,
  kError = 1,
  kEchoRequest = 2,
  kEchoReply = 3,
  kExperimenter = 4,
  kFeaturesRequest = 5,
  kFeaturesReply = 6,
  kPacketIn = 10,
  kFlowRemoved = 11,
  kPortStatus = 12,
  kPacketOut = 13,
  kFlowMod = 14,
  kGroupMod = 15,
  kMultipartRequest = 18,
  kMultipartReply = 19,
  kBarrierRequest = 20,
  kBarrierReply = 21,
  kMeterMod = 29,
  kBundleControl = 33,
  kBundleAdd = 34,
};

inline uint16_t Get16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
inline uint32_t Get32(const uint8_t* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}
inline uint64_t Get64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return __builtin_bswap64(v);
}
inline void Put16(uint8_t* p, uint16_t v) {
  v = __builtin_bswap16(v);
  std::memcpy(p, &v, 2);
}
inline void Put32(uint8_t* p, uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, 4);
}
inline void Put64(uint8_t* p, uint64_t v) {
  v = __builtin_bswap64(v);
  std::memcpy(p, &v, 8);
}

inline uint8_t MessageVersion(ByteView message) { return message[0]; }
inline MsgType MessageType(ByteView message) { return static_cast<MsgType>(message[1]); }
inline uint32_t MessageXid(ByteView message) { return Get32(message.data() + 4); }

// Collects the output of a turn; the owner of the socket takes from the front.
class OutBuffer {
 public:
  // Room for `size` octets at the end, zeroed. The pointer is valid until the next call.
  uint8_t* Extend(size_t size) {
    const size_t old = bytes_.size();
    bytes_.resize(old + size);
    return bytes_.data() + old;
  }
  void Append(ByteView data) {
    if (!data.empty()) std::memcpy(Extend(data.size()), data.data(), data.size());
  }
  // A message without body, or the head of one with `size` octets in all.
  uint8_t* Message(MsgType type, uint32_t xid, size_t size) {
    uint8_t* p = Extend(size);
    p[0] = kVersion15;
    p[1] = static_cast<uint8_t>(type);
    Put16(p + 2, static_cast<uint16_t>(size));
    Put32(p + 4, xid);
    return p;
  }
  ByteView pending() const { return ByteView(bytes_).subspan(head_); }
  size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }
  void Consume(size_t size) {
    head_ += size;
    if (head_ == bytes_.size()) {
      bytes_.clear();
      head_ = 0;
    } else if (head_ > 1u << 20) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(head_));
      head_ = 0;
    }
  }

 private:
  Bytes bytes_;
  size_t head_ = 0;
};

enum class CutState : uint8_t { kMessage, kNeedMore, kBroken };

// Looks at the front of `data`: a whole message (*size octets), part of one, or a length no message has.
inline CutState CutMessage(ByteView data, size_t* size) {
  if (data.size() < 4) return CutState::kNeedMore;
  *size = Get16(data.data() + 2);
  if (*size < kHeaderSize) return CutState::kBroken;
  return data.size() < *size ? CutState::kNeedMore : CutState::kMessage;
}

}  // namespace dyncast::openflow
