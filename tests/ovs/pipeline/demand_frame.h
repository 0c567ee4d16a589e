// Packets of either family to and from services, whole or in fragments.
#pragma once

#include <string>
#include <vector>

#include "tests/support/packets/packets.h"

namespace dyncast::test {

struct DemandFrame {
  MacAddress eth_src = Mac("0a:00:00:00:0a:07");
  MacAddress eth_dst = Mac("02:00:00:00:01:01");
  IpAddress src;
  IpAddress dst;
  IpProto proto = IpProto::kTcp;  // kIcmp: ICMPv6 between IPv6 addresses
  uint16_t src_port = 40000;
  uint16_t dst_port = 80;
  uint8_t tcp_flags = 0x02;  // SYN
  bool reply = false;        // ICMP: an echo reply
  uint16_t identification = 0x1234;
  std::string payload = "dyncast";
};
Bytes Build(const DemandFrame& frame);
// `frame` in fragments of `octets` of payload each (a multiple of 8), the last one shorter.
std::vector<Bytes> Fragments(const DemandFrame& frame, size_t octets);

// The addresses of an IPv4 or IPv6 frame; none for others.
IpAddress SourceOf(const Bytes& frame);
IpAddress DestinationOf(const Bytes& frame);
// True if its TCP, UDP or ICMP checksum is right. Whole packets without extension headers only.
bool TransportChecksumRight(const Bytes& frame);

}  // namespace dyncast::test
