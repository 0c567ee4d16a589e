#include "agent/core/stamp_reflector.h"

#include <algorithm>
#include <chrono>

namespace dyncast::agent {
namespace {

// True if the session has not seen `sequence` yet; notes it.
bool NoteSequence(uint32_t sequence, uint32_t* newest, uint64_t* seen) {
  const auto ahead = static_cast<int32_t>(sequence - *newest);
  if (ahead > 0) {
    const auto shift = static_cast<uint32_t>(ahead);
    *seen = shift < StampReflector::kReplayWindow ? *seen << shift | 1 : 1;
    *newest = sequence;
    return true;
  }
  const uint32_t behind = *newest - sequence;
  if (behind >= StampReflector::kReplayWindow) return false;
  const uint64_t bit = uint64_t{1} << behind;
  if ((*seen & bit) != 0) return false;
  *seen |= bit;
  return true;
}

}  // namespace

std::string_view StampVerdictName(StampVerdict verdict) {
  switch (verdict) {
    case StampVerdict::kAnswered: return "answered";
    case StampVerdict::kUnknownSender: return "unknown-sender";
    case StampVerdict::kShort: return "short";
    case StampVerdict::kForged: return "forged";
    case StampVerdict::kReplayed: return "replayed";
    case StampVerdict::kRateLimited: return "rate-limited";
    case StampVerdict::kNoRoom: return "no-room";
  }
  return "unknown";
}

StampReflector::Session* StampReflector::Find(const Ends& ends, const StampTest& test, MonoTime now) {
  const auto known = sessions_.find(ends);
  if (known != sessions_.end()) return &known->second;
  if (sessions_.size() >= kMaxSessions) {
    const auto oldest =
        std::min_element(sessions_.begin(), sessions_.end(),
                         [](const auto& a, const auto& b) { return a.second.last < b.second.last; });
    if (now < oldest->second.last + kIdle) return nullptr;
    sessions_.erase(oldest);
  }
  Session session;
  session.newest = test.sequence - 1;
  session.newest_stamp = test.timestamp;
  session.tokens = options_.rate_limit;
  session.last = now;
  return &sessions_.emplace(ends, session).first->second;
}

bool StampReflector::TakeToken(Session* session, MonoTime now) const {
  const double passed_s = std::chrono::duration<double>(now - session->last).count();
  session->tokens =
      std::min<double>(session->tokens + std::max(passed_s, 0.0) * options_.rate_limit, options_.rate_limit);
  session->last = std::max(session->last, now);
  if (session->tokens < 1) return false;
  session->tokens -= 1;
  return true;
}

StampVerdict StampReflector::Judge(std::string_view octets, const StampArrival& arrival, MonoTime now,
                                   StampReply* reply) {
  const bool allowed = std::any_of(options_.senders.begin(), options_.senders.end(),
                                   [&](const IpPrefix& p) { return p.Contains(arrival.source); });
  if (!allowed) return StampVerdict::kUnknownSender;
  StampTest test;
  switch (ReadStampTest(octets, key_, &test)) {
    case StampFault::kNone: break;
    case StampFault::kShort: return StampVerdict::kShort;
    case StampFault::kForged: return StampVerdict::kForged;
  }
  Session* session = Find({.source = arrival.source,
                           .destination = arrival.destination,
                           .source_port = arrival.source_port,
                           .destination_port = arrival.destination_port,
                           .ssid = test.ssid},
                          test, now);
  if (session == nullptr) return StampVerdict::kNoRoom;
  if (!TakeToken(session, now)) return StampVerdict::kRateLimited;
  // A sender's clock and numbers grow together. An old number with a new time is a sender that began anew.
  const bool behind = static_cast<int32_t>(test.sequence - session->newest) <= 0;
  const bool later = static_cast<int64_t>(test.timestamp - session->newest_stamp) > 0;
  if (behind && later) {
    session->newest = test.sequence - 1;
    session->seen = 0;
    session->answered = 0;
  }
  if (!NoteSequence(test.sequence, &session->newest, &session->seen)) return StampVerdict::kReplayed;
  if (later) session->newest_stamp = test.timestamp;
  reply->sequence = session->answered++;
  reply->timestamp = 0;
  reply->error_estimate = kStampErrorEstimate;
  reply->ssid = test.ssid;
  reply->received = NtpFromUnix(arrival.wall_ns);
  reply->test = test;
  reply->test.ssid = 0;
  reply->test_ttl = arrival.ttl;
  return StampVerdict::kAnswered;
}

StampVerdict StampReflector::Admit(std::string_view octets, const StampArrival& arrival, MonoTime now,
                                   StampReply* reply) {
  const StampVerdict verdict = Judge(octets, arrival, now, reply);
  ++counters_[static_cast<size_t>(verdict)];
  return verdict;
}

}  // namespace dyncast::agent
