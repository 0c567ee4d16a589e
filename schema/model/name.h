// Rules for single words that the wire and the configuration files share: names, metric names, the
// units of the metrics that the core knows, and how an outside value may stand in a message.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "schema/base/ip.h"
#include "schema/model/metric.h"

namespace dyncast {

// Agents, instances, services, switches, fabrics: [a-z0-9][a-z0-9-]{0,62}, which is also a DNS label.
inline constexpr std::string_view kNameRule = "must be of the form [a-z0-9][a-z0-9-]{0,62}";
constexpr bool IsName(std::string_view text) {
  if (text.empty() || text.size() > 63 || text[0] == '-') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// Metrics: [a-z][a-z0-9_]{0,62}.
inline constexpr std::string_view kMetricNameRule = "must be of the form [a-z][a-z0-9_]{0,62}";
constexpr bool IsMetricName(std::string_view text) {
  if (text.empty() || text.size() > 63 || text[0] < 'a' || text[0] > 'z') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

// The unit that schema/model/metric.h gives a metric; empty for a name that it does not define.
constexpr std::string_view DefinedUnit(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kUnits = {{
      {metric::kCpuUtilization, "ratio"},
      {metric::kMemoryUtilization, "ratio"},
      {metric::kCpuPressure, "ratio"},
      {metric::kMemoryPressure, "ratio"},
      {metric::kIoPressure, "ratio"},
      {metric::kLoad1, "1"},
      {metric::kSessions, "1"},
      {metric::kAcceptQueue, "1"},
      {metric::kRequestRate, "1/s"},
      {metric::kUtilization, "ratio"},
      {metric::kLatency, "seconds"},
      {metric::kQueue, "1"},
      {metric::kErrorRate, "1/s"},
      {metric::kGpuUtilization, "ratio"},
      {metric::kGpuMemoryUtilization, "ratio"},
  }};
  for (const auto& [known, unit] : kUnits) {
    if (known == name) return unit;
  }
  return {};
}

// Units are 1 to 16 printable characters without spaces.
constexpr bool IsUnit(std::string_view text) {
  return !text.empty() && text.size() <= 16 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// An address that one host can have: not 0.0.0.0/8, ::, multicast, or IPv4's reserved 240.0.0.0/4.
// Loopback is allowed: a lab on one host may use it.
inline bool IsUnicast(const IpAddress& a) {
  if (a.is_none() || a.is_multicast()) return false;
  return !a.is_v4() || ((a.v4() >> 24) != 0 && (a.v4() >> 28) != 0xf);
}

// `value` as it may stand in a message or a log line: at most 64 bytes, printable ASCII only.
inline std::string Shown(std::string_view value) {
  constexpr size_t kMost = 64;
  std::string out(value.substr(0, value.size() > kMost ? kMost - 3 : kMost));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (value.size() > kMost) out += "...";
  return out;
}

}  // namespace dyncast
