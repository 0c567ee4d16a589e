#include "tests/support/pktgen/frame.h"

#include <algorithm>
#include <cstring>

namespace dyncast::pktgen {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kTag = 4;
constexpr uint16_t kTypeIpv4 = 0x0800;
constexpr uint16_t kTypeIpv6 = 0x86dd;
constexpr uint16_t kTypeVlan = 0x8100;

void Put16(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
uint16_t Get16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

// RFC 1071, unfolded: sum of the 16-bit words of `octets`.
uint32_t Sum(const uint8_t* at, size_t octets) {
  uint64_t sum = 0;
  for (; octets >= 2; at += 2, octets -= 2) {
    sum += Get16(at);
  }
  if (octets != 0) {
    sum += static_cast<uint32_t>(at[0] << 8);
  }
  while (sum >> 32 != 0) {
    sum = (sum & 0xffffffff) + (sum >> 32);
  }
  return static_cast<uint32_t>((sum & 0xffff) + (sum >> 16));
}
uint16_t Fold(uint32_t sum) {
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(~sum & 0xffff);
}

uint8_t ProtocolNumber(Transport transport, bool v6) {
  switch (transport) {
    case Transport::kUdp: return 17;
    case Transport::kTcp: return 6;
    case Transport::kSctp: return 132;
    case Transport::kIcmp: return v6 ? 58 : 1;
  }
  return 0;
}
size_t HeaderBytes(Transport transport) {
  switch (transport) {
    case Transport::kTcp: return 20;
    case Transport::kSctp: return 12 + 16;  // a DATA chunk's header follows the common one
    default: return 8;
  }
}
// Where the checksum stands in the transport header.
size_t ChecksumAt(Transport transport) {
  switch (transport) {
    case Transport::kTcp: return 16;
    case Transport::kUdp: return 6;
    case Transport::kSctp: return 8;
    case Transport::kIcmp: return 2;
  }
  return 0;
}

uint32_t Crc32c(const uint8_t* at, size_t octets) {
  static const auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) {
        c = (c & 1) != 0 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
      }
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < octets; ++i) {
    crc = table[(crc ^ at[i]) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

// Sets the transport checksum. `counted`: octets from `l4` that are not zero (the padding adds nothing).
void SetTransportChecksum(uint8_t* ip, uint8_t* l4, size_t octets, size_t counted, Transport transport,
                          bool v6) {
  uint8_t* checksum = l4 + ChecksumAt(transport);
  if (transport == Transport::kSctp) {
    std::memset(checksum, 0, 4);
    const uint32_t crc = Crc32c(l4, octets);
    std::memcpy(checksum, &crc, 4);
    return;
  }
  Put16(checksum, 0);
  uint32_t sum = Sum(l4, counted);
  if (transport != Transport::kIcmp || v6) {
    sum += v6 ? Sum(ip + 8, 32) : Sum(ip + 12, 8);
    sum += ProtocolNumber(transport, v6) + static_cast<uint32_t>(octets);
  }
  uint16_t folded = Fold(sum);
  if (transport == Transport::kUdp && folded == 0) {
    folded = 0xffff;
  }
  Put16(checksum, folded);
}

bool TransportChecksumRight(const uint8_t* ip, const uint8_t* l4, size_t octets, Transport transport,
                            bool v6) {
  if (transport == Transport::kSctp) {
    std::vector<uint8_t> copy(l4, l4 + octets);
    std::memset(copy.data() + 8, 0, 4);
    const uint32_t crc = Crc32c(copy.data(), octets);
    return std::memcmp(&crc, l4 + 8, 4) == 0;
  }
  if (transport == Transport::kUdp && !v6 && Get16(l4 + 6) == 0) {
    return true;
  }
  uint32_t sum = Sum(l4, octets);
  if (transport != Transport::kIcmp || v6) {
    sum += v6 ? Sum(ip + 8, 32) : Sum(ip + 12, 8);
    sum += ProtocolNumber(transport, v6) + static_cast<uint32_t>(octets);
  }
  return Fold(sum) == 0;
}

IpAddress ReadV4(const uint8_t* at) {
  return IpAddress::V4(uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 |
                       uint32_t{at[3]});
}
IpAddress ReadV6(const uint8_t* at) {
  std::array<uint8_t, 16> octets{};
  std::copy_n(at, 16, octets.begin());
  return IpAddress::V6(octets);
}

}  // namespace

FrameWriter::FrameWriter(const Shape& shape) : v6_(!shape.sid.is_v4()), transport_(shape.transport) {
  ip_ = kEthernet + (shape.vlan != 0 ? kTag : 0);
  l4_ = ip_ + (v6_ ? 40 : 20);
  stamp_ = l4_ + HeaderBytes(transport_);
  template_.assign(stamp_ + sizeof(Stamp) + shape.padding_bytes, 0);
  uint8_t* f = template_.data();
  std::copy(shape.destination.octets.begin(), shape.destination.octets.end(), f);
  std::copy(shape.source.octets.begin(), shape.source.octets.end(), f + 6);
  if (shape.vlan != 0) {
    Put16(f + 12, kTypeVlan);
    Put16(f + 14, shape.vlan);
  }
  Put16(f + ip_ - 2, v6_ ? kTypeIpv6 : kTypeIpv4);
  uint8_t* ip = f + ip_;
  const auto l4_octets = static_cast<uint32_t>(template_.size() - l4_);
  const auto& sid = shape.sid.octets();
  if (v6_) {
    ip[0] = 0x60;
    Put16(ip + 4, l4_octets);
    ip[6] = ProtocolNumber(transport_, v6_);
    ip[7] = shape.ttl;
    std::copy(sid.begin(), sid.end(), ip + 24);
  } else {
    ip[0] = 0x45;
    Put16(ip + 2, l4_octets + 20);
    ip[6] = 0x40;  // don't fragment
    ip[8] = shape.ttl;
    ip[9] = ProtocolNumber(transport_, v6_);
    std::copy(sid.begin() + 12, sid.end(), ip + 16);
    ip_sum_ = Sum(ip, 20);
  }
  uint8_t* l4 = f + l4_;
  switch (transport_) {
    case Transport::kUdp: Put16(l4 + 4, l4_octets); break;
    case Transport::kTcp:
      l4[12] = 0x50;
      l4[13] = static_cast<uint8_t>(shape.tcp_flags);
      Put16(l4 + 14, 0xffff);
      break;
    case Transport::kSctp:
      l4[13] = 3;  // DATA, whole message
      Put16(l4 + 14, l4_octets - 12);
      break;
    case Transport::kIcmp: l4[0] = v6_ ? 128 : 8; break;
  }
}

void FrameWriter::Prepare(std::span<uint8_t> out) const {
  std::copy(template_.begin(), template_.end(), out.begin());
}

void FrameWriter::Write(const FlowKey& key, const Stamp& stamp, std::span<uint8_t> out) const {
  uint8_t* ip = out.data() + ip_;
  uint8_t* l4 = out.data() + l4_;
  const auto& client = key.client.octets();
  if (v6_) {
    std::copy(client.begin(), client.end(), ip + 8);
  } else {
    std::copy(client.begin() + 12, client.end(), ip + 12);
    Put16(ip + 4, stamp.sequence & 0xffff);
    Put16(ip + 10, Fold(ip_sum_ + Sum(ip + 12, 4) + (stamp.sequence & 0xffff)));
  }
  if (transport_ == Transport::kIcmp) {
    Put16(l4 + 4, key.source_port);
    Put16(l4 + 6, stamp.sequence & 0xffff);
  } else {
    Put16(l4, key.source_port);
    Put16(l4 + 2, key.port);
  }
  std::memcpy(out.data() + stamp_, &stamp, sizeof stamp);
  SetTransportChecksum(ip, l4, template_.size() - l4_, stamp_ + sizeof stamp - l4_, transport_, v6_);
}

std::optional<Seen> ReadFrame(std::span<const uint8_t> frame, uint32_t run) {
  if (frame.size() < kEthernet + 20) {
    return std::nullopt;
  }
  Seen seen;
  seen.ip = kEthernet;
  uint16_t type = Get16(frame.data() + 12);
  if (type == kTypeVlan) {
    seen.ip += kTag;
    type = Get16(frame.data() + 16);
  }
  const uint8_t* ip = frame.data() + seen.ip;
  const bool v6 = type == kTypeIpv6;
  uint8_t protocol = 0;
  if (type == kTypeIpv4 && frame.size() >= seen.ip + 20) {
    const size_t header = (ip[0] & 0xfu) * 4u;
    seen.l4 = seen.ip + header;
    seen.end = seen.ip + Get16(ip + 2);
    protocol = ip[9];
    if (ip[0] >> 4 != 4 || header < 20 || (Get16(ip + 6) & 0x1fff) != 0 || seen.l4 > frame.size()) {
      return std::nullopt;
    }
    seen.source = ReadV4(ip + 12);
    seen.destination = ReadV4(ip + 16);
    seen.ttl = ip[8];
  } else if (v6 && frame.size() >= seen.ip + 40) {
    seen.l4 = seen.ip + 40;
    seen.end = seen.l4 + Get16(ip + 4);
    protocol = ip[6];
    seen.source = ReadV6(ip + 8);
    seen.destination = ReadV6(ip + 24);
    seen.ttl = ip[7];
  } else {
    return std::nullopt;
  }
  switch (protocol) {
    case 17: seen.transport = Transport::kUdp; break;
    case 6: seen.transport = Transport::kTcp; break;
    case 132: seen.transport = Transport::kSctp; break;
    case 1:
    case 58: seen.transport = Transport::kIcmp; break;
    default: return std::nullopt;
  }
  if (seen.end > frame.size() || seen.l4 + HeaderBytes(seen.transport) + sizeof(Stamp) > seen.end) {
    return std::nullopt;
  }
  const uint8_t* l4 = frame.data() + seen.l4;
  const size_t header = seen.transport == Transport::kTcp ? size_t{static_cast<size_t>(l4[12] >> 4) * 4}
                                                          : HeaderBytes(seen.transport);
  seen.payload = seen.l4 + header;
  if (seen.payload + sizeof(Stamp) > seen.end) {
    return std::nullopt;
  }
  std::memcpy(&seen.stamp, frame.data() + seen.payload, sizeof seen.stamp);
  if (seen.stamp.magic != kStampMagic || seen.stamp.run != run) {
    return std::nullopt;
  }
  if (seen.transport == Transport::kIcmp) {
    seen.source_port = Get16(l4 + 4);
  } else {
    seen.source_port = Get16(l4);
    seen.port = Get16(l4 + 2);
  }
  seen.checksums_right = (v6 || Fold(Sum(ip, seen.l4 - seen.ip)) == 0) &&
                         TransportChecksumRight(ip, l4, seen.end - seen.l4, seen.transport, v6);
  return seen;
}

void MakeAnswer(const Seen& seen, std::span<uint8_t> frame) {
  uint8_t* f = frame.data();
  std::swap_ranges(f, f + 6, f + 6);
  uint8_t* ip = f + seen.ip;
  uint8_t* l4 = f + seen.l4;
  const bool v6 = ip[0] >> 4 == 6;
  if (v6) {
    std::swap_ranges(ip + 8, ip + 24, ip + 24);
    ip[7] = 64;
  } else {
    std::swap_ranges(ip + 12, ip + 16, ip + 16);
    ip[8] = 64;
    Put16(ip + 10, 0);
    Put16(ip + 10, Fold(Sum(ip, seen.l4 - seen.ip)));
  }
  if (seen.transport == Transport::kIcmp) {
    l4[0] = v6 ? 129 : 0;
  } else {
    std::swap_ranges(l4, l4 + 2, l4 + 2);
  }
  if (seen.transport == Transport::kTcp && l4[13] == static_cast<uint8_t>(TcpFlags::kSyn)) {
    l4[13] = static_cast<uint8_t>(TcpFlags::kSynAck);
    std::memcpy(l4 + 8, l4 + 4, 4);
    l4[11] = static_cast<uint8_t>(l4[11] + 1);
  }
  Stamp stamp = seen.stamp;
  stamp.kind = StampKind::kAnswer;
  std::memcpy(f + seen.payload, &stamp, sizeof stamp);
  const size_t octets = seen.end - seen.l4;
  SetTransportChecksum(ip, l4, octets, octets, seen.transport, v6);
}

}  // namespace dyncast::pktgen
