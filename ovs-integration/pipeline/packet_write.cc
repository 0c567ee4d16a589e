#include <algorithm>

#include "ovs-integration/pipeline/octets.h"
#include "ovs-integration/pipeline/packet.h"

namespace dyncast::pipeline {
namespace {

constexpr size_t kIcmpOctets = 8;
// An ICMP error is at most 576 octets of IP (RFC 1812 section 4.3.2.3).
constexpr size_t kMaxQuoted = 576 - kIpv4Octets - kIcmpOctets;

// RFC 1071.
uint16_t Checksum(std::span<const uint8_t> octets) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < octets.size(); i += 2) sum += Read16(octets, i);
  if (octets.size() % 2 != 0) sum += static_cast<uint32_t>(octets.back()) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void WriteMac(std::span<uint8_t> b, size_t at, const MacAddress& mac) {
  std::copy(mac.octets.begin(), mac.octets.end(), b.begin() + static_cast<std::ptrdiff_t>(at));
}

bool IsGroup(const MacAddress& mac) { return (mac.octets[0] & 1) != 0; }

bool IsIcmpError(uint8_t type) { return type == 3 || type == 4 || type == 5 || type == 11 || type == 12; }

// An address that stands for one host: not 0/8, loopback, multicast, class E or broadcast.
bool IsHost(uint32_t address) {
  const uint32_t first = address >> 24;
  return first != 0 && first != 127 && first < 224;
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

std::optional<std::vector<uint8_t>> MakeUnreachable(std::span<const uint8_t> packet) {
  const Result<ParsedPacket> parsed = ParsePacket(packet);
  if (!parsed.ok() || parsed->eth_type != kEthIpv4 || parsed->later_fragment) return std::nullopt;
  if (IsGroup(parsed->eth_dst) || IsGroup(parsed->eth_src)) return std::nullopt;
  const uint32_t from = parsed->demand.client.v4();
  const uint32_t to = parsed->demand.sid.v4();
  if (!IsHost(from) || !IsHost(to)) return std::nullopt;

  const size_t ethernet = ReadEthernet(packet).payload;
  const std::span<const uint8_t> ip = packet.subspan(ethernet);
  const size_t total = Read16(ip, 2);
  if (parsed->demand.proto == IpProto::kIcmp) {
    const size_t header = (ip[0] & 0xfu) * 4u;
    if (total <= header || IsIcmpError(ip[header])) return std::nullopt;
  }

  const size_t quoted = std::min(total, kMaxQuoted);
  std::vector<uint8_t> answer(ethernet + kIpv4Octets + kIcmpOctets + quoted);
  std::copy_n(packet.begin(), ethernet, answer.begin());
  WriteMac(answer, 0, parsed->eth_src);
  WriteMac(answer, 6, parsed->eth_dst);

  const std::span<uint8_t> out = std::span(answer).subspan(ethernet);
  out[0] = 0x45;
  Write16(out, 2, static_cast<uint16_t>(out.size()));
  out[8] = 64;
  out[9] = static_cast<uint8_t>(IpProto::kIcmp);
  Write32(out, 12, to);
  Write32(out, 16, from);
  Write16(out, 10, Checksum(out.first(kIpv4Octets)));

  const std::span<uint8_t> icmp = out.subspan(kIpv4Octets);
  icmp[0] = 3;
  icmp[1] = 1;
  std::copy_n(ip.begin(), quoted, icmp.begin() + kIcmpOctets);
  Write16(icmp, 2, Checksum(icmp));
  return answer;
}

}  // namespace dyncast::pipeline
