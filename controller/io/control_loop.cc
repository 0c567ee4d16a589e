#include "controller/io/control_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "ovs-integration/openflow/loop.h"
#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/packet.h"
#include "schema/base/log.h"

namespace dyncast {
namespace {

// Bounds of one turn: what is left over waits for the next, after the switches were served again.
constexpr size_t kMessagesPerTurn = 200;
constexpr size_t kTasksPerTurn = 4;
// How long the one write that must come before its use may take: a new instance's id.
constexpr std::chrono::milliseconds kNewIdFlush{500};
constexpr std::chrono::seconds kNewIdRetry{10};  // after it took longer

openflow::ServerOptions MakeServerOptions(const config::ControllerConfig& c) {
  openflow::ServerOptions options;
  options.binding_tick = c.binding_tick;
  return options;
}

}  // namespace

ControlLoop::ControlLoop(Parts parts)
    : config_(std::move(parts.config)),
      core_(std::move(parts.core)),
      subscriber_(std::move(parts.subscriber)),
      store_(parts.store),
      server_(MakeServerOptions(config_->controller), this),
      bridges_(this),
      now_(ReadClocks()) {
  known_instances_.resize(65536, false);
  for (InstanceId id : parts.known_instances) known_instances_[id.value()] = true;
}

ControlLoop::~ControlLoop() = default;

Status ControlLoop::Start() {
  Status listening = server_.Listen(config_->controller.openflow_listen);
  if (!listening.ok()) return listening;
  StepNow(core::ConfigChanged{config_});
  Adopt(*config_);
  return Ok();
}

Status ControlLoop::Reload(std::shared_ptr<const config::FabricConfig> config) {
  const config::ControllerConfig& a = config_->controller;
  const config::ControllerConfig& b = config->controller;
  const auto refuse = [](std::string_view key) {
    return MakeError(Errc::kInvalid,
                     "controller." + std::string(key) + " cannot change while running: restart to change it");
  };
  if (a.fabric != b.fabric) return refuse("fabric");
  if (a.openflow_listen != b.openflow_listen) return refuse("openflow_listen");
  if (a.metrics_bind != b.metrics_bind) return refuse("metrics_bind");
  if (a.api_socket != b.api_socket) return refuse("api_socket");
  if (a.database != b.database) return refuse("database");
  if (a.binding_tick != b.binding_tick) return refuse("binding_tick");
  if (a.history_retention != b.history_retention) return refuse("history_retention");
  if (a.log_level != b.log_level) {
    if (Status set = log::SetLevels(b.log_level); !set.ok()) return set;
  }
  config_ = std::move(config);
  StepNow(core::ConfigChanged{config_});
  Adopt(*config_);
  return Ok();
}

// Tells the edges which switches there are. The core has given each its id already.
void ControlLoop::Adopt(const config::FabricConfig& config) {
  std::vector<std::unique_ptr<SwitchEntry>> next;
  std::vector<DatapathId> expected;
  std::vector<ovsdb::DesiredBridge> wanted;
  for (const config::SwitchConfig& sw : config.switches) {
    const std::optional<SwitchId> id = core_->FindSwitch(sw.name);
    if (!id) continue;
    std::unique_ptr<SwitchEntry> entry;
    for (auto& old : switches_) {
      if (old && old->name == sw.name) entry = std::move(old);
    }
    if (!entry) entry = std::make_unique<SwitchEntry>();
    entry->name = sw.name;
    entry->id = *id;
    entry->dpid = DatapathId{config::DatapathIdFor(config.controller.fabric, sw.name)};
    expected.push_back(entry->dpid);
    ovsdb::DesiredBridge bridge;
    bridge.switch_name = sw.name;
    bridge.remote = sw.ovsdb;
    bridge.fabric = config.controller.fabric;
    bridge.bridge = sw.bridge;
    bridge.datapath_type = sw.datapath_type;
    bridge.dpid = entry->dpid;
    bridge.controller_target = config.controller.openflow_target;
    bridge.adopt = sw.adopt;
    for (const config::PortConfig& port : sw.ports) bridge.ports.push_back(port.name);
    wanted.push_back(std::move(bridge));
    next.push_back(std::move(entry));
  }
  for (auto& gone : switches_) {
    if (gone) AnswerWaiting(gone.get());
  }
  switches_ = std::move(next);
  by_id_.assign(65536, nullptr);
  by_dpid_.clear();
  for (const auto& entry : switches_) {
    by_id_[entry->id.value()] = entry.get();
    by_dpid_[entry->dpid.value()] = entry.get();
  }
  server_.SetExpected(std::move(expected));
  bridges_.SetDesired(std::move(wanted));
}

void ControlLoop::RunOnce(int extra_fd) {
  now_ = ReadClocks();
  server_.Run(now_);
  bridges_.Run(now_);
  now_ = ReadClocks();
  subscriber_->Run(kMessagesPerTurn,
                   [this](wire::AgentMessage message) { StepNow(core::AgentSaid{std::move(message)}); });
  if (now_.mono >= core_->NextDeadline()) StepNow(core::Tick{});
  queue_.Run(kTasksPerTurn);

  server_.Wait(now_);
  bridges_.Wait(now_);
  subscriber_->Wait();
  openflow::WaitReadable(queue_.fd());
  if (extra_fd >= 0) openflow::WaitReadable(extra_fd);
  openflow::WakeAt(core_->NextDeadline());
  openflow::Block();
}

void ControlLoop::StepNow(const core::Event& event) {
  effects_.clear();
  core_->Step(event, now_, &effects_);
  Apply();
}

void ControlLoop::Apply() {
  for (core::Effect& effect : effects_) {
    std::visit(
        [this](auto& e) {
          using T = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<T, Record>) {
            ApplyRecord(std::move(e));
          } else if constexpr (std::is_same_v<T, core::InstallBinding>) {
            server_.InstallBinding(Dpid(e.at), e.flow);
          } else if constexpr (std::is_same_v<T, core::ForwardDemand>) {
            server_.ForwardDemand(Dpid(e.at), e.in_port, e.service, e.instance, e.packet);
          } else if constexpr (std::is_same_v<T, core::RemoveBinding>) {
            server_.RemoveBinding(Dpid(e.at), e.key);
          } else if constexpr (std::is_same_v<T, core::RemoveBindingsOf>) {
            server_.RemoveBindingsOf(Dpid(e.at), e.service, e.instance);
          } else if constexpr (std::is_same_v<T, core::SetPlan>) {
            Result<pipeline::Compiled> compiled = pipeline::Compile(*e.plan);
            Status set = compiled.ok() ? server_.SetDesired(Dpid(e.at), *compiled) : compiled.error();
            if (!set.ok()) {
              DYN_ERROR("DC-CT-001", "control", "plan-refused", "switch={} error={}", e.plan->name,
                        set.error().ToString());
              Note("plan-refused", e.plan->name, set.error().ToString());
            }
          } else if constexpr (std::is_same_v<T, core::RefuseDemand>) {
            if (auto answer = pipeline::MakeUnreachable(e.packet)) {
              server_.SendPacket(Dpid(e.at), e.in_port, *answer);
            }
          } else if constexpr (std::is_same_v<T, core::AskNeighbor>) {
            server_.SendPacket(Dpid(e.at), e.port,
                               pipeline::MakeArpRequest(e.sender_mac, e.sender, e.target));
          } else if constexpr (std::is_same_v<T, core::SendHeld>) {
            if (e.neighbor.is_v4()) server_.SendToNeighbor(Dpid(e.at), e.neighbor.v4(), e.packet);
          } else if constexpr (std::is_same_v<T, core::CountBindings>) {
            server_.CountBindings(Dpid(e.at));
          }
        },
        effect);
  }
  effects_.clear();
}

