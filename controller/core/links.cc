#include "controller/core/links.h"

#include <chrono>
#include <utility>

namespace dyncast::core {
namespace {

constexpr double kBitsPerByte = 8;

using Total = std::optional<uint64_t> PortCounters::*;
constexpr Total kTotals[] = {&PortCounters::in_bytes,   &PortCounters::out_bytes,
                             &PortCounters::in_packets, &PortCounters::out_packets,
                             &PortCounters::in_dropped, &PortCounters::out_dropped};

bool BeganAnew(const PortCounters& before, const PortCounters& now, Micros passed) {
  for (const Total total : kTotals) {
    if (before.*total && now.*total && *(now.*total) < *(before.*total)) return true;
  }
  // A port of that number that was made after the last reading is another one.
  return before.alive && now.alive && (*now.alive < *before.alive || *now.alive <= passed);
}

PortRates RatesBetween(const PortCounters& before, const PortCounters& now, Micros window) {
  const double seconds = std::chrono::duration<double>(window).count();
  const auto rate = [&](Total total, double scale) -> std::optional<double> {
    if (!(before.*total) || !(now.*total)) return std::nullopt;
    return static_cast<double>(*(now.*total) - *(before.*total)) * scale / seconds;
  };
  return {.window = window,
          .in_bit_s = rate(&PortCounters::in_bytes, kBitsPerByte),
          .out_bit_s = rate(&PortCounters::out_bytes, kBitsPerByte),
          .in_packets_s = rate(&PortCounters::in_packets, 1),
          .out_packets_s = rate(&PortCounters::out_packets, 1)};
}

}  // namespace

void LinkTable::Set(const std::vector<PortCounters>& ports, MonoTime now) {
  std::map<PortNo, Link> links;
  for (const PortCounters& port : ports) {
    Link link{.counters = port, .at = now, .rates = std::nullopt};
    if (const auto known = links_.find(port.number); known != links_.end()) {
      const Link& before = known->second;
      const Micros passed = now - before.at;
      if (!BeganAnew(before.counters, port, passed)) {
        const Micros window =
            before.counters.alive && port.alive ? *port.alive - *before.counters.alive : passed;
        if (window < kLeastWindow) {
          links.insert_or_assign(port.number, before);
          continue;
        }
        link.rates = RatesBetween(before.counters, port, window);
      }
    }
    links.insert_or_assign(port.number, std::move(link));
  }
  links_ = std::move(links);
}

const LinkTable::Link* LinkTable::Find(PortNo number) const {
  const auto it = links_.find(number);
  return it == links_.end() ? nullptr : &it->second;
}

}  // namespace dyncast::core
