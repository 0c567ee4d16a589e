// dyncast-sessions: sessions of several requests that come at random, whatever becomes of those before them,
// and how long each request took.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/web/session_client.h"

namespace {

int Run(const dyncast::web::SessionOptions& options, const std::string& samples) {
  std::ofstream file;
  if (!samples.empty()) {
    file.open(samples);
    file << "meant_us,latency_us,number,instance,failure\n";
  }
  std::map<std::string, uint64_t, std::less<>> failures;
  std::map<std::string, uint64_t, std::less<>> instances;
  uint64_t requests = 0;
  uint64_t failed = 0;
  const auto wall = std::chrono::system_clock::now();
  dyncast::web::SessionClient client(options);
  client.Run([&](const dyncast::web::SessionSample& s) {
    if (s.failure.empty()) {
      ++requests;
      ++instances[s.instance];
    } else {
      ++failed;
      ++failures[std::string(s.failure)];
    }
    if (file.is_open()) {
      file << s.meant.count() << ',' << s.latency.count() << ',' << s.number << ',' << s.instance << ','
           << s.failure << '\n';
    }
  });
  const nlohmann::json json = {
      {"event", "report"},
      {"began", std::chrono::duration<double>(wall.time_since_epoch()).count()},
      {"sessions", client.sessions()},
      {"requests", requests},
      {"failed", failed},
      {"failures", failures},
      {"instances", instances},
      {"moved", client.moved()},
  };
  std::printf("%s\n", json.dump().c_str());
  file.close();
  return file.fail() && !samples.empty() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  dyncast::web::SessionOptions options;
  std::string samples;
  double think_ms = 0;
  double work_ms = 1;
  int64_t timeout_ms = 3000;
  CLI::App app{
      "Sessions of several requests over one connection each, in open loop; a JSON report at the end."};
  app.add_option("--target", options.target, "ADDRESS:PORT")->required();
  app.add_option("--bind-source", options.sources, "the clients' addresses, several with commas")
      ->delimiter(',');
  app.add_option("--rate", options.shape.sessions_per_s, "sessions per second, Poisson")
      ->required()
      ->check(CLI::Range(0.001, 1e5));
  app.add_option("--requests", options.shape.requests_mean, "mean number per session, geometric")
      ->check(CLI::Range(1.0, 1e5));
  app.add_option("--think-ms", think_ms, "mean time from an answer to the next request, exponential")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--work-ms", work_ms, "mean service time that a request asks for, lognormal")
      ->check(CLI::Range(0.001, 1e5));
  app.add_option("--work-sigma", options.shape.work_sigma, "of the service time's logarithm; 0: all alike")
      ->check(CLI::Range(0.0, 5.0));
  app.add_option("--seconds", options.seconds, "so long sessions come")
      ->required()
      ->check(CLI::Range(0.01, 1e5));
  app.add_option("--seed", options.shape.seed, "of all that is drawn");
  app.add_option("--timeout-ms", timeout_ms, "of one request, its connection's set-up included")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--samples", samples, "write a CSV file with what became of each request");
  app.set_version_flag("--version", DYNCAST_VERSION);
  CLI11_PARSE(app, argc, argv);
  options.shape.think_mean = std::chrono::microseconds(static_cast<int64_t>(think_ms * 1000));
  options.shape.work_mean = std::chrono::microseconds(static_cast<int64_t>(work_ms * 1000));
  options.timeout = std::chrono::milliseconds(timeout_ms);
  const rlimit files{.rlim_cur = 65536, .rlim_max = 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return Run(options, samples);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dyncast-sessions: %s\n", error.what());
    return 2;
  }
}
