// Big-endian octets in and out. Internal to pipeline/.
#pragma once

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

// Precondition for all: `at` + what is read lies within `b`.
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
inline void Write16(std::span<uint8_t> b, size_t at, uint16_t value) {
  b[at] = static_cast<uint8_t>(value >> 8);
  b[at + 1] = static_cast<uint8_t>(value);
}
inline void Write32(std::span<uint8_t> b, size_t at, uint32_t value) {
  Write16(b, at, static_cast<uint16_t>(value >> 16));
  Write16(b, at + 2, static_cast<uint16_t>(value));
}

struct EthernetHeader {
  uint16_t type = 0;   // after at most one 802.1Q tag
  size_t payload = 0;  // where it begins
};
// type 0: too short to have one.
inline EthernetHeader ReadEthernet(std::span<const uint8_t> packet) {
  if (packet.size() < kEthernetOctets) return {};
  const uint16_t type = Read16(packet, 12);
  if (type != kEthVlan) return {.type = type, .payload = kEthernetOctets};
  if (packet.size() < kEthernetOctets + kVlanOctets) return {};
  return {.type = Read16(packet, 16), .payload = kEthernetOctets + kVlanOctets};
}

}  // namespace dyncast::pipeline
