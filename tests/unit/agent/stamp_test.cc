// The packets' octets, against octets and HMACs that were made by another program (Python's struct and hmac).
#include "agent/core/stamp.h"

#include <gtest/gtest.h>

namespace dyncast::agent {
namespace {

const StampKey kKey("0123456789abcdef-key");
const StampKey kNone;
constexpr int64_t kSecond = 1000000000;

std::string FromHex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string octets;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    octets += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }
  return octets;
}

StampTest Asked() {
  return {.sequence = 0x01020304,
          .timestamp = NtpFromUnix(1700000000 * kSecond + 250000000),
          .error_estimate = kStampErrorEstimate,
          .ssid = 0xbeef};
}

StampReply Answered() {
  StampReply reply;
  reply.sequence = 7;
  reply.timestamp = NtpFromUnix(1700000001 * kSecond + 500000000);
  reply.error_estimate = kStampErrorEstimate;
  reply.ssid = 0xbeef;
  reply.received = NtpFromUnix(1700000001 * kSecond);
  reply.test = Asked();
  reply.test.ssid = 0;
  reply.test_ttl = 63;
  return reply;
}

const std::string kZeros28(28, '\0');

TEST(Stamp, WritesAnUnauthenticatedTestAsTheRfcHasIt) {
  EXPECT_EQ(WriteStampTest(Asked(), kNone), FromHex("01020304e8fe6f80400000001601beef") + kZeros28);
}

TEST(Stamp, WritesAnUnauthenticatedReplyAsTheRfcHasIt) {
  EXPECT_EQ(
      WriteStampReply(Answered(), kNone, ""),
      FromHex("00000007e8fe6f81800000001601beefe8fe6f810000000001020304e8fe6f8040000000160100003f000000"));
}

TEST(Stamp, SignsATest) {
  EXPECT_EQ(WriteStampTest(Asked(), kKey),
            FromHex("01020304000000000000000000000000e8fe6f80400000001601beef") + std::string(68, '\0') +
                FromHex("fee93325865cc68ff09a2b3d73c52c26"));
}

TEST(Stamp, SignsAReply) {
  EXPECT_EQ(WriteStampReply(Answered(), kKey, ""),
            FromHex("00000007000000000000000000000000e8fe6f81800000001601beef00000000e8fe6f8100000000"
                    "000000000000000001020304000000000000000000000000e8fe6f804000000016010000000000003f") +
                std::string(15, '\0') + FromHex("2e5e669c3cd90c30f21e1e1f569f3744"));
}

TEST(Stamp, ReadsWhatItWrites) {
  for (const StampKey& key : {kNone, kKey}) {
    StampTest test;
    ASSERT_EQ(ReadStampTest(WriteStampTest(Asked(), key), key, &test), StampFault::kNone);
    EXPECT_EQ(test, Asked());
    StampReply reply;
    ASSERT_EQ(ReadStampReply(WriteStampReply(Answered(), key, "padding"), key, &reply), StampFault::kNone);
    EXPECT_EQ(reply, Answered());
  }
}

TEST(Stamp, APaddedReplyIsAsLongAsItsQuestion) {
  const std::string padding(1000, 'p');
  for (const StampKey& key : {kNone, kKey}) {
    const std::string question = WriteStampTest(Asked(), key) + padding;
    const std::string answer = WriteStampReply(Answered(), key, padding);
    EXPECT_EQ(answer.size(), question.size());
    EXPECT_EQ(answer.substr(StampBaseOctets(key)), padding);
  }
}

TEST(Stamp, RefusesWhatIsShort) {
  for (const StampKey& key : {kNone, kKey}) {
    const std::string whole = WriteStampReply(Answered(), key, "");
    for (size_t size = 0; size < whole.size(); ++size) {
      StampTest test;
      StampReply reply;
      EXPECT_EQ(ReadStampTest(whole.substr(0, size), key, &test), StampFault::kShort) << size;
      EXPECT_EQ(ReadStampReply(whole.substr(0, size), key, &reply), StampFault::kShort) << size;
      EXPECT_EQ(reply, StampReply());
    }
  }
}

TEST(Stamp, RefusesEveryChangedBitUnderTheHmac) {
  const std::string good = WriteStampTest(Asked(), kKey);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    StampTest test;
    EXPECT_EQ(ReadStampTest(bad, kKey, &test), StampFault::kForged) << bit;
  }
  StampTest test;
  EXPECT_EQ(ReadStampTest(good, StampKey("another key of 20 by"), &test), StampFault::kForged);
  // Octets behind the base packet are not covered: padding and TLVs are for those who know them.
  EXPECT_EQ(ReadStampTest(good + "more", kKey, &test), StampFault::kNone);
}

TEST(Stamp, NtpTimesKeepNanoseconds) {
  for (const int64_t time : {int64_t{0}, int64_t{1}, 1700000000 * kSecond + 999999999, 2085978495 * kSecond,
                             2085978496 * kSecond + 5,  // the first second of era 1, in 2036
                             int64_t{4000000000} * kSecond}) {
    EXPECT_EQ(UnixFromStamp(NtpFromUnix(time), kStampErrorEstimate), time);
  }
  EXPECT_EQ(NtpFromUnix(0), uint64_t{2208988800} << 32);
  EXPECT_EQ(NtpFromUnix(2085978496 * kSecond), 0u);
}

TEST(Stamp, ReadsTruncatedPtpTimes) {
  EXPECT_EQ(UnixFromStamp(uint64_t{1700000000} << 32 | 42, 0x4001), 1700000000 * kSecond + 42);
}

}  // namespace
}  // namespace dyncast::agent
