// dyncast-fake-switch: emulated switches with a closed loop of demands; prints JSON.
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/fake_switch/fake_switch.h"
#include "tests/support/fake_switch/punt_load.h"

namespace {

using dyncast::test::FakeSwitch;
using dyncast::test::LatencyCounts;
using dyncast::test::PuntLoad;
using Clock = std::chrono::steady_clock;

struct Args {
  std::string connect = "tcp:127.0.0.1:6653";
  uint64_t dpid = 1;
  uint32_t window = 64;
  double per_s = 0;
  double seconds = 5;
  double warmup = 0.5;
  uint16_t service = 1;
  std::string sid = "192.0.2.1";
  uint16_t port = 80;
  uint32_t in_port = 1;
  uint32_t switches = 1;
};

constexpr const char* kUsage =
    "usage: dyncast-fake-switch [--connect tcp:IP:PORT|unix:PATH] [--dpid N] [--window W] [--rate R] "
    "[--seconds S]\n"
    "         [--warmup S] [--service-id ID] [--sid IPv4] [--port P] [--in-port N] [--switches N]\n"
    "Emulates N OpenFlow 1.5 switches (datapath ids from --dpid on), each with W demands waiting, "
    "or with R\n"
    "a second that come whatever becomes of the others (at most W wait), and prints\n"
    "demands per second (flow and packet-out seen) and latency. Exit: 0 fine, 1 no controller, 2 usage.\n";

bool Parse(int argc, char** argv, Args* args) {
  for (int i = 1; i < argc; i += 2) {
    const std::string key = argv[i];
    if (i + 1 >= argc) return false;
    const char* value = argv[i + 1];
    const auto number = [&] { return std::strtoull(value, nullptr, 0); };
    if (key == "--connect") {
      args->connect = value;
    } else if (key == "--dpid") {
      args->dpid = number();
    } else if (key == "--window") {
      args->window = static_cast<uint32_t>(number());
    } else if (key == "--rate") {
      args->per_s = std::atof(value);
    } else if (key == "--seconds") {
      args->seconds = std::atof(value);
    } else if (key == "--warmup") {
      args->warmup = std::atof(value);
    } else if (key == "--service-id") {
      args->service = static_cast<uint16_t>(number());
    } else if (key == "--sid") {
      args->sid = value;
    } else if (key == "--port") {
      args->port = static_cast<uint16_t>(number());
    } else if (key == "--in-port") {
      args->in_port = static_cast<uint32_t>(number());
    } else if (key == "--switches") {
      args->switches = static_cast<uint32_t>(number());
    } else {
      return false;
    }
  }
  return args->window > 0 && args->switches > 0 && args->switches <= 200 && args->seconds > 0;
}

struct Node {
  std::unique_ptr<FakeSwitch> fake;
  std::unique_ptr<PuntLoad> load;
};

// One turn over all switches; waits up to `wait` for input. False if a connection is gone.
bool Turn(std::vector<Node>& nodes, bool load, std::chrono::milliseconds wait) {
  std::vector<pollfd> fds;
  for (const Node& n : nodes) {
    fds.push_back({n.fake->fd(), static_cast<short>(n.fake->wants_write() ? POLLIN | POLLOUT : POLLIN), 0});
  }
  auto until = std::chrono::nanoseconds(wait);
  for (const Node& n : nodes) {
    if (const auto next = n.load->UntilNext(); load && next) until = std::min(until, *next);
  }
  const timespec timeout{.tv_sec = until.count() / 1'000'000'000, .tv_nsec = until.count() % 1'000'000'000};
  ppoll(fds.data(), fds.size(), &timeout, nullptr);
  for (Node& n : nodes) {
    if (load) n.load->Fill();
    if (!n.fake->Step()) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Args args;
  const bool parsed = Parse(argc, argv, &args);
  const auto sid = dyncast::IpAddress::Parse(args.sid);
  if (!parsed || !sid || !sid->is_v4()) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::vector<Node> nodes(args.switches);
  for (uint32_t i = 0; i < args.switches; ++i) {
    Node& n = nodes[i];
    n.fake = std::make_unique<FakeSwitch>(dyncast::test::FakeSwitchOptions{
        .target = args.connect, .dpid = args.dpid + i, .store_bindings = false});
    n.load = std::make_unique<PuntLoad>(
        n.fake.get(), dyncast::test::PuntLoadOptions{.window = args.window,
                                                     .per_s = args.per_s,
                                                     .service = args.service,
                                                     .sid = *sid,
                                                     .port = args.port,
                                                     .in_port = args.in_port,
                                                     .client_net = static_cast<uint8_t>(10 + i)});
    const dyncast::Status connected = n.fake->Connect();
    if (!connected) {
      std::fprintf(stderr, "dyncast-fake-switch: %s\n", connected.error().ToString().c_str());
      return 1;
    }
  }
  const auto fail = [] {
    std::fputs("dyncast-fake-switch: the controller closed a connection\n", stderr);
    return 1;
  };
  // A controller that has sent its flows is ready for demands; one that has none to send, after two seconds.
  const auto ready_by = Clock::now() + std::chrono::seconds(2);
  const auto all_ready = [&] {
    for (const Node& n : nodes) {
      if (n.fake->bundles_committed() == 0) return false;
    }
    return true;
  };
  while (!all_ready() && Clock::now() < ready_by) {
    if (!Turn(nodes, false, std::chrono::milliseconds(10))) return fail();
  }
  const auto run = [&](double seconds) {
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    while (Clock::now() < end) {
      if (!Turn(nodes, true, std::chrono::milliseconds(5))) return false;
    }
    return true;
  };
  if (!run(args.warmup)) return fail();
  for (Node& n : nodes) n.load->ResetCounts();
  const auto start = Clock::now();
  if (!run(args.seconds)) return fail();
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  LatencyCounts all;
  uint64_t waiting = 0;
  uint64_t unasked = 0;
  for (const Node& n : nodes) {
    all.Add(n.load->latencies());
    waiting += n.load->outstanding();
    unasked += n.load->unasked();
  }
  std::printf(
      "{\"switches\": %u, \"window\": %u, \"seconds\": %.3f, \"setups\": %llu, \"setups_per_second\": %.0f, "
      "\"latency_us\": {\"p50\": %llu, \"p99\": %llu}, \"waiting_at_end\": %llu, \"unasked\": %llu}\n",
      args.switches, args.window, took, static_cast<unsigned long long>(all.total()),
      static_cast<double>(all.total()) / took, static_cast<unsigned long long>(all.Quantile(0.5)),
      static_cast<unsigned long long>(all.Quantile(0.99)), static_cast<unsigned long long>(waiting),
      static_cast<unsigned long long>(unasked));
  return 0;
}
