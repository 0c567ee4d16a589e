// What is usual among several: no single value moves it beyond its neighbours in rank.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace dyncast::core {

// Of two in the middle the lower one: of two values, one that is too high says nothing. Reorders `values`.
// Precondition: not empty, no NaN.
inline double LowerMedian(std::span<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace dyncast::core
