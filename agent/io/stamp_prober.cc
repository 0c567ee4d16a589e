#include "agent/io/stamp_prober.h"

#include <sys/epoll.h>

#include <algorithm>
#include <random>
#include <utility>

#include "agent/io/stamp_key.h"
#include "schema/base/log.h"

namespace dyncast::agent {
namespace {

constexpr size_t kBufferOctets = 4096;  // an answer has 44 or 112; of a longer one the rest is cut off
constexpr int kPacketsPerTurn = 64;
constexpr std::string_view kSocketCode = "DC-AG-020";

uint16_t RandomSsid() {
  std::random_device random;
  return static_cast<uint16_t>(1 + random() % 0xffff);  // 0 would be: none
}

std::string_view FateName(StampFate fate) {
  switch (fate) {
    case StampFate::kTaken: return "taken";
    case StampFate::kShort: return "short";
    case StampFate::kForged: return "forged";
    case StampFate::kUnexpected: return "unexpected";
    case StampFate::kDuplicate: return "duplicate";
    case StampFate::kLate: return "late";
  }
  return "unknown";
}

}  // namespace

struct StampProber::Probe {
  config::ProbeConfig config;
  StampKey key;
  StampSession session;
  StampSocket socket;
  MonoTime next_send{};
  MonoTime next_open{};
  // Where the times of the last answer came from, so that a change is told.
  std::string times;

  // Why the network takes no packets, as it was told; empty: it does, or says nothing.
  std::string closed;

