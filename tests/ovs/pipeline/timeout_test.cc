// Bindings end by themselves: idle, or soon after the client's FIN; the switch says whose they were.
#include "tests/ovs/pipeline/pipeline_fixture.h"

namespace dyncast::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr ServiceId kWeb{1};
constexpr InstanceId kInstance{11};

class TimeoutTest : public PipelineTest {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    if (HasFatalFailure()) return;
    Announce(server);
    ASSERT_GOOD(ovs->Monitor("br0"));
  }
  Ipv4Packet Web() const { return Packet(client, Ip("10.96.0.1")); }
  Demand WebDemand() const {
    const Ipv4Packet p = Web();
    return {.client = p.src, .sid = p.dst, .src_port = p.src_port, .dst_port = p.dst_port};
  }
  size_t Bindings() {
    const Result<std::vector<std::string>> flows = ovs->DumpFlows("br0", "table=26");
    EXPECT_TRUE(flows.ok());
    return flows.ok() ? flows->size() : 0;
  }
};

TEST_F(TimeoutTest, IdleBindingEndsAndTellsWhoseItWas) {
  Bind(kWeb, kInstance, WebDemand());
  (void)Through("acc1", Web(), "edge");
  ASSERT_GOOD(ovs->Warp(seconds{45}));
  EXPECT_EQ(Bindings(), 1u);
  (void)Through("acc1", Web(), "edge");  // keeps it for another 60 s
  ASSERT_GOOD(ovs->Warp(seconds{45}));
  EXPECT_EQ(Bindings(), 1u);
  ASSERT_GOOD(ovs->Warp(seconds{30}));
  EXPECT_TRUE(Eventually([&] { return ovs->MonitorText().find("FLOW_REMOVED") != std::string::npos; }));
  EXPECT_EQ(Bindings(), 0u);
  EXPECT_THAT(ovs->MonitorText(), HasSubstr("reason=idle"));
  EXPECT_THAT(ovs->MonitorText(), HasSubstr("cookie:0xd1030001000b0001"));
  EXPECT_THAT(ovs->MonitorText(), HasSubstr("reg1=0x1"));
  EXPECT_THAT(ovs->MonitorText(), HasSubstr("nw_src=192.168.10.7"));
}

TEST_F(TimeoutTest, FinShortensTheWait) {
  Bind(kWeb, kInstance, WebDemand(), seconds{5});
  Ipv4Packet packet = Web();
  (void)Through("acc1", packet, "edge");
  ASSERT_GOOD(ovs->Warp(seconds{20}));
  EXPECT_EQ(Bindings(), 1u);
  packet.tcp_flags = 0x11;
  (void)Through("acc1", packet, "edge");
  ASSERT_GOOD(ovs->Warp(seconds{15}));
  EXPECT_TRUE(Eventually([&] { return ovs->MonitorText().find("FLOW_REMOVED") != std::string::npos; }));
  EXPECT_EQ(Bindings(), 0u);
}

TEST_F(TimeoutTest, WithoutFinTimeoutAFinChangesNothing) {
  Bind(kWeb, kInstance, WebDemand());
  Ipv4Packet packet = Web();
  packet.tcp_flags = 0x11;
  (void)Through("acc1", packet, "edge");
  ASSERT_GOOD(ovs->Warp(seconds{40}));
  EXPECT_EQ(Bindings(), 1u);
  EXPECT_THAT(ovs->MonitorText(), Not(HasSubstr("FLOW_REMOVED")));
}

TEST_F(TimeoutTest, NeighboursStay) {
  ASSERT_GOOD(ovs->Warp(seconds{700}, seconds{5}));
  const Result<std::vector<std::string>> learned = ovs->DumpFlows("br0", "table=70,reg5=0x0a02010b");
  ASSERT_GOOD(learned);
  EXPECT_THAT(*learned, SizeIs(1));
}

// Many demands at once: the meter lets through what it should and the switch stays quiet about the rest.
TEST_F(TimeoutTest, MeterBoundsOtherPunts) {
  const uint32_t limit = plan.punts.others_per_s;
  std::vector<std::string> receive = {"netdev-dummy/receive", "acc1"};
  for (uint32_t i = 0; i < 2 * limit; ++i) {
    receive.push_back(ToHex(Build(Packet(client, Ip("10.2.1.77")))));
  }
  ASSERT_GOOD(ovs->Appctl(receive));
  ASSERT_GOOD(ovs->WaitPacketIns(100));
  // A later demand has its own meter and passes.
  ASSERT_GOOD(ovs->Inject("acc1", Build(Web())));
  EXPECT_TRUE(Eventually([&] {
    const std::vector<PacketIn> punts = ovs->PacketIns();
    return !punts.empty() && punts.back().userdata == "01.00.01";
  }));
  EXPECT_LE(ovs->PacketIns().size(), limit + 2);
}

}  // namespace
}  // namespace dyncast::test
