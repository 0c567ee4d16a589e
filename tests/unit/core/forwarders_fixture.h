// A D-Forwarder and the two D-Routers that it may ask.
#pragma once

#include "tests/unit/core/fixture.h"

namespace dyncast::core {

inline constexpr PortNo kTunnelPort{9};

// r1 and r3 are D-Routers, f2 a D-Forwarder that asks r1, or r3 where r1 is away.
class ForwardersTest : public CoreFixture {
 protected:
  ForwardersTest() {
    config_.switches[1].name = "f2";
    config_.switches[1].role = SwitchRole::kDForwarder;
    config_.switches[1].d_routers = {"r1", "r3"};
    config::SwitchConfig third = config_.switches[0];
    third.name = "r3";
    third.bridge = "br3";
    third.ports[0].addresses = {Net("10.13.0.1/24")};
    config_.switches.push_back(third);
    for (size_t i = 0; i < 3; ++i) {
      const std::string n = std::to_string(i + 1);
      config_.switches[i].tunnel =
          config::TunnelConfig{.address = Ip("10.255." + n + ".2"), .port = "gnv" + n};
    }
    config_.services[0].dispatch = Dispatch::kLearn;
    config_.services[0].selection.policy = PolicyKind::kStatic;
  }
  void Join(const std::string& name, const std::string& n) {
    const SwitchId at = Sw(name);
    Do(PortsKnown{
        at, {{"acc" + n, PortNo{1}}, {"up" + n, PortNo{2}}, {"acc1", PortNo{1}}, {"gnv" + n, kTunnelPort}}});
    Do(SwitchFound{at, {}});
    Do(SwitchSynced{at});
  }
  void Bring(const std::string& name, const std::string& n) {
    Join(name, n);
    FindEndpoint(name, n);
  }
  // The host behind LOCAL has its address.
  void FindEndpoint(const std::string& name, const std::string& n) {
    Do(NeighborFound{Sw(name), PortNo{0xfffe}, Ip("10.255." + n + ".2"), MacAddress{{2, 0, 0, 0, 0, 9}}});
  }
  void StartAll() {
    Start();
    Bring("r1", "1");
    Bring("f2", "2");
    Bring("r3", "3");
    Announce("a2", "web-2", "web", "10.2.0.10");
    Announce("a3", "web-3", "web", "10.3.0.10");
    Announce("a2", "rtp-2", "rtp", "10.2.0.20");
    Announce("a3", "rtp-3", "rtp", "10.3.0.20");
    Tick();
    Say("a2", wire::Heartbeat{std::chrono::hours{1}});
    Say("a3", wire::Heartbeat{std::chrono::hours{1}});
  }
  const SwitchPlan& PlanOf(const char* sw) const { return *core_->PlanInForce(Sw(sw)); }
  // A demand that f2 asks r1 about.
  DemandArrived Asked(std::string_view service, uint16_t src_port) const {
    DemandArrived event = Demand("r1", service, src_port, "10.12.0.5", service == "web" ? 80 : 5004);
    event.in_port = kTunnelPort;
    event.forwarder = Ip("10.255.2.2");
    return event;
  }
  FoundBinding Taken(const BindingKey& key, InstanceId instance) const {
    FoundBinding found{.key = key, .instance = instance};
    found.idle_timeout = std::chrono::seconds{60};
    return found;
  }
  BindingKey WebKey(uint16_t src_port) const {
    return {.client = Ip("10.12.0.5"),
            .src_port = src_port,
            .dst_port = 80,
            .service = Sv("web"),
            .at = Sw("f2"),
            .proto = IpProto::kTcp};
  }
};

}  // namespace dyncast::core
