// One run: sends the streams' packets from the client's interface, counts at the receivers' interfaces,
// answers if asked. Two threads: the caller's sends, one of its own receives. One process, so one clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/pktgen/flow_space.h"
#include "tests/support/pktgen/frame.h"
#include "tests/support/pktgen/tally.h"

namespace dyncast::pktgen {

enum class Answering : uint8_t { kCount, kAnswer };
enum class Neighbours : uint8_t { kAnswer, kSilent };
// kOnce: flow after flow, each `packets_per_flow` packets back to back. kRoundRobin: over all flows again and
// again.
enum class Pattern : uint8_t { kOnce, kRoundRobin };

// An instance. Several may share an interface; they differ in address or VLAN then.
struct Receiver {
  std::string name;
  std::string where;                 // NAMESPACE:INTERFACE
  std::vector<IpAddress> addresses;  // empty: whatever arrives there
  uint16_t vlan = 0;
};

struct Stream {
  std::string name;
  Pattern pattern = Pattern::kOnce;
  uint64_t first_flow = 0;
  uint32_t flows = 1;
  uint32_t packets_per_flow = 1;  // kOnce
  double rate_per_s = 0;          // packets; 0: as fast as the window or the kernel takes them
  uint32_t window = 0;            // most packets under way; 0: no limit (open loop)
  double seconds = 60;            // the sending ends then at the latest
  TcpFlags tcp_flags = TcpFlags::kSyn;
};

struct Setup {
  std::string client;  // NAMESPACE:INTERFACE
  uint16_t client_vlan = 0;
  FlowSpace space;
  std::optional<MacAddress> gateway_mac;
  std::optional<IpAddress> gateway;  // asked for its MAC if that is not given
  uint32_t announce = 1;  // clients that ask for the gateway before the start, which makes them known
  std::vector<Receiver> receivers;
  Answering answering = Answering::kCount;
  Neighbours neighbours = Neighbours::kAnswer;
  size_t padding_bytes = 0;
  uint8_t ttl = 64;
  double wait_s = 1;  // for late packets, after the last one
  std::vector<Stream> streams;
};

struct Outcome {
  std::vector<std::unique_ptr<Tally>> tallies;  // per stream
  size_t frame_bytes = 0;
  uint64_t elsewhere = 0;      // reached a receiver's interface with no receiver's address
  uint64_t ring_drops = 0;     // the tool's own loss
  uint64_t send_refused = 0;   // times that the kernel took less than it was given
  uint64_t window_stalls = 0;  // times that a full window made no progress and was taken for lost
};

// Ends the program with a message if something cannot be had (namespace, interface, gateway).
Outcome Execute(const Setup& setup);

// SIGTERM and SIGINT end the sending early; the report is made all the same.
void StopOnSignals();

}  // namespace dyncast::pktgen
