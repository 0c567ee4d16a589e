#include "agent/core/cgroupfs.h"

#include "agent/core/text.h"

namespace dyncast::agent {
namespace {

// The file's only line; an error if there is another with content.
Result<std::string_view> OnlyLine(std::string_view text) {
  const auto line = NextLine(&text);
  if (!line || TrimBlanks(*line).empty()) return MakeError(Errc::kParse, "the file is empty");
  if (!text.empty()) return MakeError(Errc::kParse, "more than one line, found " + Quoted(text));
  return TrimBlanks(*line);
}

}  // namespace

Result<std::chrono::microseconds> ParseCpuStat(std::string_view text) {
  while (const auto line = NextLine(&text)) {
    std::string_view rest = *line;
    if (NextWord(&rest) != "usage_usec") continue;
    const std::string_view word = NextWord(&rest);
    const auto usage = ParseUnsigned(word);
    if (!usage || *usage > static_cast<uint64_t>(INT64_MAX)) {
      return MakeError(Errc::kParse, "usage_usec must be a number of microseconds, found " + Quoted(word));
    }
    return std::chrono::microseconds(static_cast<int64_t>(*usage));
  }
  return MakeError(Errc::kParse, "there is no line 'usage_usec'");
}

Result<std::optional<uint64_t>> ParseMemoryBytes(std::string_view text) {
  const auto line = OnlyLine(text);
  if (!line) return line.error();
  if (*line == "max") return std::optional<uint64_t>{};
  const auto bytes = ParseUnsigned(*line);
  if (!bytes) return MakeError(Errc::kParse, "must be a number of bytes or 'max', found " + Quoted(*line));
  return bytes;
}

Result<std::optional<double>> ParseCpuMax(std::string_view text) {
  const auto line = OnlyLine(text);
  if (!line) return line.error();
  std::string_view rest = *line;
  const std::string_view quota = NextWord(&rest);
  const std::string_view period = NextWord(&rest);
  const auto period_us = ParseUnsigned(period);
  if (!period_us || *period_us == 0 || !TrimBlanks(rest).empty()) {
    return MakeError(Errc::kParse, "must be a quota and a period in microseconds, found " + Quoted(*line));
  }
  if (quota == "max") return std::optional<double>{};
  const auto quota_us = ParseUnsigned(quota);
  if (!quota_us || *quota_us == 0) {
    return MakeError(Errc::kParse, "the quota must be 'max' or a number above 0, found " + Quoted(quota));
  }
  return std::optional<double>{static_cast<double>(*quota_us) / static_cast<double>(*period_us)};
}

}  // namespace dyncast::agent
