// least-bindings.
#include <algorithm>
#include <cmath>

#include "controller/core/instance_metrics.h"
#include "controller/core/median.h"
#include "controller/core/policies.h"

namespace dyncast::core {
namespace {

// Between these utilisations the trust in rate / utilisation grows from none to full.
constexpr double kFullTrustUtilisation = 0.25;
// What figures that mean nothing become.
constexpr double kLeastCapacity = 1e-9;
constexpr double kMostCapacity = 1e15;

class LeastBindings final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kLeastBindings; }
  ValueKind value_kind() const override { return ValueKind::kCost; }
  bool prefers_fewer_here() const override { return true; }
  std::string_view formula() const override {
    return "lowest (bindings + 1) / capacity + network delay (where capacity is in requests/s); capacity: "
           "request rate / utilisation, smoothed and trusted more the higher the utilisation; without a "
           "rate: static capacity * max(0.05, 1 - load)";
  }
  void Rate(const Situation&, Candidates candidates, Values value, Values capacity) const override {
    const bool by_rate = StaticCapacity(candidates, capacity);
    // How many requests per second one unit of static capacity makes, where that was seen. Not the mean: no
    // claim may move what it is held against. `value` is scratch until then.
    size_t known = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      if (!c.eligible() || !Usable(c.estimate)) continue;
      const double ratio = *c.estimate / capacity[i];
      if (std::isfinite(ratio) && ratio > 0) value[known++] = ratio;
    }
    const double ratio = known > 0 ? LowerMedian(value.first(known)) : 1;
    NetworkCost(candidates, value);
    const double mean_load = MeanOf(candidates, [](const Candidate& c) { return c.load; }).value_or(0);
    double sum = 0;
    size_t eligible = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      capacity[i] = std::clamp(Estimate(c, capacity[i] * ratio, mean_load), kLeastCapacity, kMostCapacity);
      if (!c.eligible()) continue;
      sum += capacity[i];
      ++eligible;
    }
    const double least = eligible > 0 ? kLeastShare * sum / static_cast<double>(eligible) : 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      capacity[i] = std::max(capacity[i], least);
      const double network = by_rate || known > 0 ? value[i] : 0;
      value[i] =
          (static_cast<double>(c.bindings) + 1) / (capacity[i] * static_cast<double>(c.warmth)) + network;
    }
  }
  // Bindings in proportion to capacity are what the costs lead to.
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    Rate(situation, candidates, weight, capacity);
    for (size_t i = 0; i < candidates.size(); ++i) {
      weight[i] = capacity[i] * static_cast<double>(candidates[i].warmth);
    }
  }

 private:
  // `prior`: what the static capacity makes one expect, in the unit of the estimates.
  static double Estimate(const Candidate& c, double prior, double mean_load) {
    const double load = c.load && std::isfinite(*c.load) ? *c.load : mean_load;
    const bool serves = c.request_rate && *c.request_rate > 0;
    if (Usable(c.estimate) && serves) {
      // Near idle, utilisation is mostly that of others: there the prior counts.
      const double trust =
          std::clamp((load - kLeastUtilisation) / (kFullTrustUtilisation - kLeastUtilisation), 0.0, 1.0);
      const double most = kMostOfMedian * prior;
      const double trusted = prior + trust * (std::min(*c.estimate, most) - prior);
      // What it serves would need that much even if more of it were busy than was seen. Otherwise one whose
      // peers are kept busy by other work would be taken for as slow as they are.
      const double proven = *c.estimate * std::max(load, kLeastUtilisation) / (load + kFullTrustUtilisation);
      return std::max(trusted, std::min(proven, most));
    }
    // Nothing says what part of the load is the demands' own: count on what is left.
    return prior * std::max(kLeastShare, 1 - load);
  }
};

}  // namespace

const Policy& LeastBindingsPolicy() {
  static const LeastBindings policy;
  return policy;
}

}  // namespace dyncast::core
