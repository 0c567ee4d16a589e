#include "ovs-integration/pipeline/ip_header.h"

namespace dyncast::pipeline {
namespace {

constexpr int kMaxExtensionHeaders = 8;
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kAuthentication = 51;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kMobility = 135;

bool IsExtension(uint8_t next) {
  return next == kHopByHop || next == kRouting || next == kFragment || next == kAuthentication ||
         next == kDestinationOptions || next == kMobility;
}

Result<IpHeader> ReadIpv4(std::span<const uint8_t> ip, Extent extent) {
  if (ip.size() < kIpv4Octets) return Truncated("IPv4 header", ip.size(), kIpv4Octets);
  const size_t header = (ip[0] & 0xfu) * 4u;
  const size_t total = Read16(ip, 2);
  if (ip[0] >> 4 != 4 || header < kIpv4Octets) {
    return MakeError(Errc::kParse, "IPv4 header begins with " + std::to_string(ip[0]));
  }
  if (total < header) return Truncated("IPv4 packet", total, header);
  const size_t need = extent == Extent::kWhole ? total : header;
  if (need > ip.size()) return Truncated("IPv4 packet", ip.size(), need);
  const uint16_t fragment = Read16(ip, 6);
  return IpHeader{.v4 = true,
                  .transport = header,
                  .end = std::min(total, ip.size()),
                  .proto = ip[9],
                  .ttl = ip[8],
                  .fragment = (fragment & 0x3fff) != 0,
                  .later_fragment = (fragment & 0x1fff) != 0,
                  .source = IpAddress::V4(Read32(ip, 12)),
                  .destination = IpAddress::V4(Read32(ip, 16))};
}

Result<IpHeader> ReadIpv6(std::span<const uint8_t> ip, Extent extent) {
  if (ip.size() < kIpv6Octets) return Truncated("IPv6 header", ip.size(), kIpv6Octets);
  if (ip[0] >> 4 != 6) {
    return MakeError(Errc::kParse, "IPv6 header begins with " + std::to_string(ip[0]));
  }
  const size_t total = Read16(ip, 4) + kIpv6Octets;
  if (extent == Extent::kWhole && total > ip.size()) return Truncated("IPv6 packet", ip.size(), total);
  IpHeader header{.v4 = false,
                  .transport = kIpv6Octets,
                  .end = std::min(total, ip.size()),
                  .proto = ip[6],
                  .ttl = ip[7],
                  .source = ReadIpv6Address(ip, 8),
                  .destination = ReadIpv6Address(ip, 24)};
  // Such an address is never on a wire; taken as it stands it would pass for IPv4.
  if (header.source.is_v4() || header.destination.is_v4()) {
    return MakeError(Errc::kInvalid, "IPv6 packet with an IPv4-mapped address");
  }
  for (int skipped = 0; IsExtension(header.proto) && !header.later_fragment; ++skipped) {
    if (skipped == kMaxExtensionHeaders) {
      return MakeError(Errc::kLimit,
                       "more than " + std::to_string(kMaxExtensionHeaders) + " IPv6 extension headers");
    }
    const std::span<const uint8_t> rest = header.Transport(ip);
    if (rest.size() < 8) return Truncated("IPv6 extension header", rest.size(), 8);
    size_t size = 8;
    if (header.proto == kAuthentication) {
      size = (rest[1] + 2u) * 4u;  // RFC 4302 counts in fours
    } else if (header.proto != kFragment) {
      size = (rest[1] + 1u) * 8u;
    }
    if (rest.size() < size) return Truncated("IPv6 extension header", rest.size(), size);
    if (header.proto == kFragment) {
      const uint16_t fragment = Read16(rest, 2);
      header.fragment = header.fragment || (fragment & 0xfff9) != 0;
      header.later_fragment = (fragment & 0xfff8) != 0;
    }
    header.proto = rest[0];
    header.transport += size;
  }
  return header;
}

}  // namespace

Error Truncated(const char* what, size_t have, size_t need) {
  return MakeError(Errc::kParse, std::string(what) + " of " + std::to_string(have) + " octets, need " +
                                     std::to_string(need));
}

IpProto IpHeader::Proto() const {
  if (!v4 && proto == kProtoIcmpv6) return IpProto::kIcmp;
  if (!v4 && proto == kProtoIcmp) return IpProto::kAny;
  return static_cast<IpProto>(proto);
}

Result<IpHeader> ReadIp(uint16_t type, std::span<const uint8_t> ip, Extent extent) {
  if (type == kEthIpv4) return ReadIpv4(ip, extent);
  if (type == kEthIpv6) return ReadIpv6(ip, extent);
  return MakeError(Errc::kParse, "Ethernet type " + std::to_string(type) + " is not IP");
}

}  // namespace dyncast::pipeline
