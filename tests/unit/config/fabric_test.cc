// What fabric.yaml's values become, and what is derived from them.
#include "schema/config/fabric.h"

#include <gmock/gmock.h>

#include "tests/unit/config/texts.h"

namespace dyncast::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }
IpPrefix Net(std::string_view text) { return *IpPrefix::Parse(text); }

FabricConfig MustParse(std::string_view yaml) {
  Result<FabricConfig> config = ParseFabric(yaml, "f.yaml");
  if (!config.ok()) {
    ADD_FAILURE() << config.error().ToString();
    return {};
  }
  return *config;
}

std::string ErrorOf(std::string_view yaml) {
  Result<FabricConfig> config = ParseFabric(yaml, "f.yaml");
  return config.ok() ? "no error" : config.error().ToString();
}

TEST(Fabric, TakesEveryKey) {
  const FabricConfig c = MustParse(R"(
controller:
  fabric: lab-1
  openflow_listen: ptcp:6633:10.0.0.1
  openflow_target: tcp:10.0.0.9:6634
  metrics_bind: tcp://*:5571
  api_socket: /tmp/api.sock
  database: /tmp/d.db
  log_level: switch=debug,warn
  binding_tick: 500us
  missed_heartbeats: 5
  startup_grace: 3s
  stats_interval: 2s
  max_clock_skew: 2m
  history_retention: 2d
sid_pool: [10.96.0.0/24, 10.97.0.0/30]
switches:
  - name: dr1
    role: d-router
    ovsdb: unix:/run/db.sock
    bridge: br-dyncast
    datapath_type: netdev
    adopt: true
    ports:
      - {name: c1, role: access, addresses: [192.168.10.1/24, 192.168.20.1/24], mac: 02:00:00:00:00:01}
      - {name: c2, role: access, addresses: [192.168.30.1/24], sources: [192.168.0.0/16]}
      - {name: e1, role: edge, addresses: [10.2.0.1/16], speed: 2500mbit}
      - {name: up, role: uplink, addresses: [172.16.1.2/31]}
    routes:
      - {to: 0.0.0.0/0, via: 172.16.1.3}
    punts: {demands_per_s: 7, fragments_per_s: 9, others_per_s: 0}
agents:
  - {name: edge2, bids: [10.2.0.0/16, 10.3.0.1/32]}
services:
  - name: video
    sid: [10.96.0.1]
    ports: [tcp/8080, udp/5000-5010]
    dispatch: reactive
    affinity: {key: client/24/56, idle_timeout: 2m, limit: 10}
    selection:
      policy: weighted
      load: [{metric: cpu_utilization, weight: 0.5, scale: 0.8}, {metric: sessions, scale: 1e3}]
      slow_start: 10s
      metrics_expiry: 5s
    no_instance: drop
)");
  const ControllerConfig& ctl = c.controller;
  EXPECT_EQ(ctl.fabric, "lab-1");
  EXPECT_EQ(ctl.openflow_listen, "ptcp:6633:10.0.0.1");
  EXPECT_EQ(ctl.openflow_target, "tcp:10.0.0.9:6634");
  EXPECT_EQ(ctl.metrics_bind, "tcp://*:5571");
  EXPECT_EQ(ctl.api_socket, "/tmp/api.sock");
  EXPECT_EQ(ctl.database, "/tmp/d.db");
  EXPECT_EQ(ctl.log_level, "switch=debug,warn");
  EXPECT_EQ(ctl.binding_tick, Micros{500});
  EXPECT_EQ(ctl.missed_heartbeats, 5u);
  EXPECT_EQ(ctl.startup_grace, seconds{3});
  EXPECT_EQ(ctl.stats_interval, seconds{2});
  EXPECT_EQ(ctl.max_clock_skew, seconds{120});
  EXPECT_EQ(ctl.history_retention, hours{48});
  EXPECT_THAT(c.sid_pool, ElementsAre(Net("10.96.0.0/24"), Net("10.97.0.0/30")));

  ASSERT_EQ(c.switches.size(), 1u);
  const SwitchConfig& sw = c.switches[0];
  EXPECT_EQ(sw.name, "dr1");
  EXPECT_EQ(sw.role, SwitchRole::kDRouter);
  EXPECT_EQ(sw.ovsdb, "unix:/run/db.sock");
  EXPECT_EQ(sw.bridge, "br-dyncast");
  EXPECT_EQ(sw.datapath_type, "netdev");
  EXPECT_TRUE(sw.adopt);
  EXPECT_EQ(sw.punts, (PuntLimits{.demands_per_s = 7, .fragments_per_s = 9, .others_per_s = 0}));
  ASSERT_EQ(sw.ports.size(), 4u);
  EXPECT_EQ(sw.ports[0].role, PortRole::kAccess);
  EXPECT_THAT(sw.ports[0].addresses, ElementsAre(Net("192.168.10.1/24"), Net("192.168.20.1/24")));
  EXPECT_THAT(sw.ports[0].sources, ElementsAre(Net("192.168.10.0/24"), Net("192.168.20.0/24")))
      << "default: the networks of the addresses";
  EXPECT_EQ(sw.ports[0].mac, *MacAddress::Parse("02:00:00:00:00:01"));
  EXPECT_THAT(sw.ports[1].sources, ElementsAre(Net("192.168.0.0/16")));
  EXPECT_EQ(sw.ports[2].role, PortRole::kEdge);
  EXPECT_TRUE(sw.ports[2].sources.empty());
  EXPECT_EQ(sw.ports[2].speed, 2500000000u);
  EXPECT_FALSE(sw.ports[3].speed);
  EXPECT_EQ(sw.ports[3].role, PortRole::kUplink);
  EXPECT_THAT(sw.routes, ElementsAre(RouteConfig{.to = Net("0.0.0.0/0"), .via = Ip("172.16.1.3")}));

  ASSERT_EQ(c.agents.size(), 1u);
  EXPECT_THAT(c.agents[0].bids, ElementsAre(Net("10.2.0.0/16"), Net("10.3.0.1/32")));

  ASSERT_EQ(c.services.size(), 1u);
  const ServiceSpec& s = c.services[0];
  EXPECT_EQ(s.sid_v4, Ip("10.96.0.1"));
  EXPECT_FALSE(s.sid_v6.has_value());
  EXPECT_THAT(s.ports, ElementsAre(PortRange{.proto = IpProto::kTcp, .first = 8080, .last = 8080},
                                   PortRange{.proto = IpProto::kUdp, .first = 5000, .last = 5010}));
  EXPECT_EQ(s.dispatch, Dispatch::kReactive);
  EXPECT_EQ(s.affinity, (Affinity{.kind = AffinityKind::kClientPrefix,
                                  .prefix_v4 = 24,
                                  .prefix_v6 = 56,
                                  .idle_timeout = seconds{120},
                                  .fin_timeout = seconds{0},
                                  .limit = 10}));
  EXPECT_EQ(s.selection.policy, PolicyKind::kWeighted);
  EXPECT_THAT(s.selection.load,
              ElementsAre(MetricTerm{.metric = "cpu_utilization", .weight = 0.5, .scale = 0.8},
                          MetricTerm{.metric = "sessions", .weight = 1, .scale = 1000}));
  EXPECT_EQ(s.selection.slow_start, seconds{10});
  EXPECT_EQ(s.selection.metrics_expiry, seconds{5});
  EXPECT_EQ(s.no_instance, NoInstanceAction::kDrop);
}

