// Sessions and accept queues of listening TCP ports, from the kernel's socket table (sock_diag(7)), also
// in other network namespaces. One dump for each namespace and address family, filtered by port in the
// kernel. Used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/readings.h"
#include "schema/base/ip.h"
#include "schema/base/result.h"

namespace dyncast::agent {

struct ListeningPort {
  IpAddress address;
  uint16_t port = 0;  // not 0
};

class SocketReader {
 public:
  SocketReader();
  ~SocketReader();
  SocketReader(const SocketReader&) = delete;
  SocketReader& operator=(const SocketReader&) = delete;

  // The readings of each port in order. `network_namespace`: a path, or "" for the agent's own. Sessions
  // are the established connections to exactly that address; listeners of the wildcard address count as
  // its listeners. A port on which nothing listens and no session stands has no readings: it is not
  // here, or not running.
  Result<std::vector<SocketReadings>> Read(const std::string& network_namespace,
                                           const std::vector<ListeningPort>& ports);

 private:
  struct Handle;
  Result<Handle*> Open(const std::string& network_namespace);

  std::map<std::string, std::unique_ptr<Handle>> handles_;  // by namespace
  std::vector<char> buffer_;
};

}  // namespace dyncast::agent
