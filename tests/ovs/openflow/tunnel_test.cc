// What D-Forwarders and D-Routers need of a real ovs-vswitchd: Geneve options as fields, flows with them that
// come back as they were sent, and packets to and from a tunnel.
#include <gmock/gmock.h>

#include "tests/ovs/openflow/switch_server_fixture.h"

namespace dyncast::test {
namespace {

using ::testing::HasSubstr;

class TunnelOvs : public SwitchServerOvs {
 protected:
  static constexpr uint32_t kTunnelPort = 10;

  // Without a local_ip: with one, OVS wants a local route of the kernel's, which a dummy bridge has not.
  void SetUp() override {
    SwitchServerOvs::SetUp();
    const auto added =
        ovs->Vsctl({"add-port", "br0", "gnv0", "--", "set", "interface", "gnv0", "type=geneve",
                    "ofport_request=10", "options:remote_ip=flow", "options:key=0", "options:csum=true"});
    ASSERT_TRUE(added.ok()) << added.error().ToString();
  }
  std::string Options() {
    const auto text = ovs->Ofctl({"dump-tlv-map", "br0"});
    return text.ok() ? *text : text.error().ToString();
  }
};

std::vector<pipeline::TunnelOption> OptionsOfThePlan() {
  return {{.option_class = pipeline::kTunnelClass, .type = 1, .octets = 4, .field = 0},
          {.option_class = pipeline::kTunnelClass, .type = 2, .octets = 12, .field = 1},
          {.option_class = pipeline::kTunnelClass, .type = 3, .octets = 16, .field = 2}};
}

// Flows with a tunnel's fields in every way that libopenvswitch writes and reads them in its own way.
pipeline::Compiled EveryShape() {
  pipeline::Compiled plan = SmallPlan();
  plan.tunnel_options = OptionsOfThePlan();
  const uint64_t cookie = plan.flows[0].cookie;
  uint16_t priority = 1000;
  const auto match = [&](std::string text, std::string actions = "drop") {
    plan.flows.push_back({.table = 1,
                          .priority = ++priority,
                          .cookie = cookie,
                          .match = std::move(text),
                          .actions = std::move(actions)});
  };
  match("in_port=10,tun_src=10.0.0.1,tun_metadata0=0x01000000/0xff000000");
  match("in_port=10,tun_src=10.0.0.1,tun_metadata0=0x0/0xff000000");
  match("tun_metadata0=0/0");
  match("tun_metadata0=0x0/0xffff");
  match("tun_metadata0=0x5/0xffff");
  match("tun_metadata0=0x0");
  match("tun_metadata0=0x5");
  match("tun_metadata0=0xff000005");
  match("tun_metadata1=0x7/0xff,tun_metadata0=0x02000000/0xff000000");
  match("tun_metadata1=0x1,tun_metadata2=0x1/0x1");
  match("tun_metadata2=0x123456789abcdef0123456789abcdef0");
  match("ip,in_port=10,tun_src=10.0.0.1,tun_metadata0=0x01000000/0xff000000,nw_src=10.1.0.0/16",
        "set_field:0x4->reg6,set_field:0xa000001->reg5,resubmit(,10)");
  for (const char* actions : {
           "set_field:0x1000000->tun_metadata0,output:10",
           "set_field:0x0->tun_metadata0,output:10",
           "set_field:0x5->tun_metadata1,set_field:0x10000000000000000000000000000000->tun_metadata2,output:"
           "10",
           "set_field:0x5/0xffff->tun_metadata0,set_field:0/0xff000000->tun_metadata0,output:10",
           "set_field:0xff0000/0xff0000->tun_metadata1,output:10",
           "move:NXM_NX_REG1[0..15]->NXM_NX_TUN_METADATA0[0..15]",
           "move:NXM_NX_TUN_METADATA1[0..31]->NXM_NX_REG7[]",
           "move:NXM_NX_TUN_METADATA1[64..95]->NXM_NX_REG0[]",
           "move:NXM_NX_XXREG2[]->NXM_NX_TUN_METADATA2[0..127]",
           "move:NXM_NX_TUN_METADATA2[0..127]->NXM_NX_XXREG2[]",
           "move:NXM_NX_REG5[]->NXM_NX_TUN_IPV4_DST[]",
           "set_field:10.0.0.2->tun_dst,set_field:0x1000000->tun_metadata0,"
           "move:NXM_NX_REG1[0..15]->NXM_NX_TUN_METADATA0[0..15],output:10",
           "clone(set_field:10.0.0.1->tun_dst,set_field:0x2000000->tun_metadata0,"
           "move:NXM_NX_REG1[0..15]->NXM_NX_TUN_METADATA0[0..15],"
           "move:NXM_NX_REG0[]->NXM_NX_TUN_METADATA1[64..95],output(port=10,max_len=64)),resubmit(,40)",
           "check_pkt_larger(1442)->NXM_NX_REG2[16],resubmit(,2)",
           "learn(table=21,priority=100,NXM_NX_REG1[],load:NXM_NX_TUN_METADATA1[0..15]->NXM_NX_REG0[0..15])",
       }) {
    match("reg9=" + std::to_string(priority), actions);
  }
  return plan;
}

TEST_F(TunnelOvs, FlowsWithOptionsComeBackAsTheyWereSent) {
  const pipeline::Compiled plan = EveryShape();
  Start(plan);
  ASSERT_EQ(recorder.synced.size(), 1u);
  ASSERT_EQ(recorder.synced[0].added, plan.flows.size());
  EXPECT_THAT(Options(), HasSubstr("0xff01   0x1       4  tun_metadata0"));
  EXPECT_THAT(Options(), HasSubstr("0xff01   0x2      12  tun_metadata1"));
  EXPECT_THAT(Options(), HasSubstr("0xff01   0x3      16  tun_metadata2"));
  const uint64_t sent = Counters().flow_mods_sent;

  server->Resync(kDpid);
  ASSERT_TRUE(Synced(2));
  EXPECT_EQ(recorder.synced[1].differences, std::vector<std::string>{});
  EXPECT_EQ(recorder.synced[1].kept, plan.flows.size());
  server->Check(kDpid, 1);
  ASSERT_TRUE(Until([&] { return !recorder.checked.empty(); }));
  EXPECT_EQ(recorder.checked[0].report.differences, std::vector<std::string>{});
  EXPECT_EQ(Counters().flow_mods_sent, sent);

  // A restarted controller.
  Serve();
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 3; }));
  ASSERT_TRUE(server->SetDesired(kDpid, plan).ok());
  ASSERT_TRUE(Synced(3));
  EXPECT_EQ(recorder.synced[2].differences, std::vector<std::string>{});
  EXPECT_EQ(Counters().flow_mods_sent, 0u);
  EXPECT_EQ(Counters().errors_received, 0u);

  // All flows can go again, by their own matches; the options stay.
  ASSERT_TRUE(server->SetDesired(kDpid, SmallPlan()).ok());
  ASSERT_TRUE(Synced(4));
  EXPECT_EQ(recorder.synced[3].deleted, plan.flows.size() - SmallPlan().flows.size());
  const auto left = ovs->DumpFlows("br0", "table=1");
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(left->size(), 0u);
  EXPECT_THAT(Options(), HasSubstr("tun_metadata2"));
}

