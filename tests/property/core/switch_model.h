// A switch as the oracle knows it: its plan, its binding tables, and what it does with a demand by itself.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "controller/core/core.h"

namespace dyncast::core {

struct SwitchModel {
  struct Flow {
    InstanceId instance;
    uint64_t packets = 0;
    MonoTime last{};
    std::chrono::seconds idle{60};
  };
  bool forwarder = false;
  IpAddress address;   // of its end of the tunnel
  bool found = false;  // SwitchFound was delivered on this connection
  bool ports = false;
  bool synced = false;    // on this connection
  bool endpoint = false;  // the host behind LOCAL was found on this connection
  // Tables of either form; a flow of one form takes the place of the key's flow of the other.
  std::map<BindingKey, Flow> flows;                       // timed
  std::array<std::map<BindingKey, InstanceId>, 2> turns;  // generations
  // Which of them are in header form: the table's place in registers, and the key. What it says of keys that
  // are not in the table means nothing.
  std::set<std::pair<BindingPlace, BindingKey>> in_header;
  std::shared_ptr<const SwitchPlan> plan;   // as this controller set it
  std::shared_ptr<const SwitchPlan> holds;  // what the switch goes on doing without it
  std::deque<FoundBinding> unreported;      // news for the controller that are on their way
  std::map<BindingKey, MonoTime> doomed;    // emptied with the older table; the controller's row ends soon

  // D-Forwarder: rows of what it was told but has not (yet) learned, with when it was told last.
  std::map<BindingKey, MonoTime> told;
  std::map<BindingKey, MonoTime> apart;  // of these: the switch goes on with another instance, since when
  std::deque<std::pair<BindingKey, InstanceId>> offers;  // binding info on its way

  // Keys of which another instance's binding is left in the older table, beneath a removed one.
  std::set<BindingKey> beneath;

  bool empty() const { return flows.empty() && turns[0].empty() && turns[1].empty(); }
  // The switch itself starts again.
  void Wipe() {
    flows.clear();
    for (auto& table : turns) table.clear();
    holds.reset();
    unreported.clear();
    offers.clear();
  }
  void Erase(const BindingKey& key) {
    flows.erase(key);
    for (auto& table : turns) table.erase(key);
  }
  BindingPlace Placed(BindingPlace table, const BindingKey& key) const {
    if (in_header.count({table, key}) == 0) return table;
    if (table == BindingPlace::kTimed) return BindingPlace::kHeaderTimed;
    return GenerationPlace(table == BindingPlace::kGeneration0 ? 0 : 1, KeyForm::kHeader);
  }
  static BindingPlace TableOf(BindingPlace place) {
    if (IsTimed(place)) return BindingPlace::kTimed;
    return GenerationPlace(place == GenerationPlace(0, FormOf(place)) ? 0 : 1);
  }
  // What the table has of the key, if anything, is in the form of `place`.
  bool InForm(BindingPlace place, const BindingKey& key) const {
    return Placed(TableOf(place), key) == place;
  }
  void Note(BindingPlace place, const BindingKey& key) {
    const BindingPlace table = TableOf(place);
    if (FormOf(place) == KeyForm::kHeader) {
      in_header.insert({table, key});
    } else {
      in_header.erase({table, key});
    }
  }
  SwitchRole role() const { return forwarder ? SwitchRole::kDForwarder : SwitchRole::kDRouter; }
  // It looks at flows of one form only. Which one while it goes by the plan of a former controller nobody
  // asks.
  bool Sees(const PlannedService* service, BindingPlace place) const {
    return service == nullptr || plan == nullptr || FormOf(place) == KeyFormAt(role(), service->spec);
  }
  bool OnItsWay(const BindingKey& key) const {
    for (const FoundBinding& news : unreported) {
      if (news.key == key) return true;
    }
    return false;
  }
  const PlannedService* Service(ServiceId id) const {
    if (holds == nullptr) return nullptr;
    for (const PlannedService& service : holds->services) {
      if (service.id == id) return &service;
    }
    return nullptr;
  }
  bool HasEgress(InstanceId id) const {
    if (holds == nullptr) return false;
    for (const PlannedInstance& instance : holds->instances) {
      if (instance.id == id) return instance.reachable;
    }
    return false;
  }
  // A D-Forwarder that is offered an instance for a key: the first answer wins, unless its instance is gone;
  // over the limit no key is added.
  void TakeOffer(const BindingKey& key, InstanceId id, MonoTime now) {
    const PlannedService* service = Service(key.service);
    if (service == nullptr) return;
    const auto held = Find(key);
    if (held ? HasEgress(held->instance) : service->binding_closed) return;
    for (const PlannedInstance& instance : holds->instances) {
      if (instance.id == id && instance.service == key.service) Learn(*service, key, id, now);
    }
  }

