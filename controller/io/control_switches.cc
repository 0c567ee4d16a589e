// What the switches and their databases say, as events for the core.
#include <string_view>
#include <utility>

#include "controller/io/control_loop.h"
#include "ovs-integration/pipeline/packet.h"
#include "schema/base/log.h"

namespace dyncast {

void ControlLoop::OnPunt(DatapathId dpid, const openflow::Punt& punt) {
  const SwitchEntry* entry = ByDpid(dpid);
  if (entry == nullptr) return;
  switch (punt.reason) {
    case pipeline::PuntReason::kDemand:
    case pipeline::PuntReason::kEgressGone: OnDemand(*entry, punt); return;
    case pipeline::PuntReason::kNeighborWanted:
      StepNow(core::NeighborWanted{entry->id, punt.neighbor, punt.packet});
      return;
    case pipeline::PuntReason::kNeighborFound: {
      const Result<pipeline::NeighborPacket> found = pipeline::ParseNeighbor(punt.packet);
      // The switch matched the type alone. A sender without address or MAC asks whether an address is free.
      if (!found.ok() || found->sender.is_none() || found->sender_mac.is_none()) return;
      StepNow(core::NeighborFound{entry->id, punt.in_port, found->sender, found->sender_mac});
      return;
    }
    case pipeline::PuntReason::kIcmpErrorToClient:
    case pipeline::PuntReason::kIcmpErrorToSid: {
      const Result<pipeline::IcmpError> error = pipeline::ParseIcmpError(punt.packet);
      if (!error.ok()) return Unreadable(*entry, "icmp-error", error.error());
      StepNow(core::IcmpErrorArrived{.at = entry->id,
                                     .to_sid = punt.reason == pipeline::PuntReason::kIcmpErrorToSid,
                                     .in_port = punt.in_port,
                                     .neighbor = punt.neighbor,
                                     .packet = punt.packet,
                                     .quoted = error->quoted});
      return;
    }
    case pipeline::PuntReason::kFragmentToInstance:
    case pipeline::PuntReason::kFragmentToClient: {
      const Result<pipeline::ParsedPacket> parsed = pipeline::ParsePacket(punt.packet);
      if (!parsed.ok()) return Unreadable(*entry, "fragment", parsed.error());
      StepNow(core::FragmentArrived{.at = entry->id,
                                    .service = punt.service,
                                    .to_client = punt.reason == pipeline::PuntReason::kFragmentToClient,
                                    .instance = punt.instance,
                                    .neighbor = punt.neighbor,
                                    .in_port = punt.in_port,
                                    .demand = parsed->demand,
                                    .packet = punt.packet});
      return;
    }
    case pipeline::PuntReason::kTtlExceeded: {
      const Result<pipeline::ParsedPacket> parsed = pipeline::ParsePacket(punt.packet);
      if (!parsed.ok()) return Unreadable(*entry, "expired-packet", parsed.error());
      StepNow(core::TtlExceeded{entry->id, punt.in_port, parsed->demand.client, punt.packet});
      return;
    }
  }
}

void ControlLoop::OnDemand(const SwitchEntry& entry, const openflow::Punt& punt) {
  const Result<pipeline::ParsedPacket> parsed = pipeline::ParsePacket(punt.packet);
  if (!parsed.ok()) return Unreadable(entry, "demand", parsed.error());
  constexpr uint8_t kFin = 0x01;
  constexpr uint8_t kSyn = 0x02;
  constexpr uint8_t kRst = 0x04;
  const core::TcpPhase phase = (parsed->tcp_flags & kRst) != 0   ? core::TcpPhase::kReset
                               : (parsed->tcp_flags & kFin) != 0 ? core::TcpPhase::kClosing
                               : (parsed->tcp_flags & kSyn) != 0 ? core::TcpPhase::kOpening
                                                                 : core::TcpPhase::kNone;
  effects_.clear();
  core_->StepDemand(core::DemandArrived{.at = entry.id,
                                        .service = punt.service,
                                        .demand = parsed->demand,
                                        .in_port = punt.in_port,
                                        .egress_gone = punt.reason == pipeline::PuntReason::kEgressGone,
                                        .phase = phase,
                                        .forwarder = punt.neighbor,
                                        .packet = punt.packet},
                    now_, &effects_);
  Apply();
}

void ControlLoop::Unreadable(const SwitchEntry& entry, std::string_view what, const Error& error) {
  ++unreadable_packets_;
  DYN_WARN("DC-CT-003", "control", "unreadable-packet", "switch={} packet={} error={}", entry.name, what,
           error.ToString());
}

void ControlLoop::OnFound(DatapathId dpid, openflow::FoundSwitch found) {
  if (const SwitchEntry* entry = ByDpid(dpid)) {
    StepNow(core::SwitchFound{entry->id, std::move(found.bindings), std::move(found.dispatch), found.empty});
  }
}

void ControlLoop::OnLearned(DatapathId dpid, std::span<const FoundBinding> bindings) {
  if (const SwitchEntry* entry = ByDpid(dpid)) StepNow(core::BindingsLearned{entry->id, bindings});
}

void ControlLoop::OnMonitorGap(DatapathId dpid) {
  if (const SwitchEntry* entry = ByDpid(dpid)) StepNow(core::MonitorGap{entry->id});
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

void ControlLoop::OnUnboundCounted(DatapathId dpid, std::vector<UnboundPackets> packets) {
  if (const SwitchEntry* entry = ByDpid(dpid)) {
    StepNow(core::UnboundCounted{entry->id, std::move(packets)});
  }
}

void ControlLoop::OnPortsCounted(DatapathId dpid, std::vector<PortCounters> ports) {
  if (const SwitchEntry* entry = ByDpid(dpid)) StepNow(core::PortsCounted{entry->id, std::move(ports)});
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

}  // namespace dyncast
