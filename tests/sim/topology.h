// A scenario with everything resolved: instances in one row, delays as a matrix, clients at their D-Routers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/time.h"
#include "tests/sim/scenario.h"
#include "tests/sim/trace.h"

namespace dyncast::sim {

struct Topology {
  struct Instance {
    std::string name;
    uint32_t service = 0;
    uint32_t edge = 0;
    uint32_t workers = 1;
    double speed = 1;
    // Seconds of work per second.
    double capacity() const { return workers * speed; }
  };
  std::vector<Instance> instances;          // in the order of the file
  std::vector<std::vector<Micros>> delays;  // [router][edge], one way
  // With clients' positions: the D-Router of each client; else empty.
  std::vector<uint32_t> client_routers;
  std::vector<double> router_shares;  // running sum of the shares, the last is 1
  // Of each service's requests; what the oracle expects: mean, and squared coefficient of variation.
  std::vector<double> work_means_s;
  std::vector<double> work_variations;

  Micros DelayTo(uint32_t router, uint32_t instance) const {
    return delays[router][instances[instance].edge];
  }
};

// Reads the files with positions. Errors name file, line, value and rule. `trace`: null without one.
Result<Topology> MakeTopology(const Scenario& scenario, const Trace* trace);

}  // namespace dyncast::sim
