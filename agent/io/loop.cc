#include "agent/io/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "schema/base/log.h"
#include "schema/base/time.h"

namespace dyncast::agent {
namespace {

uint64_t BootEpoch() { return static_cast<uint64_t>(UnixMicros(ReadClocks().wall)); }

}  // namespace

AgentLoop::AgentLoop(config::AgentConfig config, Options options)
    : options_(std::move(options)),
      core_(std::move(config), BootEpoch()),
      host_(options_.proc, &problems_),
      cgroups_(&problems_),
      probes_(&poller_),
      reflector_(&poller_, &problems_),
      paths_(&poller_, &problems_),
      plugins_(&poller_),
      gpus_(&problems_),
      load_listener_(&poller_, [this](const LoadPost& post) { return OnPost(post); }),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

AgentLoop::~AgentLoop() {
  if (wake_ < 0) return;
  poller_.Remove(wake_);
  close(wake_);
}

void AgentLoop::Wake() {
  const uint64_t one = 1;
  // It can only fail when the counter is full: then the loop is awake anyway.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
}

void AgentLoop::RequestStop() {
  stop_ = true;
  Wake();
}

void AgentLoop::RequestReload(config::AgentConfig config) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    reload_ = std::move(config);
  }
  Wake();
}

Status AgentLoop::Connect() { return publisher_.SetEndpoints(core_.config().controllers); }

void AgentLoop::ConfigurePaths(Now now) {
  reflector_.Configure(core_.config().reflector, now.mono);
  paths_.Configure(core_.config().probes, now.mono);
  next_paths_ = core_.has_paths() ? now.mono : MonoTime::max();
}

void AgentLoop::RunPaths(Now now) {
  reflector_.OnTimers(now.mono);
  paths_.OnTimers(now.mono);
  if (next_paths_ > now.mono) return;
  next_paths_ = now.mono + Micros(std::min(core_.config().sample_interval, core_.config().report_interval));
  Apply(core_.OnPaths(paths_.Paths(now.mono), now), now);
  if (!core_.has_paths()) next_paths_ = MonoTime::max();
}

MonoTime AgentLoop::NextDeadline(MonoTime now) const {
  return std::min({core_.NextDeadline(), probes_.NextDeadline(), plugins_.NextDeadline(),
                   load_listener_.NextDeadline(now), reflector_.NextDeadline(), paths_.NextDeadline(),
                   next_paths_});
}

void AgentLoop::OnWake() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_, &count, sizeof count);
  std::optional<config::AgentConfig> reload;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    reload = std::exchange(reload_, std::nullopt);
  }
  const Now now = ReadClocks();
  if (reload) {
    auto effects = core_.Reload(std::move(*reload), now);
    if (!effects) {
      DYN_WARN("DC-AG-003", "agent", "reload-refused", "why=\"{}\"", effects.error().ToString());
    } else {
      problems_.Clear();
      gpus_.Retain(core_.config());
      if (const Status levels = log::SetLevels(core_.config().log_level); !levels) {
        DYN_WARN("DC-AG-003", "agent", "log-level-refused", "why=\"{}\"", levels.error().ToString());
      }
      if (const Status connected = Connect(); !connected) {
        DYN_WARN("DC-AG-005", "agent", "controller-refused", "why=\"{}\"", connected.error().ToString());
      }
      if (const Status listens = ListenForLoad(); !listens) {
        DYN_WARN("DC-AG-010", "agent", "not-listening", "why=\"{}\"", listens.error().ToString());
      }
      DYN_LOG(kInfo, "agent", "reloaded", "instances={}", core_.instances().size());
      Apply(std::move(*effects), now);
      ConfigurePaths(now);
    }
  }
  if (stop_) Apply(core_.Stop(now), now);
}

Status AgentLoop::Run() {
  if (wake_ < 0) return MakeError(Errc::kIo, std::string("eventfd: ") + std::strerror(errno));
  if (const Status connected = Connect(); !connected) return connected.error();
  if (const Status listens = ListenForLoad(); !listens) return listens.error();
  if (const Status added = poller_.Add(wake_, EPOLLIN, [this](uint32_t) { OnWake(); }); !added) return added;
  const int publisher_fd = publisher_.fd();
  if (const Status added = poller_.Add(publisher_fd, EPOLLIN | EPOLLET, [](uint32_t) {}); !added)
    return added;
  DYN_LOG(kInfo, "agent", "started", "agent={} instances={} controllers={}", core_.config().name,
          core_.config().instances.size(), core_.config().controllers.size());
  ConfigurePaths(ReadClocks());
  while (!core_.stopped()) {
    const Now now = ReadClocks();
    if (publisher_.TakeSubscribers() != 0) core_.OnSubscriber(now);
    probes_.OnTimers(now.mono);
    plugins_.OnTimers(now.mono);
    load_listener_.OnTimers(now.mono);
    if (core_.NextDeadline() <= now.mono) Apply(core_.Tick(now), now);
    RunPaths(now);
    if (core_.stopped()) break;
    // What was sent may have swallowed the publisher's edge: look again before the wait.
    if (publisher_.TakeSubscribers() != 0) core_.OnSubscriber(now);
    poller_.Wait(std::max(NextDeadline(now.mono), now.mono) - now.mono);
  }
  poller_.Remove(publisher_fd);
  poller_.Remove(wake_);
  LogSums();
  return Ok();
}

