#include "ovs-integration/ovsdb/rows.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;

constexpr const char* kBridge = "11111111-2222-3333-4444-555555555555";
constexpr const char* kPort = "aaaaaaaa-2222-3333-4444-555555555555";

json BridgeUpdate() {
  return json::parse(R"({"Bridge": {"11111111-2222-3333-4444-555555555555": {"new": {
    "name": "br0", "datapath_type": "netdev", "fail_mode": "secure",
    "protocols": ["set", ["OpenFlow13", "OpenFlow15"]],
    "ports": ["uuid", "aaaaaaaa-2222-3333-4444-555555555555"],
    "controller": ["set", []],
    "flow_tables": ["map", [[20, ["uuid", "bbbbbbbb-2222-3333-4444-555555555555"]]]],
    "other_config": ["map", [["datapath-id", "0000000000000001"]]],
    "external_ids": ["map", []]}}}})");
}

TEST(Rows, ReadsEveryFormOfAColumn) {
  Database db;
  ASSERT_TRUE(Apply(BridgeUpdate(), &db).ok());
  const BridgeRow& row = db.bridges.at(kBridge);
  EXPECT_EQ(row.name, "br0");
  EXPECT_EQ(row.datapath_type, "netdev");
  EXPECT_EQ(row.fail_mode, "secure");
  EXPECT_EQ(row.protocols, (std::set<std::string>{"OpenFlow13", "OpenFlow15"}));
  EXPECT_EQ(row.ports, (std::set<Uuid>{kPort}));
  EXPECT_TRUE(row.controllers.empty());
  EXPECT_EQ(row.other_config, (StringMap{{"datapath-id", "0000000000000001"}}));
}

TEST(Rows, ReadsInterfaceNumbers) {
  Database db;
  json update = json::parse(R"({"Interface": {"aaaaaaaa-2222-3333-4444-555555555555": {"new": {
    "name": "p1", "type": "geneve", "ofport": -1, "error": "no such device",
    "options": ["map", [["key", "0"]]]}}}})");
  ASSERT_TRUE(Apply(update, &db).ok());
  EXPECT_EQ(db.interfaces.at(kPort).ofport, -1);
  EXPECT_EQ(db.interfaces.at(kPort).type, "geneve");
  EXPECT_EQ(db.interfaces.at(kPort).options, (StringMap{{"key", "0"}}));
  EXPECT_EQ(db.interfaces.at(kPort).error, "no such device");
  update["Interface"][kPort]["new"]["ofport"] = json::array({"set", json::array()});
  ASSERT_TRUE(Apply(update, &db).ok());
  EXPECT_FALSE(db.interfaces.at(kPort).ofport.has_value());
}

TEST(Rows, ReadsZonesAndFlowTables) {
  Database db;
  const json update = json::parse(R"({
    "Open_vSwitch": {"cccccccc-2222-3333-4444-555555555555": {"new": {"ovs_version": "3.1.0",
      "datapaths": ["map", [["netdev", ["uuid", "11111111-2222-3333-4444-555555555555"]]]]}}},
    "Datapath": {"11111111-2222-3333-4444-555555555555": {"new": {"external_ids": ["map", []],
      "ct_zones": ["map", [[5, ["uuid", "aaaaaaaa-2222-3333-4444-555555555555"]]]]}}},
    "CT_Zone": {"aaaaaaaa-2222-3333-4444-555555555555": {"new": {"external_ids": ["map", []],
      "timeout_policy": ["uuid", "bbbbbbbb-2222-3333-4444-555555555555"]}}},
    "CT_Timeout_Policy": {"bbbbbbbb-2222-3333-4444-555555555555": {"new": {
      "timeouts": ["map", [["udp_first", 60]]]}}},
    "Flow_Table": {"dddddddd-2222-3333-4444-555555555555": {"new": {"flow_limit": 7,
      "overflow_policy": ["set", []], "external_ids": ["map", []]}}}})");
  const Status applied = Apply(update, &db);
  ASSERT_TRUE(applied.ok()) << applied.error().message;
  EXPECT_EQ(db.datapaths_by_type.at("netdev"), kBridge);
  EXPECT_EQ(db.datapaths.at(kBridge).ct_zones, (UuidByNumber{{5, kPort}}));
  const Uuid policy = db.ct_zones.at(kPort).timeout_policy;
  EXPECT_EQ(db.ct_timeout_policies.at(policy).timeouts, (IntegerMap{{"udp_first", 60}}));
  EXPECT_EQ(db.flow_tables.begin()->second.flow_limit, 7);
  EXPECT_EQ(db.flow_tables.begin()->second.overflow_policy, "");
}

