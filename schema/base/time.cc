#include "schema/base/time.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace dyncast {

Now ReadClocks() {
  using std::chrono::time_point_cast;
  return Now{time_point_cast<Micros>(std::chrono::steady_clock::now()),
             time_point_cast<Micros>(std::chrono::system_clock::now())};
}

std::string FormatWall(WallTime t) {
  const int64_t us = UnixMicros(t);
  int64_t seconds = us / 1000000;
  int64_t rest = us % 1000000;
  if (rest < 0) {
    rest += 1000000;
    --seconds;
  }
  const std::time_t tt = static_cast<std::time_t>(seconds);
  std::tm tm{};
  gmtime_r(&tt, &tm);
  std::array<char, 96> out{};
  const int n = std::snprintf(out.data(), out.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                              tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                              static_cast<int>(rest / 1000));
  return std::string(out.data(), static_cast<size_t>(n));
}

}  // namespace dyncast
