// The router around the services: who may send, where to, and what is left as it is.
#include "tests/ovs/pipeline/pipeline_fixture.h"

namespace dyncast::test {
namespace {

using pipeline::Table;
using testing::HasSubstr;
using testing::SizeIs;

Bytes Routed(Ipv4Packet in, const Host& to) {
  in.eth_src = to.gateway_mac;
  in.eth_dst = to.mac;
  --in.ttl;
  return Build(in);
}

TEST_F(PipelineTest, ForgedSourcesAreDropped) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Announce(server);
  Ipv4Packet packet = Packet(client, server.address);
  packet.src = Ip("192.168.11.7");
  const std::string refused = "ip,in_port=1,reg6=0x1,dl_dst=02:00:00:00:01:01";
  ExpectDropped("acc1", Build(packet), Table::kAdmit, 410, refused);
  packet.src = Ip("10.96.0.1");
  ExpectDropped("acc1", Build(packet), Table::kAdmit, 410, refused);
  packet.src = server.address;
  ExpectDropped("acc1", Build(packet), Table::kAdmit, 410, refused);
  packet.src = client.gateway;
  ExpectDropped("acc1", Build(packet), Table::kAdmit, 430, "ip,in_port=1,reg6=0x1,nw_src=192.168.10.1");

  // acc2 may send from 10.0.0.0/8, but not as a D-SID or as an instance.
  packet = Packet(far, server.address);
  packet.src = Ip("10.96.0.1");
  ExpectDropped("acc2", Build(packet), Table::kAdmit, 430, "ip,in_port=4,reg6=0x1,nw_src=10.96.0.1");
  packet.src = server.address;
  ExpectDropped("acc2", Build(packet), Table::kAdmit, 430, "ip,in_port=4,reg6=0x1,nw_src=10.2.1.11");
  packet.src = Ip("10.200.0.1");
  EXPECT_EQ(Through("acc2", packet, "edge"), Routed(packet, server));
}

TEST_F(PipelineTest, OnlyPacketsToTheGatewaysMacAreRouted) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Announce(server);
  Ipv4Packet packet = Packet(client, server.address);
  packet.eth_dst = Mac("02:00:00:00:01:02");  // the gateway's on another port
  ExpectDropped("acc1", Build(packet), Table::kAdmit, 0, "");
  packet = Packet(client, server.address);
  packet.vlan = 7;
  ExpectDropped("acc1", Build(packet), Table::kClassify, 50, "vlan_tci=0x1000/0x1000");
  packet.vlan = 0;  // a priority, no VLAN
  ExpectDropped("acc1", Build(packet), Table::kClassify, 50, "vlan_tci=0x1000/0x1000");
  // The port has no IPv6 network.
  ExpectDropped("acc1", Build(Ipv6Packet{.eth_dst = client.gateway_mac}), Table::kAdmit, 200,
                "ipv6,in_port=1,reg6=0x1,dl_dst=02:00:00:00:01:01");
}

// Health checks: from the host behind LOCAL, or over the uplink, to a D-BID and back.
TEST_F(PipelineTest, TrafficBetweenEdgesIsNotRewritten) {
  Announce(server);
  Announce(local);
  Announce(router);
  for (const Host* checker : {&local, &router}) {
    const Ipv4Packet check = Packet(*checker, server.address);
    EXPECT_EQ(Through(checker->port, check, "edge"), Routed(check, server));
    Ipv4Packet answer = Packet(server, checker->address);
    answer.src_port = 80;
    answer.dst_port = 40000;
    EXPECT_EQ(Through("edge", answer, checker->port), Routed(answer, *checker));
  }
}

TEST_F(PipelineTest, PlainTrafficIsRoutedAndOtherPortsAreNotRewritten) {
  Announce(client);
  Announce(server);
  const Ipv4Packet packet = Packet(client, server.address);
  EXPECT_EQ(Through("acc1", packet, "edge"), Routed(packet, server));
  Ipv4Packet answer = Packet(server, client.address);
  answer.src_port = 22;
  EXPECT_EQ(Through("edge", answer, "acc1"), Routed(answer, client));
  // Nor is an answer to a ping of the D-BID.
  answer.proto = IpProto::kIcmp;
  answer.icmp_type = 0;
  EXPECT_EQ(Through("edge", answer, "acc1"), Routed(answer, client));
}

