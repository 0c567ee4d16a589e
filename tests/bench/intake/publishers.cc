#include "tests/bench/intake/publishers.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>
#include <zmq.hpp>

#include "schema/base/time.h"
#include "schema/wire/message.h"

namespace dyncast::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kLeastInstances = 50;
constexpr double kJoiningPerAgent = 5;  // announces per second
// What all publishers together may have queued: a subscriber that is slower makes them drop, not grow.
constexpr int kQueuedMessages = 20000;

wire::Report MakeReport(uint32_t instance) {
  wire::Report report;
  report.instance = "i" + std::to_string(instance);
  for (std::string_view name : {metric::kCpuUtilization, metric::kMemoryUtilization, metric::kCpuPressure,
                                metric::kSessions, metric::kRequestRate}) {
    MetricSample s;
    s.name = name;
    s.value = 0.5;
    s.unit = "1";
    report.metrics.push_back(s);
  }
  return report;
}

wire::Announce MakeAnnounce(uint32_t instance) {
  wire::Announce announce;
  announce.instance = "i" + std::to_string(instance);
  announce.service = "web";
  announce.bid = IpAddress::V4(0xac140001u + instance);
  announce.health = wire::Health::kUp;
  return announce;
}

struct Agent {
  zmq::socket_t socket;
  std::string name;
  uint64_t sequence = 0;
  uint64_t announces = 0;
  std::vector<uint32_t> instances;
};

void Send(Agent* agent, bool announce) {
  wire::AgentMessage m;
  m.agent = agent->name;
  m.boot_epoch = 1;
  m.sequence = ++agent->sequence;
  m.sent_at = ReadClocks().wall;
  if (announce) {
    m.body = MakeAnnounce(agent->instances[agent->announces++ % agent->instances.size()]);
  } else {
    m.body = MakeReport(agent->instances[m.sequence % agent->instances.size()]);
  }
  const std::string topic = wire::Topic(m);
  const std::string body = wire::Encode(m);
  agent->socket.send(zmq::buffer(topic), zmq::send_flags::sndmore);
  agent->socket.send(zmq::buffer(body), zmq::send_flags::none);
}

}  // namespace

uint32_t InstancesOf(uint32_t agents) { return std::max(agents, kLeastInstances); }

std::string AgentsYaml(uint32_t agents) {
  std::string yaml = "[";
  for (uint32_t i = 0; i < agents; ++i) {
    yaml += (i == 0 ? "" : ", ") + std::string("{name: a") + std::to_string(i) + ", bids: [172.20.0.0/16]}";
  }
  return yaml + "]";
}

void AllowConnections(uint32_t agents) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  // A socket pair's two ends, the publisher's mailbox, and the rest of the process.
  const rlim_t wanted = 4ul * agents + 1000;
  if (limit.rlim_cur >= wanted) return;
  const rlimit more{.rlim_cur = wanted, .rlim_max = std::max(limit.rlim_max, wanted)};
  if (setrlimit(RLIMIT_NOFILE, &more) == 0) return;
  std::fprintf(stderr, "bench: %u connections need %lu descriptors, at most %lu are allowed\n", agents,
               wanted, limit.rlim_max);
  std::exit(1);
}

void Publishers::Run(const PublisherOptions& options) {
  zmq::context_t context(1);
  context.set(zmq::ctxopt::max_sockets, static_cast<int>(options.agents) + 16);
  std::vector<Agent> agents;
  const uint32_t instances = InstancesOf(options.agents);
  for (uint32_t i = 0; i < options.agents; ++i) {
    Agent agent{.socket = zmq::socket_t(context, zmq::socket_type::pub),
                .name = "a" + std::to_string(i),
                .sequence = 0,
                .announces = 0,
                .instances = {}};
    agent.socket.set(zmq::sockopt::linger, 0);
    agent.socket.set(zmq::sockopt::sndhwm, std::max(10, kQueuedMessages / static_cast<int>(options.agents)));
    agent.socket.connect(options.endpoint);
    for (uint32_t k = i; k < instances; k += options.agents) agent.instances.push_back(k);
    agents.push_back(std::move(agent));
  }
  const double joining_per_s = std::max(1000.0, kJoiningPerAgent * options.agents);
  bool joining = true;
  Clock::time_point since = Clock::now();
  uint64_t sent = 0;
  for (;;) {
    phase_.wait(Phase::kPaused);
    const Phase phase = phase_;
    if (phase == Phase::kStopped) return;
    if (phase == Phase::kPaused) continue;
    if (joining && phase == Phase::kBegun) {
      joining = false;
      since = Clock::now();
      sent = 0;
    }
    const double rate = joining ? joining_per_s : options.messages_per_s;
    uint64_t due = sent + 1;
    if (rate > 0) {
      due = static_cast<uint64_t>(std::chrono::duration<double>(Clock::now() - since).count() * rate);
      if (due <= sent) {
        const auto until = std::chrono::duration<double>(static_cast<double>(sent + 1) / rate);
        std::this_thread::sleep_until(since + std::chrono::duration_cast<Clock::duration>(until));
        continue;
      }
    }
    for (; sent < due && phase_ != Phase::kStopped; ++sent) {
      Agent& agent = agents[sent % agents.size()];
      Send(&agent, joining || agent.sequence % 20 == 0);
    }
  }
}

}  // namespace dyncast::bench
