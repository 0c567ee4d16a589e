#include "tests/support/pktgen/tally.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/support/pktgen/flow_space.h"
#include "tests/support/pktgen/neighbours.h"

namespace dyncast::pktgen {
namespace {

TEST(TallyTest, CountsEachPacketOnceAndSeesMoves) {
  Tally tally(3, 100, 2);
  EXPECT_TRUE(tally.Delivered(0, 0, 0, 1000));
  EXPECT_FALSE(tally.Delivered(0, 0, 1, 1500));  // a second copy, even elsewhere, is a duplicate
  EXPECT_TRUE(tally.Delivered(1, 1, 1, 2000));
  EXPECT_TRUE(tally.Delivered(1, 2, 1, 3000));
  EXPECT_EQ(tally.flows_moved, 0u);
  EXPECT_TRUE(tally.Delivered(0, 3, 1, 4000));
  EXPECT_TRUE(tally.Delivered(0, 4, 0, 9000));  // and back: one flow, two moves
  EXPECT_EQ(tally.delivered, 5u);
  EXPECT_EQ(tally.duplicates, 1u);
  EXPECT_EQ(tally.flows_moved, 1u);
  EXPECT_EQ(tally.first_move_ns, 4000u);
  EXPECT_EQ(tally.last_move_ns, 9000u);
  EXPECT_EQ(tally.max_gap_ns, 5000u);
  EXPECT_EQ(tally.per_instance, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(tally.first_instance(), (std::vector<uint16_t>{0, 1, kNobody}));
  EXPECT_EQ(tally.instance_last_ns, (std::vector<uint64_t>{9000, 4000}));
  EXPECT_FALSE(tally.Delivered(3, 5, 0, 1));  // no such flow
}

TEST(HistogramTest, QuantilesAreRightToAStep) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> delays(11, 2);
  Histogram histogram;
  std::vector<uint64_t> all;
  for (int i = 0; i < 20000; ++i) {
    all.push_back(static_cast<uint64_t>(delays(random)));
    histogram.Add(all.back());
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(all[static_cast<size_t>(share * 20000)]);
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(share)), exact, exact * 0.016 + 1) << share;
  }
  EXPECT_EQ(histogram.Quantile(1), all.back());
}

TEST(FlowSpaceTest, FlowsAreDistinctInBothOrders) {
  for (const FlowOrder order : {FlowOrder::kPortsFirst, FlowOrder::kClientsFirst}) {
    const FlowSpace space{.first_client = IpAddress::V4(0x0a0000ff),
                          .clients = 7,
                          .client_step = 256,
                          .sid = IpAddress::V4(0x0a600001),
                          .first_source_port = 65530,
                          .source_ports = 6,
                          .first_port = 80,
                          .ports = 3,
                          .order = order};
    std::set<std::tuple<IpAddress, uint16_t, uint16_t>> seen;
    std::set<std::string> groups;
    for (uint64_t flow = 0; flow < space.size(); ++flow) {
      const FlowKey key = space.At(flow);
      EXPECT_TRUE(space.IsClient(key.client));
      seen.emplace(key.client, key.source_port, key.port);
      groups.insert(space.GroupOf(key, GroupKind::k4Tuple, 128));
    }
    EXPECT_EQ(seen.size(), 7u * 6 * 3);
    EXPECT_EQ(groups.size(), 7u * 3);
    EXPECT_EQ(space.At(1).client == space.At(0).client, order == FlowOrder::kPortsFirst);
    EXPECT_FALSE(space.IsClient(IpAddress::V4(0x0a000100)));
    EXPECT_FALSE(space.IsClient(IpAddress::V4(0x0a0007ff)));
  }
}

TEST(NeighboursTest, QuestionsAreAnsweredForOurAddressesOnly) {
  const MacAddress asker{{2, 0, 0, 0, 0, 1}};
  const MacAddress own{{2, 0, 0, 0, 0, 2}};
  for (const char* text : {"10.0.0.2", "fd00::12:3456"}) {
    const IpAddress target = IpAddress::Parse(text).value();
    const IpAddress sender = IpAddress::Parse(target.is_v4() ? "10.0.0.1" : "fd00::1").value();
    const auto question = AskNeighbour(asker, sender, target);
    EXPECT_FALSE(AnswerNeighbour(question, own, [](const IpAddress&) { return false; }));
    const auto answer = AnswerNeighbour(question, own, [&](const IpAddress& a) { return a == target; });
    ASSERT_TRUE(answer) << text;
    EXPECT_EQ(NeighbourAnswer(*answer, target), own);
    EXPECT_FALSE(NeighbourAnswer(*answer, sender));
    EXPECT_FALSE(NeighbourAnswer(question, target));
  }
}

}  // namespace
}  // namespace dyncast::pktgen
