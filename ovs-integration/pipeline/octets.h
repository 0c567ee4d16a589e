// Big-endian octets in and out, and the Internet checksum. Internal to pipeline/.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "schema/base/ip.h"

namespace dyncast::pipeline {

inline constexpr uint16_t kEthIpv4 = 0x0800;
inline constexpr uint16_t kEthArp = 0x0806;
inline constexpr uint16_t kEthVlan = 0x8100;
inline constexpr uint16_t kEthIpv6 = 0x86dd;
inline constexpr size_t kEthernetOctets = 14;
inline constexpr size_t kVlanOctets = 4;
inline constexpr size_t kIpv4Octets = 20;  // without options
inline constexpr size_t kIpv6Octets = 40;
inline constexpr size_t kIcmpOctets = 8;  // the part that all ICMP and ICMPv6 errors have

// Protocol numbers of the header that follows (IANA).
inline constexpr uint8_t kProtoIcmp = 1;
inline constexpr uint8_t kProtoTcp = 6;
inline constexpr uint8_t kProtoUdp = 17;
inline constexpr uint8_t kProtoIcmpv6 = 58;
inline constexpr uint8_t kProtoSctp = 132;

// Precondition for all: `at` + what is read or written lies within `b`.
inline uint16_t Read16(std::span<const uint8_t> b, size_t at) {
  return static_cast<uint16_t>(b[at] << 8 | b[at + 1]);
}
inline uint32_t Read32(std::span<const uint8_t> b, size_t at) {
  return static_cast<uint32_t>(Read16(b, at)) << 16 | Read16(b, at + 2);
}
inline MacAddress ReadMac(std::span<const uint8_t> b, size_t at) {
  MacAddress mac;
  for (size_t i = 0; i < 6; ++i) mac.octets[i] = b[at + i];
  return mac;
}
inline IpAddress ReadIpv6Address(std::span<const uint8_t> b, size_t at) {
  std::array<uint8_t, 16> octets{};
  std::copy_n(b.begin() + static_cast<std::ptrdiff_t>(at), 16, octets.begin());
  return IpAddress::V6(octets);
}
inline void Write16(std::span<uint8_t> b, size_t at, uint16_t value) {
  b[at] = static_cast<uint8_t>(value >> 8);
  b[at + 1] = static_cast<uint8_t>(value);
}
inline void Write32(std::span<uint8_t> b, size_t at, uint32_t value) {
  Write16(b, at, static_cast<uint16_t>(value >> 16));
  Write16(b, at + 2, static_cast<uint16_t>(value));
}
inline void WriteMac(std::span<uint8_t> b, size_t at, const MacAddress& mac) {
  std::copy(mac.octets.begin(), mac.octets.end(), b.begin() + static_cast<std::ptrdiff_t>(at));
}
// 4 octets, or 16.
inline void WriteAddress(std::span<uint8_t> b, size_t at, const IpAddress& address) {
  if (address.is_v4()) {
    Write32(b, at, address.v4());
  } else {
    std::copy(address.octets().begin(), address.octets().end(), b.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

inline bool IsGroup(const MacAddress& mac) { return (mac.octets[0] & 1) != 0; }

// RFC 1071: the sum of `octets` as big-endian words, continuing from `sum`, not folded. At most 65,535 words.
inline uint32_t WordSum(std::span<const uint8_t> octets, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < octets.size(); i += 2) sum += Read16(octets, i);
  if (octets.size() % 2 != 0) sum += static_cast<uint32_t>(octets.back()) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}
inline uint16_t Checksum(std::span<const uint8_t> octets, uint32_t sum = 0) {
  return static_cast<uint16_t>(~WordSum(octets, sum));
}
// RFC 8200 section 8.1: what a checksum over an IPv6 packet's payload starts from.
inline uint32_t PseudoSum(const IpAddress& source, const IpAddress& destination, uint8_t proto,
                          size_t length) {
  const uint32_t rest = proto + static_cast<uint32_t>(length >> 16) + static_cast<uint32_t>(length & 0xffff);
  return WordSum(source.octets(), WordSum(destination.octets(), rest));
}

struct EthernetHeader {
  uint16_t type = 0;   // after at most one 802.1Q tag
  size_t payload = 0;  // where it begins
};
// payload 0: too short to have one.
inline EthernetHeader ReadEthernet(std::span<const uint8_t> packet) {
  if (packet.size() < kEthernetOctets) return {};
  const uint16_t type = Read16(packet, 12);
  if (type != kEthVlan) return {.type = type, .payload = kEthernetOctets};
  if (packet.size() < kEthernetOctets + kVlanOctets) return {};
  return {.type = Read16(packet, 16), .payload = kEthernetOctets + kVlanOctets};
}

}  // namespace dyncast::pipeline
