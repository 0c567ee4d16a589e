#include "tests/sim/outcome.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dyncast::sim {

void SumUp(std::vector<uint32_t>* latencies_us, Outcome* outcome) {
  outcome->requests = latencies_us->size();
  if (latencies_us->empty()) return;
  const double sum = std::accumulate(latencies_us->begin(), latencies_us->end(), 0.0);
  outcome->mean_s = sum / static_cast<double>(latencies_us->size()) * 1e-6;
  // From the highest down: each nth_element has less left to look at.
  auto end = latencies_us->end();
  const auto quantile = [&](double q) {
    const auto rank =
        static_cast<std::ptrdiff_t>(std::ceil(q * static_cast<double>(latencies_us->size()))) - 1;
    const auto at = latencies_us->begin() + std::max<std::ptrdiff_t>(rank, 0);
    std::nth_element(latencies_us->begin(), at, end);
    end = at + 1;
    return *at * 1e-6;
  };
  outcome->max_s = quantile(1);
  outcome->p999_s = quantile(0.999);
  outcome->p99_s = quantile(0.99);
  outcome->p90_s = quantile(0.9);
  outcome->p50_s = quantile(0.5);
}

}  // namespace dyncast::sim
