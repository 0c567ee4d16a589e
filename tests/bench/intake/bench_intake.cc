// Metric messages per second: taken in, decoded and stepped through the core, beside a bare ZeroMQ
// subscriber that only receives the same messages. Publishers flood; both sides run in turn in one run.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "controller/core/core.h"
#include "controller/io/metric_subscriber.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/base/time.h"
#include "schema/config/fabric.h"
#include "schema/wire/message.h"
#include "tests/bench/common/rows.h"

namespace dyncast {
namespace {

constexpr int kInstances = 50;

std::shared_ptr<const config::FabricConfig> MakeConfig() {
  auto parsed = config::ParseFabric(R"(
services: [{name: web, sid: 10.96.0.1, ports: [tcp/8080]}]
agents: [{name: edge, bids: [10.2.0.0/16]}]
)",
                                    "bench");
  if (!parsed.ok()) {
    std::fprintf(stderr, "%s\n", parsed.error().ToString().c_str());
    std::exit(1);
  }
  return std::make_shared<const config::FabricConfig>(std::move(*parsed));
}

wire::AgentMessage MakeReport(uint64_t sequence) {
  wire::AgentMessage m;
  m.agent = "edge";
  m.boot_epoch = 1;
  m.sequence = sequence;
  m.sent_at = ReadClocks().wall;
  wire::Report report;
  report.instance = "i" + std::to_string(sequence % kInstances);
  for (std::string_view name : {metric::kCpuUtilization, metric::kMemoryUtilization, metric::kCpuPressure,
                                metric::kSessions, metric::kRequestRate}) {
    MetricSample s;
    s.name = name;
    s.value = 0.5;
    s.unit = "1";
    report.metrics.push_back(s);
  }
  m.body = report;
  return m;
}

wire::Announce MakeAnnounce(uint32_t i) {
  wire::Announce announce;
  announce.instance = "i" + std::to_string(i);
  announce.service = "web";
  announce.bid = IpAddress::V4(0x0a020001u + i);
  announce.health = wire::Health::kUp;
  return announce;
}

// Floods until told to stop.
class Flood {
 public:
  explicit Flood(const std::string& endpoint) : thread_([this, endpoint] { Run(endpoint); }) {}
  ~Flood() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Run(const std::string& endpoint) {
    zmq::context_t context;
    zmq::socket_t pub(context, zmq::socket_type::pub);
    pub.set(zmq::sockopt::linger, 0);
    pub.connect(endpoint);
    uint64_t sequence = 1;
    // A subscriber misses what is sent before it has joined, so announces come again and again.
    while (!stop_) {
      wire::AgentMessage m = MakeReport(sequence++);
      if (sequence % 20 == 0) m.body = MakeAnnounce(static_cast<uint32_t>(sequence / 20 % kInstances));
      Send(&pub, m);
    }
  }
  static void Send(zmq::socket_t* pub, const wire::AgentMessage& m) {
    const std::string topic = wire::Topic(m);
    const std::string body = wire::Encode(m);
    pub->send(zmq::buffer(topic), zmq::send_flags::sndmore);
    pub->send(zmq::buffer(body), zmq::send_flags::none);
  }
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

double Bare(const std::string& endpoint, std::chrono::milliseconds time) {
  zmq::context_t context;
  zmq::socket_t sub(context, zmq::socket_type::sub);
  sub.set(zmq::sockopt::rcvhwm, 100000);
  sub.set(zmq::sockopt::linger, 0);
  sub.set(zmq::sockopt::subscribe, "");
  sub.bind(endpoint);
  const Flood flood(endpoint);
  uint64_t received = 0;
  MonoTime start{};
  MonoTime now{};
  do {
    zmq::pollitem_t item{sub.handle(), 0, ZMQ_POLLIN, 0};
    zmq::poll(&item, 1, std::chrono::milliseconds(100));
    zmq::message_t part;
    for (int i = 0; i < 200 && sub.recv(part, zmq::recv_flags::dontwait); ++i) {
      (void)sub.recv(part, zmq::recv_flags::none);
      ++received;
    }
    now = ReadClocks().mono;
    if (start == MonoTime{} && received != 0) {
      start = now;
      received = 0;
    }
  } while (start == MonoTime{} || now - start < time);
  return static_cast<double>(received) * 1e6 / static_cast<double>((now - start).count());
}

double Ours(const std::string& endpoint, std::chrono::milliseconds time) {
  Now now = ReadClocks();
  core::Core core(MakeConfig(), {}, now, 1, 1);
  core::Effects effects;
  auto subscriber = MetricSubscriber::Bind(endpoint);
  if (!subscriber.ok()) {
    std::fprintf(stderr, "%s\n", subscriber.error().ToString().c_str());
    std::exit(1);
  }
  const Flood flood(endpoint);
  uint64_t received = 0;
  MonoTime start{};
  do {
    received += (*subscriber)->Run(200, [&](wire::AgentMessage message) {
      effects.clear();
      core.Step(core::AgentSaid{std::move(message)}, now, &effects);
    });
    now = ReadClocks();
    if (start == MonoTime{} && received != 0) {
      start = now.mono;
      received = 0;
    }
    (*subscriber)->Wait();
    openflow::WakeAt(now.mono + std::chrono::milliseconds(100));
    openflow::Block();
  } while (start == MonoTime{} || now.mono - start < time);
  const core::FabricView view = core.View(now);
  if (view.agents.empty() || view.instances.size() != kInstances) {
    std::fprintf(stderr, "bench_intake: the core did not take the messages: %s\n",
                 view.agents.empty() ? "no agent" : view.agents[0].last_refusal.c_str());
    std::exit(1);
  }
  return static_cast<double>(received) * 1e6 / static_cast<double>((now.mono - start).count());
}

}  // namespace
}  // namespace dyncast

int main(int argc, char** argv) {
  using namespace dyncast;
  const bench::Options options = bench::ParseOptions(argc, argv);
  openflow::InitLibrary("bench_intake");
  const std::chrono::milliseconds time(options.quick ? 1000 : 3000);
  const int runs = options.quick ? 3 : 5;
  std::vector<double> bare;
  std::vector<double> ours;
  std::vector<double> ratio;
  for (int i = 0; i < runs; ++i) {
    bare.push_back(Bare("tcp://127.0.0.1:15571", time));
    ours.push_back(Ours("tcp://127.0.0.1:15572", time));
    ratio.push_back(ours.back() / bare.back());
  }
  return bench::Report(
      {{"intake", "flood", "zeromq", "messages_per_s", bench::Median(bare), "1/s", runs, "", 0},
       {"intake", "flood", "controller", "messages_per_s", bench::Median(ours), "1/s", runs, "zeromq",
        bench::Median(ratio)}},
      options.json);
}
