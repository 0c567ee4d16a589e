// Packet-outs by template: the actions that the pipeline names, encoded once by libopenvswitch, then patched.
#pragma once

#include <cstdint>
#include <vector>

#include "ovs-integration/openflow/wire.h"
#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

// Octets of a packet that fit into one message; a longer packet is cut (no port has such an MTU).
inline constexpr size_t kMaxPacketOut = 65000;

class PacketOutEncoder {
 public:
  PacketOutEncoder();

  // pipeline::DemandActions with the port that the demand came from (a TaggedPort).
  void WriteForwardDemand(OutBuffer* out, uint32_t xid, PortNo in_port, ServiceId service,
                          InstanceId instance, ByteView packet) const;
  // pipeline::MissActions with the port that the demand came from.
  void WriteForwardMiss(OutBuffer* out, uint32_t xid, PortNo in_port, const BindingKey& key,
                        InstanceId instance, const IpAddress& forwarder, ByteView packet) const;
  // pipeline::HelloActions from CONTROLLER, with a frame that nobody takes. Rare: encoded each time.
  void WriteHello(OutBuffer* out, uint32_t xid, PortNo tunnel, const IpAddress& to) const;
  // pipeline::NeighborActions from CONTROLLER.
  void WriteSendToNeighbor(OutBuffer* out, uint32_t xid, const IpAddress& neighbor, ByteView packet) const;
  // pipeline::OutputActions from CONTROLLER; `port` is a TaggedPort.
  void WriteSendPacket(OutBuffer* out, uint32_t xid, PortNo port, ByteView packet) const;

  // Whether misses are written by template; else libopenvswitch encodes each, as it does what the template
  // cannot.
  bool miss_by_template() const { return !miss_.empty(); }

 private:
  // A register in encoded actions: where its value stands.
  struct RegisterPlace {
    size_t at = 0;
    size_t first = 0;  // of reg0..15
    size_t count = 0;  // 1, or 4 of an xxreg
  };
  static std::vector<RegisterPlace> FindRegisters(ByteView actions);
  void PatchMiss(uint8_t* actions, const BindingKey& key, InstanceId instance,
                 const IpAddress& forwarder) const;
  void MakeMissTemplate();

  Bytes demand_;                         // encoded actions
  std::vector<size_t> demand_instance_;  // where the instance id stands, 2 octets each
  std::vector<size_t> demand_service_;
  Bytes miss_;  // empty: no template
  std::vector<RegisterPlace> miss_registers_;
  Bytes neighbor_v4_;
  std::vector<size_t> neighbor_v4_address_;  // 4 octets each
  Bytes neighbor_v6_;
  std::vector<size_t> neighbor_v6_address_;  // 16 octets each
  Bytes output_;
  std::vector<size_t> output_port_;  // 4 octets each
};

}  // namespace dyncast::openflow
