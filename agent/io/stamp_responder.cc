#include "agent/io/stamp_responder.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "agent/io/stamp_key.h"
#include "schema/base/log.h"

namespace dyncast::agent {
namespace {

constexpr size_t kBufferOctets = 65536;  // the largest datagram: an answer is as long as its question
constexpr int kPacketsPerTurn = 64;
constexpr std::string_view kSocketCode = "DC-AG-020";
const std::string kSubject = "reflector";

// A function for each verdict, so that a flood of one kind does not hide the others: the log's limit is per
// place.
template <StampVerdict verdict>
void WarnDropped(const StampSocket::Received& packet, uint64_t total) {
  DYN_WARN("DC-AG-021", "agent", "stamp-dropped", "from={} octets={} why={} total={}", packet.from.ToString(),
           packet.octets.size(), StampVerdictName(verdict), total);
}

void WarnDropped(StampVerdict verdict, const StampSocket::Received& packet, uint64_t total) {
  switch (verdict) {
    case StampVerdict::kAnswered: return;
    case StampVerdict::kUnknownSender: return WarnDropped<StampVerdict::kUnknownSender>(packet, total);
    case StampVerdict::kShort: return WarnDropped<StampVerdict::kShort>(packet, total);
    case StampVerdict::kForged: return WarnDropped<StampVerdict::kForged>(packet, total);
    case StampVerdict::kReplayed: return WarnDropped<StampVerdict::kReplayed>(packet, total);
    case StampVerdict::kRateLimited: return WarnDropped<StampVerdict::kRateLimited>(packet, total);
    case StampVerdict::kNoRoom: return WarnDropped<StampVerdict::kNoRoom>(packet, total);
  }
}

}  // namespace

StampResponder::StampResponder(Poller* poller, Problems* problems)
    : poller_(poller), problems_(problems), buffer_(kBufferOctets) {}

StampResponder::~StampResponder() { CloseAll(); }

void StampResponder::CloseAll() {
  for (auto& socket : sockets_) {
    if (socket) poller_->Remove(socket->fd());
  }
  sockets_.clear();
  next_open_ = MonoTime::max();
}

void StampResponder::Configure(const std::optional<config::ReflectorConfig>& config, MonoTime now) {
  if (config == config_ && config) {
    const Result<StampKey> key = LoadStampKey(config->key_file);
    if (reflector_ && key && *key == reflector_->key()) return;
  }
  if (reflector_) LogCounters();
  CloseAll();
  reflector_.reset();
  config_ = config;
  if (!config_) return;
  sockets_.resize(config_->listen.size());
  Open(now);
}

void StampResponder::Open(MonoTime now) {
  next_open_ = now + kRetry;
  if (!reflector_) {
    Result<StampKey> key = LoadStampKey(config_->key_file);
    if (!key) return problems_->Failed(kSocketCode, kSubject, "key", key.error());
    problems_->Works(kSubject, "key");
    reflector_.emplace(
        StampReflector::Options{.senders = config_->senders, .rate_limit = config_->rate_limit},
        std::move(*key));
  }
  bool all = true;
  for (size_t i = 0; i < sockets_.size(); ++i) {
    if (sockets_[i]) continue;
    const std::string what = "socket-" + config_->listen[i].ToString();
    Result<StampSocket> socket = StampSocket::OpenReflector(config_->listen[i]);
    Status opened = Ok();
    if (socket) {
      auto made = std::make_unique<StampSocket>(std::move(*socket));
      opened = poller_->Add(made->fd(), EPOLLIN, [this, own = made.get()](uint32_t) { OnPackets(own); });
      if (opened) sockets_[i] = std::move(made);
    } else {
      opened = socket.error();
    }
    if (opened) {
      problems_->Works(kSubject, what);
      DYN_LOG(kInfo, "agent", "stamp-reflecting", "at={} {}", config_->listen[i].ToString(),
              reflector_->key().empty() ? "unauthenticated" : "authenticated");
    } else {
      all = false;
      problems_->Failed(kSocketCode, kSubject, what, opened.error());
    }
  }
  if (all) next_open_ = MonoTime::max();
}

void StampResponder::OnTimers(MonoTime now) {
  if (next_open_ <= now) Open(now);
}

MonoTime StampResponder::NextDeadline() const { return next_open_; }

void StampResponder::OnPackets(StampSocket* socket) {
  const uint16_t port = socket->LocalPort();
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    const auto received = socket->Receive(&buffer_);
    if (!received) continue;  // an ICMP error about an answer of ours
    if (!*received) return;
    const StampSocket::Received& packet = **received;
    if (packet.kernel_time) ++kernel_times_;
    StampReply reply;
    const StampVerdict verdict = reflector_->Admit(packet.octets,
                                                   {.source = packet.from.address,
                                                    .source_port = packet.from.port,
                                                    .destination = packet.to,
                                                    .destination_port = port,
                                                    .ttl = packet.ttl,
                                                    .wall_ns = packet.wall_ns},
                                                   ReadClocks().mono, &reply);
    if (verdict != StampVerdict::kAnswered) {
      WarnDropped(verdict, packet, reflector_->counters()[static_cast<size_t>(verdict)]);
      continue;
    }
    const std::string_view padding = packet.octets.substr(StampBaseOctets(reflector_->key()));
    reply.timestamp = NtpFromUnix(UnixNanos());
    if (!socket->Answer(WriteStampReply(reply, reflector_->key(), padding), packet)) ++send_failures_;
  }
}

void StampResponder::LogCounters() const {
  if (!reflector_) return;
  std::string sums;
  for (size_t i = 0; i < kStampVerdicts; ++i) {
    sums += std::string(StampVerdictName(static_cast<StampVerdict>(i))) + "=" +
            std::to_string(reflector_->counters()[i]) + " ";
  }
  DYN_LOG(kInfo, "agent", "stamp-reflector", "{}sessions={} kernel_times={} send_failures={}", sums,
          reflector_->sessions(), kernel_times_, send_failures_);
}

}  // namespace dyncast::agent
