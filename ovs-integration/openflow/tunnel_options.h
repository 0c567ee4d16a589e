// Which Geneve options (RFC 8926 section 3.5) a switch knows as fields tun_metadata0..63: its option table,
// Nicira's extension NXT_TLV_TABLE_*. Written and read octet by octet, since each message is short.
//
// Mappings stand in the bridge until somebody takes them out, and are never changed by us: flows of others
// may rest on them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ovs-integration/openflow/flow_image.h"
#include "ovs-integration/openflow/wire.h"
#include "ovs-integration/pipeline/compile.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

using TunnelOptions = std::map<uint8_t, pipeline::TunnelOption>;  // by field

// What a switch says of its option table.
struct OptionTable {
  TunnelOptions options;
  std::string refusal;  // not empty: it does not tell
};

void WriteOptionTableRequest(OutBuffer* out, uint32_t xid);
// Adds all of them or none; one that is mapped already is an error.
void WriteOptionTableAdd(OutBuffer* out, uint32_t xid, const std::vector<pipeline::TunnelOption>& options);
bool IsOptionTableReply(ByteView message);
// Errors: kProtocol.
Result<TunnelOptions> ReadOptionTableReply(ByteView message);

// "tun_metadata0 (class 0xff01, type 1, 4 octets)", for people.
std::string OptionName(const pipeline::TunnelOption& option);
// "{class=0xff01,type=1,len=4}->tun_metadata0", as ovs-ofctl takes it.
std::string MappingText(const pipeline::TunnelOption& option);

// By field. kInvalid for what no switch can map; kDuplicate for a field, or a class and type, said twice.
Result<TunnelOptions> CheckTunnelOptions(const std::vector<pipeline::TunnelOption>& options);

// Which of `wanted` are missing, and why the others cannot be had. Appends to *missing.
// kConflict if a field or an option is mapped otherwise.
Status CompareOptions(const TunnelOptions& wanted, const TunnelOptions& found,
                      std::vector<pipeline::TunnelOption>* missing);

// Whether a switch with these options reports the flow as it was sent. kInvalid, naming flow and field, for a
// field that is not mapped, a value longer than its option, and a mask as long as its option that leaves
// nothing out: without it the flow is the same, and so it would be reported.
Status CheckOptionFields(const FlowImage& image, const TunnelOptions& options);

}  // namespace dyncast::openflow
