#include "controller/io/store_load.h"

#include <limits>
#include <utility>

namespace dyncast::store {
namespace {

// Reads the columns of one row; remembers the first value that breaks a rule.
class Row {
 public:
  Row(const Statement* statement, const Database* db, const char* table)
      : statement_(statement), db_(db), table_(table) {}

  template <typename T>
  T Number(int column, int64_t max = std::numeric_limits<T>::max()) {
    const int64_t value = statement_->Int(column);
    if (value < 0 || value > max)
      Refuse(column, std::to_string(value), "a number from 0 to " + std::to_string(max));
    return static_cast<T>(value);
  }
  IpAddress Address(int column) {
    const std::string text(statement_->Text(column));
    Result<IpAddress> address = IpAddress::Parse(text);
    if (!address.ok()) {
      Refuse(column, text, "an IP address");
      return {};
    }
    return *address;
  }
  std::optional<IpAddress> OptionalAddress(int column) {
    if (statement_->IsNull(column)) return std::nullopt;
    return Address(column);
  }
  std::optional<WallTime> OptionalTime(int column) {
    if (statement_->IsNull(column)) return std::nullopt;
    return FromUnixMicros(Number<int64_t>(column));
  }
  std::optional<double> OptionalReal(int column) {
    if (statement_->IsNull(column)) return std::nullopt;
    return statement_->Real(column);
  }
  std::string Text(int column) { return std::string(statement_->Text(column)); }

  bool ok() const { return !error_.has_value(); }
  const Error& error() const { return *error_; }

 private:
  void Refuse(int column, const std::string& value, const std::string& rule) {
    if (error_) return;
    error_ = MakeError(Errc::kParse,
                       "table " + std::string(table_) + ", column " +
                           sqlite3_column_name(statement_->get(), column) + ": '" + value.substr(0, 64) +
                           "' is not " + rule,
                       db_->path());
  }
  const Statement* statement_;
  const Database* db_;
  const char* table_;
  std::optional<Error> error_;
};

template <typename Fn>
Status ForEach(Database* db, const char* table, const char* sql, Fn&& fn) {
  Result<Statement> statement = Statement::Prepare(*db, sql);
  if (!statement.ok()) return statement.error();
  int code = SQLITE_ROW;
  while ((code = statement->Step()) == SQLITE_ROW) {
    Row row(&*statement, db, table);
    fn(&row);
    if (!row.ok()) return row.error();
  }
  if (code != SQLITE_DONE) return db->LastError("reading table " + std::string(table));
  return Ok();
}

BindingKey ReadKey(Row* row) {
  BindingKey key;
  key.client = row->Address(0);
  key.service = ServiceId(row->Number<uint16_t>(1));
  key.at = SwitchId(row->Number<uint16_t>(2));
  key.src_port = row->Number<uint16_t>(3);
  key.dst_port = row->Number<uint16_t>(4);
  key.proto = static_cast<IpProto>(row->Number<uint8_t>(5));
  return key;
}

constexpr const char* kSelectBindings =
    "SELECT client, service_id, switch_id, src_port, dst_port, proto, instance_id FROM binding";

Status LoadRows(Database* db, PersistedState* out) {
  Status status = ForEach(db, "switch", "SELECT id, name, role FROM switch ORDER BY id", [&](Row* row) {
    SwitchRecord r;
    r.id = SwitchId(row->Number<uint16_t>(0));
    r.name = row->Text(1);
    r.role = row->Text(2) == SwitchRoleName(SwitchRole::kDForwarder) ? SwitchRole::kDForwarder
                                                                     : SwitchRole::kDRouter;
    out->switches.push_back(std::move(r));
  });
  if (!status.ok()) return status;
  status = ForEach(db, "service", "SELECT id, name, sid_v4, sid_v6, removed FROM service ORDER BY id",
                   [&](Row* row) {
                     ServiceRecord r;
                     r.id = ServiceId(row->Number<uint16_t>(0));
                     r.name = row->Text(1);
                     r.sid_v4 = row->OptionalAddress(2);
                     r.sid_v6 = row->OptionalAddress(3);
                     r.removed = row->Number<uint8_t>(4, 1) != 0;
                     out->services.push_back(std::move(r));
                   });
  if (!status.ok()) return status;
  status = ForEach(
      db, "instance",
      "SELECT id, name, service_id, bid, agent, cpu_cores, memory_bytes, gpus, max_sessions, "
      "requests_per_s, state, reason, drained_by_operator, changed_at_us, drain_until_us FROM instance "
      "ORDER BY id",
      [&](Row* row) {
        InstanceRecord r;
        r.id = InstanceId(row->Number<uint16_t>(0));
        r.name = row->Text(1);
        r.service = ServiceId(row->Number<uint16_t>(2));
        r.bid = row->Address(3);
        r.agent = row->Text(4);
        r.capacity.cpu_cores = row->OptionalReal(5);
        r.capacity.memory_bytes = row->OptionalReal(6);
        r.capacity.gpus = row->OptionalReal(7);
        r.capacity.max_sessions = row->OptionalReal(8);
        r.capacity.requests_per_s = row->OptionalReal(9);
        r.state = static_cast<InstanceState>(row->Number<uint8_t>(10, 2));
        r.reason = row->Text(11);
        r.drained_by_operator = row->Number<uint8_t>(12, 1) != 0;
        r.changed_at = FromUnixMicros(row->Number<int64_t>(13));
        r.drain_until = row->OptionalTime(14);
        out->instances.push_back(std::move(r));
      });
  if (!status.ok()) return status;
  return ForEach(db, "binding", kSelectBindings, [&](Row* row) {
    PersistedBinding b;
    b.key = ReadKey(row);
    b.instance = InstanceId(row->Number<uint16_t>(6));
    out->bindings.push_back(b);
  });
}

}  // namespace

Result<PersistedState> LoadState(Database* db) {
  PersistedState out;
  if (Status begun = db->Execute("BEGIN"); !begun.ok()) return begun.error();
  Status loaded = LoadRows(db, &out);
  (void)db->Execute("COMMIT");
  if (!loaded.ok()) return loaded.error();
  return out;
}

Status LoadKeys(Database* db, KnownKeys* keys) {
  return ForEach(db, "binding", kSelectBindings, [&](Row* row) { keys->Insert(HashOf(ReadKey(row))); });
}

}  // namespace dyncast::store