TEST(Fabric, LeavesDefaultsWhereNothingIsSaid) {
  const FabricConfig c = MustParse("services: [{name: a, sid: 10.96.0.1, ports: [tcp/80]}]");
  ControllerConfig expected;
  expected.openflow_target = "tcp:127.0.0.1:6653";
  EXPECT_EQ(c.controller, expected);
  ServiceSpec service;
  service.name = "a";
  service.sid_v4 = Ip("10.96.0.1");
  service.ports = {PortRange{.proto = IpProto::kTcp, .first = 80, .last = 80}};
  service.affinity.fin_timeout = seconds{0};  // its limit means generations
  EXPECT_THAT(c.services, ElementsAre(service));
}

TEST(Fabric, EveryAffinityKeyIsUnderstood) {
  const auto affinity = [](const std::string& key) {
    return MustParse("services: [{name: a, sid: 10.96.0.1, ports: [tcp/80], affinity: {key: " + key + "}}]")
        .services.at(0)
        .affinity;
  };
  EXPECT_EQ(affinity("5-tuple").kind, AffinityKind::k5Tuple);
  EXPECT_EQ(affinity("4-tuple").kind, AffinityKind::k4Tuple);
  EXPECT_EQ(affinity("3-tuple").kind, AffinityKind::k3Tuple);
  EXPECT_EQ(affinity("client").kind, AffinityKind::kClient);
  EXPECT_EQ(affinity("client").prefix_v4, 32);
  EXPECT_EQ(affinity("client/24").kind, AffinityKind::kClientPrefix);
  EXPECT_EQ(affinity("client/24").prefix_v4, 24);
  EXPECT_EQ(affinity("client/24").prefix_v6, 128);
  EXPECT_EQ(affinity("client/24/56").prefix_v6, 56);
  EXPECT_EQ(affinity("4-tuple").fin_timeout, seconds{0}) << "no FIN timeout for a key that spans connections";
  for (const char* bad :
       {"client/", "client/0", "client/33", "client/24/", "client/24/129", "2-tuple", "Client"}) {
    EXPECT_THAT(
        ErrorOf(std::string("services: [{name: a, sid: 10.96.0.1, ports: [tcp/80], affinity: {key: ") + bad +
                "}}]"),
        HasSubstr("must be 5-tuple"))
        << bad;
  }
}

