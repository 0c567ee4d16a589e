#include "tests/sim/fabric.h"

#include <algorithm>
#include <utility>

#include "controller/core/mix.h"

namespace dyncast::sim {
namespace {

constexpr uint32_t kFirstBid = 0x0A000100;     // 10.0.1.0
constexpr uint32_t kFirstClient = 0x0A400100;  // 10.64.1.0
constexpr uint32_t kFirstSid = 0x0A800001;     // 10.128.0.1
constexpr uint16_t kPort = 80;
// What a program that owns a core promises it.
constexpr std::chrono::milliseconds kTick{100};

IpPrefix Net(uint32_t address, uint8_t length) {
  return {.address = IpAddress::V4(address), .length = length};
}

config::FabricConfig ConfigOf(const Scenario& s, const FabricOptions& options) {
  config::FabricConfig config;
  for (size_t r = 0; r < s.routers.size(); ++r) {
    config::SwitchConfig& sw = config.switches.emplace_back();
    sw.name = s.routers[r].name;
    sw.bridge = "br" + std::to_string(r);
    sw.agent = Fabric::RouterAgent(s.routers[r]);
    const auto own = static_cast<uint32_t>(r) << 8;
    sw.ports = {{.name = "access",
                 .role = PortRole::kAccess,
                 .addresses = {Net(0x0AC00001 + own, 24)},
                 .sources = {Net(0x0A400000, 10)},
                 .mac = std::nullopt},
                {.name = "uplink",
                 .role = PortRole::kUplink,
                 .addresses = {Net(0x0AC80001 + own, 24)},
                 .sources = {},
                 .mac = std::nullopt}};
    sw.routes = {{.to = Net(0x0A000000, 10), .via = IpAddress::V4(0x0AC80002 + own)}};
    config.agents.push_back({.name = sw.agent, .bids = {Net(0x0A300000 + own, 32)}});
  }
  for (const EdgeSpec& edge : s.edges) {
    config.agents.push_back({.name = Fabric::EdgeAgent(edge), .bids = {Net(0x0A000000, 11)}});
  }
  for (size_t i = 0; i < s.services.size(); ++i) {
    ServiceSpec& service = config.services.emplace_back();
    service.name = s.services[i];
    service.sid_v4 = IpAddress::V4(kFirstSid + static_cast<uint32_t>(i));
    service.ports = {{.proto = IpProto::kTcp, .first = kPort, .last = kPort}};
    service.dispatch = options.dispatch;
    service.affinity.store = BindingStoreKind::kTimed;
    service.affinity.limit = UINT32_MAX;
    service.affinity.idle_timeout = options.idle_timeout;
    service.affinity.fin_timeout = std::chrono::seconds{0};  // the scenario says when bindings end
    service.selection.policy = options.policy;
    service.selection.metrics_expiry = options.metrics_expiry;
  }
  return config;
}

}  // namespace

IpAddress Fabric::Bid(size_t instance) { return IpAddress::V4(kFirstBid + static_cast<uint32_t>(instance)); }

// The clocks of a controller that has run for an hour when the simulation begins.
Now Fabric::ClocksAt(Micros now) {
  return {.mono = MonoTime{std::chrono::hours{1}} + now, .wall = FromUnixMicros(1'700'000'000'000'000) + now};
}

Fabric::Fabric(const Scenario& scenario, const Topology& topology, const FabricOptions& options)
    : dispatch_(options.dispatch), ids_(topology.instances.size()), packet_(60, 0) {
  auto config = std::make_shared<const config::FabricConfig>(ConfigOf(scenario, options));
  affinity_ = config->services.front().affinity;
  const Now start = ClocksAt(Micros{0});
  core_ = std::make_unique<core::Core>(config, PersistedState{}, start, options.seed, 1);
  next_tick_ = start.mono + kTick;
  for (const std::string& service : scenario.services)
    services_.push_back(core_->FindService(service).value());
  for (const RouterSpec& router : scenario.routers) {
    routers_.push_back({.id = core_->FindSwitch(router.name).value(),
                        .slots = std::vector<std::vector<uint32_t>>(services_.size()),
                        .learned = {}});
  }
  for (const Router& router : routers_) {
    Do(core::PortsKnown{router.id, {{"access", PortNo{1}}, {"uplink", PortNo{2}}}}, Micros{0});
    Do(core::SwitchFound{router.id, {}}, Micros{0});
    Do(core::SwitchSynced{router.id}, Micros{0});
  }
}

void Fabric::Advance(Micros now) {
  for (;;) {
    const MonoTime due = std::min(next_tick_, core_->NextDeadline());
    const MonoTime until = ClocksAt(now).mono;
    if (due > until) return;
    const Micros at = now - (until - due);
    next_tick_ = due + kTick;
    ReportLearned(at);
    Do(core::Tick{}, at);
    for (Router& router : routers_) {
      if (std::exchange(router.counting, false)) Count(router.id, at);
    }
  }
}

void Fabric::Say(wire::AgentMessage message, Micros now) {
  ++counts_.messages;
  Do(core::AgentSaid{std::move(message)}, now);
}

BindingKey Fabric::KeyOf(const Flow& flow) const {
  return MakeBindingKey(affinity_, routers_[flow.router].id, services_[flow.service],
                        {.client = IpAddress::V4(kFirstClient + flow.client),
                         .sid = IpAddress::V4(kFirstSid + flow.service),
                         .proto = IpProto::kTcp,
                         .src_port = flow.port,
                         .dst_port = kPort});
}

std::optional<uint32_t> Fabric::Demand(const Flow& flow, Micros now) {
  if (dispatch_ == Dispatch::kLearn) return Select(flow, now);
  const core::DemandArrived demand{.at = routers_[flow.router].id,
                                   .service = services_[flow.service],
                                   .demand = {.client = IpAddress::V4(kFirstClient + flow.client),
                                              .sid = IpAddress::V4(kFirstSid + flow.service),
                                              .proto = IpProto::kTcp,
                                              .src_port = flow.port,
                                              .dst_port = kPort},
                                   .in_port = PortNo{1},
                                   .egress_gone = false,
                                   .phase = core::TcpPhase::kOpening,
                                   .packet = packet_};
  effects_.clear();
  core_->StepDemand(demand, ClocksAt(now), &effects_);
  std::optional<uint32_t> instance;
  for (const core::Effect& effect : effects_) {
    if (const auto* forward = std::get_if<core::ForwardDemand>(&effect)) {
      instance = forward->bid.v4() - kFirstBid;
    }
  }
  Take();
  if (!instance) ++counts_.refused;
  return instance;
}

// As the D-Router does by itself: the slot of the key's hash.
std::optional<uint32_t> Fabric::Select(const Flow& flow, Micros now) {
  Router& router = routers_[flow.router];
  const std::vector<uint32_t>& slots = router.slots[flow.service];
  if (slots.empty()) {
    ++counts_.refused;
    return std::nullopt;
  }
  constexpr uint64_t kHashSeed = 0x2127599BF4325C37ull;
  Flow bound = flow;
  bound.instance = slots[core::HashKey(KeyOf(flow), kHashSeed) % slots.size()];
  bound.bound_at = bound.last_packet = now;
  bound.packets = 1;
  router.learned.push_back(Found(bound, now));
  return bound.instance;
}

// The flow monitor tells of what a switch learned at the latest with the next tick.
void Fabric::ReportLearned(Micros now) {
  for (Router& router : routers_) {
    if (router.learned.empty()) continue;
    const std::vector<FoundBinding> learned = std::exchange(router.learned, {});
    Do(core::BindingsLearned{router.id, learned}, now);
  }
}

FoundBinding Fabric::Found(const Flow& flow, Micros now) const {
  using std::chrono::milliseconds;
  FoundBinding found{.key = KeyOf(flow), .instance = ids_[flow.instance]};
  found.packets = flow.packets;
  found.bytes = flow.packets * packet_.size();
  found.age = std::chrono::duration_cast<milliseconds>(now - flow.bound_at);
  found.idle_age = std::chrono::duration_cast<milliseconds>(now - flow.last_packet);
  found.idle_timeout = affinity_.idle_timeout;
  found.place = TimedPlace(dispatch_ == Dispatch::kReactive ? KeyForm::kHeader : KeyForm::kRegisters);
  return found;
}

void Fabric::Ended(const Flow& flow, Micros now) {
  ReportLearned(now);
  Do(core::BindingFlowEnded{.at = routers_[flow.router].id, .binding = Found(flow, now)}, now);
}

void Fabric::Do(const core::Event& event, Micros now) {
  effects_.clear();
  core_->Step(event, ClocksAt(now), &effects_);
  Take();
}

void Fabric::Take() {
  for (const core::Effect& effect : effects_) {
    if (std::holds_alternative<core::InstallBinding>(effect)) {
      ++counts_.installed;
    } else if (const auto* set = std::get_if<core::SetPlan>(&effect)) {
      ++counts_.plans;
      TakePlan(*set->plan);
    } else if (const auto* count = std::get_if<core::CountBindings>(&effect)) {
      for (Router& router : routers_) router.counting = router.counting || router.id == count->at;
    }
  }
}

void Fabric::TakePlan(const SwitchPlan& plan) {
  const auto router =
      std::find_if(routers_.begin(), routers_.end(), [&](const Router& r) { return r.id == plan.id; });
  for (const PlannedInstance& instance : plan.instances) {
    const uint32_t index = instance.bid.v4() - kFirstBid;
    ids_[index] = instance.id;
    if (instances_.size() <= instance.id.value()) instances_.resize(size_t{instance.id.value()} + 1);
    instances_[instance.id.value()] = index;
  }
  for (size_t s = 0; s < services_.size(); ++s) {
    for (const PlannedService& service : plan.services) {
      if (service.id != services_[s]) continue;
      std::vector<uint32_t> slots;
      slots.reserve(service.slots_v4.size());
      for (const InstanceId id : service.slots_v4) slots.push_back(instances_[id.value()]);
      std::vector<uint32_t>& old = router->slots[s];
      for (size_t i = 0; i < std::min(slots.size(), old.size()); ++i)
        counts_.slots_moved += slots[i] != old[i] ? 1 : 0;
      old = std::move(slots);
    }
  }
}

void Fabric::Count(SwitchId at, Micros now) {
  if (standing_ == nullptr) return;
  std::vector<const Flow*> flows;
  for (uint32_t r = 0; r < routers_.size(); ++r) {
    if (routers_[r].id == at) standing_->Append(r, &flows);
  }
  core::BindingsCounted counted{.at = at, .bindings = {}};
  counted.bindings.reserve(flows.size());
  for (const Flow* flow : flows) counted.bindings.push_back(Found(*flow, now));
  Do(counted, now);
}

}  // namespace dyncast::sim
