#include "ovs-integration/pipeline/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "tests/ovs/pipeline/sample_plan.h"

namespace dyncast::pipeline {
namespace {

using test::Ip;
using test::Prefix;
using test::SamplePlan;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Compiled Good(const SwitchPlan& plan) {
  const Result<Compiled> compiled = Compile(plan);
  EXPECT_TRUE(compiled.ok()) << compiled.error().ToString();
  return compiled.ok() ? *compiled : Compiled{};
}

std::string Listing(const Compiled& compiled) {
  std::string text;
  for (const Meter& meter : compiled.meters) text += ToText(meter) + "\n";
  for (const Group& group : compiled.groups) {
    // Its buckets in short: how many slots each instance has.
    std::map<uint16_t, size_t> slots;
    for (InstanceId id : group.slots) ++slots[id.value()];
    const std::string full = ToText(group);
    text += full.substr(0, full.find(",bucket="));
    for (const auto& [id, count] : slots) {
      text += ", " + std::to_string(count) + " buckets of instance " + std::to_string(id);
    }
    text += "\n";
  }
  int table = -1;
  for (const Flow& flow : compiled.flows) {
    if (flow.table != table) {
      table = flow.table;
      text += "\n# " + std::string(TableName(static_cast<Table>(table))) + "\n";
    }
    text += ToText(flow) + "\n";
  }
  return text;
}

std::vector<Flow> In(const Compiled& compiled, Table table) {
  std::vector<Flow> flows;
  for (const Flow& flow : compiled.flows) {
    if (flow.table == static_cast<uint8_t>(table)) flows.push_back(flow);
  }
  return flows;
}

TEST(Compile, EqualPlansGiveEqualFlowsInEqualOrder) {
  SwitchPlan plan = SamplePlan();
  const Compiled first = Good(plan);
  EXPECT_EQ(Good(SamplePlan()), first);
  // The order in which a plan lists its parts means nothing.
  std::reverse(plan.ports.begin(), plan.ports.end());
  std::reverse(plan.routes.begin(), plan.routes.end());
  EXPECT_EQ(Good(plan), first);
  plan.instances[0].bid = Ip("10.2.1.12");
  EXPECT_NE(Good(plan), first);
}

TEST(Compile, NoTwoFlowsShareTablePriorityAndMatch) {
  std::set<std::tuple<uint8_t, uint16_t, std::string>> seen;
  for (const Flow& flow : Good(SamplePlan()).flows) {
    EXPECT_TRUE(seen.emplace(flow.table, flow.priority, flow.match).second) << ToText(flow);
    EXPECT_TRUE(DecodeCookie(flow.cookie).has_value());
    EXPECT_THAT(flow.match, Not(HasSubstr(",,")));
  }
}

// docs/pipeline-flows.txt is what the documentation shows. DYNCAST_UPDATE=1 writes it anew.
TEST(Compile, DocumentationShowsTheseFlows) {
  const char* root = std::getenv("DYNCAST_SOURCE_DIR");
  ASSERT_NE(root, nullptr) << "run by ctest, or set DYNCAST_SOURCE_DIR";
  const std::string path = std::string(root) + "/docs/pipeline-flows.txt";
  const std::string wanted = Listing(Good(SamplePlan()));
  if (std::getenv("DYNCAST_UPDATE") != nullptr) std::ofstream(path, std::ios::trunc) << wanted;
  std::ifstream file(path);
  const std::string shown{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(shown, wanted) << "run with DYNCAST_UPDATE=1";
}

TEST(Compile, OneEgressFlowPerInstanceWhateverElseThereIs) {
  const SwitchPlan plan = SamplePlan();
  size_t egress = 0;
  for (const Flow& flow : Good(plan).flows) {
    if (DecodeCookie(flow.cookie)->kind == FlowKind::kEgress) ++egress;
  }
  EXPECT_EQ(egress, plan.instances.size());
}

// An instance that goes takes its own flows along and touches no other.
TEST(Compile, RemovedInstanceRemovesItsFlowsOnly) {
  SwitchPlan plan = SamplePlan();
  const Compiled before = Good(plan);
  plan.instances.erase(plan.instances.begin() + 3);
  const Compiled after = Good(plan);
  std::vector<Flow> gone;
  for (const Flow& flow : before.flows) {
    if (std::find(after.flows.begin(), after.flows.end(), flow) == after.flows.end()) gone.push_back(flow);
  }
  EXPECT_EQ(before.flows.size() - gone.size(), after.flows.size());
  for (const Flow& flow : gone) {
    EXPECT_THAT(ToText(flow), testing::AnyOf(HasSubstr("10.9.0.2"), HasSubstr("reg0=0xe"))) << ToText(flow);
  }
}

TEST(Compile, LastInstanceGoneLeavesTheServiceAsking) {
  SwitchPlan plan = SamplePlan();
  plan.instances.clear();
  for (PlannedService& service : plan.services) {
    service.slots_v4.clear();
    service.slots_v6.clear();
  }
  const Compiled compiled = Good(plan);
  EXPECT_THAT(compiled.groups, IsEmpty());
  for (const Flow& flow : In(compiled, Table::kReturn)) EXPECT_THAT(flow.actions, Not(HasSubstr("ip_src")));
  EXPECT_THAT(In(compiled, Table::kEgress), SizeIs(2));
  EXPECT_THAT(Listing(compiled), HasSubstr("userdata=01.00.01"));
}

TEST(Compile, EmptyPlanDropsEverything) {
  SwitchPlan plan;
  plan.id = SwitchId{9};
  const Compiled compiled = Good(plan);
  for (const Flow& flow : In(compiled, Table::kClassify)) EXPECT_EQ(flow.actions, "drop");
}

TEST(Compile, NoLimitMeansNoMeter) {
  SwitchPlan plan = SamplePlan();
  plan.punts = {.demands_per_s = 0, .fragments_per_s = 0, .others_per_s = 0};
  EXPECT_THAT(Good(plan).meters, IsEmpty());
  EXPECT_THAT(Listing(Good(plan)), Not(HasSubstr("meter")));
  plan.punts.others_per_s = 5;
  EXPECT_THAT(Good(plan).meters, SizeIs(1));
  EXPECT_EQ(Good(plan).meters[0], (Meter{.id = kOtherMeter, .packets_per_s = 5, .burst_packets = 5}));
}

TEST(Compile, DefaultRouteHasNoDestinationInItsMatch) {
  SwitchPlan plan = SamplePlan();
  plan.routes = {{.to = Prefix("0.0.0.0/0"), .via = Ip("172.16.0.2")}};
  EXPECT_THAT(Listing(Good(plan)), HasSubstr("table=60,priority=600,cookie=0xd101000000000001,ip,actions="));
}

TEST(Compile, LocalPortIsOneWhicheverWayItIsNumbered) {
  SwitchPlan plan = SamplePlan();
  const Compiled as_16_bits = Good(plan);
  plan.ports.back().number = PortNo{0xfffffffe};
  EXPECT_EQ(Good(plan), as_16_bits);
}

// Each break of a rule is refused with the rule's own code and the name of what breaks it.
struct BadPlan {
  const char* name;
  Errc code;
  const char* text;
  void (*spoil)(SwitchPlan&);
};
class BadPlans : public testing::TestWithParam<BadPlan> {};
TEST_P(BadPlans, AreRefused) {
  SwitchPlan plan = SamplePlan();
  GetParam().spoil(plan);
  const Result<Compiled> compiled = Compile(plan);
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.error().code, GetParam().code) << compiled.error().ToString();
  EXPECT_THAT(compiled.error().ToString(), HasSubstr("switch dr1"));
  EXPECT_THAT(compiled.error().ToString(), HasSubstr(GetParam().text));
}
const BadPlan kBadPlans[] = {
    {"SwitchIdZero", Errc::kInvalid, "id 0", [](SwitchPlan& p) { p.id = SwitchId{}; }},
    {"NoTunnel", Errc::kInvalid, "there is none", [](SwitchPlan& p) { p.ask = Ip("10.255.2.2"); }},
    {"TunnelOnPort", Errc::kDuplicate, "acc1",
     [](SwitchPlan& p) { p.tunnel = PlannedTunnel{.port = PortNo{1}, .local = Ip("10.255.1.2")}; }},
    {"TunnelToItself", Errc::kInvalid, "10.255.1.2",
     [](SwitchPlan& p) {
       p.tunnel = PlannedTunnel{.port = PortNo{99}, .local = Ip("10.255.1.2")};
       p.forwarders = {{.id = SwitchId{2}, .endpoint = Ip("10.255.1.2"), .sources = {}}};
     }},
    {"TunnelMtu", Errc::kLimit, "MTU 500",
     [](SwitchPlan& p) {
       p.tunnel = PlannedTunnel{.port = PortNo{99}, .local = Ip("10.255.1.2"), .mtu_octets = 500};
     }},
    {"AskStranger", Errc::kNotFound, "10.255.9.9",
     [](SwitchPlan& p) {
       p.role = SwitchRole::kDForwarder;
       p.tunnel = PlannedTunnel{.port = PortNo{99}, .local = Ip("10.255.1.2")};
       p.d_routers = {Ip("10.255.2.2")};
       p.ask = Ip("10.255.9.9");
     }},
    {"PortZero", Errc::kLimit, "port acc1", [](SwitchPlan& p) { p.ports[0].number = PortNo{}; }},
    {"PortTooLarge", Errc::kLimit, "65280", [](SwitchPlan& p) { p.ports[0].number = PortNo{0xff00}; }},
    {"PortTwice", Errc::kDuplicate, "port edge", [](SwitchPlan& p) { p.ports[1].number = PortNo{1}; }},
    {"NoMac", Errc::kInvalid, "unicast", [](SwitchPlan& p) { p.ports[0].mac = {}; }},
    {"RouteToNowhere", Errc::kInvalid, "no port's network",
     [](SwitchPlan& p) { p.routes[0].via = Ip("9.9.9.9"); }},
    {"RouteTwice", Errc::kConflict, "172.16.0.2",
     [](SwitchPlan& p) {
       p.routes.push_back({Prefix("10.2.2.0/24"), Ip("172.16.0.3")});
     }},
    {"ServiceIdZero", Errc::kInvalid, "service web", [](SwitchPlan& p) { p.services[0].id = ServiceId{}; }},
    {"ServiceTwice", Errc::kDuplicate, "service media",
     [](SwitchPlan& p) { p.services[1].id = p.services[0].id; }},
    {"ConntrackReactive", Errc::kInvalid, "conntrack needs dispatch learn",
     [](SwitchPlan& p) { p.services[0].spec.affinity.store = BindingStoreKind::kConntrack; }},
    {"ConntrackByClient", Errc::kInvalid, "5-tuple",
     [](SwitchPlan& p) { p.services[8].spec.affinity.store = BindingStoreKind::kConntrack; }},
    {"NoStoreReactive", Errc::kInvalid, "none needs dispatch learn",
     [](SwitchPlan& p) { p.services[0].spec.affinity.store = BindingStoreKind::kNone; }},
    {"TooFewSlots", Errc::kInvalid, "service chat: IPv4 slots: there are 1023",
     [](SwitchPlan& p) { p.services[7].slots_v4.pop_back(); }},
    {"SlotOfNobody", Errc::kNotFound, "instance 99",
     [](SwitchPlan& p) { p.services[7].slots_v4.back() = InstanceId{99}; }},
    {"SlotOfAnotherService", Errc::kNotFound, "instance 91",
     [](SwitchPlan& p) { p.services[7].slots_v4.front() = InstanceId{91}; }},
    {"SlotOfTheOtherFamily", Errc::kInvalid, "fd02:1::83",
     [](SwitchPlan& p) { p.services[7].slots_v4.front() = InstanceId{83}; }},
    {"ThirdGeneration", Errc::kInvalid, "generation 2", [](SwitchPlan& p) { p.services[8].generation = 2; }},
    {"SidOfTheOtherFamily", Errc::kInvalid, "10.96.0.9 is not IPv6",
     [](SwitchPlan& p) { p.services[8].spec.sid_v6 = Ip("10.96.0.9"); }},
    {"PrefixTooLong", Errc::kInvalid, "0..128",
     [](SwitchPlan& p) { p.services[4].spec.affinity.prefix_v6 = 129; }},
    {"EchoTwice", Errc::kConflict, "fd96::8 icmp",
     [](SwitchPlan& p) {
       p.services[8].spec.sid_v6 = Ip("fd96::8");
       p.services[8].spec.ports.push_back({IpProto::kIcmp, 0, 0});
     }},
    {"Port443Twice", Errc::kConflict, "10.96.0.1 tcp port 443",
     [](SwitchPlan& p) {
       p.services[0].spec.ports.push_back({IpProto::kTcp, 400, 500});
     }},
    {"IcmpWithPorts", Errc::kInvalid, "icmp has no ports",
     [](SwitchPlan& p) { p.services[0].spec.ports[0].proto = IpProto::kIcmp; }},
    {"RangeBackwards", Errc::kInvalid, "9-8",
     [](SwitchPlan& p) {
       p.services[0].spec.ports[0] = {IpProto::kTcp, 9, 8};
     }},
    {"PortNumberZero", Errc::kInvalid, "0-8",
     [](SwitchPlan& p) {
       p.services[0].spec.ports[0] = {IpProto::kTcp, 0, 8};
     }},
    {"InstanceIdZero", Errc::kInvalid, "instance 0", [](SwitchPlan& p) { p.instances[0].id = InstanceId{}; }},
    {"InstanceTwice", Errc::kDuplicate, "instance 12",
     [](SwitchPlan& p) { p.instances[0].id = InstanceId{12}; }},
    {"InstanceOfNothing", Errc::kNotFound, "service 99",
     [](SwitchPlan& p) { p.instances[0].service = ServiceId{99}; }},
    {"NoBid", Errc::kInvalid, "instance 11", [](SwitchPlan& p) { p.instances[0].bid = IpAddress{}; }},
    {"BidAndPortTwice", Errc::kConflict, "10.2.2.12 tcp port 80",
     [](SwitchPlan& p) { p.instances[0].bid = Ip("10.2.2.12"); }},
    {"TooManyFlows", Errc::kLimit, "table return",
     [](SwitchPlan& p) {
       // 30 blocks of ports each: the most that a range can need.
       p.services[0].spec.ports = {{IpProto::kTcp, 1, 65534}};
       p.services.resize(1);
       p.instances.clear();
       for (uint16_t i = 1; i <= 2500; ++i) {
         p.instances.push_back({InstanceId{i}, ServiceId{1}, IpAddress::V4(0x0b000000u + i)});
       }
     }},
};
INSTANTIATE_TEST_SUITE_P(All, BadPlans, testing::ValuesIn(kBadPlans),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(Binding, MatchesByWhatTheKeyKeeps) {
  const Demand demand{.client = Ip("192.168.10.7"),
                      .sid = Ip("10.96.0.1"),
                      .proto = IpProto::kTcp,
                      .src_port = 40000,
                      .dst_port = 80};
  const auto match = [&](AffinityKind kind) {
    Affinity affinity;
    affinity.kind = kind;
    affinity.prefix_v4 = 24;
    return BindingMatch(MakeBindingKey(affinity, SwitchId{1}, ServiceId{300}, demand));
  };
  EXPECT_EQ(match(AffinityKind::k5Tuple),
            "tcp,reg1=0x12c,reg4=0x6,reg7=0x9c400050,xxreg2=0xc0a80a07000000000000000000000000");
  EXPECT_EQ(match(AffinityKind::k4Tuple),
            "reg1=0x12c,reg4=0x6,reg7=0x50,xxreg2=0xc0a80a07000000000000000000000000");
  EXPECT_EQ(match(AffinityKind::k3Tuple),
            "reg1=0x12c,reg4=0x6,reg7=0x0,xxreg2=0xc0a80a07000000000000000000000000");
  EXPECT_EQ(match(AffinityKind::kClient),
            "reg1=0x12c,reg4=0x0,reg7=0x0,xxreg2=0xc0a80a07000000000000000000000000");
  EXPECT_EQ(match(AffinityKind::kClientPrefix),
            "reg1=0x12c,reg4=0x0,reg7=0x0,xxreg2=0xc0a80a00000000000000000000000000");
}

TEST(Binding, RegistersStandForExactlyTheirKey) {
  std::mt19937 random(7);
  const auto word = [&] { return static_cast<uint32_t>(random()); };
  for (int i = 0; i < 10000; ++i) {
    BindingKey key;
    key.service = ServiceId{static_cast<uint16_t>(1 + word() % 65535)};
    key.at = SwitchId{static_cast<uint16_t>(1 + word() % 65535)};
    constexpr IpProto kProtos[] = {IpProto::kAny, IpProto::kIcmp, IpProto::kTcp, IpProto::kUdp,
                                   IpProto::kSctp};
    key.proto = kProtos[word() % 5];
    if (key.proto != IpProto::kAny && key.proto != IpProto::kIcmp && word() % 3 != 0) {
      key.dst_port = static_cast<uint16_t>(1 + word() % 65535);
      if (word() % 2 == 0) key.src_port = static_cast<uint16_t>(1 + word() % 65535);
    }
    if (word() % 2 == 0) {
      key.client = IpAddress::V4(word());
    } else {
      std::array<uint8_t, 16> octets{0xfd};
      for (size_t at = 1; at < 16; ++at) octets[at] = static_cast<uint8_t>(word());
      key.client = IpAddress::V6(octets);
    }
    EXPECT_EQ(KeyOf(RegistersOf(key), key.at), key);
  }
  const KeyRegisters good = RegistersOf({.client = Ip("192.168.10.7"),
                                         .src_port = 40000,
                                         .dst_port = 80,
                                         .service = ServiceId{1},
                                         .at = SwitchId{1},
                                         .proto = IpProto::kTcp});
  const auto spoilt = [&](auto spoil) {
    KeyRegisters registers = good;
    spoil(registers);
    return KeyOf(registers, SwitchId{1});
  };
  EXPECT_TRUE(spoilt([](KeyRegisters&) {}).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) { r.reg1 = 0; }).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) { r.reg1 = 0x10001; }).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) { r.reg4 = 0x206; }).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) { r.reg4 = 47; }).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) { r.reg4 = 1; }).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) { r.reg7 = 0x9c400000; }).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) { r.xxreg2[3] = 1; }).has_value());
  EXPECT_FALSE(spoilt([](KeyRegisters& r) {
                 r.reg4 = 0x106;
                 r.xxreg2 = {0, 0, 0xffff, 1};
               }).has_value());
}

