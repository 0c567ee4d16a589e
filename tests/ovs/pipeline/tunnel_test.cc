// D-Forwarder and D-Router, each on a real ovs-vswitchd, with the other one's Geneve packets on its uplink.
#include "ovs-integration/pipeline/packet.h"
#include "tests/ovs/pipeline/learn_fixture.h"
#include "tests/ovs/pipeline/tunnel_frame.h"

namespace dyncast::test {
namespace {

using pipeline::TunnelKind;
using testing::IsEmpty;
using testing::SizeIs;

const IpAddress kForwarder = Ip("10.255.1.2");
const IpAddress kRouter = Ip("10.255.2.2");
constexpr uint32_t kGeneve = 10;
// Services whose bindings D-Forwarders keep.
constexpr std::array<uint16_t, 8> kKept{11, 12, 13, 14, 15, 16, 17, 19};

class TunnelTest : public LearnTest {
 protected:
  explicit TunnelTest(SwitchRole role) {
    const bool forwarder = role == SwitchRole::kDForwarder;
    plan.role = role;
    local = forwarder ? kForwarder : kRouter;
    peer = forwarder ? kRouter : kForwarder;
    // The host behind LOCAL has the endpoint; what is beyond the uplink, a router.
    plan.ports.push_back(SamplePort("br0", 0xfffe, PortRole::kEdge,
                                    forwarder ? "10.255.1.1/24" : "10.255.2.1/24", "02:00:00:00:01:fe"));
    plan.ports[1].role = PortRole::kUplink;
    plan.routes = {{.to = Prefix("10.255.0.0/16"), .via = Ip("10.2.9.9")},
                   {.to = Prefix("10.97.0.0/16"), .via = Ip("10.2.9.9")}};
    plan.tunnel = PlannedTunnel{.port = PortNo{kGeneve}, .local = local};
    if (forwarder) {
      plan.d_routers = {kRouter};
      plan.ask = kRouter;
      for (PlannedService& service : plan.services) AsAtForwarder(&service);
    } else {
      plan.forwarders = {{.id = SwitchId{7},
                          .endpoint = kForwarder,
                          .sources = {Prefix("192.168.0.0/16"), Prefix("fd10::/32")}}};
      plan.ports[0].addresses = {Prefix("172.20.0.1/16")};
      plan.ports[0].sources = plan.ports[0].addresses;
      plan.routes.push_back({.to = Prefix("192.168.0.0/16"), .via = Ip("10.2.9.9")});
    }
  }
  static void AsAtForwarder(PlannedService* service) {
    service->spec.dispatch = Dispatch::kLearn;
    service->slots_v4.clear();
    service->slots_v6.clear();
    service->spec.affinity.store = StoreAt(SwitchRole::kDForwarder, service->spec.affinity);
  }

