// D-Forwarders, the D-Routers that they ask, and the tunnels between them: what is taken, each rule's whole
// message, and the warnings.
#include <gmock/gmock.h>

#include "schema/config/fabric.h"
#include "tests/unit/config/texts.h"

namespace dyncast::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Line numbers count in the messages below.
constexpr std::string_view kValid = R"(switches:
  - name: df1
    role: d-forwarder
    ovsdb: unix:/run/df1.sock
    bridge: br-dyn
    ports:
      - {name: c1, role: access, addresses: [192.168.10.1/24, 'fd00:10::1/64']}
      - {name: br-dyn, role: edge, addresses: [10.4.1.1/30]}
      - {name: up, role: uplink, addresses: [172.16.1.2/24]}
    routes:
      - {to: 0.0.0.0/0, via: 172.16.1.1}
    tunnel: {address: 10.4.1.2}
    d_routers: [dr1, dr2]
  - name: df2
    role: d-forwarder
    ovsdb: unix:/run/df2.sock
    bridge: br-dyn
    ports:
      - {name: c1, role: access, addresses: [192.168.20.1/24], sources: [192.168.20.0/24, 192.168.21.0/24]}
      - {name: br-dyn, role: edge, addresses: [10.4.2.1/30]}
      - {name: up, role: uplink, addresses: [172.16.2.2/24]}
    routes:
      - {to: 0.0.0.0/0, via: 172.16.2.1}
    tunnel: {address: 10.4.2.2, port: gnv2, mtu: 1400}
    d_routers: [dr1]
  - name: dr1
    ovsdb: unix:/run/dr1.sock
    bridge: br-dyn
    ports:
      - {name: c1, role: access, addresses: [192.168.30.1/24]}
      - {name: br-dyn, role: edge, addresses: [10.4.3.1/30]}
      - {name: up, role: uplink, addresses: [172.16.3.2/24]}
    routes:
      - {to: 0.0.0.0/0, via: 172.16.3.1}
    tunnel: {address: 10.4.3.2}
  - name: dr2
    ovsdb: unix:/run/dr2.sock
    bridge: br-dyn
    ports:
      - {name: c1, role: access, addresses: [192.168.20.65/26]}
      - {name: br-dyn, role: edge, addresses: [10.4.4.1/30]}
      - {name: up, role: uplink, addresses: [172.16.4.2/24]}
    routes:
      - {to: 0.0.0.0/0, via: 172.16.4.1}
    tunnel: {address: 10.4.4.2}
  - name: dr3
    ovsdb: unix:/run/dr3.sock
    bridge: br-dyn
    ports:
      - {name: c1, role: access, addresses: [192.168.10.1/24]}
services:
  - {name: web, sid: 10.96.0.1, ports: [tcp/80]}
)";

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

FabricConfig MustParse(const std::string& yaml) {
  Result<FabricConfig> config = ParseFabric(yaml, "f.yaml");
  if (!config.ok()) {
    ADD_FAILURE() << config.error().ToString();
    return {};
  }
  return *config;
}

TEST(Tunnel, ValuesAndDefaults) {
  // dr2's clients overlap df2's, and dr3's df1's: they never meet at one D-Router.
  const FabricConfig c = MustParse(std::string(kValid));
  ASSERT_EQ(c.switches.size(), 5u);
  EXPECT_EQ(c.switches[0].role, SwitchRole::kDForwarder);
  EXPECT_EQ(c.switches[0].tunnel,
            (TunnelConfig{.address = *IpAddress::Parse("10.4.1.2"), .port = "br-dyn-tun", .mtu = 1500}));
  EXPECT_THAT(c.switches[0].d_routers, ElementsAre("dr1", "dr2"));
  EXPECT_EQ(c.switches[1].tunnel,
            (TunnelConfig{.address = *IpAddress::Parse("10.4.2.2"), .port = "gnv2", .mtu = 1400}));
  EXPECT_EQ(c.switches[2].role, SwitchRole::kDRouter);
  EXPECT_THAT(c.switches[2].d_routers, IsEmpty());
  EXPECT_EQ(c.switches[4].tunnel, std::nullopt);
  EXPECT_THAT(FabricWarnings(c), IsEmpty());
}

