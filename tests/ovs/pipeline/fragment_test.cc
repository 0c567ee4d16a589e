// Datagrams in fragments: the first and the later ones go to one instance, and come back from the D-SID.
#include <algorithm>

#include "ovs-integration/pipeline/packet.h"
#include "tests/ovs/pipeline/learn_fixture.h"

namespace dyncast::test {
namespace {

using testing::SizeIs;

// Octets of payload. OVS's connection tracking does not put fragments of less than 1200 octets together.
constexpr size_t kLarge = 1448;
constexpr size_t kSmall = 400;

class FragmentTest : public LearnTest {
 protected:
  // Each with an identification of its own, as hosts do.
  DemandFrame Datagram(DemandFrame demand, IpProto proto = IpProto::kUdp) {
    demand.identification = ++identification_;
    demand.proto = proto;
    demand.payload = std::string(3500, 'f');
    return demand;
  }
  void SetUp() override {
    LearnTest::SetUp();
    ASSERT_TRUE(Works(ovs->Monitor("br0")));
  }
  // Later fragments that the switch has left to the controller since the last call: `count` are awaited.
  std::vector<PacketIn> Punted(size_t count, const std::string& userdata) {
    const Result<std::vector<PacketIn>> all = ovs->WaitPacketIns(punted_ + count);
    EXPECT_TRUE(all.ok()) << all.error().ToString();
    std::vector<PacketIn> punted;
    if (!all.ok()) return punted;
    for (size_t i = punted_; i < all->size(); ++i) {
      EXPECT_EQ((*all)[i].userdata.substr(0, 2), userdata) << (*all)[i].text;
      punted.push_back((*all)[i]);
    }
    punted_ = all->size();
    return punted;
  }
  // Injects fragments and returns where they went, one for each. Does what the controller does to later ones
  // of IPv4.
  std::vector<IpAddress> Send(const std::vector<Bytes>& fragments) {
    const size_t before = ovs->Sent("edge").size();
    InjectAll("acc", fragments);
    if (MapLaterFragment(fragments.back())) {
      const std::vector<PacketIn> punted = Punted(fragments.size() - 1, "08");
      for (size_t i = 0; i < punted.size(); ++i) {
        const auto service = static_cast<uint16_t>(std::stoul(punted[i].userdata.substr(6), nullptr, 16));
        const InstanceId instance{
            static_cast<uint16_t>(std::stoul(punted[i].metadata.at("reg0"), nullptr, 16))};
        const auto mapped = pipeline::MapLaterFragment(fragments[1 + i], {}, BidOf(instance));
        EXPECT_TRUE(mapped.has_value());
        if (!mapped) return {};
        EXPECT_TRUE(Works(ovs->PacketOut("br0", punted[i].metadata.at("in_port"), *mapped,
                                         pipeline::DemandActions(ServiceId{service}, instance))));
      }
    }
    const Result<std::vector<Bytes>> sent = ovs->WaitSent("edge", before + fragments.size());
    EXPECT_TRUE(sent.ok()) << sent.error().ToString();
    std::vector<IpAddress> to;
    if (!sent.ok()) return to;
    for (size_t i = before; i < sent->size(); ++i) {
      to.push_back(DestinationOf((*sent)[i]));
      EXPECT_TRUE(SamePayload(fragments[i - before], (*sent)[i]));
    }
    return to;
  }
  static bool MapLaterFragment(const Bytes& frame) {
    return pipeline::MapLaterFragment(frame, {}, {}).has_value();
  }
  // Behind the addresses; of a first fragment but for its transport header, whose checksum follows them.
  static bool SamePayload(const Bytes& before, const Bytes& after) {
    constexpr size_t kHeaders = 14 + 40 + 8 + 20;
    const size_t headers = MapLaterFragment(before) ? 14 + 20 : kHeaders;
    return before.size() == after.size() &&
           std::equal(before.begin() + static_cast<std::ptrdiff_t>(headers), before.end(),
                      after.begin() + static_cast<std::ptrdiff_t>(headers));
  }
  // Later fragments of IPv6 do not show their protocol: services have one only.
  void Alone() {
    for (PlannedService& service : plan.services) service.spec.ports = {{IpProto::kUdp, 80, 80}};
    Install();
  }
  IpAddress Expected(uint16_t id, DemandFrame demand) {
    demand.proto = IpProto::kUdp;
    demand.src_port = demand.dst_port = 0;
    return BidOf(Predicted(id, demand));
  }

