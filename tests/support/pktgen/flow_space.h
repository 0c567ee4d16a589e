// The flows that a run may use: clients times source ports times destination ports, numbered from 0. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "schema/base/ip.h"

namespace dyncast::pktgen {

enum class Transport : uint8_t { kUdp, kTcp, kSctp, kIcmp };
// What counts as one client for the question whether it was seen on two instances.
enum class GroupKind : uint8_t { k5Tuple, k4Tuple, k3Tuple, kClient };
// Which part of a flow changes fastest from one flow number to the next.
enum class FlowOrder : uint8_t { kPortsFirst, kClientsFirst };

// One flow. ICMP: `source_port` is the echo identifier, `port` unused.
struct FlowKey {
  IpAddress client;
  uint16_t source_port = 0;
  uint16_t port = 0;
};

struct FlowSpace {
  IpAddress first_client;
  uint32_t clients = 1;
  uint32_t client_step = 1;  // addresses from one client to the next
  IpAddress sid;
  uint16_t first_source_port = 1024;
  uint32_t source_ports = 1;
  uint16_t first_port = 1;
  uint32_t ports = 1;
  FlowOrder order = FlowOrder::kPortsFirst;
  Transport transport = Transport::kUdp;

  uint64_t size() const { return uint64_t{clients} * source_ports * ports; }
  // Precondition: flow < size().
  FlowKey At(uint64_t flow) const;
  IpAddress Client(uint32_t index) const;
  // Whether `address` is one of the clients.
  bool IsClient(const IpAddress& address) const;
  // Equal for flows of one group. `prefix`: bits of the client's address that count, with kClient.
  std::string GroupOf(const FlowKey& key, GroupKind kind, uint8_t prefix) const;
};

// `address` plus `offset`, within its last 32 bits.
IpAddress Plus(const IpAddress& address, uint32_t offset);

}  // namespace dyncast::pktgen
