// Pieces of ovs-ofctl text that the parts of the compiler share. Internal to pipeline/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ovs-integration/pipeline/layout.h"
#include "schema/base/ip.h"
#include "schema/model/service.h"
#include "schema/model/switch_plan.h"

namespace dyncast::pipeline {

// OpenFlow matches ports by value and mask only; a range becomes the fewest aligned blocks.
struct PortMask {
  uint16_t value = 0;
  uint16_t mask = 0xffff;
  bool IsPort() const { return mask == 0xffff; }
  friend bool operator==(const PortMask&, const PortMask&) = default;
};
// Blocks that together hold exactly first..last, in rising order; at most 30. Precondition: first <= last.
std::vector<PortMask> PortMasks(uint16_t first, uint16_t last);
std::string PortMaskText(const PortMask& mask);  // "80" or "0x1f90/0xfff0"

// The number that OVS's 16-bit ports and OVSDB know the bridge's own port by (OpenFlow 1.0's OFPP_LOCAL).
inline constexpr uint32_t kLocalPort = 0xfffe;
// What a port is in reg3: OpenFlow 1.5's 32-bit LOCAL becomes kLocalPort.
uint32_t RegisterPort(PortNo port);
std::string PortText(PortNo port);  // "7" or "LOCAL"

std::string Hex(uint64_t value);  // "0x1f"
// "FIELD=10.0.0.0/8,"; empty for the whole address space, which OVS drops from a match.
std::string PrefixMatch(const char* field, const IpPrefix& prefix);
// "tcp", "udp", "sctp"; precondition: one of them.
std::string ProtoText(IpProto proto);
bool HasPorts(IpProto proto);
// "set_field:0xV->reg5", or xxreg3 for IPv6: where table neighbor looks for the next hop.
std::string SetNextHop(const IpAddress& next_hop);

}  // namespace dyncast::pipeline
