// What one run found, and how runs are summed up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schema/base/time.h"

namespace dyncast::sim {

// Requests present at each instance over a part of the run, for plots.
struct Series {
  Micros from{0};
  Micros step{0};
  std::vector<std::vector<float>> present;  // [instance][step]: served and waiting, over workers
  std::vector<std::vector<float>> share;    // [instance][second]: part of the demands decided in it
};

struct Outcome {
  uint64_t demands = 0;   // decided and counted
  uint64_t requests = 0;  // answered and counted
  uint64_t refused = 0;
  // From a request at its D-Router until its answer is there, of the counted ones.
  double mean_s = 0;
  double p50_s = 0;
  double p90_s = 0;
  double p99_s = 0;
  double p999_s = 0;
  double max_s = 0;
  // Standard deviation over mean, across the instances, of (requests present / capacity): mean over time.
  double imbalance = 0;
  // Half the sum over the instances of |share of this second's demands - share of the last second's|: mean
  // over seconds.
  double moved_share_per_s = 0;
  uint64_t reports_sent = 0;  // by agents: of metrics and of paths
  uint64_t messages_lost = 0;
  uint64_t plans = 0;            // whole plans sent to D-Routers
  uint64_t bindings_pushed = 0;  // binding flows sent to D-Routers
  double slots_moved_per_s = 0;  // dispatch learn: part of all slots that changed hands in a second
  uint64_t events = 0;
  Series series;
};

// Sorts. `latencies_us` in microseconds.
void SumUp(std::vector<uint32_t>* latencies_us, Outcome* outcome);

}  // namespace dyncast::sim
