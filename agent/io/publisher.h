// The agent's side of the wire: a ZeroMQ publisher that connects to every controller. It never blocks and
// never keeps messages for a controller that is away: what it missed is said again when it comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "schema/base/result.h"
#include "schema/wire/message.h"

namespace dyncast::agent {

class Publisher {
 public:
  // At close, what was sent last has this long to leave.
  static constexpr std::chrono::milliseconds kLinger{300};
  Publisher();

  // Connects to the endpoints that are new and leaves those that are gone. An endpoint that ZeroMQ
  // refuses is an error that names it; the others stand.
  Status SetEndpoints(const std::vector<std::string>& endpoints);
  void Send(const wire::AgentMessage& message);
  // Readable when TakeSubscribers may have something; edge-triggered, as ZeroMQ's descriptors are: call
  // TakeSubscribers before each wait.
  int fd();
  // How many subscriptions arrived since the last call: controllers that just connected.
  size_t TakeSubscribers();
  uint64_t bytes_sent() const { return bytes_sent_; }
  uint64_t send_failures() const { return send_failures_; }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_;
  std::set<std::string> endpoints_;
  uint64_t bytes_sent_ = 0;
  uint64_t send_failures_ = 0;
};

}  // namespace dyncast::agent
