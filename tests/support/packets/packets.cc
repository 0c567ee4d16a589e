#include "tests/support/packets/packets.h"

#include <algorithm>
#include <stdexcept>

namespace dyncast::test {
namespace {

constexpr uint8_t kIcmpv6 = 58;

void Put16(Bytes& out, uint32_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}
void Put32(Bytes& out, uint32_t value) {
  Put16(out, value >> 16);
  Put16(out, value & 0xffff);
}
void Set16(Bytes& out, size_t at, uint16_t value) {
  out[at] = static_cast<uint8_t>(value >> 8);
  out[at + 1] = static_cast<uint8_t>(value);
}
void PutMac(Bytes& out, const MacAddress& mac) {
  out.insert(out.end(), mac.octets.begin(), mac.octets.end());
}
// Addresses, tag and type.
void PutEthernet(Bytes& out, const MacAddress& dst, const MacAddress& src, std::optional<uint16_t> vlan,
                 uint16_t type) {
  PutMac(out, dst);
  PutMac(out, src);
  if (vlan) {
    Put16(out, 0x8100);
    Put16(out, *vlan);
  }
  Put16(out, type);
}
void PutText(Bytes& out, const std::string& text) { out.insert(out.end(), text.begin(), text.end()); }

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) throw std::invalid_argument(result.error().ToString());
  return *result;
}

uint32_t Sum(std::span<const uint8_t> octets) {
  uint32_t sum = 0;
  for (size_t i = 0; i < octets.size(); ++i) sum += i % 2 == 0 ? octets[i] * 256u : octets[i];
  return sum;
}

// Of addresses, protocol and length (RFC 9293 section 3.1). `addresses` are 8 or 32 octets.
uint32_t PseudoSum(std::span<const uint8_t> addresses, uint8_t proto, size_t length) {
  return Sum(addresses) + proto + static_cast<uint32_t>(length);
}

// Where in a header of `proto` the checksum stands; 0: none that we fill in.
size_t ChecksumAt(IpProto proto) {
  switch (proto) {
    case IpProto::kTcp: return 16;
    case IpProto::kUdp: return 6;
    case IpProto::kIcmp: return 2;
    default: return 0;
  }
}

Bytes Transport(IpProto proto, uint16_t src_port, uint16_t dst_port, uint8_t tcp_flags) {
  Bytes out;
  switch (proto) {
    case IpProto::kTcp:
      Put16(out, src_port);
      Put16(out, dst_port);
      Put32(out, 1000);
      Put32(out, (tcp_flags & 0x10) != 0 ? 2000 : 0);
      out.push_back(0x50);
      out.push_back(tcp_flags);
      Put16(out, 65535);
      Put32(out, 0);
      break;
    case IpProto::kUdp:
      Put16(out, src_port);
      Put16(out, dst_port);
      Put32(out, 0);
      break;
    case IpProto::kSctp:
      Put16(out, src_port);
      Put16(out, dst_port);
      Put32(out, 7);
      Put32(out, 0);
      break;
    default: break;
  }
  return out;
}

// UDP's 0 means none, so one that comes out as 0 is sent as its complement (RFC 768).
void SetChecksum(Bytes& body, size_t at, IpProto proto, uint32_t pseudo) {
  const uint16_t sum = Checksum(body, pseudo);
  Set16(body, at, proto == IpProto::kUdp && sum == 0 ? uint16_t{0xffff} : sum);
}

}  // namespace

MacAddress Mac(std::string_view text) { return Must(MacAddress::Parse(text)); }
IpAddress Ip(std::string_view text) { return Must(IpAddress::Parse(text)); }
IpPrefix Prefix(std::string_view text) { return Must(IpPrefix::Parse(text)); }

