#include <algorithm>
#include <string>

#include "ovs-integration/pipeline/octets.h"
#include "ovs-integration/pipeline/packet.h"

namespace dyncast::pipeline {
namespace {

constexpr int kMaxExtensionHeaders = 8;
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kAuthentication = 51;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kMobility = 135;

Error Truncated(const char* what, size_t have, size_t need) {
  return MakeError(Errc::kParse, std::string(what) + " of " + std::to_string(have) + " octets, need " +
                                     std::to_string(need));
}

IpAddress ReadV6(std::span<const uint8_t> b, size_t at) {
  std::array<uint8_t, 16> octets{};
  std::copy_n(b.begin() + static_cast<std::ptrdiff_t>(at), 16, octets.begin());
  return IpAddress::V6(octets);
}

// Ports and flags of `payload`, which begins with the header of the packet's protocol.
Status ReadTransport(std::span<const uint8_t> payload, ParsedPacket& packet) {
  Demand& demand = packet.demand;
  size_t need = 0;
  switch (demand.proto) {
    case IpProto::kTcp: need = 20; break;
    case IpProto::kUdp: need = 8; break;
    case IpProto::kSctp: need = 12; break;
    default: return Ok();
  }
  if (payload.size() < need) return Truncated("transport header", payload.size(), need);
  demand.src_port = Read16(payload, 0);
  demand.dst_port = Read16(payload, 2);
  if (demand.proto == IpProto::kTcp) packet.tcp_flags = payload[13];
  return Ok();
}

Status ReadIpv4(std::span<const uint8_t> ip, ParsedPacket& packet) {
  if (ip.size() < kIpv4Octets) return Truncated("IPv4 header", ip.size(), kIpv4Octets);
  const size_t header = (ip[0] & 0xfu) * 4u;
  const size_t total = Read16(ip, 2);
  if (ip[0] >> 4 != 4 || header < kIpv4Octets) {
    return MakeError(Errc::kParse, "IPv4 header begins with " + std::to_string(ip[0]));
  }
  if (total < header) return Truncated("IPv4 packet", total, header);
  if (total > ip.size()) return Truncated("IPv4 packet", ip.size(), total);
  packet.ttl = ip[8];
  packet.demand.proto = static_cast<IpProto>(ip[9]);
  packet.demand.client = IpAddress::V4(Read32(ip, 12));
  packet.demand.sid = IpAddress::V4(Read32(ip, 16));
  packet.later_fragment = (Read16(ip, 6) & 0x1fff) != 0;
  if (packet.later_fragment) return Ok();
  return ReadTransport(ip.subspan(header, total - header), packet);
}

Status ReadIpv6(std::span<const uint8_t> ip, ParsedPacket& packet) {
  if (ip.size() < kIpv6Octets) return Truncated("IPv6 header", ip.size(), kIpv6Octets);
  if (ip[0] >> 4 != 6) {
    return MakeError(Errc::kParse, "IPv6 header begins with " + std::to_string(ip[0]));
  }
  const size_t length = Read16(ip, 4);
  if (length > ip.size() - kIpv6Octets) {
    return Truncated("IPv6 packet", ip.size(), length + kIpv6Octets);
  }
  packet.ttl = ip[7];
  packet.demand.client = ReadV6(ip, 8);
  packet.demand.sid = ReadV6(ip, 24);
  // Such an address is never on a wire; taken as it stands it would pass for IPv4.
  if (packet.demand.client.is_v4() || packet.demand.sid.is_v4()) {
    return MakeError(Errc::kInvalid, "IPv6 packet with an IPv4-mapped address");
  }
  uint8_t next = ip[6];
  std::span<const uint8_t> rest = ip.subspan(kIpv6Octets, length);
  for (int skipped = 0;; ++skipped) {
    const bool extension = next == kHopByHop || next == kRouting || next == kFragment ||
                           next == kAuthentication || next == kDestinationOptions || next == kMobility;
    if (!extension) break;
    if (skipped == kMaxExtensionHeaders) {
      return MakeError(Errc::kLimit,
                       "more than " + std::to_string(kMaxExtensionHeaders) + " IPv6 extension headers");
    }
    if (rest.size() < 8) return Truncated("IPv6 extension header", rest.size(), 8);
    size_t size = 8;
    if (next == kAuthentication) {
      size = (rest[1] + 2u) * 4u;  // RFC 4302 counts in fours
    } else if (next != kFragment) {
      size = (rest[1] + 1u) * 8u;
    }
    if (rest.size() < size) return Truncated("IPv6 extension header", rest.size(), size);
    const bool later = next == kFragment && (Read16(rest, 2) & 0xfff8) != 0;
    next = rest[0];
    rest = rest.subspan(size);
    if (later) {
      packet.later_fragment = true;
      break;
    }
  }
  packet.demand.proto = static_cast<IpProto>(next);
  if (packet.later_fragment) return Ok();
  return ReadTransport(rest, packet);
}

}  // namespace

Result<ParsedPacket> ParsePacket(std::span<const uint8_t> packet) {
  const EthernetHeader ethernet = ReadEthernet(packet);
  if (ethernet.payload == 0) return Truncated("Ethernet header", packet.size(), kEthernetOctets);
  ParsedPacket parsed;
  parsed.eth_dst = ReadMac(packet, 0);
  parsed.eth_src = ReadMac(packet, 6);
  parsed.eth_type = ethernet.type;
  const std::span<const uint8_t> payload = packet.subspan(ethernet.payload);
  Status read = Ok();
  if (ethernet.type == kEthIpv4) {
    read = ReadIpv4(payload, parsed);
  } else if (ethernet.type == kEthIpv6) {
    read = ReadIpv6(payload, parsed);
  } else {
    return MakeError(Errc::kParse, "Ethernet type " + std::to_string(ethernet.type) + " is not IP");
  }
  if (!read.ok()) return read.error();
  return parsed;
}

Result<ArpPacket> ParseArp(std::span<const uint8_t> packet) {
  constexpr size_t kArpOctets = 28;
  const EthernetHeader ethernet = ReadEthernet(packet);
  if (ethernet.payload == 0) return Truncated("Ethernet header", packet.size(), kEthernetOctets);
  if (ethernet.type != kEthArp) {
    return MakeError(Errc::kParse, "Ethernet type " + std::to_string(ethernet.type) + " is not ARP");
  }
  const std::span<const uint8_t> arp = packet.subspan(ethernet.payload);
  if (arp.size() < kArpOctets) return Truncated("ARP packet", arp.size(), kArpOctets);
  if (Read16(arp, 0) != 1 || Read16(arp, 2) != kEthIpv4 || arp[4] != 6 || arp[5] != 4) {
    return MakeError(Errc::kParse, "ARP packet is not for IPv4 over Ethernet");
  }
  const uint16_t operation = Read16(arp, 6);
  if (operation != 1 && operation != 2) {
    return MakeError(Errc::kParse, "ARP operation " + std::to_string(operation) + " is not request or reply");
  }
  ArpPacket parsed{.request = operation == 1,
                   .sender_mac = ReadMac(arp, 8),
                   .sender = IpAddress::V4(Read32(arp, 14)),
                   .target = IpAddress::V4(Read32(arp, 24))};
  if ((parsed.sender_mac.octets[0] & 1) != 0) {
    return MakeError(Errc::kInvalid, "ARP sender " + parsed.sender_mac.ToString() + " is a group address");
  }
  return parsed;
}

}  // namespace dyncast::pipeline
