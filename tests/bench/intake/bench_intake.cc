// Metric messages per second: taken in, decoded and stepped through the core, beside a bare ZeroMQ subscriber
// that only receives the same messages, over 1, 10, 200 and 2,000 connections. Publishers flood; both sides
// run in turn.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "controller/core/core.h"
#include "controller/io/metric_subscriber.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/base/time.h"
#include "schema/config/fabric.h"
#include "schema/wire/message.h"
#include "tests/bench/common/rows.h"
#include "tests/bench/intake/publishers.h"

namespace dyncast {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kJoinLimit{20};

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "bench_intake: %s\n", why.c_str());
  std::exit(1);
}

std::shared_ptr<const config::FabricConfig> MakeConfig(uint32_t agents) {
  auto parsed = config::ParseFabric("services: [{name: web, sid: 10.96.0.1, ports: [tcp/8080]}]\nagents: " +
                                        bench::AgentsYaml(agents) + "\n",
                                    "bench");
  if (!parsed.ok()) Die(parsed.error().ToString());
  return std::make_shared<const config::FabricConfig>(std::move(*parsed));
}

double PerSecond(uint64_t messages, MonoTime start, MonoTime end) {
  return static_cast<double>(messages) * 1e6 / static_cast<double>((end - start).count());
}

double Bare(const std::string& endpoint, uint32_t agents, milliseconds time) {
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, static_cast<int>(agents) + 16);
  zmq::socket_t sub(context, zmq::socket_type::sub);
  sub.set(zmq::sockopt::rcvhwm, 1000);
  sub.set(zmq::sockopt::backlog, 4096);
  sub.set(zmq::sockopt::linger, 0);
  sub.set(zmq::sockopt::subscribe, "");
  sub.bind(endpoint);
  bench::Publishers publishers({.endpoint = endpoint, .agents = agents});
  const MonoTime limit = ReadClocks().mono + kJoinLimit;
  std::set<std::string> joined;  // publishers that were heard; the measurement begins when all were
  uint64_t received = 0;
  MonoTime start{};
  MonoTime now{};
  do {
    zmq::pollitem_t item{sub.handle(), 0, ZMQ_POLLIN, 0};
    zmq::poll(&item, 1, milliseconds(100));
    zmq::message_t part;
    for (int i = 0; i < 200 && sub.recv(part, zmq::recv_flags::dontwait); ++i) {
      if (start == MonoTime{}) {
        const std::string topic = part.to_string();
        joined.insert(topic.substr(topic.find('/')));
      }
      (void)sub.recv(part, zmq::recv_flags::none);
      ++received;
    }
    now = ReadClocks().mono;
    if (start == MonoTime{} && joined.size() == agents) {
      publishers.Begin();
      start = now;
      received = 0;
    }
    if (start == MonoTime{} && now > limit) Die(std::to_string(joined.size()) + " publishers joined");
  } while (start == MonoTime{} || now - start < time);
  return PerSecond(received, start, now);
}

// `known_s`: adds how long it took from the publishers' start until all instances were known.
double Ours(const std::string& endpoint, uint32_t agents, milliseconds time, std::vector<double>* known_s) {
  Now now = ReadClocks();
  core::Core core(MakeConfig(agents), {}, now, 1, 1);
  core::Effects effects;
  auto subscriber = MetricSubscriber::Bind(endpoint);
  if (!subscriber.ok()) Die(subscriber.error().ToString());
  bench::Publishers publishers({.endpoint = endpoint, .agents = agents});
  const MonoTime began = ReadClocks().mono;
  const MonoTime limit = began + kJoinLimit;
  // Reports that came before their instance's announce were refused, rightly.
  const auto refused = [&] {
    uint64_t sum = 0;
    for (const core::AgentView& agent : core.View(now).agents) sum += agent.refused + agent.replayed;
    return sum;
  };
  uint64_t refused_before = 0;
  const auto joined = [&] {
    const core::FabricView view = core.View(now);
    return view.instances.size() == bench::InstancesOf(agents);
  };
  uint64_t received = 0;
  MonoTime start{};
  MonoTime look = now.mono;
  do {
    received += (*subscriber)->Run(200, [&](wire::AgentMessage message) {
      effects.clear();
      core.Step(core::AgentSaid{std::move(message)}, now, &effects);
    });
    now = ReadClocks();
    if (start == MonoTime{} && now.mono >= look) {
      look = now.mono + milliseconds(10);
      if (joined()) {
        publishers.Begin();
        known_s->push_back(static_cast<double>((now.mono - began).count()) / 1e6);
        refused_before = refused();
        start = now.mono;
        received = 0;
      } else if (now.mono > limit) {
        Die("not all instances became known");
      }
    }
    if (now.mono >= core.NextDeadline()) {
      effects.clear();
      core.Step(core::Tick{}, now, &effects);
    }
    (*subscriber)->Wait();
    openflow::WakeAt(now.mono + milliseconds(100));
    openflow::Block();
  } while (start == MonoTime{} || now.mono - start < time);
  if ((*subscriber)->counters().malformed != 0) Die("the subscriber refused messages");
  if (refused() != refused_before) Die("the core refused messages");
  return PerSecond(received, start, now.mono);
}

}  // namespace
}  // namespace dyncast

int main(int argc, char** argv) {
  using namespace dyncast;
  const bench::Options options = bench::ParseOptions(argc, argv);
  openflow::InitLibrary("bench_intake");
  const milliseconds time(options.quick ? 1000 : 3000);
  const int runs = options.quick ? 3 : 5;
  std::vector<bench::Row> rows;
  for (const uint32_t agents : {1u, 10u, 200u, 2000u}) {
    bench::AllowConnections(agents);
    std::vector<double> bare;
    std::vector<double> ours;
    std::vector<double> ratio;
    std::vector<double> known_s;
    for (int i = 0; i < runs; ++i) {
      bare.push_back(Bare("tcp://127.0.0.1:15571", agents, time));
      ours.push_back(Ours("tcp://127.0.0.1:15572", agents, time, &known_s));
      ratio.push_back(ours.back() / bare.back());
    }
    const std::string name = "agents-" + std::to_string(agents);
    rows.push_back({"intake", name, "zeromq", "messages_per_s", bench::Median(bare), "1/s", runs, "", 0});
    rows.push_back({"intake", name, "controller", "messages_per_s", bench::Median(ours), "1/s", runs,
                    "zeromq", bench::Median(ratio)});
    rows.push_back({"intake", name, "controller", "all_known", bench::Median(known_s), "s", runs, "", 0});
  }
  return bench::Report(rows, options.json);
}
