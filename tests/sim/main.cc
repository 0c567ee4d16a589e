// dyncast-sim: what policies do to demands, in virtual time, beside an oracle (docs/simulation.md).
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "schema/config/codec.h"
#include "tests/sim/csv_report.h"
#include "tests/sim/html_report.h"
#include "tests/sim/matrix.h"

namespace dyncast::sim {
namespace {

struct Arguments {
  std::vector<std::string> scenarios;
  std::vector<std::string> policies;
  std::vector<std::string> periods;
  std::vector<std::string> endings;
  std::vector<std::string> dispatches;
  std::vector<uint64_t> seeds;
  std::string duration;
  unsigned threads = 1;
  std::string csv;
  std::string html;
  bool quiet = false;
};

[[noreturn]] void Fail(const std::string& message) {
  fmt::print(stderr, "dyncast-sim: {}\n", message);
  std::exit(2);
}

Micros DurationOf(const std::string& text, const char* option, Micros least) {
  const Result<Micros> value = config::ParseDuration(text);
  if (!value.ok() || *value < least || *value > std::chrono::hours{24}) {
    Fail(fmt::format("{} '{}': must be a duration such as 500ms, {} to 24h", option, text,
                     config::FormatDuration(least)));
  }
  return *value;
}

void WriteFile(const std::string& path, const std::string& text) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "we"), &std::fclose);
  if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() ||
      std::fflush(file.get()) != 0) {
    Fail(fmt::format("{}: cannot be written", path));
  }
}

MatrixSpec SpecOf(const Arguments& a) {
  MatrixSpec spec;
  if (a.policies.empty()) {
    spec.policies = AllPolicies();
  }
  for (const std::string& name : a.policies) {
    const auto policy = FindPolicy(name);
    if (!policy) {
      std::string known;
      for (const PolicyChoice& each : AllPolicies()) known += (known.empty() ? "" : ", ") + each.name;
      Fail(fmt::format("--policies '{}': must be one of {}", name, known));
    }
    spec.policies.push_back(*policy);
  }
  for (const std::string& period : a.periods) {
    spec.periods.push_back(DurationOf(period, "--period", std::chrono::milliseconds{10}));
  }
  for (const std::string& ending : a.endings) {
    spec.endings.push_back(ending == "fin" ? Ending::kFin : Ending::kIdle);
  }
  for (const std::string& dispatch : a.dispatches) {
    spec.dispatches.push_back(dispatch == "learn" ? Dispatch::kLearn : Dispatch::kReactive);
  }
  spec.seeds = a.seeds;
  spec.threads = a.threads;
  return spec;
}

int Main(int argc, char** argv) {
  Arguments a;
  CLI::App app("Simulates selection policies over a scenario, in virtual time, beside an oracle.",
               "dyncast-sim");
  app.add_option("SCENARIO", a.scenarios, "scenario files (YAML)")->required();
  app.add_option("--policies", a.policies, "policies; default: all")->delimiter(',');
  app.add_option("--period", a.periods, "report periods; default: the scenario's")->delimiter(',');
  app.add_option("--ending", a.endings, "how bindings end; default: the scenario's")
      ->delimiter(',')
      ->check(CLI::IsMember({"fin", "idle"}));
  app.add_option("--dispatch", a.dispatches, "who selects; default: the scenario's")
      ->delimiter(',')
      ->check(CLI::IsMember({"reactive", "learn"}));
  app.add_option("--seed", a.seeds, "seeds; default: the scenario's")->delimiter(',');
  app.add_option("--duration", a.duration, "in place of the scenario's");
  app.add_option("--threads", a.threads, "runs at the same time")->check(CLI::Range(1u, 256u));
  app.add_option("--csv", a.csv, "write the results there");
  app.add_option("--html", a.html, "write a page with plots there");
  app.add_flag("--quiet", a.quiet, "no table on the standard output");
  app.add_flag_callback(
      "--reference",
      [] {
        fmt::print("{}", ScenarioReferenceMarkdown());
        throw CLI::Success();
      },
      "print all keys of a scenario file and exit");
  app.set_version_flag("--version", DYNCAST_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  MatrixSpec spec = SpecOf(a);
  std::vector<std::unique_ptr<Loaded>> scenarios;
  for (const std::string& path : a.scenarios) {
    Result<Loaded> loaded = Load(path);
    if (!loaded.ok()) Fail(loaded.error().ToString());
    if (!a.duration.empty()) {
      loaded->scenario.duration = DurationOf(a.duration, "--duration", Micros{1});
      if (loaded->scenario.warm_up >= loaded->scenario.duration) {
        Fail(fmt::format("--duration '{}': must be more than the warm_up of {}", a.duration, path));
      }
    }
    scenarios.push_back(std::make_unique<Loaded>(std::move(*loaded)));
    spec.scenarios.push_back(scenarios.back().get());
  }
  const std::vector<Cell> cells = RunMatrix(spec);
  if (!a.quiet) fmt::print("{}", TextReport(cells));
  if (!a.csv.empty()) WriteFile(a.csv, CsvReport(cells));
  if (!a.html.empty()) WriteFile(a.html, HtmlReport(cells));
  return 0;
}

}  // namespace
}  // namespace dyncast::sim

int main(int argc, char** argv) { return dyncast::sim::Main(argc, argv); }
