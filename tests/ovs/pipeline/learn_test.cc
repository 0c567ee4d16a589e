// Demands that the switch binds by itself: every key, protocol and family; what ends a binding, and what does
// not.
#include "ovs-integration/pipeline/match_text.h"
#include "tests/ovs/pipeline/learn_fixture.h"

namespace dyncast::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

struct KeyCase {
  const char* name;
  uint16_t service;
  bool source_port;  // part of the key
  bool proto;
};
class KeyTest : public LearnTest, public testing::WithParamInterface<KeyCase> {};

// The first packet arrives, binds its key, and the bound flow stays when the group is turned around; the
// answer comes from the D-SID.
TEST_P(KeyTest, FirstPacketArrivesAndBinds) {
  const uint16_t id = GetParam().service;
  std::map<std::string, IpAddress> bound;
  std::vector<DemandFrame> demands;
  for (const DemandFrame& base : {Demand4(id), Demand6(id)}) {
    for (IpProto proto : {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp}) {
      DemandFrame demand = base;
      demand.proto = proto;
      demands.push_back(demand);
      const IpAddress bid = SendDemand(demand);
      EXPECT_EQ(bid, BidOf(Predicted(id, demand))) << IpProtoName(proto) << " " << demand.src.ToString();
      const auto [at, added] = bound.emplace(pipeline::BindingMatch(KeyOf(id, demand)), bid);
      EXPECT_EQ(at->second, bid);
      EXPECT_EQ(SendAnswer(Answer(demand, bid)), demand.dst) << IpProtoName(proto);
    }
  }
  EXPECT_THAT(Bindings(), SizeIs(bound.size()));
  EXPECT_EQ(bound.size(), GetParam().proto ? 8u : 2u);

  // All new demands to one instance: bound ones stay where they are.
  PlannedService& service = Service(id);
  service.slots_v4.assign(kSlots, InstanceId{static_cast<uint16_t>(id * 10 + 1)});
  service.slots_v6.assign(kSlots, InstanceId{static_cast<uint16_t>(id * 10 + 5)});
  Install();
  for (const DemandFrame& demand : demands) {
    EXPECT_EQ(SendDemand(demand), bound.at(pipeline::BindingMatch(KeyOf(id, demand))));
  }
  DemandFrame other = demands.front();
  other.src_port = 40001;
  EXPECT_EQ(SendDemand(other), GetParam().source_port ? BidOf(service.slots_v4.front())
                                                      : bound.at(pipeline::BindingMatch(KeyOf(id, other))));
  other.src = Ip("192.168.10.200");
  EXPECT_EQ(SendDemand(other), BidOf(service.slots_v4.front()));
}
INSTANTIATE_TEST_SUITE_P(All, KeyTest,
                         testing::Values(KeyCase{"FiveTuple", 11, true, true},
                                         KeyCase{"FourTuple", 12, false, true},
                                         KeyCase{"ThreeTuple", 13, false, true},
                                         KeyCase{"Client", 14, false, false},
                                         KeyCase{"ClientPrefix", 15, false, false}),
                         [](const auto& param) { return std::string(param.param.name); });

TEST_F(LearnTest, LearnedFlowSaysWhoseItIs) {
  const DemandFrame demand = Demand4(11);
  const InstanceId instance = Predicted(11, demand);
  (void)SendDemand(demand);
  const std::vector<std::string> flows = Bindings();
  ASSERT_THAT(flows, SizeIs(1));
  const pipeline::Flow like =
      pipeline::CompileBinding({.key = KeyOf(11, demand), .instance = instance, .fin_timeout = seconds{5}});
  EXPECT_THAT(flows[0], HasSubstr("cookie=" + pipeline::Hex(like.cookie)));
  EXPECT_THAT(flows[0], HasSubstr("idle_timeout=60"));
  EXPECT_THAT(flows[0], HasSubstr("send_flow_rem"));
  EXPECT_THAT(flows[0], HasSubstr("fin_timeout(idle_timeout=5)"));
  EXPECT_THAT(flows[0], HasSubstr("reg1=0xb"));
  // The same flow, deleted by the registers that the controller computes.
  const std::string match = pipeline::BindingMatch(KeyOf(11, demand), BindingPlace::kGeneration0);
  ASSERT_TRUE(Works(ovs->DeleteFlows("br0", "table=20," + match)));
  EXPECT_THAT(Bindings(), IsEmpty());
}