  // For the log: WHAT of the path to this peer.
  std::string What(std::string_view what) const {
    return (config.address.is_v4() ? "ipv4-path-" : "ipv6-path-") + std::string(what);
  }
  std::string_view Family() const { return config.address.is_v4() ? "IPv4" : "IPv6"; }
};

StampProber::StampProber(Poller* poller, Problems* problems)
    : poller_(poller), problems_(problems), buffer_(kBufferOctets) {}

StampProber::~StampProber() {
  for (auto& probe : probes_) Close(probe.get());
}

void StampProber::Close(Probe* probe) {
  if (probe->socket.fd() >= 0) poller_->Remove(probe->socket.fd());
  probe->socket = StampSocket();
}

void StampProber::Configure(const std::vector<config::ProbeConfig>& probes, MonoTime now) {
  std::vector<std::unique_ptr<Probe>> before = std::exchange(probes_, {});
  for (size_t i = 0; i < probes.size(); ++i) {
    const config::ProbeConfig& config = probes[i];
    Result<StampKey> key = LoadStampKey(config.key_file);
    const auto same = std::find_if(before.begin(), before.end(), [&](const auto& had) {
      return had && had->config == config && key && had->key == *key;
    });
    if (same != before.end()) {
      probes_.push_back(std::move(*same));
      continue;
    }
    auto probe =
        std::make_unique<Probe>(Probe{.config = config,
                                      .key = key ? *key : StampKey(),
                                      .session = StampSession({.timeout = config.timeout,
                                                               .window = config.window,
                                                               .reflector = config.reflector,
                                                               .ssid = RandomSsid()},
                                                              key ? *key : StampKey()),
                                      .socket = {},
                                      // Spread over the interval, so that they do not all leave at once.
                                      .next_send = now + Micros(config.interval) * static_cast<int64_t>(i) /
                                                             static_cast<int64_t>(probes.size()),
                                      .next_open = now,
                                      .times = {},
                                      .closed = {}});
    if (key) {
      Open(probe.get(), now);
    } else {
      problems_->Failed(kSocketCode, probe->config.peer, probe->What("key"), key.error());
      probe->next_open = now + kRetry;
    }
    probes_.push_back(std::move(probe));
  }
  for (auto& gone : before) {
    if (gone) Close(gone.get());
  }
}

// Precondition: it has no socket. With a key file and no key yet, that is read first.
void StampProber::Open(Probe* probe, MonoTime now) {
  probe->next_open = now + kRetry;
  if (!probe->config.key_file.empty() && probe->key.empty()) {
    Result<StampKey> key = LoadStampKey(probe->config.key_file);
    if (!key) return problems_->Failed(kSocketCode, probe->config.peer, probe->What("key"), key.error());
    problems_->Works(probe->config.peer, probe->What("key"));
    probe->key = *key;
    probe->session = StampSession({.timeout = probe->config.timeout,
                                   .window = probe->config.window,
                                   .reflector = probe->config.reflector,
                                   .ssid = RandomSsid()},
                                  std::move(*key));
  }
  Result<StampSocket> socket = StampSocket::OpenSender(
      {.address = probe->config.address, .port = probe->config.port}, probe->config.source);
  Status opened = Ok();
  if (socket) {
    opened = poller_->Add(socket->fd(), EPOLLIN, [this, probe](uint32_t) { OnEvents(probe); });
  } else {
    opened = socket.error();
  }
  if (!opened) return Failed(probe, "socket", opened.error());
  problems_->Works(probe->config.peer, probe->What("socket"));
  probe->socket = std::move(*socket);
}

void StampProber::SendDue(Probe* probe, MonoTime now) {
  const Micros interval = probe->config.interval;
  probe->next_send += ((now - probe->next_send) / interval + 1) * interval;
  if (!probe->config.key_file.empty() && probe->key.empty()) return;  // nothing goes out unsigned
  const std::string octets = probe->session.Send(UnixNanos(), now);
  // What can't leave is lost on this path as any other packet.
  if (probe->socket.fd() < 0) return;
  const Status sent = probe->socket.Send(octets, probe->session.last_sequence());
  if (sent) return;
  Failed(probe, "packets", sent.error());
  // The route or the source address may be another by now.
  Close(probe);
  probe->next_open = now + kRetry;
}

// A peer that is away, or no way to it, is what a path is measured for: told once, and shown as its losses.
// What this host refuses is a problem.
void StampProber::Failed(Probe* probe, std::string_view what, const Error& error) {
  if (error.code != Errc::kUnavailable) {
    return problems_->Failed(kSocketCode, probe->config.peer, probe->What(what), error);
  }
  if (probe->closed == error.message) return;
  probe->closed = error.message;
  DYN_LOG(kInfo, "agent", "path-closed", "peer={} family={} why=\"{}\"", probe->config.peer, probe->Family(),
          probe->closed);
}

void StampProber::OnTimers(MonoTime now) {
  for (auto& probe : probes_) {
    if (probe->socket.fd() < 0 && probe->next_open <= now) Open(probe.get(), now);
    if (probe->next_send <= now) SendDue(probe.get(), now);
  }
}

MonoTime StampProber::NextDeadline() const {
  MonoTime next = MonoTime::max();
  for (const auto& probe : probes_) {
    next = std::min(next, probe->next_send);
    if (probe->socket.fd() < 0) next = std::min(next, probe->next_open);
  }
  return next;
}

void StampProber::NoteFate(const Probe& probe, StampFate fate) {
  const StampSessionCounters& sums = probe.session.counters();
  if (fate == StampFate::kForged || fate == StampFate::kShort || fate == StampFate::kUnexpected) {
    DYN_WARN("DC-AG-022", "agent", "stamp-answer-refused", "peer={} why={} short={} forged={} unexpected={}",
             probe.config.peer, FateName(fate), sums.short_packets, sums.forged, sums.unexpected);
  } else if (fate != StampFate::kTaken) {
    DYN_LOG(kDebug, "agent", "stamp-answer", "peer={} fate={}", probe.config.peer, FateName(fate));
  }
}

void StampProber::NoteTimes(Probe* probe, const StampSocket::Received& received) {
  StampSessionCounters& sums = probe->session.counters();
  if (received.kernel_time) ++sums.kernel_received;
  std::string times = received.kernel_time ? "received=kernel" : "received=agent";
  times += sums.kernel_sent != 0 ? " sent=kernel" : " sent=agent";
  if (times == probe->times) return;
  probe->times = std::move(times);
  DYN_LOG(kInfo, "agent", "stamp-times", "peer={} family={} {}", probe->config.peer, probe->Family(),
          probe->times);
}

void StampProber::OnEvents(Probe* probe) {
  // Before the answers: the times they are compared with.
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    const auto left = probe->socket.TakeDeparture();
    if (!left) break;
    probe->session.OnSent(left->tag, left->wall_ns);
  }
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    const auto received = probe->socket.Receive(&buffer_);
    if (!received) {
      Failed(probe, "packets", received.error());
      continue;
    }
    if (!*received) return;
    const StampFate fate =
        probe->session.OnReply((*received)->octets, (*received)->wall_ns, ReadClocks().mono);
    if (fate == StampFate::kTaken) {
      problems_->Works(probe->config.peer, probe->What("packets"));
      if (!std::exchange(probe->closed, {}).empty()) {
        DYN_LOG(kInfo, "agent", "path-open", "peer={} family={}", probe->config.peer, probe->Family());
      }
      NoteTimes(probe, **received);
    }
    NoteFate(*probe, fate);
  }
}

std::vector<PathSample> StampProber::Paths(MonoTime now) {
  std::vector<PathSample> paths;
  for (auto& probe : probes_) {
    std::optional<PathSample> path = probe->session.Window(now);
    if (!path) continue;
    path->peer = probe->config.peer;
    path->ipv6 = !probe->config.address.is_v4();
    paths.push_back(std::move(*path));
  }
  return paths;
}

void StampProber::LogCounters() const {
  for (const auto& probe : probes_) {
    const StampSessionCounters& sums = probe->session.counters();
    DYN_LOG(
        kInfo, "agent", "stamp-session",
        "peer={} family={} sent={} answered={} lost={} late={} duplicates={} reordered={} short={} forged={} "
        "unexpected={} clock_steps={} kernel_sent={} kernel_received={}",
        probe->config.peer, probe->Family(), sums.sent, sums.taken, sums.lost, sums.late, sums.duplicates,
        sums.reordered, sums.short_packets, sums.forged, sums.unexpected, sums.clock_steps, sums.kernel_sent,
        sums.kernel_received);
  }
}

}  // namespace dyncast::agent
