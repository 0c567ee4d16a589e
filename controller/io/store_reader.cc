#include "controller/io/store_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/io/store_json.h"
#include "controller/io/store_migrate.h"
#include "controller/io/store_sqlite.h"

namespace dyncast {
namespace {

using Json = nlohmann::json;
using store::Database;
using store::Statement;

// A value of a query, bound in the order of the question marks.
struct Value {
  Value(std::string t) : text(std::move(t)), is_text(true) {}  // NOLINT: implicit
  Value(int64_t n) : number(n) {}                              // NOLINT: implicit
  std::string text;
  int64_t number = 0;
  bool is_text = false;
};

struct Query {
  std::string sql;
  std::vector<Value> values;
};

// Columns that hold JSON themselves.
bool HoldsJson(std::string_view column) { return column == "scores" || column == "candidates"; }

Json Cell(const Statement& s, int column) {
  sqlite3_stmt* raw = s.get();
  switch (sqlite3_column_type(raw, column)) {
    case SQLITE_INTEGER: return s.Int(column);
    case SQLITE_FLOAT: return s.Real(column);
    case SQLITE_TEXT: break;
    default: return nullptr;
  }
  const std::string_view text = s.Text(column);
  if (HoldsJson(sqlite3_column_name(raw, column))) {
    Json parsed = Json::parse(text, nullptr, false);
    if (!parsed.is_discarded()) return parsed;
  }
  return std::string(text);
}

Json RowObject(const Statement& s) {
  Json row = Json::object();
  const int columns = sqlite3_column_count(s.get());
  for (int i = 0; i < columns; ++i) row[sqlite3_column_name(s.get(), i)] = Cell(s, i);
  return row;
}

// Addresses are compared as they are stored, whatever way the caller wrote them.
std::string CanonicalAddress(const std::string& text) {
  const Result<IpAddress> address = IpAddress::Parse(text);
  return address.ok() ? address->ToString() : text;
}

// As the views write it.
std::string ProtoText(IpProto proto) {
  const std::string_view name = IpProtoName(proto);
  return name == "?" ? std::to_string(static_cast<int>(proto)) : std::string(name);
}

void AddFilter(const BindingFilter& filter, Query* query) {
  std::string_view glue = " WHERE ";
  const auto add = [&](std::string_view condition, std::vector<Value> values) {
    query->sql.append(glue).append(condition);
    for (Value& v : values) query->values.push_back(std::move(v));
    glue = " AND ";
  };
  if (!filter.client.empty()) add("client = ?", {CanonicalAddress(filter.client)});
  if (!filter.service.empty()) {
    add("(service = ? OR sid = ?)", {filter.service, CanonicalAddress(filter.service)});
  }
  if (!filter.instance.empty()) add("instance = ?", {filter.instance});
  if (!filter.switch_name.empty()) add("switch = ?", {filter.switch_name});
}

void AddLimit(uint32_t limit, uint32_t offset, Query* query) {
  query->sql.append(" LIMIT ? OFFSET ?");
  query->values.emplace_back(static_cast<int64_t>(std::min(limit, StoreReader::kMaxRows)));
  query->values.emplace_back(static_cast<int64_t>(offset));
}

}  // namespace

struct StoreReader::Impl {
  std::string path;
  Database db;

