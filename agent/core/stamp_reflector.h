// The answering side of STAMP (RFC 8762 section 4.3), stateful: each session's answers are counted, so that
// its sender can tell on which way a packet was lost. Pure: times are handed in.
//
// Nobody is answered who is not configured: a packet must come from one of the senders and, where there is a
// key, carry its HMAC. An answer is never longer than its question, goes only to where that came from, and
// there are only so many for a session in a second.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "agent/core/stamp.h"
#include "schema/base/ip.h"
#include "schema/base/time.h"

namespace dyncast::agent {

// Why a packet is not answered. kAnswered: it is.
enum class StampVerdict : uint8_t {
  kAnswered,
  kUnknownSender,  // from none of the configured addresses
  kShort,
  kForged,
  kReplayed,     // a sequence number of this session for the second time, or too old to tell
  kRateLimited,  // more packets in this session than it may send
  kNoRoom,       // more sessions than are kept
};
inline constexpr size_t kStampVerdicts = 7;
std::string_view StampVerdictName(StampVerdict verdict);  // "unknown-sender" and so on, for logs

// How a packet came. Both ends and its identifier name the session.
struct StampArrival {
  IpAddress source;
  uint16_t source_port = 0;
  IpAddress destination;
  uint16_t destination_port = 0;
  uint8_t ttl = 0;
  int64_t wall_ns = 0;  // T2, Unix nanoseconds, by the kernel where that said so
};

class StampReflector {
 public:
  static constexpr size_t kMaxSessions = 1024;
  static constexpr Micros kIdle{10000000};  // a session without packets for so long makes room for another
  // Sequence numbers further behind the newest than this count as replayed.
  static constexpr uint32_t kReplayWindow = 64;

  struct Options {
    std::vector<IpPrefix> senders;
    uint32_t rate_limit = 200;  // packets per second and session; as many at once
    friend bool operator==(const Options&, const Options&) = default;
  };
  StampReflector(Options options, StampKey key) : options_(std::move(options)), key_(std::move(key)) {}

  // kAnswered: `*reply` is the answer but for T3, its `timestamp`; WriteStampReply makes the octets of it.
  StampVerdict Admit(std::string_view octets, const StampArrival& arrival, MonoTime now, StampReply* reply);
  const StampKey& key() const { return key_; }
  // By verdict, since the start.
  const std::array<uint64_t, kStampVerdicts>& counters() const { return counters_; }
  size_t sessions() const { return sessions_.size(); }

 private:
  struct Ends {
    IpAddress source;
    IpAddress destination;
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint16_t ssid = 0;
    friend auto operator<=>(const Ends&, const Ends&) = default;
  };
  struct Session {
    uint32_t answered = 0;      // the next answer's sequence number
    uint32_t newest = 0;        // the largest sequence number seen
    uint64_t seen = 0;          // bit i: newest - i was seen
    uint64_t newest_stamp = 0;  // the latest T1 seen
    double tokens = 0;
    MonoTime last{};
  };
  StampVerdict Judge(std::string_view octets, const StampArrival& arrival, MonoTime now, StampReply* reply);
  // Nothing where there is no room.
  Session* Find(const Ends& ends, const StampTest& test, MonoTime now);
  bool TakeToken(Session* session, MonoTime now) const;

  Options options_;
  StampKey key_;
  std::map<Ends, Session> sessions_;
  std::array<uint64_t, kStampVerdicts> counters_{};
};

}  // namespace dyncast::agent
