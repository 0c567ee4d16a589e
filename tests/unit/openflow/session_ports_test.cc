// Port counters: asked for, put together, and never a reason to end a session.
#include <gmock/gmock.h>

#include "ovs-integration/openflow/port_read.h"
#include "tests/unit/openflow/harness.h"

namespace dyncast {
namespace {

using openflow::Put16;
using openflow::Put32;
using openflow::Session;
using test::FakePort;
using test::Joined;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kNotCounted = UINT64_MAX;

// A session that has found its switch.
class Ports : public ::testing::Test {
 protected:
  void Start(test::FakeSwitchOptions options = {}) {
    joined_ = std::make_unique<Joined>(options);
    joined_->Pump();
    ASSERT_EQ(joined_->recorder.found.size(), 1u);
  }
  void Count() {
    joined_->session->CountPorts();
    joined_->Pump();
  }
  std::unique_ptr<Joined> joined_;
};

TEST_F(Ports, CountersAndSpeedsOfAll) {
  Start();
  joined_->fake.ports() = {
      {.number = 1,
       .in_packets = 10,
       .out_packets = 20,
       .in_bytes = 1000,
       .out_bytes = 2000,
       .in_dropped = 1,
       .out_dropped = 2,
       .speed_kbit_s = 10000000,
       .alive_s = 7,
       .alive_ns = 250000999},
      {.number = 7, .in_bytes = 5, .in_dropped = kNotCounted, .out_dropped = kNotCounted},
      {.number = 0xfffffffe, .out_bytes = 3},
      {.number = 0xfffffffd, .out_bytes = 9}};
  Count();
  ASSERT_EQ(joined_->recorder.ports.size(), 1u);
  const std::vector<PortCounters>& ports = joined_->recorder.ports[0];
  ASSERT_EQ(ports.size(), 3u) << "a reserved port is none";
  EXPECT_EQ(ports[0], (PortCounters{.number = PortNo{1},
                                    .in_bytes = 1000,
                                    .out_bytes = 2000,
                                    .in_packets = 10,
                                    .out_packets = 20,
                                    .in_dropped = 1,
                                    .out_dropped = 2,
                                    .speed_bit_s = 10000000000,
                                    .alive = Micros(7250000)}));
  EXPECT_EQ(ports[1].number, PortNo{7});
  EXPECT_FALSE(ports[1].in_dropped) << "not counted is absent";
  EXPECT_FALSE(ports[1].speed_bit_s);
  EXPECT_FALSE(ports[1].alive);
  EXPECT_EQ(ports[2].number, PortNo{0xfffe}) << "LOCAL";
  Count();
  EXPECT_EQ(joined_->recorder.ports.size(), 2u);
}

TEST_F(Ports, ASwitchThatRefusesHasNoneAndStaysConnected) {
  Start({.has_port_stats = false});
  const auto state = joined_->session->state();
  const uint64_t resyncs = joined_->counters.resyncs;
  Count();
  const uint64_t asked = joined_->fake.received(openflow::MsgType::kMultipartRequest);
  const uint64_t errors = joined_->counters.errors_received;
  Count();
  EXPECT_EQ(joined_->fake.received(openflow::MsgType::kMultipartRequest), asked) << "it has said no";
  EXPECT_EQ(joined_->counters.errors_received, errors);
  EXPECT_THAT(joined_->recorder.ports, IsEmpty());
  EXPECT_EQ(joined_->session->state(), state);
  EXPECT_EQ(joined_->counters.resyncs, resyncs);
}

TEST_F(Ports, OneQuestionAtATime) {
  Start();
  joined_->fake.BeSilent(openflow::MsgType::kMultipartRequest);
  const uint64_t before = joined_->fake.received(openflow::MsgType::kMultipartRequest);
  for (int i = 0; i < 5; ++i) Count();
  EXPECT_EQ(joined_->fake.received(openflow::MsgType::kMultipartRequest), before + 2);
}

// A reply by hand, to the question that is open.
class PortReplies : public Ports {
 protected:
  // The ids of the last two questions: descriptions, statistics.
  void Ask() {
    Start();
    joined_->session->CountPorts();
    joined_->session->Run(joined_->now);
    const openflow::ByteView out = joined_->session->out().pending();
    for (size_t at = 0; at < out.size(); at += openflow::Get16(out.data() + at + 2)) {
      xids_.push_back(openflow::Get32(out.data() + at + 4));
    }
    joined_->session->out().Consume(out.size());
    ASSERT_GE(xids_.size(), 2u);
  }
  uint32_t desc_xid() const { return xids_[xids_.size() - 2]; }
  uint32_t stats_xid() const { return xids_.back(); }
  void Reply(uint32_t xid, uint16_t type, std::vector<uint8_t> body, bool more = false) {
    openflow::OutBuffer out;
    uint8_t* p = out.Message(openflow::MsgType::kMultipartReply, xid, 16 + body.size());
    Put16(p + 8, type);
    Put16(p + 10, more ? 1 : 0);
    std::copy(body.begin(), body.end(), p + 16);
    joined_->session->OnMessage(out.pending(), joined_->now);
  }
  std::vector<uint32_t> xids_;
};

TEST_F(PortReplies, NonsenseIsCountedAndTheNextQuestionIsAnotherChance) {
  std::vector<uint8_t> lies(80);
  Put16(lies.data(), 200);  // longer than it is
  std::vector<uint8_t> tiny(80);
  Put16(tiny.data(), 8);
  for (const std::vector<uint8_t>& body : {std::vector<uint8_t>(79), lies, tiny, std::vector<uint8_t>(1)}) {
    xids_.clear();
    Ask();
    Reply(stats_xid(), openflow::kMultipartPortStats, body);
    EXPECT_THAT(joined_->recorder.ports, IsEmpty());
    EXPECT_EQ(joined_->counters.malformed_received, 1u);
    EXPECT_FALSE(joined_->session->closed());
    joined_->fake.ports() = {{.number = 1}};
    Count();
    EXPECT_EQ(joined_->recorder.ports.size(), 1u);
  }
}

// A switch that never ends its answer does not fill our memory.
TEST_F(PortReplies, MorePortsThanThereCanBe) {
  Ask();
  std::vector<uint8_t> body(80 * 800);
  for (size_t at = 0; at < body.size(); at += 80) {
    Put16(body.data() + at, 80);
    Put32(body.data() + at + 4, 1);
  }
  for (int i = 0; i < 81; ++i) Reply(stats_xid(), openflow::kMultipartPortStats, body, true);
  EXPECT_EQ(joined_->counters.malformed_received, 0u);
  Reply(stats_xid(), openflow::kMultipartPortStats, body, true);
  EXPECT_EQ(joined_->counters.malformed_received, 1u);
  Reply(stats_xid(), openflow::kMultipartPortStats, {});
  EXPECT_THAT(joined_->recorder.ports, IsEmpty());
  EXPECT_FALSE(joined_->session->closed());
}

TEST_F(PortReplies, ALateAnswerIsNotTakenForTheNextQuestions) {
  Ask();
  const uint32_t old = stats_xid();
  joined_->now.mono += openflow::kReplyTimeout;
  openflow::OutBuffer alive;
  alive.Message(openflow::MsgType::kEchoRequest, 1, 8);
  joined_->session->OnMessage(alive.pending(), joined_->now);
  joined_->session->CountPorts();
  joined_->session->Run(joined_->now);
  Reply(old, openflow::kMultipartPortStats, {});
  EXPECT_THAT(joined_->recorder.ports, IsEmpty());
  joined_->Pump();
  EXPECT_EQ(joined_->recorder.ports.size(), 1u) << "the answer to the second question";
}

TEST_F(PortReplies, ABrokenDescriptionEndsTheQuestion) {
  Ask();
  std::vector<uint8_t> body(44);
  Put32(body.data(), 1);
  Put16(body.data() + 4, 44);
  Put16(body.data() + 42, 3);  // a property of 3 octets
  Reply(desc_xid(), openflow::kMultipartPortDesc, body);
  Reply(stats_xid(), openflow::kMultipartPortStats, {});
  EXPECT_THAT(joined_->recorder.ports, IsEmpty());
  EXPECT_EQ(joined_->counters.malformed_received, 1u);
}

TEST_F(PortReplies, AReplyOfAnotherTypeIsRefused) {
  Ask();
  Reply(stats_xid(), 1, {});
  EXPECT_EQ(joined_->counters.malformed_received, 1u);
  EXPECT_FALSE(joined_->session->closed());
}

TEST_F(PortReplies, NobodyAsked) {
  Start();
  Reply(0x12345678, openflow::kMultipartPortStats, std::vector<uint8_t>(80));
  EXPECT_THAT(joined_->recorder.ports, IsEmpty());
}

}  // namespace
}  // namespace dyncast