void ControlLoop::ApplyRecord(Record record) {
  if (const auto* event = std::get_if<EventRecord>(&record)) {
    DYN_LOG(kInfo, "event", event->kind, "subject={} detail=\"{}\"", event->subject, event->detail);
  }
  const auto* instance = std::get_if<InstanceRecord>(&record);
  const InstanceId fresh =
      instance != nullptr && !known_instances_[instance->id.value()] ? instance->id : InstanceId{};
  store_->Post(std::move(record));
  if (!fresh.valid() || ReadClocks().mono < next_id_flush_) return;
  // Flows will carry this id. Were it forgotten in a crash, the next start could give it to another
  // instance while bindings of this one still stand.
  if (Status flushed = store_->Flush(kNewIdFlush); !flushed.ok()) {
    DYN_WARN("DC-CT-002", "control", "instance-id-not-on-disk", "id={} error={}", fresh.value(),
             flushed.error().ToString());
    next_id_flush_ = ReadClocks().mono + kNewIdRetry;
    return;
  }
  known_instances_[fresh.value()] = true;
}

void ControlLoop::Note(std::string kind, std::string subject, std::string detail) {
  store_->Post(EventRecord{now_.wall, std::move(kind), std::move(subject), std::move(detail)});
}

ControlLoop::SwitchEntry* ControlLoop::ById(SwitchId id) {
  return by_id_.empty() ? nullptr : by_id_[id.value()];
}