TEST(Slot, IsTheOnlyThingThatMovesADemand) {
  std::mt19937 random(7);
  std::vector<size_t> seen(kSlots);
  for (int i = 0; i < 200 * static_cast<int>(kSlots); ++i) {
    ++seen[SlotOf({.client = IpAddress::V4(static_cast<uint32_t>(random())),
                   .src_port = 0,
                   .dst_port = 80,
                   .service = ServiceId{1},
                   .at = SwitchId{1},
                   .proto = IpProto::kTcp},
                  kSlots)];
  }
  // 200 +- 5 standard deviations.
  EXPECT_GT(*std::min_element(seen.begin(), seen.end()), 130u);
  EXPECT_LT(*std::max_element(seen.begin(), seen.end()), 270u);
}

BindingFlow OfOneConnection(BindingPlace place) {
  return {.key = {.client = Ip("192.168.10.7"),
                  .src_port = 40000,
                  .dst_port = 80,
                  .service = ServiceId{1},
                  .at = SwitchId{1},
                  .proto = IpProto::kTcp},
          .instance = InstanceId{11},
          .idle_timeout = std::chrono::seconds{60},
          .fin_timeout = std::chrono::seconds{5},
          .place = place};
}

TEST(Binding, FlowSaysWhoseItIsAndWhenItEnds) {
  BindingFlow binding = OfOneConnection(BindingPlace::kTimed);
  EXPECT_EQ(ToText(CompileBinding(binding)),
            "table=20,priority=100,cookie=0xd1030001000b0001,idle_timeout=60,send_flow_rem,"
            "tcp,reg1=0x1,reg4=0x6,reg7=0x9c400050,xxreg2=0xc0a80a07000000000000000000000000,"
            "actions=fin_timeout(idle_timeout=5),set_field:0xb->reg0");
  binding.place = BindingPlace::kGeneration1;
  EXPECT_EQ(ToText(CompileBinding(binding)),
            "table=22,priority=100,cookie=0xd1030001000b0001,"
            "reg1=0x1,reg4=0x6,reg7=0x9c400050,xxreg2=0xc0a80a07000000000000000000000000,"
            "actions=set_field:0xb->reg0");
  binding.place = BindingPlace::kTimed;
  // One match for a key, with or without a FIN timeout.
  binding.fin_timeout = std::chrono::seconds{0};
  EXPECT_EQ(CompileBinding(binding).match, BindingMatch(binding.key));
  binding.fin_timeout = std::chrono::seconds{5};
  EXPECT_EQ(CompileBinding(binding).match, BindingMatch(binding.key));
  binding.key.src_port = 0;  // other connections of this client may go on
  EXPECT_EQ(CompileBinding(binding).actions, "set_field:0xb->reg0");
  binding.key.src_port = 40000;
  binding.key.proto = IpProto::kUdp;
  EXPECT_EQ(CompileBinding(binding).actions, "set_field:0xb->reg0");
  binding.idle_timeout = std::chrono::seconds{70000};
  EXPECT_EQ(CompileBinding(binding).idle_timeout_s, 65535);
}

