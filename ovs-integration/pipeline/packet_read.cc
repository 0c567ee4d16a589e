#include <string>

#include "ovs-integration/pipeline/ip_header.h"
#include "ovs-integration/pipeline/octets.h"
#include "ovs-integration/pipeline/packet.h"

namespace dyncast::pipeline {
namespace {

constexpr uint8_t kNeighborSolicitation = 135;
constexpr uint8_t kNeighborAdvertisement = 136;
constexpr uint8_t kSourceLinkAddress = 1;
constexpr uint8_t kTargetLinkAddress = 2;

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

Result<NeighborPacket> ParseArp(std::span<const uint8_t> arp) {
  constexpr size_t kArpOctets = 28;
  if (arp.size() < kArpOctets) return Truncated("ARP packet", arp.size(), kArpOctets);
  if (Read16(arp, 0) != 1 || Read16(arp, 2) != kEthIpv4 || arp[4] != 6 || arp[5] != 4) {
    return MakeError(Errc::kParse, "ARP packet is not for IPv4 over Ethernet");
  }
  const uint16_t operation = Read16(arp, 6);
  if (operation != 1 && operation != 2) {
    return MakeError(Errc::kParse, "ARP operation " + std::to_string(operation) + " is not request or reply");
  }
  NeighborPacket parsed{.request = operation == 1,
                        .sender_mac = ReadMac(arp, 8),
                        .sender = IpAddress::V4(Read32(arp, 14)),
                        .target = IpAddress::V4(Read32(arp, 24))};
  if (IsGroup(parsed.sender_mac)) {
    return MakeError(Errc::kInvalid, "ARP sender " + parsed.sender_mac.ToString() + " is a group address");
  }
  return parsed;
}

// The link-layer address in the option of kind `wanted`; none without one.
Result<MacAddress> ReadLinkAddress(std::span<const uint8_t> options, uint8_t wanted) {
  MacAddress found;
  while (!options.empty()) {
    if (options.size() < 2) return Truncated("ND option", options.size(), 2);
    const size_t size = options[1] * 8u;
    if (size == 0) return MakeError(Errc::kParse, "ND option of length 0");
    if (size > options.size()) return Truncated("ND option", options.size(), size);
    if (options[0] == wanted && found.is_none()) found = ReadMac(options, 2);
    options = options.subspan(size);
  }
  if (IsGroup(found)) {
    return MakeError(Errc::kInvalid, "ND link-layer address " + found.ToString() + " is a group address");
  }
  return found;
}

Result<NeighborPacket> ParseNd(std::span<const uint8_t> ip) {
  constexpr size_t kNdOctets = 24;
  const Result<IpHeader> header = ReadIp(kEthIpv6, ip, Extent::kWhole);
  if (!header.ok()) return header.error();
  if (header->proto != kProtoIcmpv6 || header->fragment) {
    return MakeError(Errc::kParse, "IPv6 packet is not unfragmented ICMPv6");  // RFC 6980
  }
  const std::span<const uint8_t> nd = header->Transport(ip);
  if (nd.size() < kNdOctets) return Truncated("ND packet", nd.size(), kNdOctets);
  if ((nd[0] != kNeighborSolicitation && nd[0] != kNeighborAdvertisement) || nd[1] != 0) {
    return MakeError(Errc::kParse, "ICMPv6 type " + std::to_string(nd[0]) + " code " + std::to_string(nd[1]) +
                                       " is not neighbour solicitation or advertisement");
  }
  if (header->ttl != 255) {
    return MakeError(Errc::kInvalid,
                     "ND packet with hop limit " + std::to_string(header->ttl) + ", need 255");
  }
  if (Checksum(nd, PseudoSum(header->source, header->destination, kProtoIcmpv6, nd.size())) != 0) {
    return MakeError(Errc::kInvalid, "ND packet with a wrong checksum");
  }
  const bool request = nd[0] == kNeighborSolicitation;
  const IpAddress target = ReadIpv6Address(nd, 8);
  if (target.is_multicast() || target.is_v4()) {
    return MakeError(Errc::kInvalid, "ND target " + target.ToString() + " is not an IPv6 unicast address");
  }
  if (header->source.is_multicast()) {
    return MakeError(Errc::kInvalid, "ND source " + header->source.ToString() + " is a group address");
  }
  const Result<MacAddress> mac =
      ReadLinkAddress(nd.subspan(kNdOctets), request ? kSourceLinkAddress : kTargetLinkAddress);
  if (!mac.ok()) return mac.error();
  return NeighborPacket{
      .request = request, .sender_mac = *mac, .sender = request ? header->source : target, .target = target};
}

}  // namespace

Result<ParsedPacket> ParsePacket(std::span<const uint8_t> packet) {
  const EthernetHeader ethernet = ReadEthernet(packet);
  if (ethernet.payload == 0) return Truncated("Ethernet header", packet.size(), kEthernetOctets);
  const std::span<const uint8_t> ip = packet.subspan(ethernet.payload);
  const Result<IpHeader> header = ReadIp(ethernet.type, ip, Extent::kWhole);
  if (!header.ok()) return header.error();
  ParsedPacket parsed;
  parsed.eth_dst = ReadMac(packet, 0);
  parsed.eth_src = ReadMac(packet, 6);
  parsed.eth_type = ethernet.type;
  parsed.ttl = header->ttl;
  parsed.later_fragment = header->later_fragment;
  parsed.demand = {.client = header->source, .sid = header->destination, .proto = header->Proto()};
  if (parsed.later_fragment) return parsed;
  if (const Status read = ReadTransport(header->Transport(ip), parsed); !read.ok()) return read.error();
  return parsed;
}

Result<NeighborPacket> ParseNeighbor(std::span<const uint8_t> packet) {
  const EthernetHeader ethernet = ReadEthernet(packet);
  if (ethernet.payload == 0) return Truncated("Ethernet header", packet.size(), kEthernetOctets);
  const std::span<const uint8_t> payload = packet.subspan(ethernet.payload);
  if (ethernet.type == kEthArp) return ParseArp(payload);
  if (ethernet.type == kEthIpv6) return ParseNd(payload);
  return MakeError(Errc::kParse,
                   "Ethernet type " + std::to_string(ethernet.type) + " is neither ARP nor IPv6");
}

}  // namespace dyncast::pipeline
