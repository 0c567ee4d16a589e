// One STAMP session as its sender keeps it (RFC 8762 section 4.2): what was sent, what came back, and from
// that the path's newest window. Pure: times are handed in.
//
//   Send -> octets for the peer; OnSent <- when the kernel saw them leave; OnReply <- octets of the peer
//   Window -> round trips, jitter and losses of the packets that were sent within the newest window
//
// Losses by direction come from the reflector's own count (a stateful one counts what it answered): between
// two answered packets, what was sent less what it counted was lost on the way there, what it counted less
// what came back on the way home.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "agent/core/stamp.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"
#include "schema/model/path.h"

namespace dyncast::agent {

enum class StampFate : uint8_t {
  kTaken,
  kShort,
  kForged,
  kUnexpected,  // no packet of ours that is still remembered, or not as we sent it, or of another session
  kDuplicate,   // answered before
  kLate,        // came after its packet counted as lost
};

struct StampSessionCounters {
  uint64_t sent = 0;
  uint64_t taken = 0;
  uint64_t lost = 0;
  uint64_t short_packets = 0;
  uint64_t forged = 0;
  uint64_t unexpected = 0;
  uint64_t duplicates = 0;
  uint64_t late = 0;
  uint64_t reordered = 0;    // taken after a packet that was sent later
  uint64_t clock_steps = 0;  // taken, but a clock was set while it was on its way: no times of it are used
  uint64_t kernel_sent = 0;  // packets whose departure the kernel timed
  uint64_t kernel_received = 0;
};

class StampSession {
 public:
  struct Options {
    Micros timeout{500000};  // without an answer for this long: lost
    Micros window{5000000};  // more than timeout
    config::PeerReflector reflector = config::PeerReflector::kStateful;
    uint16_t ssid = 0;            // 0: none
    uint32_t first_sequence = 0;  // RFC 8762 section 4.2.1: 0
  };
  StampSession(Options options, StampKey key) : options_(options), key_(std::move(key)) {
    next_ = options_.first_sequence;
  }

  // The next packet. `wall_ns`: Unix nanoseconds, as near to its departure as can be.
  std::string Send(int64_t wall_ns, MonoTime now);
  uint32_t last_sequence() const { return next_ - 1; }
  // The kernel's own time of that departure, better than the one before it.
  void OnSent(uint32_t sequence, int64_t wall_ns);
  // `wall_ns`: its arrival, by the kernel where that said so.
  StampFate OnReply(std::string_view octets, int64_t wall_ns, MonoTime now);

  // The packets sent within the window before `now`; nothing while none of them is answered or overdue.
  // `peer` and `ipv6` are left to the caller.
  std::optional<PathSample> Window(MonoTime now);
  StampSessionCounters& counters() { return counters_; }
  const StampSessionCounters& counters() const { return counters_; }

 private:
  struct Packet {
    MonoTime sent_at{};
    int64_t sent_ns = 0;     // T1, by the kernel where it said so
    uint64_t timestamp = 0;  // T1 as the packet says it
    bool answered = false;
    bool overdue = false;
    uint32_t count = 0;  // the reflector's number of the answer
    uint32_t era = 0;    // grows when the reflector's count starts anew
    // Absent where a clock was set meanwhile. One-way delays contain the clocks' offset: only for
    // differences.
    std::optional<int64_t> rtt_ns;
    std::optional<int64_t> forward_ns;
    std::optional<int64_t> backward_ns;
  };
  void Expire(MonoTime now);
  void TakeTimes(const StampReply& reply, int64_t wall_ns, MonoTime now, Packet* packet);
  void TakeCount(uint32_t count, uint32_t sequence, Packet* packet);
  void FillTimes(size_t first, PathSample* sample) const;
  void FillDirections(size_t first, size_t end, PathSample* sample) const;

  Options options_;
  StampKey key_;
  uint32_t next_;               // the next packet's sequence number
  std::deque<Packet> packets_;  // in order of sequence; the last is next_ - 1
  size_t decided_ = 0;          // of packets_, from the front: answered or overdue
  bool any_taken_ = false;
  uint32_t newest_sequence_ = 0;  // of the answered ones, that with the largest sequence number
  uint32_t newest_count_ = 0;
  uint32_t era_ = 0;
  StampSessionCounters counters_;
};

}  // namespace dyncast::agent
