#include "tests/sim/simulation.h"

#include <algorithm>
#include <utility>

#include "tests/sim/csv.h"
#include "tests/sim/world.h"

namespace dyncast::sim {

Result<Loaded> Prepare(Scenario scenario) {
  Loaded loaded{.scenario = std::move(scenario), .topology = {}, .trace = std::nullopt};
  const Scenario& s = loaded.scenario;
  if (!s.trace.empty()) {
    const std::string path = s.folder.empty() ? s.trace : s.folder + "/" + s.trace;
    const Result<std::string> text = ReadFile(path, kMaxTraceBytes);
    if (!text.ok()) return text.error();
    std::vector<bool> served(s.services.size(), false);
    for (const EdgeSpec& edge : s.edges) {
      for (const InstanceSpec& instance : edge.instances) {
        const auto at = std::find(s.services.begin(), s.services.end(), instance.service);
        served[static_cast<size_t>(at - s.services.begin())] = true;
      }
    }
    Result<Trace> trace = ParseTrace(*text, path, s.services, served);
    if (!trace.ok()) return trace.error();
    loaded.trace = std::move(*trace);
  }
  Result<Topology> topology = MakeTopology(s, loaded.trace ? &*loaded.trace : nullptr);
  if (!topology.ok()) return topology.error();
  loaded.topology = std::move(*topology);
  if (loaded.trace) AssignRouters(loaded.topology.router_shares, &*loaded.trace);
  return loaded;
}

Result<Loaded> Load(const std::string& path) {
  Result<Scenario> scenario = LoadScenario(path);
  if (!scenario.ok()) return scenario.error();
  return Prepare(std::move(*scenario));
}

std::vector<PolicyChoice> AllPolicies() {
  std::vector<PolicyChoice> all = {
      {.name = "oracle", .policy = std::nullopt, .reference = Reference::kOracle},
      {.name = "clairvoyant", .policy = std::nullopt, .reference = Reference::kClairvoyant}};
  for (int i = 0; i < 256; ++i) {
    const auto kind = static_cast<PolicyKind>(i);
    const std::string name(PolicyKindName(kind));
    if (name == "?") break;
    all.push_back({.name = name, .policy = kind});
  }
  return all;
}

std::optional<PolicyChoice> FindPolicy(std::string_view name) {
  for (PolicyChoice& policy : AllPolicies()) {
    if (policy.name == name) return std::move(policy);
  }
  return std::nullopt;
}

Outcome Simulate(const Loaded& loaded, const RunSpec& spec) { return World(loaded, spec).Run(); }

}  // namespace dyncast::sim