TEST_F(TunnelOvs, WhatOthersMappedIsLeftAloneAndRefusesThePlan) {
  // One that we want as it is, one of the operator's own, and one in our way.
  const std::string kOurs = "{class=0xff01,type=1,len=4}->tun_metadata0";
  ASSERT_TRUE(ovs->Ofctl({"add-tlv-map", "br0", kOurs}).ok());
  ASSERT_TRUE(ovs->Ofctl({"add-tlv-map", "br0", "{class=0x102,type=8,len=8}->tun_metadata9"}).ok());
  ASSERT_TRUE(ovs->Ofctl({"add-tlv-map", "br0", "{class=0xff01,type=3,len=4}->tun_metadata7"}).ok());
  Serve();
  ASSERT_TRUE(Until([&] { return recorder.found.size() == 1; }));
  ASSERT_TRUE(server->SetDesired(kDpid, EveryShape()).ok());
  ASSERT_TRUE(Until([&] { return server->Statuses()[0].state == "refused"; }));
  EXPECT_THAT(server->Statuses()[0].last_error,
              HasSubstr("tun_metadata7 (class 0xff01, type 3, 4 octets) where tun_metadata2 (class 0xff01, "
                        "type 3, 16 octets) is wanted"));
  EXPECT_EQ(Counters().flow_mods_sent, 0u);
  EXPECT_THAT(Options(), HasSubstr("tun_metadata7"));
  EXPECT_THAT(Options(), ::testing::Not(HasSubstr("tun_metadata2")));

  ASSERT_TRUE(ovs->Ofctl({"del-tlv-map", "br0", "{class=0xff01,type=3,len=4}->tun_metadata7"}).ok());
  server->Resync(kDpid);
  ASSERT_TRUE(Synced(1));
  EXPECT_THAT(Options(), HasSubstr("0xff01   0x3      16  tun_metadata2"));
  EXPECT_THAT(Options(), HasSubstr("tun_metadata9"));
}

