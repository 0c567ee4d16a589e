// dyncast-load: asks HTTP servers behind one or more addresses, and reports who answered whom.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "tests/support/web/load_client.h"

int main(int argc, char** argv) {
  dyncast::web::LoadOptions options;
  int64_t timeout_ms = 2000;
  int64_t retry_ms = 20;
  int64_t progress_ms = 0;
  CLI::App app{"Asks over many connections, and reports as JSON which instance answered whom."};
  app.add_option("--target", options.targets, "ADDRESS:PORT, several with commas")
      ->required()
      ->delimiter(',');
  app.add_option("--bind-source", options.sources, "the client's addresses, several with commas")
      ->delimiter(',');
  app.add_option("--per-source", options.per_source, "connections in a row from one source, for each target")
      ->check(CLI::Range(1, 60000));
  app.add_option("--connections", options.connections, "open at the same time")->check(CLI::Range(1, 60000));
  app.add_option("--requests", options.requests, "stop after so many in all");
  app.add_option("--seconds", options.seconds, "stop after so long");
  app.add_option("--until-file", options.until_file, "stop when this file exists");
  app.add_option("--rate", options.requests_per_s, "requests per second over all connections");
  app.add_option("--path", options.path, "what to ask for");
  app.add_option("--timeout-ms", timeout_ms, "of one request, its connection's set-up included");
  app.add_option("--retry-ms", retry_ms, "wait after a failure before the next try");
  app.add_option("--progress-ms", progress_ms, "write a progress line each such period");
  app.add_flag("--new-connection-per-request", options.new_connection_per_request, "instead of keep-alive");
  app.set_version_flag("--version", DYNCAST_VERSION);
  CLI11_PARSE(app, argc, argv);
  if (options.requests == 0 && options.seconds <= 0 && options.until_file.empty()) {
    std::fprintf(stderr, "dyncast-load: give --requests, --seconds or --until-file\n");
    return 2;
  }
  if (options.sources.empty()) {
    options.sources.emplace_back();
  }
  options.timeout = std::chrono::milliseconds(timeout_ms);
  options.retry = std::chrono::milliseconds(retry_ms);
  options.progress = std::chrono::milliseconds(progress_ms);
  const rlimit files{.rlim_cur = 65536, .rlim_max = 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return dyncast::web::LoadClient(options).Run() ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dyncast-load: %s\n", error.what());
    return 2;
  }
}
