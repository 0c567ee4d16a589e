// ICMP errors that quote a rewritten packet: read, and given other addresses.
#include <string>

#include "ovs-integration/pipeline/ip_header.h"
#include "ovs-integration/pipeline/octets.h"
#include "ovs-integration/pipeline/packet.h"

namespace dyncast::pipeline {
namespace {

// An ICMP error taken apart. Places count from the first octet of the frame.
struct Layout {
  IpHeader outer;
  IpHeader inner;
  size_t outer_at = 0;
  size_t icmp_at = 0;
  size_t inner_at = 0;
  size_t end = 0;  // of the outer packet
};

bool IsMappedType(bool v4, uint8_t type) {
  if (v4) return type == 3 || type == 4 || type == 11 || type == 12;
  return type >= 1 && type <= 4;
}

uint16_t IcmpChecksum(const IpHeader& outer, std::span<const uint8_t> icmp) {
  if (outer.v4) return Checksum(icmp);
  return Checksum(icmp, PseudoSum(outer.source, outer.destination, kProtoIcmpv6, icmp.size()));
}

Result<Layout> Read(std::span<const uint8_t> packet) {
  const EthernetHeader ethernet = ReadEthernet(packet);
  if (ethernet.payload == 0) return Truncated("Ethernet header", packet.size(), kEthernetOctets);
  const std::span<const uint8_t> ip = packet.subspan(ethernet.payload);
  const Result<IpHeader> outer = ReadIp(ethernet.type, ip, Extent::kWhole);
  if (!outer.ok()) return outer.error();
  if (outer->proto != (outer->v4 ? kProtoIcmp : kProtoIcmpv6)) {
    return MakeError(Errc::kParse, "protocol " + std::to_string(outer->proto) + " is not ICMP");
  }
  if (outer->fragment) return MakeError(Errc::kInvalid, "ICMP error in fragments");
  const std::span<const uint8_t> icmp = outer->Transport(ip);
  if (icmp.size() < kIcmpOctets) return Truncated("ICMP error", icmp.size(), kIcmpOctets);
  if (!IsMappedType(outer->v4, icmp[0])) {
    return MakeError(Errc::kParse,
                     "ICMP type " + std::to_string(icmp[0]) + " is not an error that is mapped");
  }
  // Checked here, because what is made of it has right checksums: damage must not be covered up.
  if (outer->v4 && Checksum(ip.first(outer->transport)) != 0) {
    return MakeError(Errc::kInvalid, "ICMP error with a wrong IPv4 header checksum");
  }
  if (IcmpChecksum(*outer, icmp) != 0) return MakeError(Errc::kInvalid, "ICMP error with a wrong checksum");
  const Result<IpHeader> inner = ReadIp(ethernet.type, icmp.subspan(kIcmpOctets), Extent::kQuoted);
  if (!inner.ok()) return MakeError(inner.error().code, "quoted " + inner.error().message);
  const size_t icmp_at = ethernet.payload + outer->transport;
  return Layout{.outer = *outer,
                .inner = *inner,
                .outer_at = ethernet.payload,
                .icmp_at = icmp_at,
                .inner_at = icmp_at + kIcmpOctets,
                .end = ethernet.payload + outer->end};
}

bool HasPorts(uint8_t proto) { return proto == kProtoTcp || proto == kProtoUdp || proto == kProtoSctp; }

// RFC 1624 equation 3, for the octets from `from` becoming `to`; both of even length.
uint16_t Updated(uint16_t checksum, std::span<const uint8_t> from, std::span<const uint8_t> to) {
  uint32_t sum = static_cast<uint16_t>(~checksum);
  for (size_t i = 0; i < from.size(); i += 2) {
    sum += static_cast<uint16_t>(~Read16(from, i));
    sum += Read16(to, i);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

// The checksum of the quoted transport header that covers the quoted addresses, counted from that header; 0:
// there is none, or it was not quoted.
size_t QuotedChecksumAt(const IpHeader& inner, std::span<const uint8_t> transport) {
  if (inner.later_fragment) return 0;
  size_t at = 0;
  if (inner.proto == kProtoTcp) at = 16;
  if (inner.proto == kProtoUdp) at = 6;
  if (inner.proto == kProtoIcmpv6 && !inner.v4) at = 2;
  if (at + 2 > transport.size()) return 0;
  const bool unused = inner.proto == kProtoUdp && Read16(transport, at) == 0;
  return unused ? 0 : at;
}

// Writes `to` over the address of the quoted packet that stands at `at` of its header.
void MapQuoted(const IpHeader& inner, std::span<uint8_t> quoted, size_t at, const IpAddress& to) {
  std::array<uint8_t, 16> before{};
  std::array<uint8_t, 16> after{};
  const size_t size = inner.v4 ? 4 : 16;
  std::copy_n(quoted.begin() + static_cast<std::ptrdiff_t>(at), size, before.begin());
  WriteAddress(after, 0, to);
  WriteAddress(quoted, at, to);
  const auto update = [&](size_t checksum_at) {
    Write16(quoted, checksum_at, Updated(Read16(quoted, checksum_at), before, after));
  };
  if (inner.v4) update(10);
  const std::span<const uint8_t> transport = inner.Transport(quoted);
  if (const size_t checksum_at = QuotedChecksumAt(inner, transport); checksum_at != 0) {
    update(inner.transport + checksum_at);
    // RFC 768: a UDP checksum that comes out as 0 is sent as its complement, for 0 means none.
    if (inner.proto == kProtoUdp && Read16(transport, checksum_at) == 0) {
      Write16(quoted, inner.transport + checksum_at, 0xffff);
    }
  }
}

}  // namespace

Result<IcmpError> ParseIcmpError(std::span<const uint8_t> packet) {
  const Result<Layout> layout = Read(packet);
  if (!layout.ok()) return layout.error();
  const IpHeader& inner = layout->inner;
  IcmpError error{.source = layout->outer.source,
                  .destination = layout->outer.destination,
                  .quoted = {.client = inner.source, .sid = inner.destination, .proto = inner.Proto()}};
  if (inner.later_fragment || !HasPorts(inner.proto)) return error;
  const std::span<const uint8_t> transport =
      inner.Transport(packet.subspan(layout->inner_at, layout->end - layout->inner_at));
  constexpr size_t kLeastQuoted = 8;  // RFC 792
  if (transport.size() < kLeastQuoted) {
    return Truncated("quoted transport header", transport.size(), kLeastQuoted);
  }
  error.quoted.src_port = Read16(transport, 0);
  error.quoted.dst_port = Read16(transport, 2);
  return error;
}

Result<std::vector<uint8_t>> MapIcmpError(std::span<const uint8_t> packet, const IcmpErrorAddresses& to) {
  if (const Result<IcmpError> parsed = ParseIcmpError(packet); !parsed.ok()) {
    return MakeError(Errc::kInvalid, parsed.error().message);
  }
  Layout layout = *Read(packet);
  const bool v4 = layout.outer.v4;
  for (const std::optional<IpAddress>* address :
       {&to.source, &to.destination, &to.quoted_source, &to.quoted_destination}) {
    if (*address && (*address)->is_v4() != v4) {
      return MakeError(Errc::kInvalid, (*address)->ToString() + " is of another family than the ICMP error");
    }
  }
  std::vector<uint8_t> mapped(packet.begin(), packet.end());
  const std::span<uint8_t> all(mapped);
  const std::span<uint8_t> quoted = all.subspan(layout.inner_at, layout.end - layout.inner_at);
  const size_t source_at = v4 ? 12 : 8;
  const size_t destination_at = v4 ? 16 : 24;
  if (to.quoted_source) MapQuoted(layout.inner, quoted, source_at, *to.quoted_source);
  if (to.quoted_destination) MapQuoted(layout.inner, quoted, destination_at, *to.quoted_destination);

  const std::span<uint8_t> ip = all.subspan(layout.outer_at);
  if (to.source) WriteAddress(ip, source_at, *to.source);
  if (to.destination) WriteAddress(ip, destination_at, *to.destination);
  layout.outer.source = to.source.value_or(layout.outer.source);
  layout.outer.destination = to.destination.value_or(layout.outer.destination);
  if (v4) {
    Write16(ip, 10, 0);
    Write16(ip, 10, Checksum(ip.first(layout.outer.transport)));
  }
  const std::span<uint8_t> icmp = all.subspan(layout.icmp_at, layout.end - layout.icmp_at);
  Write16(icmp, 2, 0);
  Write16(icmp, 2, IcmpChecksum(layout.outer, icmp));
  return mapped;
}

}  // namespace dyncast::pipeline
