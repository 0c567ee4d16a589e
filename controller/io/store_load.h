// Reads back what an earlier run recorded.
#pragma once

#include "controller/io/store_mailbox.h"
#include "controller/io/store_sqlite.h"
#include "schema/base/result.h"
#include "schema/model/record.h"

namespace dyncast::store {

// Everything a starting controller needs, from one consistent state. A value that breaks a rule (an
// address that is none, a number out of range) is an error that names the file, the table and the value.
Result<PersistedState> LoadState(Database* db);
// Only the keys of the live bindings.
Status LoadKeys(Database* db, KnownKeys* keys);

}  // namespace dyncast::store
