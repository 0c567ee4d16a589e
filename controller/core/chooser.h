// Picks one of the candidates by a policy's values: guards first, then the lowest cost or whose turn it is.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "controller/core/policy.h"
#include "schema/base/ids.h"
#include "schema/model/record.h"

namespace dyncast::core {

struct Chosen {
  size_t index = 0;  // into the candidates
};
enum class NoInstanceReason : uint8_t { kNoneKnown, kAllDown, kAllDraining, kOtherFamily };
std::string_view NoInstanceReasonName(NoInstanceReason reason);
struct NoInstance {
  NoInstanceReason reason = NoInstanceReason::kNoneKnown;
};
// Precondition: no candidate is eligible.
NoInstanceReason WhyNoInstance(const std::vector<Candidate>& candidates);
using Choice = std::variant<Chosen, NoInstance>;

// How many candidates are eligible. If all that could take a demand are full, full ones count as eligible
// (changes their `exclusion`).
size_t AdmitEligible(std::vector<Candidate>* candidates);

// Lowers weights so that none is more than `max_share` of their sum, as far as their number allows that.
void BoundWeights(std::span<double> weights, double max_share);

// Keeps its scratch room between calls, so that choosing does not allocate.
class Chooser {
 public:
  // `seed` orders candidates that are equal in every way and were never chosen.
  explicit Chooser(uint64_t seed) : seed_(seed) {}

  // Decides, without remembering it, after AdmitEligible. O(candidates). No candidate gets more than
  // `max_share` of the decisions (over a few tens of them), as long as another is eligible.
  Choice Choose(const Policy& policy, const Situation& situation, double max_share,
                std::vector<Candidate>* candidates);
  // Cost of each candidate in the last Choose, lower is better; of eligible ones only. For shares it is
  // -(credit + share), which orders candidates as their turns do.
  const std::vector<double>& costs() const { return costs_; }
  // What the policy divided by in the last Choose; 0 where it knows none.
  const std::vector<double>& capacities() const { return capacities_; }

  // Remembers the last Choose in the candidates' credit, recent and chosen_at; the caller keeps them.
  void Settle(const Policy& policy, std::vector<Candidate>* candidates, size_t chosen);
  // The best ones of the last Choose, with their costs.
  void Describe(const std::vector<Candidate>& candidates, Decision* decision) const;

 private:
  void BoundShares(double max_share, std::vector<Candidate>* candidates) const;
  void Draw(size_t draws, std::vector<Candidate>* candidates) const;
  bool Before(const std::vector<Candidate>& candidates, size_t a, size_t b) const;

  const uint64_t seed_;
  uint64_t choices_ = 0;
  bool fewer_here_ = false;  // of the last Choose
  std::vector<double> values_;
  std::vector<double> costs_;
  std::vector<double> capacities_;
};

}  // namespace dyncast::core