TEST_F(TunnelOvs, AFlowThatUsesAnOptionInAWayOfItsOwnIsRefusedBeforeItIsSent) {
  Start(SmallPlan());
  const auto refused = [&](const std::string& match, const std::string& actions) {
    pipeline::Compiled plan = SmallPlan();
    plan.tunnel_options = OptionsOfThePlan();
    plan.flows.push_back(
        {.table = 1, .priority = 1, .cookie = plan.flows[0].cookie, .match = match, .actions = actions});
    const Status set = server->SetDesired(kDpid, plan);
    return set.ok() ? "accepted" : set.error().ToString();
  };
  EXPECT_THAT(refused("tun_metadata0=0x5/0xffffffff", "drop"),
              HasSubstr("mask of all bits of tun_metadata0"));
  EXPECT_THAT(refused("tun_metadata0=0x100000000", "drop"), HasSubstr("5 octets is too long"));
  EXPECT_THAT(refused("tun_metadata3=0x5", "drop"), HasSubstr("tun_metadata3 is none of the plan's options"));
  EXPECT_THAT(refused("", "set_field:0x5->tun_metadata3"), HasSubstr("tun_metadata3 is none"));
  EXPECT_THAT(refused("", "clone(set_field:5/0xffffffff->tun_metadata0,output:2)"), HasSubstr("mask of all"));
  EXPECT_THAT(refused("", "clone(set_field:0x1ffffffff->tun_metadata0,output:2)"), HasSubstr("too long"));
}

// The tunnel's endpoint 10.0.0.2 on the LOCAL port, 10.0.0.1 behind p1, and the flows that carry what lies
// between.
class TunnelTraffic : public TunnelOvs {
 protected:
  static constexpr const char* kPeerMac = "02:00:00:00:00:aa";

  void SetUp() override {
    TunnelOvs::SetUp();
    ASSERT_TRUE(ovs->Appctl({"netdev-dummy/ip4addr", "br0", "10.0.0.2/24"}).ok());
    ASSERT_TRUE(ovs->Appctl({"ovs/route/add", "10.0.0.0/24", "br0"}).ok());
    ASSERT_TRUE(ovs->Appctl({"tnl/neigh/set", "br0", "10.0.0.1", kPeerMac}).ok());
    const auto mac = ovs->Vsctl({"get", "interface", "br0", "mac_in_use"});
    ASSERT_TRUE(mac.ok());
    local_mac = mac->substr(1, 17);
  }
  static pipeline::Compiled Underlay() {
    pipeline::Compiled plan = SmallPlan();
    plan.tunnel_options = OptionsOfThePlan();
    const uint64_t cookie = plan.flows[0].cookie;
    const std::string outer = "udp,tp_dst=6081,in_port=";
    plan.flows.push_back(
        {.table = 0, .priority = 90, .cookie = cookie, .match = outer + "LOCAL", .actions = "output:1"});
    plan.flows.push_back(
        {.table = 0, .priority = 90, .cookie = cookie, .match = outer + "1", .actions = "LOCAL"});
    return plan;
  }
  // From the other end, with option 1 and another that nobody here knows.
  Bytes FromPeer(uint32_t option1, const Bytes& inner) const {
    Ipv4Packet outer;
    outer.eth_src = Mac(kPeerMac);
    outer.eth_dst = Mac(local_mac);
    outer.src = Ip("10.0.0.1");
    outer.dst = Ip("10.0.0.2");
    outer.proto = IpProto::kUdp;
    outer.dst_port = 6081;
    Bytes geneve = {4, 0, 0x65, 0x58, 0, 0, 0, 0, 0xff, 0x01, 1, 1, 0, 0, 0, 0, 0x01, 0x02, 9, 1, 1, 2, 3, 4};
    openflow::Put32(geneve.data() + 12, option1);
    outer.payload.assign(geneve.begin(), geneve.end());
    outer.payload.append(inner.begin(), inner.end());
    return Build(outer);
  }

  std::string local_mac;
};

