// From readings of counters to values over a window. Pure.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "schema/base/time.h"

namespace dyncast::agent {

struct Windowed {
  double value = 0;
  std::chrono::milliseconds window{0};  // what it was measured over
};

// The quotient of two sums' growth, over the newest readings that span at least `window`. Readings that
// span less (just started) count from kShortest on; before that there is no value.
class WindowedRatio {
 public:
  static constexpr std::chrono::milliseconds kShortest{50};
  explicit WindowedRatio(Micros window) : window_(window) {}

  // Sums since any start. A sum that shrank begins anew: what was read before says nothing.
  void Add(MonoTime at, double numerator, double denominator);
  std::optional<Windowed> Current() const;

 private:
  struct Reading {
    MonoTime at;
    double numerator;
    double denominator;
  };
  Micros window_;
  std::deque<Reading> readings_;  // oldest first; at most one older than the window
};

// A counter's increase per second. A counter that shrank was reset to 0 in between and counts from there.
class CounterRate {
 public:
  explicit CounterRate(Micros window) : ratio_(window) {}
  void Add(MonoTime at, double counter);
  std::optional<Windowed> Current() const { return ratio_.Current(); }

 private:
  std::optional<double> last_;
  double total_ = 0;
  WindowedRatio ratio_;
};

// Part of the processor time that was allowed: use over (elapsed time x processors). The number of
// processors may change between readings.
class CpuShare {
 public:
  explicit CpuShare(Micros window) : ratio_(window) {}
  // Preconditions: cores > 0, `at` does not go back.
  void Add(MonoTime at, std::chrono::microseconds used, double cores);
  std::optional<Windowed> Current() const { return ratio_.Current(); }

 private:
  std::optional<MonoTime> last_;
  double allowed_us_ = 0;
  WindowedRatio ratio_;
};

}  // namespace dyncast::agent
