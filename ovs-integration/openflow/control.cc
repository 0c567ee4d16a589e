#include "ovs-integration/openflow/control.h"

#include <fmt/format.h>

#include <memory>

#include "ovs-integration/openflow/ovs_headers.h"
#include "ovs-integration/pipeline/layout.h"

namespace dyncast::openflow {
namespace {

constexpr uint32_t kAnyPort = 0xffffffff;
constexpr uint32_t kAnyGroup = 0xffffffff;
constexpr uint32_t kNoBuffer = 0xffffffff;
constexpr uint32_t kAllMeters = 0xffffffff;
constexpr uint16_t kMultipartFlow = 1;  // OFPMP_FLOW_DESC
constexpr uint16_t kMultipartMeterConfig = 10;
constexpr uint16_t kMultipartFlowMonitor = 16;
constexpr uint16_t kMonitorAdded = 1 << 1;     // OFPFMF_ADD
constexpr uint16_t kMonitorModified = 1 << 3;  // OFPFMF_MODIFY
constexpr uint8_t kDeleteNonStrict = 3;
constexpr uint64_t kBindingKindMask = 0xffff000000000000ull;  // owner and kind
constexpr size_t kEmptyMatchSize = 8;

void PutEmptyMatch(uint8_t* p) {
  Put16(p, 1);  // OFPMT_OXM
  Put16(p + 2, 4);
}

uint64_t BindingCookie(ServiceId service, InstanceId instance) {
  return pipeline::EncodeCookie(
      {.kind = pipeline::FlowKind::kBinding, .service = service, .instance = instance, .at = SwitchId{}});
}

void WriteDeleteByCookie(OutBuffer* out, uint32_t xid, uint8_t table_id, uint64_t cookie, uint64_t mask) {
  uint8_t* p = out->Message(MsgType::kFlowMod, xid, 48 + kEmptyMatchSize);
  Put64(p + 8, cookie);
  Put64(p + 16, mask);
  p[24] = table_id;
  p[25] = kDeleteNonStrict;
  Put32(p + 32, kNoBuffer);
  Put32(p + 36, kAnyPort);
  Put32(p + 40, kAnyGroup);
  PutEmptyMatch(p + 48);
}

}  // namespace

void WriteHello(OutBuffer* out, uint32_t xid) {
  uint8_t* p = out->Message(MsgType::kHello, xid, 16);
  Put16(p + 8, 1);  // OFPHET_VERSIONBITMAP
  Put16(p + 10, 8);
  Put32(p + 12, 1u << kVersion15);
}

void WriteHelloFailed(OutBuffer* out, uint8_t version, uint32_t xid, std::string_view text) {
  uint8_t* p = out->Message(MsgType::kError, xid, 12 + text.size());
  p[0] = version;
  std::memcpy(p + 12, text.data(), text.size());  // type 0, code 0: hello failed, incompatible
}

void WriteSetPacketIn2(OutBuffer* out, uint32_t xid) {
  uint8_t* p = out->Message(MsgType::kExperimenter, xid, 20);
  Put32(p + 8, kNiciraVendor);
  Put32(p + 12, 16);  // NXT_SET_PACKET_IN_FORMAT
  Put32(p + 16, 2);   // NXPIF_NXT_PACKET_IN2
}

void WriteBundleControl(OutBuffer* out, uint32_t xid, uint32_t bundle_id, BundleControl type) {
  uint8_t* p = out->Message(MsgType::kBundleControl, xid, kBundleControlSize);
  Put32(p + 8, bundle_id);
  Put16(p + 12, static_cast<uint16_t>(type));
  Put16(p + 14, kBundleFlags);
}

void WriteBundleAdd(OutBuffer* out, uint32_t xid, uint32_t bundle_id, ByteView flow_mod) {
  uint8_t* p = out->Message(MsgType::kBundleAdd, xid, kBundleControlSize + flow_mod.size());
  Put32(p + 8, bundle_id);
  Put16(p + 14, kBundleFlags);
  std::memcpy(p + 16, flow_mod.data(), flow_mod.size());
  Put32(p + 20, xid);
}

void WriteFlowStatsRequest(OutBuffer* out, uint32_t xid, uint8_t table_id, FlowScope scope) {
  uint8_t* p = out->Message(MsgType::kMultipartRequest, xid, 16 + 32 + kEmptyMatchSize);
  Put16(p + 8, kMultipartFlow);
  p += 16;
  p[0] = table_id;
  Put32(p + 4, kAnyPort);
  Put32(p + 8, kAnyGroup);
  uint64_t cookie = pipeline::kCookieOwner << 56;
  uint64_t mask = pipeline::kCookieOwnerMask;
  if (scope != FlowScope::kOurs) {
    cookie = scope == FlowScope::kBindings ? BindingCookie(ServiceId{}, InstanceId{})
                                           : pipeline::EncodeCookie({.kind = pipeline::FlowKind::kUnbound});
    mask = kBindingKindMask;
  }
  Put64(p + 16, cookie);
  Put64(p + 24, mask);
  PutEmptyMatch(p + 32);
}

void WriteFlowMonitorRequest(OutBuffer* out, uint32_t xid, uint32_t monitor_id, uint8_t table_id) {
  uint8_t* p = out->Message(MsgType::kMultipartRequest, xid, 16 + 16 + kEmptyMatchSize);
  Put16(p + 8, kMultipartFlowMonitor);
  p += 16;
  Put32(p, monitor_id);
  Put32(p + 4, kAnyPort);
  Put32(p + 8, kAnyGroup);
  Put16(p + 12, kMonitorAdded | kMonitorModified);
  p[14] = table_id;
  PutEmptyMatch(p + 16);
}

void WriteMeterConfigRequest(OutBuffer* out, uint32_t xid) {
  uint8_t* p = out->Message(MsgType::kMultipartRequest, xid, 24);
  Put16(p + 8, kMultipartMeterConfig);
  Put32(p + 16, kAllMeters);
}

void WriteMeterMod(OutBuffer* out, uint32_t xid, MeterCommand command, const pipeline::Meter& meter) {
  const size_t band = command == MeterCommand::kDelete ? 0 : 16;
  uint8_t* p = out->Message(MsgType::kMeterMod, xid, 16 + band);
  Put16(p + 8, static_cast<uint16_t>(command));
  Put32(p + 12, meter.id);
  if (band == 0) return;
  Put16(p + 10, 0x0002 | 0x0004);  // OFPMF_PKTPS, OFPMF_BURST
  Put16(p + 16, 1);                // OFPMBT_DROP
  Put16(p + 18, 16);
  Put32(p + 20, meter.packets_per_s);
  Put32(p + 24, meter.burst_packets);
}

void WriteDeleteBindingsOf(OutBuffer* out, uint32_t xid, ServiceId service, InstanceId instance) {
  // Every part of the cookie but the switch.
  WriteDeleteByCookie(out, xid, kAllTables, BindingCookie(service, instance), ~uint64_t{0xffff});
}

void WriteDeleteBindingsAt(OutBuffer* out, uint32_t xid, ServiceId service, uint8_t table_id) {
  WriteDeleteByCookie(out, xid, table_id, BindingCookie(service, InstanceId{}), ~uint64_t{0xffffffff});
}

Result<uint32_t> ReadHello(ByteView message) {
  const uint8_t version = MessageVersion(message);
  ByteView rest = message.subspan(kHeaderSize);
  while (rest.size() >= 4) {
    const uint16_t type = Get16(rest.data());
    const size_t size = Get16(rest.data() + 2);
    if (size < 4 || size > rest.size()) {
      return MakeError(Errc::kProtocol,
                       fmt::format("a hello element says {} octets of {}", size, rest.size()));
    }
    if (type == 1) {
      if (size < 8) return MakeError(Errc::kProtocol, "a hello's version bitmap is empty");
      return Get32(rest.data() + 4);
    }
    const size_t padded = (size + 7) / 8 * 8;
    rest = rest.subspan(std::min(padded, rest.size()));
  }
  // Without a bitmap the header's version is the highest one (section 6.3.1).
  return version >= kVersion15 ? 1u << kVersion15 : 1u << version;
}

std::string VersionNames(uint32_t bitmap) {
  std::string names;
  for (unsigned bit = 0; bit < 32; ++bit) {
    if ((bitmap >> bit & 1) == 0) continue;
    if (!names.empty()) names += ", ";
    names += bit >= 1 && bit <= 6 ? fmt::format("1.{}", bit - 1) : fmt::format("version {:#04x}", bit);
  }
  return names.empty() ? "none" : names;
}

Result<Features> ReadFeatures(ByteView message) {
  if (message.size() < 32) {
    return MakeError(Errc::kProtocol,
                     fmt::format("a features reply has {} octets; 32 are needed", message.size()));
  }
  return Features{.dpid = DatapathId{Get64(message.data() + 8)}, .auxiliary_id = message[21]};
}

Result<ErrorMessage> ReadError(ByteView message) {
  if (message.size() < 12) {
    return MakeError(Errc::kProtocol, fmt::format("an error has {} octets; 12 are needed", message.size()));
  }
  ErrorMessage error{.type = Get16(message.data() + 8), .code = Get16(message.data() + 10), .text = {}};
  // The library knows the names; it wants the message aligned and whole.
  const Bytes copy(message.begin(), message.end());
  const enum ofperr named = ofperr_decode_msg(reinterpret_cast<const ofp_header*>(copy.data()), nullptr);
  const char* name = named != 0 ? ofperr_get_name(named) : nullptr;
  error.text = name != nullptr ? name : fmt::format("error type {} code {}", error.type, error.code);
  return error;
}

Result<BundleReply> ReadBundleControl(ByteView message) {
  if (message.size() < kBundleControlSize) {
    return MakeError(Errc::kProtocol, fmt::format("a bundle control has {} octets; {} are needed",
                                                  message.size(), kBundleControlSize));
  }
  return BundleReply{.bundle_id = Get32(message.data() + 8),
                     .type = static_cast<BundleControl>(Get16(message.data() + 12))};
}

}  // namespace dyncast::openflow
