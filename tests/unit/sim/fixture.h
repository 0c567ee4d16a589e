// Small scenarios for the simulator's tests.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/sim/simulation.h"

namespace dyncast::sim {

inline constexpr std::string_view kSmall = R"(name: small
routers: [{name: r1}]
edges:
  - {name: e1, instances: [{name: i1, workers: 2}]}
  - {name: e2, instances: [{name: i2, workers: 4}]}
demands:
  - {load: 0.6, work: {mean: 20ms}}
duration: 20s
warm_up: 2s
)";

inline Scenario Parsed(std::string_view yaml) {
  Result<Scenario> scenario = ParseScenario(yaml, "s.yaml");
  EXPECT_TRUE(scenario.ok()) << scenario.error().ToString();
  return scenario.ok() ? std::move(*scenario) : Scenario{};
}

inline Loaded Prepared(Scenario scenario) {
  Result<Loaded> loaded = Prepare(std::move(scenario));
  EXPECT_TRUE(loaded.ok()) << loaded.error().ToString();
  return std::move(*loaded);
}

inline RunSpec Spec(const Scenario& s, std::string_view policy, uint64_t seed = 1) {
  return {.policy = FindPolicy(policy).value(),
          .period = s.reports.period,
          .ending = s.ending,
          .dispatch = s.dispatch,
          .seed = seed};
}

}  // namespace dyncast::sim
