// An independent model of what follows from the core's effects: the switches with their flows, the database
// with its rows, the instances' states as recorded. It knows the rules of core.h, not how the core keeps
// them. Each rule that is broken is one line in `broken`.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/core/core.h"
#include "tests/property/core/switch_model.h"

namespace dyncast::core {

class Oracle {
 public:
  // ---- The world, as the test's driver changes it -------------------------------------------------
  using World = SwitchModel;
  static constexpr std::chrono::seconds kToldRemembered{4};  // below every idle timeout
  // What was told is given up after 5 s, counts are 10 s apart, and time passes by at most 15 s in a step.
  static constexpr std::chrono::seconds kToldGivenUp{6};
  static constexpr std::chrono::seconds kApartAtMost{35};
  std::map<SwitchId, World> switches;
  std::map<BindingKey, InstanceId> rows;  // the database's bindings
  std::set<BindingKey> flowless;          // rows whose flow the switch refused
  std::map<InstanceId, InstanceRecord> instances;
  std::map<ServiceId, ServiceRecord> services;
  std::map<SwitchId, SwitchRecord> switch_rows;
  std::map<uint64_t, DecisionContextRecord> contexts;
  uint64_t learned = 0;  // BindingStarted of switches' own decisions
  uint64_t taken = 0;    // and of D-Forwarders that were told by a switch
  uint64_t slots_moved = 0;
  std::vector<std::string> broken;

