// Random numbers that are the same on every machine: the engine is defined by the standard, the
// distributions are made here.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

namespace dyncast::sim {

// Spreads what differs in some bits over all of them.
inline uint64_t Scramble(uint64_t x) {
  x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93ull;
  x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93ull;
  return x ^ (x >> 32);
}

class Random {
 public:
  // Streams of one seed are independent of each other: how much is drawn from one changes no other.
  Random(uint64_t seed, uint64_t stream) : engine_(Scramble(seed ^ Scramble(stream + 1))) {}

  uint64_t Bits() { return engine_(); }
  // [0, 1)
  double Uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  // Below n, which is > 0.
  size_t Below(size_t n) { return static_cast<size_t>(Uniform() * static_cast<double>(n)); }
  double Exponential(double mean) { return -mean * std::log1p(-Uniform()); }
  double Normal() {
    const double radius = std::sqrt(-2 * std::log1p(-Uniform()));
    return radius * std::cos(2 * std::numbers::pi * Uniform());
  }
  // With mean `mean`; `sigma` is the standard deviation of the logarithm.
  double Lognormal(double mean, double sigma) {
    return mean * std::exp(sigma * Normal() - sigma * sigma / 2);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace dyncast::sim
