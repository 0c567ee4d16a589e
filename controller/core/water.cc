#include "controller/core/water.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dyncast::core {
namespace {

// Of what is free: beyond, waiting times say nothing any more.
constexpr double kMostOfRoom = 0.97;
constexpr int kSteps = 32;

double PartAt(const Basin& b, double level_s) {
  const double wait_s = level_s - b.network_s - b.service_s;
  if (wait_s <= 0) return 0;
  const double x = wait_s * b.full_per_s;
  return std::max(0.0, b.full_per_s * x / (1 + x) - b.base_per_s);
}

double SumAt(std::span<const Basin> basins, double level_s) {
  double sum = 0;
  for (const Basin& b : basins) sum += PartAt(b, level_s);
  return sum;
}

}  // namespace

void Fill(std::span<const Basin> basins, double per_s, std::span<double> part) {
  double room = 0;
  double low = std::numeric_limits<double>::infinity();
  for (const Basin& b : basins) {
    room += std::max(0.0, b.full_per_s - b.base_per_s);
    low = std::min(low, b.network_s + b.service_s);
  }
  const double wanted = std::max(per_s, 1e-6 * room);
  if (!(wanted < kMostOfRoom * room)) {
    for (size_t i = 0; i < basins.size(); ++i) part[i] = basins[i].full_per_s;
    return;
  }
  double high = low + 1e-3;
  while (SumAt(basins, high) < wanted && high < 1e9) high = low + 2 * (high - low);
  for (int step = 0; step < kSteps; ++step) {
    const double middle = 0.5 * (low + high);
    (SumAt(basins, middle) < wanted ? low : high) = middle;
  }
  for (size_t i = 0; i < basins.size(); ++i) part[i] = PartAt(basins[i], high);
}

}  // namespace dyncast::core
