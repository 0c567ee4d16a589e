// The lists of `dyncastctl` as data: their columns, each a field of the answer's rows and how it is shown.
#pragma once

#include <cstdint>
#include <vector>

namespace dyncast::ctl {

enum class Kind : uint8_t {
  kText,
  kNumber,
  kDuration,  // seconds
  kDelay,     // seconds, shown as milliseconds with two decimals
  kShare,     // 0 to 1
  kBitRate,   // bit/s
  kTime,
  kAge,
  kUpOf,
  kHeard,
  kState,
  kSids,
  kSent,
  kHeld
};

struct Column {
  const char* heading;
  const char* field;
  Kind kind = Kind::kText;
};

struct List {
  const char* name;  // also the key of the answer's array
  std::vector<Column> columns;
};

const std::vector<List>& Lists();

}  // namespace dyncast::ctl
