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

// ARP (RFC 826), or ICMPv6 neighbour solicitation or advertisement (RFC 4861; hop limit 255 and checksum are
// checked).
struct NeighborPacket {
  bool request = false;
  MacAddress sender_mac;  // of the link-layer option for ND; none if it has none
  IpAddress sender;       // ARP: sender address; solicitation: IPv6 source; advertisement: target
  IpAddress target;
};
Result<NeighborPacket> ParseNeighbor(std::span<const uint8_t> packet);
// A broadcast ARP request (RFC 826), 42 octets.
std::vector<uint8_t> MakeArpRequest(const MacAddress& sender_mac, const IpAddress& sender,
                                    const IpAddress& target);
// A neighbour solicitation (RFC 4861 section 4.3) to the target's solicited-node group, with the source
// link-layer option.
std::vector<uint8_t> MakeNeighborSolicit(const MacAddress& sender_mac, const IpAddress& sender,
                                         const IpAddress& target);
// ICMP host unreachable (RFC 792, type 3 code 1), ICMPv6 address unreachable (RFC 4443, type 1 code 3), back
// to the sender of `packet`, from the address it was sent to. nullopt where RFC 1122 section 3.2.2 or RFC
// 4443 section 2.4 forbids an answer (ICMP error, later fragment, multicast), or for bytes that are no IP
// packet.
std::optional<std::vector<uint8_t>> MakeUnreachable(std::span<const uint8_t> packet);
// ICMP time exceeded in transit (RFC 792, type 11 code 0; RFC 4443, type 3 code 0) from `gateway`. nullopt as
// for MakeUnreachable.
std::optional<std::vector<uint8_t>> MakeTimeExceeded(std::span<const uint8_t> packet,
                                                     const IpAddress& gateway);

// Reads an ICMP or ICMPv6 error and what it quotes (RFC 792, RFC 4443: at least addresses, protocol and
// ports).
struct IcmpError {
  IpAddress source;
  IpAddress destination;
  Demand quoted;  // client, src_port: source of the quoted packet; sid, dst_port: its destination
};
Result<IcmpError> ParseIcmpError(std::span<const uint8_t> packet);
// The same error with other addresses: all checksums right (RFC 1624), those of the quoted packet's own
// headers too, where they lie within what is quoted. Absent: left as it is. kInvalid for what ParseIcmpError
// refuses, or an address of the other family.
struct IcmpErrorAddresses {
  std::optional<IpAddress> source{};
  std::optional<IpAddress> destination{};
  std::optional<IpAddress> quoted_source{};
  std::optional<IpAddress> quoted_destination{};
};
Result<std::vector<uint8_t>> MapIcmpError(std::span<const uint8_t> packet, const IcmpErrorAddresses& to);

// A later IPv4 fragment of TCP or UDP with another source or destination (none: left as it is) and the right
// header checksum, its payload untouched. nullopt for any other packet.
std::optional<std::vector<uint8_t>> MapLaterFragment(std::span<const uint8_t> packet, const IpAddress& source,
                                                     const IpAddress& destination);

}  // namespace dyncast::pipeline
