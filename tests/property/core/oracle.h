// An independent model of what follows from the core's effects: the switches with their flows, the database
// with its rows, the instances' states as recorded. It knows the rules of core.h, not how the core keeps
// them. Each rule that is broken is one line in `broken`.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/core/core.h"

namespace dyncast::core {

class Oracle {
 public:
  // ---- The world, as the test's driver changes it -------------------------------------------------
  struct Flow {
    InstanceId instance;
    uint64_t packets = 0;
    MonoTime last{};
    std::chrono::seconds idle{60};
  };
  struct World {
    bool found = false;  // SwitchFound was delivered on this connection
    bool ports = false;
    std::map<BindingKey, Flow> flows;
    std::shared_ptr<const SwitchPlan> plan;
  };
  std::map<SwitchId, World> switches;
  std::map<BindingKey, InstanceId> rows;  // the database's bindings
  std::set<BindingKey> flowless;          // rows whose flow the switch refused
  std::map<InstanceId, InstanceRecord> instances;
  std::map<ServiceId, ServiceRecord> services;
  std::map<SwitchId, SwitchRecord> switch_rows;
  std::vector<std::string> broken;

  // Before a demand: where must it go? 0: wherever it is selected.
  InstanceId MustGo(const BindingKey& key) const {
    const auto row = rows.find(key);
    if (row == rows.end() || !Usable(row->second)) return InstanceId{};
    return row->second;
  }
  bool Usable(InstanceId id) const {
    const auto it = instances.find(id);
    if (it == instances.end() || it->second.state == InstanceState::kDown) return false;
    return it->second.state == InstanceState::kUp || it->second.reason != "drained";
  }

  // Takes the effects in, in order. `allowed_ends`: bindings that may end in this step although their
  // instances are usable.
  void Take(const Effects& effects, Now now, const std::string& step, std::set<BindingKey> allowed_ends) {
    for (const Effect& effect : effects) {
      std::visit([&](const auto& e) { On(e, now, step, allowed_ends); }, effect);
    }
  }

  // After each step.
  void Check(const Core& core, Now now, const std::string& step) {
    const auto fail = [&](const std::string& what) { broken.push_back(step + ": " + what); };
    std::map<BindingKey, InstanceId> standing;
    for (const auto& [id, sw] : switches) {
      for (const BindingFlow& flow : core.BindingsOf(id)) {
        if (!standing.emplace(flow.key, flow.instance).second) fail("a key stands twice");
      }
      const auto force = core.PlanInForce(id);
      if (force != nullptr) {
        const auto anew = core.PlanAnew(id);
        if (anew == nullptr || !(*force == *anew)) fail("plan in force differs from plan made anew");
      }
      if (sw.found && sw.ports && (sw.plan == nullptr || !(*sw.plan == *force))) {
        fail("the switch does not have the plan in force");
      }
      if (sw.plan == nullptr || !sw.found) continue;
      std::set<InstanceId> planned;
      for (const auto& p : sw.plan->instances) planned.insert(p.id);
      for (const auto& [instance, record] : instances) {
        if (Usable(instance) != (planned.count(instance) == 1)) {
          fail("instance " + record.name + " is " + std::string(InstanceStateName(record.state)) + "/" +
               record.reason + " but in the plan: " + std::to_string(planned.count(instance)));
        }
      }
    }
    std::map<BindingKey, InstanceId> expected_standing = rows;
    for (const BindingKey& key : flowless) expected_standing.erase(key);
    if (standing != expected_standing) {
      fail("bindings differ from the database: " + Difference(standing, expected_standing));
    }
    if (core.binding_count() != rows.size()) fail("binding_count");
    std::map<InstanceId, uint64_t> counts;
    for (const auto& [key, instance] : rows) counts[instance] += 1;
    for (const InstanceView& view : core.View(now).instances) {
      const uint64_t expected = Usable(view.id) ? counts[view.id] : 0;
      if (view.bindings != expected) fail("count of " + view.name);
      const auto record = instances.find(view.id);
      if (record == instances.end() || record->second.state != view.state ||
          record->second.reason != view.reason) {
        fail("row of instance " + view.name + " is not what is shown");
      }
    }
    for (const auto& [id, sw] : switches) {
      if (!sw.found) continue;
      for (const auto& [key, flow] : sw.flows) {
        const auto row = rows.find(key);
        if (row == rows.end() || row->second != flow.instance) fail("a flow without its row");
      }
      for (const auto& [key, instance] : rows) {
        if (key.at == id && sw.flows.count(key) + flowless.count(key) == 0) fail("a row without its flow");
      }
    }
  }

