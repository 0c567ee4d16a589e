// One OpenFlow 1.5 session with one switch, apart from its socket: messages come in one by one, octets to be
// sent are collected, `now` is a parameter. Whoever owns the socket calls Run after each turn's input.
//
//   hello -> features -> dumping -> found -> syncing -> synced
//                           ^________________|__________|   (resync: an unexpected error, or asked for)
//                           ^_____________refused           (resyncs did not help: again after a while)
//
// No static flow is changed on the switch before the first SetDesired of this session. What is then sent is
// only the difference, and the next difference only after the last one was confirmed. Bindings follow the
// first difference, or go without it if it does not come within kPlanWait. A switch that refuses the
// difference stays connected with the flows it has: bindings go on, and the difference is tried again.
//
// The flow monitors are asked for in front of the first dump: a switch answers in order, so a binding that it
// learns meanwhile is in the dump, or reported, or both.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "ovs-integration/openflow/binding_queue.h"
#include "ovs-integration/openflow/control.h"
#include "ovs-integration/openflow/flow_diff.h"
#include "ovs-integration/openflow/flow_read.h"
#include "ovs-integration/openflow/group_codec.h"
#include "ovs-integration/openflow/own_removals.h"
#include "ovs-integration/openflow/packet_out.h"
#include "ovs-integration/openflow/port_read.h"
#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/openflow/wire.h"
#include "schema/base/result.h"

namespace dyncast::openflow {

inline constexpr uint32_t kMaxResyncs = 3;                // in a row
inline constexpr std::chrono::seconds kResyncMemory{30};  // free of errors for so long: a new row
inline constexpr std::chrono::seconds kRefusedWait{10};   // after kMaxResyncs; doubled each time
inline constexpr std::chrono::seconds kMaxRefusedWait{300};
inline constexpr std::chrono::seconds kNewPlanWait{5};  // so long after a new plan for a switch that refused
inline constexpr std::chrono::seconds kPlanWait{2};     // from OnFound on, bindings wait for the plan
inline constexpr std::chrono::seconds kMoveWait{2};     // so long a plan waits for bindings that it looks for
inline constexpr uint32_t kMaxAbandonedChecks = 3;      // in a row, for a plan
inline constexpr std::chrono::seconds kReplyTimeout{60};  // a dump or bundle may take so long
inline constexpr size_t kMaxChecks = 16;                  // waiting
inline constexpr uint32_t kDumpXids = 4;                  // of a whole dump: flows, meters, groups, options

inline constexpr size_t kMaxBundleOctets = 1u << 20;   // of a difference's bundle, about
inline constexpr size_t kSyncWindowOctets = 4u << 20;  // a difference waits while more is unsent

enum class DumpKind : uint8_t { kFind, kCount, kCheck };
// A flow of a binding: a key may stand in several places.
struct PlacedKey {
  BindingKey key;
  BindingPlace place = BindingPlace::kTimed;
  friend bool operator==(const PlacedKey&, const PlacedKey&) = default;
};
struct PlacedKeyHash {
  size_t operator()(const PlacedKey& k) const noexcept {
    return std::hash<BindingKey>{}(k.key) * kBindingPlaces.size() + static_cast<size_t>(k.place);
  }
};
// Where flows of kind kUnbound are.
inline constexpr std::array<pipeline::Table, 2> kCountedTables{pipeline::Table::kLearn,
                                                               pipeline::Table::kMiss};
// What a session reads from its switch.
struct Dump {
  DumpKind kind = DumpKind::kFind;
  uint64_t request = 0;         // of kCheck
  uint32_t flow_xid = 0;        // the first of flow_requests, which are in a row
  uint32_t flow_requests = 1;   // 2 for kCount of the timed tables
  uint32_t flows_answered = 0;  // a bit for each request
  uint32_t meter_xid = 0;
  uint32_t group_xid = 0;
  uint32_t unbound_xid = 0;  // kCount only: the first of the requests for kCountedTables, which are in a row
  bool meters_done = false;
  bool groups_done = false;
  uint32_t options_xid = 0;
  bool options_done = true;
  std::array<bool, kCountedTables.size()> unbound_done{};
  FoundFlows found;
  std::vector<pipeline::Meter> meters;
  Groups groups;
  std::optional<OptionTable> options;  // nullopt: not asked for
  std::vector<UnboundPackets> unbound;
  MonoTime sent{};
  // What changed behind the request: a flow that came (or came again), or one that went.
  std::unordered_map<PlacedKey, std::optional<FoundBinding>, PlacedKeyHash> changed;
  std::vector<std::pair<ServiceId, InstanceId>> removed_of;
  std::vector<std::pair<ServiceId, BindingPlace>> removed_at;

