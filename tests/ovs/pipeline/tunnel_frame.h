// Geneve packets (RFC 8926) between tunnel endpoints, as they stand on the infrastructure's wire.
#pragma once

#include <map>
#include <optional>

#include "tests/support/packets/packets.h"

namespace dyncast::test {

struct TunnelFrame {
  MacAddress eth_dst = Mac("02:00:00:00:01:02");
  IpAddress src;
  IpAddress dst;
  std::map<uint8_t, Bytes> options;  // of class 0xff01, by type
  Bytes inner;                       // an Ethernet frame
};
Bytes Build(const TunnelFrame& frame);
// nullopt: no Geneve packet of that option class.
std::optional<TunnelFrame> ReadTunnelFrame(const Bytes& frame);

// The octets of big-endian 32-bit words.
Bytes Words(const std::vector<uint32_t>& words);

}  // namespace dyncast::test