  static std::string Difference(const std::map<BindingKey, InstanceId>& a,
                                const std::map<BindingKey, InstanceId>& b) {
    size_t only_a = 0;
    size_t only_b = 0;
    for (const auto& [key, instance] : a) only_a += b.count(key) == 0 || b.at(key) != instance ? 1 : 0;
    for (const auto& [key, instance] : b) only_b += a.count(key) == 0 ? 1 : 0;
    return std::to_string(only_a) + " only in the core or other, " + std::to_string(only_b) + " only there";
  }

 private:
  using Allowed = std::set<BindingKey>;
  void Fail(const std::string& step, const std::string& what) { broken.push_back(step + ": " + what); }

  void On(const SetPlan& e, Now, const std::string& step, const Allowed&) {
    World& sw = switches[e.at];
    if (!sw.found) Fail(step, "a plan before the switch's bindings were found");
    if (!sw.ports) Fail(step, "a plan before the ports are known");
    sw.plan = e.plan;
  }
  void On(const InstallBinding& e, Now now, const std::string& step, const Allowed&) {
    World& sw = switches[e.at];
    if (!sw.found) return;  // nobody there to hold it
    if (e.flow.key.at != e.at) Fail(step, "a flow of another switch");
    flowless.erase(e.flow.key);
    const auto known = sw.flows.find(e.flow.key);
    if (known != sw.flows.end() && known->second.instance != e.flow.instance &&
        Usable(known->second.instance)) {
      Fail(step, "a flow moved from a usable instance");
    }
    if (known != sw.flows.end() && known->second.instance == e.flow.instance) {
      known->second.last = now.mono;
      return;
    }
    sw.flows[e.flow.key] = {
        .instance = e.flow.instance, .packets = 0, .last = now.mono, .idle = e.flow.idle_timeout};
  }
  void On(const RemoveBinding& e, Now, const std::string&, const Allowed&) {
    switches[e.at].flows.erase(e.key);
  }
  void On(const RemoveBindingsOf& e, Now, const std::string&, const Allowed&) {
    std::erase_if(switches[e.at].flows, [&](const auto& entry) {
      return entry.first.service == e.service && entry.second.instance == e.instance;
    });
  }
  void On(const ForwardDemand& e, Now, const std::string& step, const Allowed&) {
    if (!Usable(e.instance)) Fail(step, "a demand went to an instance that is not usable");
  }
  void On(const RefuseDemand&, Now, const std::string&, const Allowed&) {}
  void On(const AskNeighbor&, Now, const std::string&, const Allowed&) {}
  void On(const SendHeld&, Now, const std::string&, const Allowed&) {}
  void On(const CountBindings&, Now, const std::string&, const Allowed&) {}
  void On(const Record& record, Now, const std::string& step, const Allowed& allowed) {
    if (const auto* r = std::get_if<BindingStarted>(&record)) {
      if (!rows.emplace(r->key, r->instance).second) Fail(step, "started twice");
      const bool chosen = r->reason != StartReason::kFound;
      if (chosen && instances[r->instance].state != InstanceState::kUp) Fail(step, "bound to one not up");
      if (chosen && (r->decision.kept == 0 || r->decision.scores[0].instance != r->instance)) {
        Fail(step, "the decision does not name the chosen one first");
      }
    } else if (const auto* ended = std::get_if<BindingEnded>(&record)) {
      const auto row = rows.find(ended->key);
      if (row == rows.end()) {
        Fail(step, "ended what was not there");
        return;
      }
      if (Usable(row->second) && allowed.count(ended->key) == 0) {
        Fail(step, "a binding of a usable instance ended: " + std::string(EndReasonName(ended->reason)));
      }
      rows.erase(row);
      flowless.erase(ended->key);
    } else if (const auto* touched = std::get_if<BindingTouched>(&record)) {
      if (rows.count(touched->key) == 0) Fail(step, "touched what is not there");
    } else if (const auto* instance = std::get_if<InstanceRecord>(&record)) {
      instances[instance->id] = *instance;
    } else if (const auto* service = std::get_if<ServiceRecord>(&record)) {
      services[service->id] = *service;
    } else if (const auto* sw = std::get_if<SwitchRecord>(&record)) {
      switch_rows[sw->id] = *sw;
    }
  }
};

}  // namespace dyncast::core