 private:
  uint16_t identification_ = 0;
  size_t punted_ = 0;
};

// First and later ones share a key without ports, whatever the service's key and store: the one of their
// client and protocol.
TEST_F(FragmentTest, GoToOneInstance) {
  Alone();
  for (uint16_t id = 11; id <= 19; ++id) {
    for (const DemandFrame& base : {Demand4(id), Demand6(id)}) {
      for (size_t octets : {kLarge, kSmall}) {
        // Connection tracking passes small ones on, but waits for the others with the last one.
        if (id == 17 && octets == kSmall) continue;
        const std::vector<Bytes> fragments = Fragments(Datagram(base), octets);
        EXPECT_THAT(Send(fragments),
                    testing::AllOf(SizeIs(fragments.size()), testing::Each(Expected(id, base))))
            << id << " " << base.src.ToString() << " " << octets;
      }
    }
  }
  EXPECT_THAT(Bindings(), SizeIs(10));
  EXPECT_THAT(Bindings("table=21"), SizeIs(4));
}

// Marks belong to connections, and connection tracking knows whose a fragment is.
TEST_F(FragmentTest, OfAMarkedConnectionGoWithIt) {
  Alone();
  for (const DemandFrame& base : {Demand4(17), Demand6(17)}) {
    DemandFrame whole = base;
    whole.proto = IpProto::kUdp;
    IpAddress bid = SendDemand(whole);
    // One whose instance is not that of its fragments' key.
    while (bid == Expected(17, base)) {
      ++whole.src_port;
      bid = SendDemand(whole);
    }
    EXPECT_THAT(Send(Fragments(Datagram(whole), kLarge)), testing::AllOf(SizeIs(3), testing::Each(bid)))
        << base.src.ToString();
  }
}

TEST_F(FragmentTest, OfEchoRequests) {
  for (uint16_t id : {uint16_t{11}, uint16_t{13}, uint16_t{14}}) {
    const DemandFrame echo = Datagram(Demand4(id), IpProto::kIcmp);
    const IpAddress bid = BidOf(Predicted(id, echo));
    EXPECT_THAT(Send(Fragments(echo, kLarge)), testing::AllOf(SizeIs(3), testing::Each(bid))) << id;
  }
}

// Nothing in a fragment says which of several services it is for.
TEST_F(FragmentTest, AreDroppedWhereSeveralServicesAre) {
  AddLearnService(plan, 20, AffinityKind::k5Tuple, BindingStoreKind::kTimed);
  Service(20).spec.sid_v4 = Service(11).spec.sid_v4;
  Service(20).spec.sid_v6 = Service(11).spec.sid_v6;
  Service(20).spec.ports = {{IpProto::kUdp, 81, 81}};
  Install();
  for (const DemandFrame& base : {Demand4(11), Demand6(11)}) {
    InjectAll("acc", Fragments(Datagram(base), kLarge));
    InjectAll("acc", Fragments(Datagram(base), kSmall));
    (void)SendDemand(base);
  }
  EXPECT_THAT(ovs->Sent("edge"), SizeIs(2));
}

// With the controller deciding, a later fragment is the demand: its key is that of all of them.
TEST_F(FragmentTest, ReactiveBindsByALaterOne) {
  Service(11).spec.dispatch = Dispatch::kReactive;
  Install();
  const DemandFrame datagram = Datagram(Demand4(11));
  InjectAll("acc", Fragments(datagram, kLarge));
  ASSERT_THAT(Punted(2, "01"), SizeIs(2));
  DemandFrame later = datagram;
  later.src_port = later.dst_port = 0;
  ASSERT_TRUE(
      Works(ovs->AddFlow("br0", pipeline::CompileBinding({.key = KeyOf(11, later),
                                                          .instance = InstanceId{112},
                                                          .place = PlaceAt(plan.role, Service(11))}))));
  Settle();
  EXPECT_THAT(Send(Fragments(datagram, kLarge)),
              testing::AllOf(SizeIs(3), testing::Each(BidOf(InstanceId{112}))));
  EXPECT_THAT(ovs->PacketIns(), SizeIs(4));
}

TEST_F(FragmentTest, OfAnswersComeFromTheSid) {
  Alone();
  for (uint16_t id : {uint16_t{11}, uint16_t{17}}) {
    for (const DemandFrame& base : {Demand4(id), Demand6(id)}) {
      DemandFrame demand = base;
      demand.proto = IpProto::kUdp;
      const IpAddress bid = SendDemand(demand);
      const size_t before = ovs->Sent("acc").size();
      const std::vector<Bytes> fragments = Fragments(Datagram(Answer(demand, bid)), kLarge);
      InjectAll("edge", fragments);
      if (demand.dst.is_v4()) {
        const std::vector<PacketIn> punted = Punted(2, "09");
        for (size_t i = 0; i < punted.size(); ++i) {
          const auto mapped = pipeline::MapLaterFragment(fragments[1 + i], demand.dst, {});
          ASSERT_TRUE(mapped.has_value());
          ASSERT_TRUE(
              Works(ovs->PacketOut("br0", "CONTROLLER", *mapped, pipeline::NeighborActions(demand.src))));
        }
      }
      const Result<std::vector<Bytes>> sent = ovs->WaitSent("acc", before + 3);
      ASSERT_TRUE(sent.ok()) << sent.error().ToString();
      for (size_t i = before; i < sent->size(); ++i) {
        EXPECT_EQ(SourceOf((*sent)[i]), demand.dst) << id;
        EXPECT_TRUE(SamePayload(fragments[i - before], (*sent)[i]));
      }
    }
  }
}

}  // namespace
}  // namespace dyncast::test
