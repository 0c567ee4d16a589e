// For any database: a plan that the server carries out leaves nothing to do, and rows that do not carry
// our mark are as before.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "ovs-integration/ovsdb/plan.h"
#include "tests/unit/ovsdb/fake_ovsdb.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int Below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(engine_); }
  template <typename T>
  T Pick(std::initializer_list<T> from) {
    return *(from.begin() + Below(static_cast<int>(from.size())));
  }

 private:
  std::mt19937_64 engine_;
};

StringMap SomeMarks(Random* random) {
  switch (random->Below(4)) {
    case 0: return {};
    case 1: return {{"dyncast-fabric", "f2"}};
    case 2: return {{"dyncast-fabric", "f1"}, {"dyncast-switch", "old"}, {"note", "x"}};
    default: return {{"dyncast-fabric", "f1"}, {"dyncast-switch", "d1"}};
  }
}

void AddSomeBridge(FakeOvsdb* ovsdb, const char* name, Random* random) {
  const std::string uuid = ovsdb->AddBridge(name, SomeMarks(random));
  json& row = ovsdb->rows["Bridge"][uuid];
  row["datapath_type"] = random->Pick({"", "system", "netdev"});
  row["fail_mode"] = json::array({"set", random->Below(2) == 0 ? json::array() : json::array({"secure"})});
  if (random->Below(2) == 0) row["protocols"][1].push_back("OpenFlow13");
  if (random->Below(2) == 0) row["protocols"][1].push_back("OpenFlow15");
  if (random->Below(2) == 0) row["other_config"] = MapJson({{"datapath-id", "1"}, {"other", "2"}});
  for (int i = random->Below(3); i > 0; --i) {
    const std::string controller = ovsdb->NewUuid();
    ovsdb->rows["Controller"][controller] = {
        {"target", random->Pick({"tcp:127.0.0.1:6653", "tcp:192.0.2.9:1", "ptcp:6654"})},
        {"connection_mode", random->Pick({"out-of-band", "in-band"})},
        {"max_backoff", json::array({"set", json::array()})},
        {"inactivity_probe", 5000},
        {"external_ids", MapJson(SomeMarks(random))}};
    ovsdb->AddTo("Bridge", uuid, "controller", json::array({"uuid", controller}));
  }
}

void AddSomePorts(FakeOvsdb* ovsdb, Random* random) {
  for (const char* name : {"p1", "p2", "p3", "p4", "gnv0", "gnv1"}) {
    if (ovsdb->rows["Bridge"].empty() || random->Below(2) == 0) continue;
    auto bridge = ovsdb->rows["Bridge"].begin();
    std::advance(bridge, random->Below(static_cast<int>(ovsdb->rows["Bridge"].size())));
    const bool bond = random->Below(5) == 0;
    const std::string interface =
        ovsdb->AddInterface(bond ? std::string("eth-") + name : name, random->Pick<int64_t>({-1, 0, 1, 7}));
    json& row = ovsdb->rows["Interface"][interface];
    row["type"] = random->Pick({"", "internal", "geneve"});
    switch (random->Below(3)) {
      case 0: break;
      case 1: row["options"] = MapJson({{"remote_ip", "192.0.2.1"}, {"tos", "inherit"}}); break;
      default:
        row["options"] =
            MapJson({{"remote_ip", "flow"}, {"local_ip", "10.0.0.1"}, {"key", "0"}, {"csum", "true"}});
    }
    ovsdb->AddTo("Bridge", bridge->first, "ports",
                 json::array({"uuid", ovsdb->AddPort(name, interface, SomeMarks(random))}));
  }
}

// Zones and flow tables of ours, of others, or of none of both bridges.
void AddSomeLimits(FakeOvsdb* ovsdb, Random* random) {
  const StringMap marks[] = {{},
                             {{"dyncast-fabric", "f1"}, {"dyncast-bridge", "br0"}},
                             {{"dyncast-fabric", "f2"}, {"dyncast-bridge", "br0"}}};
  if (random->Below(2) == 0) {
    const std::string datapath = ovsdb->AddDatapath(random->Pick({"system", "netdev"}));
    for (const int zone : {3, 5, 7}) {
      if (random->Below(2) == 0) ovsdb->AddZone(datapath, zone, marks[random->Below(3)]);
    }
  }
  for (const auto& [uuid, row] : ovsdb->rows["Bridge"]) {
    for (const int table : {20, 21, 22, 26, 27, 28, 30}) {
      if (random->Below(3) == 0) ovsdb->AddFlowTable(uuid, table, marks[random->Below(3)]);
    }
  }
}

