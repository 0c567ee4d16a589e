// What comes in: the same demands with the same work for every policy (common random numbers), since nothing
// here depends on what was decided.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "schema/base/time.h"
#include "tests/sim/random.h"
#include "tests/sim/scenario.h"
#include "tests/sim/topology.h"
#include "tests/sim/trace.h"

namespace dyncast::sim {

// One demand: a flow with one request, or a session with several.
struct Arrival {
  Micros at{0};
  uint32_t service = 0;
  uint32_t router = 0;
  uint32_t client = 0;
  double work_s = 0;  // of the request; of a session's first one
  bool session = false;
  // Of a session: its other requests, in the order of time, and how long it lasts at least.
  struct Request {
    Micros at{0};
    double work_s = 0;
  };
  std::vector<Request> later;
  Micros ends{0};
  double offered_work = 0;  // of a session: mean seconds of work per second
};

class Workload {
 public:
  // `trace`: where the scenario has one; all must outlive this.
  Workload(const Scenario& scenario, const Topology& topology, const Trace* trace, uint64_t seed);

  // The next demand in the order of time; false when there is none before the scenario's duration.
  bool Next(Arrival* arrival);

 private:
  struct Source {
    const DemandSpec* spec = nullptr;
    uint32_t service = 0;
    double gap_s = 0;  // mean
    Micros next{0};
    Random arrivals;
    Random works;
    Random clients;
  };
  bool NextOfTrace(Arrival* arrival);
  void Schedule(Source* source) const;
  double Work(const WorkSpec& spec, Random* random) const;
  void AddSession(Source* source, Arrival* arrival) const;

  const Scenario& scenario_;
  const Topology& topology_;
  const Trace* const trace_;
  size_t row_ = 0;
  std::vector<Source> sources_;
};

}  // namespace dyncast::sim
