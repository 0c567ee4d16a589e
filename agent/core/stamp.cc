#include "agent/core/stamp.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

namespace dyncast::agent {
namespace {

constexpr size_t kHmacAt = 96;
constexpr size_t kHmacOctets = 16;
constexpr int64_t kNtpToUnix = 2208988800;  // seconds from 1900 to 1970
constexpr int64_t kNanos = 1000000000;
constexpr uint16_t kPtpFormat = 0x4000;  // the error estimate's Z bit

// Where each field stands: in a test packet, in a reply.
struct TestLayout {
  size_t sequence, timestamp, error_estimate, ssid;
};
constexpr TestLayout kTest = {.sequence = 0, .timestamp = 4, .error_estimate = 12, .ssid = 14};
constexpr TestLayout kTestAuth = {.sequence = 0, .timestamp = 16, .error_estimate = 24, .ssid = 26};

struct ReplyLayout {
  TestLayout own;
  size_t received, test_sequence, test_timestamp, test_error_estimate, test_ttl;
};
constexpr ReplyLayout kReply = {.own = kTest,
                                .received = 16,
                                .test_sequence = 24,
                                .test_timestamp = 28,
                                .test_error_estimate = 36,
                                .test_ttl = 40};
constexpr ReplyLayout kReplyAuth = {.own = kTestAuth,
                                    .received = 32,
                                    .test_sequence = 48,
                                    .test_timestamp = 64,
                                    .test_error_estimate = 72,
                                    .test_ttl = 80};

template <typename T>
T Get(std::string_view octets, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8 | static_cast<uint8_t>(octets[at + i]));
  }
  return value;
}

template <typename T>
void Put(std::string* octets, size_t at, T value) {
  for (size_t i = sizeof(T); i-- > 0;) {
    (*octets)[at + i] = static_cast<char>(value & 0xff);
    value = static_cast<T>(value >> 8);
  }
}

std::array<char, kHmacOctets> Hmac(std::string_view octets, const StampKey& key) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> whole{};
  HMAC(EVP_sha256(), key.octets().data(), static_cast<int>(key.octets().size()),
       reinterpret_cast<const unsigned char*>(octets.data()), kHmacAt, whole.data(), nullptr);
  std::array<char, kHmacOctets> cut;
  for (size_t i = 0; i < kHmacOctets; ++i) cut[i] = static_cast<char>(whole[i]);
  return cut;
}

StampFault Check(std::string_view octets, const StampKey& key) {
  if (octets.size() < StampBaseOctets(key)) return StampFault::kShort;
  if (key.empty()) return StampFault::kNone;
  const std::array<char, kHmacOctets> right = Hmac(octets, key);
  const bool equal = CRYPTO_memcmp(right.data(), octets.data() + kHmacAt, kHmacOctets) == 0;
  return equal ? StampFault::kNone : StampFault::kForged;
}

void Sign(std::string* octets, const StampKey& key) {
  if (key.empty()) return;
  const std::array<char, kHmacOctets> hmac = Hmac(*octets, key);
  octets->replace(kHmacAt, kHmacOctets, hmac.data(), kHmacOctets);
}

}  // namespace

StampFault ReadStampTest(std::string_view octets, const StampKey& key, StampTest* to) {
  if (const StampFault fault = Check(octets, key); fault != StampFault::kNone) return fault;
  const TestLayout& at = key.empty() ? kTest : kTestAuth;
  *to = {.sequence = Get<uint32_t>(octets, at.sequence),
         .timestamp = Get<uint64_t>(octets, at.timestamp),
         .error_estimate = Get<uint16_t>(octets, at.error_estimate),
         .ssid = Get<uint16_t>(octets, at.ssid)};
  return StampFault::kNone;
}

StampFault ReadStampReply(std::string_view octets, const StampKey& key, StampReply* to) {
  if (const StampFault fault = Check(octets, key); fault != StampFault::kNone) return fault;
  const ReplyLayout& at = key.empty() ? kReply : kReplyAuth;
  *to = {.sequence = Get<uint32_t>(octets, at.own.sequence),
         .timestamp = Get<uint64_t>(octets, at.own.timestamp),
         .error_estimate = Get<uint16_t>(octets, at.own.error_estimate),
         .ssid = Get<uint16_t>(octets, at.own.ssid),
         .received = Get<uint64_t>(octets, at.received),
         .test = {.sequence = Get<uint32_t>(octets, at.test_sequence),
                  .timestamp = Get<uint64_t>(octets, at.test_timestamp),
                  .error_estimate = Get<uint16_t>(octets, at.test_error_estimate),
                  .ssid = 0},
         .test_ttl = Get<uint8_t>(octets, at.test_ttl)};
  return StampFault::kNone;
}

std::string WriteStampTest(const StampTest& test, const StampKey& key) {
  std::string octets(StampBaseOctets(key), '\0');
  const TestLayout& at = key.empty() ? kTest : kTestAuth;
  Put(&octets, at.sequence, test.sequence);
  Put(&octets, at.timestamp, test.timestamp);
  Put(&octets, at.error_estimate, test.error_estimate);
  Put(&octets, at.ssid, test.ssid);
  Sign(&octets, key);
  return octets;
}

std::string WriteStampReply(const StampReply& reply, const StampKey& key, std::string_view padding) {
  std::string octets(StampBaseOctets(key), '\0');
  const ReplyLayout& at = key.empty() ? kReply : kReplyAuth;
  Put(&octets, at.own.sequence, reply.sequence);
  Put(&octets, at.own.timestamp, reply.timestamp);
  Put(&octets, at.own.error_estimate, reply.error_estimate);
  Put(&octets, at.own.ssid, reply.ssid);
  Put(&octets, at.received, reply.received);
  Put(&octets, at.test_sequence, reply.test.sequence);
  Put(&octets, at.test_timestamp, reply.test.timestamp);
  Put(&octets, at.test_error_estimate, reply.test.error_estimate);
  Put(&octets, at.test_ttl, reply.test_ttl);
  Sign(&octets, key);
  octets.append(padding);
  return octets;
}

uint64_t NtpFromUnix(int64_t unix_ns) {
  int64_t seconds = unix_ns / kNanos;
  int64_t nanos = unix_ns % kNanos;
  if (nanos < 0) {
    nanos += kNanos;
    --seconds;
  }
  const auto since_1900 = static_cast<uint32_t>(seconds + kNtpToUnix);  // modulo the era
  return static_cast<uint64_t>(since_1900) << 32 | (static_cast<uint64_t>(nanos) << 32) / kNanos;
}

int64_t UnixFromStamp(uint64_t timestamp, uint16_t error_estimate) {
  const auto high = static_cast<uint32_t>(timestamp >> 32);
  const auto low = static_cast<uint32_t>(timestamp);
  if ((error_estimate & kPtpFormat) != 0) return static_cast<int64_t>(high) * kNanos + low;
  // Era 1 begins in 2036: a clear first bit means seconds after that (RFC 4330 section 3).
  int64_t seconds = static_cast<int64_t>(high) - kNtpToUnix;
  if ((high & 0x80000000u) == 0) seconds += int64_t{1} << 32;
  const uint64_t nanos = (static_cast<uint64_t>(low) * kNanos + (uint64_t{1} << 31)) >> 32;
  return seconds * kNanos + static_cast<int64_t>(nanos);
}

}  // namespace dyncast::agent
