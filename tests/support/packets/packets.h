// Builds whole Ethernet frames for tests: right lengths and checksums, every field settable.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/ip.h"
#include "schema/model/service.h"

namespace dyncast::test {

using Bytes = std::vector<uint8_t>;

MacAddress Mac(std::string_view text);  // throws std::invalid_argument: a test's own mistake
IpAddress Ip(std::string_view text);
IpPrefix Prefix(std::string_view text);

struct Ipv4Packet {
  MacAddress eth_src{{2, 0, 0, 0, 0, 1}};
  MacAddress eth_dst{{2, 0, 0, 0, 0, 2}};
  std::optional<uint16_t> vlan{};  // tag control information
  IpAddress src = IpAddress::V4(0x0a000001);
  IpAddress dst = IpAddress::V4(0x0a000002);
  IpProto proto = IpProto::kTcp;
  uint16_t src_port = 40000;  // TCP, UDP, SCTP
  uint16_t dst_port = 80;
  uint8_t tcp_flags = 0x02;  // SYN
  uint8_t icmp_type = 8;
  uint8_t icmp_code = 0;
  uint8_t ttl = 64;
  uint16_t fragment_offset = 0;  // in octets, a multiple of 8; not 0: no transport header is written
  bool more_fragments = false;
  std::string payload = "dyncast";
};
// Ethernet, IPv4 and, by protocol, TCP, UDP, SCTP (checksum 0), ICMP echo or only the payload.
Bytes Build(const Ipv4Packet& packet);

struct Ipv6Packet {
  MacAddress eth_src{{2, 0, 0, 0, 0, 1}};
  MacAddress eth_dst{{2, 0, 0, 0, 0, 2}};
  std::optional<uint16_t> vlan{};  // tag control information
  IpAddress src = Ip("fd00::1");
  IpAddress dst = Ip("fd00::2");
  std::vector<uint8_t> extensions{};  // next-header numbers, each header 8 octets (AH: 12)
  uint16_t fragment_offset = 0;       // of a fragment header (44) in `extensions`, if there is one
  IpProto proto = IpProto::kUdp;      // kIcmp: ICMPv6
  uint16_t src_port = 40000;
  uint16_t dst_port = 80;
  uint8_t icmp_type = 128;
  uint8_t icmp_code = 0;
  uint8_t hop_limit = 64;
  std::string payload{};
};
Bytes Build(const Ipv6Packet& packet);

// Neighbour solicitation or advertisement.
struct NdFrame {
  MacAddress eth_src{{2, 0, 0, 0, 0, 1}};
  MacAddress eth_dst{{0x33, 0x33, 0xff, 0, 0, 2}};
  std::optional<uint16_t> vlan{};
  IpAddress src = Ip("fd00::1");
  IpAddress dst = Ip("ff02::1:ff00:2");
  uint8_t hop_limit = 255;
  bool advertisement = false;
  uint32_t flags = 0;
  IpAddress target = Ip("fd00::2");
  std::optional<MacAddress> link_address{};  // source's or target's option
};
Bytes Build(const NdFrame& packet);

struct ArpFrame {
  MacAddress eth_src{{2, 0, 0, 0, 0, 1}};
  MacAddress eth_dst{{255, 255, 255, 255, 255, 255}};
  std::optional<uint16_t> vlan{};
  uint16_t operation = 1;
  MacAddress sender_mac{{2, 0, 0, 0, 0, 1}};
  IpAddress sender = IpAddress::V4(0x0a000001);
  MacAddress target_mac{};
  IpAddress target = IpAddress::V4(0x0a000002);
};
Bytes Build(const ArpFrame& packet);

// RFC 1071 over `octets`, which continue from `sum`: 0 over a header with a right checksum.
uint16_t Checksum(std::span<const uint8_t> octets, uint32_t sum = 0);
// True if the IPv4 header checksum and the TCP, UDP or ICMP checksum (whole, unfragmented packets without
// extension headers, behind at most one tag) are right. UDP checksum 0 counts as right over IPv4.
bool ChecksumsRight(std::span<const uint8_t> frame);

std::string ToHex(std::span<const uint8_t> octets);
Bytes FromHex(std::string_view hex);

}  // namespace dyncast::test
