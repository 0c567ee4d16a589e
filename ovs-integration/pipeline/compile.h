// Compiles a SwitchPlan to OpenFlow, as text in ovs-ofctl's syntax (ovs-fields(7), ovs-actions(7)).
// Pure: equal plans give equal text in equal order. openflow/ parses it and talks to the switch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
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

// A select group, selection_method=hash over reg4, reg7, xxreg2. Bucket i has bucket_id i, weight 1 and the
// actions "set_field:INSTANCE->reg0,resubmit(,35)": equal weights are the only ones that OVS's hash gives
// exact shares for (it takes the bucket with the largest 16-bit hash times weight).
struct Group {
  uint32_t id = 0;
  std::vector<InstanceId> slots;  // never empty
  friend bool operator==(const Group&, const Group&) = default;
};
// "group_id=..,type=select,...", for ovs-ofctl add-group and for people.
std::string ToText(const Group& group);

// Names a Geneve option as a field: OPTION_CLASS and TYPE (RFC 8926 section 3.5), its octets,
// tun_metadataFIELD.
struct TunnelOption {
  uint16_t option_class = 0;
  uint8_t type = 0;
  uint8_t octets = 0;
  uint8_t field = 0;
  friend bool operator==(const TunnelOption&, const TunnelOption&) = default;
};

struct Compiled {
  std::vector<TunnelOption> tunnel_options;  // must be mapped before the flows; empty without a tunnel
  std::vector<Meter> meters;
  std::vector<Group> groups;
  std::vector<Flow> flows;  // without bindings; no two with the same table, priority and match
  friend bool operator==(const Compiled&, const Compiled&) = default;
};

// The bucket (0..slots-1) that OVS's hash selection takes for a key: what explain shows for a service with
// dispatch learn. Equals ofproto/trace on builds of OVS without CRC32 hashing (Debian's; others: see docs).
size_t SlotOf(const BindingKey& key, size_t slots);

// kLimit if the plan needs more than a table or a register can hold; kConflict if two instances claim
// the same (D-BID, protocol, port) on the return path, two services the same D-SID and port, or two
// routes the same prefix; kInvalid for what this pipeline cannot do (an id 0, an address of the wrong family,
// a store that cannot hold the service's key or dispatch, slots that are not kSlots, the role d-forwarder, a
// route's next hop on no network); kNotFound for an instance of a service, or in a slot, that is not in the
// plan; kDuplicate for an id said twice.
Result<Compiled> Compile(const SwitchPlan& plan);

inline constexpr uint16_t kBindingPriority = 100;
Table TableOf(BindingPlace place);

// The flow that holds one binding. The specification of what openflow/ encodes by template, and (but for
// fin_timeout's prerequisite) of what the switch itself learns.
//   kTimed, kHeaderTimed: table 20 or 26, priority 100, cookie kBinding|service|instance|switch,
//   send_flow_rem, idle_timeout
//     actions: [fin_timeout(idle_timeout=F),] set_field:INSTANCE->reg0
//   generations: table 21/22 or 27/28, no timeouts, no send_flow_rem, actions: set_field:INSTANCE->reg0
// fin_timeout stands only where the key has TCP and a source port, and F > 0.
Flow CompileBinding(const BindingFlow& binding);
// Match of a key in registers: "reg1=S,reg4=K,reg7=P,xxreg2=C", exact in all bits; in table 20 "tcp," or
// "tcp6," in front where the key has TCP and a source port, as fin_timeout wants it (whether there is one or
// not, so that a key has one match). Everything about the key is read back from the registers. What the
// switch learned never has a protocol in front: a loose delete by the registers alone ends either. In the
// header: "PROTOCOL,reg1=S,reg4=K,reg7=N,nw_src=C,tp_src=P,tp_dst=P", with `client_bits` of the client and
// the ports that the key has, if any; PROTOCOL is "ip" or "ipv6" where it has none. All places of that form
// have the same match.
std::string BindingMatch(const BindingKey& key, BindingPlace place = BindingPlace::kTimed,
                         uint8_t client_bits = kAllClientBits);
// What a key is in the registers.
struct KeyRegisters {
  uint32_t reg1 = 0;
  uint32_t reg4 = 0;
  uint32_t reg7 = 0;
  std::array<uint32_t, 4> xxreg2{};  // reg8..reg11
  friend bool operator==(const KeyRegisters&, const KeyRegisters&) = default;
};
KeyRegisters RegistersOf(const BindingKey& key);
// nullopt for registers that no key gives.
std::optional<BindingKey> KeyOf(const KeyRegisters& registers, SwitchId at);

// Actions of the packet-outs that openflow/ sends, in ovs-ofctl syntax.
// A demand on its way to `instance`: in_port is the port that the demand came from.
std::string DemandActions(ServiceId service, InstanceId instance);
// The same for a demand that the D-Forwarder at `forwarder` asked about: it is told the binding too. in_port
// is the port that it came from.
std::string MissActions(const BindingKey& key, InstanceId instance, const IpAddress& forwarder);
// A word to the other end of a tunnel, which drops it: Open vSwitch loses the first packet to an end whose
// next hop it has not yet learned, or has forgotten. in_port is CONTROLLER.
std::string HelloActions(PortNo tunnel, const IpAddress& to);
// A routed packet on to a neighbour that the switch has learned meanwhile: in_port is CONTROLLER.
std::string NeighborActions(const IpAddress& neighbor);
// A packet of the controller's own, out of `port` (a TaggedPort): in_port is CONTROLLER. Its source MAC
// becomes the gateway's on that port.
std::string OutputActions(PortNo port);

}  // namespace dyncast::pipeline
