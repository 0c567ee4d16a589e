#include "tests/support/pktgen/frame.h"

#include <gtest/gtest.h>

#include <tuple>

namespace dyncast::pktgen {
namespace {

class FrameTest : public testing::TestWithParam<std::tuple<Transport, bool, uint16_t>> {
 protected:
  Transport transport() const { return std::get<0>(GetParam()); }
  bool v6() const { return std::get<1>(GetParam()); }
  FrameWriter::Shape Shape() const {
    return {.source = MacAddress{{2, 0, 0, 0, 0, 1}},
            .destination = MacAddress{{2, 0, 0, 0, 0, 2}},
            .vlan = std::get<2>(GetParam()),
            .transport = transport(),
            .tcp_flags = TcpFlags::kSyn,
            .sid = IpAddress::Parse(v6() ? "fd96::1" : "10.96.0.1").value(),
            .ttl = 63,
            .padding_bytes = 5};
  }
  FlowKey Key() const {
    return {.client = IpAddress::Parse(v6() ? "fd10::7:9" : "192.168.7.9").value(),
            .source_port = 40001,
            .port = 443};
  }
  std::vector<uint8_t> Frame(uint32_t sequence) const {
    const FrameWriter writer(Shape());
    std::vector<uint8_t> frame(writer.size());
    writer.Prepare(frame);
    // Written twice: what the packet before left must not matter.
    writer.Write({.client = Shape().sid, .source_port = 65535, .port = 1}, {.run = 1, .sequence = 0xffffffff},
                 frame);
    writer.Write(Key(), {.run = 77, .sequence = sequence, .flow = 5, .sent_ns = 123, .stream = 1}, frame);
    return frame;
  }
};

TEST_P(FrameTest, IsReadBackAsItWasWritten) {
  for (uint32_t sequence = 0; sequence < 70000; sequence += 997) {
    const auto frame = Frame(sequence);
    const auto seen = ReadFrame(frame, 77);
    ASSERT_TRUE(seen);
    EXPECT_TRUE(seen->checksums_right) << sequence;
    EXPECT_EQ(seen->stamp.sequence, sequence);
    EXPECT_EQ(seen->stamp.flow, 5u);
    EXPECT_EQ(seen->stamp.sent_ns, 123u);
    EXPECT_EQ(seen->stamp.kind, StampKind::kDemand);
    EXPECT_EQ(seen->source, Key().client);
    EXPECT_EQ(seen->destination, Shape().sid);
    EXPECT_EQ(seen->ttl, 63);
    EXPECT_EQ(seen->source_port, 40001);
    EXPECT_EQ(seen->port, transport() == Transport::kIcmp ? 0 : 443);
    EXPECT_EQ(seen->end, frame.size());
  }
}

TEST_P(FrameTest, AChangedAddressOrPortOrPayloadIsABadChecksum) {
  const auto good = Frame(9);
  const auto seen = ReadFrame(good, 77);
  ASSERT_TRUE(seen);
  // SCTP's checksum does not cover the IP header, ICMP's (v4) neither; the header's own does in IPv4.
  const size_t address = seen->ip + (v6() ? 8 + 15 : 12 + 3);
  for (const size_t at : {address, seen->l4 + 4, seen->end - 1}) {
    if (at == address && v6() && transport() == Transport::kSctp) {
      continue;
    }
    auto bad = good;
    bad[at] ^= 0x20;
    const auto again = ReadFrame(bad, 77);
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->checksums_right) << at;
  }
}

TEST_P(FrameTest, AnotherRunsFramesAndCutOnesAreNotOurs) {
  const auto frame = Frame(9);
  EXPECT_FALSE(ReadFrame(frame, 78));
  for (size_t size = 0; size < frame.size(); ++size) {
    EXPECT_FALSE(ReadFrame(std::span(frame).first(size), 77)) << size;
  }
}

TEST_P(FrameTest, TheAnswerGoesBackWithRightChecksums) {
  auto frame = Frame(9);
  const auto demand = ReadFrame(frame, 77);
  ASSERT_TRUE(demand);
  MakeAnswer(*demand, frame);
  const auto answer = ReadFrame(frame, 77);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->checksums_right);
  EXPECT_EQ(answer->stamp.kind, StampKind::kAnswer);
  EXPECT_EQ(answer->source, Shape().sid);
  EXPECT_EQ(answer->destination, Key().client);
  if (transport() != Transport::kIcmp) {
    EXPECT_EQ(answer->source_port, 443);
    EXPECT_EQ(answer->port, 40001);
  }
  EXPECT_EQ(frame[5], 1);
  EXPECT_EQ(frame[11], 2);
}

INSTANTIATE_TEST_SUITE_P(All, FrameTest,
                         testing::Combine(testing::Values(Transport::kUdp, Transport::kTcp, Transport::kSctp,
                                                          Transport::kIcmp),
                                          testing::Bool(), testing::Values(0, 7)));

}  // namespace
}  // namespace dyncast::pktgen
