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

std::string CheckNamespace(const config::InstanceConfig& config) {
  return config.check_inside ? config.network_namespace : std::string();
}

}  // namespace

AgentLoop::AgentLoop(config::AgentConfig config, Options options)
    : options_(std::move(options)),
      core_(std::move(config), BootEpoch()),
      host_(options_.proc, &problems_),
      cgroups_(&problems_),
      probes_(&poller_),
      reflector_(&poller_, &problems_),
      paths_(&poller_, &problems_),
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

MonoTime AgentLoop::NextDeadline() const {
  return std::min({core_.NextDeadline(), probes_.NextDeadline(), reflector_.NextDeadline(),
                   paths_.NextDeadline(), next_paths_});
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
      if (const Status levels = log::SetLevels(core_.config().log_level); !levels) {
        DYN_WARN("DC-AG-003", "agent", "log-level-refused", "why=\"{}\"", levels.error().ToString());
      }
      if (const Status connected = Connect(); !connected) {
        DYN_WARN("DC-AG-005", "agent", "controller-refused", "why=\"{}\"", connected.error().ToString());
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
    if (core_.NextDeadline() <= now.mono) Apply(core_.Tick(now), now);
    RunPaths(now);
    if (core_.stopped()) break;
    // What was sent may have swallowed the publisher's edge: look again before the wait.
    if (publisher_.TakeSubscribers() != 0) core_.OnSubscriber(now);
    poller_.Wait(std::max(NextDeadline(), now.mono) - now.mono);
  }
  poller_.Remove(publisher_fd);
  poller_.Remove(wake_);
  const AgentCounters sums = core_.counters();
  DYN_LOG(kInfo, "agent", "stopped",
          "announces={} reports={} heartbeats={} withdraws={} by_interval={} by_threshold={} by_refresh={} "
          "held_unchanged={} held_gap={} refused_metrics={} paths={} bytes={} send_failures={}",
          sums.announces, sums.reports, sums.heartbeats, sums.withdraws, sums.updates.sent_interval,
          sums.updates.sent_threshold, sums.updates.sent_refresh, sums.updates.suppressed_unchanged,
          sums.updates.suppressed_gap, sums.refused_metrics, sums.paths, publisher_.bytes_sent(),
          publisher_.send_failures());
  reflector_.LogCounters();
  paths_.LogCounters();
  return Ok();
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
  for (const Slot slot : effects.scrapes) StartScrape(slot, now);
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
  const HostReadings host = host_.Read();
  // Read last, so that the values' time is the moment after all of them.
  const Now read_at = ReadClocks();
  Apply(core_.OnSample(host, readings, {.mono = std::max(now.mono, read_at.mono), .wall = read_at.wall}),
        read_at);
}

void AgentLoop::StartCheck(Slot slot, Now now) {
  const config::InstanceConfig& config = core_.instances().at(slot).config();
  const bool http = config.health.kind == config::HealthCheckKind::kHttp;
  ProbeSpec spec{.kind = http ? ProbeSpec::Kind::kStatus : ProbeSpec::Kind::kConnect,
                 .address = config.bid,
                 .port = config.health.port != 0 ? config.health.port : config.port,
                 .path = config.health.path,
                 .network_namespace = CheckNamespace(config),
                 .timeout = config.health.timeout};
  probes_.Start(std::move(spec), now.mono, [this, slot, http](Result<ProbeAnswer> answer) {
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
  });
}

void AgentLoop::StartScrape(Slot slot, Now now) {
  const config::InstanceConfig& config = core_.instances().at(slot).config();
  const std::string name = config.name;
  const auto url = ParseHttpUrl(config.scrape->url);
  if (!url) {
    problems_.Failed("DC-AG-006", name, "scrape", url.error());
    core_.OnScrape(slot, std::nullopt, now);
    return;
  }
  ProbeSpec spec{.kind = ProbeSpec::Kind::kPage,
                 .address = url->address,
                 .port = url->port,
                 .path = url->path,
                 .network_namespace = CheckNamespace(config),
                 .timeout = config.scrape->timeout};
  probes_.Start(std::move(spec), now.mono, [this, slot, name](Result<ProbeAnswer> answer) {
    const auto it = core_.instances().find(slot);
    if (it == core_.instances().end()) return;
    const config::ScrapeConfig& scrape = *it->second.config().scrape;
    const auto failed = [&](const Error& error) {
      problems_.Failed("DC-AG-006", name, "scrape", error);
      core_.OnScrape(slot, std::nullopt, ReadClocks());
    };
    if (!answer) return failed(answer.error());
    if (answer->status != 200) {
      return failed(MakeError(Errc::kProtocol, "status " + std::to_string(answer->status) + ", must be 200",
                              scrape.url));
    }
    auto values = PickMetrics(answer->body, scrape.metrics);
    if (!values) {
      return failed(
          MakeError(values.error().code, values.error().message, scrape.url + " " + values.error().where));
    }
    problems_.Works(name, "scrape");
    for (size_t i = 0; i < values->size(); ++i) {
      const std::string what = "scrape of " + scrape.metrics[i].from;
      if ((*values)[i]) {
        problems_.Works(name, what);
      } else {
        problems_.Failed("DC-AG-006", name, what, MakeError(Errc::kNotFound, "no such sample", scrape.url));
      }
    }
    core_.OnScrape(slot, std::move(*values), ReadClocks());
  });
}

}  // namespace dyncast::agent
