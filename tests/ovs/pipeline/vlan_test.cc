// Access networks that share a port, told apart by their VLAN tag.
#include "tests/ovs/pipeline/router_fixture.h"

namespace dyncast::test {
namespace {

using pipeline::Table;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

ArpFrame Request(const Host& from, const IpAddress& target, uint16_t tag) {
  return {.eth_src = from.mac, .vlan = tag, .sender_mac = from.mac, .sender = from.address, .target = target};
}

class VlanTest : public RouterTest {
 protected:
  void AnnounceTagged(const Host& host, uint16_t tag) {
    EXPECT_EQ(ToHex(Through("trunk", Build(Request(host, host.gateway, tag)), "trunk")),
              ToHex(Build(ArpFrame{.eth_src = host.gateway_mac,
                                   .eth_dst = host.mac,
                                   .vlan = tag,
                                   .operation = 2,
                                   .sender_mac = host.gateway_mac,
                                   .sender = host.gateway,
                                   .target_mac = host.mac,
                                   .target = host.address})));
  }
  Ipv4Packet Tagged(const Host& from, const IpAddress& to, uint16_t tag) const {
    Ipv4Packet packet = Packet(from, to);
    packet.vlan = tag;
    return packet;
  }
};

TEST_F(VlanTest, EachVlanHasItsGatewayAndItsNeighbours) {
  AnnounceTagged(red, kTag10);
  AnnounceTagged(blue, kTag20);
  // cookie: kNeighbor, port 6, VLAN, switch 1; reg3: VLAN and port
  EXPECT_THAT(Learned(red.address),
              ElementsAre("cookie=0xd1040006000a0001, table=70, priority=100,ip,reg5=0xa1e0a07 "
                          "actions=set_field:0a:00:00:00:30:10->eth_dst,set_field:0xa0006->reg3"));
  EXPECT_THAT(Learned(blue.address),
              ElementsAre("cookie=0xd104000600140001, table=70, priority=100,ip,reg5=0xa1e1407 "
                          "actions=set_field:0a:00:00:00:30:20->eth_dst,set_field:0x140006->reg3"));
  Announce6(red6);
  Announce6(blue6);
  EXPECT_THAT(Learned(red6.address), SizeIs(1));
  // One VLAN's gateway is not the other's.
  ASSERT_GOOD(ovs->Monitor("br0"));
  ExpectDropped("trunk", Build(Request(blue, blue.gateway, kTag10)), Table::kLink, 280,
                "arp,in_port=6,reg6=0xa0001");
}

TEST_F(VlanTest, DsidIsAnsweredWithTheTag) {
  const IpAddress sid = Ip("10.96.0.1");
  const Bytes answer = Through("trunk", Build(Request(blue, sid, kTag20)), "trunk");
  EXPECT_EQ(ToHex(answer), ToHex(Build(ArpFrame{.eth_src = blue.gateway_mac,
                                                .eth_dst = blue.mac,
                                                .vlan = kTag20,
                                                .operation = 2,
                                                .sender_mac = blue.gateway_mac,
                                                .sender = sid,
                                                .target_mac = blue.mac,
                                                .target = blue.address})));
}

TEST_F(VlanTest, PacketsLoseTheTagAndGetTheOneOfTheirWayOut) {
  Announce(server);
  AnnounceTagged(red, kTag10);
  AnnounceTagged(blue, kTag20);
  Ipv4Packet packet = Tagged(red, server.address, kTag10);
  Ipv4Packet out = packet;
  out.vlan.reset();
  out.eth_src = server.gateway_mac;
  out.eth_dst = server.mac;
  --out.ttl;
  EXPECT_EQ(ToHex(Through("trunk", packet, "edge")), ToHex(Build(out)));

  Ipv4Packet answer = Packet(server, blue.address);
  answer.src_port = 22;
  out = answer;
  out.vlan = kTag20;
  out.eth_src = blue.gateway_mac;
  out.eth_dst = blue.mac;
  --out.ttl;
  EXPECT_EQ(ToHex(Through("edge", answer, "trunk")), ToHex(Build(out)));

  // From one VLAN to the other, back out of the port it came from; a priority is not carried over.
  packet = Tagged(red, blue.address, uint16_t{0xe000} | kTag10);
  out = packet;
  out.vlan = kTag20;
  out.eth_src = blue.gateway_mac;
  out.eth_dst = blue.mac;
  --out.ttl;
  EXPECT_EQ(ToHex(Through("trunk", packet, "trunk")), ToHex(Build(out)));
}

TEST_F(VlanTest, AnswersOfAServiceGetTheDsidAndTheTag) {
  AnnounceTagged(red, kTag10);
  Ipv4Packet answer = Packet(server, red.address);
  answer.src_port = 80;
  answer.dst_port = 40000;
  Ipv4Packet out = answer;
  out.src = Ip("10.96.0.1");
  out.vlan = kTag10;
  out.eth_src = red.gateway_mac;
  out.eth_dst = red.mac;
  --out.ttl;
  const Bytes sent = Through("edge", answer, "trunk");
  EXPECT_EQ(ToHex(sent), ToHex(Build(out)));
  EXPECT_TRUE(ChecksumsRight(sent));
}

TEST_F(VlanTest, EchoOfTheGatewayIsAnsweredWithTheTag) {
  Ipv4Packet echo = Tagged(red, red.gateway, kTag10);
  echo.proto = IpProto::kIcmp;
  echo.ttl = 1;
  Ipv4Packet reply = echo;
  std::swap(reply.eth_src, reply.eth_dst);
  std::swap(reply.src, reply.dst);
  reply.icmp_type = 0;
  reply.ttl = 64;
  EXPECT_EQ(ToHex(Through("trunk", echo, "trunk")), ToHex(Build(reply)));
}

TEST_F(VlanTest, UntaggedUnknownAndDoubleTagsAreDropped) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Ipv4Packet packet = Packet(red, server.address);
  ExpectDropped("trunk", Build(packet), Table::kClassify, 0, "");
  packet.vlan = 30;
  ExpectDropped("trunk", Build(packet), Table::kClassify, 50, "vlan_tci=0x1000/0x1000");
  packet.vlan = 0;
  ExpectDropped("trunk", Build(packet), Table::kClassify, 50, "vlan_tci=0x1000/0x1000");
  // The tag of one VLAN, the address of the other.
  packet.vlan = kTag20;
  packet.eth_dst = blue.gateway_mac;
  ExpectDropped("trunk", Build(packet), Table::kAdmit, 410,
                "ip,in_port=6,reg6=0x140001,dl_dst=02:00:00:00:06:20");
  packet = Tagged(red, server.address, kTag10);
  Bytes twice = Build(packet);
  twice.insert(twice.begin() + 12, {0x81, 0x00, 0x00, 0x0a});
  ExpectDropped("trunk", twice, Table::kAdmit, 0, "");
}

TEST_F(VlanTest, PuntsSayWhichVlanAndComeWithoutTheTag) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  const Ipv4Packet demand = Tagged(blue, Ip("10.96.0.1"), kTag20);
  ASSERT_GOOD(ovs->Inject("trunk", Build(demand)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  EXPECT_EQ(punts->front().userdata, "01.00.01");
  EXPECT_EQ(punts->front().metadata.at("in_port"), "6");
  EXPECT_EQ(punts->front().metadata.at("reg6"), "0x140001");
  EXPECT_EQ(punts->front().data_octets, Build(demand).size() - 4);
}

TEST_F(VlanTest, ControllerSendsWithTheTag) {
  const PortNo port = TaggedPort(PortNo{6}, kTag20);
  const Bytes request = pipeline::MakeArpRequest(blue.gateway_mac, blue.gateway, blue.address);
  ASSERT_GOOD(ovs->PacketOut("br0", "CONTROLLER", request, pipeline::OutputActions(port)));
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("trunk", 1);
  ASSERT_GOOD(sent);
  EXPECT_EQ(ToHex(sent->front()), ToHex(Build(ArpFrame{.eth_src = blue.gateway_mac,
                                                       .vlan = kTag20,
                                                       .sender_mac = blue.gateway_mac,
                                                       .sender = blue.gateway,
                                                       .target = blue.address})));
  ASSERT_GOOD(ovs->PacketOut("br0", "CONTROLLER", request, pipeline::OutputActions(PortNo{0xfffffffe})));
  ASSERT_GOOD(ovs->WaitSent("br0", 1));
  EXPECT_EQ(TotalSent(), 2u);
}

TEST_F(VlanTest, NeighboursLeaveWithTheirVlan) {
  AnnounceTagged(red, kTag10);
  AnnounceTagged(blue, kTag20);
  Announce6(blue6);
  ASSERT_GOOD(ovs->DeleteFlows("br0", "table=6,arp,reg6=0x140001"));
  ASSERT_GOOD(ovs->DeleteFlows("br0", "table=6,icmp6,reg6=0x140001"));
  EXPECT_TRUE(Eventually([&] { return Learned(blue.address).empty() && Learned(blue6.address).empty(); }));
  EXPECT_THAT(Learned(red.address), SizeIs(1));
}

}  // namespace
}  // namespace dyncast::test
