#include "schema/sql/migrations.h"

#include <array>

#include "schema/sql/migration_001.h"
#include "schema/sql/migration_002.h"
#include "schema/sql/migration_003.h"
#include "schema/sql/migration_004.h"
#include "schema/sql/migration_005.h"

namespace dyncast::sql {
namespace {

constexpr std::array kMigrations = {
    Migration{.version = 1, .name = "tables", .sql = kMigration001Tables},
    Migration{.version = 2, .name = "views", .sql = kMigration002Views},
    Migration{.version = 3, .name = "shares", .sql = kMigration003Shares},
    Migration{.version = 4, .name = "scores", .sql = kMigration004Scores},
    Migration{.version = 5, .name = "network", .sql = kMigration005Network},
};

}  // namespace

std::span<const Migration> Migrations() { return kMigrations; }
int32_t KnownVersion() { return kMigrations.back().version; }

}  // namespace dyncast::sql
