// OpenFlow 1.5 sessions with all switches of the fabric, over libopenvswitch's streams and codecs.
//
// A session's life: hello -> features (who is it) -> dump of our flows -> [desired known] -> one bundle
// with the difference, barrier -> synced. The switch is never cleared; a flow that is right is left
// alone. After an unexpected error the session dumps again (`kMaxResyncs` times in a row, then after
// growing waits; the switch stays connected meanwhile). New differences are sent only when the last bundle
// was confirmed.
//
// One thread: all calls come from the control thread; callbacks are made from Run().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/layout.h"
#include "schema/base/ids.h"
#include "schema/base/result.h"
#include "schema/base/time.h"
#include "schema/model/binding.h"
#include "schema/model/port.h"

namespace dyncast::openflow {

struct SyncReport {
  uint64_t kept = 0;   // flows and groups
  uint64_t added = 0;  // includes changed ones
  uint64_t deleted = 0;
  std::vector<std::string> differences;  // at most 20, for people
};

// What the switch sent to the controller, with the registers that the pipeline set.
struct Punt {
  pipeline::PuntReason reason = pipeline::PuntReason::kDemand;
  ServiceId service;
  InstanceId instance;  // from reg0; none if there is none
  PortNo in_port;       // a TaggedPort
  // Next hop, from reg5 or xxreg3; none if there is none. kDemand, kEgressGone: the tunnel endpoint of the
  // D-Forwarder that asks, from reg5.
  IpAddress neighbor;
  std::span<const uint8_t> packet;
};

// What a switch held when its session looked.
struct FoundSwitch {
  std::vector<FoundBinding> bindings;
  std::vector<FoundDispatch> dispatch;
  bool empty = false;  // no static flow of ours at all: it started anew
};

// Which binding flows are counted.
enum class CountScope : uint8_t { kTimed, kAll };

class Listener {
 public:
  virtual ~Listener() = default;
  // The dump is complete and nothing was changed yet. Answer with SetDesired (now or later).
  virtual void OnFound(DatapathId dpid, FoundSwitch found) = 0;
  // From the flow monitor: bindings that the switch learned, changed or took over into a younger generation.
  // Never our own installs, but for those that a pause repeats. `bindings` is valid during the call.
  virtual void OnLearned(DatapathId dpid, std::span<const FoundBinding> bindings) = 0;
  // The monitor paused and has resumed.
  virtual void OnMonitorGap(DatapathId dpid) = 0;
  virtual void OnSynced(DatapathId dpid, const SyncReport& report) = 0;
  virtual void OnLost(DatapathId dpid, const std::string& reason) = 0;
  virtual void OnPunt(DatapathId dpid, const Punt& punt) = 0;
  // kIdle, or kFlowLost for a binding that somebody else deleted; our own removals are not reported.
  virtual void OnBindingEnded(DatapathId dpid, const FoundBinding& binding, EndReason reason) = 0;
  virtual void OnBindingRefused(DatapathId dpid, const BindingKey& key, const std::string& error) = 0;
  virtual void OnCounted(DatapathId dpid, std::vector<FoundBinding> bindings) = 0;
  // With each count, and at the end of one: what the flows of kind kUnbound took since they were made.
  virtual void OnUnboundCounted(DatapathId dpid, std::vector<UnboundPackets> packets) = 0;
  // All ports of the switch.
  virtual void OnPortsCounted(DatapathId dpid, std::vector<PortCounters> ports) = 0;
  // Compared, for `check`: nothing was changed.
  virtual void OnChecked(DatapathId dpid, uint64_t request, const SyncReport& static_flows,
                         std::vector<FoundBinding> bindings) = 0;
};

// Totals of one session since the switch last connected, and of the switch over all sessions.
struct SwitchCounters {
  uint64_t messages_sent = 0;  // OpenFlow messages, all kinds
  uint64_t flow_mods_sent = 0;
  uint64_t bundles_sent = 0;
  uint64_t packet_outs_sent = 0;
  uint64_t punts_received = 0;
  uint64_t flow_removed_received = 0;
  uint64_t learned_received = 0;
  uint64_t monitor_pauses = 0;
  uint64_t errors_received = 0;
  uint64_t malformed_received = 0;
  uint64_t connects = 0;
  uint64_t resyncs = 0;
};

struct SwitchStatus {
  DatapathId dpid;
  std::string peer;
  std::string state;  // "handshake", "dumping", "found", "syncing", "synced", "refused", "away"
  std::string last_error;
  SwitchCounters counters;
};

struct ServerOptions {
  Micros binding_tick{1000};
  uint32_t bundle_max_flows = 1000;  // a larger bundle would stall forwarding
  std::chrono::milliseconds inactivity_probe{5000};
  size_t max_queued_bytes = 16u << 20;  // per switch; a switch that reads slower is disconnected
};

class SwitchServer {
 public:
  SwitchServer(ServerOptions options, Listener* listener);  // listener outlives the server
  ~SwitchServer();

  // "ptcp:PORT:IP" or "punix:PATH". May be called for several.
  Status Listen(const std::string& target);
  // Only these datapath ids are served; others are refused with a warning.
  void SetExpected(std::vector<DatapathId> expected);

  // Bounded work; call Run, then Wait, then loop.h's Block.
  void Run(Now now);
  void Wait(Now now);

  // What the switch must hold beside bindings. Sent as a difference as soon as the session allows.
  Status SetDesired(DatapathId dpid, const pipeline::Compiled& desired);
  // Queued, and sent together within `binding_tick`. Later calls for the same key win.
  void InstallBinding(DatapathId dpid, const BindingFlow& flow);
  void RemoveBinding(DatapathId dpid, const BindingKey& key, uint8_t client_bits = kAllClientBits);
  void RemoveBindingsOf(DatapathId dpid, ServiceId service, InstanceId instance);
  // All of a service in one table, sent before any later SetDesired's difference.
  void RemoveBindingsAt(DatapathId dpid, ServiceId service, BindingPlace place);
  // Sends `packet` through the egress of `instance` (registers set, then the egress table).
  void ForwardDemand(DatapathId dpid, PortNo in_port, ServiceId service, InstanceId instance,
                     std::span<const uint8_t> packet);
  // The same for a demand that came from the D-Forwarder with the tunnel endpoint `forwarder`: the switch
  // returns the binding info to it.
  void ForwardMiss(DatapathId dpid, PortNo in_port, const BindingKey& key, InstanceId instance,
                   const IpAddress& forwarder, std::span<const uint8_t> packet);
  // See pipeline::HelloActions.
  void SendHello(DatapathId dpid, PortNo tunnel, const IpAddress& to);
  // Out of a port (a TaggedPort), through the output table.
  void SendPacket(DatapathId dpid, PortNo port, std::span<const uint8_t> packet);
  // Through the neighbour table.
  void SendToNeighbor(DatapathId dpid, const IpAddress& neighbor, std::span<const uint8_t> packet);
  void CountBindings(DatapathId dpid, CountScope scope);
  // Counters and speeds of all ports; OnPortsCounted answers, if the switch does.
  void CountPorts(DatapathId dpid);
  // Dumps and compares without changing anything; OnChecked answers.
  void Check(DatapathId dpid, uint64_t request);
  // Dumps and repairs; OnFound and OnSynced answer.
  void Resync(DatapathId dpid);

  std::vector<SwitchStatus> Statuses() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyncast::openflow
