// The rows of a switch's Open_vSwitch database that we look at, as the server last told them. Pure.
//
// `Apply` takes the <table-updates> of RFC 7047 section 4.1.6: what the server sends is checked in full
// before anything changes, so a bad message leaves the rows as they were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace dyncast::ovsdb {

// Lower-case text of an OVSDB row's UUID, 36 characters.
using Uuid = std::string;
using StringMap = std::map<std::string, std::string>;
using IntegerMap = std::map<std::string, int64_t>;
using UuidByNumber = std::map<int64_t, Uuid>;

struct BridgeRow {
  std::string name;
  std::string datapath_type;  // "" means "system"
  std::string fail_mode;      // "" where unset
  std::set<std::string> protocols;
  std::set<Uuid> ports;
  std::set<Uuid> controllers;
  UuidByNumber flow_tables;
  StringMap other_config;
  StringMap external_ids;
};

struct PortRow {
  std::string name;
  std::set<Uuid> interfaces;
  StringMap external_ids;
};

struct InterfaceRow {
  std::string name;
  std::string type;               // "" means "system"
  std::optional<int64_t> ofport;  // absent until ovs-vswitchd has seen the row; -1 where it failed
  std::string error;              // "" where there is none
  StringMap options;
};

struct ControllerRow {
  std::string target;
  std::string connection_mode;              // "" where unset
  std::optional<int64_t> max_backoff;       // milliseconds
  std::optional<int64_t> inactivity_probe;  // milliseconds
  StringMap external_ids;
};

struct DatapathRow {
  UuidByNumber ct_zones;
  StringMap external_ids;
};

struct CtZoneRow {
  Uuid timeout_policy;  // "" where unset
  StringMap external_ids;
};

struct CtTimeoutPolicyRow {
  IntegerMap timeouts;  // seconds
};

struct FlowTableRow {
  std::optional<int64_t> flow_limit;
  std::string overflow_policy;  // "" where unset
  StringMap external_ids;
};

struct Database {
  std::set<Uuid> roots;  // rows of table Open_vSwitch: one in a database that was initialised
  std::map<Uuid, BridgeRow> bridges;
  std::map<Uuid, PortRow> ports;
  std::map<Uuid, InterfaceRow> interfaces;
  std::map<Uuid, ControllerRow> controllers;
  std::map<std::string, Uuid> datapaths_by_type;  // of the row in `roots`: "system", "netdev"
  std::map<Uuid, DatapathRow> datapaths;
  std::map<Uuid, CtZoneRow> ct_zones;
  std::map<Uuid, CtTimeoutPolicyRow> ct_timeout_policies;
  std::map<Uuid, FlowTableRow> flow_tables;

  size_t Rows() const;
};

// More rows than any switch has: a server that sends more is refused.
inline constexpr size_t kMaxRows = 200'000;

// <monitor-requests> for the columns above.
nlohmann::json MonitorRequests();

// kProtocol, naming table, row and column, where the updates are not what RFC 7047 allows; *db is then
// unchanged.
Status Apply(const nlohmann::json& updates, Database* db);

}  // namespace dyncast::ovsdb
