// The Geneve port of a bridge's tunnel in the plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ovs-integration/ovsdb/plan.h"
#include "tests/unit/ovsdb/fake_ovsdb.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const StringMap kOurs = {{"dyncast-fabric", "f1"}, {"dyncast-switch", "d1"}};
const StringMap kRight = {{"csum", "true"}, {"key", "0"}, {"local_ip", "10.0.0.1"}, {"remote_ip", "flow"}};

DesiredBridge Wish() {
  return {.switch_name = "d1",
          .remote = "unix:db",
          .fabric = "f1",
          .bridge = "br0",
          .datapath_type = "system",
          .dpid = DatapathId{0xd1},
          .controller_target = "tcp:127.0.0.1:6653",
          .adopt = false,
          .ports = {"br0", "p1"},
          .tunnel = DesiredTunnel{.port = "gnv0", .local_ip = "10.0.0.1"}};
}

PlanResult Settle(FakeOvsdb* ovsdb, const DesiredBridge& wish) {
  const PlanResult plan = Plan(ovsdb->Cache(), wish);
  EXPECT_EQ(ovsdb->Transact(plan.operations), "") << plan.operations.dump(1);
  EXPECT_THAT(Plan(ovsdb->Cache(), wish).operations, IsEmpty()) << "after " << plan.operations.dump(1);
  return plan;
}

InterfaceRow Interface(const FakeOvsdb& ovsdb, const std::string& name) {
  for (const auto& [uuid, row] : ovsdb.Cache().interfaces) {
    if (row.name == name) return row;
  }
  return {};
}

json* Row(FakeOvsdb* ovsdb, const std::string& table, const std::string& name) {
  for (auto& [uuid, row] : ovsdb->rows[table]) {
    if (row["name"] == name) return &row;
  }
  return nullptr;
}

void AddPort(FakeOvsdb* ovsdb, const std::string& bridge, const StringMap& marks) {
  ovsdb->AddTo("Bridge", bridge, "ports",
               json::array({"uuid", ovsdb->AddPort("gnv0", ovsdb->AddInterface("gnv0", 4), marks)}));
}

TEST(PlanTunnel, IsMadeWithTheBridgeAndWithoutIt) {
  for (const bool stands : {false, true}) {
    FakeOvsdb ovsdb;
    if (stands) ovsdb.AddBridge("br0", kOurs);
    const PlanResult plan = Settle(&ovsdb, Wish());
    EXPECT_THAT(plan.changes, Contains("add port gnv0 to br0"));
    EXPECT_EQ(Interface(ovsdb, "gnv0").type, "geneve");
    EXPECT_EQ(Interface(ovsdb, "gnv0").options, kRight);
    EXPECT_EQ((*Row(&ovsdb, "Port", "gnv0"))["external_ids"], MapJson({{"dyncast-fabric", "f1"}}));
    EXPECT_EQ(ovsdb.rows["Port"].size(), 3u);
  }
}

TEST(PlanTunnel, ItsNumberIsReportedBehindThePorts) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  EXPECT_THAT(Plan(ovsdb.Cache(), Wish()).ports, IsEmpty());
  (*Row(&ovsdb, "Interface", "p1"))["ofport"] = 3;
  (*Row(&ovsdb, "Interface", "gnv0"))["ofport"] = 10;
  EXPECT_THAT(Plan(ovsdb.Cache(), Wish()).ports,
              ElementsAre(Pair("p1", PortNo{3}), Pair("gnv0", PortNo{10})));
  (*Row(&ovsdb, "Interface", "gnv0"))["ofport"] = -1;
  (*Row(&ovsdb, "Interface", "gnv0"))["error"] = "could not add network device gnv0";
  EXPECT_THAT(Plan(ovsdb.Cache(), Wish()).problems,
              ElementsAre(HasSubstr("interface gnv0 of bridge br0 has no OpenFlow port: could not add")));
}

TEST(PlanTunnel, IsPutRightAndKeepsWhatTheOperatorAdded) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  json& row = *Row(&ovsdb, "Interface", "gnv0");
  row["options"] = MapJson({{"remote_ip", "192.0.2.1"}, {"local_ip", "10.0.0.1"}, {"tos", "inherit"}});
  const PlanResult plan = Settle(&ovsdb, Wish());
  EXPECT_THAT(plan.changes, UnorderedElementsAre("set gnv0 options:remote_ip=flow", "set gnv0 options:key=0",
                                                 "set gnv0 options:csum=true"));
  StringMap expected = kRight;
  expected["tos"] = "inherit";
  EXPECT_EQ(Interface(ovsdb, "gnv0").options, expected);

  DesiredBridge moved = Wish();
  moved.tunnel->local_ip = "10.0.0.7";
  Settle(&ovsdb, moved);
  EXPECT_EQ(Interface(ovsdb, "gnv0").options.at("local_ip"), "10.0.0.7");
}