uint16_t Checksum(std::span<const uint8_t> octets, uint32_t sum) {
  sum += Sum(octets);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

Bytes Build(const Ipv4Packet& p) {
  Bytes body;
  if (p.fragment_offset == 0) {
    body = Transport(p.proto, p.src_port, p.dst_port, p.tcp_flags);
    if (p.proto == IpProto::kIcmp) {
      body = {p.icmp_type, p.icmp_code, 0, 0, 0, 1, 0, 1};
    }
  }
  PutText(body, p.payload);

  Bytes out;
  PutEthernet(out, p.eth_dst, p.eth_src, p.vlan, 0x0800);
  const size_t ip = out.size();
  out.push_back(0x45);
  out.push_back(0);
  Put16(out, static_cast<uint32_t>(20 + body.size()));
  Put16(out, 0x1234);
  Put16(out, (p.more_fragments ? 0x2000u : 0u) | p.fragment_offset / 8u);
  out.push_back(p.ttl);
  out.push_back(static_cast<uint8_t>(p.proto));
  Put16(out, 0);
  Put32(out, p.src.v4());
  Put32(out, p.dst.v4());
  Set16(out, ip + 10, Checksum(std::span(out).subspan(ip, 20)));

  const size_t at = ChecksumAt(p.proto);
  if (at != 0 && p.fragment_offset == 0) {
    if (p.proto == IpProto::kUdp) Set16(body, 4, static_cast<uint16_t>(body.size()));
    const uint32_t pseudo = p.proto == IpProto::kIcmp ? 0
                                                      : PseudoSum(std::span(out).subspan(ip + 12, 8),
                                                                  static_cast<uint8_t>(p.proto), body.size());
    SetChecksum(body, at, p.proto, pseudo);
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

namespace {

Bytes AddressesOf(const IpAddress& src, const IpAddress& dst) {
  Bytes addresses(src.octets().begin(), src.octets().end());
  addresses.insert(addresses.end(), dst.octets().begin(), dst.octets().end());
  return addresses;
}

void PutIpv6(Bytes& out, size_t length, uint8_t next, uint8_t hop_limit, const Bytes& addresses) {
  Put32(out, 0x60000000);
  Put16(out, static_cast<uint32_t>(length));
  out.push_back(next);
  out.push_back(hop_limit);
  out.insert(out.end(), addresses.begin(), addresses.end());
}

}  // namespace

Bytes Build(const Ipv6Packet& p) {
  const uint8_t proto = p.proto == IpProto::kIcmp ? kIcmpv6 : static_cast<uint8_t>(p.proto);
  Bytes rest;
  for (size_t i = 0; i < p.extensions.size(); ++i) {
    const uint8_t kind = p.extensions[i];
    rest.push_back(i + 1 < p.extensions.size() ? p.extensions[i + 1] : proto);
    rest.push_back(kind == 51 ? 1 : 0);
    Put16(rest, kind == 44 ? p.fragment_offset & 0xfff8u : 0);
    Put32(rest, 0);
    if (kind == 51) Put32(rest, 0);
  }
  Bytes body = Transport(p.proto, p.src_port, p.dst_port, 0x02);
  if (p.proto == IpProto::kIcmp) body = {p.icmp_type, p.icmp_code, 0, 0, 0, 1, 0, 1};
  PutText(body, p.payload);
  const Bytes addresses = AddressesOf(p.src, p.dst);
  if (const size_t at = ChecksumAt(p.proto); at != 0 && !body.empty()) {
    if (p.proto == IpProto::kUdp) Set16(body, 4, static_cast<uint16_t>(body.size()));
    SetChecksum(body, at, p.proto, PseudoSum(addresses, proto, body.size()));
  }
  rest.insert(rest.end(), body.begin(), body.end());

  Bytes out;
  PutEthernet(out, p.eth_dst, p.eth_src, p.vlan, 0x86dd);
  PutIpv6(out, rest.size(), p.extensions.empty() ? proto : p.extensions[0], p.hop_limit, addresses);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

Bytes Build(const NdFrame& p) {
  Bytes body = {static_cast<uint8_t>(p.advertisement ? 136 : 135), 0, 0, 0};
  Put32(body, p.flags);
  body.insert(body.end(), p.target.octets().begin(), p.target.octets().end());
  if (p.link_address) {
    body.push_back(p.advertisement ? 2 : 1);
    body.push_back(1);
    PutMac(body, *p.link_address);
  }
  const Bytes addresses = AddressesOf(p.src, p.dst);
  Set16(body, 2, Checksum(body, PseudoSum(addresses, kIcmpv6, body.size())));
  Bytes out;
  PutEthernet(out, p.eth_dst, p.eth_src, p.vlan, 0x86dd);
  PutIpv6(out, body.size(), kIcmpv6, p.hop_limit, addresses);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

Bytes Build(const ArpFrame& p) {
  Bytes out;
  PutEthernet(out, p.eth_dst, p.eth_src, p.vlan, 0x0806);
  Put16(out, 1);
  Put16(out, 0x0800);
  out.push_back(6);
  out.push_back(4);
  Put16(out, p.operation);
  PutMac(out, p.sender_mac);
  Put32(out, p.sender.v4());
  PutMac(out, p.target_mac);
  Put32(out, p.target.v4());
  return out;
}

bool ChecksumsRight(std::span<const uint8_t> frame) {
  if (frame.size() >= 18 && frame[12] == 0x81 && frame[13] == 0) frame = frame.subspan(4);
  if (frame.size() < 34) return false;
  const bool v6 = frame[12] == 0x86 && frame[13] == 0xdd;
  if (!v6 && (frame[12] != 8 || frame[13] != 0)) return false;
  const std::span<const uint8_t> ip = frame.subspan(14);
  if (v6 && ip.size() < 40) return false;
  const size_t header = v6 ? 40 : (ip[0] & 0xfu) * 4u;
  const size_t total = v6 ? 40u + ip[4] * 256u + ip[5] : ip[2] * 256u + ip[3];
  if (header < 20 || total < header || total > ip.size()) return false;
  if (!v6 && Checksum(ip.first(header)) != 0) return false;
  const std::span<const uint8_t> body = ip.subspan(header, total - header);
  const uint8_t number = v6 ? ip[6] : ip[9];
  const IpProto proto = v6 && number == kIcmpv6 ? IpProto::kIcmp : static_cast<IpProto>(number);
  const size_t at = ChecksumAt(proto);
  if (at == 0) return true;
  if (body.size() < at + 2) return false;
  if (!v6 && proto == IpProto::kUdp && body[at] == 0 && body[at + 1] == 0) return true;
  if (!v6 && proto == IpProto::kIcmp) return Checksum(body) == 0;
  return Checksum(body, PseudoSum(v6 ? ip.subspan(8, 32) : ip.subspan(12, 8), number, body.size())) == 0;
}

std::string ToHex(std::span<const uint8_t> octets) {
  std::string hex;
  for (uint8_t octet : octets) {
    hex += "0123456789abcdef"[octet >> 4];
    hex += "0123456789abcdef"[octet & 0xf];
  }
  return hex;
}

Bytes FromHex(std::string_view hex) {
  Bytes octets;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    octets.push_back(static_cast<uint8_t>(std::stoul(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return octets;
}

}  // namespace dyncast::test
