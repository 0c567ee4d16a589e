// The database's schema as numbered steps. Pure text: who opens the file runs them (controller/io).
//
// A step, once released, is never changed; a change of the schema is a new step at the end. PRAGMA
// user_version holds the number of the last step that was run. There is no way back: a database with a
// newer schema than the program knows is refused.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace dyncast::sql {

// PRAGMA application_id of our files ("DynC"): a database of another program is refused.
inline constexpr int32_t kApplicationId = 0x44796e43;

struct Migration {
  int32_t version = 0;    // 1, 2, 3, ... without gaps
  std::string_view name;  // for messages
  std::string_view sql;   // runs inside one transaction that also sets user_version
};

// All steps, oldest first; the last one's version is the schema that this program writes.
std::span<const Migration> Migrations();
int32_t KnownVersion();

}  // namespace dyncast::sql
