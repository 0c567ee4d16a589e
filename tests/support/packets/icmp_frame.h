// Builds ICMP and ICMPv6 errors for tests, with right checksums.
#pragma once

#include <algorithm>

#include "tests/support/packets/packets.h"

namespace dyncast::test {

struct IcmpFrame {
  bool v6 = false;
  IpAddress src;
  IpAddress dst;
  uint8_t type = 3;
  uint8_t code = 4;
  uint16_t mtu = 1400;
  IpAddress quoted_src;
  IpAddress quoted_dst;
  IpProto quoted_proto = IpProto::kTcp;
  uint16_t quoted_src_port = 40000;
  uint16_t quoted_dst_port = 80;
  uint16_t quoted_fragment_offset = 0;
  bool quoted_udp_checksum = true;
  std::string quoted_payload = "what was sent";
  size_t quoted_octets = 1000;  // of the quoted packet, at most

  static IcmpFrame Sample(bool v6, IpProto proto) {
    IcmpFrame frame;
    frame.v6 = v6;
    frame.type = v6 ? 2 : 3;
    frame.code = v6 ? 0 : 4;
    frame.src = Ip(v6 ? "fd02:1::9" : "10.2.1.9");
    frame.dst = Ip(v6 ? "fd10::7" : "192.168.10.7");
    frame.quoted_src = frame.dst;
    frame.quoted_dst = Ip(v6 ? "fd02:1::11" : "10.2.1.11");
    frame.quoted_proto = proto;
    return frame;
  }
};

inline Bytes Quoted(const IcmpFrame& frame) {
  Bytes quoted;
  if (frame.v6) {
    Ipv6Packet packet;
    packet.src = frame.quoted_src;
    packet.dst = frame.quoted_dst;
    packet.proto = frame.quoted_proto;
    packet.src_port = frame.quoted_src_port;
    packet.dst_port = frame.quoted_dst_port;
    packet.payload = frame.quoted_payload;
    quoted = Build(packet);
  } else {
    Ipv4Packet packet;
    packet.src = frame.quoted_src;
    packet.dst = frame.quoted_dst;
    packet.proto = frame.quoted_proto;
    packet.src_port = frame.quoted_src_port;
    packet.dst_port = frame.quoted_dst_port;
    packet.fragment_offset = frame.quoted_fragment_offset;
    packet.payload = frame.quoted_payload;
    quoted = Build(packet);
    if (frame.quoted_proto == IpProto::kUdp && !frame.quoted_udp_checksum) quoted[40] = quoted[41] = 0;
  }
  quoted.erase(quoted.begin(), quoted.begin() + 14);
  quoted.resize(std::min(quoted.size(), frame.quoted_octets));
  return quoted;
}

inline Bytes Build(const IcmpFrame& frame) {
  const Bytes quoted = Quoted(frame);
  Bytes out;
  // An echo of the right length gives the headers; then the message is written over it.
  const size_t icmp = frame.v6 ? 54 : 34;
  if (frame.v6) {
    Ipv6Packet packet;
    packet.src = frame.src;
    packet.dst = frame.dst;
    packet.proto = IpProto::kIcmp;
    packet.payload = std::string(quoted.size(), '\0');
    out = Build(packet);
  } else {
    Ipv4Packet packet;
    packet.src = frame.src;
    packet.dst = frame.dst;
    packet.proto = IpProto::kIcmp;
    packet.payload = std::string(quoted.size(), '\0');
    out = Build(packet);
  }
  const uint8_t head[] = {frame.type,
                          frame.code,
                          0,
                          0,
                          0,
                          0,
                          static_cast<uint8_t>(frame.mtu >> 8),
                          static_cast<uint8_t>(frame.mtu)};
  std::copy(std::begin(head), std::end(head), out.begin() + static_cast<std::ptrdiff_t>(icmp));
  std::copy(quoted.begin(), quoted.end(), out.begin() + static_cast<std::ptrdiff_t>(icmp) + 8);
  const std::span<const uint8_t> body = std::span(out).subspan(icmp);
  uint32_t pseudo = 0;
  if (frame.v6) {
    pseudo = 58 + static_cast<uint32_t>(body.size());
    for (size_t i = 22; i < 54; i += 2) pseudo += out[i] * 256u + out[i + 1];
  }
  const uint16_t sum = Checksum(body, pseudo);
  out[icmp + 2] = static_cast<uint8_t>(sum >> 8);
  out[icmp + 3] = static_cast<uint8_t>(sum);
  return out;
}

}  // namespace dyncast::test
