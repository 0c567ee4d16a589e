// Any bytes in place of a file of /proc or of a cgroup: each parser gives a value within its promise or an
// error with a printable text.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/core/cgroupfs.h"
#include "agent/core/procfs.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
bool Good(const dyncast::Result<T>& result) {
  if (result) return true;
  for (const char c : result.error().message) Require(c >= ' ' && c < 0x7f);
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast::agent;  // NOLINT: a fuzzer's entry
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto times = ParseProcStat(text); Good(times)) {
    Require(times->busy_ticks <= times->total_ticks && times->processors > 0);
  }
  if (const auto memory = ParseMeminfo(text); Good(memory)) {
    Require(memory->total_bytes > 0 && memory->available_bytes <= memory->total_bytes);
  }
  if (const auto load = ParseLoadavg(text); Good(load)) Require(std::isfinite(*load) && *load >= 0);
  if (const auto pressure = ParsePressure(text); Good(pressure)) Require(*pressure >= 0 && *pressure <= 1);
  if (const auto used = ParseCpuStat(text); Good(used)) Require(used->count() >= 0);
  if (const auto cores = ParseCpuMax(text); Good(cores) && *cores)
    Require(std::isfinite(**cores) && **cores > 0);
  Good(ParseMemoryBytes(text));
  return 0;
}