TEST(Tunnel, PortNamesFitAndDiffer) {
  const auto port = [](const std::string& bridge) {
    return MustParse(R"(switches: [{name: dr1, ovsdb: 'unix:/s', bridge: )" + bridge + ", ports: [{name: " +
                     bridge + ", role: edge, addresses: [10.4.3.1/30]}], tunnel: {address: 10.4.3.2}}]")
        .switches.at(0)
        .tunnel->port;
  };
  EXPECT_EQ(port("b"), "b-tun");
  EXPECT_EQ(port("br-dyncast1"), "br-dyncast1-tun") << "the longest that is not cut";
  // Switches keep the port over releases, so the names are part of the contract.
  EXPECT_EQ(port("br-dyncast-1"), "br-dyn-ba8e-tun");
  EXPECT_EQ(port("br-dyncast-0001"), "br-dyn-7848-tun");
  EXPECT_EQ(port("br-dyncast-0002").size(), 15u);
  EXPECT_NE(port("br-dyncast-0001"), port("br-dyncast-0002"));
}

struct Case {
  std::string what;
  std::string old_text;  // must occur in kValid; its first occurrence is replaced
  std::string new_text;
  std::string message;  // without "f.yaml:"
  Errc code = Errc::kInvalid;
};

class TunnelRefused : public ::testing::TestWithParam<Case> {};

