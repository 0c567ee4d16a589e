#include "ovs-integration/openflow/packet_out.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>

#include "ovs-integration/openflow/ovs_headers.h"
#include "ovs-integration/pipeline/compile.h"

namespace dyncast::openflow {
namespace {

constexpr uint32_t kControllerPort = 0xfffffffd;
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
      output_port_(Differences(output_, EncodeActions(pipeline::OutputActions(PortNo{0x0eddccbb})), 4)) {}

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
