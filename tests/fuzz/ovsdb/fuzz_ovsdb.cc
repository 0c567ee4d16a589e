#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "ovs-integration/ovsdb/plan.h"
#include "ovs-integration/ovsdb/rows.h"

namespace {

using dyncast::ovsdb::Database;
using dyncast::ovsdb::PlanResult;
using nlohmann::json;

void Require(bool holds) {
  if (!holds) std::abort();
}

bool Knows(const Database& db, const std::string& uuid) {
  return db.roots.contains(uuid) || db.bridges.contains(uuid) || db.ports.contains(uuid) ||
         db.interfaces.contains(uuid) || db.controllers.contains(uuid);
}

void CheckPlan(const Database& db, const PlanResult& plan, const PlanResult& again) {
  Require(plan.operations == again.operations);
  Require(plan.refusal.empty() || plan.operations.empty());
  for (const json& operation : plan.operations) {
    if (!operation.contains("where")) continue;
    const json& clause = operation["where"][0];
    Require(clause[0] != "_uuid" || Knows(db, clause[2][1].get<std::string>()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return 0;
  Database db;
  const json updates = parsed.is_array() ? parsed : json::array({parsed});
  for (const json& update : updates) {
    const size_t before = db.Rows();
    if (!Apply(update, &db).ok()) Require(db.Rows() == before);
  }
  dyncast::ovsdb::DesiredBridge wish{.switch_name = "d1",
                                     .remote = "unix:db",
                                     .fabric = "f1",
                                     .bridge = "br0",
                                     .datapath_type = "netdev",
                                     .dpid = dyncast::DatapathId{1},
                                     .controller_target = "tcp:127.0.0.1:6653",
                                     .adopt = size % 2 == 0,
                                     .ports = {"br0", "p1", "p2"}};
  if (size % 4 < 2) wish.tunnel = {.port = "gnv0", .local_ip = "10.0.0.1"};
  CheckPlan(db, Plan(db, wish), Plan(db, wish));
  CheckPlan(db, PlanRelease(db, wish), PlanRelease(db, wish));
  return 0;
}
