// The ways to hold bindings that have no timeout of their own: generations, marks, nothing.
#include <algorithm>

#include "ovs-integration/pipeline/family.h"
#include "tests/ovs/pipeline/learn_fixture.h"

namespace dyncast::test {
namespace {

using pipeline::Family;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class StoreTest : public LearnTest {
 protected:
  // What the controller does each idle_timeout: the older table is emptied, then becomes the current one.
  void Flip(uint16_t id) {
    PlannedService& service = Service(id);
    const auto turn = static_cast<uint8_t>(1 - service.generation);
    const BindingPlace place = GenerationPlace(turn, KeyFormAt(plan.role, service.spec));
    const std::string older = "table=" + std::to_string(static_cast<int>(pipeline::TableOf(place)));
    ASSERT_TRUE(Works(ovs->DeleteFlows("br0", older + ",reg1=" + std::to_string(id))));
    service.generation = static_cast<uint8_t>(1 - service.generation);
    Install();
  }
  // New demands of a service all go to one instance, which is not `bid`'s.
  void Turn(uint16_t id, const IpAddress& bid) {
    PlannedService& service = Service(id);
    for (Family family : {Family::kV4, Family::kV6}) {
      const auto to = std::find_if(plan.instances.begin(), plan.instances.end(), [&](const auto& instance) {
        return instance.service.value() == id && instance.bid != bid &&
               pipeline::FamilyOf(instance.bid) == family;
      });
      ASSERT_NE(to, plan.instances.end());
      (family == Family::kV4 ? service.slots_v4 : service.slots_v6).assign(kSlots, to->id);
    }
    Install();
  }
  std::vector<std::string> Held(uint16_t id, const char* table) {
    return Bindings(std::string("table=") + table + ",reg1=" + std::to_string(id));
  }
};

TEST_F(StoreTest, GenerationsKeepActiveFlowsAndLoseIdleOnes) {
  for (const DemandFrame& base : {Demand4(16), Demand6(16)}) {
    DemandFrame active = base;
    DemandFrame idle = base;
    idle.src_port = 40001;
    const IpAddress bid = SendDemand(active);
    const IpAddress idle_bid = SendDemand(idle);
    Turn(16, bid);
    const size_t other =
        BidOf((base.src.is_v4() ? Service(16).slots_v4 : Service(16).slots_v6)[0]) == idle_bid;
    EXPECT_THAT(Held(16, "21"), SizeIs(2));
    // One flip: what was bound before is found in the older table; the active flow moves along, once.
    Flip(16);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(SendDemand(active), bid);
    Settle();
    EXPECT_THAT(Held(16, "21"), SizeIs(2));
    EXPECT_THAT(Held(16, "22"), SizeIs(1));
    // The second flip ends what was idle for a whole period.
    Flip(16);
    EXPECT_THAT(Held(16, "21"), IsEmpty());
    EXPECT_EQ(SendDemand(active), bid);
    Settle();
    EXPECT_THAT(Held(16, "21"), SizeIs(1));
    EXPECT_EQ(SendDemand(idle) == idle_bid, other == 1);
    Flip(16);
    Flip(16);
    EXPECT_THAT(Held(16, "21"), IsEmpty());
    EXPECT_THAT(Held(16, "22"), IsEmpty());
  }
}

// A packet just after a flip, then silence until just before the period is over: still bound.
TEST_F(StoreTest, NoGenerationEndsBeforeItsTime) {
  const DemandFrame demand = Demand4(19);
  const IpAddress bid = SendDemand(demand);
  Turn(19, bid);
  for (int i = 0; i < 4; ++i) {
    Flip(19);
    ASSERT_TRUE(Works(ovs->Warp(seconds{59})));
    EXPECT_EQ(SendDemand(demand), bid) << i;
    Settle();
  }
}

TEST_F(StoreTest, LostInstanceIsForgottenInBothGenerations) {
  const DemandFrame demand = Demand4(16);
  const IpAddress bid = SendDemand(demand);
  Turn(16, bid);
  std::erase_if(plan.instances, [&](const PlannedInstance& i) { return i.bid == bid; });
  Flip(16);
  const IpAddress other = SendDemand(demand);
  EXPECT_EQ(other, BidOf(Service(16).slots_v4.front()));
  Settle();
  EXPECT_THAT(Held(16, "22"), SizeIs(1));
  Flip(16);
  EXPECT_EQ(SendDemand(demand), other);
}

// The controller decides and pushes into the current table; the switch renews by itself.
TEST_F(StoreTest, GenerationsServeReactiveDispatchToo) {
  ASSERT_TRUE(Works(ovs->Monitor("br0")));
  PlannedService& service = Service(16);
  service.spec.dispatch = Dispatch::kReactive;
  Install();
  const DemandFrame demand = Demand4(16);
  InjectAll("acc", {Build(demand)});
  ASSERT_TRUE(ovs->WaitPacketIns(1).ok());
  ASSERT_TRUE(Works(ovs->AddFlow("br0", pipeline::CompileBinding({.key = KeyOf(16, demand),
                                                                  .instance = InstanceId{163},
                                                                  .place = PlaceAt(plan.role, service)}))));
  Settle();
  EXPECT_EQ(SendDemand(demand), BidOf(InstanceId{163}));
  Flip(16);
  EXPECT_EQ(SendDemand(demand), BidOf(InstanceId{163}));
  Settle();
  EXPECT_THAT(Held(16, "28"), SizeIs(1));
  Flip(16);
  EXPECT_EQ(SendDemand(demand), BidOf(InstanceId{163}));
  EXPECT_THAT(ovs->PacketIns(), SizeIs(1));
}

TEST_F(StoreTest, MarksHoldConnections) {
  for (const DemandFrame& base : {Demand4(17), Demand6(17)}) {
    for (IpProto proto : {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp}) {
      DemandFrame demand = base;
      demand.proto = proto;
      const IpAddress bid = SendDemand(demand);
      EXPECT_EQ(bid, BidOf(Predicted(17, demand))) << IpProtoName(proto);
      const std::vector<InstanceId> v4 = Service(17).slots_v4;
      const std::vector<InstanceId> v6 = Service(17).slots_v6;
      Turn(17, bid);
      EXPECT_EQ(SendAnswer(Answer(demand, bid)), demand.dst) << IpProtoName(proto);
      demand.tcp_flags = 0x10;
      EXPECT_EQ(SendDemand(demand), bid) << IpProtoName(proto);
      Service(17).slots_v4 = v4;
      Service(17).slots_v6 = v6;
      Install();
    }
  }
  EXPECT_THAT(Bindings(), IsEmpty());
}

TEST_F(StoreTest, MarkOfALostInstanceIsReplaced) {
  DemandFrame demand = Demand4(17);
  const IpAddress bid = SendDemand(demand);
  Turn(17, bid);
  std::erase_if(plan.instances, [&](const PlannedInstance& i) { return i.bid == bid; });
  Install();
  demand.tcp_flags = 0x10;
  const IpAddress other = SendDemand(demand);
  EXPECT_EQ(other, BidOf(Service(17).slots_v4.front()));
  Turn(17, other);
  EXPECT_EQ(SendDemand(demand), other);
}

// Answers carry the D-SID even when nothing is tracked any more: a connection outlives the switch's memory.
TEST_F(StoreTest, AnswerOfAnUntrackedConnectionHasTheSid) {
  DemandFrame demand = Demand4(17);
  const IpAddress bid = SendDemand(demand);
  ASSERT_TRUE(ovs->Appctl({"dpctl/flush-conntrack", "netdev@ovs-netdev"}).ok() ||
              ovs->Appctl({"dpctl/flush-conntrack"}).ok());
  DemandFrame answer = Answer(demand, bid);
  answer.tcp_flags = 0x18;
  EXPECT_EQ(SendAnswer(answer), demand.dst);
  demand.tcp_flags = 0x10;
  EXPECT_EQ(SendDemand(demand), bid);
}

TEST_F(StoreTest, ClosedMarksKeepOldConnectionsOnly) {
  DemandFrame bound = Demand4(17);
  const IpAddress bid = SendDemand(bound);
  Service(17).binding_closed = true;
  Turn(17, bid);
  bound.tcp_flags = 0x10;
  EXPECT_EQ(SendDemand(bound), bid);
  DemandFrame fresh = Demand4(17);
  fresh.src_port = 40001;
  const IpAddress first = SendDemand(fresh);
  Turn(17, first);
  EXPECT_NE(SendDemand(fresh), first);
}

TEST_F(StoreTest, NoneFollowsTheHash) {
  const DemandFrame demand = Demand4(18);
  const IpAddress bid = SendDemand(demand);
  Turn(18, bid);
  EXPECT_NE(SendDemand(demand), bid);
  EXPECT_EQ(SendAnswer(Answer(demand, bid)), demand.dst);
}

}  // namespace
}  // namespace dyncast::test
