#include "controller/ctl/text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "schema/base/time.h"

namespace dyncast::ctl {
namespace {

// Decodes the character at *at and moves behind it; bytes that are no UTF-8 come one by one, `bad` set.
uint32_t NextCodePoint(std::string_view text, size_t* at, bool* bad) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(*at);
  *bad = false;
  const size_t length = first < 0x80       ? 1
                        : first >> 5 == 6  ? 2
                        : first >> 4 == 14 ? 3
                        : first >> 3 == 30 ? 4
                                           : 0;
  if (length == 0 || *at + length > text.size()) {
    *bad = true;
    ++*at;
    return first;
  }
  uint32_t code = length == 1 ? first : first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if (byte(*at + i) >> 6 != 2) {
      *bad = true;
      ++*at;
      return first;
    }
    code = code << 6 | (byte(*at + i) & 0x3fu);
  }
  *at += length;
  return code;
}

bool IsHarmful(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x200e || code == 0x200f || code == 0x2028 ||
         code == 0x2029 || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

std::string Escape(std::string_view utf8) {
  std::string out;
  for (size_t at = 0; at < utf8.size();) {
    const size_t start = at;
    bool bad = false;
    const uint32_t code = NextCodePoint(utf8, &at, &bad);
    if (bad || (code < 0x100 && IsHarmful(code))) {
      out += fmt::format("\\x{:02x}", code);
    } else if (IsHarmful(code)) {
      out += fmt::format("\\u{:04x}", code);
    } else {
      out += utf8.substr(start, at - start);
    }
  }
  return out;
}

size_t Width(std::string_view utf8) {
  return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(),
                                           [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

std::string FormatDuration(double seconds) {
  if (!(seconds > 0)) return "0s";
  if (seconds < 0.01) return fmt::format("{:.1f}ms", seconds * 1e3);
  if (seconds < 0.9995) return fmt::format("{:.0f}ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.1f}s", seconds);
  if (seconds > 1e11) return "for ever";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole / 3600 % 24);
}

std::string FormatDelay(double seconds) { return fmt::format("{:.2f}ms", seconds > 0 ? seconds * 1e3 : 0.0); }

std::string FormatBitRate(double bit_s) {
  if (!(bit_s > 0)) bit_s = 0;
  if (bit_s < 1e3) return fmt::format("{:.0f} bit/s", bit_s);
  if (bit_s < 1e6) return fmt::format("{:.4g} kbit/s", bit_s / 1e3);
  if (bit_s < 1e9) return fmt::format("{:.4g} Mbit/s", bit_s / 1e6);
  return fmt::format("{:.4g} Gbit/s", bit_s / 1e9);
}

std::string FormatNumber(double value) {
  if (std::abs(value) >= 1000 && std::abs(value) < 1e18) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string FormatShare(const Json& value) {
  return value.is_number() ? fmt::format("{:.1f}%", value.get<double>() * 100) : "-";
}

std::string FormatValue(const Json& value) {
  std::string out;
  switch (value.type()) {
    case Json::value_t::string: out = Escape(value.get_ref<const std::string&>()); break;
    case Json::value_t::boolean: out = value.get<bool>() ? "yes" : "no"; break;
    case Json::value_t::number_integer: out = std::to_string(value.get<int64_t>()); break;
    case Json::value_t::number_unsigned: out = std::to_string(value.get<uint64_t>()); break;
    case Json::value_t::number_float: out = FormatNumber(value.get<double>()); break;
    case Json::value_t::array:
      for (const Json& element : value) out += (out.empty() ? "" : ", ") + FormatValue(element);
      break;
    case Json::value_t::object:
      for (const auto& [key, element] : value.items()) {
        out += (out.empty() ? "" : " ") + Escape(key) + "=" + FormatValue(element);
      }
      break;
    default: break;
  }
  return out.empty() ? "-" : out;
}

std::string FormatTime(const Json& value) {
  if (!value.is_number()) return FormatValue(value);
  const double seconds = value.get<double>();
  if (!(seconds >= 0 && seconds < 1e11)) return FormatValue(value);
  return FormatWall(FromUnixMicros(std::llround(seconds * 1e6)));
}

Result<std::chrono::seconds> ParseSeconds(std::string_view text) {
  const auto fail = [&] {
    return MakeError(Errc::kInvalid,
                     fmt::format("'{}' is no duration: write for example 30s, 5m or 2h, at most "
                                 "a year",
                                 text));
  };
  constexpr int64_t kYear = 365 * 86400;
  int64_t value = 0;
  size_t i = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    value = value * 10 + (text[i] - '0');
    if (value > kYear) return fail();
  }
  const std::string_view unit = text.substr(i);
  const int64_t factor = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (i == 0 || factor == 0 || value * factor > kYear) return fail();
  return std::chrono::seconds(value * factor);
}

std::string PercentEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                            c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<uint8_t>(c)));
    }
  }
  return out;
}

}  // namespace dyncast::ctl
