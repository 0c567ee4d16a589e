// A flow as the bytes of its own OpenFlow 1.5 'add' message: what is compared, and what is sent. Flows that
// the plan wants and flows that a switch reports are brought to the same form by libopenvswitch's codecs, so
// equal bytes mean equal flows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "ovs-integration/pipeline/compile.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

struct FlowImage {
  Bytes add;             // a whole OFPT_FLOW_MOD, OFPFC_ADD, xid 0
  size_t match_end = 0;  // where the instructions begin

  uint8_t table() const { return add[24]; }
  uint64_t cookie() const { return Get64(add.data() + 8); }
  // Table, priority and match: at most one flow of a switch has it.
  std::string Key() const;
  // Same cookie, timeouts, flags and instructions.
  bool SameBody(const FlowImage& other) const;
  // OFPFC_DELETE_STRICT of this flow, if it bears our cookie.
  Bytes MakeDelete() const;
  // In ovs-ofctl's syntax, for people.
  std::string ToString() const;
};

// kInvalid names the flow and what libopenvswitch says of it.
Result<FlowImage> ImageFromText(const pipeline::Flow& flow);

// A flow out of a statistics reply: `head` is the reply's first 16 octets, `entry` one whole ofp_flow_desc.
// Errors: kProtocol.
Result<FlowImage> ImageFromStats(ByteView head, ByteView entry);

// Appends. Meters with a shape that we never make come with rate 0, so that they differ from any wanted.
Status ReadMeterConfigs(ByteView message, std::vector<pipeline::Meter>* found);

}  // namespace dyncast::openflow
