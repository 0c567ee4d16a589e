#include "controller/core/chooser.h"

#include <algorithm>
#include <cmath>

#include "controller/core/mix.h"

namespace dyncast::core {
namespace {

// How many decisions a candidate's recent share is of.
constexpr double kRecent = 32;

// Compared as they are recorded; what differs less is a tie.
bool Less(double a, double b) { return static_cast<float>(a) < static_cast<float>(b); }

}  // namespace

std::string_view NoInstanceReasonName(NoInstanceReason reason) {
  switch (reason) {
    case NoInstanceReason::kNoneKnown: return "no instance is known";
    case NoInstanceReason::kAllDown: return "all instances are down";
    case NoInstanceReason::kAllDraining: return "all instances are draining or down";
    case NoInstanceReason::kOtherFamily: return "no instance of the demand's address family is up";
  }
  return "?";
}

NoInstanceReason WhyNoInstance(const std::vector<Candidate>& candidates) {
  if (candidates.empty()) return NoInstanceReason::kNoneKnown;
  bool draining = false;
  bool family = false;
  for (const Candidate& c : candidates) {
    draining = draining || c.exclusion == Exclusion::kDraining;
    family = family || c.exclusion == Exclusion::kFamily;
  }
  if (draining) return NoInstanceReason::kAllDraining;
  return family ? NoInstanceReason::kOtherFamily : NoInstanceReason::kAllDown;
}

size_t AdmitEligible(std::vector<Candidate>* candidates) {
  size_t eligible = 0;
  for (const Candidate& c : *candidates) eligible += c.eligible() ? 1 : 0;
  if (eligible == 0) {
    for (Candidate& c : *candidates) {
      if (c.exclusion != Exclusion::kFull) continue;
      c.exclusion = Exclusion::kNone;
      ++eligible;
    }
  }
  return eligible;
}

void BoundWeights(std::span<double> weights, double max_share) {
  size_t n = 0;
  double rest = 0;
  for (const double w : weights) {
    if (!(w > 0) || !std::isfinite(w)) continue;
    ++n;
    rest += w;
  }
  if (n == 0 || !std::isfinite(rest) || max_share * static_cast<double>(n) <= 1) {
    if (max_share < 1) {
      for (double& w : weights) w = w > 0 && std::isfinite(w) ? 1 : w;
    }
    return;
  }
  // The largest are cut one after the other; what they lose makes the others' parts larger.
  double left = 1;  // of the whole, for those that are not cut
  std::vector<double> shares(weights.begin(), weights.end());
  for (;;) {
    size_t largest = shares.size();
    for (size_t i = 0; i < shares.size(); ++i) {
      if (shares[i] > 0 && (largest == shares.size() || shares[i] > shares[largest])) largest = i;
    }
    if (largest == shares.size() || weights[largest] / rest * left <= max_share * (1 + 1e-12)) break;
    rest -= weights[largest];
    left -= max_share;
    shares[largest] = 0;
  }
  for (size_t i = 0; i < shares.size(); ++i) {
    if (!(weights[i] > 0) || !std::isfinite(weights[i])) continue;
    weights[i] = shares[i] > 0 ? weights[i] / rest * left : max_share;
  }
}

void Chooser::BoundShares(double max_share, std::vector<Candidate>* candidates) const {
  if (max_share >= 1) return;
  size_t eligible = 0;
  for (const Candidate& c : *candidates) eligible += c.eligible() ? 1 : 0;
  const double most = std::max(max_share, 1 / static_cast<double>(eligible)) + 0.5 / kRecent;
  size_t left = eligible;
  for (Candidate& c : *candidates) {
    if (!c.eligible() || c.recent * (1 - 1 / kRecent) + 1 / kRecent <= most || left <= 1) continue;
    c.in_draw = false;
    --left;
  }
}

void Chooser::Draw(size_t draws, std::vector<Candidate>* candidates) const {
  size_t left = 0;
  for (const Candidate& c : *candidates) left += c.eligible() && c.in_draw ? 1 : 0;
  if (draws == 0 || left <= draws) return;
  uint64_t random = Mix(seed_ ^ 0xC2B2AE3D27D4EB4Full, choices_ * 0x9E3779B97F4A7C15ull + 1);
  // Each of those that are left is taken with the same chance (selection sampling).
  for (Candidate& c : *candidates) {
    if (!c.eligible() || !c.in_draw) continue;
    random = Mix(random ^ 0xA0761D6478BD642Full, 0xE7037ED1A0B428DBull);
    const bool taken = draws > 0 && random % left < draws;
    if (taken) --draws;
    c.in_draw = taken;
    --left;
  }
}

bool Chooser::Before(const std::vector<Candidate>& candidates, size_t a, size_t b) const {
  if (candidates[a].in_draw != candidates[b].in_draw) return candidates[a].in_draw;
  if (Less(costs_[a], costs_[b])) return true;
  if (Less(costs_[b], costs_[a])) return false;
  const Candidate& x = candidates[a];
  const Candidate& y = candidates[b];
  if (fewer_here_ && x.bindings_here != y.bindings_here) return x.bindings_here < y.bindings_here;
  if (x.chosen_at != y.chosen_at) return x.chosen_at < y.chosen_at;
  const uint64_t hx = Mix(seed_ ^ 0x9E3779B97F4A7C15ull, x.instance.value() + 0x2545F4914F6CDD1Dull);
  const uint64_t hy = Mix(seed_ ^ 0x9E3779B97F4A7C15ull, y.instance.value() + 0x2545F4914F6CDD1Dull);
  if (hx != hy) return hx < hy;
  return x.instance < y.instance;
}

Choice Chooser::Choose(const Policy& policy, const Situation& situation, double max_share,
                       std::vector<Candidate>* candidates) {
  const size_t n = candidates->size();
  values_.resize(n);
  costs_.resize(n);
  capacities_.resize(n);
  const size_t eligible = AdmitEligible(candidates);
  if (eligible == 0) return NoInstance{.reason = WhyNoInstance(*candidates)};

  fewer_here_ = policy.prefers_fewer_here();
  BoundShares(max_share, candidates);
  Draw(policy.draws(), candidates);
  policy.Rate(situation, *candidates, values_, capacities_);
  const bool shares = policy.value_kind() == ValueKind::kShare;
  double total = 0;
  for (size_t i = 0; i < n; ++i) {
    if (!std::isfinite(values_[i]) || values_[i] < 0) values_[i] = shares ? 0 : 1e300;
    if ((*candidates)[i].eligible()) total += values_[i];
  }
  for (size_t i = 0; i < n; ++i) {
    if (!shares) {
      costs_[i] = values_[i];
      continue;
    }
    values_[i] = total > 0 && std::isfinite(total) ? values_[i] / total : 1.0 / static_cast<double>(eligible);
    // Credits are sums of many shares: their rounding must not decide.
    costs_[i] = -std::round(((*candidates)[i].credit + values_[i]) * 1e9) * 1e-9;
  }
  size_t best = n;
  for (size_t i = 0; i < n; ++i) {
    if (!(*candidates)[i].eligible()) continue;
    if (best == n || Before(*candidates, i, best)) best = i;
  }
  return Chosen{.index = best};
}

void Chooser::Settle(const Policy& policy, std::vector<Candidate>* candidates, size_t chosen) {
  (*candidates)[chosen].chosen_at = ++choices_;
  for (Candidate& c : *candidates) c.recent *= 1 - 1 / kRecent;
  (*candidates)[chosen].recent += 1 / kRecent;
  if (policy.value_kind() != ValueKind::kShare) return;
  for (size_t i = 0; i < candidates->size(); ++i) {
    Candidate& c = (*candidates)[i];
    if (c.eligible()) {
      c.credit += values_[i];
    } else {
      c.credit = 0;  // who cannot be chosen must not save up turns
    }
  }
  (*candidates)[chosen].credit -= 1;
}

void Chooser::Describe(const std::vector<Candidate>& candidates, Decision* decision) const {
  decision->candidates = static_cast<uint16_t>(candidates.size());
  decision->kept = 0;
  std::array<size_t, Decision::kKept> order{};
  size_t kept = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].eligible()) continue;
    if (kept == order.size() && !Before(candidates, i, order[kept - 1])) continue;
    size_t at = kept < order.size() ? kept++ : kept - 1;
    for (; at > 0 && Before(candidates, i, order[at - 1]); --at) order[at] = order[at - 1];
    order[at] = i;
  }
  for (size_t k = 0; k < kept; ++k) {
    const Candidate& c = candidates[order[k]];
    decision->scores[k] = CandidateScore{
        .instance = c.instance, .cost = static_cast<float>(costs_[order[k]]), .bindings = c.bindings};
  }
  decision->kept = static_cast<uint16_t>(kept);
}

}  // namespace dyncast::core
