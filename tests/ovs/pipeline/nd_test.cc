// Neighbour discovery: the switch answers for its IPv6 addresses, learns its neighbours, and believes nobody
// who claims ours.
#include "tests/ovs/pipeline/router_fixture.h"

namespace dyncast::test {
namespace {

using pipeline::Table;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(RouterTest, SolicitationForTheGatewayIsAnsweredAndTheAskerLearned) {
  const Bytes answer = Through("acc1", Build(Solicit(client6, client6.gateway)), "acc1");
  EXPECT_EQ(ToHex(answer), ToHex(Build(AdvertisementTo(client6, client6.gateway))));
  EXPECT_TRUE(ChecksumsRight(answer));
  EXPECT_THAT(Learned(client6.address),
              ElementsAre("cookie=0xd104000100000001, table=70, priority=100,ipv6,"
                          "reg12=0xfd100000,reg13=0,reg14=0,reg15=0x7 "
                          "actions=set_field:0a:00:00:00:0a:07->eth_dst,set_field:0x1->reg3"));
}

TEST_F(RouterTest, DsidIsAnsweredOnAccessPortsOnly) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  const IpAddress sid = Ip("fd96::1");
  for (const Host* host : {&client6, &far6, &red6, &blue6}) {
    EXPECT_EQ(ToHex(Through(host->port, Build(Solicit(*host, sid)), host->port)),
              ToHex(Build(AdvertisementTo(*host, sid))));
  }
  ExpectDropped("edge", Build(Solicit(server6, sid)), Table::kLink, 280, "icmp6,icmp_type=135");
  // The gateway of another port is not ours here.
  ExpectDropped("acc1", Build(Solicit(client6, far6.gateway)), Table::kLink, 280, "icmp6,icmp_type=135");
}

// Unreachability probes: unicast, often from a link-local address, often without the option.
TEST_F(RouterTest, ProbesAreAnswered) {
  NdFrame probe = Solicit(client6, client6.gateway);
  probe.eth_dst = client6.gateway_mac;
  probe.dst = client6.gateway;
  probe.src = Ip("fe80::7");
  NdFrame answer = AdvertisementTo(client6, client6.gateway);
  answer.dst = probe.src;
  EXPECT_EQ(ToHex(Through("acc1", Build(probe), "acc1")), ToHex(Build(answer)));
  EXPECT_THAT(Learned(probe.src), IsEmpty());

  probe.src = client6.address;
  probe.link_address.reset();
  answer = AdvertisementTo(client6, client6.gateway);
  answer.link_address.reset();
  EXPECT_EQ(ToHex(Through("acc1", Build(probe), "acc1")), ToHex(Build(answer)));
  EXPECT_THAT(Learned(client6.address), IsEmpty());
}

TEST_F(RouterTest, DuplicateOfOurAddressIsContradictedBeforeAll) {
  NdFrame claim = Solicit(client6, client6.gateway);
  claim.src = IpAddress{};
  claim.link_address.reset();
  NdFrame answer = AdvertisementTo(client6, client6.gateway);
  answer.eth_dst = Mac("33:33:00:00:00:01");
  answer.dst = Ip("ff02::1");
  answer.flags = 0xa0000000;
  answer.link_address.reset();  // OpenFlow can't add an option
  EXPECT_EQ(ToHex(Through("acc1", Build(claim), "acc1")), ToHex(Build(answer)));
  claim.target = Ip("fd10::99");
  ASSERT_GOOD(ovs->Monitor("br0"));
  ExpectDropped("acc1", Build(claim), Table::kLink, 280, "icmp6,icmp_type=135");
}

TEST_F(RouterTest, AnswerToTheControllerIsLearnedAndPunted) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  NdFrame answer;
  answer.eth_src = router6.mac;
  answer.eth_dst = router6.gateway_mac;
  answer.src = router6.address;
  answer.dst = router6.gateway;
  answer.advertisement = true;
  answer.flags = 0x60000000;
  answer.target = router6.address;
  answer.link_address = router6.mac;
  ASSERT_GOOD(ovs->Inject("up", Build(answer)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  EXPECT_EQ(punts->front().userdata, "04.00.00");
  EXPECT_EQ(punts->front().metadata.at("in_port"), "3");
  EXPECT_EQ(punts->front().data_octets, Build(answer).size());
  EXPECT_THAT(Learned(router6.address), SizeIs(1));

  // To all nodes, unasked: a host that says where it is now. Learned, not told.
  answer.link_address = Mac("0a:00:00:00:00:33");
  answer.eth_dst = Mac("33:33:00:00:00:01");
  answer.dst = Ip("ff02::1");
  ASSERT_GOOD(ovs->Inject("up", Build(answer)));
  EXPECT_TRUE(Eventually([&] {
    const std::vector<std::string> flows = Learned(router6.address);
    return flows.size() == 1 && flows[0].find("0a:00:00:00:00:33") != std::string::npos;
  }));
  EXPECT_EQ(TotalSent(), 0u);
  EXPECT_THAT(ovs->PacketIns(), SizeIs(1));
}

TEST_F(RouterTest, ForgedNdTeachesNothing) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  const std::string port = "icmp6,in_port=1,reg6=0x1,reg3=0,";
  const std::string solicit = "icmp_type=135,icmp_code=0,";
  const std::string advertise = "icmp_type=136,icmp_code=0,";
  NdFrame lie = Solicit(client6, client6.gateway);
  lie.src = client6.gateway;
  ExpectDropped("acc1", Build(lie), Table::kLink, 330, port + solicit + "nw_ttl=255,ipv6_src=fd10::1");
  lie.src = Ip("fd96::1");
  ExpectDropped("acc1", Build(lie), Table::kLink, 330, "icmp6,reg3=0," + solicit + "ipv6_src=fd96::1");
  lie.src = Ip("ff02::5");
  ExpectDropped("acc1", Build(lie), Table::kAdmit, 330, "ipv6,ipv6_src=ff00::/8");

  NdFrame claim = AdvertisementTo(client6, client6.gateway);
  claim.eth_src = client6.mac;
  claim.eth_dst = client6.gateway_mac;
  claim.link_address = client6.mac;
  ExpectDropped("acc1", Build(claim), Table::kLink, 330, port + advertise + "nw_ttl=255,nd_target=fd10::1");
  claim.target = Ip("fd96::1");
  ExpectDropped("edge", Build(claim), Table::kLink, 330, "icmp6,reg3=0," + advertise + "nd_target=fd96::1");
  claim.target = client6.address;
  claim.link_address.reset();
  ExpectDropped("acc1", Build(claim), Table::kLink, 305,
                "icmp6,reg3=0," + advertise + "nw_ttl=255,nd_tll=00:00:00:00:00:00");
  claim.link_address = Mac("0b:00:00:00:00:01");  // a group
  ExpectDropped("acc1", Build(claim), Table::kLink, 280, "icmp6,icmp_type=136");
  claim.link_address = client6.mac;
  claim.hop_limit = 254;  // from another link
  ExpectDropped("acc1", Build(claim), Table::kLink, 280, "icmp6,icmp_type=136");
  claim.hop_limit = 255;
  claim.target = server6.address;  // of another port's network
  ExpectDropped("acc1", Build(claim), Table::kLink, 280, "icmp6,icmp_type=136");
  NdFrame distant = Solicit(client6, client6.gateway);
  distant.hop_limit = 64;
  ExpectDropped("acc1", Build(distant), Table::kLink, 280, "icmp6,icmp_type=135");
  EXPECT_EQ(TotalSent(), 0u);

  // Another network's address is answered (the asker may be odd) but not learned.
  NdFrame odd = Solicit(client6, client6.gateway);
  odd.src = server6.address;
  (void)Through("acc1", Build(odd), "acc1");
  const Result<std::vector<std::string>> learned =
      ovs->DumpFlows("br0", "table=70,cookie=0xd104000000000000/0xffff000000000000");
  ASSERT_GOOD(learned);
  EXPECT_THAT(*learned, IsEmpty());
}

TEST_F(RouterTest, RouterDiscoveryAndRedirectsAreDropped) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  for (const int type : {133, 134, 137}) {
    Ipv6Packet packet = Packet6(client6, client6.gateway);
    packet.proto = IpProto::kIcmp;
    packet.icmp_type = static_cast<uint8_t>(type);
    packet.hop_limit = 255;
    packet.payload = std::string(40, '\0');
    ExpectDropped("acc1", Build(packet), Table::kLink, 280, "icmp6,icmp_type=" + std::to_string(type));
  }
}