TEST(Rows, RemovesARow) {
  Database db;
  ASSERT_TRUE(Apply(BridgeUpdate(), &db).ok());
  ASSERT_TRUE(Apply({{"Bridge", {{kBridge, {{"old", json::object()}}}}}}, &db).ok());
  EXPECT_TRUE(db.bridges.empty());
  const Status again = Apply({{"Bridge", {{kBridge, {{"old", json::object()}}}}}}, &db);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, Errc::kProtocol);
}

TEST(Rows, BadUpdateNamesItsPlaceAndChangesNothing) {
  struct Case {
    const char* column;
    json value;
  };
  const std::vector<Case> cases = {
      {"name", 7},
      {"name", nullptr},
      {"fail_mode", json::array({"set", {"a", "b"}})},
      {"protocols", json::array({"set", "OpenFlow15"})},
      {"protocols", json::array({"set", {"x", "x"}})},
      {"ports", json::array({"uuid", "not-a-uuid"})},
      {"ports", json::array({"named-uuid", kPort})},
      {"other_config", json::array({"map", {{"a", "b", "c"}}})},
      {"other_config", json::array({"map", json::array({json::array({"a", 1})})})},
      {"external_ids", "dyncast"},
      {"flow_tables", json::array({"map", json::array({json::array({"20", json::array({"uuid", kPort})})})})},
      {"flow_tables", json::array({"map", json::array({json::array({20, "x"})})})},
      {"flow_tables", json::array({"set", json::array()})},
  };
  for (const Case& bad : cases) {
    Database db;
    json update = BridgeUpdate();
    update["Bridge"][kBridge]["new"][bad.column] = bad.value;
    const Status applied = Apply(update, &db);
    ASSERT_FALSE(applied.ok()) << bad.column << " " << bad.value;
    EXPECT_EQ(applied.error().code, Errc::kProtocol);
    EXPECT_NE(applied.error().message.find(bad.column), std::string::npos) << applied.error().message;
    EXPECT_NE(applied.error().message.find(kBridge), std::string::npos) << applied.error().message;
    EXPECT_EQ(db.Rows(), 0u);
  }
}

TEST(Rows, OneBadRowKeepsTheGoodOnesOut) {
  Database db;
  json update = BridgeUpdate();
  update["Port"] = {{kPort, {{"new", {{"name", "p"}}}}}};
  const Status applied = Apply(update, &db);
  ASSERT_FALSE(applied.ok());
  EXPECT_NE(applied.error().message.find("interfaces"), std::string::npos);
  EXPECT_EQ(db.Rows(), 0u);
}

TEST(Rows, RefusesWhatWasNotAskedFor) {
  Database db;
  for (const char* text :
       {"[]", "7", "null", R"({"Mirror": {}})", R"({"Bridge": []})", R"({"Bridge": {"x": {"new": {}}}})",
        R"({"Bridge": {"x": 1}})", R"({"Bridge": {"11111111-2222-3333-4444-555555555555": {}}})",
        R"({"Bridge": {"11111111-2222-3333-4444-555555555555": {"new": 1}}})"}) {
    EXPECT_FALSE(Apply(json::parse(text), &db).ok()) << text;
  }
}

TEST(Rows, AsksForTheColumnsThatItReads) {
  const json requests = MonitorRequests();
  EXPECT_EQ(requests.at("Interface"),
            json::parse(R"([{"columns": ["name", "type", "ofport", "error", "options"]}])"));
  EXPECT_EQ(requests.size(), 9u);
}

}  // namespace
}  // namespace dyncast::ovsdb
