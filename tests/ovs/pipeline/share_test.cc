// Which instance the switch chooses: SlotOf says it beforehand, and shares are exact.
#include <cmath>
#include <map>
#include <random>

#include "ovs-integration/pipeline/match_text.h"
#include "tests/ovs/pipeline/learn_fixture.h"

namespace dyncast::test {
namespace {

constexpr unsigned kSeed = 20;
constexpr size_t kDemands = 20000;

using Counts = std::map<IpAddress, size_t>;

// Each count within the 99.9% interval of a binomial with the wanted share.
void ExpectShares(const Counts& counts, const std::vector<std::pair<IpAddress, double>>& weights) {
  constexpr double kQuantile = 3.2905;
  double all = 0;
  for (const auto& [bid, weight] : weights) all += weight;
  size_t seen = 0;
  for (const auto& [bid, weight] : weights) {
    const double share = weight / all;
    const double wanted = share * kDemands;
    const auto found = counts.find(bid);
    const size_t count = found == counts.end() ? 0 : found->second;
    seen += count;
    EXPECT_NEAR(static_cast<double>(count), wanted, kQuantile * std::sqrt(wanted * (1 - share)))
        << bid.ToString() << " seed " << kSeed;
  }
  EXPECT_EQ(seen, kDemands);
}

class ShareTest : public LearnTest {
 protected:
  // kDemands first packets of different clients and ports: who they went to. Fails where it is not the
  // instance that SlotOf names.
  Counts Send(uint16_t service, DemandFrame demand) {
    std::mt19937 random(kSeed);
    std::vector<Bytes> frames;
    std::map<std::pair<IpAddress, uint16_t>, IpAddress> predicted;
    while (predicted.size() < kDemands) {
      if (demand.src.is_v4()) {
        demand.src = IpAddress::V4(0xc0a80000u | (random() & 0xffffu));
      } else {
        auto octets = demand.src.octets();
        for (size_t i = 8; i < 16; ++i) octets[i] = static_cast<uint8_t>(random());
        demand.src = IpAddress::V6(octets);
      }
      if (demand.src == Ip("192.168.0.1")) continue;
      demand.src_port = static_cast<uint16_t>(1 + random() % 65535);
      const auto [at, added] = predicted.try_emplace({demand.src, demand.src_port});
      if (!added) continue;
      at->second = BidOf(Predicted(service, demand));
      frames.push_back(Build(demand));
    }
    InjectAll("acc", frames);
    const Result<std::vector<Bytes>> sent = ovs->WaitSent("edge", kDemands);
    EXPECT_TRUE(sent.ok()) << sent.error().ToString();
    Counts counts;
    size_t wrong = 0;
    if (sent.ok()) {
      for (size_t i = 0; i < sent->size(); ++i) {
        const Bytes& frame = (*sent)[i];
        const IpAddress bid = DestinationOf(frame);
        const size_t port_at = demand.src.is_v4() ? 34 : 54;
        const auto port = static_cast<uint16_t>(frame[port_at] * 256 + frame[port_at + 1]);
        const auto found = predicted.find({SourceOf(frame), port});
        if (found == predicted.end() || found->second != bid) ++wrong;
        ++counts[bid];
      }
    }
    EXPECT_EQ(wrong, 0u);
    return counts;
  }
};

TEST_F(ShareTest, OneToFourByHashAlone) {
  const Counts counts = Send(18, Demand6(18));
  std::vector<std::pair<IpAddress, double>> weights;
  for (uint16_t i = 5; i <= 8; ++i) {
    weights.emplace_back(BidOf(InstanceId{static_cast<uint16_t>(180 + i)}), i - 4);
  }
  ExpectShares(counts, weights);
}

TEST_F(ShareTest, OneToHundredByHashAlone) {
  Service(18).slots_v4 = SlotsFor({{InstanceId{181}, 1}, {InstanceId{182}, 100}});
  Install();
  ExpectShares(Send(18, Demand4(18)), {{BidOf(InstanceId{181}), 1}, {BidOf(InstanceId{182}), 100}});
}

TEST_F(ShareTest, OneToFourWithGenerations) {
  const Counts counts = Send(16, Demand4(16));
  std::vector<std::pair<IpAddress, double>> weights;
  for (uint16_t i = 1; i <= 4; ++i) {
    weights.emplace_back(BidOf(InstanceId{static_cast<uint16_t>(160 + i)}), i);
  }
  ExpectShares(counts, weights);
  const Result<std::string> held = ovs->Ofctl({"dump-aggregate", ovs->Management("br0"), "table=21"});
  ASSERT_TRUE(held.ok());
  EXPECT_THAT(*held, testing::HasSubstr("flow_count=20000"));
}

// A tenth of the weight moves: a tenth of new demands goes elsewhere, not one more.
TEST_F(ShareTest, MovedSlotsMoveOnlyTheirDemands) {
  const std::vector<InstanceId> before = Service(18).slots_v4;
  std::vector<InstanceId> after = before;
  size_t moved = 0;
  for (InstanceId& id : after) {
    if (id != InstanceId{184} || moved == kSlots / 10) continue;
    id = InstanceId{181};
    ++moved;
  }
  std::mt19937 random(kSeed);
  size_t other = 0;
  DemandFrame demand = Demand4(18);
  for (size_t i = 0; i < kDemands; ++i) {
    demand.src = IpAddress::V4(0xc0a80000u | (random() & 0xffffu));
    demand.src_port = static_cast<uint16_t>(1 + random() % 65535);
    const size_t slot = pipeline::SlotOf(KeyOf(18, demand), kSlots);
    if (before[slot] != after[slot]) ++other;
  }
  EXPECT_NEAR(static_cast<double>(other) / kDemands, 0.1, 0.008);
}

// Keys of all shapes against the switch's own account.
TEST_F(ShareTest, SlotOfIsWhatTraceSays) {
  std::mt19937 random(kSeed);
  constexpr int kTraces = 200;
  for (int i = 0; i < kTraces; ++i) {
    const auto id = static_cast<uint16_t>(11 + random() % 5);
    const bool v4 = random() % 2 == 0;
    DemandFrame demand = v4 ? Demand4(id) : Demand6(id);
    if (v4) {
      demand.src = IpAddress::V4(0xc0a80000u | (random() & 0xffffu));
    } else {
      demand.src = Ip("fd10::" + std::to_string(random() % 9999) + ":" + std::to_string(random() % 9999));
    }
    demand.src_port = static_cast<uint16_t>(1 + random() % 65535);
    constexpr IpProto kProtos[] = {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp};
    demand.proto = kProtos[random() % 4];
    std::string flow = "in_port=1,dl_dst=02:00:00:00:01:01," + std::string(IpProtoName(demand.proto)) +
                       (v4 ? ",nw_src=" : "6,ipv6_src=") + demand.src.ToString() +
                       (v4 ? ",nw_dst=" : ",ipv6_dst=") + demand.dst.ToString();
    const std::string proto(IpProtoName(demand.proto));
    flow += demand.proto == IpProto::kIcmp ? std::string(v4 ? ",icmp_type=8" : ",icmpv6_type=128")
                                           : "," + proto + "_src=" + std::to_string(demand.src_port) + "," +
                                                 proto + "_dst=" + std::to_string(demand.dst_port);
    flow += ",nw_ttl=64";
    const Result<std::string> trace = ovs->Trace("br0", flow);
    ASSERT_TRUE(trace.ok()) << trace.error().ToString();
    const size_t slot = pipeline::SlotOf(KeyOf(id, demand), kSlots);
    EXPECT_THAT(*trace, testing::HasSubstr("using bucket " + std::to_string(slot) + "\n")) << flow;
  }
}

}  // namespace
}  // namespace dyncast::test
