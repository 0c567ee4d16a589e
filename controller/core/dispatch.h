// What a switch is to do with a service's demands by itself, beside the service's own configuration: state
// of the core, part of each plan.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/time.h"
#include "schema/model/service.h"
#include "schema/model/switch_plan.h"

namespace dyncast::core {

// Of one service on one switch.
struct SwitchDispatch {
  // As configured last; kAuto: not yet.
  BindingStoreKind store = BindingStoreKind::kAuto;
  KeyForm form = KeyForm::kRegisters;
  // dispatch learn.
  std::vector<InstanceId> slots_v4;  // size kSlots, or empty
  std::vector<InstanceId> slots_v6;
  MonoTime pushed_at{};   // the last change of slots
  MonoTime held_until{};  // slots taken over from the switch: weights alone change nothing before
  uint64_t context = 0;   // of the slots in force; 0: not yet recorded
  bool closed = false;    // over the limit
  uint64_t closings = 0;
  std::optional<MonoTime> limit_told;
  // Store generations. Counts flips, modulo 4; bit 0 is the current table. Rows carry the epoch they were
  // learned in: the current one, the one before (the older table), or two before (deleted in the switch).
  uint8_t epoch = 0;
  std::chrono::seconds period{0};      // idle_timeout as of next_flip
  std::optional<MonoTime> next_flip;   // absent: the switch was not found on this connection
  std::optional<MonoTime> flipped_at;  // no further flip before the switch confirmed a plan after it
  uint64_t swept_with = 0;             // shards that the sweep has done when it has met all rows deleted then
  uint64_t flips = 0;

  const std::vector<InstanceId>& slots(bool v4) const { return v4 ? slots_v4 : slots_v6; }
  uint8_t generation() const { return epoch & 1; }
};

using DispatchMap = std::map<ServiceId, SwitchDispatch>;

// True for stores whose bindings the controller knows one by one.
constexpr bool HasRows(BindingStoreKind store) {
  return store == BindingStoreKind::kTimed || store == BindingStoreKind::kGenerations;
}

}  // namespace dyncast::core
