#include "ovs-integration/openflow/punt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ovs-integration/openflow/oxm.h"
#include "schema/model/switch_plan.h"

namespace dyncast::openflow {
namespace {

constexpr uint32_t kPacketIn2 = 30;
enum Property : uint16_t { kPropPacket = 0, kPropMetadata = 6, kPropUserdata = 7 };

Error Broken(const char* what, size_t size) {
  return MakeError(Errc::kProtocol, fmt::format("a packet-in of {} octets: {}", size, what));
}

constexpr uint16_t kIpv4 = 0x0800;
constexpr uint16_t kIpv6 = 0x86dd;
constexpr uint16_t kVlan = 0x8100;

uint16_t EtherType(ByteView packet) {
  size_t at = 12;
  if (packet.size() < at + 2) return 0;
  if (Get16(packet.data() + at) == kVlan) at += 4;
  return packet.size() < at + 2 ? uint16_t{0} : Get16(packet.data() + at);
}

// The registers mean what layout.h says. False: the fields cannot be read.
bool ReadMetadata(ByteView fields, ByteView packet, bool demand, Punt* punt) {
  const auto oxm = ReadOxm(fields);
  if (!oxm) return false;
  const auto vlan = static_cast<uint16_t>(oxm->reg[6] >> 16 & 0xfff);
  punt->in_port = TaggedPort(PortNo{oxm->in_port}, vlan);
  if (oxm->reg[0] <= 0xffff) punt->instance = InstanceId{static_cast<uint16_t>(oxm->reg[0])};
  if (demand) {  // who asks is known by an IPv4 address, whatever is asked about
    if (oxm->reg[5] != 0) punt->neighbor = IpAddress::V4(oxm->reg[5]);
    return true;
  }
  const uint16_t type = EtherType(packet);
  if (type == kIpv4 && oxm->reg[5] != 0) punt->neighbor = IpAddress::V4(oxm->reg[5]);
  if (type == kIpv6 && (oxm->reg[12] | oxm->reg[13] | oxm->reg[14] | oxm->reg[15]) != 0) {
    std::array<uint8_t, 16> octets;
    for (size_t i = 0; i < 4; ++i) Put32(octets.data() + 4 * i, oxm->reg[12 + i]);
    punt->neighbor = IpAddress::V6(octets);
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
  ByteView metadata;
  ByteView rest = message.subspan(16);
  while (!rest.empty()) {
    if (rest.size() < 4) return Broken("a property is cut off", message.size());
    const uint16_t type = Get16(rest.data());
    const size_t size = Get16(rest.data() + 2);
    if (size < 4 || size > rest.size()) return Broken("a property's length is impossible", message.size());
    const ByteView value = rest.subspan(4, size - 4);
    switch (type) {
      case kPropPacket: punt.packet = value; break;
      case kPropMetadata: metadata = value; break;
      case kPropUserdata: userdata = value; break;
      default: break;
    }
    rest = rest.subspan(std::min(rest.size(), (size + 7) / 8 * 8));
  }
  if (punt.packet.empty()) return Broken("it holds no packet", message.size());
  const auto reason =
      userdata.empty() ? pipeline::PuntReason{} : static_cast<pipeline::PuntReason>(userdata[0]);
  const bool demand = reason == pipeline::PuntReason::kDemand || reason == pipeline::PuntReason::kEgressGone;
  if (!ReadMetadata(metadata, punt.packet, demand, &punt)) {
    return Broken("the metadata cannot be read", message.size());
  }
  if (userdata.empty()) return std::optional<Punt>();
  punt.reason = static_cast<pipeline::PuntReason>(userdata[0]);
  if (userdata.size() >= 3) punt.service = ServiceId{Get16(userdata.data() + 1)};
  switch (punt.reason) {
    case pipeline::PuntReason::kDemand:
    case pipeline::PuntReason::kEgressGone:
    case pipeline::PuntReason::kFragmentToInstance:
    case pipeline::PuntReason::kFragmentToClient:
      return punt.service.valid() ? std::optional<Punt>(punt) : std::nullopt;
    case pipeline::PuntReason::kNeighborWanted:
    case pipeline::PuntReason::kNeighborFound:
    case pipeline::PuntReason::kIcmpErrorToClient:
    case pipeline::PuntReason::kIcmpErrorToSid:
    case pipeline::PuntReason::kTtlExceeded: return std::optional<Punt>(punt);
  }
  return std::optional<Punt>();
}

}  // namespace dyncast::openflow