  // The binding of a key in the tables that its service uses, and where.
  struct Held {
    InstanceId instance;
    BindingPlace place = BindingPlace::kTimed;
  };
  std::optional<Held> Find(const BindingKey& key) const {
    const PlannedService* service = Service(key.service);
    const auto flow = flows.find(key);
    if (service == nullptr || StoreOf(service->spec.affinity) == BindingStoreKind::kTimed) {
      const BindingPlace place = Placed(BindingPlace::kTimed, key);
      if (flow != flows.end() && Sees(service, place)) return Held{flow->second.instance, place};
      // Without its plan (it has just started again) it holds what it is told to.
      if (service != nullptr) return std::nullopt;
    }
    const int current = service != nullptr ? service->generation : 0;
    for (const int turn : {current, 1 - current}) {
      const auto& table = turns[static_cast<size_t>(turn)];
      const auto entry = table.find(key);
      const BindingPlace place = Placed(GenerationPlace(static_cast<uint8_t>(turn)), key);
      if (entry != table.end() && Sees(service, place)) return Held{entry->second, place};
    }
    return std::nullopt;
  }
  // The table is the one that the key's service looks at first.
  bool UsedFirst(const BindingKey& key, BindingPlace place) const {
    const PlannedService* service = Service(key.service);
    if (service == nullptr) return false;
    return place == PlaceAt(role(), *service);
  }
  // Left behind by one store or form, bound otherwise in the other. A switch that did not get its plan when
  // its service changed goes on with the one, and its plan with the other: nobody can tell them apart.
  bool InDoubt(const BindingKey& key) const {
    const auto flow = flows.find(key);
    const auto one = turns[0].find(key);
    const auto other = turns[1].find(key);
    const bool timed = flow != flows.end();
    if (timed && one != turns[0].end() && one->second != flow->second.instance) return true;
    if (timed && other != turns[1].end() && other->second != flow->second.instance) return true;
    return one != turns[0].end() && other != turns[1].end() && one->second != other->second &&
           FormOf(Placed(BindingPlace::kGeneration0, key)) != FormOf(Placed(BindingPlace::kGeneration1, key));
  }
  // In any table, in use or not.
  bool HoldsAnywhere(const BindingKey& key) const {
    return flows.count(key) + turns[0].count(key) + turns[1].count(key) != 0;
  }
  // All keys that stand in tables in use.
  template <typename F>
  void ForEach(F&& f) const {
    std::map<BindingKey, Held> all;
    const auto add = [&](const BindingKey& key) {
      if (const auto held = Find(key)) all.emplace(key, *held);
    };
    for (const auto& [key, flow] : flows) add(key);
    for (const auto& table : turns) {
      for (const auto& [key, instance] : table) add(key);
    }
    for (const auto& [key, held] : all) f(key, held);
  }

  // Binds as the switch's own learning does, and notes the news.
  void Learn(const PlannedService& service, const BindingKey& key, InstanceId instance, MonoTime now) {
    beneath.erase(key);
    told.erase(key);
    FoundBinding news{.key = key, .instance = instance};
    news.place = PlaceAt(role(), service);
    Note(news.place, key);
    if (StoreOf(service.spec.affinity) == BindingStoreKind::kTimed) {
      flows[key] = {
          .instance = instance, .packets = 0, .last = now, .idle = service.spec.affinity.idle_timeout};
      news.idle_timeout = service.spec.affinity.idle_timeout;
    } else {
      turns[service.generation][key] = instance;
    }
    if (found) unreported.push_back(news);
  }

  // What the switch found when somebody asks for all it holds.
  std::vector<FoundDispatch> Dispatch() const {
    std::vector<FoundDispatch> all;
    if (holds == nullptr) return all;
    for (const PlannedService& service : holds->services) {
      if (service.spec.dispatch != Dispatch::kLearn &&
          StoreOf(service.spec.affinity) != BindingStoreKind::kGenerations) {
        continue;
      }
      all.push_back({.service = service.id,
                     .generation = service.generation,
                     .binding_closed = service.binding_closed,
                     .slots_v4 = service.slots_v4,
                     .slots_v6 = service.slots_v6});
    }
    return all;
  }
};

}  // namespace dyncast::core