  // Opens anew if the file was restored since; then runs the query.
  Result<Json> Run(const Query& query);
};

Result<Json> StoreReader::Impl::Run(const Query& query) {
  if (!db.is_open() || db.HasMoved()) {
    db.Close();
    Result<Database> opened = store::OpenForReading(path);
    if (!opened.ok()) return opened.error();
    db = std::move(*opened);
  }
  Result<Statement> statement = Statement::Prepare(db, query.sql);
  if (!statement.ok()) return statement.error();
  int index = 1;
  for (const Value& v : query.values) {
    v.is_text ? statement->BindText(index, v.text) : statement->Bind(index, v.number);
    ++index;
  }
  Json rows = Json::array();
  int code = SQLITE_ROW;
  while ((code = statement->Step()) == SQLITE_ROW) rows.push_back(RowObject(*statement));
  if (code != SQLITE_DONE) return db.LastError("reading");
  return rows;
}

StoreReader::StoreReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StoreReader::~StoreReader() = default;

Result<std::unique_ptr<StoreReader>> StoreReader::Open(const std::string& path) {
  Result<Database> db = store::OpenForReading(path);
  if (!db.ok()) return db.error();
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->db = std::move(*db);
  return std::unique_ptr<StoreReader>(new StoreReader(std::move(impl)));
}

Result<Json> StoreReader::ListBindings(const BindingFilter& filter) {
  Query query{.sql = "SELECT * FROM bindings", .values = {}};
  AddFilter(filter, &query);
  // The stored order of the rows: a page costs what it skips and shows, and no sorting.
  query.sql.append(" ORDER BY client");
  AddLimit(filter.limit, filter.offset, &query);
  const std::lock_guard<std::mutex> lock(mutex_);
  return impl_->Run(query);
}

Result<uint64_t> StoreReader::CountBindings(const BindingFilter& filter) {
  Query query{.sql = "SELECT count(*) AS n FROM bindings", .values = {}};
  AddFilter(filter, &query);
  const std::lock_guard<std::mutex> lock(mutex_);
  const Result<Json> rows = impl_->Run(query);
  if (!rows.ok()) return rows.error();
  return rows->at(0).at("n").get<uint64_t>();
}

Result<uint64_t> StoreReader::CountBindings(const std::string& switch_name) {
  BindingFilter filter;
  filter.switch_name = switch_name;
  return CountBindings(filter);
}

Result<Json> StoreReader::History(const BindingFilter& filter) {
  Query query{.sql = "SELECT * FROM binding_history", .values = {}};
  AddFilter(filter, &query);
  query.sql.append(" ORDER BY id DESC");
  AddLimit(filter.limit, filter.offset, &query);
  const std::lock_guard<std::mutex> lock(mutex_);
  return impl_->Run(query);
}

Result<Json> StoreReader::Decisions(const BindingFilter& filter) {
  Query query{.sql = "SELECT * FROM decisions", .values = {}};
  AddFilter(filter, &query);
  query.sql.append(" ORDER BY at DESC");
  AddLimit(filter.limit, filter.offset, &query);
  const std::lock_guard<std::mutex> lock(mutex_);
  return impl_->Run(query);
}

Result<Json> StoreReader::DecisionFor(const BindingKey& key) {
  Query query{.sql =
                  "SELECT * FROM decisions WHERE live = 1 AND client = ? AND "
                  "service = (SELECT name FROM service WHERE id = ?) AND "
                  "switch = (SELECT name FROM switch WHERE id = ?) AND "
                  "coalesce(src_port, 0) = ? AND coalesce(dst_port, 0) = ? AND coalesce(proto, 'any') = ?",
              .values = {}};
  query.values.emplace_back(key.client.ToString());
  query.values.emplace_back(static_cast<int64_t>(key.service.value()));
  query.values.emplace_back(static_cast<int64_t>(key.at.value()));
  query.values.emplace_back(static_cast<int64_t>(key.src_port));
  query.values.emplace_back(static_cast<int64_t>(key.dst_port));
  query.values.emplace_back(ProtoText(key.proto));
  const std::lock_guard<std::mutex> lock(mutex_);
  Result<Json> rows = impl_->Run(query);
  if (!rows.ok()) return rows.error();
  return rows->empty() ? Json(nullptr) : std::move(rows->at(0));
}

Result<Json> StoreReader::DecisionFor(const std::string& client, const std::string& service) {
  BindingFilter filter;
  filter.client = client;
  filter.service = service;
  filter.limit = 1;
  Result<Json> rows = Decisions(filter);
  if (!rows.ok()) return rows.error();
  return rows->empty() ? Json(nullptr) : std::move(rows->at(0));
}

Result<Json> StoreReader::ListEvents(int64_t after_id, uint32_t limit) {
  Query query;
  if (after_id > 0) {
    query.sql = "SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?";
    query.values.emplace_back(after_id);
  } else {
    query.sql = "SELECT * FROM (SELECT * FROM events ORDER BY id DESC LIMIT ?) ORDER BY id";
  }
  query.values.emplace_back(static_cast<int64_t>(std::min(limit, kMaxRows)));
  const std::lock_guard<std::mutex> lock(mutex_);
  return impl_->Run(query);
}

}  // namespace dyncast
