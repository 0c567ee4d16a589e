// Time as the project passes it: two clocks, read only at the edges and handed in as `now`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace dyncast {

using Micros = std::chrono::microseconds;
// Monotonic: for every timeout and age.
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Micros>;
// Wall clock (Unix time): for records and for people only, never for a decision.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Micros>;

// One reading of both clocks.
struct Now {
  MonoTime mono{};
  WallTime wall{};
};

// Reads both clocks of this machine. For I/O edges; pure code takes `Now` as a parameter.
Now ReadClocks();

inline int64_t UnixMicros(WallTime t) { return t.time_since_epoch().count(); }
inline WallTime FromUnixMicros(int64_t us) { return WallTime{Micros{us}}; }

// RFC 3339 in UTC with milliseconds, "2026-01-31T12:00:00.123Z".
std::string FormatWall(WallTime t);

}  // namespace dyncast
