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
    config_.services[0].affinity.limit = 40;
    config_.services[1].selection.policy = PolicyKind::kRoundRobin;
    config_.services[2].selection.slow_start = std::chrono::milliseconds{5000};
    for (auto& service : config_.services) service.affinity.idle_timeout = std::chrono::seconds{20};
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

 private:
  static constexpr const char* kServices[] = {"web", "rtp", "api"};
  size_t Pick(size_t n) { return static_cast<size_t>(random_() % n); }

  void Deliver(const Event& event, const std::string& name, std::set<BindingKey> allowed = {}) {
    step_ = std::to_string(count_) + " " + name;
    Effects effects;
    core_->Step(event, now_, &effects);
    if (tamper_) tamper_(&effects);
    Note(effects);
    oracle.Take(effects, now_, step_, allowed);
    for (const Effect& effect : effects) {
      if (const auto* count = std::get_if<CountBindings>(&effect)) to_count_.push_back(count->at);
    }
    oracle.Check(*core_, now_, step_);
  }

  void Note(const Effects& effects) {
    trace += step_;
    for (const Effect& effect : effects) {
      trace += ' ' + std::to_string(effect.index());
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

  void Advance(Micros by) {
    now_.mono += by;
    now_.wall += by;
    // Flows end by themselves; the controller hears of it while it is connected.
    for (auto& [id, sw] : oracle.switches) {
      std::vector<std::pair<BindingKey, Oracle::Flow>> ended;
      for (const auto& entry : sw.flows) {
        if (entry.second.last + Micros{entry.second.idle} <= now_.mono) ended.push_back(entry);
      }
      for (const auto& [key, flow] : ended) {
        sw.flows.erase(key);
        if (sw.found) Deliver(BindingFlowEnded{id, Found(key, flow), EndReason::kIdle}, "flow-ended", {key});
      }
    }
  }
  FoundBinding Found(const BindingKey& key, const Oracle::Flow& flow) const {
    return {.key = key,
            .instance = flow.instance,
            .packets = flow.packets,
            .bytes = flow.packets * 100,
            .age = std::chrono::milliseconds{0},
            .idle_age = std::chrono::duration_cast<std::chrono::milliseconds>(now_.mono - flow.last),
            .idle_timeout = flow.idle};
  }

  void Restart() {
    PersistedState state;
    for (const auto& [id, r] : oracle.switch_rows) state.switches.push_back(r);
    for (const auto& [id, r] : oracle.services) state.services.push_back(r);
    for (const auto& [id, r] : oracle.instances) state.instances.push_back(r);
    for (const auto& [key, instance] : oracle.rows)
      state.bindings.push_back({.key = key, .instance = instance});
    core_ = std::make_unique<Core>(std::make_shared<config::FabricConfig>(config_), state, now_, random_(),
                                   1'000'000u * ++restarts);
    for (const char* name : {"r1", "r2"}) {
      Oracle::World& sw = oracle.switches[*core_->FindSwitch(name)];
      sw.found = sw.ports = false;
      sw.plan.reset();
    }
    // Refused flows are forgotten: the switch will say what it holds.
    oracle.flowless.clear();
    Deliver(Tick{}, "restarted");
  }

  void Traffic(int) {
    auto world = oracle.switches.begin();
    std::advance(world, Pick(oracle.switches.size()));
    auto& [id, sw] = *world;
    const std::string name = kServices[Pick(3)];
    const auto service = core_->FindService(name);
    if (!service) return;
    const ServiceSpec* spec = nullptr;
    for (const auto& s : config_.services) {
      if (s.name == name) spec = &s;
    }
    const DemandArrived demand{
        .at = id,
        .service = *service,
        .demand = {.client = IpAddress::V4(0x0a0b0000u + static_cast<uint32_t>(Pick(12))),
                   .sid = *spec->sid_v4,
                   .proto = IpProto::kTcp,
                   .src_port = static_cast<uint16_t>(1000 + Pick(8)),
                   .dst_port = spec->ports[0].first},
        .in_port = PortNo{1},
        .egress_gone = false,
        .packet = packet_};
    const BindingKey key = MakeBindingKey(spec->affinity, id, *service, demand.demand);
    const auto flow = sw.flows.find(key);
    if (flow != sw.flows.end() && (!sw.found || oracle.Usable(flow->second.instance))) {
      flow->second.last = now_.mono;
      ++flow->second.packets;
      return;
    }
    if (!sw.found) return;  // nobody to ask
    DemandArrived asked = demand;
    asked.egress_gone = flow != sw.flows.end();
    ++demands;
    const InstanceId must = oracle.MustGo(key);
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
    if (must.valid() && went != must) oracle.broken.push_back(step_ + ": did not go where it is bound");
    oracle.Take(effects, now_, step_, {});
    oracle.Check(*core_, now_, step_);
  }

  void Agent() {
    const std::string agent = Pick(2) == 0 ? "a2" : "a3";
    auto& [epoch, sequence] = agents_[agent];
    if (epoch == 0 || Pick(200) == 0) {
      ++epoch;
      sequence = 0;
    }
    const std::string edge = agent.substr(1);
    const size_t which = Pick(3);
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
      announce.bid = Ip("10." + edge + ".0.1" + std::to_string(which + (Pick(12) == 0 ? 3 : 0)));
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

  void SwitchLife() {
    const std::string name = Pick(2) == 0 ? "r1" : "r2";
    const SwitchId id = *core_->FindSwitch(name);
    Oracle::World& sw = oracle.switches[id];
    if (sw.found && Pick(3) != 0) return;
    if (sw.found) {
      if (Pick(3) == 0) sw.flows.clear();  // the switch itself starts again
      sw.found = false;
      Deliver(SwitchLost{id, "test"}, "lost");
      return;
    }
    if (!sw.ports && Pick(2) == 0) {
      sw.ports = true;
      const std::string n = name.substr(1);
      Deliver(PortsKnown{id, {{"acc" + n, PortNo{1}}, {"up" + n, PortNo{2}}}}, "ports");
      return;
    }
    std::set<BindingKey> allowed;
    for (const auto& [key, instance] : oracle.rows) {
      if (key.at != id) continue;
      const auto flow = sw.flows.find(key);
      if (flow == sw.flows.end() || flow->second.instance != instance) allowed.insert(key);
    }
    std::vector<FoundBinding> found;
    for (const auto& [key, flow] : sw.flows) found.push_back(Found(key, flow));
    sw.found = true;
    Deliver(SwitchFound{id, found}, "found", allowed);
    Deliver(SwitchSynced{id}, "synced");
  }

  // Somebody deletes a flow.
  void Delete() {
    for (auto& [id, sw] : oracle.switches) {
      if (!sw.found || sw.flows.empty()) continue;
      auto flow = sw.flows.begin();
      std::advance(flow, Pick(sw.flows.size()));
      const auto [key, gone] = *flow;
      sw.flows.erase(flow);
      ++deleted;
      Deliver(BindingFlowEnded{id, Found(key, gone), EndReason::kFlowLost}, "deleted");
      return;
    }
  }

  void Refuse() {
    for (auto& [id, sw] : oracle.switches) {
      if (!sw.found || sw.flows.empty()) continue;
      auto flow = sw.flows.begin();
      std::advance(flow, Pick(sw.flows.size()));
      if (!oracle.Usable(flow->second.instance)) continue;
      const BindingKey key = flow->first;
      sw.flows.erase(flow);
      oracle.flowless.insert(key);
      Deliver(BindingFlowRefused{id, key, "full"}, "refused");
      return;
    }
  }

  void Configure() {
    std::set<BindingKey> allowed;
    auto& service = config_.services[Pick(config_.services.size())];
    const auto id = core_->FindService(service.name);
    switch (Pick(4)) {
      case 0: service.affinity.idle_timeout = std::chrono::seconds{5 + Pick(30)}; break;
      case 1: service.selection.policy = static_cast<PolicyKind>(Pick(5)); break;
      case 2: {
        service.affinity.kind = static_cast<AffinityKind>(Pick(4));
        for (const auto& [key, instance] : oracle.rows) {
          if (key.service == *id) allowed.insert(key);
        }
        break;
      }
      default: {
        for (const auto& [key, instance] : oracle.rows) {
          if (key.service == *id) allowed.insert(key);
        }
        if (config_.services.size() == 3) {
          removed_ = service;
          std::erase_if(config_.services, [&](const ServiceSpec& s) { return s.name == removed_.name; });
        } else {
          allowed.clear();
          config_.services.push_back(removed_);
        }
      }
    }
    Deliver(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}, "config", allowed);
  }

  void OneStep(int i) {
    count_ = i;
    while (!to_count_.empty()) {
      const SwitchId at = to_count_.back();
      to_count_.pop_back();
      if (!oracle.switches[at].found) continue;
      std::vector<FoundBinding> counted;
      for (const auto& [key, flow] : oracle.switches[at].flows) counted.push_back(Found(key, flow));
      Deliver(BindingsCounted{at, counted}, "counted");
    }
    const size_t dice = Pick(1000);
    if (dice < 600) {
      Traffic(i);
    } else if (dice < 800) {
      Agent();
    } else if (dice < 940) {
      Advance(std::chrono::milliseconds{Pick(400)});
      Deliver(Tick{}, "tick", oracle.flowless);
    } else if (dice < 970) {
      SwitchLife();
    } else if (dice < 980) {
      const std::string instance = std::string(kServices[Pick(3)]) + (Pick(2) == 0 ? "-2" : "-3");
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
  std::unique_ptr<Core> core_;
  std::map<std::string, std::pair<uint64_t, uint64_t>> agents_;
  std::vector<SwitchId> to_count_;
  std::vector<uint8_t> packet_ = std::vector<uint8_t>(60, 1);
  std::string step_;
  int count_ = 0;
};

}  // namespace dyncast::core
