#include "ovs-integration/ovsdb/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ovsdb/fake_ovsdb.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

DesiredBridge Wish() {
  return {.switch_name = "d1",
          .remote = "unix:db",
          .fabric = "f1",
          .bridge = "br0",
          .datapath_type = "netdev",
          .dpid = DatapathId{0xd1},
          .controller_target = "tcp:127.0.0.1:6653",
          .adopt = false,
          .ports = {"br0", "p1", "p2"}};
}

const StringMap kOurs = {{"dyncast-fabric", "f1"}, {"dyncast-switch", "d1"}};

// Carries the plan out and returns it; a second plan must then find nothing to do.
PlanResult Settle(FakeOvsdb* ovsdb, const DesiredBridge& wish) {
  const PlanResult plan = Plan(ovsdb->Cache(), wish);
  EXPECT_EQ(ovsdb->Transact(plan.operations), "") << plan.operations.dump(1);
  EXPECT_THAT(Plan(ovsdb->Cache(), wish).operations, IsEmpty()) << "after " << plan.operations.dump(1);
  return plan;
}

TEST(Plan, MakesTheWholeBridge) {
  FakeOvsdb ovsdb;
  const PlanResult plan = Plan(ovsdb.Cache(), Wish());
  EXPECT_TRUE(plan.makes_bridge);
  const json bridge = json::parse(R"({"op": "insert", "table": "Bridge", "uuid-name": "bridge", "row": {
      "name": "br0", "datapath_type": "netdev", "fail_mode": "secure", "protocols": "OpenFlow15",
      "ports": ["named-uuid", "local_port"], "controller": ["named-uuid", "controller"],
      "other_config": ["map", [["datapath-id", "00000000000000d1"], ["disable-in-band", "true"]]],
      "external_ids": ["map", [["dyncast-fabric", "f1"], ["dyncast-switch", "d1"]]]}})");
  const json controller = json::parse(R"({"op": "insert", "table": "Controller", "uuid-name": "controller",
      "row": {"target": "tcp:127.0.0.1:6653", "connection_mode": "out-of-band", "max_backoff": 1000,
              "inactivity_probe": 5000, "external_ids": ["map", [["dyncast-fabric", "f1"]]]}})");
  const json local = json::parse(R"({"op": "insert", "table": "Interface", "uuid-name": "local_interface",
      "row": {"name": "br0", "type": "internal"}})");
  EXPECT_THAT(plan.operations, Contains(bridge));
  EXPECT_THAT(plan.operations, Contains(controller));
  EXPECT_THAT(plan.operations, Contains(local));
  Settle(&ovsdb, Wish());
  EXPECT_EQ(ovsdb.rows["Port"].size(), 3u);
}

TEST(Plan, MakesTheBridgeAgain) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  ovsdb.rows["Open_vSwitch"][ovsdb.root]["bridges"] = json::array({"set", json::array()});
  ovsdb.Transact(json::array());
  ASSERT_TRUE(ovsdb.rows["Bridge"].empty());
  EXPECT_TRUE(Settle(&ovsdb, Wish()).makes_bridge);
}

TEST(Plan, ForeignBridgeIsRefusedUnlessAdopted) {
  FakeOvsdb ovsdb;
  ovsdb.AddBridge("br0", {{"owner", "ops"}});
  DesiredBridge wish = Wish();
  const PlanResult refused = Plan(ovsdb.Cache(), wish);
  EXPECT_THAT(refused.operations, IsEmpty());
  EXPECT_THAT(refused.refusal, HasSubstr("bridge br0 exists and is not ours"));
  wish.adopt = true;
  Settle(&ovsdb, wish);
  const Database db = ovsdb.Cache();
  const StringMap expected = {{"dyncast-fabric", "f1"}, {"dyncast-switch", "d1"}, {"owner", "ops"}};
  EXPECT_EQ(db.bridges.begin()->second.external_ids, expected);
}

TEST(Plan, BridgeOfAnotherFabricIsNeverTaken) {
  FakeOvsdb ovsdb;
  ovsdb.AddBridge("br0", {{"dyncast-fabric", "f2"}});
  DesiredBridge wish = Wish();
  wish.adopt = true;
  EXPECT_THAT(Plan(ovsdb.Cache(), wish).refusal, HasSubstr("belongs to fabric 'f2'"));
}

TEST(Plan, KeepsWhatTheOperatorSet) {
  FakeOvsdb ovsdb;
  const std::string bridge = ovsdb.AddBridge("br0", kOurs);
  json& row = ovsdb.rows["Bridge"][bridge];
  row["protocols"] = json::array({"set", {"OpenFlow13"}});
  row["other_config"] = MapJson({{"mac-aging-time", "60"}, {"datapath-id", "00000000000000ff"}});
  ovsdb.AddTo("Bridge", bridge, "ports",
              json::array({"uuid", ovsdb.AddPort("theirs", ovsdb.AddInterface("theirs", 9), {})}));
  Settle(&ovsdb, Wish());
  const BridgeRow after = ovsdb.Cache().bridges.at(bridge);
  EXPECT_EQ(after.protocols, (std::set<std::string>{"OpenFlow13", "OpenFlow15"}));
  EXPECT_EQ(after.other_config,
            (StringMap{
                {"mac-aging-time", "60"}, {"datapath-id", "00000000000000d1"}, {"disable-in-band", "true"}}));
  EXPECT_EQ(after.ports.size(), 4u);
}