TEST(Binding, InHeaderFormMatchesWhatTheKeyHas) {
  BindingFlow binding = OfOneConnection(BindingPlace::kHeaderTimed);
  EXPECT_EQ(ToText(CompileBinding(binding)),
            "table=26,priority=100,cookie=0xd1030001000b0001,idle_timeout=60,send_flow_rem,"
            "tcp,reg1=0x1,reg4=0x6,reg7=0x1,nw_src=192.168.10.7,tp_src=40000,tp_dst=80,"
            "actions=fin_timeout(idle_timeout=5),set_field:0xb->reg0");
  binding.place = BindingPlace::kHeaderGeneration1;
  EXPECT_EQ(ToText(CompileBinding(binding)),
            "table=28,priority=100,cookie=0xd1030001000b0001,"
            "tcp,reg1=0x1,reg4=0x6,reg7=0x1,nw_src=192.168.10.7,tp_src=40000,tp_dst=80,"
            "actions=set_field:0xb->reg0");
  binding.key.src_port = 0;
  EXPECT_EQ(CompileBinding(binding).match, "tcp,reg1=0x1,reg4=0x6,reg7=0x1,nw_src=192.168.10.7,tp_dst=80");
  binding.key.dst_port = 0;  // of a 3-tuple, or of fragments
  EXPECT_EQ(CompileBinding(binding).match, "ip,reg1=0x1,reg4=0x6,reg7=0x0,nw_src=192.168.10.7");
  binding.key = {.client = Ip("fd10::"), .service = ServiceId{5}, .at = SwitchId{1}};
  binding.client_bits = 64;
  EXPECT_EQ(CompileBinding(binding).match, "ipv6,reg1=0x5,reg4=0x100,reg7=0x0,ipv6_src=fd10::/64");
  binding.key.client = Ip("0.0.0.0");
  binding.client_bits = 0;
  EXPECT_EQ(CompileBinding(binding).match, "ip,reg1=0x5,reg4=0x0,reg7=0x0");
}

