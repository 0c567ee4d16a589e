#include "tests/unit/ovsdb/fake_ovsdb.h"

#include <fmt/core.h>

#include <set>
#include <stdexcept>

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;

json EmptySet() { return json::array({"set", json::array()}); }
json EmptyMap() { return json::array({"map", json::array()}); }

json Blank(const std::string& table) {
  if (table == "Open_vSwitch")
    return {{"ovs_version", EmptySet()}, {"bridges", EmptySet()}, {"datapaths", EmptyMap()}};
  if (table == "Bridge") {
    return {{"name", ""},
            {"datapath_type", ""},
            {"fail_mode", EmptySet()},
            {"ports", EmptySet()},
            {"controller", EmptySet()},
            {"protocols", EmptySet()},
            {"flow_tables", EmptyMap()},
            {"other_config", EmptyMap()},
            {"external_ids", EmptyMap()}};
  }
  if (table == "Port") return {{"name", ""}, {"interfaces", EmptySet()}, {"external_ids", EmptyMap()}};
  if (table == "Interface") {
    return {
        {"name", ""}, {"type", ""}, {"ofport", EmptySet()}, {"error", EmptySet()}, {"options", EmptyMap()}};
  }
  if (table == "Controller") {
    return {{"target", ""},
            {"connection_mode", EmptySet()},
            {"max_backoff", EmptySet()},
            {"inactivity_probe", EmptySet()},
            {"external_ids", EmptyMap()}};
  }
  if (table == "Datapath") return {{"ct_zones", EmptyMap()}, {"external_ids", EmptyMap()}};
  if (table == "CT_Zone") return {{"timeout_policy", EmptySet()}, {"external_ids", EmptyMap()}};
  if (table == "CT_Timeout_Policy") return {{"timeouts", EmptyMap()}, {"external_ids", EmptyMap()}};
  if (table == "Flow_Table") {
    return {{"flow_limit", EmptySet()}, {"overflow_policy", EmptySet()}, {"external_ids", EmptyMap()}};
  }
  throw std::runtime_error("no table " + table);
}

bool IsWrapped(const json& value) {
  return value.is_array() && value.size() == 2 && (value[0] == "set" || value[0] == "map");
}

// The elements of a set value in either form, with named UUIDs resolved.
json Elements(const json& value, const std::map<std::string, std::string>& names) {
  json elements = IsWrapped(value) ? value[1] : json::array({value});
  const auto resolve = [&](json& atom) {
    if (atom.is_array() && atom.size() == 2 && atom[0] == "named-uuid") {
      atom = json::array({"uuid", names.at(atom[1].get<std::string>())});
    }
  };
  const bool map = IsWrapped(value) && value[0] == "map";
  for (json& element : elements) resolve(map ? element[1] : element);
  return elements;
}

std::string Mutate(json* column, const std::string& mutator, const json& value,
                   const std::map<std::string, std::string>& names) {
  json& have = (*column)[1];
  const bool map = (*column)[0] == "map";
  for (const json& element : Elements(value, names)) {
    json kept = json::array();
    bool present = false;
    for (const json& old : have) {
      // A map's element goes by key alone, or by key and value.
      const bool same = map ? old[0] == (element.is_array() ? element[0] : element) : old == element;
      present = present || same;
      if (!same || mutator == "insert") kept.push_back(old);
    }
    if (mutator == "insert" && !present) kept.push_back(element);
    if (mutator != "insert" && mutator != "delete") return "unknown mutator " + mutator;
    have = kept;
  }
  return {};
}

}  // namespace

json MapJson(const StringMap& map) {
  json pairs = json::array();
  for (const auto& [key, value] : map) pairs.push_back(json::array({key, value}));
  return json::array({"map", pairs});
}