TEST(Plan, RemovesOnlyOurSurplusPorts) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  DesiredBridge wish = Wish();
  wish.ports = {"p2"};
  const PlanResult plan = Settle(&ovsdb, wish);
  EXPECT_THAT(plan.changes, ElementsAre("remove port p1 from br0"));
  EXPECT_EQ(ovsdb.rows["Port"].size(), 2u);  // br0 itself stays
}

TEST(Plan, PortOfAnotherBridgeIsLeftThere) {
  FakeOvsdb ovsdb;
  const std::string other = ovsdb.AddBridge("br9", {});
  ovsdb.AddTo("Bridge", other, "ports",
              json::array({"uuid", ovsdb.AddPort("p1", ovsdb.AddInterface("p1", 4), {})}));
  const PlanResult plan = Settle(&ovsdb, Wish());
  EXPECT_THAT(plan.problems, ElementsAre("port p1 is on bridge br9, not on br0: it is left there"));
  EXPECT_EQ(ovsdb.Cache().bridges.at(other).ports.size(), 2u);
}

TEST(Plan, BondIsNoPortOfOurs) {
  FakeOvsdb ovsdb;
  const std::string bridge = ovsdb.AddBridge("br0", kOurs);
  ovsdb.AddTo("Bridge", bridge, "ports",
              json::array({"uuid", ovsdb.AddPort("p1", ovsdb.AddInterface("eth7", 4), {})}));
  EXPECT_THAT(Settle(&ovsdb, Wish()).problems, ElementsAre(HasSubstr("a bond cannot be a port")));
}

TEST(Plan, ReportsNumbersAndFailures) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  for (auto& [uuid, row] : ovsdb.rows["Interface"]) {
    if (row["name"] == "br0") row["ofport"] = 65534;
    if (row["name"] == "p1") row["ofport"] = 3;
    if (row["name"] == "p2") row["ofport"] = -1, row["error"] = "could not open p2";
  }
  const PlanResult plan = Plan(ovsdb.Cache(), Wish());
  EXPECT_THAT(plan.ports, ElementsAre(Pair("br0", PortNo{0xfffffffe}), Pair("p1", PortNo{3})));
  EXPECT_THAT(plan.problems,
              ElementsAre("interface p2 of bridge br0 has no OpenFlow port: could not open p2"));
}

TEST(Plan, ForeignControllerIsLeftAndNamed) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  const std::string uuid = ovsdb.NewUuid();
  ovsdb.rows["Controller"][uuid] = ovsdb.rows["Controller"].begin()->second;
  ovsdb.rows["Controller"][uuid]["target"] = "tcp:192.0.2.1:6653";
  ovsdb.rows["Controller"][uuid]["external_ids"] = MapJson({});
  ovsdb.AddTo("Bridge", ovsdb.rows["Bridge"].begin()->first, "controller", json::array({"uuid", uuid}));
  const PlanResult plan = Plan(ovsdb.Cache(), Wish());
  EXPECT_THAT(plan.operations, IsEmpty());
  EXPECT_THAT(plan.problems, ElementsAre(HasSubstr("also has the controller tcp:192.0.2.1:6653")));
}

TEST(Plan, NewTargetChangesOurRowInPlace) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  const std::string uuid = ovsdb.rows["Controller"].begin()->first;
  DesiredBridge wish = Wish();
  wish.controller_target = "tcp:127.0.0.2:6653";
  Settle(&ovsdb, wish);
  ASSERT_EQ(ovsdb.rows["Controller"].size(), 1u);
  EXPECT_EQ(ovsdb.rows["Controller"].at(uuid)["target"], "tcp:127.0.0.2:6653");
}

TEST(Plan, LosesToAConcurrentChangeOfTheMark) {
  FakeOvsdb ovsdb;
  const std::string bridge = ovsdb.AddBridge("br0", kOurs);
  const PlanResult plan = Plan(ovsdb.Cache(), Wish());
  ovsdb.rows["Bridge"][bridge]["external_ids"] = MapJson({{"dyncast-fabric", "f2"}});
  const FakeOvsdb::Rows before = ovsdb.rows;
  EXPECT_EQ(ovsdb.Transact(plan.operations), "timed out");
  EXPECT_EQ(ovsdb.rows, before);
}

TEST(Plan, TwoMakersOfOneBridgeDoNotBothWin) {
  FakeOvsdb ovsdb;
  const PlanResult plan = Plan(ovsdb.Cache(), Wish());
  ovsdb.AddBridge("br0", {});
  EXPECT_THAT(ovsdb.Transact(plan.operations), HasSubstr("constraint violation"));
}

TEST(Plan, DatabaseThatWasNeverInitialised) {
  EXPECT_THAT(Plan(Database{}, Wish()).refusal, HasSubstr("ovs-vsctl init"));
}

TEST(Plan, ReleaseTakesOnlyMarksAndController) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  ASSERT_EQ(ovsdb.Transact(PlanRelease(ovsdb.Cache(), Wish()).operations), "");
  const Database db = ovsdb.Cache();
  const BridgeRow& bridge = db.bridges.begin()->second;
  EXPECT_THAT(bridge.external_ids, IsEmpty());
  EXPECT_THAT(bridge.controllers, IsEmpty());
  EXPECT_EQ(bridge.ports.size(), 3u);
  EXPECT_EQ(bridge.fail_mode, "secure");
  for (const auto& [uuid, port] : db.ports) EXPECT_THAT(port.external_ids, IsEmpty());
  EXPECT_THAT(PlanRelease(db, Wish()).operations, IsEmpty());
}

}  // namespace
}  // namespace dyncast::ovsdb
