// Reads packets that a switch sent to the controller, and writes the few that the controller sends.
// Outside bytes: every length is checked, nothing throws.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "schema/base/ip.h"
#include "schema/base/result.h"
#include "schema/model/binding.h"

namespace dyncast::pipeline {

struct ParsedPacket {
  MacAddress eth_src;
  MacAddress eth_dst;
  uint16_t eth_type = 0;  // after at most one 802.1Q tag
  Demand demand;          // addresses, protocol and ports; ports 0 for later fragments and ICMP
  uint8_t ttl = 0;
  uint8_t tcp_flags = 0;  // RFC 9293 section 3.1; 0 for other protocols and for a header cut short
  bool later_fragment = false;
};
// Ethernet with IPv4 or IPv6 (extension headers up to 8 are skipped).
Result<ParsedPacket> ParsePacket(std::span<const uint8_t> packet);

struct ArpPacket {
  bool request = false;
  MacAddress sender_mac;
  IpAddress sender;
  IpAddress target;
};
Result<ArpPacket> ParseArp(std::span<const uint8_t> packet);
// A broadcast ARP request (RFC 826), 42 octets.
std::vector<uint8_t> MakeArpRequest(const MacAddress& sender_mac, const IpAddress& sender,
                                    const IpAddress& target);
// ICMP destination unreachable, code 1 (RFC 792), back to the sender of `packet`, from the address it was
// sent to. nullopt where RFC 1122 section 3.2.2 forbids an answer (ICMP error, later fragment, multicast), or
// for bytes that are no IPv4 packet.
std::optional<std::vector<uint8_t>> MakeUnreachable(std::span<const uint8_t> packet);

}  // namespace dyncast::pipeline