TEST_F(TunnelTraffic, ADemandThatCameByTheTunnelNamesWhoAsks) {
  pipeline::Compiled plan = Underlay();
  plan.flows.push_back({.table = 0,
                        .priority = 100,
                        .cookie = plan.flows[0].cookie,
                        .match = "in_port=10,tun_src=10.0.0.1,tun_metadata0=0x01000000/0xff000000",
                        .actions = "set_field:0xa000001->reg5,set_field:0x4->reg6,set_field:0x5->reg1,"
                                   "set_field:1->tun_metadata1,set_field:0->tun_metadata2,resubmit(,30)"});
  Start(plan);
  const Bytes demands[] = {Build(Ipv4Packet{}), Build(Ipv6Packet{})};
  for (size_t i = 0; i < std::size(demands); ++i) {
    ASSERT_TRUE(ovs->Inject("p1", FromPeer(0x01000005, demands[i])).ok());
    ASSERT_TRUE(Until([&] { return recorder.punts.size() == i + 1; }));
    const openflow::Punt& punt = recorder.punts[i].punt;
    EXPECT_EQ(punt.reason, pipeline::PuntReason::kDemand);
    EXPECT_EQ(punt.service, ServiceId{5});
    EXPECT_EQ(punt.in_port, PortNo{10});
    EXPECT_EQ(punt.neighbor, Ip("10.0.0.1"));
    EXPECT_EQ(recorder.punts[i].packet, demands[i]);
  }
  EXPECT_EQ(Counters().malformed_received, 0u);
}

TEST_F(TunnelTraffic, AMissIsAnsweredByTheTunnelAndAHelloLeaves) {
  pipeline::Compiled plan = Underlay();
  // As table learn does it for a D-Router.
  plan.flows.push_back({.table = 35,
                        .priority = 1,
                        .cookie = plan.flows[0].cookie,
                        .match = "reg6=0x4/0xffff",
                        .actions = "clone(set_field:0->in_port,move:NXM_NX_REG5[]->NXM_NX_TUN_IPV4_DST[],"
                                   "set_field:0x2000000->tun_metadata0,"
                                   "move:NXM_NX_REG1[0..15]->NXM_NX_TUN_METADATA0[0..15],"
                                   "move:NXM_NX_REG7[]->NXM_NX_TUN_METADATA1[0..31],"
                                   "move:NXM_NX_REG4[]->NXM_NX_TUN_METADATA1[32..63],"
                                   "move:NXM_NX_REG0[]->NXM_NX_TUN_METADATA1[64..95],"
                                   "move:NXM_NX_XXREG2[]->NXM_NX_TUN_METADATA2[0..127],"
                                   "output(port=10,max_len=64)),output:2"});
  Start(plan);
  const BindingKey keys[] = {MakeBinding(9).key, [] {
                               BindingKey key = MakeBinding(9).key;
                               key.client = Ip("fd00::77");
                               key.proto = IpProto::kUdp;
                               return key;
                             }()};
  for (size_t i = 0; i < std::size(keys); ++i) {
    Ipv4Packet packet;
    packet.payload = std::string(200, 'x');
    server->ForwardMiss(kDpid, PortNo{10}, keys[i], InstanceId{2}, Ip("10.0.0.1"), Build(packet));
    std::vector<Bytes> answers;
    ASSERT_TRUE(Until([&] { return (answers = ovs->Sent("p1")).size() == i + 1; }));
    EXPECT_EQ(ovs->Sent("p2").back(), Build(packet));
    const Bytes& answer = answers[i];
    constexpr size_t kOptions = 14 + 20 + 8 + 8;
    ASSERT_EQ(answer.size(), kOptions + 8 + 16 + 20 + 64);
    const uint8_t* options = answer.data() + kOptions;
    const pipeline::KeyRegisters registers = pipeline::RegistersOf(keys[i]);
    EXPECT_EQ(openflow::Get32(options), 0xff010101u);
    EXPECT_EQ(openflow::Get32(options + 4), 0x02000005u);
    EXPECT_EQ(openflow::Get32(options + 8), 0xff010203u);
    EXPECT_EQ(openflow::Get32(options + 12), 2u);
    EXPECT_EQ(openflow::Get32(options + 16), registers.reg4);
    EXPECT_EQ(openflow::Get32(options + 20), registers.reg7);
    EXPECT_EQ(openflow::Get32(options + 24), 0xff010304u);
    for (size_t word = 0; word < 4; ++word) {
      EXPECT_EQ(openflow::Get32(options + 28 + 4 * word), registers.xxreg2[word]);
    }
  }
  server->SendHello(kDpid, PortNo{10}, Ip("10.0.0.1"));
  std::vector<Bytes> sent;
  ASSERT_TRUE(Until([&] { return (sent = ovs->Sent("p1")).size() == 3; }));
  EXPECT_EQ(openflow::Get32(sent[2].data() + 30), 0x0a000001u);
  EXPECT_EQ(openflow::Get32(sent[2].data() + 50), 0xff010101u);
  EXPECT_EQ(openflow::Get32(sent[2].data() + 54), 0u);
  EXPECT_EQ(sent[2].size(), 58u + 60);
  EXPECT_EQ(Counters().errors_received, 0u);
}

}  // namespace
}  // namespace dyncast::test
