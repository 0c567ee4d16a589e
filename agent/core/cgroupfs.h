// Parsers of a cgroup v2 folder's files (the kernel's Documentation/admin-guide/cgroup-v2.rst). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "schema/base/result.h"

namespace dyncast::agent {

// cpu.stat: processor time used since the cgroup was made.
Result<std::chrono::microseconds> ParseCpuStat(std::string_view text);

// memory.current (always a number) and memory.max, in bytes; nullopt for "max", which means no limit.
Result<std::optional<uint64_t>> ParseMemoryBytes(std::string_view text);

// cpu.max: how many processors' worth of time may be used, > 0; nullopt for "max", which means no limit.
Result<std::optional<double>> ParseCpuMax(std::string_view text);

}  // namespace dyncast::agent
