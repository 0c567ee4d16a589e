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
// An empty match (everything) leaves no comma behind.
std::string ToText(const Flow& flow);

struct Meter {
  uint32_t id = 0;
  uint32_t packets_per_s = 0;
  uint32_t burst_packets = 0;
  friend bool operator==(const Meter&, const Meter&) = default;
};

// "meter=..,pktps,burst,bands=..", for ovs-ofctl add-meter and for people.
std::string ToText(const Meter& meter);

struct Compiled {
  std::vector<Meter> meters;
  std::vector<Flow> flows;  // without bindings; no two with the same table, priority and match
  friend bool operator==(const Compiled&, const Compiled&) = default;
};

// kLimit if the plan needs more than a table or a register can hold; kConflict if two instances claim
// the same (D-BID, protocol, port) on the return path, two services the same D-SID and port, or two
// routes the same prefix; kInvalid for what this pipeline cannot do (an id 0, an IPv6 D-BID, dispatch
// `learn`, the role d-forwarder, a protocol without ports, a route's next hop on no network);
// kNotFound for an instance of a service that is not in the plan; kDuplicate for an id said twice.
Result<Compiled> Compile(const SwitchPlan& plan);

inline constexpr uint16_t kBindingPriority = 100;

// The flow that holds one binding. The specification of what openflow/ encodes by template.
//   table 20, priority 100, cookie kBinding|service|instance|switch, send_flow_rem, idle_timeout
//   actions: [fin_timeout(idle_timeout=F),] set_field:INSTANCE->reg0
// fin_timeout stands only where the key has TCP and a source port, and F > 0.
Flow CompileBinding(const BindingFlow& binding);
// Match (kBinding table) of a key, as in CompileBinding. reg1 holds the service id (all 32 bits), the rest
// depends on what the key keeps:
//   5-tuple           tcp,reg1=S,nw_src=C,tp_src=P,tp_dst=Q      (or udp, sctp)
//   4-tuple           tcp,reg1=S,nw_src=C,tp_dst=Q
//   3-tuple           tcp,reg1=S,nw_src=C
//   client[/PREFIX]   ip,reg1=S,reg8=C      (all 32 bits; the service table has masked C into reg8)
// All are exact matches, so the key is read back from a dump without knowing the service: the client from
// nw_src or else reg8, the service from reg1 or the cookie, what is wildcarded is 0 (kAny).
std::string BindingMatch(const BindingKey& key);

// Actions of the packet-outs that openflow/ sends, in ovs-ofctl syntax.
// A demand on its way to `instance`: in_port is the port that the demand came from.
std::string DemandActions(ServiceId service, InstanceId instance);
// A routed packet on to a neighbour that the switch has learned meanwhile: in_port is CONTROLLER.
std::string NeighborActions(uint32_t neighbor_v4);

}  // namespace dyncast::pipeline