TEST(Fabric, DerivesWhereSwitchesConnectTo) {
  const auto target = [](const std::string& listen) {
    return MustParse("controller: {openflow_listen: '" + listen + "'}").controller.openflow_target;
  };
  EXPECT_EQ(target("ptcp:6653:10.0.0.1"), "tcp:10.0.0.1:6653");
  EXPECT_EQ(target("punix:/run/of.sock"), "unix:/run/of.sock");
  EXPECT_EQ(ErrorOf("controller: {openflow_listen: 'ptcp:6653:0.0.0.0'}"),
            "f.yaml:1:31: key 'controller.openflow_listen': value 'ptcp:6653:0.0.0.0': listens at every "
            "address, so controller.openflow_target must say which one the switches connect to");
  EXPECT_EQ(MustParse("controller: {openflow_listen: 'ptcp:1:0.0.0.0', openflow_target: 'tcp:10.0.0.2:1'}")
                .controller.openflow_target,
            "tcp:10.0.0.2:1");
}

TEST(Fabric, PoolAddressesGoInOrderAndSkipTakenOnes) {
  const FabricConfig c = MustParse(R"(
sid_pool: [10.96.0.0/29, 10.97.0.8/31]
switches:
  - {name: dr1, ovsdb: 'unix:/s', bridge: br0, ports: [{name: c, role: access, addresses: [10.9.0.2/16]}]}
services:
  - {name: a, ports: [tcp/80]}
  - {name: b, sid: 10.96.0.3, ports: [tcp/80]}
  - {name: c, ports: [tcp/80]}
  - {name: d, ports: [tcp/80]}
  - {name: e, ports: [tcp/80]}
  - {name: f, ports: [tcp/80]}
  - {name: g, sid: [10.96.0.2, 'fd00::1'], ports: [tcp/80]}
  - {name: h, sid: 10.96.0.4, ports: [tcp/80]}
)");
  std::vector<std::string> sids;
  for (const ServiceSpec& s : c.services) sids.push_back(s.sid_v4 ? s.sid_v4->ToString() : "none");
  // Not .0 and .7, the network's own and broadcast; not .2, .3, .4, which are taken.
  EXPECT_THAT(sids, ElementsAre("10.96.0.1", "10.96.0.3", "10.96.0.5", "10.96.0.6", "10.97.0.8", "10.97.0.9",
                                "10.96.0.2", "10.96.0.4"));
}

