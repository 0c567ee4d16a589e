// Demands: to the controller, to their instance, and the answers back.
#include "tests/ovs/pipeline/pipeline_fixture.h"

namespace dyncast::test {
namespace {

using pipeline::Table;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr ServiceId kWeb{1};

Demand DemandOf(const Ipv4Packet& packet) {
  return {.client = packet.src,
          .sid = packet.dst,
          .proto = packet.proto,
          .src_port = packet.src_port,
          .dst_port = packet.dst_port};
}

// `in` as the router must send it on: addresses rewritten, TTL less one, all checksums right.
Bytes Routed(Ipv4Packet in, const Host& to, const MacAddress& from_mac) {
  in.eth_src = from_mac;
  in.eth_dst = to.mac;
  --in.ttl;
  return Build(in);
}

TEST_F(PipelineTest, FirstPacketOfADemandGoesToTheControllerUnchanged) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Ipv4Packet demand = Packet(client, Ip("10.96.0.1"));
  demand.payload = std::string(1200, 'x');
  ASSERT_GOOD(ovs->Inject("acc1", Build(demand)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  const PacketIn& punt = punts->front();
  EXPECT_EQ(punt.userdata, "01.00.01");
  EXPECT_EQ(punt.metadata.at("in_port"), "1");
  EXPECT_EQ(punt.metadata.at("reg1"), "0x1");
  EXPECT_EQ(punt.metadata.at("reg6"), "0x1");
  EXPECT_EQ(punt.metadata.at("table_id"), "30");
  EXPECT_EQ(punt.data_octets, Build(demand).size());
  EXPECT_THAT(punt.text, HasSubstr("nw_src=192.168.10.7,nw_dst=10.96.0.1"));
  EXPECT_THAT(punt.text, HasSubstr("nw_ttl=64"));
  EXPECT_EQ(TotalSent(), 0u);
}

TEST_F(PipelineTest, ForwardedDemandTakesTheEgressOfItsInstance) {
  Announce(server);
  const Ipv4Packet demand = Packet(client, Ip("10.96.0.1"));
  ASSERT_GOOD(ovs->PacketOut("br0", "1", Build(demand), pipeline::DemandActions(kWeb, InstanceId{11})));
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("edge", 2);
  ASSERT_GOOD(sent);
  Ipv4Packet out = demand;
  out.dst = server.address;
  EXPECT_EQ(sent->back(), Routed(out, server, server.gateway_mac));
}

TEST_F(PipelineTest, BoundFlowReachesItsInstanceAndTheAnswerComesBack) {
  Announce(client);
  Announce(server);
  ASSERT_GOOD(ovs->Monitor("br0"));
  const Ipv4Packet demand = Packet(client, Ip("10.96.0.1"));
  Bind(kWeb, InstanceId{11}, DemandOf(demand));

  Ipv4Packet at_server = demand;
  at_server.dst = server.address;
  const Bytes out = Through("acc1", demand, "edge");
  EXPECT_EQ(out, Routed(at_server, server, server.gateway_mac));
  EXPECT_TRUE(ChecksumsRight(out));

  Ipv4Packet answer = Packet(server, client.address);
  answer.src_port = demand.dst_port;
  answer.dst_port = demand.src_port;
  answer.tcp_flags = 0x12;
  Ipv4Packet at_client = answer;
  at_client.src = demand.dst;
  const Bytes back = Through("edge", answer, "acc1");
  EXPECT_EQ(back, Routed(at_client, client, client.gateway_mac));
  EXPECT_TRUE(ChecksumsRight(back));

  // Another connection of the same client is another flow, and unbound.
  Ipv4Packet other = demand;
  ++other.src_port;
  ASSERT_GOOD(ovs->Inject("acc1", Build(other)));
  ASSERT_GOOD(ovs->WaitPacketIns(1));
}

TEST_F(PipelineTest, RemoteInstanceIsReachedOverTheUplink) {
  Announce(client);
  Announce(router);
  const Ipv4Packet demand = Packet(client, Ip("10.96.0.1"));
  Bind(kWeb, InstanceId{12}, DemandOf(demand));
  Ipv4Packet at_router = demand;
  at_router.dst = Ip("10.2.2.12");
  EXPECT_EQ(Through("acc1", demand, "up"), Routed(at_router, router, router.gateway_mac));

  Ipv4Packet answer = Packet(router, client.address);
  answer.src = at_router.dst;
  answer.src_port = demand.dst_port;
  answer.dst_port = demand.src_port;
  Ipv4Packet at_client = answer;
  at_client.src = demand.dst;
  EXPECT_EQ(Through("up", answer, "acc1"), Routed(at_client, client, client.gateway_mac));
}

TEST_F(PipelineTest, InstanceOnTheSwitchsOwnHost) {
  Announce(client);
  Announce(local);
  const Ipv4Packet demand = Packet(client, Ip("10.96.0.1"));
  Bind(kWeb, InstanceId{14}, DemandOf(demand));
  Ipv4Packet at_local = demand;
  at_local.dst = local.address;
  EXPECT_EQ(Through("acc1", demand, "br0"), Routed(at_local, local, local.gateway_mac));
  Ipv4Packet answer = Packet(local, client.address);
  answer.src_port = demand.dst_port;
  answer.dst_port = demand.src_port;
  Ipv4Packet at_client = answer;
  at_client.src = demand.dst;
  EXPECT_EQ(Through("br0", answer, "acc1"), Routed(at_client, client, client.gateway_mac));
}

// Client and instance behind the same access port: in and out of one port, both ways.
TEST_F(PipelineTest, Hairpin) {
  Announce(client);
  Announce(inner);
  const Ipv4Packet demand = Packet(client, Ip("10.96.0.1"));
  Bind(kWeb, InstanceId{13}, DemandOf(demand));
  Ipv4Packet at_inner = demand;
  at_inner.dst = inner.address;
  EXPECT_EQ(Through("acc1", demand, "acc1"), Routed(at_inner, inner, inner.gateway_mac));
  Ipv4Packet answer = Packet(inner, client.address);
  answer.src_port = demand.dst_port;
  answer.dst_port = demand.src_port;
  Ipv4Packet at_client = answer;
  at_client.src = demand.dst;
  EXPECT_EQ(Through("acc1", answer, "acc1"), Routed(at_client, client, client.gateway_mac));
}

TEST_F(PipelineTest, EgressGoneAsksOnceMoreAndAnswersWithReasonTwo) {
  Announce(client);
  Announce(server);
  ASSERT_GOOD(ovs->Monitor("br0"));
  const Ipv4Packet demand = Packet(client, Ip("10.96.0.1"));
  Bind(kWeb, InstanceId{11}, DemandOf(demand));
  (void)Through("acc1", demand, "edge");
  ASSERT_GOOD(ovs->DeleteFlows("br0", "table=40,reg0=11"));
  // The datapath goes by the old tables until OVS has looked at it again.
  ASSERT_GOOD(ovs->Appctl({"revalidator/wait"}));
  const size_t total = TotalSent();
  ASSERT_GOOD(ovs->Inject("acc1", Build(demand)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  EXPECT_EQ(punts->front().userdata, "02.00.01");
  EXPECT_EQ(punts->front().metadata.at("reg2"), "0x1");
  EXPECT_EQ(punts->front().metadata.count("reg0"), 0u);
  EXPECT_THAT(punts->front().text, HasSubstr("nw_dst=10.96.0.1"));
  EXPECT_EQ(TotalSent(), total);

  // The controller binds the same key elsewhere: the flow is replaced, not added.
  Announce(local);
  Bind(kWeb, InstanceId{14}, DemandOf(demand));
  ASSERT_GOOD(ovs->Appctl({"revalidator/wait"}));
  (void)Through("acc1", demand, "br0");
  const Result<std::vector<std::string>> bindings = ovs->DumpFlows("br0", "table=26");
  ASSERT_GOOD(bindings);
  EXPECT_THAT(*bindings, SizeIs(1));
  EXPECT_THAT(ovs->PacketIns(), SizeIs(1));
}

TEST_F(PipelineTest, BothPortsOfA3TupleServiceShareTheBinding) {
  const Host edge21{"edge", Ip("10.2.1.21"), Mac("0a:00:00:00:01:15"), server.gateway_mac, server.gateway};
  Announce(edge21);
  Announce(client);
  Ipv4Packet rtp = Packet(client, Ip("10.96.0.2"));
  rtp.proto = IpProto::kUdp;
  rtp.src_port = 6000;
  rtp.dst_port = 5004;
  Bind(ServiceId{2}, InstanceId{21}, DemandOf(rtp));
  Ipv4Packet rtcp = rtp;
  rtcp.src_port = 6001;
  rtcp.dst_port = 5005;
  for (const Ipv4Packet& packet : {rtp, rtcp}) {
    Ipv4Packet out = packet;
    out.dst = edge21.address;
    EXPECT_EQ(Through("acc1", packet, "edge"), Routed(out, edge21, edge21.gateway_mac));
  }
  // A fragment shows no ports but belongs to the same binding, there and back.
  Ipv4Packet fragment = rtp;
  fragment.more_fragments = true;
  Ipv4Packet out = fragment;
  out.dst = edge21.address;
  EXPECT_EQ(Through("acc1", fragment, "edge"), Routed(out, edge21, edge21.gateway_mac));
  Ipv4Packet answer = Packet(edge21, client.address);
  answer.proto = IpProto::kUdp;
  answer.more_fragments = true;
  Ipv4Packet at_client = answer;
  at_client.src = rtp.dst;
  EXPECT_EQ(Through("edge", answer, "acc1"), Routed(at_client, client, client.gateway_mac));
}

TEST_F(PipelineTest, KeyWithoutSourcePortCoversAllConnectionsOfTheClient) {
  Announce(server);
  ASSERT_GOOD(ovs->Monitor("br0"));
  Ipv4Packet demand = Packet(client, Ip("10.96.0.3"));
  demand.dst_port = 443;
  Bind(ServiceId{3}, InstanceId{31}, DemandOf(demand));
  for (const uint16_t port : std::vector<uint16_t>{40000, 40001, 1}) {
    demand.src_port = port;
    Ipv4Packet out = demand;
    out.dst = server.address;
    EXPECT_EQ(Through("acc1", demand, "edge"), Routed(out, server, server.gateway_mac));
  }
  EXPECT_THAT(ovs->PacketIns(), IsEmpty());
  Ipv4Packet other = demand;
  other.src = Ip("192.168.10.8");
  ASSERT_GOOD(ovs->Inject("acc1", Build(other)));
  ASSERT_GOOD(ovs->WaitPacketIns(1));
}

TEST_F(PipelineTest, ClientKeyCoversAllProtocols) {
  const Host edge41{"edge", Ip("10.2.1.41"), Mac("0a:00:00:00:01:29"), server.gateway_mac, server.gateway};
  Announce(edge41);
  Ipv4Packet demand = Packet(client, Ip("10.96.0.4"));
  demand.dst_port = 53;
  Bind(ServiceId{4}, InstanceId{41}, DemandOf(demand));
  for (IpProto proto : {IpProto::kTcp, IpProto::kUdp}) {
    demand.proto = proto;
    Ipv4Packet out = demand;
    out.dst = edge41.address;
    EXPECT_EQ(Through("acc1", demand, "edge"), Routed(out, edge41, edge41.gateway_mac));
  }
}

TEST_F(PipelineTest, ClientPrefixKeyCoversItsNeighboursOnly) {
  const Host edge51{"edge", Ip("10.2.1.51"), Mac("0a:00:00:00:01:33"), server.gateway_mac, server.gateway};
  Announce(edge51);
  ASSERT_GOOD(ovs->Monitor("br0"));
  Ipv4Packet demand = Packet(client, Ip("10.96.0.5"));
  demand.proto = IpProto::kUdp;
  demand.dst_port = 7000;
  Bind(ServiceId{5}, InstanceId{51}, DemandOf(demand));  // 192.168.10.0/26
  for (const char* source : {"192.168.10.7", "192.168.10.2", "192.168.10.63"}) {
    demand.src = Ip(source);
    Ipv4Packet out = demand;
    out.dst = edge51.address;
    EXPECT_EQ(Through("acc1", demand, "edge"), Routed(out, edge51, edge51.gateway_mac));
  }
  EXPECT_THAT(ovs->PacketIns(), IsEmpty());
  demand.src = Ip("192.168.10.64");
  ASSERT_GOOD(ovs->Inject("acc1", Build(demand)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  EXPECT_EQ(punts->front().userdata, "01.00.05");
}

TEST_F(PipelineTest, SctpIsSteeredToo) {
  const Host edge71{"edge", Ip("10.2.1.71"), Mac("0a:00:00:00:01:47"), server.gateway_mac, server.gateway};
  Announce(edge71);
  Ipv4Packet demand = Packet(client, Ip("10.96.0.7"));
  demand.proto = IpProto::kSctp;
  demand.dst_port = 2905;
  Bind(ServiceId{7}, InstanceId{71}, DemandOf(demand));
  const Bytes out = Through("acc1", demand, "edge");
  const Result<pipeline::ParsedPacket> parsed = pipeline::ParsePacket(out);
  ASSERT_GOOD(parsed);
  EXPECT_EQ(parsed->demand.sid, edge71.address);
  EXPECT_EQ(parsed->demand.dst_port, 2905);
}

TEST_F(PipelineTest, WhatNoServiceTakesIsDroppedAndCounted) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Ipv4Packet packet = Packet(client, Ip("10.96.0.1"));
  packet.dst_port = 81;
  ExpectDropped("acc1", Build(packet), Table::kService, 50, "ip,nw_dst=10.96.0.1");
  packet.proto = IpProto::kIcmp;
  ExpectDropped("acc1", Build(packet), Table::kService, 50, "ip,nw_dst=10.96.0.1");
  // Two services share this D-SID and protocol, and one has ports in its key.
  packet.proto = IpProto::kTcp;
  packet.fragment_offset = 64;
  ExpectDropped("acc1", Build(packet), Table::kService, 110, "ip,nw_dst=10.96.0.1,nw_frag=later");
  packet.fragment_offset = 0;
  packet.dst_port = 80;
  packet.src_port = 0;
  ExpectDropped("acc1", Build(packet), Table::kService, 250, "tcp,nw_dst=10.96.0.1,nw_frag=no,tp_src=0");
}

}  // namespace
}  // namespace dyncast::test
