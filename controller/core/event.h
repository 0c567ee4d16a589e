// What happens to the controller (Event) and what it wants done (Effect). Core::Step maps one to the
// other; nothing else crosses the border of the core.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/base/time.h"
#include "schema/config/fabric.h"
#include "schema/model/binding.h"
#include "schema/model/port.h"
#include "schema/model/record.h"
#include "schema/model/switch_plan.h"
#include "schema/wire/message.h"

namespace dyncast::core {

// ---- Events -------------------------------------------------------------------------------------

// A validated configuration takes effect: at the start, and after SIGHUP.
struct ConfigChanged {
  std::shared_ptr<const config::FabricConfig> config;
};
// A well-formed message of an agent. Whether it is allowed and plausible is the core's to decide.
struct AgentSaid {
  wire::AgentMessage message;
};
// OVSDB reports the bridge's ports that have an OpenFlow number. Names as in fabric.yaml.
struct PortsKnown {
  SwitchId at;
  std::vector<std::pair<std::string, PortNo>> ports;
};
// A switch's session has read all binding flows that the switch holds, and has changed nothing yet.
struct SwitchFound {
  SwitchId at;
  std::vector<FoundBinding> bindings;
  std::vector<FoundDispatch> dispatch{};  // of services with dispatch learn, or store generations
  // The switch holds no static flow of ours: it (re)started empty, so bindings missing in it were not ended
  // by it, they are put back.
  bool empty = false;
};
// The switch holds what it must: not before a plan was set for it.
struct SwitchSynced {
  SwitchId at;
};
struct SwitchLost {
  SwitchId at;
  std::string reason;
};
// What a TCP packet of the client says of its connection (RFC 9293 section 3.1).
enum class TcpPhase : uint8_t { kNone, kOpening /* SYN */, kClosing /* FIN */, kReset /* RST */ };

// A packet to a D-SID without a usable binding. `packet` is valid during the step only.
struct DemandArrived {
  SwitchId at;
  ServiceId service;
  Demand demand;
  PortNo in_port;
  bool egress_gone = false;  // it was bound, but its instance's egress flow is gone
  TcpPhase phase = TcpPhase::kNone;
  IpAddress
      forwarder{};  // the tunnel endpoint of the D-Forwarder that asks; none: a demand of the switch's own
  std::span<const uint8_t> packet;
};
// The switch removed a binding flow, and why. kIdle covers idle, FIN and hard timeouts.
struct BindingFlowEnded {
  SwitchId at;
  FoundBinding binding;
  EndReason reason = EndReason::kIdle;  // kIdle, or kFlowLost: deleted by somebody
};
// The switch refused a binding flow (table full, ...): the demand was served, the flow is not there.
struct BindingFlowRefused {
  SwitchId at;
  BindingKey key;
  std::string error;
};
// The switch bound flows by itself, or gave them another instance, or (generations) took them over into the
// current table. From its flow monitor, in the order of the changes; our own InstallBindings are left out.
struct BindingsLearned {
  SwitchId at;
  std::span<const FoundBinding> bindings;  // valid during the step
};
// The switch's flow monitor paused: what came and went meanwhile was not reported. What is there has been
// reported by now.
struct MonitorGap {
  SwitchId at;
};
// An ICMP or ICMPv6 error (destination unreachable, too big, time exceeded, parameter problem) that the
// switch cannot map by itself: the packet it quotes has a D-BID or a D-SID in it.
struct IcmpErrorArrived {
  SwitchId at;
  // True: came from an access port, sent to a D-SID; the packet that it quotes is an instance's answer.
  // False: on its way to a client; quotes a service request to a D-BID.
  bool to_sid = false;
  PortNo in_port;
  IpAddress neighbor;  // !to_sid: the next hop it is going to
  std::span<const uint8_t> packet;
  // What it quotes, as it stands in the packet: source and destination of the quoted packet.
  Demand quoted;
};
// A later IPv4 fragment whose address the switch leaves to the controller: of a demand, on its way to
// `instance`, or of an answer, on its way to the client by `neighbor`.
struct FragmentArrived {
  SwitchId at;
  ServiceId service;
  bool to_client = false;
  InstanceId instance;  // !to_client
  // to_client: the next hop; else the endpoint of the D-Forwarder that asks, if one does.
  IpAddress neighbor;
  PortNo in_port;
  Demand demand;  // as it stands in the packet, without ports
  std::span<const uint8_t> packet;
};
// A routed packet whose TTL or hop limit ran out here.
struct TtlExceeded {
  SwitchId at;
  PortNo in_port;
  IpAddress source;  // of the packet: who is answered, and in which family
  std::span<const uint8_t> packet;
};
// Counters of binding flows, some or all of a switch.
struct BindingsCounted {
  SwitchId at;
  std::vector<FoundBinding> bindings;
};
// What the switch steered without a binding since it went by hash for the service, with dispatch learn.
struct UnboundCounted {
  SwitchId at;
  std::vector<UnboundPackets> packets;
};
// What the switch counted at its ports, all of them.
struct PortsCounted {
  SwitchId at;
  std::vector<PortCounters> ports;
};
// A packet to a neighbour (next hop, D-BID, client) whose MAC the switch does not know.
struct NeighborWanted {
  SwitchId at;
  IpAddress neighbor;
  std::span<const uint8_t> packet;  // whole, as it would go out but for the MACs; valid during the step
};
// An ARP answer or request named a neighbour; the switch has learned it by itself.
struct NeighborFound {
  SwitchId at;
  PortNo port;
  IpAddress neighbor;
  MacAddress mac;
};
struct DrainRequested {
  std::string instance;
  bool drain = true;                 // false: undrain
  std::chrono::seconds deadline{0};  // bound flows move after this; 0: never, they end by themselves
};
// Time passes: at least every 100 ms, and at Core::NextDeadline().
struct Tick {};

using Event = std::variant<ConfigChanged, AgentSaid, PortsKnown, SwitchFound, SwitchSynced, SwitchLost,
                           DemandArrived, BindingFlowEnded, BindingFlowRefused, BindingsLearned, MonitorGap,
                           BindingsCounted, UnboundCounted, PortsCounted, NeighborWanted, NeighborFound,
                           IcmpErrorArrived, FragmentArrived, TtlExceeded, DrainRequested, Tick>;

// ---- Effects ------------------------------------------------------------------------------------

// The switch must hold exactly this (beside its bindings).
struct SetPlan {
  SwitchId at;
  std::shared_ptr<const SwitchPlan> plan;
};
struct InstallBinding {
  SwitchId at;
  BindingFlow flow;
};
// Wherever the key's flows stand. `client_bits`: see BindingFlow.
struct RemoveBinding {
  SwitchId at;
  BindingKey key;
  uint8_t client_bits = kAllClientBits;
};
// All bindings of one instance on one switch, in one message.
struct RemoveBindingsOf {
  SwitchId at;
  ServiceId service;
  InstanceId instance;
};
// Delete all binding flows of a service in one table: the older generation, before a plan makes its table the
// current one; or all that a service leaves behind.
struct RemoveBindingsAt {
  SwitchId at;
  ServiceId service;
  BindingPlace place = BindingPlace::kTimed;
};
// Send the demand's packet on, through the egress of `instance`, which is at `bid`. `packet` is the event's.
struct ForwardDemand {
  SwitchId at;
  PortNo in_port;
  ServiceId service;
  InstanceId instance;
  IpAddress bid;
  // Asked by a D-Forwarder: its tunnel endpoint, which is told the binding, and the binding's key.
  IpAddress forwarder{};
  BindingKey key{};
  std::span<const uint8_t> packet;
};
// Answer a demand that nobody may take: ICMP destination unreachable, host (RFC 792). It goes out of the port
// that the demand came from; with `neighbor` to that next hop, whoever sent the frame.
struct RefuseDemand {
  SwitchId at;
  PortNo in_port;
  IpAddress neighbor{};
  std::span<const uint8_t> packet;
};
// Ask for a neighbour's MAC out of a port.
struct AskNeighbor {
  SwitchId at;
  PortNo port;
  MacAddress sender_mac;
  IpAddress sender;
  IpAddress target;
};
// A packet that waited for its neighbour: through the switch's neighbour table, which knows it now.
struct SendHeld {
  SwitchId at;
  IpAddress neighbor;
  std::vector<uint8_t> packet;
};
// Read counters of the switch's binding flows.
struct CountBindings {
  SwitchId at;
  bool generations = false;  // those without timeouts too: costs the switch 3 us each
};
// Read the counters of the switch's ports.
struct CountPorts {
  SwitchId at;
};
// Deliver an ICMP error to an instance: outer destination and quoted source become its D-BID.
struct ForwardIcmpError {
  SwitchId at;
  PortNo in_port;
  ServiceId service;
  InstanceId instance;
  IpAddress bid;
  std::span<const uint8_t> packet;
};
// Send an ICMP error on to the client, quoting `sid` in place of `bid`; its source too, if that is `bid`.
// Without `bid` (none) as it is.
struct ReturnIcmpError {
  SwitchId at;
  IpAddress neighbor;
  IpAddress bid;
  IpAddress sid;
  std::span<const uint8_t> packet;
};
// Keep the way to the other end of a tunnel known: see pipeline::HelloActions.
struct SendHello {
  SwitchId at;
  PortNo tunnel;
  IpAddress to;
};
// Send a later fragment of an answer on to the client, from `sid`.
struct ReturnFragment {
  SwitchId at;
  IpAddress neighbor;
  IpAddress sid;
  std::span<const uint8_t> packet;
};
// Answer with ICMP time exceeded (RFC 792, RFC 4443) from `gateway`, out of the port the packet came from.
struct AnswerTtlExceeded {
  SwitchId at;
  PortNo in_port;
  IpAddress gateway;
  std::span<const uint8_t> packet;
};

using Effect =
    std::variant<SetPlan, InstallBinding, RemoveBinding, RemoveBindingsOf, RemoveBindingsAt, ForwardDemand,
                 RefuseDemand, AskNeighbor, SendHeld, CountBindings, CountPorts, ForwardIcmpError,
                 ReturnIcmpError, ReturnFragment, SendHello, AnswerTtlExceeded, Record>;
using Effects = std::vector<Effect>;

}  // namespace dyncast::core
