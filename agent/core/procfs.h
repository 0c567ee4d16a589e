// Parsers of the kernel's text files about a host (proc(5)) and about pressure (the kernel's
// Documentation/accounting/psi.rst). Pure: they take a file's content and return what it says. Lines and
// fields that a newer kernel adds are passed over; a missing or malformed one that is needed is an error.
#pragma once

#include <cstdint>
#include <string_view>

#include "schema/base/result.h"

namespace dyncast::agent {

// /proc/stat: ticks (USER_HZ) since boot over all processors, and how many processors are on line.
struct CpuTimes {
  uint64_t busy_ticks = 0;   // all but idle and iowait; stolen time counts, as it can't be used
  uint64_t total_ticks = 0;  // >= busy_ticks
  uint32_t processors = 0;   // cpuN lines
  friend bool operator==(const CpuTimes&, const CpuTimes&) = default;
};
Result<CpuTimes> ParseProcStat(std::string_view text);

// /proc/meminfo.
struct MemoryInfo {
  uint64_t total_bytes = 0;      // > 0
  uint64_t available_bytes = 0;  // <= total_bytes
  friend bool operator==(const MemoryInfo&, const MemoryInfo&) = default;
};
Result<MemoryInfo> ParseMeminfo(std::string_view text);

// /proc/loadavg: the first figure, the mean length of the run queue over a minute.
Result<double> ParseLoadavg(std::string_view text);

// /proc/pressure/* or a cgroup's *.pressure: the part of the last ten seconds, 0..1, in which some task
// waited.
Result<double> ParsePressure(std::string_view text);

}  // namespace dyncast::agent
