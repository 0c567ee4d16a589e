// Packet-outs by template: the actions that the pipeline names, encoded once by libopenvswitch, then patched.
#pragma once

#include <cstdint>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "schema/base/ids.h"
#include "schema/base/ip.h"

namespace dyncast::openflow {

// Octets of a packet that fit into one message; a longer packet is cut (no port has such an MTU).
inline constexpr size_t kMaxPacketOut = 65000;

class PacketOutEncoder {
 public:
  PacketOutEncoder();

  // pipeline::DemandActions with the port that the demand came from (a TaggedPort).
  void WriteForwardDemand(OutBuffer* out, uint32_t xid, PortNo in_port, ServiceId service,
                          InstanceId instance, ByteView packet) const;
  // pipeline::NeighborActions from CONTROLLER.
  void WriteSendToNeighbor(OutBuffer* out, uint32_t xid, const IpAddress& neighbor, ByteView packet) const;
  // pipeline::OutputActions from CONTROLLER; `port` is a TaggedPort.
  void WriteSendPacket(OutBuffer* out, uint32_t xid, PortNo port, ByteView packet) const;

 private:
  Bytes demand_;                         // encoded actions
  std::vector<size_t> demand_instance_;  // where the instance id stands, 2 octets each
  std::vector<size_t> demand_service_;
  Bytes neighbor_v4_;
  std::vector<size_t> neighbor_v4_address_;  // 4 octets each
  Bytes neighbor_v6_;
  std::vector<size_t> neighbor_v6_address_;  // 16 octets each
  Bytes output_;
  std::vector<size_t> output_port_;  // 4 octets each
};

}  // namespace dyncast::openflow
