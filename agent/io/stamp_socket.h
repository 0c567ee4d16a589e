// A UDP socket whose packets the kernel times (SO_TIMESTAMPING, software times: when a packet is handed to
// the device, when it comes from it), for both sides of STAMP. Non-blocking; used by one thread.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "schema/base/ip.h"
#include "schema/base/result.h"

namespace dyncast::agent {

// Unix nanoseconds now.
int64_t UnixNanos();

class StampSocket {
 public:
  struct Received {
    std::string_view octets;  // in the caller's buffer
    IpEndpoint from;
    IpAddress to;              // "::" where the kernel did not say
    uint8_t ttl = 255;         // TTL or hop limit; 255 where the kernel did not say (RFC 8762 section 4.3.1)
    int64_t wall_ns = 0;       // Unix nanoseconds
    bool kernel_time = false;  // `wall_ns` is the kernel's, not this program's
    sockaddr_storage from_storage{};  // `from` with its scope
  };
  // When a packet left, by the kernel. `tag` is what Send was given.
  struct Departure {
    uint32_t tag = 0;
    int64_t wall_ns = 0;
  };

  StampSocket() = default;
  ~StampSocket();
  StampSocket(StampSocket&& other) noexcept;
  StampSocket& operator=(StampSocket&& other) noexcept;

  // Towards one reflector: connected, with a port of the kernel's choice. `source` may be absent. Here, in
  // Receive and in Send kUnavailable is the network's word: no route, nobody there.
  static Result<StampSocket> OpenSender(const IpEndpoint& peer, const std::optional<IpAddress>& source);
  // Listens; of an IPv6 address, for IPv6 only.
  static Result<StampSocket> OpenReflector(const IpEndpoint& listen);

  int fd() const { return fd_; }
  // The port that the kernel chose, or the one it was given.
  uint16_t LocalPort() const;
  // The next packet; nothing if none waits. An error is what the network said of one sent before (a closed
  // port, no route); the socket stays good.
  Result<std::optional<Received>> Receive(std::vector<char>* buffer);
  Status Send(std::string_view octets, uint32_t tag);
  // To where `received` came from, with the address it was sent to as the source.
  Status Answer(std::string_view octets, const Received& received);
  // Times of packets that left, one by one.
  std::optional<Departure> TakeDeparture();

 private:
  Status Open(const IpAddress& family);
  Status SetTimestamping(unsigned flags);
  void RestartNumbers();

  int fd_ = -1;
  bool v4_ = true;
  uint32_t next_id_ = 0;  // the kernel numbers what is sent, from 0
  std::array<std::optional<std::pair<uint32_t, uint32_t>>, 64> tags_;  // (id, tag) at id % 64
};

}  // namespace dyncast::agent