TEST_F(PipelineTest, RouteThroughAnAccessPortRestoresTheDsidToo) {
  const Host hop{"acc2", Ip("192.168.20.9"), Mac("0a:00:00:00:14:09"), far.gateway_mac, far.gateway};
  Announce(hop);
  Ipv4Packet answer = Packet(server, Ip("192.168.30.5"));
  answer.src_port = 80;
  Ipv4Packet out = answer;
  out.src = Ip("10.96.0.1");
  EXPECT_EQ(Through("edge", answer, "acc2"), Routed(out, hop));
}

TEST_F(PipelineTest, UnknownNeighbourIsPuntedReadyToGoAndNotSentTwice) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Ipv4Packet packet = Packet(client, Ip("10.2.2.99"));
  packet.payload = std::string(900, 'y');
  ASSERT_GOOD(ovs->Inject("acc1", Build(packet)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  EXPECT_EQ(punts->front().userdata, "03.00.00");
  EXPECT_EQ(punts->front().metadata.at("reg5"), "0xac100002");  // the next hop, not the destination
  EXPECT_EQ(punts->front().data_octets, Build(packet).size());
  EXPECT_THAT(punts->front().text, HasSubstr("nw_ttl=63"));
  EXPECT_EQ(TotalSent(), 0u);

  // The controller has asked, the switch has learned, and the packet goes on: one hop in all.
  Announce(router);
  Ipv4Packet held = packet;
  held.ttl = 63;
  ASSERT_GOOD(ovs->PacketOut("br0", "CONTROLLER", Build(held), pipeline::NeighborActions(Ip("172.16.0.2"))));
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("up", 2);
  ASSERT_GOOD(sent);
  EXPECT_EQ(sent->back(), Routed(packet, router));
  EXPECT_THAT(ovs->PacketIns(), SizeIs(1));
}

TEST_F(PipelineTest, GatewayAnswersEchoAndNothingElse) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Ipv4Packet echo = Packet(client, client.gateway);
  echo.proto = IpProto::kIcmp;
  Ipv4Packet reply = echo;
  std::swap(reply.eth_src, reply.eth_dst);
  std::swap(reply.src, reply.dst);
  reply.icmp_type = 0;
  const Bytes out = Through("acc1", echo, "acc1");
  EXPECT_EQ(out, Build(reply));
  EXPECT_TRUE(ChecksumsRight(out));
  // Also by its address on another port; from the host behind LOCAL, too.
  echo.dst = server.gateway;
  EXPECT_TRUE(ChecksumsRight(Through("acc1", echo, "acc1")));
  Ipv4Packet own = Packet(local, local.gateway);
  own.proto = IpProto::kIcmp;
  EXPECT_TRUE(ChecksumsRight(Through("br0", own, "br0")));
  const Ipv4Packet other = Packet(client, client.gateway);
  ExpectDropped("acc1", Build(other), Table::kRoute, 1020, "ip,nw_dst=192.168.10.1");
}

TEST_F(PipelineTest, WhatHasNoHostBehindItIsDropped) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  ExpectDropped("acc1", Build(Packet(client, Ip("224.0.0.5"))), Table::kRoute, 1010, "ip,nw_dst=224.0.0.0/3");
  ExpectDropped("acc1", Build(Packet(client, Ip("127.0.0.1"))), Table::kRoute, 1010, "ip,nw_dst=127.0.0.0/8");
  ExpectDropped("acc1", Build(Packet(client, Ip("10.2.1.255"))), Table::kRoute, 1010, "ip,nw_dst=10.2.1.255");
  ExpectDropped("acc1", Build(Packet(client, Ip("8.8.8.8"))), Table::kRoute, 0, "");
}

// A D-SID is nobody's destination but for clients: from an edge it is an address without a route.
TEST_F(PipelineTest, EdgesMakeNoDemands) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  ExpectDropped("edge", Build(Packet(server, Ip("10.96.0.1"))), Table::kRoute, 0, "");
}

}  // namespace
}  // namespace dyncast::test
