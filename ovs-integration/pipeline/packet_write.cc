#include <algorithm>

#include "ovs-integration/pipeline/ip_header.h"
#include "ovs-integration/pipeline/octets.h"
#include "ovs-integration/pipeline/packet.h"

namespace dyncast::pipeline {
namespace {

// An ICMP error is at most 576 octets of IP (RFC 1812 section 4.3.2.3), an ICMPv6 error 1280 (RFC 4443
// section 2.4).
constexpr size_t kMaxQuotedV4 = 576 - kIpv4Octets - kIcmpOctets;
constexpr size_t kMaxQuotedV6 = 1280 - kIpv6Octets - kIcmpOctets;

// Types of messages that are never answered with an error.
bool IsIcmpError(uint8_t type) { return type == 3 || type == 4 || type == 5 || type == 11 || type == 12; }
bool IsIcmpv6Error(uint8_t type) {
  constexpr uint8_t kFirstInformational = 128;
  constexpr uint8_t kRedirect = 137;
  return type < kFirstInformational || type == kRedirect;
}

// An address that stands for one host.
bool IsHost(const IpAddress& address) {
  if (!address.is_v4()) return !address.is_none() && !address.is_multicast() && !address.is_loopback();
  const uint32_t first = address.v4() >> 24;
  return first != 0 && first != 127 && first < 224;
}

struct IcmpKind {
  uint8_t type = 0;
  uint8_t code = 0;
};

// An error of `kind` about `packet`, to its sender, from `from`; from its destination without it.
std::optional<std::vector<uint8_t>> MakeIcmpError(std::span<const uint8_t> packet, const IpAddress* from,
                                                  const IcmpKind& v4, const IcmpKind& v6) {
  if (!ParsePacket(packet).ok()) return std::nullopt;
  const EthernetHeader ethernet = ReadEthernet(packet);
  const std::span<const uint8_t> ip = packet.subspan(ethernet.payload);
  const Result<IpHeader> header = ReadIp(ethernet.type, ip, Extent::kWhole);
  if (!header.ok() || header->later_fragment) return std::nullopt;
  const MacAddress eth_dst = ReadMac(packet, 0);
  const MacAddress eth_src = ReadMac(packet, 6);
  if (IsGroup(eth_dst) || IsGroup(eth_src)) return std::nullopt;
  if (!IsHost(header->source) || !IsHost(header->destination)) return std::nullopt;
  const IpAddress source = from == nullptr ? header->destination : *from;
  if (source.is_v4() != header->v4 || !IsHost(source)) return std::nullopt;
  const std::span<const uint8_t> transport = header->Transport(ip);
  if (header->v4 && header->proto == kProtoIcmp) {
    if (transport.empty() || IsIcmpError(transport[0])) return std::nullopt;
  } else if (!header->v4 && header->proto == kProtoIcmpv6) {
    if (transport.empty() || IsIcmpv6Error(transport[0])) return std::nullopt;
  }

  const size_t quoted = std::min(header->end, header->v4 ? kMaxQuotedV4 : kMaxQuotedV6);
  const size_t ip_octets = header->v4 ? kIpv4Octets : kIpv6Octets;
  std::vector<uint8_t> answer(ethernet.payload + ip_octets + kIcmpOctets + quoted);
  std::copy_n(packet.begin(), ethernet.payload, answer.begin());
  WriteMac(answer, 0, eth_src);
  WriteMac(answer, 6, eth_dst);

  const std::span<uint8_t> out = std::span(answer).subspan(ethernet.payload);
  const std::span<uint8_t> icmp = out.subspan(ip_octets);
  std::copy_n(ip.begin(), quoted, icmp.begin() + kIcmpOctets);
  const IcmpKind& kind = header->v4 ? v4 : v6;
  icmp[0] = kind.type;
  icmp[1] = kind.code;
  if (header->v4) {
    out[0] = 0x45;
    Write16(out, 2, static_cast<uint16_t>(out.size()));
    out[8] = 64;
    out[9] = kProtoIcmp;
    WriteAddress(out, 12, source);
    WriteAddress(out, 16, header->source);
    Write16(out, 10, Checksum(out.first(kIpv4Octets)));
    Write16(icmp, 2, Checksum(icmp));
  } else {
    out[0] = 0x60;
    Write16(out, 4, static_cast<uint16_t>(icmp.size()));
    out[6] = kProtoIcmpv6;
    out[7] = 64;
    WriteAddress(out, 8, source);
    WriteAddress(out, 24, header->source);
    Write16(icmp, 2, Checksum(icmp, PseudoSum(source, header->source, kProtoIcmpv6, icmp.size())));
  }
  return answer;
}

}  // namespace

std::vector<uint8_t> MakeArpRequest(const MacAddress& sender_mac, const IpAddress& sender,
                                    const IpAddress& target) {
  std::vector<uint8_t> packet(42);
  std::fill_n(packet.begin(), 6, uint8_t{0xff});
  WriteMac(packet, 6, sender_mac);
  Write16(packet, 12, kEthArp);
  const std::span<uint8_t> arp = std::span(packet).subspan(kEthernetOctets);
  Write16(arp, 0, 1);
  Write16(arp, 2, kEthIpv4);
  arp[4] = 6;
  arp[5] = 4;
  Write16(arp, 6, 1);
  WriteMac(arp, 8, sender_mac);
  Write32(arp, 14, sender.is_v4() ? sender.v4() : 0);
  Write32(arp, 24, target.is_v4() ? target.v4() : 0);
  return packet;
}

std::vector<uint8_t> MakeNeighborSolicit(const MacAddress& sender_mac, const IpAddress& sender,
                                         const IpAddress& target) {
  constexpr size_t kNdOctets = 24;
  constexpr size_t kOptionOctets = 8;
  const std::array<uint8_t, 16>& wanted = target.octets();
  // RFC 4291 section 2.7.1: ff02::1:ffXX:XXXX, the last three octets being the target's.
  std::array<uint8_t, 16> group{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0};
  std::copy_n(wanted.begin() + 13, 3, group.begin() + 13);
  const IpAddress destination = IpAddress::V6(group);

  std::vector<uint8_t> packet(kEthernetOctets + kIpv6Octets + kNdOctets + kOptionOctets);
  WriteMac(packet, 0, MacAddress{{0x33, 0x33, 0xff, wanted[13], wanted[14], wanted[15]}});
  WriteMac(packet, 6, sender_mac);
  Write16(packet, 12, kEthIpv6);
  const std::span<uint8_t> ip = std::span(packet).subspan(kEthernetOctets);
  const std::span<uint8_t> nd = ip.subspan(kIpv6Octets);
  ip[0] = 0x60;
  Write16(ip, 4, static_cast<uint16_t>(nd.size()));
  ip[6] = kProtoIcmpv6;
  ip[7] = 255;
  std::copy(sender.octets().begin(), sender.octets().end(), ip.begin() + 8);
  WriteAddress(ip, 24, destination);
  nd[0] = 135;
  std::copy(wanted.begin(), wanted.end(), nd.begin() + 8);
  nd[kNdOctets] = 1;  // source link-layer address
  nd[kNdOctets + 1] = 1;
  WriteMac(nd, kNdOctets + 2, sender_mac);
  Write16(nd, 2, Checksum(nd, PseudoSum(sender, destination, kProtoIcmpv6, nd.size())));
  return packet;
}

std::optional<std::vector<uint8_t>> MakeUnreachable(std::span<const uint8_t> packet) {
  return MakeIcmpError(packet, nullptr, {.type = 3, .code = 1}, {.type = 1, .code = 3});
}

std::optional<std::vector<uint8_t>> MakeTimeExceeded(std::span<const uint8_t> packet,
                                                     const IpAddress& gateway) {
  return MakeIcmpError(packet, &gateway, {.type = 11, .code = 0}, {.type = 3, .code = 0});
}

}  // namespace dyncast::pipeline
