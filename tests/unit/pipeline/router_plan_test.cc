// What a plan's ports and routes must keep to, and what they become.
#include "tests/ovs/pipeline/router_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "ovs-integration/pipeline/compile.h"

namespace dyncast::pipeline {
namespace {

using test::Ip;
using test::Prefix;
using test::RouterPlan;
using testing::HasSubstr;

std::vector<Flow> FlowsOf(const SwitchPlan& plan) {
  Result<Compiled> compiled = Compile(plan);
  EXPECT_TRUE(compiled.ok()) << compiled.error().ToString();
  return compiled.ok() ? std::move(compiled->flows) : std::vector<Flow>{};
}

struct BadRouter {
  const char* name;
  Errc code;
  const char* text;
  void (*spoil)(SwitchPlan&);
};
class BadRouters : public testing::TestWithParam<BadRouter> {};
TEST_P(BadRouters, AreRefused) {
  SwitchPlan plan = RouterPlan();
  ASSERT_FALSE(FlowsOf(plan).empty());
  GetParam().spoil(plan);
  const Result<Compiled> compiled = Compile(plan);
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.error().code, GetParam().code) << compiled.error().ToString();
  EXPECT_THAT(compiled.error().ToString(), HasSubstr("switch dr1"));
  EXPECT_THAT(compiled.error().ToString(), HasSubstr(GetParam().text));
}
const BadRouter kBadRouters[] = {
    {"VlanTooLarge", Errc::kLimit, "port trunk: VLAN 4095",
     [](SwitchPlan& p) { p.ports.back().vlan = 4095; }},
    {"VlanTwice", Errc::kDuplicate, "port trunk: number 6 with VLAN 10",
     [](SwitchPlan& p) { p.ports.back().vlan = 10; }},
    {"UntaggedTwice", Errc::kDuplicate, "number 1 is said twice",
     [](SwitchPlan& p) { p.ports[1].number = PortNo{1}; }},
    {"Ipv6RouteToNowhere", Errc::kInvalid, "no port's network",
     [](SwitchPlan& p) {
       p.routes.push_back({Prefix("fd50::/64"), Ip("fd99::1")});
     }},
    {"Ipv6RouteTwice", Errc::kConflict, "the same prefix",
     [](SwitchPlan& p) {
       p.routes.push_back({Prefix("fd40::/64"), Ip("fd20::8")});
     }},
    {"RouteOverTheOtherFamily", Errc::kInvalid, "other family",
     [](SwitchPlan& p) {
       p.routes.push_back({Prefix("fd50::/64"), Ip("172.16.0.2")});
     }},
    {"LinkLocalNextHop", Errc::kInvalid, "link-local",
     [](SwitchPlan& p) {
       p.ports[2].addresses.push_back(Prefix("fe80::1/64"));
       p.routes.push_back({Prefix("fd50::/64"), Ip("fe80::2")});
     }},
};
INSTANTIATE_TEST_SUITE_P(All, BadRouters, testing::ValuesIn(kBadRouters),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(Router, NoTwoFlowsShareTablePriorityAndMatch) {
  std::set<std::tuple<uint8_t, uint16_t, std::string>> seen;
  for (const Flow& flow : FlowsOf(RouterPlan())) {
    EXPECT_TRUE(seen.emplace(flow.table, flow.priority, flow.match).second) << ToText(flow);
  }
}

TEST(Router, LinkLocalAddressIsAnsweredForButNotRouted) {
  SwitchPlan plan = RouterPlan();
  plan.ports[1].addresses.push_back(Prefix("fe80::1/64"));
  bool answered = false;
  bool routed = false;
  for (const Flow& flow : FlowsOf(plan)) {
    answered |= flow.match.find("nd_target=fe80::1") != std::string::npos;
    routed |= flow.match.find("fe80::/64") != std::string::npos;
  }
  EXPECT_TRUE(answered);
  EXPECT_FALSE(routed);
}

// A D-SID costs the same number of ND flows however many access ports there are.
TEST(Router, NdFlowsOfADsidDoNotGrowWithPorts) {
  const auto count = [](const SwitchPlan& plan) {
    size_t flows = 0;
    for (const Flow& flow : FlowsOf(plan)) {
      if (flow.table == static_cast<uint8_t>(Table::kLink) && flow.match.starts_with("icmp6") &&
          flow.match.find("fd96::1") != std::string::npos) {
        ++flows;
      }
    }
    return flows;
  };
  SwitchPlan plan = RouterPlan();
  const size_t before = count(plan);
  EXPECT_EQ(before, 3u);
  PlannedPort more = plan.ports.back();
  more.vlan = 30;
  more.addresses = {Prefix("fd30:30::1/64")};
  plan.ports.push_back(more);
  EXPECT_EQ(count(plan), before);
}

TEST(PacketOut, NamesNeighboursOfBothFamiliesAndTaggedPorts) {
  EXPECT_EQ(NeighborActions(Ip("10.0.0.1")), "set_field:0xa000001->reg5,resubmit(,70),resubmit(,80)");
  EXPECT_EQ(NeighborActions(Ip("fd00::1:2")),
            "set_field:0xfd000000000000000000000000010002->xxreg3,resubmit(,70),resubmit(,80)");
  EXPECT_EQ(OutputActions(TaggedPort(PortNo{6}, 20)), "set_field:0x140006->reg3,resubmit(,80)");
  EXPECT_EQ(OutputActions(PortNo{0xfffffffe}), "set_field:0xfffe->reg3,resubmit(,80)");
}

}  // namespace
}  // namespace dyncast::pipeline
