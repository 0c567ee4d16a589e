// SQLite as values: a connection, a prepared statement, a transaction. Not thread-safe: one thread at a
// time uses a connection and its statements. Nothing here throws.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace dyncast::store {

// Owns a connection.
class Database {
 public:
  Database() = default;

  // `flags`: SQLITE_OPEN_*. Errors name the file.
  static Result<Database> Open(const std::string& path, int flags);

  sqlite3* raw() const { return db_.get(); }
  const std::string& path() const { return path_; }
  bool is_open() const { return db_ != nullptr; }
  void Close() { db_.reset(); }

  // Runs SQL without results; several statements are allowed.
  Status Execute(const char* sql);
  // The first column of the first row, for PRAGMAs and counts.
  Result<int64_t> QueryInt(const char* sql);
  int64_t changes() const { return sqlite3_changes64(db_.get()); }

  // The last error of this connection as an Error: kUnavailable if locked, kLimit if full, else kIo.
  Error LastError(std::string_view doing) const;
  // True if the path no longer names the file that is open.
  bool HasMoved() const;
  // Forces what was committed to the disk: in WAL mode with synchronous=NORMAL a commit alone does not.
  Status SyncLog();

 private:
  struct Closer {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Closer> db_;
};

// Owns a prepared statement; the connection must outlive it. Bound text is not copied: it must live until
// the statement is reset. Binding a column that does not exist is a programming error that Step reports.
class Statement {
 public:
  Statement() = default;
  // A long-lived statement, kept by the planner's cache rules for such.
  static Result<Statement> Prepare(const Database& db, std::string_view sql);

  void Bind(int index, int64_t value) { sqlite3_bind_int64(get(), index, value); }
  void BindReal(int index, double value) { sqlite3_bind_double(get(), index, value); }
  void BindText(int index, std::string_view text) {
    sqlite3_bind_text(get(), index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  void BindNull(int index) { sqlite3_bind_null(get(), index); }
  void BindOptional(int index, const std::optional<double>& value) {
    value ? BindReal(index, *value) : BindNull(index);
  }
  void BindOptional(int index, const std::optional<int64_t>& value) {
    value ? Bind(index, *value) : BindNull(index);
  }

  // SQLITE_ROW, SQLITE_DONE or an error's code.
  int Step() { return sqlite3_step(get()); }
  void Reset() { sqlite3_reset(get()); }
  // Step to the end and reset; true if done without an error.
  bool Run() {
    const int code = sqlite3_step(get());
    sqlite3_reset(get());
    return code == SQLITE_DONE || code == SQLITE_ROW;
  }

  int64_t Int(int column) const { return sqlite3_column_int64(get(), column); }
  double Real(int column) const { return sqlite3_column_double(get(), column); }
  bool IsNull(int column) const { return sqlite3_column_type(get(), column) == SQLITE_NULL; }
  // Valid until the next Step or Reset.
  std::string_view Text(int column) const;
  sqlite3_stmt* get() const { return statement_.get(); }

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// The settings of every connection that writes: docs/database.md says why each.
Status ApplyWriterPragmas(Database* db);

}  // namespace dyncast::store
