// dyncast-controller: who feeds whom.
//
//   agents ─ZeroMQ─► MetricSubscriber ─┐
//   switches ─OpenFlow─► SwitchServer ─┼─► ControlLoop ─► core::Core ─► effects ─► SwitchServer ─► switches
//   OVSDB ◄──────────► OvsdbManager ───┤                                     └──► BindingStore ─► SQLite
//   dyncastctl ─HTTP─► ApiServer ──────┘ (short tasks on the control thread; reads SQLite itself)
//   Prometheus ─HTTP─────┘
#include <fcntl.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>

#include "controller/core/core.h"
#include "controller/io/api_server.h"
#include "controller/io/binding_store.h"
#include "controller/io/control_loop.h"
#include "controller/io/metric_subscriber.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/base/log.h"
#include "schema/config/fabric.h"

namespace dyncast {
namespace {

// Exit codes: 0 stopped cleanly (or the configuration is good), 1 could not start, 2 bad usage or
// configuration.
constexpr int kCannotStart = 1;
constexpr int kBadConfig = 2;

// SIGTERM, SIGINT and SIGHUP as readable events. Blocked before any thread starts, so that all inherit it.
int MakeSignalFd() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

// Two controllers on one database would undo each other's work.
Result<int> LockDatabase(const std::string& database) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(database).parent_path(), ignored);
  const std::string path = database + ".lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return MakeError(Errc::kIo, "cannot make the lock file", path);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    close(fd);
    return MakeError(Errc::kConflict, "another controller uses this database", path);
  }
  return fd;
}

// What is accepted but may not do what was meant.
void LogWarnings(const config::FabricConfig& config) {
  for (const std::string& warning : config::FabricWarnings(config)) {
    DYN_WARN("DC-CF-002", "control", "config-warning", "{}", warning);
  }
}

void Reload(const std::string& path, ControlLoop* loop) {
  Result<config::FabricConfig> next = config::LoadFabric(path);
  Status taken = next.ok() ? loop->Reload(std::make_shared<const config::FabricConfig>(std::move(*next)))
                           : Status(next.error());
  if (taken.ok()) {
    DYN_LOG(kInfo, "control", "reloaded", "file={}", path);
    LogWarnings(loop->config());
    loop->Note("config-reloaded", path, "");
  } else {
    DYN_WARN("DC-CF-001", "control", "reload-refused", "the old configuration stays in force: {}",
             taken.error().ToString());
    loop->Note("config-refused", path, taken.error().ToString());
  }
}

int Fail(const Error& error, int code) {
  std::cerr << "dyncast-controller: " << error.ToString() << "\n";
  return code;
}

int Serve(const std::string& path, config::FabricConfig parsed, int signals) {
  const auto config = std::make_shared<const config::FabricConfig>(std::move(parsed));
  const config::ControllerConfig& c = config->controller;
  const Now started = ReadClocks();

  Result<int> lock = LockDatabase(c.database);
  if (!lock.ok()) return Fail(lock.error(), kCannotStart);
  StoreOptions store_options;
  store_options.path = c.database;
  store_options.history_retention = c.history_retention;
  Result<std::unique_ptr<BindingStore>> store = BindingStore::Open(store_options);
  if (!store.ok()) return Fail(store.error(), kCannotStart);
  Result<PersistedState> persisted = (*store)->Load();
  if (!persisted.ok()) return Fail(persisted.error(), kCannotStart);

  // Metrics
  Result<std::unique_ptr<MetricSubscriber>> subscriber = MetricSubscriber::Bind(c.metrics_bind);
  if (!subscriber.ok()) return Fail(subscriber.error(), kCannotStart);

  // Decisions
  const auto start_us = static_cast<uint64_t>(UnixMicros(started.wall));
  ControlLoop::Parts parts;
  parts.config = config;
  parts.core = std::make_unique<core::Core>(config, *persisted, started, start_us, start_us);
  parts.subscriber = std::move(*subscriber);
  parts.store = store->get();
  for (const InstanceRecord& instance : persisted->instances) parts.known_instances.push_back(instance.id);
  ControlLoop loop(std::move(parts));

  // Switches
  if (Status listening = loop.Start(); !listening.ok()) return Fail(listening.error(), kCannotStart);

  // People
  Result<std::unique_ptr<ApiServer>> api = ApiServer::Start({.socket_path = c.api_socket,
                                                             .database = c.database,
                                                             .prometheus_listen = c.prometheus_listen,
                                                             .started = started},
                                                            &loop, store->get());
  if (!api.ok()) return Fail(api.error(), kCannotStart);

  loop.Note("controller-started", c.fabric, "version " DYNCAST_VERSION);
  DYN_LOG(kInfo, "control", "ready", "fabric={} openflow={} metrics={} api={} database={}", c.fabric,
          c.openflow_listen, c.metrics_bind, c.api_socket, c.database);
  LogWarnings(*config);
  bool stopping = false;
  while (!stopping) {
    loop.RunOnce(signals);
    signalfd_siginfo info{};
    while (read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGHUP) {
        Reload(path, &loop);
      } else {
        stopping = true;
      }
    }
  }
  DYN_LOG(kInfo, "control", "stopping", "the switches go on by themselves");
  api->reset();
  loop.Note("controller-stopped", loop.config().controller.fabric, "");
  if (Status flushed = (*store)->Flush(std::chrono::seconds(5)); !flushed.ok()) {
    return Fail(flushed.error(), kCannotStart);
  }
  return 0;
}

int Main(int argc, char** argv) {
  CLI::App app{"Dyncast controller: steers service demands over a fabric of Open vSwitch bridges"};
  std::string config_path;
  std::string log_level;
  bool check_only = false;
  app.add_option("--config", config_path, "The fabric: a YAML file, see docs/configuration.md")->required();
  app.add_flag("--check-config", check_only, "Read the file, report every error, and stop");
  app.add_option("--log-level", log_level, "Instead of controller.log_level: info, or switch=debug,info");
  app.set_version_flag("--version", DYNCAST_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : kBadConfig;
  }

  Result<config::FabricConfig> parsed = config::LoadFabric(config_path);
  if (!parsed.ok()) return Fail(parsed.error(), kBadConfig);
  const std::string levels = log_level.empty() ? parsed->controller.log_level : log_level;
  if (Status set = log::SetLevels(levels); !set.ok()) return Fail(set.error(), kBadConfig);
  if (check_only) {
    std::cout << config_path << ": good: " << parsed->switches.size() << " switches, "
              << parsed->services.size() << " services, " << parsed->agents.size() << " agents\n";
    for (const std::string& warning : config::FabricWarnings(*parsed)) {
      std::cout << config_path << ": warning: " << warning << "\n";
    }
    return 0;
  }
  const int signals = MakeSignalFd();
  openflow::InitLibrary("dyncast-controller");
  log::Init("dyncast-controller");
  return Serve(config_path, std::move(*parsed), signals);
}

}  // namespace
}  // namespace dyncast

int main(int argc, char** argv) { return dyncast::Main(argc, argv); }