TEST(PlanTunnel, APortOfOursBecomesTheTunnel) {
  FakeOvsdb ovsdb;
  DesiredBridge plain = Wish();
  plain.tunnel.reset();
  plain.ports = {"br0", "p1", "gnv0"};
  Settle(&ovsdb, plain);
  (*Row(&ovsdb, "Interface", "gnv0"))["ofport"] = 4;
  const PlanResult plan = Settle(&ovsdb, Wish());
  EXPECT_THAT(plan.changes, Contains("set gnv0 type=geneve"));
  EXPECT_THAT(plan.ports, IsEmpty()) << "it was numbered as another kind of port";
  EXPECT_EQ(Interface(ovsdb, "gnv0").type, "geneve");
}

TEST(PlanTunnel, GoesWhenItIsNotWantedOrHasAnotherName) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  DesiredBridge renamed = Wish();
  renamed.tunnel->port = "tunnel";
  Settle(&ovsdb, renamed);
  EXPECT_EQ(Row(&ovsdb, "Port", "gnv0"), nullptr);
  EXPECT_EQ(Interface(ovsdb, "tunnel").options, kRight);
  DesiredBridge without = Wish();
  without.tunnel.reset();
  EXPECT_THAT(Settle(&ovsdb, without).changes, ElementsAre("remove port tunnel from br0"));
  EXPECT_EQ(Interface(ovsdb, "tunnel").name, "");
}

TEST(PlanTunnel, WhatIsNotOursOrElsewhereIsNamedAndLeft) {
  for (const StringMap& marks : {StringMap{}, StringMap{{"dyncast-fabric", "f2"}}}) {
    FakeOvsdb ovsdb;
    AddPort(&ovsdb, ovsdb.AddBridge("br0", kOurs), marks);
    EXPECT_THAT(
        Settle(&ovsdb, Wish()).problems,
        ElementsAre(HasSubstr("port gnv0 of bridge br0 is not ours (no external_ids:dyncast-fabric=f1)")));
    EXPECT_THAT(Plan(ovsdb.Cache(), Wish()).ports, testing::Not(Contains(Pair("gnv0", testing::_))));
    EXPECT_EQ(Interface(ovsdb, "gnv0").type, "");
    DesiredBridge without = Wish();
    without.tunnel.reset();
    Settle(&ovsdb, without);
    EXPECT_EQ(Interface(ovsdb, "gnv0").name, "gnv0");
  }
  FakeOvsdb ovsdb;
  AddPort(&ovsdb, ovsdb.AddBridge("br9", kOurs), {{"dyncast-fabric", "f1"}});
  EXPECT_THAT(Settle(&ovsdb, Wish()).problems,
              ElementsAre("port gnv0 is on bridge br9, not on br0: it is left there"));
  FakeOvsdb bond;
  bond.AddTo("Bridge", bond.AddBridge("br0", kOurs), "ports",
             json::array({"uuid", bond.AddPort("gnv0", bond.AddInterface("eth7", 4), {})}));
  EXPECT_THAT(Settle(&bond, Wish()).problems, ElementsAre(HasSubstr("a bond cannot be a port")));
}

TEST(PlanTunnel, LosesToAConcurrentChangeOfTheMark) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  (*Row(&ovsdb, "Interface", "gnv0"))["type"] = "vxlan";
  const PlanResult plan = Plan(ovsdb.Cache(), Wish());
  (*Row(&ovsdb, "Port", "gnv0"))["external_ids"] = MapJson({});
  EXPECT_EQ(ovsdb.Transact(plan.operations), "timed out");
  EXPECT_EQ(Interface(ovsdb, "gnv0").type, "vxlan");
}

TEST(PlanTunnel, ReleaseLeavesItStanding) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  ASSERT_EQ(ovsdb.Transact(PlanRelease(ovsdb.Cache(), Wish()).operations), "");
  EXPECT_EQ(Interface(ovsdb, "gnv0").options, kRight);
  EXPECT_EQ((*Row(&ovsdb, "Port", "gnv0"))["external_ids"], MapJson({}));
}

}  // namespace
}  // namespace dyncast::ovsdb