FakeOvsdb::FakeOvsdb() {
  for (const char* table : {"Open_vSwitch", "Bridge", "Port", "Interface", "Controller", "Datapath",
                            "CT_Zone", "CT_Timeout_Policy", "Flow_Table"}) {
    rows[table];
  }
  root = NewUuid();
  rows["Open_vSwitch"][root] = Blank("Open_vSwitch");
}

std::string FakeOvsdb::NewUuid() { return fmt::format("00000000-0000-0000-0000-{:012x}", next_++); }

std::string FakeOvsdb::AddInterface(const std::string& name, int64_t ofport) {
  const std::string uuid = NewUuid();
  json row = Blank("Interface");
  row["name"] = name;
  row["ofport"] = ofport;
  rows["Interface"][uuid] = row;
  return uuid;
}

std::string FakeOvsdb::AddPort(const std::string& name, const std::string& interface,
                               const StringMap& external_ids) {
  const std::string uuid = NewUuid();
  json row = Blank("Port");
  row["name"] = name;
  row["external_ids"] = MapJson(external_ids);
  rows["Port"][uuid] = row;
  AddTo("Port", uuid, "interfaces", json::array({"uuid", interface}));
  return uuid;
}

std::string FakeOvsdb::AddBridge(const std::string& name, const StringMap& external_ids) {
  const std::string uuid = NewUuid();
  json row = Blank("Bridge");
  row["name"] = name;
  row["external_ids"] = MapJson(external_ids);
  rows["Bridge"][uuid] = row;
  AddTo("Open_vSwitch", root, "bridges", json::array({"uuid", uuid}));
  const std::string port = AddPort(name, AddInterface(name, 65534), {});
  AddTo("Bridge", uuid, "ports", json::array({"uuid", port}));
  return uuid;
}

std::string FakeOvsdb::AddDatapath(const std::string& type) {
  const std::string uuid = NewUuid();
  rows["Datapath"][uuid] = Blank("Datapath");
  AddTo("Open_vSwitch", root, "datapaths", json::array({type, json::array({"uuid", uuid})}));
  return uuid;
}

std::string FakeOvsdb::AddZone(const std::string& datapath, int zone, const StringMap& external_ids) {
  const std::string policy = NewUuid();
  rows["CT_Timeout_Policy"][policy] = Blank("CT_Timeout_Policy");
  rows["CT_Timeout_Policy"][policy]["timeouts"] = json::parse(R"(["map", [["udp_first", 7]]])");
  const std::string uuid = NewUuid();
  rows["CT_Zone"][uuid] = Blank("CT_Zone");
  rows["CT_Zone"][uuid]["external_ids"] = MapJson(external_ids);
  AddTo("CT_Zone", uuid, "timeout_policy", json::array({"uuid", policy}));
  AddTo("Datapath", datapath, "ct_zones", json::array({zone, json::array({"uuid", uuid})}));
  return uuid;
}

std::string FakeOvsdb::AddFlowTable(const std::string& bridge, int table, const StringMap& external_ids) {
  const std::string uuid = NewUuid();
  rows["Flow_Table"][uuid] = Blank("Flow_Table");
  rows["Flow_Table"][uuid]["external_ids"] = MapJson(external_ids);
  rows["Flow_Table"][uuid]["flow_limit"] = json::array({"set", json::array({9})});
  AddTo("Bridge", bridge, "flow_tables", json::array({table, json::array({"uuid", uuid})}));
  return uuid;
}

void FakeOvsdb::AddTo(const std::string& table, const std::string& uuid, const std::string& column,
                      const json& value) {
  rows.at(table).at(uuid).at(column)[1].push_back(value);
}