  void Prepare() override {
    ASSERT_TRUE(
        ovs->Vsctl({"add-port", "br0", "gnv", "--", "set", "interface", "gnv", "type=geneve",
                    "options:remote_ip=flow", "options:key=0", "options:csum=true", "ofport_request=10"})
            .ok());
    ASSERT_TRUE(ovs->Appctl({"netdev-dummy/ip4addr", "br0", local.ToString() + "/24"}).ok());
    ASSERT_TRUE(ovs->Appctl({"ovs/route/add", "10.255.0.0/16", "br0", Gateway()}).ok());
    const Result<pipeline::Compiled> wanted = pipeline::Compile(plan);
    ASSERT_TRUE(wanted.ok()) << wanted.error().ToString();
    std::string map;
    for (const pipeline::TunnelOption& option : wanted->tunnel_options) {
      map += (map.empty() ? "{class=" : ",{class=") + std::to_string(option.option_class) +
             ",type=" + std::to_string(option.type) + ",len=" + std::to_string(option.octets) +
             "}->tun_metadata" + std::to_string(option.field);
    }
    const Result<std::string> mapped = ovs->Ofctl({"add-tlv-map", ovs->Management("br0"), map});
    ASSERT_TRUE(mapped.ok()) << mapped.error().ToString();
  }
  void SetUp() override {
    LearnTest::SetUp();
    if (HasFatalFailure()) return;
    Result<std::string> mac = ovs->Vsctl({"get", "interface", "br0", "mac_in_use"});
    ASSERT_TRUE(mac.ok());
    std::erase_if(*mac, [](char c) { return c == '"' || c == '\n'; });
    ASSERT_TRUE(
        Works(ovs->AddFlow("br0", {.table = static_cast<uint8_t>(pipeline::Table::kNeighbor),
                                   .priority = 100,
                                   .match = "ip,reg5=" + std::to_string(local.v4()),
                                   .actions = "set_field:" + *mac + "->eth_dst,set_field:0xfffe->reg3"})));
    // The first packet only asks for the gateway's MAC, which the pipeline answers.
    ASSERT_TRUE(Works(ovs->PacketOut("br0", "CONTROLLER", Build(Demand4(11)),
                                     pipeline::HelloActions(PortNo{kGeneve}, peer))));
    ASSERT_TRUE(Eventually([&] {
      const Result<std::string> known = ovs->Appctl({"tnl/neigh/show"});
      return known.ok() && known->find(Gateway()) != std::string::npos;
    }));
  }
  std::string Gateway() const { return local == kForwarder ? "10.255.1.1" : "10.255.2.1"; }

  // What left by the uplink since `before`, at least `count`.
  std::vector<Bytes> Left(size_t before, size_t count) {
    const Result<std::vector<Bytes>> sent = ovs->WaitSent("edge", before + count);
    EXPECT_TRUE(sent.ok()) << sent.error().ToString();
    if (!sent.ok()) return {};
    return {sent->begin() + static_cast<std::ptrdiff_t>(before), sent->end()};
  }
  size_t SentSoFar() { return ovs->Sent("edge").size(); }
  static uint32_t Word(TunnelKind kind, uint16_t service) {
    return static_cast<uint32_t>(kind) << 24 | service;
  }
  uint64_t Dropped(const char* table, uint16_t priority, const std::string& match) {
    for (const pipeline::Flow& flow : compiled.flows) {
      if (flow.table != std::stoi(table) || flow.priority != priority || flow.match != match) continue;
      return ovs->Packets("br0", flow).ok() ? *ovs->Packets("br0", flow) : 0;
    }
    ADD_FAILURE() << "no flow " << table << " " << priority << " " << match;
    return 0;
  }

