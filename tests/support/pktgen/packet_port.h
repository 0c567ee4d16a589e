// A network interface of another namespace: frames out by sendmmsg, frames in from a memory-mapped ring
// (packet(7), TPACKET_V2) with the kernel's time stamps.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "schema/base/ip.h"

namespace dyncast::pktgen {

// Says why and ends the program.
[[noreturn]] void Fail(const std::string& what);
[[noreturn]] void FailErrno(const std::string& what);

uint64_t RealtimeNs();

struct Received {
  std::span<uint8_t> frame;  // valid during the call; without its VLAN tag; may be changed
  uint16_t vlan = 0;         // 0: untagged
  uint64_t at_ns = 0;        // CLOCK_REALTIME
};

class PacketPort {
 public:
  // `where`: NAMESPACE:INTERFACE; '-' as the namespace is this process's.
  explicit PacketPort(const std::string& where);
  ~PacketPort();
  PacketPort(const PacketPort&) = delete;
  PacketPort& operator=(const PacketPort&) = delete;

  const std::string& where() const { return where_; }
  const MacAddress& mac() const { return mac_; }
  int descriptor() const { return receive_; }

  // Sends frames [0, count) of `frames`, each `size` octets, `stride` apart. How many the kernel took.
  size_t Send(const uint8_t* frames, size_t stride, size_t size, size_t count);
  // Sends one frame, with a tag if `vlan` is not 0.
  void SendOne(std::span<const uint8_t> frame, uint16_t vlan);

  // Hands over at most `most` waiting frames; how many there were.
  size_t Receive(size_t most, const std::function<void(const Received&)>& take);
  // Frames lost since the last call because the ring was full: the tool's own loss.
  uint64_t TakeRingDrops();

 private:
  std::string where_;
  MacAddress mac_;
  int send_ = -1;
  int receive_ = -1;
  uint8_t* ring_ = nullptr;
  size_t ring_bytes_ = 0;
  size_t next_ = 0;
};

}  // namespace dyncast::pktgen
