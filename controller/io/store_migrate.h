// Brings a database to the schema that this program knows.
#pragma once

#include <string>

#include "controller/io/store_sqlite.h"
#include "schema/base/result.h"

namespace dyncast::store {

// Opens or makes the file, checks that it is ours, applies the writer's pragmas and runs the missing
// migrations, each in one transaction with its user_version. Refused with an error that names the file:
// not a database, another program's database, a newer schema (version found and version known), locked
// for longer than 5 s. A refused file is not changed.
Result<Database> OpenForWriting(const std::string& path);

// Opens an existing database of exactly the known schema for reading.
Result<Database> OpenForReading(const std::string& path);

}  // namespace dyncast::store
