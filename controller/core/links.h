// Traffic of a switch's ports, from the counters that it is asked for now and then. Pure.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "schema/base/time.h"
#include "schema/model/port.h"

namespace dyncast::core {

class LinkTable {
 public:
  // Readings closer than this make no rates: their difference would be noise.
  static constexpr Micros kLeastWindow{50000};

  struct Link {
    PortCounters counters;
    MonoTime at{};
    // Of the newest two readings that were far enough apart. None where a counter fell in between, or the
    // port was made anew (its counters may then stand higher than before): what passed nobody knows.
    std::optional<PortRates> rates;
  };
  // All ports of the switch; what is not among them is gone. The window is the switch's own time between the
  // readings where it says it, else that of their arrival here.
  void Set(const std::vector<PortCounters>& ports, MonoTime now);
  // The switch went away: what it counts next has nothing to do with what it counted.
  void Clear() { links_.clear(); }
  // nullptr if the port was never counted.
  const Link* Find(PortNo number) const;

 private:
  std::map<PortNo, Link> links_;
};

}  // namespace dyncast::core
