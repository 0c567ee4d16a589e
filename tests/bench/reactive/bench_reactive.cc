// The controller alone, with an emulated switch as its load: each demand is decided, bound, forwarded and
// recorded. Beside it, in the same run, the switch sessions with no controller behind them (every demand to
// one instance, nothing recorded): the limit of the OpenFlow side. CPU time is the steadier figure.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "controller/core/core.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/base/log.h"
#include "tests/bench/common/loop_bed.h"
#include "tests/bench/common/rows.h"

namespace dyncast {
namespace {

namespace fs = std::filesystem;

using bench::Die;
using bench::RunJson;

double CpuSeconds(int who) {
  rusage u{};
  getrusage(who, &u);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
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

Figures Controller(const std::string& bin, const fs::path& dir, int window, int seconds) {
  bench::LoopBed bed({.dir = dir, .agents = {}, .services = {}});
  Figures f;
  const double control_before = CpuSeconds(RUSAGE_THREAD);
  const double process_before = CpuSeconds(RUSAGE_SELF);
  const nlohmann::json result =
      bed.Demands(bin, {.window = window, .per_s = 0, .seconds = static_cast<double>(seconds)});
  const double control = CpuSeconds(RUSAGE_THREAD) - control_before;
  bed.Flush();
  const double process = CpuSeconds(RUSAGE_SELF) - process_before;
  // Warm-up included on both sides of the division.
  const core::Core& core = bed.loop().core();
  const double all = static_cast<double>(core.binding_count());
  if (all < 100) Die("no demand was bound");
  f.setups_per_s = result["setups_per_second"].get<double>();
  f.p50_us = result["latency_us"]["p50"].get<double>();
  f.p99_us = result["latency_us"]["p99"].get<double>();
  f.control_us = control * 1e6 / all;
  f.process_us = process * 1e6 / all;
  f.bytes_per_binding = static_cast<double>(core.binding_bytes()) / all;
  f.dropped = bed.store().Counters().dropped;
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
  const nlohmann::json result = RunJson(bench::DemandCommand(
      bin, socket, 1, {.window = window, .per_s = 0, .seconds = static_cast<double>(seconds)}));
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
