#include "controller/io/control_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "ovs-integration/openflow/loop.h"
#include "schema/base/log.h"

namespace dyncast {
namespace {

// Bounds of one turn: what is left over waits for the next, after the switches were served again.
constexpr size_t kMessagesPerTurn = 200;
constexpr size_t kTasksPerTurn = 4;
// To look at OVSDB and the metric socket costs several system calls: where demands make more turns than one
// in this time, not in each.
constexpr Micros kLookGap{1000};
// A connection that was never established leaves connection tracking after this: a SYN flood's mark.
constexpr std::chrono::seconds kOpeningTimeout{10};

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
  if (a.prometheus_listen != b.prometheus_listen) return refuse("prometheus_listen");
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

// The connection tracking zones of the services that hold their bindings there: a zone's number is its
// service's id.
std::vector<ovsdb::ConntrackZone> ControlLoop::ZonesOf(const config::FabricConfig& config) const {
  std::vector<ovsdb::ConntrackZone> zones;
  for (const ServiceSpec& spec : config.services) {
    if (StoreOf(spec.affinity) != BindingStoreKind::kConntrack) continue;
    const std::optional<ServiceId> id = core_->FindService(spec.name);
    if (!id) continue;
    const std::chrono::seconds idle = spec.affinity.idle_timeout;
    zones.push_back({.zone = id->value(),
                     .idle = idle,
                     .closing = std::max(std::chrono::seconds{1}, spec.affinity.fin_timeout),
                     .opening = std::min(idle, kOpeningTimeout)});
  }
  return zones;
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
    // One interface may be several ports of ours, which differ in their VLAN.
    for (const config::PortConfig& port : sw.ports) {
      if (std::find(bridge.ports.begin(), bridge.ports.end(), port.name) == bridge.ports.end()) {
        bridge.ports.push_back(port.name);
      }
    }
    bridge.zones = ZonesOf(config);
    bridge.binding_flow_limit = sw.binding_flow_limit;
    if (sw.tunnel) {
      bridge.tunnel =
          ovsdb::DesiredTunnel{.port = sw.tunnel->port, .local_ip = sw.tunnel->address.ToString()};
    }
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
  const bool all = now_.mono >= look_again_;
  if (all) {
    bridges_.Run(now_);
    now_ = ReadClocks();
    const size_t read = subscriber_->Run(kMessagesPerTurn, [this](wire::AgentMessage message) {
      StepNow(core::AgentSaid{std::move(message)});
    });
    look_again_ = read < kMessagesPerTurn ? now_.mono + kLookGap : now_.mono;
  }
  if (now_.mono >= core_->NextDeadline()) StepNow(core::Tick{});
  queue_.Run(kTasksPerTurn);

  server_.Wait(now_);
  if (all) {
    bridges_.Wait(now_);
    subscriber_->Wait();
  } else {
    openflow::WakeAt(look_again_);
  }
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

}  // namespace dyncast