ControlLoop::SwitchEntry* ControlLoop::ByDpid(DatapathId dpid) {
  const auto it = by_dpid_.find(dpid.value());
  return it == by_dpid_.end() ? nullptr : it->second;
}

ControlLoop::SwitchEntry* ControlLoop::ByName(const std::string& name) {
  for (const auto& entry : switches_) {
    if (entry->name == name) return entry.get();
  }
  return nullptr;
}

DatapathId ControlLoop::Dpid(SwitchId id) {
  const SwitchEntry* entry = ById(id);
  return entry == nullptr ? DatapathId{} : entry->dpid;
}

DatapathId ControlLoop::DpidOf(const std::string& switch_name) const {
  for (const auto& entry : switches_) {
    if (entry->name == switch_name) return entry->dpid;
  }
  return DatapathId{};
}

std::optional<openflow::SyncReport> ControlLoop::LastSync(DatapathId dpid) const {
  const auto it = by_dpid_.find(dpid.value());
  return it == by_dpid_.end() ? std::nullopt : it->second->last_sync;
}

// ---- what the switches say ----------------------------------------------------------------------

void ControlLoop::OnPunt(DatapathId dpid, const openflow::Punt& punt) {
  const SwitchEntry* entry = ByDpid(dpid);
  if (entry == nullptr) return;
  switch (punt.reason) {
    case pipeline::PuntReason::kDemand:
    case pipeline::PuntReason::kEgressGone: {
      Result<pipeline::ParsedPacket> parsed = pipeline::ParsePacket(punt.packet);
      if (!parsed.ok()) {
        DYN_WARN("DC-CT-003", "control", "unreadable-demand", "switch={} error={}", entry->name,
                 parsed.error().ToString());
        return;
      }
      constexpr uint8_t kFin = 0x01;
      constexpr uint8_t kSyn = 0x02;
      constexpr uint8_t kRst = 0x04;
      const core::TcpPhase phase = (parsed->tcp_flags & kRst) != 0   ? core::TcpPhase::kReset
                                   : (parsed->tcp_flags & kFin) != 0 ? core::TcpPhase::kClosing
                                   : (parsed->tcp_flags & kSyn) != 0 ? core::TcpPhase::kOpening
                                                                     : core::TcpPhase::kNone;
      effects_.clear();
      core_->StepDemand(core::DemandArrived{.at = entry->id,
                                            .service = punt.service,
                                            .demand = parsed->demand,
                                            .in_port = punt.in_port,
                                            .egress_gone = punt.reason == pipeline::PuntReason::kEgressGone,
                                            .phase = phase,
                                            .packet = punt.packet},
                        now_, &effects_);
      Apply();
      return;
    }
    case pipeline::PuntReason::kNeighborWanted:
      StepNow(core::NeighborWanted{entry->id, IpAddress::V4(punt.reg5), punt.packet});
      return;
    case pipeline::PuntReason::kNeighborFound: {
      Result<pipeline::ArpPacket> arp = pipeline::ParseArp(punt.packet);
      if (!arp.ok()) return;  // the switch matched ARP; a short one is simply no neighbour
      StepNow(core::NeighborFound{entry->id, punt.in_port, arp->sender, arp->sender_mac});
      return;
    }
  }
}

void ControlLoop::OnFound(DatapathId dpid, std::vector<FoundBinding> bindings) {
  if (const SwitchEntry* entry = ByDpid(dpid)) {
    StepNow(core::SwitchFound{entry->id, std::move(bindings)});
  }
}

void ControlLoop::OnSynced(DatapathId dpid, const openflow::SyncReport& report) {
  SwitchEntry* entry = ByDpid(dpid);
  if (entry == nullptr) return;
  entry->last_sync = report;
  DYN_LOG(kInfo, "switch", "synced", "switch={} kept={} added={} deleted={}", entry->name, report.kept,
          report.added, report.deleted);
  StepNow(core::SwitchSynced{entry->id});
  for (auto& done : std::exchange(entry->resyncs, {})) done(report);
}

void ControlLoop::OnLost(DatapathId dpid, const std::string& reason) {
  SwitchEntry* entry = ByDpid(dpid);
  if (entry == nullptr) return;
  StepNow(core::SwitchLost{entry->id, reason});
  AnswerWaiting(entry);
}

// Whoever waits for a switch that went away, or is no longer wanted, is told so.
void ControlLoop::AnswerWaiting(SwitchEntry* entry) {
  for (auto& done : std::exchange(entry->resyncs, {})) done(std::nullopt);
  for (auto it = checks_.begin(); it != checks_.end();) {
    if (it->second.first != entry->name) {
      ++it;
      continue;
    }
    auto done = std::move(it->second.second);
    it = checks_.erase(it);
    SwitchCheck away;
    away.name = entry->name;
    done(std::move(away));
  }
}