TEST(Fabric, PoolGivesOneAddressPerIpVersion) {
  const FabricConfig c = MustParse(R"(
sid_pool: ['fd00:5::/126', 10.96.0.0/24, 'fd00:6::/32']
services:
  - {name: a, ports: [tcp/80]}
  - {name: b, sid: 'fd00:5::2', ports: [tcp/80]}
  - {name: c, ports: [tcp/80]}
  - {name: d, ports: [tcp/80]}
)");
  EXPECT_EQ(c.services[0].sid_v4, Ip("10.96.0.1"));
  EXPECT_EQ(c.services[0].sid_v6, Ip("fd00:5::1"));
  EXPECT_FALSE(c.services[1].sid_v4.has_value());
  EXPECT_EQ(c.services[2].sid_v4, Ip("10.96.0.2"));
  EXPECT_EQ(c.services[2].sid_v6, Ip("fd00:5::3")) << "the last of a network is an address like others";
  EXPECT_EQ(c.services[3].sid_v6, Ip("fd00:6::1"));
  EXPECT_EQ(ErrorOf("sid_pool: ['fd00::1/128', 10.0.0.0/8]\n"
                    "services: [{name: a, ports: [tcp/1]}, {name: b, ports: [tcp/1]}]"),
            "f.yaml:2:39: key 'services[1].sid': is missing, and sid_pool has no free address left");
}

TEST(Fabric, Ipv6StandsWhereIpv4Does) {
  const FabricConfig c = MustParse(R"(
switches:
  - name: dr1
    ovsdb: unix:/run/db.sock
    bridge: br0
    binding_flow_limit: 50000
    ports:
      - {name: c1, role: access, addresses: [192.168.10.1/24, 'fd00:10::1/64']}
      - {name: c1, role: access, vlan: 7, addresses: ['fd00:17::1/64'], sources: ['::/0']}
      - {name: c1, role: edge, vlan: 4094, addresses: [10.2.0.1/16]}
      - {name: up, role: uplink, addresses: ['fe80::1/64', 'fd00:1::/127']}
    routes:
      - {to: '::/0', via: 'fe80::2'}
      - {to: 'fd00:2::/48', via: 'fd00:1::1'}
agents:
  - {name: edge2, bids: ['fd00:2::/48']}
services:
  - name: web
    sid: [10.96.0.1, 'fd00:96::1']
    ports: [tcp/80, sctp/2905, icmp]
    dispatch: learn
    affinity: {key: 5-tuple, store: conntrack, fin_timeout: 3s}
)");
  const SwitchConfig& sw = c.switches.at(0);
  EXPECT_EQ(sw.binding_flow_limit, 50000u);
  EXPECT_THAT(sw.ports[0].sources, ElementsAre(Net("192.168.10.0/24"), Net("fd00:10::/64")));
  EXPECT_EQ(sw.ports[0].vlan, 0);
  EXPECT_EQ(sw.ports[1].vlan, 7);
  EXPECT_THAT(sw.ports[1].sources, ElementsAre(Net("::/0")));
  EXPECT_EQ(sw.ports[2].vlan, 4094);
  EXPECT_NE(GatewayMac(c, sw, sw.ports[0]), GatewayMac(c, sw, sw.ports[1]));
  EXPECT_THAT(sw.routes, ElementsAre(RouteConfig{.to = Net("::/0"), .via = Ip("fe80::2")},
                                     RouteConfig{.to = Net("fd00:2::/48"), .via = Ip("fd00:1::1")}));
  EXPECT_THAT(c.agents.at(0).bids, ElementsAre(Net("fd00:2::/48")));
  const ServiceSpec& s = c.services.at(0);
  EXPECT_EQ(s.sid_v6, Ip("fd00:96::1"));
  EXPECT_EQ(s.dispatch, Dispatch::kLearn);
  EXPECT_EQ(s.affinity.store, BindingStoreKind::kConntrack);
  EXPECT_EQ(s.affinity.fin_timeout, seconds{3});
  EXPECT_THAT(s.ports, ElementsAre(PortRange{.proto = IpProto::kTcp, .first = 80, .last = 80},
                                   PortRange{.proto = IpProto::kSctp, .first = 2905, .last = 2905},
                                   PortRange{.proto = IpProto::kIcmp, .first = 0, .last = 0}));
}

