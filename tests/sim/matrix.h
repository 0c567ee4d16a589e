// Many runs: scenarios x policies x periods x endings x dispatch x seeds, each beside its oracle.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/simulation.h"

namespace dyncast::sim {

struct MatrixSpec {
  std::vector<const Loaded*> scenarios;
  std::vector<PolicyChoice> policies;
  // Empty ones: what the scenario says.
  std::vector<Micros> periods;
  std::vector<Ending> endings;
  std::vector<Dispatch> dispatches;
  std::vector<uint64_t> seeds;
  unsigned threads = 1;
};

// One cell over all seeds.
struct Cell {
  const Loaded* loaded = nullptr;
  PolicyChoice policy;
  Micros period{0};
  Ending ending = Ending::kFin;
  Dispatch dispatch = Dispatch::kReactive;
  std::vector<uint64_t> seeds;
  std::vector<Outcome> outcomes;  // of each seed
  std::vector<Outcome> oracles;   // of the oracle with the same seed

  // Mean over the seeds of what `get` reads.
  double Mean(const std::function<double(const Outcome&)>& get) const;
  // Mean over the seeds of the ratio to the oracle, and the standard error of that mean (0 with one seed).
  struct Ratio {
    double mean = 0;
    double error = 0;
  };
  Ratio ToOracle(double Outcome::*member) const;
};

// In the order scenarios, endings, dispatches, periods, policies, whatever the threads. The oracle needs no
// reports: it runs once for each scenario and seed.
std::vector<Cell> RunMatrix(const MatrixSpec& spec);

}  // namespace dyncast::sim
