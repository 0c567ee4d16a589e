#include "ovs-integration/ovsdb/rows.h"

#include <fmt/core.h>

#include <functional>
#include <utility>
#include <vector>

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;

// Values of a peer are quoted in errors, but not at any length.
std::string Quote(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return true;
}

// A tagged value, ["set", [...]], ["map", [...]] or ["uuid", "..."] (RFC 7047 section 5.1).
bool IsTagged(const json& value, const char* tag) {
  return value.is_array() && value.size() == 2 && value[0].is_string() &&
         value[0].get_ref<const std::string&>() == tag;
}

// One row's columns, read in turn; the first fault is kept, and later reads return nothing.
class RowReader {
 public:
  RowReader(std::string_view table, std::string_view uuid, const json& row)
      : table_(table), uuid_(uuid), row_(row) {}

  std::string String(const char* column) {
    const json* value = Column(column);
    if (value == nullptr) return {};
    if (!value->is_string()) {
      Fail(column, *value, "a string");
      return {};
    }
    return value->get<std::string>();
  }

  std::string OptionalString(const char* column) {
    std::string found;
    size_t n = 0;
    ForEach(column, [&](const json& element) {
      if (!element.is_string() || ++n > 1) return false;
      found = element.get<std::string>();
      return true;
    });
    return found;
  }

  std::optional<int64_t> OptionalInteger(const char* column) {
    std::optional<int64_t> found;
    ForEach(column, [&](const json& element) {
      if (!element.is_number_integer() || found) return false;
      if (element.is_number_unsigned() && element.get<uint64_t>() > INT64_MAX) return false;
      found = element.get<int64_t>();
      return true;
    });
    return found;
  }

  std::set<std::string> StringSet(const char* column) {
    std::set<std::string> found;
    ForEach(column, [&](const json& element) {
      return element.is_string() && found.insert(element.get<std::string>()).second;
    });
    return found;
  }

  std::set<Uuid> UuidSet(const char* column) {
    std::set<Uuid> found;
    ForEach(column, [&](const json& element) {
      return IsReference(element) && found.insert(element[1].get<std::string>()).second;
    });
    return found;
  }

  StringMap Map(const char* column) {
    StringMap found;
    Pairs(column, "a map of strings", [&](const json& key, const json& value) {
      return key.is_string() && value.is_string() &&
             found.emplace(key.get<std::string>(), value.get<std::string>()).second;
    });
    return found;
  }

  IntegerMap Integers(const char* column) {
    IntegerMap found;
    Pairs(column, "a map of integers", [&](const json& key, const json& value) {
      const bool good = key.is_string() && value.is_number_integer() &&
                        !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
      return good && found.emplace(key.get<std::string>(), value.get<int64_t>()).second;
    });
    return found;
  }

  UuidByNumber UuidsByNumber(const char* column) {
    UuidByNumber found;
    Pairs(column, "a map of integers to rows", [&](const json& key, const json& value) {
      const bool good = key.is_number_integer() &&
                        !(key.is_number_unsigned() && key.get<uint64_t>() > INT64_MAX) && IsReference(value);
      return good && found.emplace(key.get<int64_t>(), value[1].get<std::string>()).second;
    });
    return found;
  }

  std::map<std::string, Uuid> UuidsByName(const char* column) {
    std::map<std::string, Uuid> found;
    Pairs(column, "a map of strings to rows", [&](const json& key, const json& value) {
      return key.is_string() && IsReference(value) &&
             found.emplace(key.get<std::string>(), value[1].get<std::string>()).second;
    });
    return found;
  }

