// In which order a table's masks are tried: the common packet early, and nothing past what must come before
// it.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ovs-integration/pipeline/compile.h"
#include "tests/ovs/pipeline/router_plan.h"

namespace dyncast::pipeline {
namespace {

class Order : public testing::Test {
 protected:
  void SetUp() override {
    SwitchPlan plan = test::RouterPlan();
    plan.services[0].spec.ports.push_back({IpProto::kTcp, 1024, 2047});
    Result<Compiled> compiled = Compile(plan);
    ASSERT_TRUE(compiled.ok()) << compiled.error().ToString();
    flows_ = std::move(compiled->flows);
  }
  static bool Has(const Flow& flow, const char* text) { return flow.match.find(text) != std::string::npos; }
  // Lowest and highest priority of some flows.
  struct Range {
    int low = 1 << 16;
    int high = -1;
  };
  // Of the table's flows that `wanted` holds for; there are some.
  template <typename Wanted>
  Range Of(Table table, Wanted wanted) const {
    Range range;
    for (const Flow& flow : flows_) {
      if (flow.table != static_cast<uint8_t>(table) || !wanted(flow)) continue;
      range.low = std::min<int>(range.low, flow.priority);
      range.high = std::max<int>(range.high, flow.priority);
    }
    EXPECT_GE(range.high, 0) << TableName(table);
    return range;
  }

  std::vector<Flow> flows_;
};

// By the family that a match begins with.
bool IsV6(const Flow& flow) {
  const std::string front = flow.match.substr(0, flow.match.find(','));
  return !front.empty() && front.back() == '6';
}

bool IsIp(const Flow& flow) {
  return flow.match.starts_with("ip") || flow.match.starts_with("icmp") || flow.match.starts_with("tcp") ||
         flow.match.starts_with("udp") || flow.match.starts_with("sctp");
}

TEST_F(Order, Ipv4IsDoneBeforeMasksOfIpv6AreTried) {
  for (Table table : {Table::kAdmit, Table::kRoute}) {
    const Range v4 = Of(table, [](const Flow& flow) { return IsIp(flow) && !IsV6(flow); });
    const Range v6 = Of(table, [](const Flow& flow) { return IsV6(flow); });
    EXPECT_GT(v4.low, v6.high) << TableName(table);
  }
}

TEST_F(Order, AdmitTriesNoMaskOfArpNorNdForIpv4) {
  const Range nd = Of(Table::kAdmit, [](const Flow& flow) { return Has(flow, "icmp_type"); });
  const Range arp = Of(Table::kAdmit, [](const Flow& flow) { return flow.match.starts_with("arp"); });
  const Range v4 = Of(Table::kAdmit, [](const Flow& flow) { return flow.match.starts_with("ip,"); });
  EXPECT_GT(v4.low, std::max(nd.high, arp.high));
  // The unspecified source has its place in ND, and nowhere else.
  const Range unspecified =
      Of(Table::kAdmit, [](const Flow& flow) { return flow.match == "ipv6,ipv6_src=::"; });
  EXPECT_GT(nd.low, unspecified.high);
  const Range multicast =
      Of(Table::kAdmit, [](const Flow& flow) { return flow.match == "ipv6,ipv6_src=ff00::/8"; });
  EXPECT_GT(multicast.low, nd.high);
}

TEST_F(Order, DemandsToAPortComeAfterTtlAndSourcePortOnly) {
  const auto port = [](const Flow& flow) { return Has(flow, "tp_dst="); };
  const Range ports = Of(Table::kService, port);
  const Range before =
      Of(Table::kService, [](const Flow& flow) { return Has(flow, "nw_ttl=") || Has(flow, "tp_src=0"); });
  const Range after = Of(Table::kService, [&](const Flow& flow) {
    return !port(flow) && !Has(flow, "nw_ttl=") && !Has(flow, "tp_src=0");
  });
  EXPECT_GT(before.low, ports.high);
  EXPECT_GT(ports.low, after.high);
}

TEST_F(Order, AnswersFromAPortComeFirst) {
  const auto port = [](const Flow& flow) { return Has(flow, "tp_src="); };
  EXPECT_GT(Of(Table::kReturn, port).low,
            Of(Table::kReturn, [&](const Flow& flow) { return !port(flow); }).high);
}

// Fragments show port 0 and ICMP type and code 0.
TEST_F(Order, WhatComesBeforeFragmentsDoesNotTakeThem) {
  for (Table table : {Table::kService, Table::kReturn}) {
    const int fragments = Of(table, [](const Flow& flow) { return Has(flow, "nw_frag=later"); }).low;
    for (const Flow& flow : flows_) {
      if (flow.table != static_cast<uint8_t>(table) || flow.priority < fragments) continue;
      if (Has(flow, "nw_frag=") || Has(flow, "nw_ttl=")) continue;
      bool of_port = false;
      for (const std::string field : {"tp_dst=", "tp_src=", "icmp_type="}) {
        const size_t at = flow.match.find(field);
        if (at == std::string::npos) continue;
        of_port = true;
        EXPECT_NE(std::stoul(flow.match.substr(at + field.size()), nullptr, 0), 0u) << ToText(flow);
      }
      EXPECT_TRUE(of_port) << ToText(flow);
    }
  }
}

TEST_F(Order, SinglePortsComeBeforePartsOfRanges) {
  for (const auto& [table, field] : {std::pair{Table::kService, "tp_dst="}, {Table::kReturn, "tp_src="}}) {
    const auto port = [text = field](const Flow& flow, bool part) {
      const size_t at = flow.match.find(text);
      return at != std::string::npos && part == (flow.match.find('/', at) != std::string::npos);
    };
    const Range single = Of(table, [&](const Flow& flow) { return port(flow, false); });
    const Range part = Of(table, [&](const Flow& flow) { return port(flow, true); });
    EXPECT_GT(single.low, part.high) << TableName(table);
  }
}

// No link packet stays in admit, and link has a flow for all that admit sends there.
TEST_F(Order, LinkTakesArpAndNd) {
  for (const Flow& flow : flows_) {
    const bool link =
        flow.match.starts_with("arp") || (flow.match.starts_with("icmp6") && Has(flow, "icmp_type=13"));
    if (flow.table == static_cast<uint8_t>(Table::kAdmit) && link) {
      EXPECT_EQ(flow.actions, "resubmit(,6)") << ToText(flow);
    }
    if (flow.table == static_cast<uint8_t>(Table::kLink)) {
      EXPECT_TRUE(link || flow.match.empty()) << ToText(flow);
    }
  }
}

}  // namespace
}  // namespace dyncast::pipeline
