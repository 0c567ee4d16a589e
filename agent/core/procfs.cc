#include "agent/core/procfs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>

#include "agent/core/text.h"

namespace dyncast::agent {
namespace {

Error Malformed(std::string what, std::string_view value) {
  return MakeError(Errc::kParse, std::move(what) + ", found " + Quoted(value));
}

// "Key:   123 kB" -> bytes.
Result<uint64_t> MemoryLine(std::string_view rest) {
  const std::string_view number = NextWord(&rest);
  const auto kib = ParseUnsigned(number);
  if (!kib || NextWord(&rest) != "kB") return Malformed("a memory size must be a number of kB", number);
  if (*kib > UINT64_MAX / 1024) return Malformed("a memory size must fit 64 bits", number);
  return *kib * 1024;
}

}  // namespace

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 48;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) out += (c >= ' ' && c < 0x7f) ? c : '?';
  out += text.size() > kShown ? "'..." : "'";
  return out;
}

Result<CpuTimes> ParseProcStat(std::string_view text) {
  // proc(5): user nice system idle iowait irq softirq steal; the guest fields are part of user and nice.
  constexpr size_t kFields = 8;
  constexpr size_t kNeeded = 4;  // the first four were always there
  constexpr size_t kIdle = 3;
  constexpr size_t kIowait = 4;
  CpuTimes times;
  bool found = false;
  while (const auto line = NextLine(&text)) {
    if (!line->starts_with("cpu")) continue;
    std::string_view rest = *line;
    const std::string_view name = NextWord(&rest);
    if (name != "cpu") {
      if (ParseUnsigned(name.substr(3))) ++times.processors;
      continue;
    }
    if (found) return MakeError(Errc::kParse, "the line 'cpu' stands twice");
    found = true;
    for (size_t i = 0; i < kFields; ++i) {
      const std::string_view word = NextWord(&rest);
      if (word.empty() && i >= kNeeded) break;
      const auto ticks = ParseUnsigned(word);
      if (!ticks || *ticks > UINT64_MAX / 16) return Malformed("the line 'cpu' must hold tick counts", word);
      times.total_ticks += *ticks;
      if (i != kIdle && i != kIowait) times.busy_ticks += *ticks;
    }
  }
  if (!found) return MakeError(Errc::kParse, "there is no line 'cpu'");
  if (times.processors == 0) return MakeError(Errc::kParse, "there is no line for a single processor");
  return times;
}

Result<MemoryInfo> ParseMeminfo(std::string_view text) {
  std::optional<uint64_t> total;
  std::optional<uint64_t> available;
  while (const auto line = NextLine(&text)) {
    std::string_view rest = *line;
    const std::string_view key = NextWord(&rest);
    std::optional<uint64_t>* into = nullptr;
    if (key == "MemTotal:") into = &total;
    if (key == "MemAvailable:") into = &available;
    if (into == nullptr) continue;
    auto bytes = MemoryLine(rest);
    if (!bytes) return bytes.error();
    *into = *bytes;
  }
  if (!total || *total == 0) return MakeError(Errc::kParse, "MemTotal is missing or 0");
  if (!available) return MakeError(Errc::kParse, "MemAvailable is missing");
  return MemoryInfo{.total_bytes = *total, .available_bytes = std::min(*available, *total)};
}

Result<double> ParseLoadavg(std::string_view text) {
  const auto line = NextLine(&text);
  std::string_view rest = line.value_or(std::string_view{});
  const std::string_view word = NextWord(&rest);
  const auto load = ParseReal(word);
  if (!load || !std::isfinite(*load) || *load < 0) {
    return Malformed("the first figure must be a load of 0 or more", word);
  }
  return *load;
}

Result<double> ParsePressure(std::string_view text) {
  while (const auto line = NextLine(&text)) {
    std::string_view rest = *line;
    if (NextWord(&rest) != "some") continue;
    while (true) {
      const std::string_view word = NextWord(&rest);
      if (word.empty()) break;
      if (!word.starts_with("avg10=")) continue;
      const auto percent = ParseReal(word.substr(6));
      if (!percent || !(*percent >= 0) || *percent > 100) {
        return Malformed("avg10 must be a percentage from 0 to 100", word);
      }
      return *percent / 100;
    }
    return MakeError(Errc::kParse, "the line 'some' has no avg10");
  }
  return MakeError(Errc::kParse, "there is no line 'some'");
}

}  // namespace dyncast::agent
