// The counters and speeds of a switch's ports (OpenFlow 1.5.1, sections 7.3.5.7 and 7.3.5.8). By hand: two
// fixed layouts.
#pragma once

#include <map>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "schema/base/result.h"
#include "schema/model/port.h"

namespace dyncast::openflow {

inline constexpr uint16_t kMultipartPortStats = 4;
inline constexpr uint16_t kMultipartPortDesc = 13;

// Of all ports.
void WritePortRequest(OutBuffer* out, uint32_t xid, uint16_t multipart_type);

// Appends what one reply says, without speeds; numbers may repeat. Errors: kProtocol.
Status ReadPortStats(ByteView message, std::vector<PortCounters>* ports);
// Bit/s of each port that has a speed. Errors: kProtocol.
Status ReadPortSpeeds(ByteView message, std::map<PortNo, uint64_t>* speeds);

}  // namespace dyncast::openflow