  IpAddress local;
  IpAddress peer;
};

class ForwarderTest : public TunnelTest {
 protected:
  ForwarderTest() : TunnelTest(SwitchRole::kDForwarder) {}
  TunnelFrame Info(const BindingKey& key, InstanceId instance) {
    const pipeline::KeyRegisters r = pipeline::RegistersOf(key);
    Bytes cut = Build(Demand4(11));
    cut.resize(64);
    return {.src = kRouter,
            .dst = kForwarder,
            .options = {{1, Words({Word(TunnelKind::kBindingInfo, key.service.value())})},
                        {2, Words({instance.value(), r.reg4, r.reg7})},
                        {3, Words({r.xxreg2[0], r.xxreg2[1], r.xxreg2[2], r.xxreg2[3]})}},
            .inner = cut};
  }
  void Tell(const TunnelFrame& info) {
    const uint64_t before = Received("edge");
    InjectAll("edge", {Build(info)});
    EXPECT_TRUE(Eventually([&] { return Received("edge") > before; }));
    // Of info that meets a datapath flow the revalidator learns; what it learned counts with its next round.
    Settle();
    Settle();
  }
  std::vector<std::string> AllBindings() {
    std::vector<std::string> all = Bindings();
    for (const char* table : {"table=21", "table=22"}) {
      for (const std::string& flow : Bindings(table)) all.push_back(flow);
    }
    return all;
  }
};

TEST_F(ForwarderTest, AsksAndTakesTheAnswer) {
  for (const uint16_t id : kKept) {
    for (const DemandFrame& demand : {Demand4(id), Demand6(id)}) {
      const size_t before = SentSoFar();
      const size_t bound = AllBindings().size();
      InjectAll("acc", {Build(demand)});
      const std::vector<Bytes> asked = Left(before, 1);
      ASSERT_THAT(asked, SizeIs(1));
      const std::optional<TunnelFrame> miss = ReadTunnelFrame(asked[0]);
      ASSERT_TRUE(miss.has_value()) << ToHex(asked[0]);
      EXPECT_EQ(miss->src, kForwarder);
      EXPECT_EQ(miss->dst, kRouter);
      EXPECT_EQ(miss->options, (std::map<uint8_t, Bytes>{{1, Words({Word(TunnelKind::kMiss, id)})}}));
      EXPECT_EQ(miss->inner, Build(demand));
      const InstanceId instance{static_cast<uint16_t>(id * 10 + (demand.dst.is_v4() ? 3 : 7))};
      Tell(Info(KeyOf(id, demand), instance));
      ASSERT_THAT(AllBindings(), SizeIs(bound + 1)) << id << " " << demand.src.ToString();
      EXPECT_EQ(SendDemand(demand), BidOf(instance)) << id;
    }
  }
}

TEST_F(ForwarderTest, TheFirstAnswerStaysWhileItsInstanceIsThere) {
  const DemandFrame demand = Demand4(11);
  const BindingKey key = KeyOf(11, demand);
  Tell(Info(key, InstanceId{111}));
  Tell(Info(key, InstanceId{112}));
  EXPECT_EQ(SendDemand(demand), BidOf(InstanceId{111}));
  // Gone: only its egress goes, and the next packet asks again.
  const size_t flows = compiled.flows.size();
  for (PlannedInstance& instance : plan.instances) {
    if (instance.id == InstanceId{111}) instance.reachable = false;
  }
  Install();
  EXPECT_EQ(compiled.flows.size(), flows - 1);
  const size_t before = SentSoFar();
  InjectAll("acc", {Build(demand)});
  const std::vector<Bytes> asked = Left(before, 1);
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_TRUE(ReadTunnelFrame(asked[0]).has_value());
  Tell(Info(key, InstanceId{112}));
  EXPECT_EQ(SendDemand(demand), BidOf(InstanceId{112}));
  EXPECT_THAT(Bindings(), SizeIs(1));
}

TEST_F(ForwarderTest, StrangersBindNothing) {
  const BindingKey key = KeyOf(11, Demand4(11));
  const TunnelFrame info = Info(key, InstanceId{111});
  TunnelFrame forged = info;
  forged.src = Ip("10.255.3.2");
  Tell(forged);
  EXPECT_EQ(Dropped("2", 0, ""), 1u);
  forged = info;
  forged.options[1] = Words({Word(TunnelKind::kMiss, 11)});
  Tell(forged);
  EXPECT_EQ(Dropped("2", 0, ""), 2u);
  // An instance that it does not have; one of another service; a service that it does not have.
  Tell(Info(key, InstanceId{999}));
  Tell(Info(key, InstanceId{121}));
  BindingKey nobody = key;
  nobody.service = ServiceId{99};
  Tell(Info(nobody, InstanceId{111}));
  // A client that speaks Geneve to the endpoint, with its own address.
  forged = info;
  forged.src = Ip("192.168.10.7");
  forged.eth_dst = Mac("02:00:00:00:01:01");
  InjectAll("acc", {Build(forged)});
  Settle();
  EXPECT_EQ(Dropped("10", 210, "udp,nw_dst=10.255.1.2,tp_dst=6081"), 1u);
  // And with the D-Router's: no such source on an access port.
  forged.src = kRouter;
  InjectAll("acc", {Build(forged)});
  Settle();
  EXPECT_THAT(AllBindings(), IsEmpty());
}

TEST_F(ForwarderTest, WhatIsTooLargeGoesThePlainWay) {
  DemandFrame demand = Demand4(11);
  demand.proto = IpProto::kUdp;
  const size_t headers = Build(demand).size() - demand.payload.size();
  for (const size_t ip_octets : {size_t{1442}, size_t{1443}, size_t{1500}}) {
    demand.payload = std::string(14 + ip_octets - headers, 'l');
    const size_t before = SentSoFar();
    InjectAll("acc", {Build(demand)});
    const std::vector<Bytes> sent = Left(before, 1);
    ASSERT_THAT(sent, SizeIs(1));
    EXPECT_LE(sent[0].size(), 14u + 1500u);
    EXPECT_EQ(ReadTunnelFrame(sent[0]).has_value(), ip_octets == 1442) << ip_octets;
    if (ip_octets > 1442) {
      EXPECT_EQ(DestinationOf(sent[0]), demand.dst);
    }
  }
}

TEST_F(ForwarderTest, OverItsLimitNothingNewIsTaken) {
  for (const uint16_t id : {uint16_t{11}, uint16_t{16}}) {
    const InstanceId first{static_cast<uint16_t>(id * 10 + 1)};
    const InstanceId second{static_cast<uint16_t>(id * 10 + 2)};
    const DemandFrame demand = Demand4(id);
    DemandFrame other = demand;
    other.src = Ip("192.168.10.99");
    Tell(Info(KeyOf(id, demand), first));
    Service(id).binding_closed = true;
    Install();
    const size_t bound = AllBindings().size();
    Tell(Info(KeyOf(id, other), first));
    EXPECT_THAT(AllBindings(), SizeIs(bound)) << id;
    // But a key whose instance is gone gets another one: that adds none.
    for (PlannedInstance& instance : plan.instances) {
      if (instance.id == first) instance.reachable = false;
    }
    Install();
    Tell(Info(KeyOf(id, demand), second));
    EXPECT_THAT(AllBindings(), SizeIs(bound)) << id;
    EXPECT_EQ(SendDemand(demand), BidOf(second)) << id;
  }
}

class AskedTest : public TunnelTest {
 protected:
  AskedTest() : TunnelTest(SwitchRole::kDRouter) {}
  TunnelFrame Miss(const DemandFrame& demand, uint16_t service) {
    return {.src = kForwarder,
            .dst = kRouter,
            .options = {{1, Words({Word(TunnelKind::kMiss, service)})}},
            .inner = Build(demand)};
  }
  // The binding info and the demand among `sent`, checked.
  void ExpectAnswered(const std::vector<Bytes>& sent, const DemandFrame& demand, uint16_t id,
                      InstanceId instance) {
    ASSERT_THAT(sent, SizeIs(2));
    const std::optional<TunnelFrame> info = ReadTunnelFrame(sent[0]);
    ASSERT_TRUE(info.has_value()) << ToHex(sent[0]);
    EXPECT_EQ(info->src, kRouter);
    EXPECT_EQ(info->dst, kForwarder);
    EXPECT_LE(info->inner.size(), 64u);
    const pipeline::KeyRegisters r = pipeline::RegistersOf(KeyOf(id, demand));
    EXPECT_EQ(info->options,
              (std::map<uint8_t, Bytes>{{1, Words({Word(TunnelKind::kBindingInfo, id)})},
                                        {2, Words({instance.value(), r.reg4, r.reg7})},
                                        {3, Words({r.xxreg2[0], r.xxreg2[1], r.xxreg2[2], r.xxreg2[3]})}}));
    EXPECT_EQ(DestinationOf(sent[1]), BidOf(instance));
    EXPECT_EQ(SourceOf(sent[1]), demand.src);
    EXPECT_TRUE(TransportChecksumRight(sent[1]));
  }
};

TEST_F(AskedTest, SelectsForwardsAndTellsAndKeepsNothing) {
  const size_t flows = Bindings("").size();
  for (const uint16_t id : kKept) {
    for (const DemandFrame& demand : {Demand4(id), Demand6(id)}) {
      for (int packet = 0; packet < 3; ++packet) {
        const size_t before = SentSoFar();
        InjectAll("edge", {Build(Miss(demand, id))});
        ExpectAnswered(Left(before, 2), demand, id, Predicted(id, demand));
      }
    }
  }
  EXPECT_EQ(Bindings("").size(), flows);
}

TEST_F(AskedTest, TakesLargeOnesThePlainWay) {
  DemandFrame demand = Demand4(11);
  demand.eth_dst = Mac("02:00:00:00:01:02");
  demand.payload = std::string(1400, 'p');
  const size_t before = SentSoFar();
  InjectAll("edge", {Build(demand)});
  ExpectAnswered(Left(before, 2), demand, 11, Predicted(11, demand));
  EXPECT_THAT(Bindings(), IsEmpty());
}

TEST_F(AskedTest, ServicesWhoseBindingsNobodyKeepsAreNotToldOf) {
  const size_t before = SentSoFar();
  InjectAll("edge", {Build(Miss(Demand4(18), 18))});
  const std::vector<Bytes> sent = Left(before, 1);
  Settle();
  ASSERT_THAT(ovs->Sent("edge"), SizeIs(before + 1));
  EXPECT_EQ(DestinationOf(sent[0]), BidOf(Predicted(18, Demand4(18))));
}

TEST_F(AskedTest, AnswersNobodyButItsForwarders) {
  const size_t before = SentSoFar();
  TunnelFrame forged = Miss(Demand4(11), 11);
  forged.src = Ip("10.255.3.2");
  InjectAll("edge", {Build(forged)});
  // Not one of that D-Forwarder's clients.
  DemandFrame other = Demand4(11);
  other.src = Ip("172.20.0.9");
  InjectAll("edge", {Build(Miss(other, 11))});
  // Binding info is not for D-Routers.
  forged = Miss(Demand4(11), 11);
  forged.options[1] = Words({Word(TunnelKind::kBindingInfo, 11)});
  InjectAll("edge", {Build(forged)});
  Settle();
  EXPECT_EQ(Dropped("2", 0, ""), 3u);
  EXPECT_EQ(SentSoFar(), before);
}

TEST_F(AskedTest, TheControllerDecidesWhereItShall) {
  ASSERT_TRUE(Works(ovs->Monitor("br0")));
  PlannedService& service = Service(11);
  service.spec.dispatch = Dispatch::kReactive;
  service.slots_v4.clear();
  service.slots_v6.clear();
  Install();
  for (const DemandFrame& demand : {Demand4(11), Demand6(11)}) {
    const size_t before = SentSoFar();
    const size_t punted = ovs->PacketIns().size();
    InjectAll("edge", {Build(Miss(demand, 11))});
    const Result<std::vector<PacketIn>> asked = ovs->WaitPacketIns(punted + 1);
    ASSERT_TRUE(asked.ok());
    EXPECT_EQ(asked->back().userdata, "01.00.0b");
    EXPECT_EQ(asked->back().metadata.at("reg5"), "0xaff0102");
    const InstanceId instance{static_cast<uint16_t>(demand.dst.is_v4() ? 112 : 116)};
    ASSERT_TRUE(Works(ovs->PacketOut("br0", std::to_string(kGeneve), Build(demand),
                                     pipeline::MissActions(KeyOf(11, demand), instance, kForwarder))));
    ExpectAnswered(Left(before, 2), demand, 11, instance);
  }
  EXPECT_THAT(Bindings(), IsEmpty());
}

}  // namespace
}  // namespace dyncast::test
