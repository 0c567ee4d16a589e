// Any octets in place of a STAMP packet, for both modes and both ends. The first octet says which; with its
// lowest bit the packet's HMAC is made right, so that what lies behind it is reached. An answer is as long as
// its question and is taken once by the session that asked.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/core/stamp_reflector.h"
#include "agent/core/stamp_session.h"

namespace {

using namespace dyncast;         // NOLINT: a fuzzer's entry
using namespace dyncast::agent;  // NOLINT

constexpr int64_t kWall = 1700000000000000000;
const StampKey kKey("a key of sixteen or more");

void Require(bool holds) {
  if (!holds) std::abort();
}

MonoTime At(int64_t us) { return MonoTime{Micros{1000000 + us}}; }

void AsQuestion(std::string octets, const StampKey& key, bool sign) {
  StampTest test;
  if (sign && octets.size() >= kStampAuthOctets && ReadStampTest(octets, {}, &test) == StampFault::kNone) {
    test.timestamp ^= 1;
    octets = WriteStampTest(test, key) + octets.substr(StampBaseOctets(key));
  }
  StampReflector reflector({.senders = {*IpPrefix::Parse("10.0.0.0/8")}, .rate_limit = 3}, key);
  const StampArrival arrival = {.source = *IpAddress::Parse("10.0.0.1"),
                                .source_port = 1,
                                .destination = *IpAddress::Parse("10.0.0.2"),
                                .destination_port = kStampPort,
                                .ttl = 1,
                                .wall_ns = kWall};
  StampReply reply;
  const StampVerdict verdict = reflector.Admit(octets, arrival, At(0), &reply);
  if (verdict != StampVerdict::kAnswered) {
    Require(verdict == StampVerdict::kShort || (!key.empty() && verdict == StampVerdict::kForged));
    return;
  }
  const std::string answer =
      WriteStampReply(reply, key, std::string_view(octets).substr(StampBaseOctets(key)));
  Require(answer.size() == octets.size());
  StampReply again;
  Require(ReadStampReply(answer, key, &again) == StampFault::kNone && again == reply);
  Require(reflector.Admit(octets, arrival, At(0), &reply) == StampVerdict::kReplayed);
}

void AsAnswer(std::string octets, const StampKey& key, bool sign) {
  StampSession session({.ssid = 9}, key);
  const std::string question = session.Send(kWall, At(0));
  StampReply reply;
  // Make it an answer to the question: only the reflector's own fields are the fuzzer's.
  if (sign && ReadStampReply(octets, {}, &reply) == StampFault::kNone) {
    Require(ReadStampTest(question, key, &reply.test) == StampFault::kNone);
    reply.ssid = reply.ssid % 2 == 0 ? 9 : reply.ssid;
    octets = WriteStampReply(reply, key, "");
  }
  const StampFate fate = session.OnReply(octets, kWall + 1000, At(1));
  if (fate == StampFate::kTaken) {
    Require(session.OnReply(octets, kWall + 1000, At(2)) == StampFate::kDuplicate);
  }
  const auto path = session.Window(At(600000));
  Require(path && path->sent == 1 && path->loss == (fate == StampFate::kTaken ? 0 : 1));
  if (path->rtt) Require(path->rtt->count() >= 0 && path->rtt->count() <= 1000 && path->rtt_min <= path->rtt);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string octets(reinterpret_cast<const char*>(data + 1), size - 1);
  const bool sign = (data[0] & 1) != 0;
  const StampKey key = (data[0] & 2) != 0 ? kKey : StampKey();
  if ((data[0] & 4) != 0) {
    AsAnswer(octets, key, sign);
  } else {
    AsQuestion(octets, key, sign);
  }
  return 0;
}
