// Frames with a stamp in their payload: built from a template, read back, turned into answers. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tests/support/pktgen/flow_space.h"

namespace dyncast::pktgen {

inline constexpr uint32_t kStampMagic = 0x64796e73;
inline constexpr size_t kMaxFrame = 2000;

enum class StampKind : uint16_t { kDemand = 1, kAnswer = 2 };

// In the first octets of the payload; host byte order, since one process writes and reads it.
struct Stamp {
  uint32_t magic = kStampMagic;
  uint32_t run = 0;  // of this process; others' packets are not counted
  uint32_t sequence = 0;
  uint32_t flow = 0;
  uint64_t sent_ns = 0;  // CLOCK_REALTIME
  uint16_t stream = 0;
  StampKind kind = StampKind::kDemand;
  uint32_t reserved = 0;
};
static_assert(sizeof(Stamp) == 32);

enum class TcpFlags : uint8_t { kSyn = 0x02, kAck = 0x18, kSynAck = 0x12 };

// Writes frames of one shape; what differs from packet to packet is patched.
class FrameWriter {
 public:
  struct Shape {
    MacAddress source;
    MacAddress destination;
    uint16_t vlan = 0;  // 0: untagged
    Transport transport = Transport::kUdp;
    TcpFlags tcp_flags = TcpFlags::kSyn;
    IpAddress sid;
    uint8_t ttl = 64;
    size_t padding_bytes = 0;  // zeros after the stamp
  };
  explicit FrameWriter(const Shape& shape);

  size_t size() const { return template_.size(); }
  // Precondition: `out` has size() octets, written by Prepare or Write before.
  void Prepare(std::span<uint8_t> out) const;
  void Write(const FlowKey& key, const Stamp& stamp, std::span<uint8_t> out) const;

 private:
  std::vector<uint8_t> template_;
  size_t ip_ = 0;
  size_t l4_ = 0;
  size_t stamp_ = 0;
  bool v6_ = false;
  Transport transport_;
  uint32_t ip_sum_ = 0;  // of the template's header without source and identification
};

// A packet of ours. Offsets are into the frame.
struct Seen {
  Stamp stamp;
  IpAddress source;
  IpAddress destination;
  Transport transport = Transport::kUdp;
  uint16_t source_port = 0;
  uint16_t port = 0;
  uint8_t ttl = 0;
  bool checksums_right = false;
  size_t ip = 0;
  size_t l4 = 0;
  size_t payload = 0;
  size_t end = 0;  // of the IP packet
};
// nullopt for frames that carry no stamp of `run`.
std::optional<Seen> ReadFrame(std::span<const uint8_t> frame, uint32_t run);

// Turns a demand into its answer in place: addresses and ports swapped, the stamp's kind changed, checksums
// made.
void MakeAnswer(const Seen& seen, std::span<uint8_t> frame);

}  // namespace dyncast::pktgen
