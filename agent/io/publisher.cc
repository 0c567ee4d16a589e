#include "agent/io/publisher.h"

#include <optional>

namespace dyncast::agent {
namespace {

constexpr int kQueuedMessages = 4096;  // per controller: some rounds of a large agent
constexpr int kReconnectMs = 100;
constexpr int kReconnectMaxMs = 500;
constexpr int kConnectTimeoutMs = 1000;
constexpr int kHeartbeatMs = 500;
constexpr int kHeartbeatTimeoutMs = 1500;

}  // namespace

// XPUB is PUB that shows the subscriptions: the agent sees when a controller came, and need not wait for
// its next interval.
Publisher::Publisher() : context_(1), socket_(context_, zmq::socket_type::xpub) {
  socket_.set(zmq::sockopt::xpub_verbose, true);  // a second controller's equal subscription is told too
  socket_.set(zmq::sockopt::linger, static_cast<int>(kLinger.count()));
  socket_.set(zmq::sockopt::sndhwm, kQueuedMessages);
  // No queue for a controller that is away: its messages would be stale when it comes back.
  socket_.set(zmq::sockopt::immediate, true);
  socket_.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
  socket_.set(zmq::sockopt::reconnect_ivl_max, kReconnectMaxMs);
  socket_.set(zmq::sockopt::connect_timeout, kConnectTimeoutMs);
  socket_.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket_.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket_.set(zmq::sockopt::maxmsgsize, int64_t{1024});  // only subscriptions come in
  socket_.set(zmq::sockopt::ipv6, true);
}

Status Publisher::SetEndpoints(const std::vector<std::string>& endpoints) {
  const std::set<std::string> wanted(endpoints.begin(), endpoints.end());
  std::optional<Error> refused;
  const auto attempt = [&](const std::string& endpoint, auto&& act) {
    try {
      act();
      return true;
    } catch (const zmq::error_t& e) {
      if (!refused)
        refused = MakeError(Errc::kInvalid, std::string("ZeroMQ refuses it: ") + e.what(), endpoint);
      return false;
    }
  };
  for (auto it = endpoints_.begin(); it != endpoints_.end();) {
    if (wanted.count(*it) == 0) {
      attempt(*it, [&] { socket_.disconnect(*it); });
      it = endpoints_.erase(it);
    } else {
      ++it;
    }
  }
  for (const std::string& endpoint : wanted) {
    if (endpoints_.count(endpoint) != 0) continue;
    if (attempt(endpoint, [&] { socket_.connect(endpoint); })) endpoints_.insert(endpoint);
  }
  if (refused) return *refused;
  return Ok();
}

void Publisher::Send(const wire::AgentMessage& message) {
  const std::string topic = wire::Topic(message);
  const std::string bytes = wire::Encode(message);
  try {
    socket_.send(zmq::buffer(topic), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    socket_.send(zmq::buffer(bytes), zmq::send_flags::dontwait);
    bytes_sent_ += topic.size() + bytes.size();
  } catch (const zmq::error_t&) {
    ++send_failures_;
  }
}

int Publisher::fd() { return socket_.get(zmq::sockopt::fd); }

size_t Publisher::TakeSubscribers() {
  size_t subscribers = 0;
  zmq::message_t message;
  try {
    while (socket_.recv(message, zmq::recv_flags::dontwait)) {
      if (message.size() > 0 && *message.data<uint8_t>() == 1) ++subscribers;
    }
  } catch (const zmq::error_t&) {
    return subscribers;  // interrupted: the next turn reads the rest
  }
  return subscribers;
}

}  // namespace dyncast::agent
