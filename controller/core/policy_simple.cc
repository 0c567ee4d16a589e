// Policies that look at one figure of each candidate, or at none.
#include <algorithm>
#include <cmath>
#include <limits>

#include "controller/core/median.h"
#include "controller/core/policies.h"

namespace dyncast::core {
namespace {

class RoundRobin final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kRoundRobin; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override { return "each in turn"; }
  void Rate(const Situation&, Candidates candidates, Values value, Values capacity) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      value[i] = static_cast<double>(candidates[i].warmth);
      capacity[i] = 0;
    }
  }
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    Rate(situation, candidates, weight, capacity);
  }
};

class Static final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kStatic; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override {
    return "in turn, in proportion to the static capacity: requests_per_s, else cpu_cores, else 1";
  }
  void Rate(const Situation&, Candidates candidates, Values value, Values capacity) const override {
    StaticCapacity(candidates, capacity);
    for (size_t i = 0; i < candidates.size(); ++i) {
      value[i] = capacity[i] * static_cast<double>(candidates[i].warmth);
    }
  }
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    Rate(situation, candidates, weight, capacity);
  }
};

// What a policy that goes by load compares: 1 is fully loaded, more is no different. Unknown: the mean of the
// others. A cold instance looks as if the part that it may not yet use were in use.
void LoadCost(Candidates candidates, Values value, Values capacity) {
  const double mean = MeanOf(candidates, [](const Candidate& c) { return c.load; }).value_or(0);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    const double load = std::clamp(c.load && std::isfinite(*c.load) ? *c.load : mean, 0.0, 1.0);
    value[i] = std::max(load, 1 - (1 - load) * static_cast<double>(c.warmth));
    capacity[i] = 0;
  }
}

class LeastLoaded final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kLeastLoaded; }
  ValueKind value_kind() const override { return ValueKind::kCost; }
  std::string_view formula() const override {
    return "lowest load (the mean of the others where unknown; from 1 on all are alike)";
  }
  void Rate(const Situation&, Candidates candidates, Values value, Values capacity) const override {
    LoadCost(candidates, value, capacity);
  }
  // What is free: who has twice as much free gets twice as many.
  void Weigh(const Situation&, Candidates candidates, Values weight, Values capacity) const override {
    LoadCost(candidates, weight, capacity);
    for (double& w : weight) w = std::max(kLeastShare, 1 - w);
  }
};

class PowerOfTwo final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kPowerOfTwo; }
  ValueKind value_kind() const override { return ValueKind::kCost; }
  size_t draws() const override { return 2; }
  std::string_view formula() const override {
    return "the lower load of two drawn at random (the mean of the others where unknown; from 1 on all are "
           "alike)";
  }
  void Rate(const Situation&, Candidates candidates, Values value, Values capacity) const override {
    LoadCost(candidates, value, capacity);
  }
  // How likely each is the better of two: it beats those with more load, and every second with as much.
  void Weigh(const Situation&, Candidates candidates, Values weight, Values capacity) const override {
    LoadCost(candidates, capacity, weight);
    double eligible = 0;
    for (const Candidate& c : candidates) eligible += c.eligible() ? 1 : 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      double beaten = 0;
      for (size_t k = 0; k < candidates.size(); ++k) {
        if (k == i || !candidates[k].eligible()) continue;
        beaten += capacity[k] > capacity[i] ? 1 : (capacity[k] < capacity[i] ? 0 : 0.5);
      }
      weight[i] = std::max(kLeastShare, eligible > 1 ? 2 * beaten / (eligible - 1) : 1);
    }
    std::fill(capacity.begin(), capacity.end(), 0);
  }
};

class LowestDelay final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kLowestDelay; }
  ValueKind value_kind() const override { return ValueKind::kCost; }
  std::string_view formula() const override {
    return "lowest round-trip time from the D-Router (the highest of the others where unknown)";
  }
  void Rate(const Situation&, Candidates candidates, Values value, Values capacity) const override {
    double highest = 0;
    for (const Candidate& c : candidates) {
      if (c.eligible() && Known(c)) highest = std::max(highest, *c.rtt_s);
    }
    for (size_t i = 0; i < candidates.size(); ++i) {
      value[i] = Known(candidates[i]) ? *candidates[i].rtt_s : highest;
      capacity[i] = 0;
    }
  }
  // All to the nearest, in equal parts to those that are hardly farther. The others keep what is as good as
  // nothing, so that a change of delays is a change of weights, with their gap.
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    Rate(situation, candidates, weight, capacity);
    double least = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].eligible()) least = std::min(least, weight[i]);
    }
    for (size_t i = 0; i < candidates.size(); ++i) {
      const bool near = weight[i] <= least + std::max(kNearPart * least, kNear_s);
      weight[i] = (near ? 1 : kFarShare) * static_cast<double>(candidates[i].warmth);
    }
  }

 private:
  static constexpr double kNearPart = 0.05;
  static constexpr double kNear_s = 0.0002;
  static constexpr double kFarShare = 1e-6;
  static bool Known(const Candidate& c) { return c.rtt_s && std::isfinite(*c.rtt_s) && *c.rtt_s >= 0; }
};

class Weighted final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kWeighted; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override {
    return "in turn, in proportion to request rate / utilisation, smoothed (the mean of the others where "
           "unknown, 0.05 to 10 times the median; equal shares with fewer than two known)";
  }
  void Rate(const Situation&, Candidates candidates, Values value, Values capacity) const override {
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
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    Rate(situation, candidates, weight, capacity);
  }

 private:
  // `scratch` is overwritten.
  static void Bound(Candidates candidates, Values scratch, Values capacity) {
    size_t n = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].eligible()) scratch[n++] = capacity[i];
    }
    const double median = LowerMedian(scratch.first(n));
    for (double& c : capacity) c = std::clamp(c, kLeastShare * median, kMostOfMedian * median);
  }
};

}  // namespace

const Policy& RoundRobinPolicy() {
  static const RoundRobin policy;
  return policy;
}

const Policy& StaticPolicy() {
  static const Static policy;
  return policy;
}

const Policy& LeastLoadedPolicy() {
  static const LeastLoaded policy;
  return policy;
}

const Policy& PowerOfTwoPolicy() {
  static const PowerOfTwo policy;
  return policy;
}

const Policy& LowestDelayPolicy() {
  static const LowestDelay policy;
  return policy;
}

const Policy& WeightedPolicy() {
  static const Weighted policy;
  return policy;
}

}  // namespace dyncast::core
