// Drives a Core and an Oracle through a random life: agents, clients, switches that come and go, drains,
// configurations, restarts of the controller. All randomness comes from the seed.
#pragma once

#include <functional>
#include <random>

#include "tests/property/core/oracle.h"
#include "tests/unit/core/fixture.h"

namespace dyncast::core {

class Driver {
 public:
  using Tamper = std::function<void(Effects*)>;
  // `tamper` alters effects on their way to the oracle: to see that it notices.
  explicit Driver(uint64_t seed, Tamper tamper = nullptr)
      : random_(seed), tamper_(std::move(tamper)), config_(SmallFabric()) {
    config_.services.push_back(Spec("api", "10.100.0.3", 443, PolicyKind::kWeighted));
    config_.services.push_back(Spec("lrn", "10.100.0.4", 81, PolicyKind::kWeighted));
    config_.services.push_back(Spec("gen", "10.100.0.5", 82, PolicyKind::kStatic));
    for (const size_t learns : {3, 4}) config_.services[learns].dispatch = Dispatch::kLearn;
    config_.services[3].affinity.kind = AffinityKind::kClient;
    config_.services[4].affinity.limit = 12;
    for (const size_t generations : {2, 4}) {
      config_.services[generations].affinity.store = BindingStoreKind::kGenerations;
    }
    config_.services[0].affinity.limit = 40;
    config_.services[1].selection.policy = PolicyKind::kRoundRobin;
    config_.services[2].selection.slow_start = std::chrono::milliseconds{5000};
    for (auto& service : config_.services) service.affinity.idle_timeout = std::chrono::seconds{20};
    AddForwarder();
    now_.mono += std::chrono::hours{1};
    now_.wall = FromUnixMicros(1'700'000'000'000'000);
    Restart();
  }

  void Run(int steps) {
    for (int i = 0; i < steps && oracle.broken.empty(); ++i) OneStep(i);
  }

  Oracle oracle;
  std::string trace;  // what happened, for comparing two runs
  uint64_t demands = 0;
  uint64_t moved = 0;
  uint64_t restarts = 0;
  uint64_t deleted = 0;
  uint64_t flips = 0;
  uint64_t closings = 0;
  uint64_t misses = 0;    // of the D-Forwarder, to which a D-Router had an answer
  uint64_t refused = 0;   // offers that it did not take: bound already, or lost
  uint64_t followed = 0;  // rows that follow what a count said, as the switch was told another in vain

 private:
  static constexpr const char* kServices[] = {"web", "rtp", "api", "lrn", "gen"};
  static constexpr const char* kSwitches[] = {"r1", "r2", "f3"};
  size_t Pick(size_t n) { return static_cast<size_t>(random_() % n); }

  void Deliver(const Event& event, const std::string& name, std::set<BindingKey> allowed = {}) {
    step_ = std::to_string(count_) + " " + name;
    Effects effects;
    core_->Step(event, now_, &effects);
    if (tamper_) tamper_(&effects);
    Note(effects);
    for (const Effect& effect : effects) {
      // Keys of a former configuration, bound by a switch that has no plan of this one yet.
      const auto* removed = std::get_if<RemoveBinding>(&effect);
      if (removed != nullptr && oracle.switches[removed->at].plan == nullptr) views_.erase(removed->key);
      if (const auto* set = std::get_if<SetPlan>(&effect)) {
        std::erase_if(views_, [&, &sw = oracle.switches[set->at]](const auto& view) {
          return view.first.at == set->at && sw.InDoubt(view.first);
        });
      }
      // A flow that comes from the generations' tables has the timeout of its binding's start.
      const auto* install = std::get_if<InstallBinding>(&effect);
      if (install == nullptr || !IsTimed(install->flow.place)) continue;
      const auto view = views_.find(install->flow.key);
      if (view != views_.end()) view->second.idle = std::min(view->second.idle, install->flow.idle_timeout);
    }
    oracle.Take(effects, now_, step_, allowed);
    for (const Effect& effect : effects) {
      if (const auto* count = std::get_if<CountBindings>(&effect)) Count(*count);
    }
    oracle.Check(*core_, now_, step_);
    std::erase_if(views_, [&](const auto& view) { return !oracle.Usable(view.second.instance); });
  }

  void Note(const Effects& effects) {
    trace += step_;
    for (const Effect& effect : effects) {
      trace += ' ' + std::to_string(effect.index());
      if (std::holds_alternative<RemoveBindingsAt>(effect)) ++flips;
      if (const auto* record = std::get_if<Record>(&effect)) {
        const auto* event = std::get_if<EventRecord>(record);
        if (event != nullptr && event->kind == "binding-limit") ++closings;
      }
      if (const auto* forward = std::get_if<ForwardDemand>(&effect)) {
        trace += ':' + std::to_string(forward->instance.value());
      } else if (const auto* record = std::get_if<Record>(&effect)) {
        trace += '/' + std::to_string(record->index());
        if (const auto* started = std::get_if<BindingStarted>(record)) {
          trace += ':' + std::to_string(started->instance.value()) + ',' +
                   std::to_string(started->decision.scores[0].cost);
        }
      }
    }
    trace += '\n';
  }

  // The switch's news arrive.
  void Report(SwitchId id) {
    Oracle::World& sw = oracle.switches[id];
    if (sw.unreported.empty()) return;
    const std::vector<FoundBinding> news(sw.unreported.begin(), sw.unreported.end());
    sw.unreported.clear();
    std::set<BindingKey> allowed;
    for (const FoundBinding& found : news) {
      allowed.insert(found.key);
      sw.doomed.erase(found.key);
      oracle.flowless.erase(found.key);
    }
    Deliver(BindingsLearned{id, news}, "learned", allowed);
  }

  void Advance(Micros by) {
    for (auto& [id, sw] : oracle.switches) TakeOffers(id);
    DeliverCounts();
    // News take a part of a second at most.
    if (by > std::chrono::seconds{1}) {
      for (auto& [id, sw] : oracle.switches) Report(id);
    }
    now_.mono += by;
    now_.wall += by;
    // Flows end by themselves; the controller hears of it while it is connected.
    for (auto& [id, sw] : oracle.switches) {
      Report(id);
      std::vector<std::pair<BindingKey, Oracle::World::Flow>> ended;
      for (const auto& entry : sw.flows) {
        if (entry.second.last + Micros{entry.second.idle} <= now_.mono) ended.push_back(entry);
      }
      for (const auto& [key, flow] : ended) {
        sw.flows.erase(key);
        if (sw.found)
          Deliver(BindingFlowEnded{id, Found(sw, key, flow), EndReason::kIdle}, "flow-ended", {key});
      }
    }
  }
  FoundBinding Found(const Oracle::World& sw, const BindingKey& key, const Oracle::World::Flow& flow) const {
    return {.key = key,
            .instance = flow.instance,
            .packets = flow.packets,
            .bytes = flow.packets * 100,
            .age = std::chrono::milliseconds{0},
            .idle_age = std::chrono::duration_cast<std::chrono::milliseconds>(now_.mono - flow.last),
            .idle_timeout = flow.idle,
            .place = sw.Placed(BindingPlace::kTimed, key)};
  }

  void Restart() {
    PersistedState state;
    for (const auto& [id, r] : oracle.switch_rows) state.switches.push_back(r);
    for (const auto& [id, r] : oracle.services) state.services.push_back(r);
    for (const auto& [id, r] : oracle.instances) state.instances.push_back(r);
    for (const auto& [key, instance] : oracle.rows)
      state.bindings.push_back({.key = key, .instance = instance});
    counts_.clear();
    restarted_at_ = now_.mono;
    core_ = std::make_unique<Core>(std::make_shared<config::FabricConfig>(config_), state, now_, random_(),
                                   1'000'000u * ++restarts);
    for (const auto& config : config_.switches) {
      Oracle::World& sw = oracle.switches[*core_->FindSwitch(config.name)];
      sw.forwarder = config.role == SwitchRole::kDForwarder;
      sw.address = config.tunnel->address;
      sw.found = sw.ports = sw.synced = sw.endpoint = false;
      sw.plan.reset();
      sw.unreported.clear();
      sw.doomed.clear();
    }
    // Refused flows are forgotten: the switch will say what it holds.
    oracle.flowless.clear();
    Deliver(Tick{}, "restarted");
  }

  void Traffic(int) {
    auto world = oracle.switches.begin();
    std::advance(world, Pick(oracle.switches.size()));
    auto& [id, sw] = *world;
    const std::string name = kServices[Pick(5)];
    const auto service = core_->FindService(name);
    if (!service) return;
    const ServiceSpec* spec = nullptr;
    for (const auto& s : config_.services) {
      if (s.name == name) spec = &s;
    }
    const DemandArrived demand{
        .at = id,
        .service = *service,
        // Fewer behind the D-Forwarder, so that they are heard of while their instances are gone.
        .demand = {.client = IpAddress::V4(0x0a0b0000u + static_cast<uint32_t>(Pick(sw.forwarder ? 6 : 12))),
                   .sid = *spec->sid_v4,
                   .proto = IpProto::kTcp,
                   .src_port = static_cast<uint16_t>(1000 + Pick(8)),
                   .dst_port = spec->ports[0].first},
        .in_port = PortNo{1},
        .egress_gone = false,
        .packet = packet_};
    const PlannedService* planned = sw.Service(*service);
    const ServiceSpec in_force = planned != nullptr ? planned->spec : *spec;
    const BindingKey key = MakeBindingKey(in_force.affinity, id, *service, demand.demand);
    const auto held = sw.Find(key);
    if (sw.forwarder) {
      if (planned != nullptr) AtForwarder(id, *planned, key, demand);
      return;
    }
    if (in_force.dispatch == Dispatch::kLearn) {
      if (planned != nullptr) SelfMade(id, *planned, key, demand);
      return;
    }
    if (held && (!sw.found || oracle.Usable(held->instance))) {
      Pass(&sw, planned, key, *held);
      return;
    }
    if (!sw.found) return;  // nobody to ask
    DemandArrived asked = demand;
    asked.egress_gone = held.has_value();
    ++demands;
    const InstanceId must = oracle.MustGo(key, now_.mono);
    step_ = std::to_string(count_) + " demand";
    Effects effects;
    core_->StepDemand(asked, now_, &effects);
    if (tamper_) tamper_(&effects);
    Note(effects);
    if (asked.egress_gone) ++moved;
    InstanceId went;
    for (const Effect& effect : effects) {
      if (const auto* forward = std::get_if<ForwardDemand>(&effect)) went = forward->instance;
    }
    if (must.valid() && went != must && sw.plan != nullptr)
      oracle.broken.push_back(step_ + ": did not go where it is bound, service " +
                              std::to_string(key.service.value()) + " switch " + std::to_string(id.value()) +
                              " key " + key.client.ToString() + ":" + std::to_string(key.src_port) +
                              " bound to " + std::to_string(must.value()) + " held " +
                              std::to_string(held ? held->instance.value() : 0) + " place " +
                              std::to_string(held ? static_cast<int>(held->place) : 9));
    oracle.Take(effects, now_, step_, {});
    oracle.Check(*core_, now_, step_);
  }

  // A packet of a bound flow.
  void Pass(Oracle::World* sw, const PlannedService* planned, const BindingKey& key,
            const Oracle::World::Held& held);
  // Notes where a packet went that clients see as bound or not, at a switch that binds by itself.
  void Saw(const PlannedService& service, const BindingKey& key, InstanceId went, bool bound);
  // A D-Forwarder, and what it may ask. driver_forwarder.h.
  void AddForwarder();
  // A packet of a client behind the D-Forwarder.
  void AtForwarder(SwitchId id, const PlannedService& service, const BindingKey& key,
                   const DemandArrived& demand);
  // A D-Router's answer to one without a binding, if there is one: the key and the instance that it tells.
  using Told = std::optional<std::pair<BindingKey, InstanceId>>;
  Told Ask(SwitchId forwarder, const DemandArrived& demand);
  Told AskController(SwitchId router, const PlannedService& service, const BindingKey& key,
                     const DemandArrived& demand);
  // What the D-Forwarder was told arrives.
  void TakeOffers(SwitchId id);
  // A packet to a service that the switch dispatches by itself.
  void SelfMade(SwitchId id, const PlannedService& service, const BindingKey& key,
                const DemandArrived& demand);
  void Agent() {
    // News of an instance that gets another D-BID in this step could cross the removal of its flows.
    for (auto& [id, sw] : oracle.switches) Report(id);
    const std::string agent = Pick(2) == 0 ? "a2" : "a3";
    auto& [epoch, sequence] = agents_[agent];
    if (epoch == 0 || Pick(200) == 0) {
      ++epoch;
      sequence = 0;
    }
    const std::string edge = agent.substr(1);
    const size_t which = Pick(5);
    const std::string service = kServices[which];
    const std::string instance = service + "-" + edge;
    wire::AgentMessage message;
    message.agent = Pick(40) == 0 ? "stranger" : agent;
    message.boot_epoch = epoch;
    message.sequence = Pick(30) == 0 ? sequence : ++sequence;  // some replays
    message.sent_at = now_.wall;
    const size_t kind = Pick(20);
    if (kind < 8) {
      wire::Announce announce;
      announce.instance = instance;
      announce.service = service;
      announce.bid = Ip("10." + edge + ".0.1" + std::to_string(which + (Pick(12) == 0 ? 5 : 0)));
      announce.health =
          Pick(6) == 0 ? wire::Health::kDown : (Pick(8) == 0 ? wire::Health::kUnknown : wire::Health::kUp);
      if (Pick(25) == 0) announce.bid = Ip("10.100.0.1");
      message.body = announce;
    } else if (kind < 14) {
      wire::Report report;
      report.instance = instance;
      report.metrics = {Sample("cpu_utilization", static_cast<double>(Pick(100)) / 100),
                        Sample("request_rate", static_cast<double>(Pick(100)))};
      message.body = report;
    } else if (kind < 15) {
      message.body = wire::Withdraw{.instance = instance, .reason = ""};
    } else {
      message.body = wire::Heartbeat{std::chrono::milliseconds{3000}};
    }
    Deliver(AgentSaid{message}, "agent");
  }

  void SwitchLife();
  // All that a switch holds, or what stands in the timed table.
  std::vector<FoundBinding> Holds(const Oracle::World& sw, bool generations) const;
  // A switch is asked to count, and its answers arrive: before anything else of what happens later in time,
  // but news of what was learned meanwhile may overtake them.
  void Count(const CountBindings& count);
  void DeliverCounts();
  // A controller that starts again and finds the same instances leaves the slots as they are.
  void SameSlots(const SwitchPlan& before, const SwitchPlan& after);
  // Somebody deletes a flow.
  void Delete();
  void Refuse();
  void Configure();
  void OneStep(int i) {
    count_ = i;
    if (!counts_.empty() && Pick(2) == 0) DeliverCounts();
    const size_t dice = Pick(1000);
    if (dice < 600) {
      Traffic(i);
    } else if (dice < 800) {
      Agent();
    } else if (dice < 940) {
      Advance(std::chrono::milliseconds{Pick(400)});
      Deliver(Tick{}, "tick", oracle.flowless);
      oracle.CheckDoomed(now_, step_);
      Deliver(Tick{}, "tick again", oracle.flowless);
      oracle.CheckSettled(*core_, step_);
    } else if (dice < 970) {
      SwitchLife();
    } else if (dice < 980) {
      const std::string instance = std::string(kServices[Pick(5)]) + (Pick(2) == 0 ? "-2" : "-3");
      Deliver(
          DrainRequested{
              .instance = instance, .drain = Pick(2) == 0, .deadline = std::chrono::seconds{Pick(3) * 2}},
          "drain");
    } else if (dice < 988) {
      Refuse();
    } else if (dice < 994) {
      Configure();
    } else if (dice < 996) {
      Advance(std::chrono::seconds{Pick(15)});
      Deliver(Tick{}, "later", oracle.flowless);
    } else if (dice < 998) {
      Restart();
    } else {
      Delete();
    }
  }

  std::mt19937_64 random_;
  Tamper tamper_;
  config::FabricConfig config_;
  ServiceSpec removed_;
  Now now_;
  // What clients of self-made bindings saw last.
  struct Seen {
    InstanceId instance;
    MonoTime last{};
    std::chrono::seconds idle{0};
  };
  std::map<BindingKey, Seen> views_;
  std::unique_ptr<Core> core_;
  std::map<std::string, std::pair<uint64_t, uint64_t>> agents_;
  std::deque<BindingsCounted> counts_;  // on their way
  std::vector<uint8_t> packet_ = std::vector<uint8_t>(60, 1);
  std::string step_;
  MonoTime restarted_at_{};
  int count_ = 0;
};

}  // namespace dyncast::core

#include "tests/property/core/driver_forwarder.h"
#include "tests/property/core/driver_steps.h"
