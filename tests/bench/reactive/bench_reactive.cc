// The controller alone, with an emulated switch as its load: each demand is decided, bound, forwarded and
// recorded. Beside it, in the same run, the switch sessions with no controller behind them (every demand to
// one instance, nothing recorded): the limit of the OpenFlow side. CPU time is the steadier figure.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "controller/core/core.h"
#include "controller/io/binding_store.h"
#include "controller/io/control_loop.h"
#include "controller/io/metric_subscriber.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/base/log.h"
#include "schema/config/fabric.h"
#include "tests/bench/common/rows.h"

namespace dyncast {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "bench_reactive: %s\n", why.c_str());
  std::exit(1);
}

double CpuSeconds(int who) {
  rusage u{};
  getrusage(who, &u);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

nlohmann::json RunJson(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) Die("cannot run " + command);
  std::string text;
  std::array<char, 4096> buffer{};
  size_t n = 0;
  while ((n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0) text.append(buffer.data(), n);
  if (pclose(pipe) != 0) Die("failed: " + command);
  auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded()) Die("no JSON from " + command);
  return parsed;
}

struct Figures {
  double setups_per_s = 0;
  double control_us = 0;  // CPU of the control thread per set-up
  double process_us = 0;  // CPU of all threads (writer, SQLite) per set-up
  double p50_us = 0;
  double p99_us = 0;
  double bytes_per_binding = 0;
  uint64_t dropped = 0;
};

std::string LoadCommand(const std::string& bin, const std::string& socket, uint64_t dpid, int window,
                        int seconds) {
  return bin + "/dyncast-fake-switch --connect unix:" + socket + " --dpid " + std::to_string(dpid) +
         " --window " + std::to_string(window) + " --seconds " + std::to_string(seconds) +
         " --service-id 1 --sid 10.96.0.1 --port 8080 --in-port 1";
}

Figures Controller(const std::string& bin, const fs::path& dir, int window, int seconds) {
  const std::string socket = dir / "of.sock";
  const std::string yaml = "controller: {openflow_listen: 'punix:" + socket + "', metrics_bind: 'ipc://" +
                           (dir / "m.sock").string() + "', database: '" + (dir / "d.db").string() +
                           "', log_level: 'off'}\n" + R"(
switches:
  - name: dr1
    ovsdb: unix:)" + (dir / "none.sock").string() +
                           R"(
    bridge: br0
    ports:
      - {name: c1, role: access, addresses: [10.0.0.1/8]}
      - {name: up, role: uplink, addresses: [172.16.1.2/24]}
    routes: [{to: 0.0.0.0/0, via: 172.16.1.1}]
agents: [{name: edge, bids: [198.18.0.0/16]}]
services:
  - name: web
    sid: 10.96.0.1
    ports: [tcp/8080, udp/8080]
    affinity: {key: 5-tuple, idle_timeout: 600s, limit: 4000000}
    selection: {policy: least-bindings}
)";
  auto parsed = config::ParseFabric(yaml, "bench");
  if (!parsed.ok()) Die(parsed.error().ToString());
  const auto config = std::make_shared<const config::FabricConfig>(std::move(*parsed));
  StoreOptions options;
  options.path = config->controller.database;
  auto store = BindingStore::Open(options);
  if (!store.ok()) Die(store.error().ToString());
  auto persisted = (*store)->Load();
  auto subscriber = MetricSubscriber::Bind(config->controller.metrics_bind);
  if (!persisted.ok() || !subscriber.ok()) Die("cannot start");
  const Now now = ReadClocks();
  ControlLoop::Parts parts;
  parts.config = config;
  parts.core =
      std::make_unique<core::Core>(config, *persisted, now, 1, static_cast<uint64_t>(UnixMicros(now.wall)));
  parts.subscriber = std::move(*subscriber);
  parts.store = store->get();
  ControlLoop loop(std::move(parts));
  if (Status s = loop.Start(); !s.ok()) Die(s.error().ToString());
  loop.OnPorts("dr1", {{"c1", PortNo{1}}, {"up", PortNo{2}}});
  uint64_t sequence = 1;
  const auto announce = [&] {
    for (uint32_t i = 0; i < 4; ++i) {
      wire::AgentMessage m;
      m.agent = "edge";
      m.boot_epoch = 1;
      m.sequence = sequence++;
      m.sent_at = ReadClocks().wall;
      wire::Announce a;
      a.instance = "i" + std::to_string(i);
      a.service = "web";
      a.bid = IpAddress::V4(0xc6120001u + i);
      a.health = wire::Health::kUp;
      m.body = a;
      loop.StepNow(core::AgentSaid{m});
    }
  };
  announce();
  Figures f;
  std::atomic<bool> done{false};
  nlohmann::json result;
  const uint64_t dpid = config::DatapathIdFor(config->controller.fabric, "dr1");
  std::thread load([&] {
    result = RunJson(LoadCommand(bin, socket, dpid, window, seconds));
    done = true;
  });
  const double control_before = CpuSeconds(RUSAGE_THREAD);
  const double process_before = CpuSeconds(RUSAGE_SELF);
  MonoTime next = ReadClocks().mono;
  while (!done) {
    loop.RunOnce(-1);
    if (ReadClocks().mono >= next) {
      announce();
      next += std::chrono::milliseconds(500);
    }
  }
  const double control = CpuSeconds(RUSAGE_THREAD) - control_before;
  load.join();
  if (!(*store)->Flush(std::chrono::seconds(60)).ok()) Die("the database did not take the records");
  const double process = CpuSeconds(RUSAGE_SELF) - process_before;
  // Warm-up included on both sides of the division.
  const double all = static_cast<double>(loop.core().binding_count());
  if (all < 100) Die("no demand was bound");
  f.setups_per_s = result["setups_per_second"].get<double>();
  f.p50_us = result["latency_us"]["p50"].get<double>();
  f.p99_us = result["latency_us"]["p99"].get<double>();
  f.control_us = control * 1e6 / all;
  f.process_us = process * 1e6 / all;
  f.bytes_per_binding = static_cast<double>(loop.core().binding_bytes()) / all;
  f.dropped = (*store)->Counters().dropped;
  return f;
}

