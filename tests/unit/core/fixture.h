// A small fabric and shorthands for events, for the core's tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "controller/core/core.h"

namespace dyncast::core {

inline IpAddress Ip(std::string_view text) { return IpAddress::Parse(text).value(); }
inline IpPrefix Net(std::string_view text) { return IpPrefix::Parse(text).value(); }

inline MetricSample Sample(std::string name, double value) {
  MetricSample sample;
  sample.name = std::move(name);
  sample.value = value;
  return sample;
}

inline ServiceSpec Spec(std::string name, std::string_view sid, uint16_t port,
                        PolicyKind policy = PolicyKind::kLeastBindings) {
  ServiceSpec spec;
  spec.name = std::move(name);
  spec.sid_v4 = Ip(sid);
  spec.ports = {{.proto = IpProto::kTcp, .first = port, .last = port}};
  spec.selection.policy = policy;
  spec.selection.blackout = std::chrono::milliseconds{0};
  spec.affinity.store = BindingStoreKind::kTimed;
  return spec;
}

// Two switches, r1 (access 10.1.0.1/24, uplink 10.9.1.1/24) and r2 (.. 2); agents a2 and a3 with
// 10.2.0.0/24 and 10.3.0.0/24; services web (port 80) and rtp (3-tuple, port 5004).
inline config::FabricConfig SmallFabric() {
  config::FabricConfig config;
  for (const std::string n : {"1", "2"}) {
    config::SwitchConfig sw;
    sw.name = "r" + n;
    sw.bridge = "br" + n;
    sw.ports = {{.name = "acc" + n,
                 .role = PortRole::kAccess,
                 .addresses = {Net("10.1" + n + ".0.1/24")},
                 .sources = {},
                 .mac = std::nullopt},
                {.name = "up" + n,
                 .role = PortRole::kUplink,
                 .addresses = {Net("10.9." + n + ".1/24")},
                 .sources = {},
                 .mac = std::nullopt}};
    sw.routes = {{.to = Net("10.0.0.0/8"), .via = Ip("10.9." + n + ".254")}};
    config.switches.push_back(sw);
  }
  config.agents = {{.name = "a2", .bids = {Net("10.2.0.0/24")}},
                   {.name = "a3", .bids = {Net("10.3.0.0/24")}}};
  config.services = {Spec("web", "10.100.0.1", 80), Spec("rtp", "10.100.0.2", 5004)};
  config.services[1].affinity.kind = AffinityKind::k3Tuple;
  return config;
}

class CoreFixture : public ::testing::Test {
 protected:
  CoreFixture() { Advance(std::chrono::hours{1}); }

  void Advance(Micros by) {
    now_.mono += by;
    now_.wall = FromUnixMicros(1'700'000'000'000'000) + now_.mono.time_since_epoch();
  }
  void Start(PersistedState persisted = {}) {
    core_ = std::make_unique<Core>(std::make_shared<config::FabricConfig>(config_), persisted, now_, 7, 1000);
  }
  Effects Do(const Event& event) {
    Effects effects;
    core_->Step(event, now_, &effects);
    return effects;
  }
  Effects Tick(Micros by = Micros{0}) {
    Advance(by);
    return Do(core::Tick{});
  }
  Effects Say(const std::string& agent, decltype(wire::AgentMessage::body) body) {
    return Do(AgentSaid{{.agent = agent,
                         .boot_epoch = epoch_,
                         .sequence = ++sequence_,
                         .sent_at = now_.wall,
                         .body = std::move(body)}});
  }
  Effects Announce(const std::string& agent, const std::string& instance, const std::string& service,
                   std::string_view bid, wire::Health health = wire::Health::kUp, Capacity capacity = {}) {
    return Say(agent, wire::Announce{.instance = instance,
                                     .service = service,
                                     .sid = std::nullopt,
                                     .bid = Ip(bid),
                                     .capacity = capacity,
                                     .health = health});
  }
  Effects Report(const std::string& agent, const std::string& instance,
                 const std::vector<std::pair<std::string, double>>& metrics) {
    wire::Report report;
    report.instance = instance;
    for (const auto& [name, value] : metrics) report.metrics.push_back(Sample(name, value));
    return Say(agent, report);
  }
  // Ports known, nothing found, synced.
  void Connect(const std::string& name, std::vector<FoundBinding> found = {}) {
    const SwitchId at = Sw(name);
    const std::string n = name.substr(1);
    Do(PortsKnown{at, {{"acc" + n, PortNo{1}}, {"up" + n, PortNo{2}}}});
    Do(SwitchFound{at, std::move(found)});
    Do(SwitchSynced{at});
  }
  // Two instances of web, one on each edge, both switches connected.
  void StartWeb() {
    Start();
    Connect("r1");
    Connect("r2");
    Announce("a2", "web-2", "web", "10.2.0.10");
    Announce("a3", "web-3", "web", "10.3.0.10");
  }
  SwitchId Sw(std::string_view name) const { return core_->FindSwitch(name).value(); }
  ServiceId Sv(std::string_view name) const { return core_->FindService(name).value(); }
  InstanceView View(std::string_view instance) const {
    for (auto& view : core_->View(now_).instances) {
      if (view.name == instance) return view;
    }
    return {};
  }
  uint64_t Counter(const std::string& name) const {
    const auto counters = core_->View(now_).counters;
    const auto it = counters.find(name);
    return it == counters.end() ? 0 : it->second;
  }
  DemandArrived Demand(std::string_view sw, std::string_view service, uint16_t src_port,
                       std::string_view client = "10.11.0.5", uint16_t dst_port = 80) const {
    return {.at = Sw(sw),
            .service = Sv(service),
            .demand = {.client = Ip(client),
                       .sid = Ip(service == "web" ? "10.100.0.1" : "10.100.0.2"),
                       .proto = IpProto::kTcp,
                       .src_port = src_port,
                       .dst_port = dst_port},
            .in_port = PortNo{1},
            .egress_gone = false,
            .packet = packet_};
  }

  template <typename T>
  static std::vector<T> All(const Effects& effects) {
    std::vector<T> found;
    for (const Effect& effect : effects) {
      if (const T* e = std::get_if<T>(&effect)) found.push_back(*e);
    }
    return found;
  }
  template <typename T>
  static std::vector<T> Records(const Effects& effects) {
    std::vector<T> found;
    for (const Effect& effect : effects) {
      const Record* record = std::get_if<Record>(&effect);
      if (record == nullptr) continue;
      if (const T* r = std::get_if<T>(record)) found.push_back(*r);
    }
    return found;
  }
  // Where a demand went; 0 if nowhere.
  static InstanceId Went(const Effects& effects) {
    const auto forwards = All<ForwardDemand>(effects);
    return forwards.empty() ? InstanceId{} : forwards.front().instance;
  }

  config::FabricConfig config_ = SmallFabric();
  Now now_;
  uint64_t epoch_ = 1;
  uint64_t sequence_ = 0;  // one for all agents: gaps are counted, nothing more
  std::vector<uint8_t> packet_ = std::vector<uint8_t>(60, 1);
  std::unique_ptr<Core> core_;
};

}  // namespace dyncast::core
