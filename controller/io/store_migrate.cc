#include "controller/io/store_migrate.h"

#include <sys/stat.h>

#include <utility>

#include "schema/base/log.h"
#include "schema/sql/migrations.h"

namespace dyncast::store {
namespace {

constexpr int kOpenTimeoutMs = 5000;

struct Identity {
  int64_t application_id = 0;
  int64_t version = 0;
  int64_t objects = 0;  // tables, views, indexes
};

Result<Identity> ReadIdentity(Database* db) {
  Identity id;
  const std::pair<const char*, int64_t*> wanted[] = {
      {"PRAGMA application_id", &id.application_id},
      {"PRAGMA user_version", &id.version},
      {"SELECT count(*) FROM sqlite_schema", &id.objects},
  };
  for (const auto& [sql, out] : wanted) {
    Result<int64_t> value = db->QueryInt(sql);
    if (!value.ok()) return value.error();
    *out = *value;
  }
  return id;
}

// An empty file becomes ours; anything else must carry our application id and a version that we know.
Status CheckIdentity(const Identity& id, const std::string& path) {
  const bool empty = id.application_id == 0 && id.version == 0 && id.objects == 0;
  if (!empty && id.application_id != sql::kApplicationId) {
    return MakeError(Errc::kConflict,
                     "is a database of another program (application_id " + std::to_string(id.application_id) +
                         ", ours is " + std::to_string(sql::kApplicationId) + ")",
                     path);
  }
  if (id.version > sql::KnownVersion()) {
    return MakeError(Errc::kConflict,
                     "has schema version " + std::to_string(id.version) + ", newer than version " +
                         std::to_string(sql::KnownVersion()) +
                         " that this program knows: use a newer program or another file",
                     path);
  }
  return Ok();
}

Status RunMigration(Database* db, const sql::Migration& step) {
  const std::string script = "BEGIN IMMEDIATE;" + std::string(step.sql) +
                             "PRAGMA application_id = " + std::to_string(sql::kApplicationId) +
                             "; PRAGMA user_version = " + std::to_string(step.version) + "; COMMIT;";
  Status done = db->Execute(script.c_str());
  if (!done.ok()) {
    Error error = done.error();
    error.message = "schema step " + std::to_string(step.version) + " (" + std::string(step.name) +
                    ") failed, nothing was changed: " + error.message;
    if (sqlite3_get_autocommit(db->raw()) == 0) (void)db->Execute("ROLLBACK");
    return error;
  }
  return Ok();
}

}  // namespace

Result<Database> OpenForWriting(const std::string& path) {
  Result<Database> db = Database::Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!db.ok()) return db.error();
  sqlite3_busy_timeout(db->raw(), kOpenTimeoutMs);
  // Read before the first pragma that writes: a file that is not ours stays as it is.
  Result<Identity> id = ReadIdentity(&*db);
  if (!id.ok()) return id.error();
  if (Status ours = CheckIdentity(*id, path); !ours.ok()) return ours.error();
  if (Status set = ApplyWriterPragmas(&*db); !set.ok()) return set.error();
  for (const sql::Migration& step : sql::Migrations()) {
    if (step.version <= id->version) continue;
    if (Status done = RunMigration(&*db, step); !done.ok()) return done.error();
    DYN_LOG(kInfo, "store", "migrated", "file={} version={} step={}", path, step.version, step.name);
  }
  return db;
}

Result<Database> OpenForReading(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return MakeError(Errc::kNotFound, "no such database file", path);
  Result<Database> db = Database::Open(path, SQLITE_OPEN_READONLY);
  if (!db.ok()) return db.error();
  sqlite3_busy_timeout(db->raw(), 1000);
  Result<Identity> id = ReadIdentity(&*db);
  if (!id.ok()) return id.error();
  if (Status ours = CheckIdentity(*id, path); !ours.ok()) return ours.error();
  if (id->version != sql::KnownVersion()) {
    return MakeError(
        Errc::kConflict,
        "has schema version " + std::to_string(id->version) + ", not " + std::to_string(sql::KnownVersion()),
        path);
  }
  return db;
}

}  // namespace dyncast::store