TEST(PlanProperty, CarriedOutLeavesNothingToDo) {
  const char* given = std::getenv("DYNCAST_SEED");
  const uint64_t seed = given == nullptr ? std::random_device{}() : std::strtoull(given, nullptr, 10);
  SCOPED_TRACE("DYNCAST_SEED=" + std::to_string(seed));
  std::printf("DYNCAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Random random(seed);
  int changed = 0;
  for (int round = 0; round < 2000; ++round) {
    FakeOvsdb ovsdb;
    if (random.Below(3) != 0) AddSomeBridge(&ovsdb, "br0", &random);
    if (random.Below(2) != 0) AddSomeBridge(&ovsdb, "br1", &random);
    AddSomePorts(&ovsdb, &random);
    DesiredBridge wish{.switch_name = "d1",
                       .remote = "unix:db",
                       .fabric = "f1",
                       .bridge = "br0",
                       .datapath_type = random.Pick({"system", "netdev"}),
                       .dpid = DatapathId{1},
                       .controller_target = "tcp:127.0.0.1:6653",
                       .adopt = random.Below(2) == 0,
                       .ports = {}};
    for (const char* name : {"br0", "p1", "p2", "p3"}) {
      if (random.Below(2) == 0) wish.ports.push_back(name);
    }
    AddSomeLimits(&ovsdb, &random);
    wish.binding_flow_limit = random.Below(2) == 0 ? 0 : 1000;
    for (const uint16_t zone : {uint16_t{3}, uint16_t{5}}) {
      if (random.Below(2) == 0) wish.zones.push_back({.zone = zone});
    }
    if (random.Below(2) == 0) {
      wish.tunnel = {.port = random.Pick({"gnv0", "gnv1", "p1"}), .local_ip = "10.0.0.1"};
    }
    const FakeOvsdb::Rows before = ovsdb.rows;
    const PlanResult plan = Plan(ovsdb.Cache(), wish);
    if (!plan.refusal.empty()) {
      ASSERT_TRUE(plan.operations.empty());
      continue;
    }
    changed += plan.operations.empty() ? 0 : 1;
    ASSERT_EQ(ovsdb.Transact(plan.operations), "") << plan.operations.dump(1);
    const PlanResult second = Plan(ovsdb.Cache(), wish);
    ASSERT_TRUE(second.operations.empty())
        << plan.operations.dump(1) << "\nthen " << second.operations.dump(1);
    for (const auto& [uuid, row] : before.at("Bridge")) {
      if (row["name"] != "br0") {
        ASSERT_EQ(ovsdb.rows["Bridge"].at(uuid), row);
      }
    }
    // An interface is changed only with its port's mark.
    for (const auto& [uuid, row] : before.at("Port")) {
      if (row["external_ids"].dump().find("\"f1\"") != std::string::npos) continue;
      for (const json& interface : row["interfaces"][1]) {
        const std::string& id = interface[1].get_ref<const std::string&>();
        ASSERT_EQ(ovsdb.rows["Interface"].at(id), before.at("Interface").at(id));
      }
    }
    for (const char* table : {"Port", "Controller", "CT_Zone", "Flow_Table"}) {
      for (const auto& [uuid, row] : before.at(table)) {
        const bool ours = row["external_ids"].dump().find("\"f1\"") != std::string::npos;
        const bool claimed = std::string(table) == "Controller" && row["target"] == wish.controller_target;
        if (!ours && !claimed) {
          ASSERT_EQ(ovsdb.rows[table].at(uuid), row);
        }
      }
    }
  }
  EXPECT_GT(changed, 500);
}

}  // namespace
}  // namespace dyncast::ovsdb
