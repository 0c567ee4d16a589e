// Carries out the operations of a plan on plain JSON rows, as an OVSDB server would (RFC 7047 section
// 5.2): insert, update, mutate of sets and maps by insert and delete, and wait with a timeout of 0.
// Enforces the unique names and drops rows that nothing refers to.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "ovs-integration/ovsdb/rows.h"

namespace dyncast::ovsdb {

class FakeOvsdb {
 public:
  FakeOvsdb();
  // {"Bridge": {UUID: {column: value, ...}}, ...}; values always in their wrapped form.
  using Rows = std::map<std::string, std::map<std::string, nlohmann::json>>;
  Rows rows;
  std::string root;

  std::string NewUuid();
  std::string AddInterface(const std::string& name, int64_t ofport);
  std::string AddPort(const std::string& name, const std::string& interface, const StringMap& external_ids);
  std::string AddBridge(const std::string& name, const StringMap& external_ids);
  std::string AddDatapath(const std::string& type);
  // With a policy of one timeout.
  std::string AddZone(const std::string& datapath, int zone, const StringMap& external_ids);
  std::string AddFlowTable(const std::string& bridge, int table, const StringMap& external_ids);
  // ADDs `value` (["uuid", X] for a reference) to a set column.
  void AddTo(const std::string& table, const std::string& uuid, const std::string& column,
             const nlohmann::json& value);

  // "" when the transaction was committed, else the error; the rows are then as before.
  std::string Transact(const nlohmann::json& operations);
  Database Cache() const;

 private:
  std::string Execute(const nlohmann::json& operation, std::map<std::string, std::string>* names);
  std::string Check() const;
  void CollectGarbage();
  uint64_t next_ = 1;
};

nlohmann::json MapJson(const StringMap& map);

}  // namespace dyncast::ovsdb
