// The messages of a session that carry no flow: written octet by octet, since each is short and fixed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ovs-integration/openflow/wire.h"
#include "ovs-integration/pipeline/compile.h"
#include "schema/base/ids.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

enum class BundleControl : uint16_t {  // ofp_bundle_ctrl_type, OpenFlow 1.5.1 section 7.3.9.1
  kOpenRequest = 0,
  kOpenReply = 1,
  kCommitRequest = 4,
  kCommitReply = 5,
};
inline constexpr uint16_t kBundleFlags = 0x0003;  // atomic and ordered
inline constexpr size_t kBundleControlSize = 16;

// Transaction ids: fixed ones for what needs no telling apart, counted ones from kFirstXid for the rest.
inline constexpr uint32_t kHelloXid = 1;
inline constexpr uint32_t kFeaturesXid = 2;
inline constexpr uint32_t kFormatXid = 3;
inline constexpr uint32_t kPacketOutXid = 4;
inline constexpr uint32_t kEchoXid = 5;
inline constexpr uint32_t kFirstXid = 16;
// Before a run of messages whose ids must follow each other: starts again in time.
inline void WrapXid(uint32_t* next) {
  if (*next > 0xf0000000u) *next = kFirstXid;
}

void WriteHello(OutBuffer* out, uint32_t xid);
// OFPET_HELLO_FAILED / OFPHFC_INCOMPATIBLE with a text, in the peer's own version.
void WriteHelloFailed(OutBuffer* out, uint8_t version, uint32_t xid, std::string_view text);
void WriteSetPacketIn2(OutBuffer* out, uint32_t xid);
void WriteBundleControl(OutBuffer* out, uint32_t xid, uint32_t bundle_id, BundleControl type);
// `flow_mod` is a whole message; its xid is replaced: the standard wants both alike.
void WriteBundleAdd(OutBuffer* out, uint32_t xid, uint32_t bundle_id, ByteView flow_mod);

inline constexpr uint8_t kAllTables = 0xff;
enum class FlowScope : uint8_t { kOurs, kBindings, kUnbound };  // by cookie
// Flows of one table, or of all.
void WriteFlowStatsRequest(OutBuffer* out, uint32_t xid, uint8_t table_id, FlowScope scope);
// Additions and changes in one table, without instructions: a binding's cookie says all. What we do ourselves
// comes as no more than a transaction id.
void WriteFlowMonitorRequest(OutBuffer* out, uint32_t xid, uint32_t monitor_id, uint8_t table_id);
void WriteMeterConfigRequest(OutBuffer* out, uint32_t xid);
enum class MeterCommand : uint16_t { kAdd = 0, kModify = 1, kDelete = 2 };
void WriteMeterMod(OutBuffer* out, uint32_t xid, MeterCommand command, const pipeline::Meter& meter);
// Deletes every binding of one instance, or of one service in one table: non-strict, chosen by cookie,
// whatever their number.
void WriteDeleteBindingsOf(OutBuffer* out, uint32_t xid, ServiceId service, InstanceId instance);
void WriteDeleteBindingsAt(OutBuffer* out, uint32_t xid, ServiceId service, uint8_t table_id);

// The versions that a hello offers, as a bitmap (bit 6: OpenFlow 1.5). Errors: a broken element.
Result<uint32_t> ReadHello(ByteView message);
// "1.0, 1.3" for people.
std::string VersionNames(uint32_t bitmap);

struct Features {
  DatapathId dpid;
  uint8_t auxiliary_id = 0;
};
Result<Features> ReadFeatures(ByteView message);

struct ErrorMessage {
  uint16_t type = 0;
  uint16_t code = 0;
  std::string text;  // name, and the switch's words if it sent any
};
inline constexpr uint16_t kFlowMonitorFailed = 16;  // ErrorMessage::type
Result<ErrorMessage> ReadError(ByteView message);

struct BundleReply {
  uint32_t bundle_id = 0;
  BundleControl type = BundleControl::kOpenReply;
};
Result<BundleReply> ReadBundleControl(ByteView message);

}  // namespace dyncast::openflow