  // "" for none.
  Uuid OptionalUuid(const char* column) {
    Uuid found;
    ForEach(column, [&](const json& element) {
      if (!IsReference(element) || !found.empty()) return false;
      found = element[1].get<std::string>();
      return true;
    });
    return found;
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  const json* Column(const char* column) {
    if (error_) return nullptr;
    const auto it = row_.find(column);
    if (it == row_.end()) {
      error_ =
          MakeError(Errc::kProtocol, fmt::format("table {} row {} lacks column {}", table_, uuid_, column));
      return nullptr;
    }
    return &*it;
  }

  // A set of one may stand without its wrapping. `accept` says whether an element is what it should be.
  void ForEach(const char* column, const std::function<bool(const json&)>& accept) {
    const json* value = Column(column);
    if (value == nullptr) return;
    if (!IsTagged(*value, "set")) {
      if (!accept(*value)) Fail(column, *value, "a set of the column's type");
      return;
    }
    if (!(*value)[1].is_array()) return Fail(column, *value, "a set");
    for (const json& element : (*value)[1]) {
      if (!accept(element)) return Fail(column, *value, "a set of the column's type");
    }
  }

  static bool IsReference(const json& value) {
    return IsTagged(value, "uuid") && value[1].is_string() && IsUuid(value[1].get_ref<const std::string&>());
  }

  // `accept` says whether key and value are what they should be.
  void Pairs(const char* column, const char* rule,
             const std::function<bool(const json&, const json&)>& accept) {
    const json* value = Column(column);
    if (value == nullptr) return;
    bool good = IsTagged(*value, "map") && (*value)[1].is_array();
    if (good) {
      for (const json& pair : (*value)[1]) {
        good = pair.is_array() && pair.size() == 2 && accept(pair[0], pair[1]);
        if (!good) break;
      }
    }
    if (!good) Fail(column, *value, rule);
  }

  void Fail(const char* column, const json& value, const char* rule) {
    if (error_) return;
    error_ = MakeError(Errc::kProtocol, fmt::format("table {} row {} column {}: {} is not {}", table_, uuid_,
                                                    column, Quote(value), rule));
  }

  std::string_view table_;
  std::string_view uuid_;
  const json& row_;
  std::optional<Error> error_;
};

using Commit = std::function<void(Database*)>;

template <typename Row>
Commit Put(std::map<Uuid, Row> Database::*table, const Uuid& uuid, Row row) {
  return [table, uuid, row = std::move(row)](Database* db) { (db->*table)[uuid] = row; };
}

// How one table is read: what to do with a new row, and with a row that is gone.
struct Table {
  const char* name;
  std::vector<const char*> columns;
  Commit (*read)(const Uuid&, RowReader*);
  bool (*has)(const Database&, const Uuid&);
  void (*erase)(Database*, const Uuid&);
};

const std::vector<Table>& Tables() {
  static const std::vector<Table> kTables = {
      {"Open_vSwitch",
       {"ovs_version", "datapaths"},
       [](const Uuid& uuid, RowReader* in) -> Commit {
         return [uuid, datapaths = in->UuidsByName("datapaths")](Database* db) {
           db->roots.insert(uuid);
           db->datapaths_by_type = datapaths;
         };
       },
       [](const Database& db, const Uuid& uuid) { return db.roots.contains(uuid); },
       [](Database* db, const Uuid& uuid) {
         db->roots.erase(uuid);
         db->datapaths_by_type.clear();
       }},
      {"Bridge",
       {"name", "datapath_type", "fail_mode", "protocols", "ports", "controller", "flow_tables",
        "other_config", "external_ids"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(&Database::bridges, uuid,
                    BridgeRow{.name = in->String("name"),
                              .datapath_type = in->String("datapath_type"),
                              .fail_mode = in->OptionalString("fail_mode"),
                              .protocols = in->StringSet("protocols"),
                              .ports = in->UuidSet("ports"),
                              .controllers = in->UuidSet("controller"),
                              .flow_tables = in->UuidsByNumber("flow_tables"),
                              .other_config = in->Map("other_config"),
                              .external_ids = in->Map("external_ids")});
       },
       [](const Database& db, const Uuid& uuid) { return db.bridges.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->bridges.erase(uuid); }},
      {"Port",
       {"name", "interfaces", "external_ids"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(&Database::ports, uuid,
                    PortRow{.name = in->String("name"),
                            .interfaces = in->UuidSet("interfaces"),
                            .external_ids = in->Map("external_ids")});
       },
       [](const Database& db, const Uuid& uuid) { return db.ports.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->ports.erase(uuid); }},
      {"Interface",
       {"name", "type", "ofport", "error", "options"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(&Database::interfaces, uuid,
                    InterfaceRow{.name = in->String("name"),
                                 .type = in->String("type"),
                                 .ofport = in->OptionalInteger("ofport"),
                                 .error = in->OptionalString("error"),
                                 .options = in->Map("options")});
       },
       [](const Database& db, const Uuid& uuid) { return db.interfaces.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->interfaces.erase(uuid); }},
      {"Controller",
       {"target", "connection_mode", "max_backoff", "inactivity_probe", "external_ids"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(&Database::controllers, uuid,
                    ControllerRow{.target = in->String("target"),
                                  .connection_mode = in->OptionalString("connection_mode"),
                                  .max_backoff = in->OptionalInteger("max_backoff"),
                                  .inactivity_probe = in->OptionalInteger("inactivity_probe"),
                                  .external_ids = in->Map("external_ids")});
       },
       [](const Database& db, const Uuid& uuid) { return db.controllers.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->controllers.erase(uuid); }},
      {"Datapath",
       {"ct_zones", "external_ids"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(
             &Database::datapaths, uuid,
             DatapathRow{.ct_zones = in->UuidsByNumber("ct_zones"), .external_ids = in->Map("external_ids")});
       },
       [](const Database& db, const Uuid& uuid) { return db.datapaths.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->datapaths.erase(uuid); }},
      {"CT_Zone",
       {"timeout_policy", "external_ids"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(&Database::ct_zones, uuid,
                    CtZoneRow{.timeout_policy = in->OptionalUuid("timeout_policy"),
                              .external_ids = in->Map("external_ids")});
       },
       [](const Database& db, const Uuid& uuid) { return db.ct_zones.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->ct_zones.erase(uuid); }},
      {"CT_Timeout_Policy",
       {"timeouts"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(&Database::ct_timeout_policies, uuid,
                    CtTimeoutPolicyRow{.timeouts = in->Integers("timeouts")});
       },
       [](const Database& db, const Uuid& uuid) { return db.ct_timeout_policies.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->ct_timeout_policies.erase(uuid); }},
      {"Flow_Table",
       {"flow_limit", "overflow_policy", "external_ids"},
       [](const Uuid& uuid, RowReader* in) {
         return Put(&Database::flow_tables, uuid,
                    FlowTableRow{.flow_limit = in->OptionalInteger("flow_limit"),
                                 .overflow_policy = in->OptionalString("overflow_policy"),
                                 .external_ids = in->Map("external_ids")});
       },
       [](const Database& db, const Uuid& uuid) { return db.flow_tables.contains(uuid); },
       [](Database* db, const Uuid& uuid) { db->flow_tables.erase(uuid); }},
  };
  return kTables;
}

Result<Commit> ReadRow(const Table& table, const Uuid& uuid, const json& update, const Database& db) {
  const auto fail = [&](const char* rule) {
    return MakeError(Errc::kProtocol, fmt::format("table {} row {}: {} {}", table.name, Quote(json(uuid)),
                                                  Quote(update), rule));
  };
  if (!IsUuid(uuid)) return fail("has no UUID as its name");
  if (!update.is_object()) return fail("is not a row update");
  const auto row = update.find("new");
  if (row == update.end()) {
    if (!update.contains("old")) return fail("has neither 'old' nor 'new'");
    if (!table.has(db, uuid)) return fail("removes a row that was never there");
    return Commit([&table, uuid](Database* target) { table.erase(target, uuid); });
  }
  if (!row->is_object()) return fail("has a 'new' that is not a row");
  RowReader reader(table.name, uuid, *row);
  Commit commit = table.read(uuid, &reader);
  if (reader.error()) return *reader.error();
  return commit;
}

}  // namespace