TEST_F(RouterTest, ASolicitationOfOursIsWhatOvsReads) {
  const Bytes frame = pipeline::MakeNeighborSolicit(client6.mac, client6.address, client6.gateway);
  EXPECT_EQ(ToHex(Through("acc1", frame, "acc1")), ToHex(Build(AdvertisementTo(client6, client6.gateway))));
  EXPECT_THAT(Learned(client6.address), SizeIs(1));
}

TEST_F(RouterTest, NeighboursOfBothFamiliesLeaveWithTheirPort) {
  Announce(client);
  Announce6(client6);
  Announce6(server6);
  SwitchPlan smaller = plan;
  smaller.ports.erase(smaller.ports.begin());
  smaller.instances.pop_back();
  ASSERT_TRUE(pipeline::Compile(smaller).ok());
  ASSERT_GOOD(ovs->DeleteFlows("br0", "table=6,arp,in_port=1"));
  EXPECT_THAT(Learned(client.address), SizeIs(1)) << "ND can still teach it";
  ASSERT_GOOD(ovs->DeleteFlows("br0", "table=6,icmp6,in_port=1"));
  EXPECT_TRUE(
      Eventually([&] { return Learned(client.address).empty() && Learned(client6.address).empty(); }));
  EXPECT_THAT(Learned(server6.address), SizeIs(1));
}

}  // namespace
}  // namespace dyncast::test