Figures Sessions(const std::string& bin, const fs::path& dir, int window, int seconds) {
  const std::string socket = dir / "echo.sock";
  // Lives a little longer than the load; its CPU time is that of a finished child.
  const std::string echo =
      bin + "/dyncast-echo-controller punix:" + socket + " " + std::to_string(seconds + 3);
  FILE* pipe = popen((echo + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) Die("cannot run " + echo);
  while (!fs::exists(socket)) std::this_thread::yield();
  const nlohmann::json result = RunJson(LoadCommand(bin, socket, 1, window, seconds));
  std::string text;
  std::array<char, 4096> buffer{};
  size_t n = 0;
  while ((n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0) text.append(buffer.data(), n);
  pclose(pipe);
  Figures f;
  f.setups_per_s = result["setups_per_second"].get<double>();
  f.p50_us = result["latency_us"]["p50"].get<double>();
  f.p99_us = result["latency_us"]["p99"].get<double>();
  // Its last line; the sessions' log stands before it.
  const size_t last = text.rfind("\n{");
  const auto said =
      nlohmann::json::parse(last == std::string::npos ? text : text.substr(last), nullptr, false);
  if (!said.is_discarded() && said.contains("cpu_us_per_demand"))
    f.control_us = said["cpu_us_per_demand"].get<double>();
  return f;
}

}  // namespace
}  // namespace dyncast

int main(int argc, char** argv) {
  using namespace dyncast;
  const bench::Options options = bench::ParseOptions(argc, argv);
  openflow::InitLibrary("bench_reactive");
  (void)log::SetLevels("off");
  const std::string bin = fs::read_symlink("/proc/self/exe").parent_path();
  const int seconds = options.quick ? 2 : 5;
  const int runs = options.quick ? 3 : 5;
  std::array<std::vector<double>, 12> v;
  for (int i = 0; i < runs; ++i) {
    const fs::path dir =
        fs::temp_directory_path() / ("dyncast-bench-" + std::to_string(getpid()) + "-" + std::to_string(i));
    fs::create_directories(dir);
    const Figures limit = Sessions(bin, dir, 2000, seconds);
    const Figures ours = Controller(bin, dir, 2000, seconds);
    fs::remove_all(dir);
    fs::create_directories(dir);
    const Figures one = Controller(bin, dir, 1, 1);
    fs::remove_all(dir);
    const double values[] = {limit.setups_per_s,
                             ours.setups_per_s,
                             ours.setups_per_s / limit.setups_per_s,
                             limit.control_us,
                             ours.control_us,
                             ours.process_us,
                             1e6 / ours.control_us,
                             1e6 / ours.process_us,
                             ours.bytes_per_binding,
                             one.p50_us,
                             one.p99_us,
                             static_cast<double>(ours.dropped)};
    for (size_t k = 0; k < v.size(); ++k) v[k].push_back(values[k]);
  }
  const auto m = [&](size_t k) { return bench::Median(v[k]); };
  return bench::Report(
      {{"reactive", "emulated-switch", "sessions", "setups_per_s", m(0), "1/s", runs, "", 0},
       {"reactive", "emulated-switch", "controller", "setups_per_s", m(1), "1/s", runs, "sessions", m(2)},
       {"reactive", "emulated-switch", "sessions", "control_cpu_us_per_setup", m(3), "us", runs, "", 0},
       {"reactive", "emulated-switch", "controller", "control_cpu_us_per_setup", m(4), "us", runs, "", 0},
       {"reactive", "emulated-switch", "controller", "process_cpu_us_per_setup", m(5), "us", runs, "", 0},
       {"reactive", "emulated-switch", "controller", "setups_per_core_control", m(6), "1/s", runs, "", 0},
       {"reactive", "emulated-switch", "controller", "setups_per_core_process", m(7), "1/s", runs, "", 0},
       {"reactive", "emulated-switch", "controller", "records_dropped", m(11), "1", runs, "", 0},
       {"reactive", "memory", "controller", "bytes_per_binding", m(8), "bytes", runs, "", 0},
       {"reactive", "emulated-switch-window-1", "controller", "setup_p50", m(9), "us", runs, "", 0},
       {"reactive", "emulated-switch-window-1", "controller", "setup_p99", m(10), "us", runs, "", 0}},
      options.json);
}
