#include "controller/core/policy.h"

#include <algorithm>
#include <cmath>

#include "controller/core/policies.h"

namespace dyncast::core {
namespace {

// What a lost packet costs: a sender waits about this long before it sends it again (RFC 6298).
constexpr double kRetransmission_s = 1;
constexpr double kMostLossCost_s = 60;

}  // namespace

std::string_view ExclusionName(Exclusion exclusion) {
  switch (exclusion) {
    case Exclusion::kNone: return "";
    case Exclusion::kDown: return "down";
    case Exclusion::kDraining: return "draining";
    case Exclusion::kFamily: return "family";
    case Exclusion::kFull: return "max-sessions";
    case Exclusion::kSurplus: return "too-many-instances";
  }
  return "?";
}

bool StaticCapacity(Candidates candidates, Values out) {
  size_t eligible = 0;
  size_t rated = 0;
  size_t cored = 0;
  for (const Candidate& c : candidates) {
    if (!c.eligible()) continue;
    ++eligible;
    if (c.rated_requests_per_s) ++rated;
    if (c.cpu_cores) ++cored;
  }
  // The rate if all have it, or if nobody has anything else.
  const bool by_rate = rated > 0 && (rated == eligible || cored == 0);
  const auto get = [by_rate](const Candidate& c) { return by_rate ? c.rated_requests_per_s : c.cpu_cores; };
  double mean = MeanOf(candidates, get).value_or(1);
  if (!(mean > 0)) mean = 1;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const std::optional<double> v = get(candidates[i]);
    out[i] = v && std::isfinite(*v) && *v > 0 ? *v : mean;
  }
  return by_rate;
}

void NetworkCost(Candidates candidates, Values out) {
  const auto known = [](const Candidate& c) -> std::optional<double> {
    if (c.rtt_s && std::isfinite(*c.rtt_s) && *c.rtt_s >= 0) return c.rtt_s;
    return std::nullopt;
  };
  const double mean = MeanOf(candidates, known).value_or(0);
  for (size_t i = 0; i < candidates.size(); ++i) {
    out[i] = known(candidates[i]).value_or(mean);
    const double loss = candidates[i].loss.value_or(0);
    if (!(loss > 0)) continue;
    out[i] += loss < 1 ? std::min(kMostLossCost_s, loss / (1 - loss) * kRetransmission_s) : kMostLossCost_s;
  }
}

const Policy& PolicyOf(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kRoundRobin: return RoundRobinPolicy();
    case PolicyKind::kStatic: return StaticPolicy();
    case PolicyKind::kLeastLoaded: return LeastLoadedPolicy();
    case PolicyKind::kWeighted: return WeightedPolicy();
    case PolicyKind::kLeastBindings: return LeastBindingsPolicy();
    case PolicyKind::kLowestDelay: return LowestDelayPolicy();
    case PolicyKind::kPowerOfTwo: return PowerOfTwoPolicy();
    case PolicyKind::kWaterFilling: return WaterFillingPolicy();
    case PolicyKind::kAuto: return AutoPolicy();
  }
  return AutoPolicy();
}

}  // namespace dyncast::core