TEST(Fabric, StoreFollowsLimitAndFinTimeout) {
  const auto affinity = [](const std::string& inside) {
    return MustParse("services: [{name: a, sid: 10.96.0.1, ports: [tcp/80], dispatch: learn, affinity: {" +
                     inside + "}}]")
        .services.at(0)
        .affinity;
  };
  EXPECT_EQ(StoreOf(affinity("limit: 20000")), BindingStoreKind::kTimed);
  EXPECT_EQ(affinity("limit: 20000").fin_timeout, seconds{5});
  EXPECT_EQ(StoreOf(affinity("limit: 20001")), BindingStoreKind::kGenerations);
  EXPECT_EQ(affinity("limit: 20001").fin_timeout, seconds{0}) << "generations have none";
  EXPECT_EQ(StoreOf(affinity("limit: 100000, fin_timeout: 2s")), BindingStoreKind::kTimed);
  EXPECT_EQ(StoreOf(affinity("limit: 200000, fin_timeout: 0s")), BindingStoreKind::kGenerations);
  EXPECT_EQ(affinity("store: none").fin_timeout, seconds{0});
  EXPECT_EQ(affinity("store: conntrack").fin_timeout, seconds{5});
  EXPECT_EQ(StoreOf(affinity("store: generations, limit: 5")), BindingStoreKind::kGenerations);
}

TEST(Fabric, WarnsOfAPageThatOthersCanRead) {
  const auto warnings = [](const std::string& listen) {
    return FabricWarnings(MustParse("controller: {prometheus_listen: '" + listen + "'}"));
  };
  EXPECT_THAT(warnings("127.0.0.1:9477"), ElementsAre());
  for (const char* open : {"10.0.0.1:9477", "0.0.0.0:9477"}) {
    EXPECT_THAT(warnings(open), ElementsAre(testing::StartsWith("prometheus_listen: " + std::string(open))));
  }
  EXPECT_THAT(FabricWarnings(MustParse("controller: {fabric: a}")), ElementsAre());
  for (const char* bad : {"9477", "localhost:9477", "127.0.0.1:0", "[::1]:9477"}) {
    EXPECT_FALSE(ParseFabric("controller: {prometheus_listen: '" + std::string(bad) + "'}", "f").ok()) << bad;
  }
}

TEST(Fabric, WarnsOfWhatMayNotDoWhatWasMeant) {
  const auto warnings = [](const std::string& inside) {
    return FabricWarnings(
        MustParse("switches: [{name: dr1, ovsdb: 'unix:/s', bridge: br0, binding_flow_limit: 50000,\n"
                  "  ports: [{name: c, role: access, addresses: [10.9.0.2/16]}]}]\n"
                  "services: [{name: a, sid: 10.96.0.1, ports: [tcp/80], dispatch: learn, affinity: {" +
                  inside + "}}]"));
  };
  EXPECT_THAT(warnings("limit: 20000"), ElementsAre());
  EXPECT_THAT(warnings("store: none"), ElementsAre());
  EXPECT_THAT(
      warnings("store: timed, limit: 20001"),
      ElementsAre(
          "service 'a': limit 20001 with store: timed: above 20000 bindings each new one slows "
          "the switch down; set a lower limit, or leave fin_timeout out and take store: generations"));
  EXPECT_THAT(warnings("limit: 50001"),
              ElementsAre("service 'a': limit 50001 is above binding_flow_limit 50000 of switch 'dr1', which "
                          "is reached first"));
}

TEST(Fabric, WarnsOfAgentsThatCannotReachIt) {
  const auto warnings = [](const std::string& bind, const std::string& ovsdb, const std::string& agents) {
    return FabricWarnings(MustParse(
        "controller: {openflow_listen: 'ptcp:6653:10.0.0.1'" +
        (bind.empty() ? "" : ", metrics_bind: '" + bind + "'") + "}\nswitches: [{name: dr1, ovsdb: '" +
        ovsdb + "', bridge: br0,\n  ports: [{name: c, role: access, addresses: [10.9.0.2/16]}]}]\nagents: " +
        agents));
  };
  const std::string one = "[{name: a, bids: [10.2.0.0/16]}]";
  EXPECT_THAT(
      warnings("", "tcp:10.0.0.11:6640", one),
      ElementsAre("controller.metrics_bind tcp://127.0.0.1:5570 takes in agents of this host only, while "
                  "switch 'dr1' is at tcp:10.0.0.11:6640: give an address of this host that the agents "
                  "reach"));
  EXPECT_THAT(warnings("tcp://127.3.2.1:1", "tcp:10.0.0.11:6640", one), testing::SizeIs(1));
  EXPECT_THAT(warnings("tcp://*:5570", "tcp:10.0.0.11:6640", one), testing::IsEmpty());
  EXPECT_THAT(warnings("tcp://10.0.0.1:5570", "tcp:10.0.0.11:6640", one), testing::IsEmpty());
  EXPECT_THAT(warnings("ipc:///run/m", "tcp:10.0.0.11:6640", one), testing::IsEmpty());
  EXPECT_THAT(warnings("", "tcp:127.0.0.1:6640", one), testing::IsEmpty());
  EXPECT_THAT(warnings("", "tcp:10.0.0.11:6640", "[]"), testing::IsEmpty());
}

