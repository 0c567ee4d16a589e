// Later IPv4 fragments, given other addresses: what OVS cannot do without changing their payload.
#include "ovs-integration/pipeline/ip_header.h"
#include "ovs-integration/pipeline/octets.h"
#include "ovs-integration/pipeline/packet.h"

namespace dyncast::pipeline {

std::optional<std::vector<uint8_t>> MapLaterFragment(std::span<const uint8_t> packet, const IpAddress& source,
                                                     const IpAddress& destination) {
  const EthernetHeader ethernet = ReadEthernet(packet);
  if (ethernet.payload == 0 || ethernet.type != kEthIpv4) return std::nullopt;
  const std::span<const uint8_t> ip = packet.subspan(ethernet.payload);
  const Result<IpHeader> header = ReadIp(ethernet.type, ip, Extent::kWhole);
  if (!header.ok() || !header->later_fragment) return std::nullopt;
  if (header->proto != kProtoTcp && header->proto != kProtoUdp) return std::nullopt;
  // A wrong checksum must not be made right.
  if (Checksum(ip.first(header->transport)) != 0) return std::nullopt;
  std::vector<uint8_t> mapped(packet.begin(), packet.end());
  const std::span<uint8_t> out = std::span<uint8_t>(mapped).subspan(ethernet.payload);
  if (source.is_v4() && !source.is_none()) WriteAddress(out, 12, source);
  if (destination.is_v4() && !destination.is_none()) WriteAddress(out, 16, destination);
  Write16(out, 10, 0);
  Write16(out, 10, Checksum(out.first(header->transport)));
  return mapped;
}

}  // namespace dyncast::pipeline
