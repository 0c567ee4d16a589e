#include "ovs-integration/openflow/packet_out.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ovs-integration/openflow/ovs_headers.h"
#include "ovs-integration/pipeline/compile.h"

namespace dyncast::openflow {
namespace {

constexpr uint32_t kControllerPort = 0xfffffffd;
constexpr uint16_t kSetField = 25;         // OFPAT_SET_FIELD
constexpr uint32_t kNiciraClass = 0x0001;  // oxm_class
constexpr uint32_t kFirstXxreg = 111;
constexpr size_t kHeadSize = 32;  // header, buffer, lengths, a match of the input port

Bytes EncodeActions(const std::string& text) {
  ofpbuf ofpacts;
  ofpbuf_init(&ofpacts, 256);
  ofputil_protocol usable{};
  ofpact_parse_params params = {};
  params.ofpacts = &ofpacts;
  params.usable_protocols = &usable;
  char* error = ofpacts_parse_actions(text.c_str(), &params);
  Bytes actions;
  if (error == nullptr) {
    const OfpbufPtr msg(ofpbuf_new(256));
    ofpacts_put_openflow_actions(static_cast<const ofpact*>(ofpacts.data), ofpacts.size, msg.get(),
                                 OFP15_VERSION);
    const auto* data = static_cast<const uint8_t*>(msg->data);
    actions.assign(data, data + msg->size);
  }
  std::free(error);
  ofpbuf_uninit(&ofpacts);
  return actions;
}

IpAddress EveryOctet(uint8_t value) {
  std::array<uint8_t, 16> octets;
  octets.fill(value);
  return IpAddress::V6(octets);
}

// The OpenFlow port of a TaggedPort. The database and the registers know LOCAL by its 16-bit number.
uint32_t PhysicalPort(PortNo port) {
  constexpr uint32_t kLocal16 = 0xfffe;
  constexpr uint32_t kLocal = 0xfffffffe;
  const uint32_t number = port.value() & 0xffff;
  return number == kLocal16 ? kLocal : number;
}

// Where `a` and `b` differ, in steps of `size`.
std::vector<size_t> Differences(const Bytes& a, const Bytes& b, size_t size) {
  std::vector<size_t> places;
  for (size_t i = 0; i + size <= std::min(a.size(), b.size()); ++i) {
    if (a[i] == b[i]) continue;
    places.push_back(i);
    i += size - 1;
  }
  return places;
}

uint8_t* Start(OutBuffer* out, uint32_t xid, uint32_t in_port, size_t actions_size, ByteView packet) {
  packet = packet.first(std::min(packet.size(), kMaxPacketOut));
  uint8_t* p = out->Message(MsgType::kPacketOut, xid, kHeadSize + actions_size + packet.size());
  Put32(p + 8, UINT32_MAX);  // no buffer
  Put16(p + 12, static_cast<uint16_t>(actions_size));
  Put16(p + 16, 1);  // OFPMT_OXM
  Put16(p + 18, 12);
  Put32(p + 20, 0x80000004);  // OXM_OF_IN_PORT
  Put32(p + 24, in_port);
  if (!packet.empty()) std::memcpy(p + kHeadSize + actions_size, packet.data(), packet.size());
  return p + kHeadSize;
}

}  // namespace

// The two values of each encoding differ in every octet, so the octets that differ are the value's.
PacketOutEncoder::PacketOutEncoder()
    : demand_(EncodeActions(pipeline::DemandActions(ServiceId{0x1122}, InstanceId{0x3344}))),
      demand_instance_(Differences(
          demand_, EncodeActions(pipeline::DemandActions(ServiceId{0x1122}, InstanceId{0xccbb})), 2)),
      demand_service_(Differences(
          demand_, EncodeActions(pipeline::DemandActions(ServiceId{0xeedd}, InstanceId{0x3344})), 2)),
      neighbor_v4_(EncodeActions(pipeline::NeighborActions(IpAddress::V4(0x11223344)))),
      neighbor_v4_address_(
          Differences(neighbor_v4_, EncodeActions(pipeline::NeighborActions(IpAddress::V4(0xeeddccbb))), 4)),
      neighbor_v6_(EncodeActions(pipeline::NeighborActions(EveryOctet(0x21)))),
      neighbor_v6_address_(
          Differences(neighbor_v6_, EncodeActions(pipeline::NeighborActions(EveryOctet(0xde))), 16)),
      output_(EncodeActions(pipeline::OutputActions(PortNo{0x01223344}))),
      output_port_(Differences(output_, EncodeActions(pipeline::OutputActions(PortNo{0x0eddccbb})), 4)) {
  MakeMissTemplate();
}

// By the heads of the set-fields: 25, length, and an OXM head of a register without mask.
std::vector<PacketOutEncoder::RegisterPlace> PacketOutEncoder::FindRegisters(ByteView actions) {
  std::vector<RegisterPlace> places;
  for (size_t at = 0; at + 8 <= actions.size();) {
    const size_t size = Get16(actions.data() + at + 2);
    if (size < 8 || at + size > actions.size()) break;
    const uint32_t field = Get32(actions.data() + at + 4);
    const uint32_t number = field >> 9 & 0x7f;
    if (Get16(actions.data() + at) == kSetField && field >> 16 == kNiciraClass && (field >> 8 & 1) == 0) {
      if (number < 16 && (field & 0xff) == 4) places.push_back({.at = at + 8, .first = number, .count = 1});
      if (number >= kFirstXxreg && number < kFirstXxreg + 4 && (field & 0xff) == 16) {
        places.push_back({.at = at + 8, .first = 4 * size_t{number - kFirstXxreg}, .count = 4});
      }
    }
    at += size;
  }
  return places;
}

void PacketOutEncoder::PatchMiss(uint8_t* actions, const BindingKey& key, InstanceId instance,
                                 const IpAddress& forwarder) const {
  const pipeline::KeyRegisters registers = pipeline::RegistersOf(key);
  std::array<std::optional<uint32_t>, 16> value{};
  value[0] = instance.value();
  value[1] = registers.reg1;
  value[4] = registers.reg4;
  value[5] = forwarder.v4();
  value[7] = registers.reg7;
  for (size_t i = 0; i < 4; ++i) value[8 + i] = registers.xxreg2[i];
  for (const RegisterPlace& place : miss_registers_) {
    for (size_t i = 0; i < place.count; ++i) {
      if (value[place.first + i]) Put32(actions + place.at + 4 * i, *value[place.first + i]);
    }
  }
}

// Kept only if it gives what the library gives for keys that differ in every field from the one it is made
// of.
void PacketOutEncoder::MakeMissTemplate() {
  const auto key = [](const IpAddress& client, uint16_t ports, uint16_t service, IpProto proto) {
    return BindingKey{.client = client,
                      .src_port = ports,
                      .dst_port = static_cast<uint16_t>(~ports),
                      .service = ServiceId{service},
                      .at = SwitchId{1},
                      .proto = proto};
  };
  const IpAddress forwarder = IpAddress::V4(0x11223344);
  Bytes made = EncodeActions(pipeline::MissActions(
      key(IpAddress::V4(0x51525354), 0x6162, 0x7172, IpProto::kTcp), InstanceId{0x1314}, forwarder));
  miss_registers_ = FindRegisters(made);
  const BindingKey others[] = {key(EveryOctet(0xde), 0x8e8d, 0xfefd, IpProto::kUdp),
                               key(IpAddress::V4(0xa1a2a3a4), 0, 1, IpProto::kSctp),
                               key(EveryOctet(0x21), 0x0102, 0xffff, IpProto::kTcp)};
  for (const BindingKey& other : others) {
    for (const auto instance : {InstanceId{1}, InstanceId{0xffee}}) {
      const IpAddress to = IpAddress::V4(0xeeddccbb);
      Bytes patched = made;
      PatchMiss(patched.data(), other, instance, to);
      if (patched != EncodeActions(pipeline::MissActions(other, instance, to))) return;
    }
  }
  miss_ = std::move(made);
}

void PacketOutEncoder::WriteForwardMiss(OutBuffer* out, uint32_t xid, PortNo in_port, const BindingKey& key,
                                        InstanceId instance, const IpAddress& forwarder,
                                        ByteView packet) const {
  Bytes encoded;
  if (miss_.empty()) encoded = EncodeActions(pipeline::MissActions(key, instance, forwarder));
  const Bytes& actions = miss_.empty() ? encoded : miss_;
  uint8_t* p = Start(out, xid, PhysicalPort(in_port), actions.size(), packet);
  std::memcpy(p, actions.data(), actions.size());
  if (!miss_.empty()) PatchMiss(p, key, instance, forwarder);
}

void PacketOutEncoder::WriteHello(OutBuffer* out, uint32_t xid, PortNo tunnel, const IpAddress& to) const {
  const Bytes actions = EncodeActions(pipeline::HelloActions(tunnel, to));
  std::array<uint8_t, 60> frame{};  // an Ethernet frame's least size
  frame[0] = frame[6] = 0x02;       // locally administered addresses
  frame[5] = 0x02;
  frame[11] = 0x01;
  Put16(frame.data() + 12, 0x88b5);  // IEEE 802: for local experiments
  uint8_t* p = Start(out, xid, kControllerPort, actions.size(), frame);
  std::memcpy(p, actions.data(), actions.size());
}

void PacketOutEncoder::WriteForwardDemand(OutBuffer* out, uint32_t xid, PortNo in_port, ServiceId service,
                                          InstanceId instance, ByteView packet) const {
  uint8_t* p = Start(out, xid, PhysicalPort(in_port), demand_.size(), packet);
  std::memcpy(p, demand_.data(), demand_.size());
  for (const size_t at : demand_instance_) Put16(p + at, instance.value());
  for (const size_t at : demand_service_) Put16(p + at, service.value());
}

void PacketOutEncoder::WriteSendToNeighbor(OutBuffer* out, uint32_t xid, const IpAddress& neighbor,
                                           ByteView packet) const {
  const bool v4 = neighbor.is_v4();
  const Bytes& actions = v4 ? neighbor_v4_ : neighbor_v6_;
  uint8_t* p = Start(out, xid, kControllerPort, actions.size(), packet);
  std::memcpy(p, actions.data(), actions.size());
  for (const size_t at : v4 ? neighbor_v4_address_ : neighbor_v6_address_) {
    if (v4) {
      Put32(p + at, neighbor.v4());
    } else {
      std::memcpy(p + at, neighbor.octets().data(), 16);
    }
  }
}

void PacketOutEncoder::WriteSendPacket(OutBuffer* out, uint32_t xid, PortNo port, ByteView packet) const {
  uint8_t* p = Start(out, xid, kControllerPort, output_.size(), packet);
  std::memcpy(p, output_.data(), output_.size());
  for (const size_t at : output_port_) Put32(p + at, port.value());
}

}  // namespace dyncast::openflow
