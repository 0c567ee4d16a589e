// Reads NXT_PACKET_IN2 (nicira-ext.h of Open vSwitch) by hand: this is the hot path of a demand, and
// libopenvswitch would first fill a kilobyte of match.
#pragma once

#include <optional>

#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/openflow/wire.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

bool IsPacketIn2(ByteView message);
// nullopt: well-formed, but not from a flow of ours (unknown userdata). Precondition: IsPacketIn2.
Result<std::optional<Punt>> ReadPunt(ByteView message);

}  // namespace dyncast::openflow
