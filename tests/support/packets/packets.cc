#include "tests/support/packets/packets.h"

#include <algorithm>
#include <stdexcept>

namespace dyncast::test {
namespace {

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
  PutMac(out, p.eth_dst);
  PutMac(out, p.eth_src);
  if (p.vlan) {
    Put16(out, 0x8100);
    Put16(out, *p.vlan);
  }
  Put16(out, 0x0800);
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
    Set16(body, at, Checksum(body, pseudo));
  }
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

Bytes Build(const Ipv6Packet& p) {
  Bytes rest;
  for (size_t i = 0; i < p.extensions.size(); ++i) {
    const uint8_t kind = p.extensions[i];
    rest.push_back(i + 1 < p.extensions.size() ? p.extensions[i + 1] : static_cast<uint8_t>(p.proto));
    rest.push_back(kind == 51 ? 1 : 0);
    Put16(rest, kind == 44 ? p.fragment_offset & 0xfff8u : 0);
    Put32(rest, 0);
    if (kind == 51) Put32(rest, 0);
  }
  Bytes body = Transport(p.proto, p.src_port, p.dst_port, 0x02);
  Bytes addresses(p.src.octets().begin(), p.src.octets().end());
  addresses.insert(addresses.end(), p.dst.octets().begin(), p.dst.octets().end());
  if (const size_t at = ChecksumAt(p.proto); at != 0 && !body.empty()) {
    if (p.proto == IpProto::kUdp) Set16(body, 4, static_cast<uint16_t>(body.size()));
    Set16(body, at, Checksum(body, PseudoSum(addresses, static_cast<uint8_t>(p.proto), body.size())));
  }
  rest.insert(rest.end(), body.begin(), body.end());

  Bytes out;
  PutMac(out, p.eth_dst);
  PutMac(out, p.eth_src);
  Put16(out, 0x86dd);
  Put32(out, 0x60000000);
  Put16(out, static_cast<uint32_t>(rest.size()));
  out.push_back(p.extensions.empty() ? static_cast<uint8_t>(p.proto) : p.extensions[0]);
  out.push_back(p.hop_limit);
  out.insert(out.end(), addresses.begin(), addresses.end());
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

Bytes Build(const ArpFrame& p) {
  Bytes out;
  PutMac(out, p.eth_dst);
  PutMac(out, p.eth_src);
  Put16(out, 0x0806);
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
  if (frame.size() < 34 || frame[12] != 8 || frame[13] != 0) return false;
  const std::span<const uint8_t> ip = frame.subspan(14);
  const size_t header = (ip[0] & 0xfu) * 4u;
  const size_t total = ip[2] * 256u + ip[3];
  if (header < 20 || total < header || total > ip.size()) return false;
  if (Checksum(ip.first(header)) != 0) return false;
  const std::span<const uint8_t> body = ip.subspan(header, total - header);
  const auto proto = static_cast<IpProto>(ip[9]);
  const size_t at = ChecksumAt(proto);
  if (at == 0) return true;
  if (body.size() < at + 2) return false;
  if (proto == IpProto::kUdp && body[at] == 0 && body[at + 1] == 0) return true;
  const uint32_t pseudo = proto == IpProto::kIcmp ? 0 : PseudoSum(ip.subspan(12, 8), ip[9], body.size());
  return Checksum(body, pseudo) == 0;
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