  bool IsOfFlows(uint32_t xid) const { return xid - flow_xid < flow_requests; }
  bool flows_done() const { return flows_answered + 1 == 1u << flow_requests; }
};

// A difference on its way: in bundles, not all at once if it is large.
struct Sync {
  // Messages with ids in a row; all of a bundle, or meters, or a barrier.
  struct Part {
    uint32_t first_xid = 0;
    uint32_t last_xid = 0;  // the commit's, or the barrier's
    size_t first = 0;       // bundle: index in difference.changes
    bool bundle = false;
    bool options = false;
    bool open = false;  // an answer to last_xid is awaited
  };
  Difference difference;
  std::vector<Part> parts;
  size_t next = 0;        // of difference.changes: to be sent
  bool all_sent = false;  // the meters behind the flows too
  std::string error;
  std::shared_ptr<const Desired> target;
  MonoTime sent{};  // last
};

class Session {
 public:
  enum class State : uint8_t { kHello, kFeatures, kDumping, kFound, kSyncing, kSynced, kRefused, kClosed };

  // Decides whether a switch is served, and where its traffic is counted.
  class Host {
   public:
    virtual ~Host() = default;
    // nullptr refuses; *why then says so. The counters outlive the session.
    virtual SwitchCounters* OnIdentified(Session* session, DatapathId dpid, std::string* why) = 0;
  };

  // `listener` and `host` outlive the session. `peer` names the other end in logs.
  Session(const ServerOptions& options, Listener* listener, Host* host, std::string peer, MonoTime now);

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // One whole message. Bad ones close the session or are counted; nothing else happens.
  void OnMessage(ByteView message, Now now);
  // Octets that are no message.
  void OnBrokenFraming(size_t length);
  // Timers, and everything that waits for its turn. Callbacks come from here and from OnMessage.
  void Run(Now now);
  MonoTime NextDeadline() const;

  void SetDesired(std::shared_ptr<const Desired> desired);
  void InstallBinding(const BindingFlow& flow, MonoTime now);
  void RemoveBinding(const BindingKey& key, MonoTime now, uint8_t client_bits = kAllClientBits);
  void RemoveBindingsOf(ServiceId service, InstanceId instance, MonoTime now);
  void RemoveBindingsAt(ServiceId service, BindingPlace place, MonoTime now);
  void ForwardDemand(PortNo in_port, ServiceId service, InstanceId instance, ByteView packet);
  void ForwardMiss(PortNo in_port, const BindingKey& key, InstanceId instance, const IpAddress& forwarder,
                   ByteView packet);
  void SendHello(PortNo tunnel, const IpAddress& to);
  void SendPacket(PortNo port, ByteView packet);
  void SendToNeighbor(const IpAddress& neighbor, ByteView packet);
  // Of two scopes that wait, the larger one.
  void CountBindings(CountScope scope);
  void CountPorts();
  // Of more than kMaxChecks that wait, the newest is answered at once: with a difference that says so.
  void Check(uint64_t request);
  void Resync();

  void Close(std::string reason);
  bool closed() const { return state_ == State::kClosed; }
  const std::string& close_reason() const { return close_reason_; }

  State state() const { return state_; }
  bool identified() const { return identified_; }
  DatapathId dpid() const { return dpid_; }
  const std::string& peer() const { return peer_; }
  const std::string& last_error() const { return last_error_; }
  const SwitchCounters& counters() const { return *counters_; }
  OutBuffer& out() { return out_; }
  size_t queued_bindings() const { return bindings_.queued(); }

 private:
  // session.cc: hello, features, echo, errors, packet-ins and packet-outs
  void OnHello(ByteView message);
  void OnFeatures(ByteView message, Now now);
  void OnError(ByteView message, Now now);
  void OnPacketIn(ByteView message);
  void Malformed(const Error& error);
  void Send(MsgType type, uint32_t xid);
  SendContext Context(MonoTime now);
  bool serving() const { return state_ >= State::kDumping && state_ != State::kClosed; }

  // session_binding.cc
  void StartMonitors();
  bool IsMonitorError(uint32_t xid, const ErrorMessage& error);
  // A barrier behind our own deletion, where the switch learns: what it says it learned until the barrier's
  // answer was deleted with the rest.
  struct Forgetting {
    ServiceId service;
    InstanceId instance{};
    std::optional<BindingPlace> place{};
    uint32_t barrier_xid = 0;
  };
  void Forget(Forgetting what);
  void OnFlowUpdates(ByteView message);
  void OnFlowRemoved(ByteView message, Now now);
  void Report(const std::vector<BindingQueue::Refused>& refused);
  void OnBindingSent(const BindingKey& key, const BindingFlow* flow);
  // Bindings that nothing of this session sends any more leave a running dump's result.
  template <typename Gone>
  void DropChanged(Gone&& gone) {
    std::erase_if(dump_->changed, [&](const auto& entry) { return entry.second && gone(*entry.second); });
  }

