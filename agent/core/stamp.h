// STAMP test packets (RFC 8762 section 4, with the session identifier of RFC 8972 section 3): bytes to values
// and back. Both modes: unauthenticated, 44 octets, and authenticated, 112 octets of which the last 16 are an
// HMAC-SHA-256 over the first 96, cut to 128 bits (RFC 8762 section 4.4). A packet may be longer: what
// follows is padding or TLVs, which are never looked at. Pure, and safe for any bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dyncast::agent {

inline constexpr size_t kStampOctets = 44;
inline constexpr size_t kStampAuthOctets = 112;
inline constexpr uint16_t kStampPort = 862;  // the registered UDP port

// The key of a session's HMAC. Empty: the session is unauthenticated. It has no form for a log.
class StampKey {
 public:
  StampKey() = default;
  explicit StampKey(std::string octets) : octets_(std::move(octets)) {}
  bool empty() const { return octets_.empty(); }
  std::string_view octets() const { return octets_; }
  friend bool operator==(const StampKey&, const StampKey&) = default;

 private:
  std::string octets_;
};

// Octets of the shortest packet of a session with this key.
inline size_t StampBaseOctets(const StampKey& key) { return key.empty() ? kStampOctets : kStampAuthOctets; }

// Sender to reflector.
struct StampTest {
  uint32_t sequence = 0;
  uint64_t timestamp = 0;  // T1, in the format that error_estimate names
  uint16_t error_estimate = 0;
  uint16_t ssid = 0;  // 0: a sender without identifiers
  friend bool operator==(const StampTest&, const StampTest&) = default;
};

// Reflector to sender: its own numbers, and a copy of what it got.
struct StampReply {
  uint32_t sequence = 0;   // the reflector's own count (stateful), or a copy of `test.sequence` (stateless)
  uint64_t timestamp = 0;  // T3
  uint16_t error_estimate = 0;
  uint16_t ssid = 0;
  uint64_t received = 0;  // T2
  StampTest test;         // its ssid is not carried a second time: 0
  uint8_t test_ttl = 0;   // TTL or hop limit with which the test packet arrived
  friend bool operator==(const StampReply&, const StampReply&) = default;
};

enum class StampFault : uint8_t {
  kNone,
  kShort,   // less than the mode's base length
  kForged,  // the HMAC is not the key's
};

// `*to` is set only with kNone. Fields that must be zero are not looked at, as the RFC demands.
StampFault ReadStampTest(std::string_view octets, const StampKey& key, StampTest* to);
StampFault ReadStampReply(std::string_view octets, const StampKey& key, StampReply* to);

std::string WriteStampTest(const StampTest& test, const StampKey& key);
// `padding` follows the base packet: what the test packet had after its own, so that the answer is as long.
std::string WriteStampReply(const StampReply& reply, const StampKey& key, std::string_view padding);

// ---- Time ---------------------------------------------------------------------------------------

// What our error estimates say: NTP format, no claim of being synchronised, about 1 ms (RFC 4656 section
// 4.1.2: multiplier * 2^(scale - 32) seconds; here scale 22, multiplier 1).
inline constexpr uint16_t kStampErrorEstimate = 22 << 8 | 1;

// Unix nanoseconds as an NTP timestamp (RFC 5905 section 6), and a timestamp of either format as Unix
// nanoseconds: NTP from 1968 to 2104, or the truncated PTP format where the error estimate's Z bit says so
// (RFC 8186), whose seconds are taken as they are, since only differences of one clock are ever used.
uint64_t NtpFromUnix(int64_t unix_ns);
int64_t UnixFromStamp(uint64_t timestamp, uint16_t error_estimate);

}  // namespace dyncast::agent
