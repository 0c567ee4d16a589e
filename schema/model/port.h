// What a switch counts at one of its ports, and the traffic that follows from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schema/base/ids.h"
#include "schema/base/time.h"
#include "schema/model/switch_plan.h"

namespace dyncast {

// Totals since the port was made. In is into the switch. What a switch does not count is absent.
struct PortCounters {
  PortNo number;  // the OpenFlow port as TaggedPort names it, without a VLAN: LOCAL is 65534
  std::optional<uint64_t> in_bytes{};
  std::optional<uint64_t> out_bytes{};
  std::optional<uint64_t> in_packets{};
  std::optional<uint64_t> out_packets{};
  std::optional<uint64_t> in_dropped{};
  std::optional<uint64_t> out_dropped{};
  std::optional<uint64_t> speed_bit_s{};  // the device's, as the switch knows it; > 0
  std::optional<Micros> alive{};          // since the port was made, by the switch's clock
  friend bool operator==(const PortCounters&, const PortCounters&) = default;
};

// Over the time between two readings of one port's counters. Absent: not counted.
struct PortRates {
  Micros window{0};  // > 0
  std::optional<double> in_bit_s{};
  std::optional<double> out_bit_s{};
  std::optional<double> in_packets_s{};
  std::optional<double> out_packets_s{};
  friend bool operator==(const PortRates&, const PortRates&) = default;
};

// One interface of a switch, with all its VLANs.
struct LinkSample {
  std::string port;
  PortRole role = PortRole::kAccess;
  std::optional<uint64_t> speed_bit_s{};   // configured, else the device's
  std::optional<PortCounters> counters{};  // absent: not counted since the switch connected
  std::optional<PortRates> rates{};        // absent: not counted twice, or made anew in between
  friend bool operator==(const LinkSample&, const LinkSample&) = default;
};

// `rate_bit_s` as a part of `speed_bit_s`; absent without both. May be more than 1: a device's speed is what
// it says.
std::optional<double> LinkLoad(const std::optional<double>& rate_bit_s,
                               const std::optional<uint64_t>& speed_bit_s);

}  // namespace dyncast