TEST_P(TunnelRefused, WithPlaceKeyValueAndRule) {
  const Case& c = GetParam();
  const Result<FabricConfig> config =
      ParseFabric(Replace(std::string(kValid), c.old_text, c.new_text), "f.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().ToString(), "f.yaml:" + c.message);
  EXPECT_EQ(config.error().code, c.code);
}

const Case kTunnels[] = {
    {"tunnel_missing", "    tunnel: {address: 10.4.1.2}\n", "",
     "2:5: key 'switches[0].tunnel': is missing: a d-forwarder asks its D-Router through it"},
    {"tunnel_no_map", "tunnel: {address: 10.4.1.2}", "tunnel: 10.4.1.2",
     "12:13: key 'switches[0].tunnel': value '10.4.1.2': must be a map"},
    {"tunnel_unknown_key", "tunnel: {address: 10.4.1.2}", "tunnel: {address: 10.4.1.2, remote: 10.4.3.2}",
     "12:33: key 'switches[0].tunnel.remote': unknown; known here: address, port, mtu", Errc::kUnknownKey},
    {"address_missing", "tunnel: {address: 10.4.1.2}", "tunnel: {mtu: 1500}",
     "12:13: key 'switches[0].tunnel.address': is missing"},
    {"address_v6", "address: 10.4.1.2", "address: 'fd00:4::2'",
     "12:23: key 'switches[0].tunnel.address': value 'fd00:4::2': must be an IPv4 address", Errc::kConflict},
    {"address_multicast", "address: 10.4.1.2", "address: 224.0.0.1",
     "12:23: key 'switches[0].tunnel.address': value '224.0.0.1': must be a unicast address"},
    {"address_elsewhere", "address: 10.4.1.2", "address: 172.16.1.7",
     "12:23: key 'switches[0].tunnel.address': value '172.16.1.7': must be a host's address in a network of "
     "port 'br-dyn'",
     Errc::kConflict},
    {"address_of_broadcast", "address: 10.4.1.2", "address: 10.4.1.3",
     "12:23: key 'switches[0].tunnel.address': value '10.4.1.3': must be a host's address in a network of "
     "port 'br-dyn'",
     Errc::kConflict},
    {"address_of_gateway", "address: 10.4.1.2", "address: 10.4.1.1",
     "12:23: key 'switches[0].tunnel.address': value '10.4.1.1': is the gateway's own address on port "
     "'br-dyn'",
     Errc::kConflict},
    {"local_port_missing", "name: br-dyn, role", "name: br-other, role",
     "12:23: key 'switches[0].tunnel.address': value '10.4.1.2': must be an address of the host behind the "
     "bridge's local port: ports has no 'br-dyn'",
     Errc::kConflict},
    {"local_port_tagged", "name: br-dyn, role", "name: br-dyn, vlan: 7, role",
     "12:23: key 'switches[0].tunnel.address': value '10.4.1.2': must be an address of the host behind the "
     "bridge's local port: ports has no 'br-dyn'",
     Errc::kConflict},
    {"local_port_uplink", "name: br-dyn, role: edge", "name: br-dyn, role: uplink",
     "12:23: key 'switches[0].tunnel.address': value '10.4.1.2': must be an address of the host behind the "
     "bridge's local port: 'br-dyn' must have role: edge",
     Errc::kConflict},
    {"address_twice",
     "10.4.3.1/30]}\n      - {name: up, role: uplink, addresses: [172.16.3.2/24]}\n    routes:\n"
     "      - {to: 0.0.0.0/0, via: 172.16.3.1}\n    tunnel: {address: 10.4.3.2}",
     "10.4.1.1/30]}\n      - {name: up, role: uplink, addresses: [172.16.3.2/24]}\n    routes:\n"
     "      - {to: 0.0.0.0/0, via: 172.16.3.1}\n    tunnel: {address: 10.4.1.2}",
     "35:23: key 'switches[2].tunnel.address': value '10.4.1.2': this endpoint is already at "
     "'switches[0].tunnel.address'",
     Errc::kDuplicate},
    {"mtu_small", "mtu: 1400", "mtu: 575",
     "24:50: key 'switches[1].tunnel.mtu': value '575': must be an integer, 576 to 9216"},
    {"mtu_large", "mtu: 1400", "mtu: 9217",
     "24:50: key 'switches[1].tunnel.mtu': value '9217': must be an integer, 576 to 9216"},
    {"port_too_long", "port: gnv2", "port: gnv4567890123456",
     "24:39: key 'switches[1].tunnel.port': value 'gnv4567890123456': must be 1 to 15 printable characters "
     "without '/', ':' and spaces"},
    {"port_taken", "port: gnv2", "port: up",
     "24:39: key 'switches[1].tunnel.port': value 'up': at this OVSDB server, this name is already at "
     "'switches[1].ports[2].name'",
     Errc::kDuplicate},
    {"port_of_the_bridge", "port: gnv2", "port: br-dyn",
     "24:39: key 'switches[1].tunnel.port': value 'br-dyn': at this OVSDB server, this name is already at "
     "'switches[1].bridge'",
     Errc::kDuplicate},
    {"default_port_taken", "name: up, role", "name: br-dyn-tun, role",
     "12:13: key 'switches[0].tunnel.port': value 'br-dyn-tun': at this OVSDB server, this name is already "
     "at "
     "'switches[0].ports[2].name'",
     Errc::kDuplicate},
};

const Case kDRouters[] = {
    {"missing", "    d_routers: [dr1, dr2]\n", "",
     "2:5: key 'switches[0].d_routers': must have at least one item: a d-forwarder asks a D-Router"},
    {"empty", "d_routers: [dr1, dr2]", "d_routers: []",
     "13:16: key 'switches[0].d_routers': must have at least one item: a d-forwarder asks a D-Router"},
    {"no_list", "d_routers: [dr1, dr2]", "d_routers: dr1",
     "13:16: key 'switches[0].d_routers': value 'dr1': must be a list"},
    {"bad_name", "[dr1, dr2]", "[dr1, DR2]",
     "13:22: key 'switches[0].d_routers[1]': value 'DR2': must be of the form [a-z0-9][a-z0-9-]{0,62}"},
    {"unknown", "[dr1, dr2]", "[dr1, dr9]",
     "13:22: key 'switches[0].d_routers[1]': value 'dr9': must be the name of a switch", Errc::kNotFound},
    {"itself", "[dr1, dr2]", "[df1]",
     "13:17: key 'switches[0].d_routers[0]': value 'df1': must be a switch with role: d-router",
     Errc::kConflict},
    {"forwarder", "[dr1, dr2]", "[dr1, df2]",
     "13:22: key 'switches[0].d_routers[1]': value 'df2': must be a switch with role: d-router",
     Errc::kConflict},
    {"without_tunnel", "    tunnel: {address: 10.4.4.2}\n", "",
     "13:22: key 'switches[0].d_routers[1]': value 'dr2': must be a switch that has a tunnel",
     Errc::kConflict},
    {"twice", "[dr1, dr2]", "[dr1, dr2, dr1]",
     "13:27: key 'switches[0].d_routers[2]': value 'dr1': is already at 'switches[0].d_routers[0]'",
     Errc::kDuplicate},
    {"of_a_router", "  - name: dr3\n", "  - name: dr3\n    d_routers: [dr1]\n",
     "47:16: key 'switches[4].d_routers': only a switch with role: d-forwarder has d_routers"},
};

const Case kSources[] = {
    {"two_forwarders", "sources: [192.168.20.0/24, 192.168.21.0/24]", "sources: [192.168.10.128/25]",
     "19:74: key 'switches[1].ports[0].sources[0]': value '192.168.10.128/25': overlaps 192.168.10.0/24 at "
     "'switches[0].ports[0].addresses[0]': D-Router 'dr1' tells the clients of its D-Forwarders and its own "
     "apart by their sources",
     Errc::kConflict},
    {"forwarder_and_own_clients", "192.168.30.1/24", "192.168.21.1/25",
     "30:46: key 'switches[2].ports[0].addresses[0]': value '192.168.21.0/25': overlaps 192.168.21.0/24 at "
     "'switches[1].ports[0].sources[1]': D-Router 'dr1' tells the clients of its D-Forwarders and its own "
     "apart by their sources",
     Errc::kConflict},
    {"ipv6_behind_ipv4", "sources: [192.168.20.0/24, 192.168.21.0/24]", "sources: ['::/0', 192.168.21.0/24]",
     "7:63: key 'switches[0].ports[0].addresses[1]': value 'fd00:10::/64': overlaps ::/0 at "
     "'switches[1].ports[0].sources[0]': D-Router 'dr1' tells the clients of its D-Forwarders and its own "
     "apart by their sources",
     Errc::kConflict},
    {"at_the_second_router", "    d_routers: [dr1]\n", "    d_routers: [dr2]\n",
     "40:46: key 'switches[3].ports[0].addresses[0]': value '192.168.20.64/26': overlaps 192.168.20.0/24 at "
     "'switches[1].ports[0].sources[0]': D-Router 'dr2' tells the clients of its D-Forwarders and its own "
     "apart by their sources",
     Errc::kConflict},
    {"with_an_endpoint", "sources: [192.168.20.0/24, 192.168.21.0/24]", "sources: [10.4.0.0/22]",
     "19:74: key 'switches[1].ports[0].sources[0]': value '10.4.0.0/22': contains 10.4.1.2, the tunnel "
     "endpoint of switch 'df1', which no client may send from",
     Errc::kConflict},
};

std::string NameOf(const ::testing::TestParamInfo<Case>& c) { return c.param.what; }
INSTANTIATE_TEST_SUITE_P(Endpoints, TunnelRefused, ::testing::ValuesIn(kTunnels), NameOf);
INSTANTIATE_TEST_SUITE_P(DRouters, TunnelRefused, ::testing::ValuesIn(kDRouters), NameOf);
INSTANTIATE_TEST_SUITE_P(Sources, TunnelRefused, ::testing::ValuesIn(kSources), NameOf);

TEST(TunnelRefusedTogether, BrokenValuesAreSaidOnce) {
  // Neither the endpoint nor the list is judged by what stands in place of a broken value.
  std::string text = Replace(std::string(kValid), "address: 10.4.1.2", "address: nonsense");
  text = Replace(text, "[dr1, dr2]", "['dr 1', dr2]");
  text = Replace(text, "bridge: br-dyn", "bridge: br/dyn");
  text = Replace(text, "    role: d-forwarder", "    role: forwarder");
  const Result<FabricConfig> config = ParseFabric(text, "f.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(
      config.error().ToString(),
      ::testing::MatchesRegex("f.yaml:3:11: [^\n]*one of: d-router, d-forwarder\nf.yaml:5:13: [^\n]*\n"
                              "f.yaml:12:23: [^\n]*must be an IP address\nf.yaml:13:17: [^\n]*"));
}

TEST(TunnelWarnings, OfWhatCannotBeReached) {
  const auto warnings = [](const std::string& from, const std::string& to) {
    return FabricWarnings(MustParse(Replace(std::string(kValid), from, to)));
  };
  EXPECT_THAT(
      warnings("    routes:\n      - {to: 0.0.0.0/0, via: 172.16.1.1}\n",
               "    routes:\n      - {to: 10.4.3.0/24, via: 172.16.1.1}\n"),
      ElementsAre("switch 'df1': has no route to 10.4.4.2, the tunnel endpoint of its D-Router 'dr2'"));
  EXPECT_THAT(
      warnings("      - {to: 0.0.0.0/0, via: 172.16.3.1}\n", "      - {to: 10.4.1.2/32, via: 172.16.3.1}\n"),
      ElementsAre("switch 'dr1': has no route to 10.4.2.2, the tunnel endpoint of its D-Forwarder 'df2'"));
  // A network of a port needs no route.
  EXPECT_THAT(warnings("addresses: [172.16.3.2/24]}\n    routes:\n      - {to: 0.0.0.0/0, via: 172.16.3.1}\n",
                       "addresses: [10.4.1.65/25, 10.4.2.65/25]}\n"),
              IsEmpty());
  EXPECT_THAT(warnings("{name: c1, role: access, addresses: [192.168.20.1/24], sources: [192.168.20.0/24, "
                       "192.168.21.0/24]}",
                       "{name: c1, role: uplink, addresses: [192.168.20.1/24]}"),
              ElementsAre("switch 'df2': a d-forwarder without a port with role: access has no clients"));
}

TEST(TunnelWarnings, OfLimitsOfFlowsThatOnlyDForwardersHold) {
  const std::string conntrack =
      "tcp/80], dispatch: learn, affinity: {key: 5-tuple, store: conntrack, limit: 2000000}}";
  EXPECT_THAT(FabricWarnings(MustParse(Replace(std::string(kValid), "tcp/80]}", conntrack))),
              ElementsAre("service 'web': limit 2000000 is above binding_flow_limit 1500000 of switch 'df1', "
                          "which is reached first",
                          "service 'web': limit 2000000 is above binding_flow_limit 1500000 of switch 'df2', "
                          "which is reached first"));
  EXPECT_THAT(FabricWarnings(MustParse("services: [{name: web, sid: 10.96.0.1, ports: [" + conntrack + "]")),
              IsEmpty());
}

TEST(Tunnel, LinkLocalSourcesMayMeet) {
  std::string text = Replace(std::string(kValid), "'fd00:10::1/64'", "'fd00:10::1/64', 'fe80::1/64'");
  text = Replace(text, "addresses: [192.168.20.1/24]", "addresses: [192.168.20.1/24, 'fe80::1/64']");
  text = Replace(text, "192.168.21.0/24]", "192.168.21.0/24, 'fe80::/64']");
  text = Replace(text, "addresses: [192.168.30.1/24]", "addresses: [192.168.30.1/24, 'fe80::1/64']");
  const FabricConfig c = MustParse(text);
  EXPECT_EQ(c.switches.size(), 5u);
}

TEST(TunnelExample, IsValidAndDoesWhatIsMeant) {
  const Result<FabricConfig> c = LoadFabric(SourcePath("docs/examples/figure4.yaml"));
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  EXPECT_EQ(c->switches.at(0).role, SwitchRole::kDForwarder);
  EXPECT_THAT(FabricWarnings(*c), IsEmpty());
}

}  // namespace
}  // namespace dyncast::config
