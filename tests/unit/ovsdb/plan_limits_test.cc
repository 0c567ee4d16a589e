// Timeouts of connection tracking zones, and limits of flow tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ovs-integration/ovsdb/plan.h"
#include "tests/unit/ovsdb/fake_ovsdb.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

DesiredBridge Wish() {
  return {
      .switch_name = "d1",
      .remote = "unix:db",
      .fabric = "f1",
      .bridge = "br0",
      .datapath_type = "netdev",
      .dpid = DatapathId{0xd1},
      .controller_target = "tcp:127.0.0.1:6653",
      .adopt = false,
      .ports = {"p1"},
      .zones = {{.zone = 5, .idle = seconds(300), .closing = seconds(7), .opening = seconds(3)}, {.zone = 9}},
      .binding_flow_limit = 100000};
}

PlanResult Settle(FakeOvsdb* ovsdb, const DesiredBridge& wish) {
  const PlanResult plan = Plan(ovsdb->Cache(), wish);
  EXPECT_EQ(ovsdb->Transact(plan.operations), "") << plan.operations.dump(1);
  EXPECT_THAT(Plan(ovsdb->Cache(), wish).operations, IsEmpty()) << "after " << plan.operations.dump(1);
  return plan;
}

// The timeouts of a zone of the netdev datapath.
IntegerMap TimeoutsOf(const FakeOvsdb& ovsdb, int64_t zone) {
  const Database db = ovsdb.Cache();
  const DatapathRow& datapath = db.datapaths.at(db.datapaths_by_type.at("netdev"));
  return db.ct_timeout_policies.at(db.ct_zones.at(datapath.ct_zones.at(zone)).timeout_policy).timeouts;
}

std::map<int64_t, int64_t> LimitsOf(const FakeOvsdb& ovsdb) {
  const Database db = ovsdb.Cache();
  std::map<int64_t, int64_t> limits;
  for (const auto& [table, uuid] : db.bridges.begin()->second.flow_tables) {
    const FlowTableRow& row = db.flow_tables.at(uuid);
    EXPECT_EQ(row.overflow_policy, "refuse");
    limits[table] = row.flow_limit.value_or(-1);
  }
  return limits;
}

TEST(Limits, ComeWithTheBridge) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  const IntegerMap expected = {{"tcp_established", 300}, {"tcp_syn_sent", 3},   {"tcp_syn_recv", 3},
                               {"tcp_syn_sent2", 3},     {"tcp_fin_wait", 7},   {"tcp_time_wait", 7},
                               {"tcp_close", 7},         {"tcp_close_wait", 7}, {"tcp_last_ack", 7},
                               {"udp_first", 300},       {"udp_single", 300},   {"udp_multiple", 300},
                               {"icmp_first", 300},      {"icmp_reply", 300}};
  EXPECT_EQ(TimeoutsOf(ovsdb, 5), expected);
  EXPECT_EQ(TimeoutsOf(ovsdb, 9).at("tcp_established"), 60);
  EXPECT_EQ(LimitsOf(ovsdb),
            (std::map<int64_t, int64_t>{
                {20, 100000}, {21, 100000}, {22, 100000}, {26, 100000}, {27, 100000}, {28, 100000}}));
}

TEST(Limits, ChangeAndGoWithoutTouchingOthers) {
  FakeOvsdb ovsdb;
  const std::string datapath = ovsdb.AddDatapath("netdev");
  const std::string theirs = ovsdb.AddZone(datapath, 7, {});
  Settle(&ovsdb, Wish());
  const std::string bridge = ovsdb.rows["Bridge"].begin()->first;
  const std::string their_table = ovsdb.AddFlowTable(bridge, 30, {});
  DesiredBridge wish = Wish();
  wish.zones[0].idle = seconds(301);
  wish.binding_flow_limit = 7;
  Settle(&ovsdb, wish);
  EXPECT_EQ(TimeoutsOf(ovsdb, 5).at("udp_single"), 301);
  wish.zones.erase(wish.zones.begin());
  wish.binding_flow_limit = 0;
  Settle(&ovsdb, wish);
  EXPECT_EQ(ovsdb.rows["CT_Zone"].size(), 2u);
  EXPECT_TRUE(ovsdb.rows["CT_Zone"].contains(theirs));
  EXPECT_EQ(ovsdb.rows["Flow_Table"].size(), 1u);
  EXPECT_TRUE(ovsdb.rows["Flow_Table"].contains(their_table));
  wish.zones.clear();
  Settle(&ovsdb, wish);
  EXPECT_EQ(ovsdb.rows["CT_Zone"].size(), 1u);
  EXPECT_EQ(ovsdb.rows["CT_Timeout_Policy"].size(), 1u);
}

