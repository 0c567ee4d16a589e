#include "tests/ovs/pipeline/demand_frame.h"

#include <algorithm>
#include <span>

namespace dyncast::test {
namespace {

constexpr size_t kEthernet = 14;
constexpr size_t kIpv4 = 20;
constexpr size_t kIpv6 = 40;
constexpr uint8_t kFragmentHeader = 44;

void Put16(Bytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}
void Set16(Bytes& out, size_t at, size_t value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value);
}
void PutAddress(Bytes& out, const IpAddress& address) {
  const auto& octets = address.octets();
  out.insert(out.end(), octets.begin() + (address.is_v4() ? 12 : 0), octets.end());
}

uint8_t ProtocolOctet(const DemandFrame& frame) {
  constexpr uint8_t kIcmpv6 = 58;
  if (frame.proto == IpProto::kIcmp && !frame.src.is_v4()) return kIcmpv6;
  return static_cast<uint8_t>(frame.proto);
}

size_t ChecksumAt(uint8_t protocol) {
  switch (protocol) {
    case 6: return 16;
    case 17: return 6;
    case 1:
    case 58: return 2;
    default: return 0;
  }
}

// Sum over addresses, protocol and length; ICMP of IPv4 has none.
uint32_t PseudoSum(const IpAddress& src, const IpAddress& dst, uint8_t protocol, size_t length) {
  if (protocol == 1) return 0;
  Bytes header;
  PutAddress(header, src);
  PutAddress(header, dst);
  uint32_t sum = static_cast<uint32_t>(protocol + length);
  for (size_t i = 0; i < header.size(); i += 2) sum += header[i] * 256u + header[i + 1];
  return sum;
}

Bytes TransportOf(const DemandFrame& frame) {
  const bool v4 = frame.src.is_v4();
  Bytes out;
  if (frame.proto == IpProto::kIcmp) {
    out = {static_cast<uint8_t>(v4 ? (frame.reply ? 0 : 8) : (frame.reply ? 129 : 128)), 0, 0, 0, 0, 1, 0, 1};
  } else {
    Put16(out, frame.src_port);
    Put16(out, frame.dst_port);
    if (frame.proto == IpProto::kTcp) {
      const bool ack = (frame.tcp_flags & 0x10) != 0;
      for (size_t word : {0, 1000, 0, ack ? 2000 : 0}) Put16(out, word);
      out.push_back(0x50);
      out.push_back(frame.tcp_flags);
      for (size_t word : {65535, 0, 0}) Put16(out, word);
    } else {
      for (size_t word : {0, 0}) Put16(out, word);
      if (frame.proto == IpProto::kSctp) {  // common header, then an INIT chunk's head
        for (size_t word : {0, 0}) Put16(out, word);
      }
    }
  }
  out.insert(out.end(), frame.payload.begin(), frame.payload.end());
  if (frame.proto == IpProto::kUdp) Set16(out, 4, out.size());
  if (const size_t at = ChecksumAt(ProtocolOctet(frame)); at != 0) {
    Set16(out, at, Checksum(out, PseudoSum(frame.src, frame.dst, ProtocolOctet(frame), out.size())));
  }
  return out;
}

// Ethernet and IP around `body`. A fragment if `more` or `offset` is not 0.
Bytes Around(const DemandFrame& frame, std::span<const uint8_t> body, size_t offset, bool more) {
  const bool fragment = more || offset != 0;
  Bytes out(frame.eth_dst.octets.begin(), frame.eth_dst.octets.end());
  out.insert(out.end(), frame.eth_src.octets.begin(), frame.eth_src.octets.end());
  if (frame.src.is_v4()) {
    Put16(out, 0x0800);
    Put16(out, 0x4500);
    Put16(out, kIpv4 + body.size());
    Put16(out, frame.identification);
    Put16(out, (more ? 0x2000u : 0u) | offset / 8);
    out.push_back(64);
    out.push_back(ProtocolOctet(frame));
    Put16(out, 0);
    PutAddress(out, frame.src);
    PutAddress(out, frame.dst);
    Set16(out, kEthernet + 10, Checksum(std::span(out).subspan(kEthernet, kIpv4)));
  } else {
    Put16(out, 0x86dd);
    Put16(out, 0x6000);
    Put16(out, 0);
    Put16(out, body.size() + (fragment ? 8 : 0));
    out.push_back(fragment ? kFragmentHeader : ProtocolOctet(frame));
    out.push_back(64);
    PutAddress(out, frame.src);
    PutAddress(out, frame.dst);
    if (fragment) {
      out.push_back(ProtocolOctet(frame));
      out.push_back(0);
      Put16(out, offset | (more ? 1u : 0u));
      Put16(out, 0);
      Put16(out, frame.identification);
    }
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

IpAddress AddressAt(const Bytes& frame, size_t v4_at, size_t v6_at) {
  if (frame.size() < kEthernet + kIpv4) return {};
  if (frame[12] == 0x08 && frame[13] == 0x00) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | frame[kEthernet + v4_at + i];
    return IpAddress::V4(value);
  }
  if (frame[12] != 0x86 || frame[13] != 0xdd || frame.size() < kEthernet + kIpv6) return {};
  std::array<uint8_t, 16> octets{};
  std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(kEthernet + v6_at), 16, octets.begin());
  return IpAddress::V6(octets);
}

}  // namespace

Bytes Build(const DemandFrame& frame) { return Around(frame, TransportOf(frame), 0, false); }

std::vector<Bytes> Fragments(const DemandFrame& frame, size_t octets) {
  const Bytes whole = TransportOf(frame);
  std::vector<Bytes> fragments;
  for (size_t at = 0; at < whole.size(); at += octets) {
    const size_t size = std::min(octets, whole.size() - at);
    fragments.push_back(Around(frame, std::span(whole).subspan(at, size), at, at + size < whole.size()));
  }
  return fragments;
}

IpAddress SourceOf(const Bytes& frame) { return AddressAt(frame, 12, 8); }
IpAddress DestinationOf(const Bytes& frame) { return AddressAt(frame, 16, 24); }

bool TransportChecksumRight(const Bytes& frame) {
  const IpAddress src = SourceOf(frame);
  if (src.is_none()) return false;
  const uint8_t protocol = frame[kEthernet + (src.is_v4() ? 9 : 6)];
  if (ChecksumAt(protocol) == 0) return true;
  const std::span<const uint8_t> body = std::span(frame).subspan(kEthernet + (src.is_v4() ? kIpv4 : kIpv6));
  return Checksum(body, PseudoSum(src, DestinationOf(frame), protocol, body.size())) == 0;
}

}  // namespace dyncast::test
