// The IPv6 half of the router, and what happens where a TTL or hop limit ends.
#include "tests/ovs/pipeline/router_fixture.h"

namespace dyncast::test {
namespace {

using pipeline::Table;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Bytes Routed(Ipv6Packet in, const Host& to) {
  in.vlan.reset();
  in.eth_src = to.gateway_mac;
  in.eth_dst = to.mac;
  --in.hop_limit;
  return Build(in);
}

TEST_F(RouterTest, SwitchHoldsExactlyWhatWasCompiled) {
  const Result<std::vector<std::string>> flows = ovs->DumpFlows("br0");
  ASSERT_GOOD(flows);
  EXPECT_THAT(*flows, SizeIs(compiled.flows.size()));
  const Result<std::string> same =
      ovs->Ofctl({"diff-flows", ovs->Management("br0"), ovs->dir() + "/flows.txt"});
  EXPECT_TRUE(same.ok()) << same.error().ToString();
}

TEST_F(RouterTest, PlainIpv6IsRouted) {
  Announce6(client6);
  Announce6(server6);
  Announce6(router6);
  const Ipv6Packet packet = Packet6(client6, server6.address);
  EXPECT_EQ(ToHex(Through("acc1", Build(packet), "edge")), ToHex(Routed(packet, server6)));
  const Ipv6Packet remote = Packet6(client6, Ip("fd02:2::99"));
  EXPECT_EQ(ToHex(Through("acc1", Build(remote), "up")), ToHex(Routed(remote, router6)));
  Ipv6Packet answer = Packet6(server6, client6.address);
  answer.extensions = {0, 60};
  EXPECT_EQ(ToHex(Through("edge", Build(answer), "acc1")), ToHex(Routed(answer, client6)));
}

TEST_F(RouterTest, AnswersOfAServiceGetTheDsid) {
  Announce6(client6);
  const Host hop{"acc2", Ip("fd20::9"), Mac("0a:00:00:00:14:09"), far.gateway_mac, Ip("fd20::1")};
  Announce6(hop);
  for (const auto& [to, via] : {std::pair{client6.address, &client6}, {Ip("fd40::5"), &hop}}) {
    Ipv6Packet answer = Packet6(server6, to);
    answer.proto = IpProto::kTcp;
    answer.src_port = 80;
    answer.dst_port = 40000;
    Ipv6Packet out = answer;
    out.src = Ip("fd96::1");
    const Bytes sent = Through("edge", Build(answer), via->port);
    EXPECT_EQ(ToHex(sent), ToHex(Routed(out, *via)));
    EXPECT_TRUE(ChecksumsRight(sent));
  }
}

TEST_F(RouterTest, UnknownIpv6NeighbourIsPuntedReadyToGo) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  const Ipv6Packet packet = Packet6(client6, Ip("fd02:2::99"));
  ASSERT_GOOD(ovs->Inject("acc1", Build(packet)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  EXPECT_EQ(punts->front().userdata, "03.00.00");
  EXPECT_THAT(punts->front().text, HasSubstr("reg12=0xfd160000"));
  EXPECT_THAT(punts->front().text, HasSubstr("reg15=0x2"));
  EXPECT_THAT(punts->front().text, HasSubstr("nw_ttl=63"));
  EXPECT_EQ(TotalSent(), 0u);

  Announce6(router6);
  Ipv6Packet held = packet;
  held.hop_limit = 63;
  ASSERT_GOOD(ovs->PacketOut("br0", "CONTROLLER", Build(held), pipeline::NeighborActions(router6.address)));
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("up", 2);
  ASSERT_GOOD(sent);
  EXPECT_EQ(ToHex(sent->back()), ToHex(Routed(packet, router6)));
  EXPECT_THAT(ovs->PacketIns(), SizeIs(1));
}

TEST_F(RouterTest, ForgedIpv6SourcesAreDropped) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Announce6(server6);
  const auto from = [&](const Host& host, const char* source) {
    Ipv6Packet packet = Packet6(host, server6.address);
    packet.src = Ip(source);
    return Build(packet);
  };
  const std::string refused = "ipv6,in_port=1,reg6=0x1,dl_dst=02:00:00:00:01:01";
  for (const char* source : {"fd11::7", "fd96::1", "fd02:1::15", "fe80::7"}) {
    ExpectDropped("acc1", from(client6, source), Table::kAdmit, 200, refused);
  }
  ExpectDropped("acc1", from(client6, "fd10::1"), Table::kAdmit, 220,
                "ipv6,in_port=1,reg6=0x1,ipv6_src=fd10::1");
  ExpectDropped("acc1", from(client6, "::"), Table::kAdmit, 220, "ipv6,ipv6_src=::");
  ExpectDropped("edge", from(server6, "ff02::1"), Table::kAdmit, 330, "ipv6,ipv6_src=ff00::/8");
  ExpectDropped("edge", from(server6, "::1"), Table::kAdmit, 330, "ipv6,ipv6_src=::1");
  // acc2 may send from fd00::/8, but not as a D-SID or as an instance that lives elsewhere.
  ExpectDropped("acc2", from(far6, "fd96::1"), Table::kAdmit, 220,
                "ipv6,in_port=4,reg6=0x1,ipv6_src=fd96::1");
  ExpectDropped("acc2", from(far6, "fd02:1::15"), Table::kAdmit, 220,
                "ipv6,in_port=4,reg6=0x1,ipv6_src=fd02:1::15");
  Ipv6Packet wide = Packet6(far6, server6.address);
  wide.src = Ip("fdaa::1");
  EXPECT_EQ(ToHex(Through("acc2", Build(wide), "edge")), ToHex(Routed(wide, server6)));
}

TEST_F(RouterTest, Ipv6WithoutAHostBehindItIsDropped) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  for (const auto& [to, flow] : {std::pair{"ff0e::5", "ipv6,ipv6_dst=ff00::/8"},
                                 {"::1", "ipv6,ipv6_dst=::1"},
                                 {"::", "ipv6,ipv6_dst=::"},
                                 {"fe80::9", "ipv6,ipv6_dst=fe80::/10"},
                                 {"fd02:1::", "ipv6,ipv6_dst=fd02:1::"}}) {
    ExpectDropped("acc1", Build(Packet6(client6, Ip(to))), Table::kRoute, 510, flow);
  }
  Ipv6Packet link = Packet6(server6, client6.address);
  link.src = Ip("fe80::5");
  ExpectDropped("edge", Build(link), Table::kRoute, 510, "ipv6,ipv6_src=fe80::/10");
  ExpectDropped("acc1", Build(Packet6(client6, Ip("2001:db8::1"))), Table::kRoute, 0, "");
  ExpectDropped("edge", Build(Packet6(server6, Ip("fd96::1"))), Table::kRoute, 0, "");
}

TEST_F(RouterTest, GatewayAnswersIpv6Echo) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  for (const Host* host : {&client6, &server6, &blue6}) {
    for (const IpAddress& own : {host->gateway, far6.gateway}) {
      Ipv6Packet echo = Packet6(*host, own);
      echo.proto = IpProto::kIcmp;
      echo.hop_limit = 1;  // it ends here anyway
      echo.payload = std::string(1001, 'e');
      Ipv6Packet reply = echo;
      std::swap(reply.eth_src, reply.eth_dst);
      std::swap(reply.src, reply.dst);
      reply.icmp_type = 129;
      reply.hop_limit = 64;
      const Bytes out = Through(host->port, Build(echo), host->port);
      EXPECT_EQ(ToHex(out), ToHex(Build(reply)));
      EXPECT_TRUE(ChecksumsRight(out));
    }
  }
  ExpectDropped("acc1", Build(Packet6(client6, client6.gateway)), Table::kRoute, 520,
                "ipv6,ipv6_dst=fd10::1");
  EXPECT_THAT(ovs->PacketIns(), IsEmpty());
}

