// Sources of metrics for the whole agent: a plug-in, a connection to post over; and how even its heartbeats
// are.
#pragma once

#include <algorithm>
#include <string>

#include "loop_fixture.h"

namespace dyncast::agent {

inline config::ScrapedMetric Metric(const std::string& name, const std::string& from) {
  config::ScrapedMetric metric;
  metric.name = name;
  metric.from = from;
  return metric;
}

inline config::InstanceConfig WithPlugin(
    const std::string& name, uint16_t port, const std::string& script,
    std::chrono::milliseconds interval = std::chrono::milliseconds(200)) {
  config::InstanceConfig instance = OnLoopback(name, port);
  instance.plugins = {{.command = {"/bin/sh", "-c", script},
                       .interval = interval,
                       .timeout = interval / 2,
                       .metrics = {Metric("queue", "queue_length")}}};
  return instance;
}

// The worst distance between heartbeats, by the agent's own clock, over the next `count`.
inline Micros WorstHeartbeat(Subscriber* subscriber, int count) {
  WallTime last{};
  Micros worst{0};
  for (int i = 0; i <= count;) {
    const auto message = subscriber->Until([](const wire::AgentMessage&) { return true; });
    if (!message) return Micros::max();
    if (!std::holds_alternative<wire::Heartbeat>(message->body)) continue;
    if (i++ > 0) worst = std::max<Micros>(worst, message->sent_at - last);
    last = message->sent_at;
  }
  return worst;
}

// A connection that an application keeps to post over.
class Poster {
 public:
  explicit Poster(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
           std::chrono::steady_clock::now() < end) {
    }
    const timeval wait{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  }
  ~Poster() { close(fd_); }
  // The answer's status; 0 if there was none.
  int Post(const std::string& instance, const std::string& text) {
    TestServer::Say(fd_, "POST /v1/load/" + instance +
                             " HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: " +
                             std::to_string(text.size()) + "\r\n\r\n" + text);
    std::string said;
    char buffer[1024];
    while (said.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
      if (got <= 0) return 0;
      said.append(buffer, static_cast<size_t>(got));
    }
    return std::stoi(said.substr(said.find(' ')));
  }

 private:
  int fd_;
};

inline uint16_t FreePort() {
  const Listener listener;
  return listener.port();
}

}  // namespace dyncast::agent
