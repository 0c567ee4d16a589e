// The policies, and what they are made of. Internal to policy*.cc.
#pragma once

#include <cmath>
#include <cstddef>
#include <optional>

#include "controller/core/policy.h"

namespace dyncast::core {

using Candidates = std::span<const Candidate>;
using Values = std::span<double>;

// No share may fall below this part of the mean: an instance without demands reports no rate, and would
// never be tried again.
inline constexpr double kLeastShare = 0.05;
inline constexpr double kMostOfMedian = 10;

inline bool Usable(const std::optional<double>& v) { return v && std::isfinite(*v) && *v > 0; }

// Mean over the eligible candidates for which `get` knows a value; nullopt if there is none.
template <typename Get>
std::optional<double> MeanOf(Candidates candidates, Get&& get, size_t* known = nullptr) {
  double sum = 0;
  size_t n = 0;
  for (const Candidate& c : candidates) {
    if (!c.eligible()) continue;
    const std::optional<double> v = get(c);
    if (!v || !std::isfinite(*v)) continue;
    sum += *v;
    ++n;
  }
  if (known != nullptr) *known = n;
  if (n == 0 || !std::isfinite(sum)) return std::nullopt;
  return sum / static_cast<double>(n);
}

// Capacity that does not change with use, in one unit for all: requests per second if every eligible
// candidate says so, else CPU cores (the mean where unknown), else 1. True if it is in requests per second.
bool StaticCapacity(Candidates candidates, Values out);
// Seconds to each candidate and back, what losses cost included; the mean of the others where not known, 0
// if nothing is. Finite.
void NetworkCost(Candidates candidates, Values out);

const Policy& RoundRobinPolicy();
const Policy& StaticPolicy();
const Policy& LeastLoadedPolicy();
const Policy& PowerOfTwoPolicy();
const Policy& LowestDelayPolicy();
const Policy& WeightedPolicy();
const Policy& LeastBindingsPolicy();
const Policy& WaterFillingPolicy();
const Policy& AutoPolicy();

}  // namespace dyncast::core
