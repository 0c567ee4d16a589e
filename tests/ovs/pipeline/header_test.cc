// Services that the controller decides about: their bindings match the packet's header.
#include <algorithm>

#include "tests/ovs/pipeline/learn_fixture.h"

namespace dyncast::test {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr uint16_t kFirst = 11;  // of LearnPlan: 5-tuple, 4-tuple, 3-tuple, client, client/PREFIX
constexpr uint16_t kLast = 15;
constexpr IpProto kProtos[] = {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp};

class HeaderTest : public LearnTest {
 protected:
  void SetUp() override {
    for (uint16_t id = kFirst; id <= kLast; ++id) {
      ServiceSpec& spec = Service(id).spec;
      spec.dispatch = Dispatch::kReactive;
      for (PortRange& range : spec.ports) range.last = range.first == 80 ? 81 : range.last;
    }
    LearnTest::SetUp();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(Works(ovs->Monitor("br0")));
  }
  BindingFlow BindingOf(uint16_t id, const DemandFrame& demand, InstanceId instance) {
    const PlannedService& service = Service(id);
    return {.key = KeyOf(id, demand),
            .instance = instance,
            .place = PlaceAt(plan.role, service),
            .client_bits = ClientBits(service.spec.affinity, demand.src)};
  }
  // Binds as the controller does; where the demand goes from now on.
  IpAddress Bind(uint16_t id, const DemandFrame& demand, uint16_t which) {
    const InstanceId instance{static_cast<uint16_t>(id * 10 + which + (demand.src.is_v4() ? 1 : 5))};
    EXPECT_TRUE(Works(ovs->AddFlow("br0", pipeline::CompileBinding(BindingOf(id, demand, instance)))));
    Settle();
    return BidOf(instance);
  }
  // The demand finds no binding: it comes to the controller and goes nowhere.
  void ExpectAsked(const DemandFrame& demand) {
    const size_t sent = ovs->Sent("edge").size();
    const size_t asked = ovs->PacketIns().size();
    InjectAll("acc", {Build(demand)});
    const auto punts = ovs->WaitPacketIns(asked + 1);
    ASSERT_TRUE(punts.ok()) << punts.error().ToString();
    EXPECT_EQ(punts->back().userdata.substr(0, 2), "01");
    EXPECT_EQ(ovs->Sent("edge").size(), sent);
  }
  // Demands that differ from `demand` in one field, and whether that field is in the service's key.
  struct Other {
    DemandFrame demand;
    bool in_key = false;
    const char* what = "";
  };
  std::vector<Other> OthersOf(uint16_t id, const DemandFrame& demand) {
    const AffinityKind kind = Service(id).spec.affinity.kind;
    std::vector<Other> others;
    const auto add = [&](const char* what, bool in_key, auto change) {
      others.push_back({.demand = demand, .in_key = in_key, .what = what});
      change(&others.back().demand);
    };
    const bool v4 = demand.src.is_v4();
    const bool prefix = kind == AffinityKind::kClientPrefix;
    add("neighbour", !prefix, [&](DemandFrame* d) { d->src = Ip(v4 ? "192.168.10.8" : "fd10::10:8"); });
    add("stranger", true, [&](DemandFrame* d) { d->src = Ip(v4 ? "192.168.10.71" : "fd10:0:0:1::10:7"); });
    const bool has_proto = !prefix && kind != AffinityKind::kClient;
    const IpProto other = demand.proto == IpProto::kUdp ? IpProto::kTcp : IpProto::kUdp;
    add("protocol", has_proto, [&](DemandFrame* d) { d->proto = other; });
    if (demand.proto == IpProto::kIcmp) return others;
    add("source port", kind == AffinityKind::k5Tuple, [](DemandFrame* d) { ++d->src_port; });
    const bool has_port = kind == AffinityKind::k5Tuple || kind == AffinityKind::k4Tuple;
    add("port", has_port, [](DemandFrame* d) { ++d->dst_port; });
    return others;
  }
  size_t DatapathFlows() {
    const Result<std::string> flows = ovs->Appctl({"dpctl/dump-flows"});
    EXPECT_TRUE(flows.ok());
    return flows.ok() ? static_cast<size_t>(std::count(flows->begin(), flows->end(), '\n')) : 0;
  }
  // All with store generations: what the controller does each period.
  void Flip() {
    for (uint16_t id = kFirst; id <= kLast; ++id) {
      PlannedService& service = Service(id);
      service.generation = static_cast<uint8_t>(1 - service.generation);
      const auto table = static_cast<int>(pipeline::TableOf(PlaceAt(plan.role, service)));
      ASSERT_TRUE(Works(ovs->DeleteFlows(
          "br0", "table=" + std::to_string(table) + ",reg1=" + std::to_string(service.id.value()))));
    }
    Install();
  }
};

TEST_F(HeaderTest, ABindingSteersItsKeyAndNoOther) {
  for (uint16_t id = kFirst; id <= kLast; ++id) {
    for (const DemandFrame& base : {Demand4(id), Demand6(id)}) {
      for (const IpProto proto : kProtos) {
        SCOPED_TRACE(std::to_string(id) + " " + base.src.ToString() + " " + std::string(IpProtoName(proto)));
        DemandFrame demand = base;
        demand.proto = proto;
        ExpectAsked(demand);
        const IpAddress bid = Bind(id, demand, 2);
        EXPECT_EQ(SendDemand(demand), bid);
        for (const Other& other : OthersOf(id, demand)) {
          SCOPED_TRACE(other.what);
          if (other.in_key) {
            ExpectAsked(other.demand);
          } else {
            EXPECT_EQ(SendDemand(other.demand), bid);
          }
        }
        ASSERT_TRUE(Works(ovs->DeleteFlows("br0", "table=26")));
        Settle();
      }
    }
  }
}

// New demands have no datapath flow of their own; what is bound then is steered by its binding all the same.
TEST_F(HeaderTest, DemandsOfManyClientsShareDatapathFlows) {
  constexpr size_t kClients = 1000;
  std::vector<DemandFrame> demands(kClients, Demand4(11));
  for (size_t i = 0; i < kClients; ++i) {
    demands[i].src = IpAddress::V4(0xc0a80000u + static_cast<uint32_t>(0x100 + i * 61));
    demands[i].src_port = static_cast<uint16_t>(1024 + i * 7919 % 60000);
  }
  const auto send = [&](uint16_t id) {
    std::vector<Bytes> frames;
    for (DemandFrame demand : demands) {
      demand.dst = Demand4(id).dst;
      frames.push_back(Build(demand));
    }
    const size_t before = DatapathFlows();
    InjectAll("acc", frames);
    EXPECT_TRUE(Eventually([&] { return Received("acc") % kClients == 0; }));
    Settle();
    return DatapathFlows() - before;
  };
  const size_t shared = send(11);
  EXPECT_LT(shared, 100u);
  // For comparison, with the key in registers: nobody takes demands of this service, so the controller is
  // asked.
  Service(16).slots_v4.clear();
  Install();
  EXPECT_GT(send(16), 900u);

  for (size_t i = 0; i < kClients; i += 50) {
    const IpAddress bid = Bind(11, demands[i], static_cast<uint16_t>(i / 50 % 4));
    EXPECT_EQ(SendDemand(demands[i]), bid) << i;
    DemandFrame other = demands[i];
    other.src_port = static_cast<uint16_t>(other.src_port ^ 1);
    ExpectAsked(other);
  }
}

TEST_F(HeaderTest, ThatOfAWholePacketTakesNoFragment) {
  DemandFrame demand = Demand4(11);
  demand.proto = IpProto::kUdp;
  const IpAddress bid = Bind(11, demand, 1);
  DemandFrame large = demand;
  large.payload = std::string(3500, 'f');
  const size_t before = ovs->Sent("edge").size();
  InjectAll("acc", Fragments(large, 1448));  // the first is dropped, as no service's ports are in sight
  ASSERT_TRUE(ovs->WaitPacketIns(2).ok());
  EXPECT_EQ(ovs->Sent("edge").size(), before);
  // Nor that of fragments a whole packet.
  DemandFrame fragment = demand;
  fragment.src_port = fragment.dst_port = 0;
  const IpAddress other = Bind(11, fragment, 3);
  EXPECT_EQ(SendDemand(demand), bid);
  InjectAll("acc", {Fragments(large, 1448).front()});
  const auto sent = ovs->WaitSent("edge", before + 2);
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(DestinationOf(sent->back()), other);
  ++demand.src_port;
  ExpectAsked(demand);
}

TEST_F(HeaderTest, GenerationsRenewEveryKey) {
  for (uint16_t id = kFirst; id <= kLast; ++id) {
    Service(id).spec.affinity.store = BindingStoreKind::kGenerations;
  }
  Install();
  std::vector<std::pair<DemandFrame, IpAddress>> bound;
  std::vector<BindingFlow> flows;
  for (uint16_t id = kFirst; id <= kLast; ++id) {
    for (const DemandFrame& base : {Demand4(id), Demand6(id)}) {
      for (const IpProto proto : kProtos) {
        DemandFrame demand = base;
        demand.proto = proto;
        // Of a client's key there is one for all protocols.
        if (proto != IpProto::kTcp && id >= 14) continue;
        bound.emplace_back(demand, Bind(id, demand, 1));
        flows.push_back(BindingOf(id, demand, InstanceId{1}));
      }
    }
  }
  for (int turn = 0; turn < 3; ++turn) {
    Flip();
    for (const auto& [demand, bid] : bound) {
      EXPECT_EQ(SendDemand(demand), bid) << demand.dst.ToString() << " " << IpProtoName(demand.proto);
    }
    Settle();
  }
  EXPECT_THAT(ovs->PacketIns(), IsEmpty());
  // What the switch renewed has the match of what the controller writes: that takes its place.
  EXPECT_THAT(Bindings("table=28"), SizeIs(bound.size()));
  for (BindingFlow flow : flows) {
    flow.place = BindingPlace::kHeaderGeneration1;
    ASSERT_TRUE(Works(ovs->AddFlow("br0", pipeline::CompileBinding(flow))));
  }
  EXPECT_THAT(Bindings("table=28"), SizeIs(bound.size()));
  EXPECT_THAT(Bindings("table=28,cookie=0x10000/0xffff0000"), SizeIs(bound.size()));
}

}  // namespace
}  // namespace dyncast::test
