// One run: a scenario, a policy, a virtual clock. Nothing waits and nothing is random but by the seed: the
// same run gives the same outcome.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"
#include "schema/model/service.h"
#include "tests/sim/oracle.h"
#include "tests/sim/outcome.h"
#include "tests/sim/scenario.h"
#include "tests/sim/topology.h"
#include "tests/sim/trace.h"

namespace dyncast::sim {

// A scenario with the files that it names.
struct Loaded {
  Scenario scenario;
  Topology topology;
  std::optional<Trace> trace;
};
Result<Loaded> Load(const std::string& path);
Result<Loaded> Prepare(Scenario scenario);

// A policy of the core, or a reference.
struct PolicyChoice {
  std::string name;
  std::optional<PolicyKind> policy;
  Reference reference = Reference::kOracle;  // without `policy`
};
// All policies that the configuration knows, and the references: the oracle first.
std::vector<PolicyChoice> AllPolicies();
std::optional<PolicyChoice> FindPolicy(std::string_view name);

struct RunSpec {
  PolicyChoice policy;
  Micros period{0};
  Ending ending = Ending::kFin;
  Dispatch dispatch = Dispatch::kReactive;
  uint64_t seed = 1;
};

// `loaded` must outlive the call.
Outcome Simulate(const Loaded& loaded, const RunSpec& spec);

}  // namespace dyncast::sim
