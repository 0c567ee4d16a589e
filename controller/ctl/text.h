// Values as people read them on a terminal. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "schema/base/result.h"

namespace dyncast::ctl {

using Json = nlohmann::ordered_json;

// Whatever could move the cursor, change the terminal or reorder what is shown stands as \xNN or
// \uNNNN: C0 and C1 controls, DEL, bidirectional overrides. Newlines too: a value is one line.
std::string Escape(std::string_view utf8);

// Characters that `utf8` takes on a terminal, one each (wide ones are not looked up).
size_t Width(std::string_view utf8);

// 0.0004 -> "0.4ms", 0.35 -> "350ms", 3.2 -> "3.2s", 252 -> "4m12s", 11100 -> "3h05m", 187200 -> "2d04h".
// Negative counts as 0.
std::string FormatDuration(double seconds);

// 0.01029 -> "10.29ms", whatever the size: for columns that are compared. Negative counts as 0.
std::string FormatDelay(double seconds);

// 12300000 -> "12.3 Mbit/s"; below 1,000 whole bit/s. Negative counts as 0.
std::string FormatBitRate(double bit_s);

// Whole numbers in full, others with four significant digits (in full from 1000 on).
std::string FormatNumber(double value);

// A part of a whole, 0 to 1: "33.3%"; "-" for anything else.
std::string FormatShare(const Json& value);

// A JSON value of any type: escaped text, number, yes/no, "a, b" for a list, "a=1 b=2" for an object,
// "-" for null and for "".
std::string FormatValue(const Json& value);

// Unix seconds as RFC 3339 in UTC; a string is taken as it is.
std::string FormatTime(const Json& value);

// "30", "30s", "5m", "2h": whole seconds, at most a year.
Result<std::chrono::seconds> ParseSeconds(std::string_view text);

// RFC 3986 section 2.1, all but the unreserved characters.
std::string PercentEncode(std::string_view text);

}  // namespace dyncast::ctl
