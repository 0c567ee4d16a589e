#include "controller/core/policy.h"

#include <algorithm>
#include <cmath>

#include "controller/core/instance_metrics.h"

namespace dyncast::core {
namespace {

using Candidates = std::span<const Candidate>;
using Values = std::span<double>;

// No share may fall below this part of the mean: an instance without demands reports no rate, and would
// never be tried again.
constexpr double kLeastShare = 0.05;
constexpr double kMostOfMedian = 10;
// Between these utilisations the trust in rate / utilisation grows from none to full.
constexpr double kFullTrustUtilisation = 0.25;

// Mean over the eligible candidates for which `get` knows a value; nullopt if there is none.
template <typename Get>
std::optional<double> MeanOf(Candidates candidates, Get&& get, size_t* known = nullptr) {
  double sum = 0;
  size_t n = 0;
  for (const Candidate& c : candidates) {
    if (!c.eligible()) continue;
    const std::optional<double> v = get(c);
    if (!v || !std::isfinite(*v)) continue;
    sum += *v;
    ++n;
  }
  if (known != nullptr) *known = n;
  if (n == 0 || !std::isfinite(sum)) return std::nullopt;
  return sum / static_cast<double>(n);
}

// Capacity that does not change with use, in one unit for all: requests per second if every eligible
// candidate says so, else CPU cores (the mean where unknown), else 1.
void StaticCapacity(Candidates candidates, Values out) {
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
}

class RoundRobin final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kRoundRobin; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override { return "each in turn"; }
  void Rate(Candidates candidates, Values value, Values capacity) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      value[i] = static_cast<double>(candidates[i].warmth);
      capacity[i] = 0;
    }
  }
  void Weigh(Candidates candidates, Values weight, Values capacity) const override {
    Rate(candidates, weight, capacity);
  }
};

class Static final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kStatic; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override {
    return "in turn, in proportion to the static capacity: requests_per_s, else cpu_cores, else 1";
  }
  void Rate(Candidates candidates, Values value, Values capacity) const override {
    StaticCapacity(candidates, capacity);
    for (size_t i = 0; i < candidates.size(); ++i) {
      value[i] = capacity[i] * static_cast<double>(candidates[i].warmth);
    }
  }
  void Weigh(Candidates candidates, Values weight, Values capacity) const override {
    Rate(candidates, weight, capacity);
  }
};

class LeastLoaded final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kLeastLoaded; }
  ValueKind value_kind() const override { return ValueKind::kCost; }
  std::string_view formula() const override { return "lowest load (the mean of the others where unknown)"; }
  void Rate(Candidates candidates, Values value, Values capacity) const override {
    const double mean = MeanOf(candidates, [](const Candidate& c) { return c.load; }).value_or(0);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      const double load = c.load && std::isfinite(*c.load) ? *c.load : mean;
      // A cold instance looks as if the part that it may not yet use were in use.
      value[i] = std::max(load, 1 - (1 - load) * static_cast<double>(c.warmth));
      capacity[i] = 0;
    }
  }
  // What is free: who has twice as much free gets twice as many.
  void Weigh(Candidates candidates, Values weight, Values capacity) const override {
    const double mean = MeanOf(candidates, [](const Candidate& c) { return c.load; }).value_or(0);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      const double load = c.load && std::isfinite(*c.load) ? *c.load : mean;
      weight[i] = std::max(kLeastShare, 1 - load) * static_cast<double>(c.warmth);
      capacity[i] = 0;
    }
  }
};