size_t Database::Rows() const {
  return roots.size() + bridges.size() + ports.size() + interfaces.size() + controllers.size() +
         datapaths.size() + ct_zones.size() + ct_timeout_policies.size() + flow_tables.size();
}

json MonitorRequests() {
  json requests = json::object();
  for (const Table& table : Tables()) {
    requests[table.name] = json::array({{{"columns", table.columns}}});
  }
  return requests;
}

Status Apply(const json& updates, Database* db) {
  if (!updates.is_object()) {
    return MakeError(Errc::kProtocol, fmt::format("{} is not a set of table updates", Quote(updates)));
  }
  std::vector<Commit> commits;
  for (const auto& [name, rows] : updates.items()) {
    const Table* found = nullptr;
    for (const Table& table : Tables()) {
      if (name == table.name) found = &table;
    }
    if (found == nullptr || !rows.is_object()) {
      return MakeError(Errc::kProtocol,
                       fmt::format("update of table {}: {}", Quote(json(name)),
                                   found == nullptr ? "it was not asked for" : "its rows are no object"));
    }
    for (const auto& [uuid, update] : rows.items()) {
      Result<Commit> commit = ReadRow(*found, uuid, update, *db);
      if (!commit.ok()) return commit.error();
      commits.push_back(std::move(*commit));
    }
  }
  if (db->Rows() + commits.size() > kMaxRows) {
    return MakeError(Errc::kLimit, fmt::format("the database holds more than {} rows", kMaxRows));
  }
  for (const Commit& commit : commits) commit(db);
  return Ok();
}

}  // namespace dyncast::ovsdb