TEST(Limits, OnesThatAreNotOursAreLeftAndNamed) {
  FakeOvsdb ovsdb;
  DesiredBridge bare = Wish();
  bare.zones.clear();
  bare.binding_flow_limit = 0;
  Settle(&ovsdb, bare);
  ovsdb.AddZone(ovsdb.AddDatapath("netdev"), 5, {{"owner", "ops"}});
  ovsdb.AddFlowTable(ovsdb.rows["Bridge"].begin()->first, 21, {});
  const FakeOvsdb::Rows before = ovsdb.rows;
  const PlanResult plan = Settle(&ovsdb, Wish());
  EXPECT_THAT(plan.problems,
              ElementsAre(HasSubstr("table 21 of bridge br0 has settings that are not ours"),
                          HasSubstr("zone 5 of the netdev datapath has timeouts that are not")));
  EXPECT_EQ(ovsdb.rows["CT_Zone"].size(), 2u);  // and 9
  for (const auto& [uuid, row] : before.at("CT_Zone")) EXPECT_EQ(ovsdb.rows["CT_Zone"].at(uuid), row);
  for (const auto& [uuid, row] : before.at("Flow_Table")) EXPECT_EQ(ovsdb.rows["Flow_Table"].at(uuid), row);
}

TEST(Limits, TwoSwitchesShareADatapath) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  DesiredBridge second = Wish();
  second.switch_name = "d2";
  second.bridge = "br1";
  second.ports = {"p2"};
  EXPECT_THAT(Settle(&ovsdb, second).problems, IsEmpty()) << "the same timeouts serve both";
  second.zones[0].idle = seconds(9);
  EXPECT_THAT(Settle(&ovsdb, second).problems, ElementsAre(HasSubstr("zone 5")));
  // The first one lets go: the second one makes them its own.
  DesiredBridge first = Wish();
  first.zones.clear();
  Settle(&ovsdb, first);
  EXPECT_THAT(Settle(&ovsdb, second).problems, IsEmpty());
  EXPECT_EQ(TimeoutsOf(ovsdb, 5).at("tcp_established"), 9);
}

TEST(Limits, AReleasedBridgeKeepsThemWithoutOurMark) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  ASSERT_EQ(ovsdb.Transact(PlanRelease(ovsdb.Cache(), Wish()).operations), "");
  EXPECT_EQ(LimitsOf(ovsdb).size(), 6u);
  EXPECT_EQ(ovsdb.rows["CT_Zone"].size(), 2u);
  for (const char* table : {"CT_Zone", "Flow_Table"}) {
    for (const auto& [uuid, row] : ovsdb.rows[table]) {
      EXPECT_EQ(row.at("external_ids"), MapJson({})) << table;
    }
  }
  EXPECT_THAT(PlanRelease(ovsdb.Cache(), Wish()).operations, IsEmpty());
}

TEST(Limits, LoseToAConcurrentChangeOfTheMark) {
  FakeOvsdb ovsdb;
  Settle(&ovsdb, Wish());
  DesiredBridge wish = Wish();
  wish.zones[0].idle = seconds(9);
  const PlanResult plan = Plan(ovsdb.Cache(), wish);
  for (auto& [uuid, row] : ovsdb.rows["CT_Zone"]) row["external_ids"] = MapJson({{"owner", "ops"}});
  const FakeOvsdb::Rows before = ovsdb.rows;
  EXPECT_EQ(ovsdb.Transact(plan.operations), "timed out");
  EXPECT_EQ(ovsdb.rows, before);
}

}  // namespace
}  // namespace dyncast::ovsdb