// The answer is the controller's to make; it must quote what the sender sent.
TEST_F(RouterTest, LastHopIsPuntedAsItCame) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  Announce(server);
  Announce6(server6);
  const size_t total = TotalSent();
  size_t punts = 0;
  const auto expect_punt = [&](const Host& host, const Bytes& frame, const std::string& dst) {
    ASSERT_GOOD(ovs->Inject(host.port, frame));
    const Result<std::vector<PacketIn>> in = ovs->WaitPacketIns(++punts);
    ASSERT_GOOD(in);
    EXPECT_EQ(in->back().userdata, "07.00.00");
    EXPECT_THAT(in->back().text, HasSubstr(dst));
    EXPECT_EQ(in->back().data_octets, frame.size());
  };
  for (const uint8_t ttl : {uint8_t{0}, uint8_t{1}}) {
    Ipv4Packet v4 = Packet(client, server.address);
    v4.ttl = ttl;
    expect_punt(client, Build(v4), "nw_dst=10.2.1.11");
    v4.dst = Ip("10.96.0.1");  // a demand
    expect_punt(client, Build(v4), "nw_dst=10.96.0.1");
    Ipv6Packet v6 = Packet6(client6, server6.address);
    v6.hop_limit = ttl;
    expect_punt(client6, Build(v6), "ipv6_dst=fd02:1::15");
    v6.dst = Ip("fd96::2");
    expect_punt(client6, Build(v6), "ipv6_dst=fd96::2");
  }
  EXPECT_EQ(TotalSent(), total);

  Ipv4Packet v4 = Packet(client, server.address);
  v4.ttl = 2;
  Ipv4Packet out = v4;
  out.eth_src = server.gateway_mac;
  out.eth_dst = server.mac;
  out.ttl = 1;
  EXPECT_EQ(ToHex(Through("acc1", v4, "edge")), ToHex(Build(out)));
  EXPECT_THAT(ovs->PacketIns(), SizeIs(punts));

  // The answer goes out of the port that the packet came from.
  v4.ttl = 1;
  const std::optional<Bytes> exceeded = pipeline::MakeTimeExceeded(Build(v4), client.gateway);
  ASSERT_TRUE(exceeded.has_value());
  ASSERT_GOOD(ovs->PacketOut("br0", "CONTROLLER", *exceeded, pipeline::OutputActions(PortNo{1})));
  const size_t before = ovs->Sent("acc1").size();
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("acc1", std::max<size_t>(before, 1));
  ASSERT_GOOD(sent);
  EXPECT_EQ(ToHex(sent->back()), ToHex(*exceeded));
}

}  // namespace
}  // namespace dyncast::test
