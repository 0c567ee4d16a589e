// How good each candidate is: pure functions behind one interface. docs/selection.md says which to use.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "controller/core/pace.h"
#include "schema/base/ids.h"
#include "schema/model/service.h"

namespace dyncast::core {

// Why a candidate may not be chosen.
enum class Exclusion : uint8_t { kNone, kDown, kDraining, kFamily, kFull, kSurplus };
// "", "down", "draining", "family", "max-sessions", "too-many-instances"
std::string_view ExclusionName(Exclusion exclusion);

// One instance as a decision sees it. What is unknown or expired is absent.
struct Candidate {
  InstanceId instance;
  Exclusion exclusion = Exclusion::kNone;
  std::optional<double> rated_requests_per_s;  // as the operator rates it, > 0
  std::optional<double> cpu_cores;             // > 0
  std::optional<double> load;                  // >= 0; 1 is fully loaded
  std::optional<double> request_rate;          // per second, >= 0
  std::optional<double> estimate;              // requests per second at full use, > 0
  uint32_t bindings = 0;                       // fabric-wide
  uint32_t bindings_here = 0;                  // of these at the switch where the demand entered
  // The network from there to the instance and back.
  std::optional<double> rtt_s;  // >= 0
  std::optional<double> loss;   // 0..1, of both ways together
  // The core's own account of it, see InstanceLoad.
  Crowd ahead;  // demands before the next one
  Pace pace;
  double bound_per_s = 0;       // demands lately, fabric-wide
  double bound_here_per_s = 0;  // of these at the switch where the demand entered
  float warmth = 1;             // slow start: part of its share, 0.1..1
  bool fresh = false;           // its metrics are not older than the service allows
  // The chooser's memory of it.
  double credit = 0;
  double recent = 0;  // part of the last decisions, 0..1
  uint64_t chosen_at = 0;
  bool in_draw = true;  // it may win this time
  bool eligible() const { return exclusion == Exclusion::kNone; }
};

// What a policy's values are, and how the chooser uses them.
enum class ValueKind : uint8_t {
  kCost,   // the lowest is chosen
  kShare,  // each is chosen in proportion: smooth weighted round-robin
};

// What is alike for all candidates.
struct Situation {
  // Bindings carry several requests with pauses in between.
  bool sessions = false;
  double requests_per_binding_s = 0;  // of each that stands; 0: not known
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual PolicyKind kind() const = 0;
  virtual ValueKind value_kind() const = 0;
  // The values are seconds until the demand is expected to be answered.
  virtual bool expects() const { return false; }
  // Of those that cost the same the one with the fewest bindings at the demand's switch is chosen, not the
  // one whose turn it is.
  virtual bool prefers_fewer_here() const { return false; }
  // How many candidates are drawn at random, of which the best is chosen; 0: all of them.
  virtual size_t draws() const { return 0; }
  // For people.
  virtual std::string_view formula() const = 0;
  // Writes a finite value for each candidate; a share is > 0. Values of candidates that are not eligible
  // mean nothing, and such candidates do not influence the others' values. `capacity`: what the policy
  // divides by, 0 if it knows none. All three of one size.
  virtual void Rate(const Situation& situation, std::span<const Candidate> candidates,
                    std::span<double> value, std::span<double> capacity) const = 0;
  // For selection by the switch, which knows shares only: the part of new demands that each candidate should
  // get, relative to the others. As Rate else; a weight that is not > 0 takes none.
  virtual void Weigh(const Situation& situation, std::span<const Candidate> candidates,
                     std::span<double> weight, std::span<double> capacity) const = 0;
};

// One object for each kind, immutable, living for ever.
const Policy& PolicyOf(PolicyKind kind);

}  // namespace dyncast::core