TEST_F(LearnTest, PrefixMasksTheClient) {
  DemandFrame demand = Demand4(15);
  const IpAddress bid = SendDemand(demand);
  for (const char* client : {"192.168.10.1", "192.168.10.63"}) {
    demand.src = Ip(client);
    EXPECT_EQ(SendDemand(demand), bid);
  }
  EXPECT_THAT(Bindings(), SizeIs(1));
  demand.src = Ip("192.168.10.64");
  (void)SendDemand(demand);
  EXPECT_THAT(Bindings(), SizeIs(2));
  DemandFrame six = Demand6(15);
  (void)SendDemand(six);
  six.src = Ip("fd10::ffff:1");
  (void)SendDemand(six);
  EXPECT_THAT(Bindings(), SizeIs(3));
}

// The instance's one egress flow goes: the next packet is bound elsewhere, its binding overwritten.
TEST_F(LearnTest, BindingsOfAGoneInstanceSelectAgain) {
  const std::vector<std::pair<uint16_t, DemandFrame>> demands = {
      {11, Demand4(11)}, {14, Demand6(14)}, {16, Demand4(16)}, {19, Demand6(19)}};
  for (const auto& [id, demand] : demands) {
    const std::string table = id >= 16 ? "table=21" : "table=20";
    const InstanceId first = Predicted(id, demand);
    EXPECT_EQ(SendDemand(demand), BidOf(first));
    const size_t bindings = Bindings(table).size();
    EraseInstance(first);
    Install();
    const InstanceId second = Predicted(id, demand);
    ASSERT_NE(second, first);
    EXPECT_EQ(SendDemand(demand), BidOf(second));
    Settle();
    EXPECT_EQ(SendDemand(demand), BidOf(second));
    EXPECT_THAT(Bindings(table), SizeIs(bindings));
    EXPECT_THAT(Bindings(table + ",reg1=" + std::to_string(id)),
                testing::Each(HasSubstr("set_field:" + pipeline::Hex(second.value()) + "->reg0")));
  }
}

// Two tables and a loop guard: without any egress the packet ends, once.
TEST_F(LearnTest, NoEgressAtAllDropsOnce) {
  ASSERT_TRUE(Works(ovs->DeleteFlows("br0", "table=40,cookie=0xd102000b00000000/0xffffffff00000000")));
  const pipeline::Flow* drop = nullptr;
  for (const pipeline::Flow& flow : compiled.flows) {
    if (flow.table == 40 && flow.priority == 0) drop = &flow;
  }
  ASSERT_NE(drop, nullptr);
  InjectAll("acc", {Build(Demand4(11))});
  EXPECT_TRUE(Eventually([&] {
    const Result<uint64_t> packets = ovs->Packets("br0", *drop);
    return packets.ok() && *packets == 1;
  }));
  EXPECT_THAT(ovs->Sent("edge"), IsEmpty());
}

TEST_F(LearnTest, IdleBindingEndsAndTellsWhoseItWas) {
  ASSERT_TRUE(Works(ovs->Monitor("br0")));
  const DemandFrame demand = Demand6(12);
  (void)SendDemand(demand);
  ASSERT_TRUE(Works(ovs->Warp(seconds{45})));
  (void)SendDemand(demand);
  ASSERT_TRUE(Works(ovs->Warp(seconds{45})));
  EXPECT_THAT(Bindings(), SizeIs(1));
  ASSERT_TRUE(Works(ovs->Warp(seconds{30})));
  EXPECT_TRUE(Eventually([&] { return ovs->MonitorText().find("FLOW_REMOVED") != std::string::npos; }));
  EXPECT_THAT(Bindings(), IsEmpty());
  EXPECT_THAT(ovs->MonitorText(), HasSubstr("reason=idle"));
  EXPECT_THAT(ovs->MonitorText(), HasSubstr("reg4=0x106"));
}

TEST_F(LearnTest, FinShortensTheWaitOfAFiveTupleOnly) {
  for (uint16_t id : {uint16_t{11}, uint16_t{12}}) {
    DemandFrame demand = Demand4(id);
    (void)SendDemand(demand);
    demand.tcp_flags = 0x11;
    (void)SendDemand(demand);
  }
  ASSERT_TRUE(Works(ovs->Warp(seconds{20})));
  EXPECT_THAT(Bindings("table=20,reg1=11"), IsEmpty());
  EXPECT_THAT(Bindings("table=20,reg1=12"), SizeIs(1));
}