class Weighted final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kWeighted; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override {
    return "in turn, in proportion to request rate / utilisation, smoothed (the mean of the others where "
           "unknown, 0.05 to 10 times the median; equal shares with fewer than two known)";
  }
  void Rate(Candidates candidates, Values value, Values capacity) const override {
    size_t known = 0;
    const std::optional<double> mean = MeanOf(
        candidates, [](const Candidate& c) { return c.estimate; }, &known);
    const bool usable = known >= 2 && mean && *mean > 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const std::optional<double>& e = candidates[i].estimate;
      const bool own = e && std::isfinite(*e) && *e > 0;
      capacity[i] = !usable ? 1 : (own ? *e : *mean);
    }
    if (usable) Bound(candidates, value, capacity);
    for (size_t i = 0; i < candidates.size(); ++i) {
      value[i] = capacity[i] * static_cast<double>(candidates[i].warmth);
    }
  }
  void Weigh(Candidates candidates, Values weight, Values capacity) const override {
    Rate(candidates, weight, capacity);
  }

 private:
  // `scratch` is overwritten.
  static void Bound(Candidates candidates, Values scratch, Values capacity) {
    size_t n = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].eligible()) scratch[n++] = capacity[i];
    }
    const auto middle = scratch.begin() + static_cast<std::ptrdiff_t>((n - 1) / 2);
    std::nth_element(scratch.begin(), middle, scratch.begin() + static_cast<std::ptrdiff_t>(n));
    const double median = *middle;
    for (double& c : capacity) c = std::clamp(c, kLeastShare * median, kMostOfMedian * median);
  }
};

class LeastBindings final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kLeastBindings; }
  ValueKind value_kind() const override { return ValueKind::kCost; }
  std::string_view formula() const override {
    return "lowest (bindings + 1) / capacity; capacity: request rate / utilisation, smoothed and trusted "
           "more the higher the utilisation; without a rate: static capacity * max(0.05, 1 - load)";
  }
  void Rate(Candidates candidates, Values value, Values capacity) const override {
    StaticCapacity(candidates, capacity);
    // How many requests per second one unit of static capacity makes, where that was seen.
    double ratio = 0;
    size_t known = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      if (!c.eligible() || !Usable(c.estimate)) continue;
      ratio += *c.estimate / capacity[i];
      ++known;
    }
    ratio = known > 0 ? ratio / static_cast<double>(known) : 1;
    if (!std::isfinite(ratio) || ratio <= 0) ratio = 1;
    const double mean_load = MeanOf(candidates, [](const Candidate& c) { return c.load; }).value_or(0);
    double sum = 0;
    size_t eligible = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      capacity[i] = Estimate(c, capacity[i] * ratio, mean_load);
      if (!c.eligible()) continue;
      sum += capacity[i];
      ++eligible;
    }
    const double least = eligible > 0 ? kLeastShare * sum / static_cast<double>(eligible) : 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      capacity[i] = std::max({capacity[i], least, 1e-9});
      value[i] = (static_cast<double>(c.bindings) + 1) / (capacity[i] * static_cast<double>(c.warmth));
    }
  }
  // Bindings in proportion to capacity are what the costs lead to.
  void Weigh(Candidates candidates, Values weight, Values capacity) const override {
    Rate(candidates, weight, capacity);
    for (size_t i = 0; i < candidates.size(); ++i) {
      weight[i] = capacity[i] * static_cast<double>(candidates[i].warmth);
    }
  }

 private:
  static bool Usable(const std::optional<double>& v) { return v && std::isfinite(*v) && *v > 0; }
  // `prior`: what the static capacity makes one expect, in the unit of the estimates.
  static double Estimate(const Candidate& c, double prior, double mean_load) {
    const double load = c.load && std::isfinite(*c.load) ? *c.load : mean_load;
    const bool serves = c.request_rate && *c.request_rate > 0;
    if (Usable(c.estimate) && serves) {
      // Near idle, utilisation is mostly that of others: there the prior counts.
      const double trust =
          std::clamp((load - kLeastUtilisation) / (kFullTrustUtilisation - kLeastUtilisation), 0.0, 1.0);
      return prior + trust * (*c.estimate - prior);
    }
    // Nothing says what part of the load is the demands' own: count on what is left.
    return prior * std::max(kLeastShare, 1 - load);
  }
};

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

const Policy& PolicyOf(PolicyKind kind) {
  static const RoundRobin round_robin;
  static const Static fixed;
  static const LeastLoaded least_loaded;
  static const Weighted weighted;
  static const LeastBindings least_bindings;
  switch (kind) {
    case PolicyKind::kRoundRobin: return round_robin;
    case PolicyKind::kStatic: return fixed;
    case PolicyKind::kLeastLoaded: return least_loaded;
    case PolicyKind::kWeighted: return weighted;
    case PolicyKind::kLeastBindings: return least_bindings;
  }
  return least_bindings;
}

}  // namespace dyncast::core