std::string FakeOvsdb::Execute(const json& operation, std::map<std::string, std::string>* names) {
  const std::string op = operation.at("op");
  auto& table = rows.at(operation.at("table").get<std::string>());
  const auto put = [&](json* row, const json& columns) {
    for (const auto& [column, value] : columns.items()) {
      json& cell = row->at(column);
      cell = IsWrapped(cell) ? json::array({cell[0], Elements(value, *names)}) : value;
    }
  };
  if (op == "insert") {
    json row = Blank(operation.at("table"));
    put(&row, operation.at("row"));
    const std::string name = operation.at("uuid-name");
    table[names->at(name)] = row;
    return {};
  }
  for (auto& [uuid, row] : table) {
    bool match = true;
    for (const json& clause : operation.at("where")) {
      if (clause[1] != "==") return "unknown function";
      match = match && (clause[0] == "_uuid" ? clause[2] == json::array({"uuid", uuid})
                                             : row.at(clause[0].get<std::string>()) == clause[2]);
    }
    if (!match) continue;
    if (op == "update") {
      put(&row, operation.at("row"));
    } else if (op == "mutate") {
      for (const json& mutation : operation.at("mutations")) {
        const std::string error =
            Mutate(&row.at(mutation[0].get<std::string>()), mutation[1], mutation[2], *names);
        if (!error.empty()) return error;
      }
    } else if (op == "wait") {
      for (const auto& [column, value] : operation.at("rows")[0].items()) {
        const json& cell = row.at(column)[1];
        if (std::set<json>(cell.begin(), cell.end()) != std::set<json>(value[1].begin(), value[1].end())) {
          return "timed out";
        }
      }
    } else {
      return "unknown operation " + op;
    }
    return {};
  }
  return op == "wait" ? "timed out" : "";
}

std::string FakeOvsdb::Check() const {
  for (const char* table : {"Bridge", "Port", "Interface"}) {
    std::set<std::string> names;
    for (const auto& [uuid, row] : rows.at(table)) {
      if (!names.insert(row.at("name")).second) return "constraint violation: two rows of the same name";
    }
  }
  return {};
}

void FakeOvsdb::CollectGarbage() {
  static const std::vector<std::vector<const char*>> kReferences = {
      {"Open_vSwitch", "bridges", "Bridge"},   {"Bridge", "ports", "Port"},
      {"Bridge", "controller", "Controller"},  {"Port", "interfaces", "Interface"},
      {"Bridge", "flow_tables", "Flow_Table"}, {"Open_vSwitch", "datapaths", "Datapath"},
      {"Datapath", "ct_zones", "CT_Zone"},     {"CT_Zone", "timeout_policy", "CT_Timeout_Policy"}};
  for (const auto& reference : kReferences) {
    std::set<std::string> used;
    for (const auto& [uuid, row] : rows.at(reference[0])) {
      const json& cell = row.at(reference[1]);
      for (const json& element : cell[1]) {
        used.insert((cell[0] == "map" ? element[1] : element)[1].get<std::string>());
      }
    }
    std::erase_if(rows.at(reference[2]), [&](const auto& entry) { return !used.contains(entry.first); });
  }
}

std::string FakeOvsdb::Transact(const json& operations) {
  const Rows before = rows;
  std::map<std::string, std::string> names;
  for (const json& operation : operations) {
    if (operation.at("op") == "insert") names[operation.at("uuid-name")] = NewUuid();
  }
  std::string error;
  for (const json& operation : operations) {
    error = Execute(operation, &names);
    if (!error.empty()) break;
  }
  CollectGarbage();
  if (error.empty()) error = Check();
  if (!error.empty()) rows = before;
  return error;
}

Database FakeOvsdb::Cache() const {
  json updates = json::object();
  const json columns = MonitorRequests();
  for (const auto& [table, contents] : rows) {
    for (const auto& [uuid, row] : contents) {
      json monitored = json::object();
      for (const json& column : columns.at(table)[0].at("columns")) {
        monitored[column.get<std::string>()] = row.at(column.get<std::string>());
      }
      updates[table][uuid]["new"] = monitored;
    }
  }
  Database db;
  const Status applied = Apply(updates, &db);
  if (!applied.ok()) throw std::runtime_error(applied.error().ToString());
  return db;
}

}  // namespace dyncast::ovsdb
