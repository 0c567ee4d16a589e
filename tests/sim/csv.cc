#include "tests/sim/csv.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <system_error>

#include "schema/model/name.h"

namespace dyncast::sim {

bool CsvReader::Next(std::vector<std::string_view>* fields) {
  fields->clear();
  if (rest_.empty()) return false;
  ++line_;
  const size_t end = rest_.find('\n');
  std::string_view line = rest_.substr(0, end);
  rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  for (;;) {
    const size_t comma = line.find(',');
    fields->push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return true;
    line.remove_prefix(comma + 1);
  }
}

Error CsvReader::Refuse(std::string_view value, std::string_view rule) const {
  return MakeError(Errc::kInvalid, fmt::format("{}:{}: value '{}': {}", name_, line_, Shown(value), rule));
}

std::optional<double> ParseDecimal(std::string_view text, Sign sign) {
  std::string_view digits = text;
  if (sign == Sign::kAllowed && digits.starts_with('-')) digits.remove_prefix(1);
  const bool form =
      !digits.empty() && digits.front() != '.' && digits.size() <= 40 &&
      std::all_of(digits.begin(), digits.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  if (!form) return std::nullopt;
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const auto failed = [&path](int error) {
    return MakeError(error == ENOENT ? Errc::kNotFound : Errc::kIo,
                     fmt::format("{}: cannot be read: {}", path, std::generic_category().message(error)));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) return failed(errno);
  std::string text;
  std::string part(size_t{1} << 16, '\0');
  errno = 0;
  for (size_t n = 0; (n = std::fread(part.data(), 1, part.size(), file.get())) > 0;) {
    text.append(part, 0, n);
    if (text.size() > max_bytes) {
      return MakeError(Errc::kLimit, fmt::format("{}: more than {} bytes", path, max_bytes));
    }
  }
  if (std::ferror(file.get()) != 0) return failed(errno);
  return text;
}

}  // namespace dyncast::sim
