// The whole agent in a thread, and a controller's side that hears it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "agent/io/loop.h"
#include "schema/wire/message.h"
#include "test_server.h"

namespace dyncast::agent {

// The controller's side: binds, decodes, checks the sequence.
class Subscriber {
 public:
  Subscriber() : context_(1), socket_(context_, zmq::socket_type::sub) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::subscribe, "");
    socket_.bind("tcp://127.0.0.1:*");
    endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
  }
  const std::string& endpoint() const { return endpoint_; }

  // The next message for which `wanted` holds; nullopt if none comes for ten seconds.
  template <typename Wanted>
  std::optional<wire::AgentMessage> Until(Wanted wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      auto message = Next();
      if (message && wanted(*message)) return message;
    }
    return std::nullopt;
  }
  template <typename Body>
  std::optional<Body> UntilBody(const std::function<bool(const Body&)>& wanted) {
    const auto message = Until([&](const wire::AgentMessage& m) {
      const Body* body = std::get_if<Body>(&m.body);
      return body != nullptr && wanted(*body);
    });
    if (!message) return std::nullopt;
    return std::get<Body>(message->body);
  }

 private:
  std::optional<wire::AgentMessage> Next() {
    zmq::pollitem_t item{socket_, 0, ZMQ_POLLIN, 0};
    if (zmq::poll(&item, 1, std::chrono::milliseconds(1000)) == 0) return std::nullopt;
    zmq::message_t topic;
    zmq::message_t body;
    EXPECT_TRUE(socket_.recv(topic));
    EXPECT_TRUE(topic.more());
    EXPECT_TRUE(socket_.recv(body));
    EXPECT_FALSE(body.more());
    auto decoded = wire::Decode(topic.to_string_view(), body.to_string_view());
    EXPECT_TRUE(decoded) << decoded.error().ToString();
    if (!decoded) return std::nullopt;
    if (last_ != 0) {
      EXPECT_EQ(decoded->sequence, last_ + 1);
    }
    last_ = decoded->sequence;
    return *decoded;
  }
  zmq::context_t context_;
  zmq::socket_t socket_;
  std::string endpoint_;
  uint64_t last_ = 0;
};

inline config::AgentConfig Config(const Subscriber& subscriber,
                                  std::vector<config::InstanceConfig> instances) {
  config::AgentConfig config;
  config.name = "edge-2";
  config.controllers = {subscriber.endpoint()};
  config.report_interval = std::chrono::milliseconds(100);
  config.heartbeat_interval = std::chrono::milliseconds(50);
  config.minimum_gap = std::chrono::milliseconds(10);
  config.instances = std::move(instances);
  return config;
}

inline config::InstanceConfig OnLoopback(const std::string& name, uint16_t port) {
  config::InstanceConfig config;
  config.name = name;
  config.service = "web";
  config.bid = Loopback();
  config.port = port;
  config.health.interval = std::chrono::milliseconds(50);
  config.health.timeout = std::chrono::milliseconds(40);
  return config;
}

// Runs a loop in a thread; stops it at the end of the scope.
class Running {
 public:
  explicit Running(config::AgentConfig config) : loop_(std::move(config), {}) {
    thread_ = std::thread([this] {
      const Status status = loop_.Run();
      EXPECT_TRUE(status) << status.error().ToString();
    });
  }
  ~Running() { Stop(); }
  void Stop() {
    if (!thread_.joinable()) return;
    loop_.RequestStop();
    thread_.join();
  }
  AgentLoop& loop() { return loop_; }

 private:
  AgentLoop loop_;
  std::thread thread_;
};

inline std::optional<double> Value(const wire::Report& report, std::string_view name) {
  for (const MetricSample& m : report.metrics) {
    if (m.name == name) return m.value;
  }
  return std::nullopt;
}

}  // namespace dyncast::agent