void AgentLoop::LogSums() const {
  const AgentCounters sums = core_.counters();
  const UpdateCounters& updates = sums.updates;
  DYN_LOG(kInfo, "agent", "stopped",
          "announces={} reports={} heartbeats={} withdraws={} by_interval={} by_threshold={} by_refresh={} "
          "held_unchanged={} held_gap={} held_damped={} held_hysteresis={} refused_metrics={} "
          "scrapes_failed={} plugins_failed={} load_reports={} load_reports_refused={} paths={} bytes={} "
          "send_failures={}",
          sums.announces, sums.reports, sums.heartbeats, sums.withdraws, updates.sent_interval,
          updates.sent_threshold, updates.sent_refresh, updates.suppressed_unchanged, updates.suppressed_gap,
          updates.suppressed_damped, updates.suppressed_hysteresis, sums.refused_metrics, sums.scrapes_failed,
          sums.plugins_failed, sums.load_reports, sums.load_reports_refused, sums.paths,
          publisher_.bytes_sent(), publisher_.send_failures());
  reflector_.LogCounters();
  paths_.LogCounters();
}

void AgentLoop::Apply(Effects effects, Now now) {
  for (const wire::AgentMessage& message : effects.messages) publisher_.Send(message);
  for (const Note& note : effects.notes) {
    if (note.kind == Note::Kind::kHealth) {
      DYN_LOG(kInfo, "agent", "health", "instance={} now={}", note.instance, note.detail);
    } else {
      DYN_WARN("DC-AG-002", "agent", "refused-metric",
               "instance={} value={} rule=\"finite, not negative, plausible\"", note.instance, note.detail);
    }
  }
  for (const Slot slot : effects.checks) StartCheck(slot, now);
  StartSources(effects, now);
  if (effects.sample) Sample(now);
}

void AgentLoop::Sample(Now now) {
  std::map<Slot, InstanceReadings> readings;
  std::map<std::string, std::vector<Slot>> by_namespace;
  for (const auto& [slot, instance] : core_.instances()) {
    const config::InstanceConfig& config = instance.config();
    InstanceReadings& own = readings[slot];
    if (!config.cgroup.empty()) own.cgroup = cgroups_.Read(config.cgroup, config.name);
    if (config.port != 0) by_namespace[config.network_namespace].push_back(slot);
  }
  for (const auto& [path, slots] : by_namespace) {
    std::vector<ListeningPort> ports;
    for (const Slot slot : slots) {
      const config::InstanceConfig& config = core_.instances().at(slot).config();
      ports.push_back({.address = config.bid, .port = config.port});
    }
    const auto found = sockets_.Read(path, ports);
    for (size_t i = 0; i < slots.size(); ++i) {
      const config::InstanceConfig& config = core_.instances().at(slots[i]).config();
      if (!found) {
        problems_.Failed("DC-AG-004", config.name, "sessions", found.error());
        continue;
      }
      SocketReadings& own = readings[slots[i]].sockets;
      own = (*found)[i];
      if (own.sessions) {
        problems_.Works(config.name, "sessions");
      } else {
        problems_.Failed("DC-AG-004", config.name, "sessions",
                         MakeError(Errc::kNotFound, "nothing listens on " + config.bid.ToString() + " port " +
                                                        std::to_string(config.port) +
                                                        (path.empty() ? "" : " in " + path)));
      }
    }
  }
  ReadGpus(&readings, now);
  const HostReadings host = host_.Read();
  // Read last, so that the values' time is the moment after all of them.
  const Now read_at = ReadClocks();
  Apply(core_.OnSample(host, readings, {.mono = std::max(now.mono, read_at.mono), .wall = read_at.wall}),
        read_at);
}

void AgentLoop::StartCheck(Slot slot, Now now) {
  const config::InstanceConfig& config = core_.instances().at(slot).config();
  const bool http = config.health.kind == config::HealthCheckKind::kHttp;
  const bool load = http && config.orca && config.orca->health;
  ProbeSpec spec{.kind = load   ? ProbeSpec::Kind::kLoad
                         : http ? ProbeSpec::Kind::kStatus
                                : ProbeSpec::Kind::kConnect,
                 .address = config.bid,
                 .port = config.health.port != 0 ? config.health.port : config.port,
                 .path = config.health.path,
                 .network_namespace = config::CheckNamespaceOf(config),
                 .timeout = config.health.timeout};
  probes_.Start(std::move(spec), now.mono, [this, slot, http, load](Result<ProbeAnswer> answer) {
    const Now done = ReadClocks();
    CheckOutcome outcome = CheckOutcome::kPass;
    std::string detail;
    if (!answer) {
      outcome = CheckOutcome::kFail;
      detail = "why=\"" + answer.error().ToString() + "\"";
    } else if (http) {
      detail = "status=" + std::to_string(answer->status);
      if (answer->status < 200 || answer->status > 299) outcome = CheckOutcome::kFail;
    }
    Apply(core_.OnCheck(slot, outcome, detail, done), done);
    if (load && outcome == CheckOutcome::kPass) TakeHealthLoad(slot, *answer, done);
  });
}

}  // namespace dyncast::agent
