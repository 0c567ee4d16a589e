// Lines of comma-separated values, without quotes: a value holds no comma.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"

namespace dyncast::sim {

class CsvReader {
 public:
  // Both must outlive this.
  CsvReader(std::string_view text, std::string_view name) : rest_(text), name_(name) {}

  // The next line's fields; false at the end. The views are into the text.
  bool Next(std::vector<std::string_view>* fields);
  size_t line() const { return line_; }  // of the last Next, from 1

  // "NAME:LINE: value 'VALUE': RULE", of the last line.
  Error Refuse(std::string_view value, std::string_view rule) const;

 private:
  std::string_view rest_;
  const std::string_view name_;
  size_t line_ = 0;
};

// A decimal number without exponent, 0 or more; `sign`: or less. nullopt for anything else.
enum class Sign : uint8_t { kNone, kAllowed };
std::optional<double> ParseDecimal(std::string_view text, Sign sign);

// The whole file. The error's message is "PATH: ...".
Result<std::string> ReadFile(const std::string& path, size_t max_bytes);

}  // namespace dyncast::sim