// A field that is copied is a field that every datapath flow of the service has to match.
TEST(Compile, NothingOfTheHeaderIsCopiedForTheControllersDecisions) {
  SwitchPlan plan = SamplePlan();
  const auto copies = [&](Table table, uint16_t service) {
    size_t count = 0;
    for (const Flow& flow : In(Good(plan), table)) {
      const bool its = DecodeCookie(flow.cookie)->service == ServiceId{service};
      if (its && flow.actions.find("move:") != std::string::npos) ++count;
    }
    return count;
  };
  for (uint16_t service = 1; service <= 7; ++service) EXPECT_EQ(copies(Table::kService, service), 0u);
  for (uint16_t service = 8; service <= 10; ++service) EXPECT_GT(copies(Table::kService, service), 0u);
  // A D-Forwarder is told keys in registers, whoever decides.
  plan.role = SwitchRole::kDForwarder;
  EXPECT_GT(copies(Table::kService, 1), 0u);
  for (const Flow& flow : In(Good(plan), Table::kLookup)) {
    EXPECT_THAT(flow.actions, Not(HasSubstr("resubmit(,26)")));
  }
}

TEST(PacketOut, SetsTheRegistersOfItsTables) {
  EXPECT_EQ(DemandActions(ServiceId{1}, InstanceId{11}),
            "set_field:0xb->reg0,set_field:0x1->reg1,set_field:0x1->reg6,resubmit(,40)");
  EXPECT_EQ(NeighborActions(Ip("10.0.0.1")), "set_field:0xa000001->reg5,resubmit(,70),resubmit(,80)");
  EXPECT_EQ(NeighborActions(Ip("fd00::1")),
            "set_field:0xfd000000000000000000000000000001->xxreg3,resubmit(,70),resubmit(,80)");
  EXPECT_EQ(OutputActions(TaggedPort(PortNo{2}, 100)), "set_field:0x640002->reg3,resubmit(,80)");
}

TEST(Flow, TextOfAnEmptyMatchHasNoGap) {
  EXPECT_EQ(ToText(Flow{.table = 80, .cookie = 1, .match = "", .actions = "drop"}),
            "table=80,priority=0,cookie=0x1,actions=drop");
}

}  // namespace
}  // namespace dyncast::pipeline