// Over its limit a service goes on by hash: nothing new is kept, what is bound stays, and a binding whose
// instance goes is moved, not lost.
TEST_F(LearnTest, ClosedServiceKeepsWhatItHas) {
  const DemandFrame bound = Demand4(11);
  const IpAddress bid = SendDemand(bound);
  PlannedService& service = Service(11);
  service.binding_closed = true;
  service.slots_v4.assign(kSlots,
                          Predicted(11, bound) == InstanceId{111} ? InstanceId{112} : InstanceId{111});
  Install();
  DemandFrame fresh = bound;
  fresh.src_port = 50000;
  EXPECT_EQ(SendDemand(fresh), BidOf(service.slots_v4.front()));
  EXPECT_EQ(SendDemand(bound), bid);
  EXPECT_THAT(Bindings(), SizeIs(1));
  std::erase_if(plan.instances, [&](const PlannedInstance& i) { return i.bid == bid; });
  Install();
  EXPECT_EQ(SendDemand(bound), BidOf(service.slots_v4.front()));
  Settle();
  service.slots_v4.assign(kSlots, InstanceId{113});
  Install();
  EXPECT_NE(SendDemand(bound), BidOf(InstanceId{113}));
  EXPECT_EQ(SendDemand(fresh), BidOf(InstanceId{113}));
  EXPECT_THAT(Bindings(), SizeIs(1));
}

TEST_F(LearnTest, NoSlotsAskTheController) {
  ASSERT_TRUE(Works(ovs->Monitor("br0")));
  Service(11).slots_v4.clear();
  Service(11).slots_v6.clear();
  Install();
  InjectAll("acc", {Build(Demand4(11)), Build(Demand6(11))});
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(2);
  ASSERT_TRUE(punts.ok()) << punts.error().ToString();
  for (const PacketIn& punt : *punts) EXPECT_EQ(punt.userdata, "01.00.0b");
  EXPECT_THAT(Bindings(), IsEmpty());
}

// What was learned goes with its service or its instance: cookies say whose it is.
TEST_F(LearnTest, NothingLearnedStaysAfterDeletionByCookie) {
  for (uint16_t id = 11; id <= 19; ++id) {
    (void)SendDemand(Demand4(id));
    (void)SendDemand(Demand6(id));
  }
  const auto bindings = [&] { return Bindings("cookie=0xd103000000000000/0xffff000000000000").size(); };
  EXPECT_EQ(bindings(), 14u);  // all but those of conntrack and none
  const uint64_t instance = Predicted(11, Demand4(11)).value();
  ASSERT_TRUE(Works(ovs->DeleteFlows(
      "br0", "cookie=" + pipeline::Hex(0xd10300'0b0000'0000ull | instance << 16) + "/0xffffffffffff0000")));
  EXPECT_EQ(bindings(), 13u);
  for (uint16_t id = 11; id <= 19; ++id) {
    ASSERT_TRUE(
        Works(ovs->DeleteFlows("br0", "cookie=" + pipeline::Hex(0xd103000000000000ull | uint64_t{id} << 32) +
                                          "/0xffffffff00000000")));
  }
  EXPECT_EQ(bindings(), 0u);
}

TEST_F(LearnTest, SwitchHoldsExactlyWhatWasCompiled) {
  ASSERT_TRUE(Works(ovs->DeleteFlows("br0", "table=70,cookie=0/-1")));
  const Result<std::string> same =
      ovs->Ofctl({"diff-flows", ovs->Management("br0"), ovs->dir() + "/flows.txt"});
  EXPECT_TRUE(same.ok()) << same.error().ToString();
  const Result<std::string> groups = ovs->Ofctl({"dump-groups", ovs->Management("br0")});
  ASSERT_TRUE(groups.ok());
  for (const pipeline::Group& group : compiled.groups) {
    std::string text = pipeline::ToText(group);
    for (size_t at; (at = text.find(",weight:1,")) != std::string::npos;) text.replace(at, 10, ",");
    EXPECT_THAT(*groups, HasSubstr(text)) << group.id;
  }
}

}  // namespace
}  // namespace dyncast::test
