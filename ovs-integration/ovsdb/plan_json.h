// Pieces of RFC 7047's JSON that the parts of the plan share. Internal to ovsdb/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "ovs-integration/ovsdb/plan.h"
#include "ovs-integration/ovsdb/rows.h"

namespace dyncast::ovsdb {

inline nlohmann::json MapValue(const StringMap& map) {
  nlohmann::json pairs = nlohmann::json::array();
  for (const auto& [key, value] : map) pairs.push_back(nlohmann::json::array({key, value}));
  return nlohmann::json::array({"map", pairs});
}
inline nlohmann::json SetOf(nlohmann::json elements) {
  return nlohmann::json::array({"set", std::move(elements)});
}
inline nlohmann::json UuidValue(const Uuid& uuid) { return nlohmann::json::array({"uuid", uuid}); }
inline nlohmann::json Named(const std::string& name) { return nlohmann::json::array({"named-uuid", name}); }
inline nlohmann::json WhereUuid(const Uuid& uuid) {
  return nlohmann::json::array({nlohmann::json::array({"_uuid", "==", UuidValue(uuid)})});
}

inline std::string MarkOf(const StringMap& external_ids, std::string_view mark = kFabricMark) {
  const auto it = external_ids.find(std::string(mark));
  return it == external_ids.end() ? std::string() : it->second;
}
inline StringMap FabricMark(const std::string& fabric) { return {{std::string(kFabricMark), fabric}}; }
inline bool IsOurs(const StringMap& external_ids, const DesiredBridge& desired) {
  return MarkOf(external_ids) == desired.fabric;
}

// Fails the transaction unless the row still bears what the plan rests on.
inline nlohmann::json WaitFor(const char* table, const Uuid& uuid, const StringMap& external_ids) {
  return {{"op", "wait"},
          {"table", table},
          {"timeout", 0},
          {"where", WhereUuid(uuid)},
          {"until", "=="},
          {"columns", nlohmann::json::array({"external_ids"})},
          {"rows", nlohmann::json::array({{{"external_ids", MapValue(external_ids)}}})}};
}
inline nlohmann::json Mutate(const char* table, const Uuid& uuid, nlohmann::json mutations) {
  return {
      {"op", "mutate"}, {"table", table}, {"where", WhereUuid(uuid)}, {"mutations", std::move(mutations)}};
}
inline nlohmann::json Update(const char* table, const Uuid& uuid, nlohmann::json row) {
  return {{"op", "update"}, {"table", table}, {"where", WhereUuid(uuid)}, {"row", std::move(row)}};
}
inline nlohmann::json Insert(const char* table, const std::string& name, nlohmann::json row) {
  return {{"op", "insert"}, {"table", table}, {"uuid-name", name}, {"row", std::move(row)}};
}
// Adds to *mutations what gives `column` of the row called `row` the wanted keys; other keys are not touched.
inline void SetKeys(const std::string& row, const char* column, const StringMap& have, const StringMap& want,
                    nlohmann::json* mutations, PlanResult* out) {
  StringMap changed;
  nlohmann::json keys = nlohmann::json::array();
  for (const auto& [key, value] : want) {
    const auto it = have.find(key);
    if (it != have.end() && it->second == value) continue;
    changed[key] = value;
    keys.push_back(key);
    out->changes.push_back("set " + row + " " + column + ":" + key + "=" + value);
  }
  if (changed.empty()) return;
  // An insert leaves a key that exists as it is.
  mutations->push_back(nlohmann::json::array({column, "delete", SetOf(keys)}));
  mutations->push_back(nlohmann::json::array({column, "insert", MapValue(changed)}));
}
inline nlohmann::json DeleteMarks() {
  const auto keys =
      nlohmann::json::array({std::string(kFabricMark), std::string(kSwitchMark), std::string(kBridgeMark)});
  return nlohmann::json::array({"external_ids", "delete", SetOf(keys)});
}

}  // namespace dyncast::ovsdb