  // session_dump.cc
  void StartDump(DumpKind kind, uint64_t request, MonoTime now);
  void StartWaitingDump(MonoTime now);
  void OnMultipart(ByteView message);
  void MaybeFinishDump();
  void FinishDump();
  void AbandonCheck();
  void AnswerRefusedChecks();
  std::vector<FoundBinding> TakeBindings(Dump* dump) const;

  // session_ports.cc. The last two: true if the reply, or the error, is about ports.
  void AskForPorts(MonoTime now);
  bool OnPortReply(uint32_t xid, uint16_t type, bool more, ByteView message);
  bool OnPortsError(uint32_t xid);

  // session_sync.cc
  bool WantsOptions() const { return desired_ && !desired_->options.empty(); }
  void AskForOptions(MonoTime now);
  void OnOptionTable(ByteView message);
  bool OnOptionsError(uint32_t xid, const ErrorMessage& error);
  void TakeOptions(uint32_t xid, OptionTable table);
  bool SyncDue() const;
  // The plan looks for bindings elsewhere than what it is to replace: those that are queued go first, or
  // packets that are bound would find nothing, and the switch might choose for them.
  bool WaitsForBindings() const;
  void StartSync(MonoTime now);
  void SendOptions();
  void SendMeters(bool before_flows);
  void SendBundle();
  bool MaySendMore() const;
  void SendMore(MonoTime now);
  Sync::Part* FindPart(uint32_t xid);
  // True if `xid` is of the sync in flight.
  bool OnSyncReply(uint32_t xid, MonoTime now);
  bool OnSyncError(uint32_t xid, const ErrorMessage& error, MonoTime now);
  void MaybeFinishSync(MonoTime now);
  void FinishSync(MonoTime now);
  void ResyncAfter(const std::string& error, MonoTime now);
  // When bindings may be sent; max() before OnFound.
  MonoTime BindingsFrom() const;

  const ServerOptions options_;
  Listener* const listener_;
  Host* const host_;
  const std::string peer_;
  OutBuffer out_;
  SwitchCounters own_counters_;  // until the switch is identified
  SwitchCounters* counters_ = &own_counters_;
  State state_ = State::kHello;
  std::string close_reason_;
  std::string last_error_;
  bool identified_ = false;
  DatapathId dpid_;
  uint32_t next_xid_ = kFirstXid;
  MonoTime now_{};  // of the current call
  MonoTime opened_{};
  MonoTime last_heard_{};
  std::optional<MonoTime> probed_;
  MonoTime next_expiry_{};

  bool found_once_ = false;   // OnFound was called in this session
  MonoTime found_at_{};       // first
  bool synced_once_ = false;  // the first difference was sent: bindings may follow
  bool want_find_ = false;
  std::optional<CountScope> want_count_;
  bool want_ports_ = false;
  bool ports_refused_ = false;
  struct PortsAsked {
    uint32_t speeds_xid = 0;  // asked for first
    uint32_t stats_xid = 0;
    MonoTime sent{};
    std::map<PortNo, uint64_t> speeds;
    std::vector<PortCounters> ports;
  };
  std::optional<PortsAsked> ports_asked_;
  std::deque<uint64_t> want_checks_;
  std::vector<uint64_t> refused_checks_;      // to be answered: too many wait
  std::deque<uint32_t> abandoned_flow_xids_;  // dumps whose replies still come
  uint32_t abandoned_in_row_ = 0;
  std::optional<Dump> dump_;

  std::shared_ptr<const Desired> desired_;  // null until the first SetDesired of this session
  bool desired_changed_ = false;
  bool lookup_changed_ = false;  // by it: its table of lookups is another one
  MonoTime desired_at_{};
  Installed installed_;  // what we believe the switch holds beside bindings
  // Asked for alone: the plan came after the dump.
  struct OptionsAsked {
    uint32_t xid = 0;
    MonoTime sent{};
  };
  std::optional<OptionsAsked> options_asked_;
  std::optional<Sync> sync_;
  uint32_t resyncs_in_row_ = 0;
  MonoTime last_resync_{};
  std::chrono::seconds refused_wait_{0};  // the last one; 0: none
  bool synced_since_refused_ = false;
  std::optional<MonoTime> retry_at_;

  std::vector<uint32_t> monitor_xids_;
  FlowUpdates updates_;  // its memory is used again
  std::deque<Forgetting> forgetting_;
  // Services whose bindings the switch learns or has learned: what is pushed of them must have the form of
  // what is learned, or two flows would match alike.
  std::unordered_set<ServiceId> learning_;
  BindingQueue bindings_;
  const std::function<void(const BindingKey&, const BindingFlow*)> on_sent_;
  OwnRemovals own_removals_;
  PacketOutEncoder packet_outs_;
};

std::string_view StateName(Session::State state);

}  // namespace dyncast::openflow
