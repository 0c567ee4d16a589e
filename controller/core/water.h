// Water-filling: a stream of requests over instances, so that one request more would cost all of them
// together the same at each. Pure.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace dyncast::core {

struct Basin {
  double network_s = 0;   // there and back, >= 0
  double service_s = 0;   // to serve a request without waiting, >= 0
  double full_per_s = 0;  // requests per second at full use, > 0
  double base_per_s = 0;  // what it has to serve anyway, >= 0
};

// Requests per second that raise the cost of one more to `level_s`:
//   network + service + (1 / (1 - u)^2 - 1) / full, where u = (base + part) / full
// which is by how much the time of all requests together grows, if the wait is that of one queue with
// exponential times, u / (1 - u) / full.
inline double PartAt(const Basin& basin, double level_s) {
  const double over_s = level_s - basin.network_s - basin.service_s;
  if (!(over_s > 0)) return 0;
  const double use = 1 - 1 / std::sqrt(1 + over_s * basin.full_per_s);
  return std::max(0.0, basin.full_per_s * use - basin.base_per_s);
}

// The level that `per_s` requests per second raise the basins to, `basin(i)` for i < n. 0 if that is
// more than there is room for, or none comes.
template <typename Get>
double LevelOf(size_t n, const Get& basin, double per_s) {
  // Of what is free: beyond, waiting times say nothing any more.
  constexpr double kMostOfRoom = 0.97;
  constexpr int kDoublings = 60;
  constexpr int kHalvings = 40;
  constexpr double kExact = 1e-6;
  double room = 0;
  double low = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < n; ++i) {
    const Basin& b = basin(i);
    room += std::max(0.0, b.full_per_s - b.base_per_s);
    low = std::min(low, b.network_s + b.service_s);
  }
  if (!(per_s > 0) || !(per_s < kMostOfRoom * room)) return 0;
  const auto sum_at = [&](double level_s) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += PartAt(basin(i), level_s);
    return sum;
  };
  double high = low + 1e-3;
  for (int i = 0; i < kDoublings && sum_at(high) < per_s; ++i) high = low + 2 * (high - low);
  for (int i = 0; i < kHalvings && high - low > kExact * high; ++i) {
    const double middle = 0.5 * (low + high);
    (sum_at(middle) < per_s ? low : high) = middle;
  }
  return high;
}

// Writes each basin's part of `per_s` requests per second. With more than there is room for, and where
// nothing comes, parts in proportion to full_per_s.
template <typename Get>
void Fill(size_t n, const Get& basin, double per_s, std::span<double> part) {
  const double level_s = LevelOf(n, basin, per_s);
  for (size_t i = 0; i < n; ++i) part[i] = level_s > 0 ? PartAt(basin(i), level_s) : basin(i).full_per_s;
}

}  // namespace dyncast::core