  // Before a demand: where must it go? 0: wherever it is selected.
  InstanceId MustGo(const BindingKey& key, MonoTime now) const {
    const auto row = rows.find(key);
    if (row == rows.end() || !Usable(row->second) || IsDoomed(key)) return InstanceId{};
    // What a D-Forwarder has not learned is remembered for a while only.
    const auto since = ToldSince(key);
    if (since && now - *since > kToldRemembered) return InstanceId{};
    return row->second;
  }
  std::optional<MonoTime> ToldSince(const BindingKey& key) const {
    const auto sw = switches.find(key.at);
    if (sw == switches.end()) return std::nullopt;
    const auto told = sw->second.told.find(key);
    return told == sw->second.told.end() ? std::nullopt : std::optional(told->second);
  }
  bool IsDoomed(const BindingKey& key) const {
    const auto sw = switches.find(key.at);
    return sw != switches.end() && sw->second.doomed.count(key) != 0;
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
        if (sw.OnItsWay(flow.key)) continue;
        if (!standing.emplace(flow.key, flow.instance).second) fail("a key stands twice");
        const auto held = sw.Find(flow.key);
        // Else other rules are about it; what was told may stand in the older table, from before.
        const bool same = held && held->instance == flow.instance && sw.told.count(flow.key) == 0;
        if (sw.found && sw.plan != nullptr && same && held->place != flow.place) {
          fail("a binding is in table " + std::to_string(static_cast<int>(held->place)) +
               ", the core thinks in " + std::to_string(static_cast<int>(flow.place)) + ", service " +
               flow.key.client.ToString() + ":" + std::to_string(flow.key.src_port) + " at " +
               std::to_string(id.value()) + " " + std::to_string(flow.key.service.value()));
        }
      }
      const auto force = core.PlanInForce(id);
      if (force != nullptr) {
        const auto anew = core.PlanAnew(id);
        if (anew == nullptr || !(WithoutGone(*force) == WithoutGone(*anew))) {
          fail("plan in force differs from plan made anew");
        }
      }
      if (sw.found && sw.ports && (sw.plan == nullptr || !(*sw.plan == *force))) {
        fail("the switch does not have the plan in force");
      }
      if (sw.plan == nullptr || !sw.found) continue;
      std::set<InstanceId> planned;
      for (const auto& p : sw.plan->instances) {
        if (p.reachable) planned.insert(p.id);
        if (!p.reachable && !sw.forwarder) fail("a D-Router knows an instance that is gone");
      }
      if (sw.forwarder) CheckForwarder(sw, step);
      for (const auto& [instance, record] : instances) {
        if (Usable(instance) != (planned.count(instance) == 1)) {
          fail("instance " + record.name + " is " + std::string(InstanceStateName(record.state)) + "/" +
               record.reason + " but in the plan: " + std::to_string(planned.count(instance)));
        }
      }
    }
    std::map<BindingKey, InstanceId> expected_standing = rows;
    for (const BindingKey& key : flowless) expected_standing.erase(key);
    // Whether the core still believes in what was told in vain is its own affair.
    for (const auto& [id, sw] : switches) {
      for (const auto& [key, since] : sw.told) expected_standing.erase(key), standing.erase(key);
    }
    std::erase_if(expected_standing, [&](const auto& row) {
      return IsDoomed(row.first) || switches[row.first.at].OnItsWay(row.first);
    });
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
    for (auto& [id, sw] : switches) {
      const auto apart = std::exchange(sw.apart, {});
      if (!sw.found) continue;
      sw.ForEach([&](const BindingKey& key, const World::Held& held) {
        const auto row = rows.find(key);
        if (sw.OnItsWay(key) || sw.beneath.count(key) != 0) return;
        if (sw.plan == nullptr) return;  // in a former store's table, perhaps
        if (sw.told.count(key) != 0 && row->second != held.instance) {
          // Another one was told, which it has not learned. While this one is gone the next packet asks
          // again; if it comes back, a count or the tables' turns bring row and flow together.
          if (!sw.HasEgress(held.instance) || !sw.UsedFirst(key, held.place)) return;
          const auto before = apart.find(key);
          const MonoTime since = before == apart.end() ? now.mono : before->second;
          sw.apart[key] = since;
          if (now.mono - since > kApartAtMost) fail("a row stays apart from its flow");
          return;
        }
        if (sw.UsedFirst(key, held.place)) sw.told.erase(key);
        if (row == rows.end() || row->second != held.instance)
          fail("a flow without its row: service " + std::to_string(key.service.value()) + " switch " +
               std::to_string(id.value()) + " " + key.client.ToString() + ":" + std::to_string(key.src_port) +
               " instance " + std::to_string(held.instance.value()) + " place " +
               std::to_string(static_cast<int>(held.place)) + " plan " + std::to_string(sw.plan != nullptr));
      });
      for (const auto& [key, instance] : rows) {
        if (key.at != id || sw.doomed.count(key) + flowless.count(key) != 0 || sw.OnItsWay(key)) continue;
        if (sw.told.count(key) != 0) continue;
        // Without a plan of this controller the switch still uses the tables of the one before.
        if (!(sw.plan == nullptr ? sw.HoldsAnywhere(key) : sw.Find(key).has_value())) {
          fail("a row without its flow: service " + std::to_string(key.service.value()) + " client " +
               key.client.ToString() + ":" + std::to_string(key.src_port) + " instance " +
               std::to_string(instance.value()));
        }
      }
    }
  }
  // After two ticks: nothing lags behind.
  void CheckSettled(const Core& core, const std::string& step) {
    for (const auto& [id, sw] : switches) {
      if (sw.plan == nullptr || !sw.found) continue;
      if (!(*sw.plan == *core.PlanAnew(id))) broken.push_back(step + ": a plan lags behind");
    }
  }
  // After a count: a row that a D-Forwarder was told in vain follows what it goes on with.
  void CheckCounted(const BindingsCounted& counted, MonoTime now, const std::string& step) {
    const World& sw = switches[counted.at];
    for (const FoundBinding& binding : counted.bindings) {
      const auto told = sw.told.find(binding.key);
      const auto held = sw.Find(binding.key);
      if (told == sw.told.end() || now - told->second < kToldGivenUp || sw.OnItsWay(binding.key)) continue;
      if (!held || held->instance != binding.instance || held->place != binding.place) continue;
      if (!Usable(held->instance) || !sw.UsedFirst(binding.key, held->place)) continue;
      if (rows[binding.key] != held->instance) Fail(step, "a row does not follow what was counted");
    }
  }
  // After a tick: emptied tables' rows end soon.
  void CheckDoomed(Now now, const std::string& step) {
    for (const auto& [id, sw] : switches) {
      for (const auto& [key, since] : sw.doomed) {
        if (now.mono - since > std::chrono::seconds{3}) broken.push_back(step + ": a row outlives its flow");
      }
    }
  }

  static std::string Difference(const std::map<BindingKey, InstanceId>& a,
                                const std::map<BindingKey, InstanceId>& b) {
    std::string text;
    const auto add = [&text](const char* where, const BindingKey& key, InstanceId instance) {
      text += std::string(" ") + where + " " + key.client.ToString() + ":" + std::to_string(key.src_port) +
              " service " + std::to_string(key.service.value()) + " switch " +
              std::to_string(key.at.value()) + " instance " + std::to_string(instance.value());
    };
    for (const auto& [key, instance] : a) {
      if (b.count(key) == 0 || b.at(key) != instance) add("core", key, instance);
    }
    for (const auto& [key, instance] : b) {
      if (a.count(key) == 0 || a.at(key) != instance) add("database", key, instance);
    }
    return text;
  }

 private:
  using Allowed = std::set<BindingKey>;
  // A D-Forwarder hears of the end of the last binding to a gone instance with the next tick.
  static SwitchPlan WithoutGone(SwitchPlan plan) {
    std::erase_if(plan.instances, [](const PlannedInstance& instance) { return !instance.reachable; });
    return plan;
  }
  // Whom a D-Forwarder asks: the first D-Router that is there with all it takes, else the first.
  void CheckForwarder(const World& forwarder, const std::string& step) {
    const World* first = nullptr;
    const World* there = nullptr;
    for (const auto& [id, sw] : switches) {  // ids are in the order of d_routers
      if (sw.forwarder) continue;
      if (first == nullptr) first = &sw;
      if (there == nullptr && sw.found && sw.synced && sw.ports && sw.endpoint) there = &sw;
    }
    const World& expected = there != nullptr ? *there : *first;
    if (forwarder.plan->ask != expected.address) {
      Fail(step, "it asks " + forwarder.plan->ask.ToString() + ", not " + expected.address.ToString());
    }
    for (const PlannedInstance& instance : forwarder.plan->instances) {
      if (!instance.reachable && Usable(instance.id)) Fail(step, "a usable instance counts as gone");
    }
  }
  static size_t TurnOf(BindingPlace place) { return place == GenerationPlace(0, FormOf(place)) ? 0 : 1; }
  void Fail(const std::string& step, const std::string& what) { broken.push_back(step + ": " + what); }

  void On(const SetPlan& e, Now, const std::string& step, const Allowed&) {
    World& sw = switches[e.at];
    if (sw.forwarder != (e.plan->role == SwitchRole::kDForwarder)) Fail(step, "a plan of another role");
    if (!sw.found) Fail(step, "a plan before the switch's bindings were found");
    if (!sw.ports) Fail(step, "a plan before the ports are known");
    for (const PlannedService& service : e.plan->services) {
      if (sw.forwarder) {
        if (!service.slots_v4.empty() || !service.slots_v6.empty()) Fail(step, "a D-Forwarder selects");
        continue;
      }
      const PlannedService* before = sw.Service(service.id);
      CheckSlots(service, true, before, step);
      CheckSlots(service, false, before, step);
    }
    sw.plan = e.plan;
    sw.holds = e.plan;
  }
  void CheckSlots(const PlannedService& service, bool v4, const PlannedService* before,
                  const std::string& step) {
    const auto& slots = v4 ? service.slots_v4 : service.slots_v6;
    std::map<InstanceId, int> counts;
    for (const InstanceId instance : slots) ++counts[instance];
    std::set<InstanceId> takers;
    const bool learns = service.spec.dispatch == Dispatch::kLearn;
    for (const auto& [id, record] : instances) {
      if (!learns || record.service != service.id || record.bid.is_v4() != v4) continue;
      if (record.state == InstanceState::kUp) takers.insert(id);
    }
    std::set<InstanceId> named;
    for (const auto& [id, n] : counts) named.insert(id);
    if (!slots.empty() && slots.size() != kSlots) Fail(step, "a wrong number of slots");
    if (named != takers) Fail(step, "slots are not those of the instances that take demands");
    if (before == nullptr) return;
    const auto& old = v4 ? before->slots_v4 : before->slots_v6;
    if (old.empty() || slots.empty()) return;
    std::map<InstanceId, int> had;
    for (const InstanceId instance : old) ++had[instance];
    int needed = 0;
    int moved = 0;
    for (const auto& [id, n] : had) needed += std::max(0, n - counts[id]);
    for (size_t i = 0; i < kSlots; ++i) moved += old[i] != slots[i] ? 1 : 0;
    if (moved != needed) Fail(step, "more slots moved than had to");
    slots_moved += static_cast<uint64_t>(moved);
  }
  void On(const InstallBinding& e, Now now, const std::string& step, const Allowed&) {
    World& sw = switches[e.at];
    if (!sw.found) return;  // nobody there to hold it
    if (e.flow.key.at != e.at) Fail(step, "a flow of another switch");
    flowless.erase(e.flow.key);
    sw.doomed.erase(e.flow.key);
    sw.told.erase(e.flow.key);
    sw.beneath.erase(e.flow.key);
    // What stands in the form of before steers nothing once the switch looks for the other one, and moves
    // nothing when a flow takes its place here.
    const bool steers = sw.InForm(e.flow.place, e.flow.key) || sw.Find(e.flow.key).has_value();
    sw.Note(e.flow.place, e.flow.key);
    if (!IsTimed(e.flow.place)) {
      InstanceId& held = sw.turns[TurnOf(e.flow.place)][e.flow.key];
      if (held.valid() && held != e.flow.instance && Usable(held) && sw.plan != nullptr && steers)
        Fail(step, "a flow moved from a usable instance");
      held = e.flow.instance;
      return;
    }
    const auto known = sw.flows.find(e.flow.key);
    if (known != sw.flows.end() && known->second.instance != e.flow.instance &&
        Usable(known->second.instance) && sw.plan != nullptr && steers) {
      Fail(step, "a flow moved from a usable instance");
    }
    if (known != sw.flows.end() && known->second.instance == e.flow.instance) {
      known->second.last = now.mono;
      return;
    }
    sw.flows[e.flow.key] = {
        .instance = e.flow.instance, .packets = 0, .last = now.mono, .idle = e.flow.idle_timeout};
  }
  void On(const RemoveBinding& e, Now, const std::string&, const Allowed&) { switches[e.at].Erase(e.key); }
  void On(const RemoveBindingsOf& e, Now, const std::string&, const Allowed&) {
    World& sw = switches[e.at];
    std::erase_if(sw.flows, [&](const auto& entry) {
      return entry.first.service == e.service && entry.second.instance == e.instance;
    });
    for (const size_t turn : {0, 1}) {
      std::erase_if(sw.turns[turn], [&](const auto& entry) {
        if (entry.first.service != e.service || entry.second != e.instance) return false;
        if (sw.turns[1 - turn].count(entry.first) != 0) sw.beneath.insert(entry.first);
        return true;
      });
    }
  }
  void On(const RemoveBindingsAt& e, Now now, const std::string&, const Allowed&) {
    World& sw = switches[e.at];
    if (IsTimed(e.place)) {
      std::erase_if(sw.flows, [&](const auto& entry) {
        return entry.first.service == e.service && sw.Placed(BindingPlace::kTimed, entry.first) == e.place;
      });
      return;
    }
    const size_t turn = TurnOf(e.place);
    // What is left of a former store has its rows elsewhere.
    const PlannedService* service = sw.Service(e.service);
    const bool in_use =
        service != nullptr && StoreOf(service->spec.affinity) == BindingStoreKind::kGenerations;
    std::erase_if(sw.turns[turn], [&](const auto& entry) {
      if (entry.first.service != e.service) return false;
      if (sw.Placed(GenerationPlace(static_cast<uint8_t>(turn)), entry.first) != e.place) return false;
      // What was told is younger than the flow that it was told in place of.
      if (in_use && sw.turns[1 - turn].count(entry.first) == 0 && rows.count(entry.first) != 0 &&
          sw.told.count(entry.first) == 0) {
        sw.doomed[entry.first] = now.mono;
      }
      return true;
    });
  }
  void On(const ForwardDemand& e, Now, const std::string& step, const Allowed&) {
    if (!Usable(e.instance)) Fail(step, "a demand went to an instance that is not usable");
    if (!e.forwarder.is_none() && !switches[e.key.at].forwarder) Fail(step, "a D-Router is told a binding");
  }
  void On(const RefuseDemand&, Now, const std::string&, const Allowed&) {}
  void On(const AskNeighbor&, Now, const std::string&, const Allowed&) {}
  void On(const SendHeld&, Now, const std::string&, const Allowed&) {}
  void On(const CountBindings&, Now, const std::string&, const Allowed&) {}
  void On(const CountPorts&, Now, const std::string&, const Allowed&) {}
  void On(const ForwardIcmpError&, Now, const std::string&, const Allowed&) {}
  void On(const ReturnIcmpError&, Now, const std::string&, const Allowed&) {}
  void On(const ReturnFragment&, Now, const std::string&, const Allowed&) {}
  void On(const SendHello&, Now, const std::string&, const Allowed&) {}
  void On(const AnswerTtlExceeded&, Now, const std::string&, const Allowed&) {}
  void On(const Record& record, Now, const std::string& step, const Allowed& allowed) {
    if (const auto* r = std::get_if<BindingStarted>(&record)) {
      if (!rows.emplace(r->key, r->instance).second) Fail(step, "started twice");
      if (r->decided_by == DecidedBy::kSwitch) {
        if (r->reason == StartReason::kFound) return;
        ++learned;
        const auto context = contexts.find(r->decision.context);
        if (context == contexts.end() || context->second.switch_id != r->key.at ||
            context->second.service != r->key.service) {
          Fail(step, "a switch's decision without the shares in force");
        }
        return;
      }
      if (r->decided_by == DecidedBy::kForwarder) {
        if (!switches[r->key.at].forwarder) Fail(step, "a D-Router was told");
        if (r->reason == StartReason::kFound || r->decision.context == 0) return;
        ++taken;
        const auto context = contexts.find(r->decision.context);
        if (context == contexts.end() || context->second.service != r->key.service ||
            switches[context->second.switch_id].forwarder) {
          Fail(step, "what a D-Forwarder took comes without the shares of its D-Router");
        }
        return;
      }
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
      if (Usable(row->second) && allowed.count(ended->key) == 0 && !IsDoomed(ended->key) &&
          !ToldSince(ended->key)) {
        Fail(step, "a binding of a usable instance ended: " + std::string(EndReasonName(ended->reason)) +
                       " service " + std::to_string(ended->key.service.value()) + " switch " +
                       std::to_string(ended->key.at.value()) + " " + ended->key.client.ToString() + ":" +
                       std::to_string(ended->key.src_port));
      }
      rows.erase(row);
      flowless.erase(ended->key);
      switches[ended->key.at].doomed.erase(ended->key);
      switches[ended->key.at].told.erase(ended->key);
    } else if (const auto* touched = std::get_if<BindingTouched>(&record)) {
      if (rows.count(touched->key) == 0) Fail(step, "touched what is not there");
    } else if (const auto* context = std::get_if<DecisionContextRecord>(&record)) {
      contexts[context->context] = *context;
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
