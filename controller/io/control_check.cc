// `check` and `sync`: a switch compared with what it must hold.
#include <unordered_map>
#include <utility>
#include <vector>

#include "controller/io/control_loop.h"

namespace dyncast {
namespace {

// Where the switch steers each key. With generations a key may stand in both tables: the current one decides.
// A key that stands only where its service does not look is steered nowhere (instance 0).
std::unordered_map<BindingKey, InstanceId> Steered(const std::vector<FoundBinding>& bindings,
                                                   const SwitchPlan* plan) {
  std::unordered_map<ServiceId, BindingPlace> current;
  if (plan != nullptr) {
    for (const PlannedService& s : plan->services) current[s.id] = PlaceAt(plan->role, s);
  }
  std::unordered_map<BindingKey, InstanceId> out;
  out.reserve(bindings.size());
  for (const FoundBinding& b : bindings) {
    const auto place = current.find(b.key.service);
    const bool looked_at = place != current.end() && FormOf(place->second) == FormOf(b.place) &&
                           IsTimed(place->second) == IsTimed(b.place);
    InstanceId& steered = out[b.key];
    if (looked_at && (b.place == place->second || !steered.valid())) steered = b.instance;
  }
  return out;
}

}  // namespace

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
  const auto in_force = core_->PlanInForce(entry->id);
  std::unordered_map<BindingKey, InstanceId> held = Steered(bindings, in_force.get());
  const std::vector<BindingFlow> table = core_->BindingsOf(entry->id);
  check.bindings_switch = held.size();
  check.bindings_table = table.size();
  for (const BindingFlow& flow : table) {
    const auto found = held.find(flow.key);
    if (found == held.end() || found->second != flow.instance) ++check.bindings_differ;
    if (found != held.end()) held.erase(found);
  }
  check.bindings_differ += held.size();
  const auto anew = core_->PlanAnew(entry->id);
  for (const config::SwitchConfig& sw : config_->switches) {
    if (sw.name != entry->name) continue;
    for (const config::PortConfig& port : sw.ports) {
      if (!entry->ports.contains(port.name)) check.ports_missing.push_back(port.name);
    }
    if (sw.tunnel && !entry->ports.contains(sw.tunnel->port)) check.ports_missing.push_back(sw.tunnel->port);
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
