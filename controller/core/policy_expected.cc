// Policies that reckon when a demand would be answered: auto, water-filling.
#include <algorithm>
#include <cmath>

#include "controller/core/policies.h"
#include "controller/core/water.h"

namespace dyncast::core {
namespace {

// What is known of an instance is never quite true: standard deviation in demands.
constexpr double kDoubt = 1;
// A demand that waits makes those behind it wait too: its wait counts so many times.
constexpr double kWaitWeight = 2;

// How much longer waits are than with exponential service times (Pollaczek, Khinchine).
constexpr double kQueueing = (1 + kServiceVariation * kServiceVariation) / 2;

// As far as it may be used yet.
Pace Warm(const Candidate& c) {
  Pace pace = c.pace;
  pace.workers *= static_cast<double>(c.warmth);
  pace.full_per_s *= static_cast<double>(c.warmth);
  return pace;
}

// Mean wait of a queue with `workers` servers at utilisation `u`, in service times: Sakasegawa's closed form
// (1977). From 0.98 on it goes on in a straight line.
double WaitAt(double workers, double u) {
  constexpr double kMost = 0.98;
  const double r = std::min(u, kMost);
  const double wait = std::pow(r, std::sqrt(2 * (workers + 1)) - 1) / (workers * (1 - r));
  return u <= kMost ? wait : wait * (1 + (u - kMost) / (1 - kMost));
}

class Auto final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kAuto; }
  ValueKind value_kind() const override { return ValueKind::kCost; }
  bool expects() const override { return true; }
  std::string_view formula() const override {
    return "lowest expected time until the answer: way there + max(way back, 2 * wait) + service; "
           "wait = demands before it beyond the free workers / capacity; of sessions (bindings with several "
           "requests): way there and back + service * (1 + what a queue adds at their use of the capacity)";
  }
  void Rate(const Situation& situation, Candidates candidates, Values value, Values capacity) const override {
    NetworkCost(candidates, value);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      const Pace pace = Warm(c);
      value[i] = situation.sessions ? OfSession(situation, c, pace, value[i]) : OfDemand(c, pace, value[i]);
      capacity[i] = pace.full_per_s;
    }
  }
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    WaterFillingPolicy().Weigh(situation, candidates, weight, capacity);
  }

 private:
  static double OfDemand(const Candidate& c, const Pace& pace, double network_s) {
    Crowd ahead = c.ahead;
    ahead.variance += kDoubt * kDoubt;
    const double wait = kWaitWeight * Waiting(ahead, 1, pace.workers) / pace.full_per_s;
    return 0.5 * network_s + std::max(0.5 * network_s, wait) + pace.service_s;
  }
  static double OfSession(const Situation& situation, const Candidate& c, const Pace& pace,
                          double network_s) {
    const double use =
        (static_cast<double>(c.bindings) + 1) * situation.requests_per_binding_s / pace.full_per_s;
    return network_s +
           pace.service_s * (1 + kWaitWeight * kQueueing * WaitAt(std::max(pace.workers, 0.1), use));
  }
};

class WaterFilling final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kWaterFilling; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override {
    return "in turn, in shares that make one demand more cost all of them the same: network + service + "
           "(1 / (1 - u)^2 - 1) / capacity, u: the share of the capacity that is used";
  }
  void Rate(const Situation& situation, Candidates candidates, Values value, Values capacity) const override {
    NetworkCost(candidates, value);
    // What comes: as bound, else as reported.
    double bound = 0;
    double reported = 0;
    double here = 0;
    for (const Candidate& c : candidates) {
      if (!c.eligible()) continue;
      bound += All(situation, c);
      here += Here(situation, c);
      reported += c.request_rate.value_or(0);
    }
    const bool by_bound = bound > 0;
    const bool known = std::any_of(candidates.begin(), candidates.end(),
                                   [](const Candidate& c) { return c.eligible() && c.pace.known; });
    for (size_t i = 0; i < candidates.size(); ++i) capacity[i] = Warm(candidates[i]).full_per_s;
    // In place: `value` is what the network costs until the parts are written.
    const auto basin = [&](size_t i) {
      const Candidate& c = candidates[i];
      return Basin{.network_s = value[i],
                   .service_s = c.pace.service_s,
                   .full_per_s = c.eligible() ? capacity[i] : 0,
                   .base_per_s = by_bound ? std::max(0.0, All(situation, c) - Here(situation, c)) : 0};
    };
    // What is not known is shared in proportion to capacity.
    Fill(candidates.size(), basin, !known ? 0 : (by_bound ? here : reported), value);
    double sum = 0;
    double eligible = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (!candidates[i].eligible()) continue;
      sum += value[i];
      ++eligible;
    }
    const double least = kLeastShare * sum / std::max(eligible, 1.0);
    for (double& v : value) v = std::max({v, least, kTiny});
  }
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    Rate(situation, candidates, weight, capacity);
  }

 private:
  static constexpr double kTiny = 1e-9;
  // Requests per second that the fabric sends there, and this D-Router alone.
  static double All(const Situation& situation, const Candidate& c) {
    return situation.sessions ? c.bindings * situation.requests_per_binding_s : c.bound_per_s;
  }
  static double Here(const Situation& situation, const Candidate& c) {
    return situation.sessions ? c.bindings_here * situation.requests_per_binding_s : c.bound_here_per_s;
  }
};

}  // namespace

const Policy& AutoPolicy() {
  static const Auto policy;
  return policy;
}

const Policy& WaterFillingPolicy() {
  static const WaterFilling policy;
  return policy;
}

}  // namespace dyncast::core
