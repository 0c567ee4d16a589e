// Policies that reckon when a demand would be answered: auto, water-filling.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "controller/core/policies.h"
#include "controller/core/water.h"

namespace dyncast::core {
namespace {

// When nobody says or shows how long a request takes.
constexpr double kUnknownService_s = 0.01;
// How sharply waiting begins where all workers are busy, in demands: what is known of an instance is never
// quite true.
constexpr double kSoftness = 0.5;

// How an instance serves, with what is not known of it put in from the others.
struct Pace {
  double service_s = 0;
  double workers = 0;
  double full_per_s = 0;
};

class Paces {
 public:
  // `fixed`: static capacities.
  Paces(const Situation& situation, Candidates candidates, std::span<const double> fixed)
      : sessions_(situation.sessions) {
    double workers = 0;
    double workers_n = 0;
    double full = 0;
    double full_n = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      if (!c.eligible()) continue;
      if (Usable(c.workers)) {
        workers += *c.workers / fixed[i];
        ++workers_n;
      }
      if (Usable(c.full_per_s)) {
        full += *c.full_per_s / fixed[i];
        ++full_n;
      }
    }
    service_s_ =
        MeanOf(candidates, [](const Candidate& c) { return c.service_s; }).value_or(kUnknownService_s);
    if (!(service_s_ > 0)) service_s_ = kUnknownService_s;
    if (workers_n > 0 && std::isfinite(workers)) workers_ = workers / workers_n;
    if (full_n > 0 && std::isfinite(full)) full_ = full / full_n;
  }

  Pace Of(const Candidate& c, double fixed) const {
    Pace pace;
    pace.service_s = std::clamp(Usable(c.service_s) ? *c.service_s : service_s_, 1e-7, 1e6);
    if (Usable(c.workers)) {
      pace.workers = *c.workers;
    } else if (Usable(c.full_per_s)) {
      pace.workers = *c.full_per_s * pace.service_s;
    } else if (workers_ > 0) {
      pace.workers = workers_ * fixed;
    } else if (full_ > 0) {
      pace.workers = full_ * fixed * pace.service_s;
    } else {
      pace.workers = c.cpu_cores ? *c.cpu_cores : 1;
    }
    if (workers_ > 0) {
      pace.workers =
          std::clamp(pace.workers, kLeastShare * workers_ * fixed, kMostOfMedian * workers_ * fixed);
    }
    pace.workers = std::clamp(pace.workers, 1e-3, 1e9);
    pace.full_per_s = pace.workers / pace.service_s;
    if (sessions_ && Usable(c.full_per_s)) pace.full_per_s = *c.full_per_s;
    const double warmth = static_cast<double>(c.warmth);
    pace.workers *= warmth;
    pace.full_per_s *= warmth;
    return pace;
  }

 private:
  bool sessions_;
  double service_s_ = 0;
  double workers_ = 0;  // per unit of static capacity; 0: not known
  double full_ = 0;
};

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
    return "lowest expected time until the answer: way there + max(way back, wait) + service; wait = demands "
           "before it beyond the free workers / capacity";
  }
  void Rate(const Situation& situation, Candidates candidates, Values value, Values capacity) const override {
    NetworkCost(candidates, value);
    StaticCapacity(candidates, capacity);
    const Paces paces(situation, candidates, capacity);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      const Pace pace = paces.Of(c, capacity[i]);
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
    const double over = c.ahead + 1 - pace.workers;
    const double soft = kSoftness + 0.8 * c.spread;
    const double wait = 0.5 * (over + std::sqrt(over * over + soft * soft)) / pace.full_per_s;
    return 0.5 * network_s + std::max(0.5 * network_s, wait) + pace.service_s;
  }
  static double OfSession(const Situation& situation, const Candidate& c, const Pace& pace,
                          double network_s) {
    const double use =
        (static_cast<double>(c.bindings) + 1) * situation.requests_per_binding_s / pace.full_per_s;
    return network_s + pace.service_s * (1 + WaitAt(std::max(pace.workers, 0.1), use));
  }
};

class WaterFilling final : public Policy {
 public:
  PolicyKind kind() const override { return PolicyKind::kWaterFilling; }
  ValueKind value_kind() const override { return ValueKind::kShare; }
  std::string_view formula() const override {
    return "in turn, in shares that make network + service + wait equal: wait = u / (capacity * (1 - u))";
  }
  void Rate(const Situation& situation, Candidates candidates, Values value, Values capacity) const override {
    NetworkCost(candidates, value);
    StaticCapacity(candidates, capacity);
    const Paces paces(situation, candidates, capacity);
    thread_local std::vector<Basin> basins;
    basins.clear();
    double here_per_s = 0;
    size_t eligible = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& c = candidates[i];
      const Pace pace = paces.Of(c, capacity[i]);
      capacity[i] = pace.full_per_s;
      if (!c.eligible()) continue;
      ++eligible;
      const double all = situation.sessions ? c.bindings * situation.requests_per_binding_s : c.bound_per_s;
      const double here =
          situation.sessions ? c.bindings_here * situation.requests_per_binding_s : c.bound_here_per_s;
      basins.push_back({.network_s = value[i],
                        .service_s = pace.service_s,
                        .full_per_s = pace.full_per_s,
                        .base_per_s = std::max(0.0, all - here)});
      here_per_s += here;
    }
    thread_local std::vector<double> parts;
    parts.assign(basins.size(), 0);
    Fill(basins, here_per_s, parts);
    double sum = 0;
    for (const double part : parts) sum += part;
    const double least = kLeastShare * sum / static_cast<double>(std::max<size_t>(eligible, 1));
    size_t next = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      value[i] = 0;
      if (candidates[i].eligible()) value[i] = std::max(parts[next++], least);
    }
  }
  void Weigh(const Situation& situation, Candidates candidates, Values weight,
             Values capacity) const override {
    Rate(situation, candidates, weight, capacity);
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
