// Tables admit and link. Internal to pipeline/.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {

// Priorities in table admit, highest first. OVS tries one mask after the other, that of the highest priority
// first, until no mask left can beat what it found. Most packets are IPv4: they pass before a mask of IPv6 or
// ARP is tried.
namespace admit {
inline constexpr uint16_t kNobodyV4 = 440;     // a source that is no host's
inline constexpr uint16_t kForgedV4 = 430;     // a source that is ours, or an instance's
inline constexpr uint16_t kForwarderV4 = 425;  // from the clients of a D-Forwarder that asks here
inline constexpr uint16_t kAllowedV4 = 420;
inline constexpr uint16_t kRefusedV4 = 410;
inline constexpr uint16_t kNobodyV6 = 330;
inline constexpr uint16_t kNd = 320;  // before kForgedV6 and kAllowedV6: ND may have the source ::
inline constexpr uint16_t kForgedV6 = 220;
inline constexpr uint16_t kForwarderV6 = 215;
inline constexpr uint16_t kAllowedV6 = 210;
inline constexpr uint16_t kRefusedV6 = 200;
inline constexpr uint16_t kArp = 100;
inline constexpr uint16_t kMiss = 0;
}  // namespace admit

// Priorities in table link, highest first.
namespace link {
inline constexpr uint16_t kAdvertiseToAll = 420;  // an advertisement of ours, being written
inline constexpr uint16_t kAdvertise = 410;
inline constexpr uint16_t kForged = 330;  // claims an address of ours
inline constexpr uint16_t kAnswerAndLearn = 320;
inline constexpr uint16_t kAnswer = 310;
inline constexpr uint16_t kNoLinkAddress = 305;
inline constexpr uint16_t kReplyToUs = 300;
inline constexpr uint16_t kLearn = 290;
inline constexpr uint16_t kSolicitation = 286;
inline constexpr uint16_t kSolicited = 285;
inline constexpr uint16_t kOther = 280;
inline constexpr uint16_t kMiss = 0;
}  // namespace link

// ICMPv6 types of ND: router solicitation to redirect (RFC 4861 section 4).
inline constexpr std::array<int, 5> kNdTypes{133, 134, 135, 136, 137};

// What table classify writes into reg6 for packets of the port.
uint32_t InputRegister(const PlannedPort& port);
// "PROTOCOL,in_port=N,reg6=0x..,": what came in through this port, with its VLAN.
std::string From(const std::string& protocol, const PlannedPort& port);

// "learn(...)": the neighbour at `address`, a field of the packet, has the MAC in the field `mac` and is
// behind the port. `table_match` is what the learned flow matches the next hop by.
std::string LearnNeighbor(const SwitchPlan& plan, const PlannedPort& port, const std::string& table_match,
                          const std::string& mac);

void CompileAdmit(FlowBuilder& out);
void CompileArp(FlowBuilder& out);  // table link
void CompileNd(FlowBuilder& out);   // table link, and its last flow

}  // namespace dyncast::pipeline