TEST(Fabric, PoolMayRunOutOrBeMissing) {
  EXPECT_EQ(
      ErrorOf("sid_pool: [10.96.0.0/32]\nservices: [{name: a, ports: [tcp/1]}, {name: b, ports: [tcp/1]}]"),
      "f.yaml:2:39: key 'services[1].sid': is missing, and sid_pool has no free address left");
  EXPECT_EQ(ErrorOf("services: [{name: a, ports: [tcp/1]}]"),
            "f.yaml:1:12: key 'services[0].sid': is missing, and there is no sid_pool to take one from");
  // A wide pool is not walked.
  EXPECT_EQ(MustParse("sid_pool: [10.0.0.0/8]\nservices: [{name: a, ports: [tcp/1]}]").services[0].sid_v4,
            Ip("10.0.0.1"));
}

TEST(Fabric, DatapathIdsAreStableNonZeroAnd48Bits) {
  // Switches keep the id over releases, so its value is part of the contract.
  EXPECT_EQ(DatapathIdFor("dyncast", "dr1"), DatapathIdFor("dyncast", "dr1"));
  std::set<uint64_t> seen;
  for (int i = 0; i < 10000; ++i) {
    const uint64_t id = DatapathIdFor("dyncast", "dr" + std::to_string(i));
    EXPECT_NE(id, 0u);
    EXPECT_EQ(id >> 48, 0u);
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 10000u);
  EXPECT_NE(DatapathIdFor("dyncast", "dr1"), DatapathIdFor("other", "dr1"));
}

TEST(Fabric, GatewayMacIsConfiguredOrMadeFromNames) {
  FabricConfig c;
  SwitchConfig sw;
  sw.name = "dr1";
  PortConfig port;
  port.name = "c1";
  EXPECT_EQ(GatewayMac(c, sw, port), MacFromText("dyncast/dr1/c1"));
  port.vlan = 7;
  EXPECT_EQ(GatewayMac(c, sw, port), MacFromText("dyncast/dr1/c1/7"));
  port.mac = *MacAddress::Parse("02:00:00:00:00:07");
  EXPECT_EQ(GatewayMac(c, sw, port), *port.mac);
}

TEST(Fabric, ExampleIsValid) {
  const Result<FabricConfig> c = LoadFabric(SourcePath("docs/examples/fabric.yaml"));
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  EXPECT_EQ(c->services.size(), 2u);
  EXPECT_EQ(c->services[1].sid_v4, Ip("10.96.0.2"));
}

TEST(Fabric, ReadmesExampleIsValidAndGivesNoWarning) {
  const std::string readme = ReadSource("README.md");
  constexpr std::string_view kBegin = "```yaml\ncontroller:";
  const size_t begin = readme.find(kBegin);
  ASSERT_NE(begin, std::string::npos);
  const size_t first = begin + std::string_view("```yaml\n").size();
  const Result<FabricConfig> c =
      ParseFabric(readme.substr(first, readme.find("\n```", first) + 1 - first), "README.md");
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  EXPECT_THAT(FabricWarnings(*c), testing::IsEmpty());
}

TEST(Fabric, SaysWhichFileCannotBeRead) {
  const Result<FabricConfig> c = LoadFabric("/nonexistent/fabric.yaml");
  ASSERT_FALSE(c.ok());
  EXPECT_EQ(c.error().code, Errc::kNotFound);
  EXPECT_EQ(c.error().ToString(), "/nonexistent/fabric.yaml: cannot be read: No such file or directory");
  EXPECT_THAT(LoadFabric("/").error().ToString(), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace dyncast::config
