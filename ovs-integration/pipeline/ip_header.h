// Where the parts of an IP packet are. Internal to pipeline/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ovs-integration/pipeline/octets.h"
#include "schema/base/ip.h"
#include "schema/base/result.h"
#include "schema/model/service.h"

namespace dyncast::pipeline {

// Places count from the first octet of the IP header.
struct IpHeader {
  bool v4 = true;
  size_t transport = 0;  // where the header behind IPv4 options or IPv6 extension headers begins
  size_t end = 0;        // of the packet, or of what is quoted of it
  uint8_t proto = 0;     // of the header at `transport`
  uint8_t ttl = 0;
  bool fragment = false;  // of any kind
  bool later_fragment = false;
  IpAddress source;
  IpAddress destination;

  std::span<const uint8_t> Transport(std::span<const uint8_t> ip) const {
    return ip.subspan(transport, end - transport);
  }
  // kIcmp for ICMPv6 too; kAny for ICMP's number in an IPv6 packet, which means nothing there.
  IpProto Proto() const;
};

enum class Extent : uint8_t {
  kWhole,   // as long as its header says
  kQuoted,  // may be cut behind its headers
};
// `ip` begins with an IPv4 header if `type` is kEthIpv4, with an IPv6 header if it is kEthIpv6; other types
// are refused, and more than 8 extension headers (kLimit).
Result<IpHeader> ReadIp(uint16_t type, std::span<const uint8_t> ip, Extent extent);

// kParse: "WHAT of HAVE octets, need NEED".
Error Truncated(const char* what, size_t have, size_t need);

}  // namespace dyncast::pipeline
