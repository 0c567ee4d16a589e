// What must change in a switch's database so that it holds a bridge as wanted. Pure: rows in, the
// operations of one transaction (RFC 7047 section 5.2) out.
//
// Safe beside other writers: sets and maps are changed by element, every change of an existing row
// first waits for the mark that it was planned on, and new rows rest on the unique names of the schema.
// A transaction that lost such a race fails as a whole and is planned again from newer rows.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ovs-integration/ovsdb/ovsdb_manager.h"
#include "ovs-integration/ovsdb/rows.h"
#include "schema/base/ids.h"

namespace dyncast::ovsdb {

// external_ids of the rows that are ours: all carry the first, Bridge also the second, and the rows of a
// datapath, which bridges may share, the third: the bridge for which they were made.
inline constexpr std::string_view kFabricMark = "dyncast-fabric";
inline constexpr std::string_view kSwitchMark = "dyncast-switch";
inline constexpr std::string_view kBridgeMark = "dyncast-bridge";

// OFPP_LOCAL of OpenFlow 1.5.1 section 7.2.1; the database shows the same port as 65534.
inline constexpr PortNo kLocalPort{0xfffffffeu};

struct PlanResult {
  nlohmann::json operations = nlohmann::json::array();  // empty: nothing to change
  std::vector<std::string> changes;                     // the same for people, one line a change
  // Not empty: the bridge is not ours to touch, and why. There are no operations then.
  std::string refusal;
  // What keeps single ports from working, or may disturb us, though the bridge is ours.
  std::vector<std::string> problems;
  std::vector<std::pair<std::string, PortNo>> ports;  // wanted ones with a number, in the wanted order
  bool makes_bridge = false;
};

PlanResult Plan(const Database& db, const DesiredBridge& desired);

// Takes our controller rows and marks off a bridge that is no longer wanted; its ports, flows and
// settings stay. Nothing where the bridge does not carry our mark.
PlanResult PlanRelease(const Database& db, const DesiredBridge& formerly);

}  // namespace dyncast::ovsdb