void ControlLoop::OnBindingEnded(DatapathId dpid, const FoundBinding& binding, EndReason reason) {
  if (const SwitchEntry* entry = ByDpid(dpid)) {
    StepNow(core::BindingFlowEnded{entry->id, binding, reason});
  }
}

void ControlLoop::OnBindingRefused(DatapathId dpid, const BindingKey& key, const std::string& error) {
  const SwitchEntry* entry = ByDpid(dpid);
  if (entry == nullptr) return;
  DYN_WARN("DC-CT-004", "control", "binding-refused", "switch={} error={}", entry->name, error);
  StepNow(core::BindingFlowRefused{entry->id, key, error});
}

void ControlLoop::OnCounted(DatapathId dpid, std::vector<FoundBinding> bindings) {
  if (const SwitchEntry* entry = ByDpid(dpid)) {
    StepNow(core::BindingsCounted{entry->id, std::move(bindings)});
  }
}

void ControlLoop::OnPorts(const std::string& switch_name,
                          const std::vector<std::pair<std::string, PortNo>>& ports) {
  SwitchEntry* entry = ByName(switch_name);
  if (entry == nullptr) return;
  entry->last_problem.clear();
  entry->ports.clear();
  for (const auto& [name, number] : ports) entry->ports.insert(name);
  StepNow(core::PortsKnown{entry->id, ports});
}

void ControlLoop::OnProblem(const std::string& switch_name, const std::string& what) {
  // The manager has logged it; while it tries again with the same result, one event is enough.
  SwitchEntry* entry = ByName(switch_name);
  if (entry != nullptr && entry->last_problem == what) return;
  if (entry != nullptr) entry->last_problem = what;
  Note("ovsdb-problem", switch_name, what);
}

// ---- check and repair ---------------------------------------------------------------------------

// A session that is busy with a dump or a difference answers when that is done.
bool ControlLoop::Connected(const SwitchEntry* entry) const {
  if (entry == nullptr) return false;
  for (const openflow::SwitchStatus& status : server_.Statuses()) {
    if (status.dpid == entry->dpid) return status.state != "away" && status.state != "handshake";
  }
  return false;
}

void ControlLoop::Check(const std::string& switch_name, std::function<void(SwitchCheck)> done) {
  const SwitchEntry* entry = ByName(switch_name);
  if (!Connected(entry)) {
    SwitchCheck away;
    away.name = switch_name;
    done(std::move(away));
    return;
  }
  const uint64_t request = next_request_++;
  checks_.emplace(request, std::make_pair(switch_name, std::move(done)));
  server_.Check(entry->dpid, request);
}

void ControlLoop::OnChecked(DatapathId dpid, uint64_t request, const openflow::SyncReport& static_flows,
                            std::vector<FoundBinding> bindings) {
  const auto it = checks_.find(request);
  if (it == checks_.end()) return;
  auto done = std::move(it->second.second);
  checks_.erase(it);
  const SwitchEntry* entry = ByDpid(dpid);
  if (entry == nullptr) return;

  SwitchCheck check;
  check.name = entry->name;
  check.reachable = true;
  check.flows = static_flows;
  std::unordered_map<BindingKey, InstanceId> held;
  held.reserve(bindings.size());
  for (const FoundBinding& b : bindings) held.emplace(b.key, b.instance);
  const std::vector<BindingFlow> table = core_->BindingsOf(entry->id);
  check.bindings_switch = held.size();
  check.bindings_table = table.size();
  for (const BindingFlow& flow : table) {
    const auto found = held.find(flow.key);
    if (found == held.end() || found->second != flow.instance) ++check.bindings_differ;
    if (found != held.end()) held.erase(found);
  }
  check.bindings_differ += held.size();
  const auto in_force = core_->PlanInForce(entry->id);
  const auto anew = core_->PlanAnew(entry->id);
  for (const config::SwitchConfig& sw : config_->switches) {
    if (sw.name != entry->name) continue;
    for (const config::PortConfig& port : sw.ports) {
      if (!entry->ports.contains(port.name)) check.ports_missing.push_back(port.name);
    }
  }
  check.plan_equal = in_force && anew && *in_force == *anew;
  done(std::move(check));
}

void ControlLoop::Resync(const std::string& switch_name,
                         std::function<void(std::optional<openflow::SyncReport>)> done) {
  SwitchEntry* entry = ByName(switch_name);
  if (!Connected(entry)) {
    done(std::nullopt);
    return;
  }
  entry->resyncs.push_back(std::move(done));
  server_.Resync(entry->dpid);
}

}  // namespace dyncast
