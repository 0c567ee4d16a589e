// Takes the agents' messages in: a bound ZeroMQ SUB socket read from the control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "schema/base/result.h"
#include "schema/wire/message.h"

namespace dyncast {

struct SubscriberCounters {
  uint64_t received = 0;
  uint64_t malformed = 0;  // refused by the decoder: nothing of them reached the core
  std::string last_malformed;
};

class MetricSubscriber {
 public:
  // Binds. kIo names the endpoint and the reason.
  static Result<std::unique_ptr<MetricSubscriber>> Bind(const std::string& endpoint);
  ~MetricSubscriber();

  // Hands over at most `most` messages; returns how many were read, good or not.
  size_t Run(size_t most, const std::function<void(wire::AgentMessage)>& handler);
  // Registers with the poll loop.
  void Wait();
  const SubscriberCounters& counters() const { return counters_; }

 private:
  struct Sockets;
  explicit MetricSubscriber(std::unique_ptr<Sockets> sockets);
  std::unique_ptr<Sockets> sockets_;
  SubscriberCounters counters_;
};

}  // namespace dyncast
