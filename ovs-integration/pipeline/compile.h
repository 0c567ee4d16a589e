// Compiles a SwitchPlan to OpenFlow, as text in ovs-ofctl's syntax (ovs-fields(7), ovs-actions(7)).
// Pure: equal plans give equal text in equal order. openflow/ parses it and talks to the switch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ovs-integration/pipeline/layout.h"
#include "schema/base/result.h"
#include "schema/model/binding.h"
#include "schema/model/switch_plan.h"

namespace dyncast::pipeline {

// One flow. `match` and `actions` in ovs-ofctl syntax; the rest apart, so that nobody parses it back.
struct Flow {
  uint8_t table = 0;
  uint16_t priority = 0;
  uint64_t cookie = 0;
  uint16_t idle_timeout_s = 0;
  uint16_t hard_timeout_s = 0;
  bool send_flow_removed = false;
  std::string match;
  std::string actions;
  friend bool operator==(const Flow&, const Flow&) = default;
};
// "table=..,priority=..,cookie=..,<match>,actions=<actions>", for ovs-ofctl and for people.
std::string ToText(const Flow& flow);

struct Meter {
  uint32_t id = 0;
  uint32_t packets_per_s = 0;
  uint32_t burst_packets = 0;
  friend bool operator==(const Meter&, const Meter&) = default;
};

struct Compiled {
  std::vector<Meter> meters;
  std::vector<Flow> flows;  // without bindings; no two with the same table, priority and match
  friend bool operator==(const Compiled&, const Compiled&) = default;
};

// kLimit if the plan needs more than a table or a register can hold; kConflict if two instances claim
// the same (D-BID, protocol, port) on the return path, or two services the same D-SID and port.
Result<Compiled> Compile(const SwitchPlan& plan);

// The flow that holds one binding. The specification of what openflow/ encodes by template.
Flow CompileBinding(const BindingFlow& binding);
// Match (kBinding table) of a key, as in CompileBinding.
std::string BindingMatch(const BindingKey& key);

}  // namespace dyncast::pipeline
