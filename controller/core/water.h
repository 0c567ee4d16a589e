// Water-filling: a stream of requests over instances, so that no request could be answered sooner elsewhere.
// Pure.
#pragma once

#include <span>

namespace dyncast::core {

struct Basin {
  double network_s = 0;   // there and back, >= 0
  double service_s = 0;   // to serve a request without waiting, >= 0
  double full_per_s = 0;  // requests per second at full use, > 0
  double base_per_s = 0;  // what it has to serve anyway, >= 0
};

// Gives each basin its part of `per_s` requests per second: as many as raise its expected time
//   network + service + wait,  wait = u / (full * (1 - u)),  u = (base + part) / full
// to one level, the same for all that get any. With more than there is room for, parts in proportion to
// full_per_s. Precondition: of one size.
void Fill(std::span<const Basin> basins, double per_s, std::span<double> part);

}  // namespace dyncast::core
