// The control thread: carries events to the core and effects to the switches, the database and back.
// It decides nothing itself. Bounded work per turn, packet-ins before metrics, metrics before requests.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controller/core/core.h"
#include "controller/io/binding_store.h"
#include "controller/io/control_queue.h"
#include "controller/io/metric_subscriber.h"
#include "ovs-integration/openflow/switch_server.h"
#include "ovs-integration/ovsdb/ovsdb_manager.h"
#include "schema/config/fabric.h"

namespace dyncast {

// One switch's comparison with what it must hold.
struct SwitchCheck {
  std::string name;
  bool reachable = false;
  openflow::SyncReport flows;    // flows and groups. kept: right; added: missing; deleted: unexpected
  uint64_t bindings_switch = 0;  // affinity keys that the switch holds binding flows for
  uint64_t bindings_table = 0;   // bindings that the core holds for it
  uint64_t bindings_differ = 0;  // in one of the two only, or with another instance
  bool plan_equal = false;       // the plan in force equals the plan made anew
  std::vector<std::string> ports_missing;  // configured, but without an OpenFlow number: not in the plan
};

class ControlLoop : public openflow::Listener, public ovsdb::Listener {
 public:
  struct Parts {
    std::shared_ptr<const config::FabricConfig> config;
    std::unique_ptr<core::Core> core;
    std::unique_ptr<MetricSubscriber> subscriber;
    BindingStore* store = nullptr;            // outlives the loop
    std::vector<InstanceId> known_instances;  // ids that are in the database already
  };
  explicit ControlLoop(Parts parts);
  ~ControlLoop() override;

  // Starts to listen for switches and to manage bridges.
  Status Start();
  // One turn, then sleep until something happens. `extra_fd` wakes it too (-1: none).
  void RunOnce(int extra_fd);
  // A new configuration, already validated. What cannot change while running is refused: kInvalid.
  Status Reload(std::shared_ptr<const config::FabricConfig> config);
  // An event of the program itself, for `dyncastctl events`.
  void Note(std::string kind, std::string subject, std::string detail);

  // The rest is for tasks on the control thread.
  ControlQueue& queue() { return queue_; }
  core::Core& core() { return *core_; }
  const config::FabricConfig& config() const { return *config_; }
  std::vector<openflow::SwitchStatus> OpenFlowStatuses() const { return server_.Statuses(); }
  std::vector<ovsdb::BridgeStatus> BridgeStatuses() const { return bridges_.Statuses(); }
  uint64_t unreadable_packets() const { return unreadable_packets_; }
  const SubscriberCounters& intake() const { return subscriber_->counters(); }
  std::optional<openflow::SyncReport> LastSync(DatapathId dpid) const;
  DatapathId DpidOf(const std::string& switch_name) const;
  void StepNow(const core::Event& event);
  // `done` is called on the control thread: at once for a switch that is away.
  void Check(const std::string& switch_name, std::function<void(SwitchCheck)> done);
  // Dump, compare, repair. nullopt: the switch is away.
  void Resync(const std::string& switch_name, std::function<void(std::optional<openflow::SyncReport>)> done);

  // openflow::Listener
  void OnFound(DatapathId dpid, openflow::FoundSwitch found) override;
  void OnLearned(DatapathId dpid, std::span<const FoundBinding> bindings) override;
  void OnMonitorGap(DatapathId dpid) override;
  void OnSynced(DatapathId dpid, const openflow::SyncReport& report) override;
  void OnLost(DatapathId dpid, const std::string& reason) override;
  void OnPunt(DatapathId dpid, const openflow::Punt& punt) override;
  void OnBindingEnded(DatapathId dpid, const FoundBinding& binding, EndReason reason) override;
  void OnBindingRefused(DatapathId dpid, const BindingKey& key, const std::string& error) override;
  void OnUnboundCounted(DatapathId dpid, std::vector<UnboundPackets> packets) override;
  void OnPortsCounted(DatapathId dpid, std::vector<PortCounters> ports) override;
  void OnCounted(DatapathId dpid, std::vector<FoundBinding> bindings) override;
  void OnChecked(DatapathId dpid, uint64_t request, const openflow::SyncReport& static_flows,
                 std::vector<FoundBinding> bindings) override;
  // ovsdb::Listener
  void OnPorts(const std::string& switch_name,
               const std::vector<std::pair<std::string, PortNo>>& ports) override;
  void OnProblem(const std::string& switch_name, const std::string& what) override;

 private:
  struct SwitchEntry {
    std::string name;
    SwitchId id;
    DatapathId dpid;
    std::optional<openflow::SyncReport> last_sync;
    std::set<std::string> ports;  // those with an OpenFlow number
    std::string last_problem;     // of its database, as last noted
    std::vector<std::function<void(std::optional<openflow::SyncReport>)>> resyncs;
  };

  void Adopt(const config::FabricConfig& config);
  std::vector<ovsdb::ConntrackZone> ZonesOf(const config::FabricConfig& config) const;
  void OnDemand(const SwitchEntry& entry, const openflow::Punt& punt);
  void Unreadable(const SwitchEntry& entry, std::string_view what, const Error& error);
  void IcmpErrorUnmapped(SwitchId at, const Error& error);
  // Applies effects_ in their order, each by its Do.
  void Apply();
  void Do(const core::SetPlan& e);
  void Do(const core::InstallBinding& e);
  void Do(const core::RemoveBinding& e);
  void Do(const core::RemoveBindingsOf& e);
  void Do(const core::RemoveBindingsAt& e);
  void Do(const core::ForwardDemand& e);
  void Do(const core::RefuseDemand& e);
  void Do(const core::AskNeighbor& e);
  void Do(const core::SendHeld& e);
  void Do(const core::CountBindings& e);
  void Do(const core::CountPorts& e);
  void Do(const core::ForwardIcmpError& e);
  void Do(const core::ReturnIcmpError& e);
  void Do(const core::ReturnFragment& e);
  void Do(const core::SendHello& e);
  void Do(const core::AnswerTtlExceeded& e);
  void Do(Record& record);
  void AnswerWaiting(SwitchEntry* entry);
  bool Connected(const SwitchEntry* entry) const;
  SwitchEntry* ById(SwitchId id);
  SwitchEntry* ByDpid(DatapathId dpid);
  SwitchEntry* ByName(const std::string& name);
  DatapathId Dpid(SwitchId id);

  std::shared_ptr<const config::FabricConfig> config_;
  std::unique_ptr<core::Core> core_;
  std::unique_ptr<MetricSubscriber> subscriber_;
  BindingStore* store_;
  ControlQueue queue_;
  openflow::SwitchServer server_;
  ovsdb::OvsdbManager bridges_;

  Now now_{};
  MonoTime look_again_ = MonoTime::min();  // at OVSDB and the metric socket
  uint64_t unreadable_packets_ = 0;
  core::Effects effects_;  // scratch
  std::vector<std::unique_ptr<SwitchEntry>> switches_;
  std::vector<SwitchEntry*> by_id_;  // index: SwitchId
  std::unordered_map<uint64_t, SwitchEntry*> by_dpid_;
  std::vector<bool> known_instances_;  // index: InstanceId; true once its row is on disk
  MonoTime next_id_flush_{};           // a database that does not answer is not waited for each time
  uint64_t next_request_ = 1;
  std::map<uint64_t, std::pair<std::string, std::function<void(SwitchCheck)>>> checks_;
};

}  // namespace dyncast
