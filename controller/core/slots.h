// Shares of new demands as slots: kSlots equal parts, each of which is one instance's. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "schema/base/ids.h"
#include "schema/model/switch_plan.h"

namespace dyncast::core {

// More than these take no demands of one family of a service: the fewer slots an instance has, the coarser
// its share.
inline constexpr size_t kMostSlotInstances = 256;

// An instance that takes demands, and its part of them relative to the others'.
struct SlotWant {
  InstanceId instance;
  double weight = 0;  // finite, > 0
};

// How many slots each gets: in proportion to the weights by largest remainder, at least one each. Where a
// remainder is tied, the instance that has the slot in `current` keeps it, else the lower id gets it.
// Preconditions: no instance twice, at most kSlots of them. Empty for none; the sum is kSlots else.
std::vector<uint32_t> SlotCounts(std::span<const SlotWant> wants, std::span<const InstanceId> current);

// The slots after the wants took effect. Of `current` (empty or kSlots long) only those slots change that
// must: an instance's surplus, and slots of instances that want none. Which ones an instance gives up is
// decided by a hash of seed, instance and slot, so that they spread over the table. Empty if there are no
// wants.
std::vector<InstanceId> AssignSlots(std::span<const InstanceId> current, std::span<const SlotWant> wants,
                                    uint64_t seed);

// True if exactly the wants' instances have slots.
bool SameInstances(std::span<const InstanceId> current, std::span<const SlotWant> wants);

// True if some instance's part is off by more than one slot and more than kShareTolerance of what it has.
// What is less is not worth a change of the switch.
inline constexpr double kShareTolerance = 0.02;
bool SharesDiffer(std::span<const InstanceId> current, std::span<const SlotWant> wants);

}  // namespace dyncast::core
