// The switch answers for its own addresses, learns its neighbours, and believes nobody who claims ours.
#include "tests/ovs/pipeline/pipeline_fixture.h"

namespace dyncast::test {
namespace {

using pipeline::Table;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

ArpFrame Request(const Host& from, const IpAddress& target) {
  return {.eth_src = from.mac, .sender_mac = from.mac, .sender = from.address, .target = target};
}

TEST_F(PipelineTest, ArpForTheGatewayIsAnswered) {
  ASSERT_GOOD(ovs->Inject("acc1", Build(Request(client, client.gateway))));
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("acc1", 1);
  ASSERT_GOOD(sent);
  EXPECT_EQ(sent->front(), Build(ArpFrame{.eth_src = client.gateway_mac,
                                          .eth_dst = client.mac,
                                          .operation = 2,
                                          .sender_mac = client.gateway_mac,
                                          .sender = client.gateway,
                                          .target_mac = client.mac,
                                          .target = client.address}));
  EXPECT_EQ(TotalSent(), 1u);
}

TEST_F(PipelineTest, ArpForADsidIsAnsweredOnAccessPortsOnly) {
  const IpAddress sid = Ip("10.96.0.2");
  ASSERT_GOOD(ovs->Inject("edge", Build(Request(server, sid))));
  ASSERT_GOOD(ovs->Inject("br0", Build(Request(local, sid))));
  ASSERT_GOOD(ovs->Inject("acc2", Build(Request(far, sid))));
  const Result<std::vector<Bytes>> sent = ovs->WaitSent("acc2", 1);
  ASSERT_GOOD(sent);
  const Result<pipeline::NeighborPacket> answer = pipeline::ParseNeighbor(sent->front());
  ASSERT_GOOD(answer);
  EXPECT_FALSE(answer->request);
  EXPECT_EQ(answer->sender, sid);
  EXPECT_EQ(answer->sender_mac, far.gateway_mac);
  EXPECT_EQ(TotalSent(), 1u);
}

TEST_F(PipelineTest, GatewayOfAnotherPortIsNotAnswered) {
  ASSERT_GOOD(ovs->Inject("acc1", Build(Request(client, far.gateway))));
  Announce(client);
  EXPECT_EQ(TotalSent(), 1u);
}

TEST_F(PipelineTest, AskingHostIsLearned) {
  Announce(client);
  const Result<std::vector<std::string>> learned = ovs->DumpFlows("br0", "table=70,ip,reg5=0xc0a80a07");
  ASSERT_GOOD(learned);
  // cookie: kNeighbor, port 1, switch 1
  EXPECT_THAT(*learned, ElementsAre("cookie=0xd104000100000001, table=70, priority=100,ip,reg5=0xc0a80a07 "
                                    "actions=set_field:0a:00:00:00:0a:07->eth_dst,set_field:0x1->reg3"));
}

TEST_F(PipelineTest, LocalHostIsLearned) {
  Announce(local);
  const Result<std::vector<std::string>> learned = ovs->DumpFlows("br0", "table=70,ip,reg5=0x0a090002");
  ASSERT_GOOD(learned);
  ASSERT_THAT(*learned, SizeIs(1));
  EXPECT_THAT(learned->front(), HasSubstr("set_field:0xfffe->reg3"));
}

TEST_F(PipelineTest, AnswerToTheControllerIsLearnedAndPunted) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  const ArpFrame answer{.eth_src = router.mac,
                        .eth_dst = router.gateway_mac,
                        .operation = 2,
                        .sender_mac = router.mac,
                        .sender = router.address,
                        .target_mac = router.gateway_mac,
                        .target = router.gateway};
  ASSERT_GOOD(ovs->Inject("up", Build(answer)));
  const Result<std::vector<PacketIn>> punts = ovs->WaitPacketIns(1);
  ASSERT_GOOD(punts);
  EXPECT_EQ(punts->front().userdata, "04.00.00");
  EXPECT_EQ(punts->front().metadata.at("in_port"), "3");
  EXPECT_EQ(punts->front().data_octets, Build(answer).size());
  const Result<std::vector<std::string>> learned = ovs->DumpFlows("br0", "table=70,ip,reg5=0xac100002");
  ASSERT_GOOD(learned);
  EXPECT_THAT(*learned, SizeIs(1));
}

TEST_F(PipelineTest, ForgedArpTeachesNothing) {
  ASSERT_GOOD(ovs->Monitor("br0"));
  const auto claim = [&](const IpAddress& address, const MacAddress& mac) {
    Host liar = client;
    liar.address = address;
    ArpFrame frame = Request(liar, client.gateway);
    frame.sender_mac = mac;
    return Build(frame);
  };
  ExpectDropped("acc1", claim(client.gateway, client.mac), Table::kLink, 330,
                "arp,in_port=1,reg6=0x1,arp_spa=192.168.10.1");
  ExpectDropped("acc1", claim(Ip("10.96.0.1"), client.mac), Table::kLink, 330, "arp,arp_spa=10.96.0.1");
  EXPECT_EQ(TotalSent(), 0u);
  // Another network's address and a group MAC are answered (the asker may be odd) but not learned.
  ASSERT_GOOD(ovs->Inject("acc1", claim(server.address, client.mac)));
  ASSERT_GOOD(ovs->Inject("acc1", claim(client.address, Mac("0b:00:00:00:00:01"))));
  ASSERT_GOOD(ovs->WaitSent("acc1", 2));
  const Result<std::vector<std::string>> learned =
      ovs->DumpFlows("br0", "table=70,cookie=0xd104000000000000/0xffff000000000000");
  ASSERT_GOOD(learned);
  EXPECT_THAT(*learned, IsEmpty());
  EXPECT_THAT(ovs->PacketIns(), IsEmpty());
}

TEST_F(PipelineTest, NeighboursLeaveWithTheirPort) {
  Announce(client);
  Announce(server);
  // The plan without acc1: the difference, as a session would send it, in one bundle.
  SwitchPlan smaller = plan;
  smaller.ports.erase(smaller.ports.begin());
  const Result<pipeline::Compiled> next = pipeline::Compile(smaller);
  ASSERT_GOOD(next);
  ASSERT_GOOD(ovs->DeleteFlows("br0", "table=0,in_port=1"));
  for (const char* protocol : {"arp", "icmp6"}) {
    ASSERT_GOOD(ovs->DeleteFlows("br0", std::string("table=6,in_port=1,") + protocol));
  }
  EXPECT_TRUE(Eventually([&] {
    const Result<std::vector<std::string>> left = ovs->DumpFlows("br0", "table=70");
    return left.ok() && left->size() == 2;  // the server and the miss
  }));
  pipeline::Compiled rest;
  rest.flows = next->flows;
  ASSERT_GOOD(ovs->Install("br0", rest));
  const Result<std::vector<std::string>> left = ovs->DumpFlows("br0", "table=70,ip,reg5=0x0a02010b");
  ASSERT_GOOD(left);
  EXPECT_THAT(*left, SizeIs(1));
}

}  // namespace
}  // namespace dyncast::test
