// What metric messages cost demands: from the packet-in at an emulated switch to its flow and its packet,
// with 1,000 demands a second in open loop, while 200 or 2,000 agents report at stated rates, and while they
// flood. Beside it, in the same run, the same demands with nobody reporting.
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/core.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/base/log.h"
#include "tests/bench/common/loop_bed.h"
#include "tests/bench/common/rows.h"
#include "tests/bench/intake/publishers.h"

namespace dyncast {
namespace {

namespace fs = std::filesystem;

constexpr double kDemandsPerSecond = 1000;
constexpr int kMostWaiting = 4000;
constexpr std::chrono::seconds kJoinLimit{40};

struct Case {
  const char* name;
  uint32_t agents;        // in fabric.yaml
  double messages_per_s;  // < 0: no publisher runs; 0: flood
};
constexpr Case kCases[] = {
    {"200-agents-idle", 200, -1},
    {"200-agents-2000-per-s", 200, 2000},
    {"200-agents-20000-per-s", 200, 20000},
    {"200-agents-flood", 200, 0},
    {"2000-agents-idle", 2000, -1},
    {"2000-agents-2000-per-s", 2000, 2000},
    {"2000-agents-20000-per-s", 2000, 20000},
    {"2000-agents-flood", 2000, 0},
};

struct Figures {
  double p50_us = 0;
  double p99_us = 0;
  double messages_per_s = 0;  // taken in
};

// Turns the loop until all agents' instances are known, and all that they have said meanwhile is taken in.
void Join(bench::LoopBed* bed, bench::Publishers* publishers, const Case& what) {
  const MonoTime limit = ReadClocks().mono + kJoinLimit;
  const size_t all = 4 + bench::InstancesOf(what.agents);
  const auto turn = [bed](std::chrono::milliseconds time) {
    const MonoTime until = ReadClocks().mono + time;
    while (ReadClocks().mono < until) {
      openflow::WakeAt(until);
      bed->loop().RunOnce(-1);
    }
  };
  while (bed->loop().core().View(ReadClocks()).instances.size() < all) {
    turn(std::chrono::milliseconds(100));
    if (ReadClocks().mono > limit) bench::Die(std::string(what.name) + ": not all instances became known");
  }
  publishers->Pause();
  uint64_t before = 0;
  do {
    before = bed->loop().intake().received;
    turn(std::chrono::milliseconds(300));
  } while (bed->loop().intake().received != before);
  publishers->Begin();
}

Figures Measure(const std::string& bin, const fs::path& dir, const Case& what, double seconds) {
  fs::create_directories(dir);
  std::string agents = bench::AgentsYaml(what.agents);
  agents = ", " + agents.substr(1, agents.size() - 2);
  bench::LoopBed bed({.dir = dir, .agents = agents, .services = R"(
  - {name: web, sid: 192.0.2.2, ports: [tcp/8080]}
)"});
  std::unique_ptr<bench::Publishers> publishers;
  if (what.messages_per_s >= 0) {
    publishers = std::make_unique<bench::Publishers>(bench::PublisherOptions{
        .endpoint = bed.metrics_endpoint(), .agents = what.agents, .messages_per_s = what.messages_per_s});
    Join(&bed, publishers.get(), what);
  }
  const uint64_t before = bed.loop().intake().received;
  const MonoTime start = ReadClocks().mono;
  const nlohmann::json report =
      bed.Demands(bin, {.window = kMostWaiting, .per_s = kDemandsPerSecond, .seconds = seconds});
  const double took = static_cast<double>((ReadClocks().mono - start).count()) / 1e6;
  const double setups = report["setups_per_second"].get<double>();
  if (setups < 0.9 * kDemandsPerSecond) {
    bench::Die(std::string(what.name) + ": only " + std::to_string(setups) +
               " demands per second were served");
  }
  publishers.reset();
  fs::remove_all(dir);
  return {.p50_us = report["latency_us"]["p50"].get<double>(),
          .p99_us = report["latency_us"]["p99"].get<double>(),
          .messages_per_s = static_cast<double>(bed.loop().intake().received - before) / took};
}

}  // namespace
}  // namespace dyncast

int main(int argc, char** argv) {
  using namespace dyncast;
  const bench::Options options = bench::ParseOptions(argc, argv);
  openflow::InitLibrary("bench_intake_demands");
  (void)log::SetLevels("off");
  bench::AllowConnections(2000);
  const std::string bin = fs::read_symlink("/proc/self/exe").parent_path();
  const double seconds = options.quick ? 1 : 4;
  const int runs = options.quick ? 3 : 5;
  std::map<std::string, std::vector<Figures>> seen;
  for (int i = 0; i < runs; ++i) {
    for (const Case& what : kCases) {
      const fs::path dir = fs::temp_directory_path() / ("dyncast-bench-" + std::to_string(getpid()));
      seen[what.name].push_back(Measure(bin, dir, what, seconds));
    }
  }
  std::vector<bench::Row> rows;
  for (const Case& what : kCases) {
    const std::vector<Figures>& own = seen[what.name];
    const std::string idle = std::to_string(what.agents) + "-agents-idle";
    const auto row = [&](const char* metric, double Figures::*member) {
      std::vector<double> values;
      std::vector<double> ratios;
      for (size_t i = 0; i < own.size(); ++i) {
        values.push_back(own[i].*member);
        ratios.push_back(own[i].*member / seen[idle][i].*member);
      }
      const bool beside = what.messages_per_s >= 0;
      rows.push_back({"intake", "demands-1000-per-s", what.name, metric, bench::Median(values), "us", runs,
                      beside ? idle : "", beside ? bench::Median(ratios) : 0});
    };
    row("setup_p50", &Figures::p50_us);
    row("setup_p99", &Figures::p99_us);
    std::vector<double> taken;
    for (const Figures& f : own) taken.push_back(f.messages_per_s);
    rows.push_back({"intake", "demands-1000-per-s", what.name, "messages_taken_per_s", bench::Median(taken),
                    "1/s", runs, "", 0});
  }
  return bench::Report(rows, options.json);
}
