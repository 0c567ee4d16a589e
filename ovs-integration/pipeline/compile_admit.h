// The parts of table admit. Internal to pipeline/.
#pragma once

#include <cstdint>
#include <string>

#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {

// Priorities in table admit, highest first.
namespace admit {
inline constexpr uint16_t kAdvertiseToAll = 420;  // an advertisement of ours, being written
inline constexpr uint16_t kAdvertise = 410;
inline constexpr uint16_t kNeighborForged = 330;  // claims an address of ours
inline constexpr uint16_t kAnswerAndLearn = 320;
inline constexpr uint16_t kAnswer = 310;
inline constexpr uint16_t kNoLinkAddress = 305;
inline constexpr uint16_t kReplyToUs = 300;
inline constexpr uint16_t kLearn = 290;
inline constexpr uint16_t kSolicited = 285;
inline constexpr uint16_t kNeighborOther = 280;
inline constexpr uint16_t kForged = 220;
inline constexpr uint16_t kAllowed = 210;
inline constexpr uint16_t kRefused = 200;
inline constexpr uint16_t kMiss = 0;
}  // namespace admit

// What table classify writes into reg6 for packets of the port.
uint32_t InputRegister(const PlannedPort& port);
// "PROTOCOL,in_port=N,reg6=0x..,": what came in through this port, with its VLAN.
std::string From(const std::string& protocol, const PlannedPort& port);
// fe80::/10 (RFC 4291 section 2.5.6): means another host on every link, so it is neither learned nor routed.
bool IsLinkLocal(const IpAddress& address);

// "learn(...)": the neighbour at `address`, a field of the packet, has the MAC in the field `mac` and is
// behind the port. `table_match` is what the learned flow matches the next hop by.
std::string LearnNeighbor(const SwitchPlan& plan, const PlannedPort& port, const std::string& table_match,
                          const std::string& mac);

void CompileArp(FlowBuilder& out);
void CompileNd(FlowBuilder& out);
void CompileAdmit(FlowBuilder& out);  // who may send

}  // namespace dyncast::pipeline
