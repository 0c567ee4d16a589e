#include "controller/io/store_sqlite.h"

#include <utility>

namespace dyncast::store {

Result<Database> Database::Open(const std::string& path, int flags) {
  Database db;
  db.path_ = path;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  db.db_.reset(raw);
  if (code != SQLITE_OK) {
    std::string why = raw != nullptr ? sqlite3_errmsg(raw) : "out of memory";
    return MakeError(Errc::kIo, "cannot open the database: " + why, path);
  }
  sqlite3_extended_result_codes(raw, 1);
  return db;
}

Status Database::Execute(const char* sql) {
  char* message = nullptr;
  const int code = sqlite3_exec(raw(), sql, nullptr, nullptr, &message);
  sqlite3_free(message);
  if (code != SQLITE_OK) return LastError(std::string_view(sql).substr(0, 60));
  return Ok();
}

Result<int64_t> Database::QueryInt(const char* sql) {
  Result<Statement> statement = Statement::Prepare(*this, sql);
  if (!statement.ok()) return statement.error();
  if (statement->Step() != SQLITE_ROW) return LastError(sql);
  return statement->Int(0);
}

Error Database::LastError(std::string_view doing) const {
  const int code = sqlite3_extended_errcode(raw());
  Errc errc = Errc::kIo;
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: errc = Errc::kUnavailable; break;
    case SQLITE_FULL: errc = Errc::kLimit; break;
    default: break;
  }
  return MakeError(errc,
                   std::string(doing) + ": " + sqlite3_errmsg(raw()) + " (SQLite result code " +
                       std::to_string(code) + ")",
                   path_);
}

bool Database::HasMoved() const {
  int moved = 0;
  const int code = sqlite3_file_control(raw(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

Status Database::SyncLog() {
  sqlite3_file* log = nullptr;
  if (sqlite3_file_control(raw(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK) {
    return LastError("finding the write-ahead log");
  }
  // Without a log nothing was committed since the last checkpoint, which syncs by itself.
  if (log == nullptr || log->pMethods == nullptr) return Ok();
  const int code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (code != SQLITE_OK) {
    return MakeError(Errc::kIo, std::string("syncing the write-ahead log: ") + sqlite3_errstr(code), path_);
  }
  return Ok();
}

Result<Statement> Statement::Prepare(const Database& db, std::string_view sql) {
  Statement out;
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(db.raw(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  out.statement_.reset(raw);
  if (code != SQLITE_OK) return db.LastError("preparing a statement");
  return out;
}

std::string_view Statement::Text(int column) const {
  const void* text = sqlite3_column_text(get(), column);
  if (text == nullptr) return {};
  return {static_cast<const char*>(text), static_cast<size_t>(sqlite3_column_bytes(get(), column))};
}

Status ApplyWriterPragmas(Database* db) {
  return db->Execute(
      "PRAGMA journal_mode = WAL;"
      "PRAGMA synchronous = NORMAL;"
      "PRAGMA cache_size = -65536;"
      "PRAGMA wal_autocheckpoint = 20000;"
      "PRAGMA journal_size_limit = 67108864;"
      "PRAGMA temp_store = MEMORY;"
      "PRAGMA foreign_keys = OFF;");
}

}  // namespace dyncast::store
