// dyncast-agent: reads an edge's computing state and announces its instances to the controllers.
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "agent/io/loop.h"
#include "schema/base/log.h"
#include "schema/config/agent.h"

namespace {

using dyncast::agent::AgentLoop;
namespace config = dyncast::config;

// SIGTERM and SIGINT stop, SIGHUP reloads. Blocked here, before any thread begins, and read in the loop.
int OpenSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return -1;
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void Reload(const std::string& path, AgentLoop* loop) {
  auto loaded = config::LoadAgent(path);
  if (!loaded) {
    DYN_WARN("DC-AG-003", "agent", "reload-refused", "why=\"{}\"", loaded.error().ToString());
    return;
  }
  loop->RequestReload(std::move(*loaded));
}

int Run(const std::string& path, config::AgentConfig loaded) {
  const int signals = OpenSignals();
  if (signals < 0) {
    DYN_ERROR("DC-AG-007", "agent", "can-not-start", "why=signalfd");
    return 1;
  }
  AgentLoop loop(std::move(loaded), {});
  const auto on_signal = [&](uint32_t) {
    signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGHUP) {
        Reload(path, &loop);
      } else {
        loop.RequestStop();
      }
    }
  };
  dyncast::Status status = loop.poller().Add(signals, EPOLLIN, on_signal);
  if (status) status = loop.Run();
  loop.poller().Remove(signals);
  close(signals);
  if (status) return 0;
  DYN_ERROR("DC-AG-007", "agent", "can-not-start", "why=\"{}\"", status.error().ToString());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The metric agent (D-MA): announces the instances of an edge and reports their load");
  std::string path;
  bool check = false;
  app.add_option("--config", path, "The configuration file (YAML)")->required();
  app.add_flag("--check-config", check, "Only say whether the configuration is good; exit code 0 or 1");
  app.set_version_flag("--version", "dyncast-agent " DYNCAST_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  auto loaded = config::LoadAgent(path);
  if (!loaded) {
    std::fprintf(stderr, "%s\n", loaded.error().ToString().c_str());
    return 1;
  }
  if (check) {
    std::printf("%s: fine, %zu instances\n", path.c_str(), loaded->instances.size());
    return 0;
  }
  dyncast::log::Init("dyncast-agent");
  if (const auto levels = dyncast::log::SetLevels(loaded->log_level); !levels) {
    std::fprintf(stderr, "%s: log_level: %s\n", path.c_str(), levels.error().ToString().c_str());
    return 1;
  }
  try {
    return Run(path, std::move(*loaded));
  } catch (const std::exception& e) {  // a library that found no memory or descriptors at the start
    DYN_ERROR("DC-AG-007", "agent", "can-not-go-on", "why=\"{}\"", e.what());
    return 1;
  }
}
