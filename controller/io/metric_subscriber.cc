#include "controller/io/metric_subscriber.h"

#include <utility>
#include <vector>
#include <zmq.hpp>

#include "ovs-integration/openflow/loop.h"
#include "schema/base/log.h"

namespace dyncast {
namespace {

constexpr int kBacklog = 4096;
constexpr int kQueuedPerAgent = 1000;

}  // namespace

struct MetricSubscriber::Sockets {
  zmq::context_t context{1};
  zmq::socket_t sub{context, zmq::socket_type::sub};
};

MetricSubscriber::MetricSubscriber(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
MetricSubscriber::~MetricSubscriber() = default;

Result<std::unique_ptr<MetricSubscriber>> MetricSubscriber::Bind(const std::string& endpoint) {
  try {
    auto sockets = std::make_unique<Sockets>();
    zmq::socket_t& sub = sockets->sub;
    sub.set(zmq::sockopt::linger, 0);
    // After a start all agents connect at once; who finds no room comes again only after seconds.
    sub.set(zmq::sockopt::backlog, kBacklog);
    // For each agent. What is beyond waits at the agent, which drops what grows too old.
    sub.set(zmq::sockopt::rcvhwm, kQueuedPerAgent);
    sub.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(wire::kMaxMessageBytes));
    // A peer that vanished without a word is noticed, so that its connection does not linger.
    sub.set(zmq::sockopt::heartbeat_ivl, 1000);
    sub.set(zmq::sockopt::heartbeat_timeout, 3000);
    sub.set(zmq::sockopt::subscribe, "");
    sub.bind(endpoint);
    return std::unique_ptr<MetricSubscriber>(new MetricSubscriber(std::move(sockets)));
  } catch (const zmq::error_t& e) {
    return MakeError(Errc::kIo, std::string("cannot bind the metric socket: ") + e.what(), endpoint);
  }
}

size_t MetricSubscriber::Run(size_t most, const std::function<void(wire::AgentMessage)>& handler) {
  size_t read = 0;
  std::vector<zmq::message_t> parts;
  while (read < most) {
    parts.clear();
    try {
      bool more = true;
      while (more) {
        zmq::message_t part;
        if (!sockets_->sub.recv(part, zmq::recv_flags::dontwait)) return read;
        more = part.more();
        // A flood of parts is one bad message, not a growing list.
        if (parts.size() < 3) parts.push_back(std::move(part));
      }
    } catch (const zmq::error_t& e) {
      DYN_WARN("DC-IN-002", "intake", "receive-failed", "error={}", e.what());
      return read;
    }
    ++read;
    ++counters_.received;
    if (parts.size() != 2) {
      ++counters_.malformed;
      counters_.last_malformed = "a message must have two parts, topic and body";
      DYN_WARN("DC-IN-001", "intake", "refused", "error={}", counters_.last_malformed);
      continue;
    }
    Result<wire::AgentMessage> message = wire::Decode(parts[0].to_string_view(), parts[1].to_string_view());
    if (!message.ok()) {
      ++counters_.malformed;
      counters_.last_malformed = message.error().ToString();
      DYN_WARN("DC-IN-001", "intake", "refused", "error={}", counters_.last_malformed);
      continue;
    }
    handler(std::move(*message));
  }
  return read;
}

void MetricSubscriber::Wait() {
  // The descriptor is edge-triggered: without a look at the state first, wake-ups are lost.
  if ((sockets_->sub.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0) {
    openflow::WakeNow();
  } else {
    openflow::WaitReadable(sockets_->sub.get(zmq::sockopt::fd));
  }
}

}  // namespace dyncast
