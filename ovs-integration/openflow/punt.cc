#include "ovs-integration/openflow/punt.h"

#include <fmt/format.h>

namespace dyncast::openflow {
namespace {

constexpr uint32_t kPacketIn2 = 30;
enum Property : uint16_t { kPropPacket = 0, kPropMetadata = 6, kPropUserdata = 7 };

Error Broken(const char* what, size_t size) {
  return MakeError(Errc::kProtocol, fmt::format("a packet-in of {} octets: {}", size, what));
}

// in_port and reg5 out of a list of OXM fields. OpenFlow 1.5 carries registers in pairs (xreg2: reg4, reg5).
bool ReadMetadata(ByteView fields, Punt* punt) {
  while (!fields.empty()) {
    if (fields.size() < 4) return false;
    const uint32_t header = Get32(fields.data());
    const size_t size = header & 0xff;
    if (fields.size() < 4 + size) return false;
    const uint8_t* value = fields.data() + 4;
    switch (header) {
      case 0x80000004:  // OXM_OF_IN_PORT
        punt->in_port = PortNo{Get32(value)};
        break;
      case 0x80010408:  // OXM_OF_PKT_REG2, whole
      case 0x80010510:  // the same with a mask
        punt->reg5 = Get32(value + 4);
        break;
      case 0x00010a04:  // NXM_NX_REG5
      case 0x00010b08: punt->reg5 = Get32(value); break;
      default: break;
    }
    fields = fields.subspan(4 + size);
  }
  return true;
}

}  // namespace

bool IsPacketIn2(ByteView message) {
  return MessageType(message) == MsgType::kExperimenter && message.size() >= 16 &&
         Get32(message.data() + 8) == kNiciraVendor && Get32(message.data() + 12) == kPacketIn2;
}

Result<std::optional<Punt>> ReadPunt(ByteView message) {
  Punt punt;
  ByteView userdata;
  ByteView rest = message.subspan(16);
  while (!rest.empty()) {
    if (rest.size() < 4) return Broken("a property is cut off", message.size());
    const uint16_t type = Get16(rest.data());
    const size_t size = Get16(rest.data() + 2);
    if (size < 4 || size > rest.size()) return Broken("a property's length is impossible", message.size());
    const ByteView value = rest.subspan(4, size - 4);
    switch (type) {
      case kPropPacket: punt.packet = value; break;
      case kPropMetadata:
        if (!ReadMetadata(value, &punt)) return Broken("the metadata cannot be read", message.size());
        break;
      case kPropUserdata: userdata = value; break;
      default: break;
    }
    rest = rest.subspan(std::min(rest.size(), (size + 7) / 8 * 8));
  }
  if (punt.packet.empty()) return Broken("it holds no packet", message.size());
  if (userdata.empty()) return std::optional<Punt>();
  punt.reason = static_cast<pipeline::PuntReason>(userdata[0]);
  switch (punt.reason) {
    case pipeline::PuntReason::kDemand:
    case pipeline::PuntReason::kEgressGone:
      if (userdata.size() < 3) return std::optional<Punt>();
      punt.service = ServiceId{Get16(userdata.data() + 1)};
      if (!punt.service.valid()) return std::optional<Punt>();
      return std::optional<Punt>(punt);
    case pipeline::PuntReason::kNeighborWanted:
    case pipeline::PuntReason::kNeighborFound: return std::optional<Punt>(punt);
  }
  return std::optional<Punt>();
}

}  // namespace dyncast::openflow
