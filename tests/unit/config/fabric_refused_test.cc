// Every rule of fabric.yaml: a file that is valid until one thing in it is wrong, and the whole message.
#include <gmock/gmock.h>

#include "schema/config/fabric.h"

namespace dyncast::config {
namespace {

// Line numbers count in the messages below.
constexpr std::string_view kValid = R"(controller:
  openflow_listen: ptcp:6653:10.0.0.1
sid_pool: [10.96.0.0/24]
switches:
  - name: dr1
    ovsdb: tcp:10.255.0.11:6640
    bridge: br1
    ports:
      - {name: c1, role: access, addresses: [192.168.10.1/24]}
      - {name: up, role: uplink, addresses: [172.16.1.2/24]}
    routes:
      - {to: 0.0.0.0/0, via: 172.16.1.1}
  - name: dr2
    ovsdb: tcp:10.255.0.12:6640
    bridge: br2
    ports:
      - {name: c1, role: access, addresses: [192.168.20.1/24]}
agents:
  - {name: edge2, bids: [10.2.0.0/16]}
services:
  - name: video
    sid: 10.96.0.1
    ports: [tcp/8080, udp/5000-5010]
    affinity: {key: 5-tuple, idle_timeout: 60s}
  - name: web
    sid: 10.96.0.2
    ports: [tcp/80]
    selection: {policy: least-loaded, load: [{metric: cpu_utilization}]}
)";

struct Case {
  std::string what;
  std::string old_text;  // must occur in kValid; its first occurrence is replaced
  std::string new_text;
  std::string message;  // without "f.yaml:"
  Errc code = Errc::kInvalid;
};

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

class FabricRefused : public ::testing::TestWithParam<Case> {};

TEST_P(FabricRefused, WithPlaceKeyValueAndRule) {
  const Case& c = GetParam();
  ASSERT_TRUE(ParseFabric(kValid, "f.yaml").ok()) << ParseFabric(kValid, "f.yaml").error().ToString();
  const Result<FabricConfig> config =
      ParseFabric(Replace(std::string(kValid), c.old_text, c.new_text), "f.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().ToString(), "f.yaml:" + c.message);
  EXPECT_EQ(config.error().code, c.code);
}

const Case kForms[] = {
    {"unknown_key", "  openflow_listen", "  openflow_lsten: x\n  openflow_listen",
     "2:3: key 'controller.openflow_lsten': unknown; known here: fabric, openflow_listen, openflow_target, "
     "metrics_bind, api_socket, prometheus_listen, database, log_level, binding_tick, missed_heartbeats, "
     "startup_grace, stats_interval, max_clock_skew, history_retention",
     Errc::kUnknownKey},
    {"repeated_key", "    bridge: br1\n", "    bridge: br1\n    bridge: br9\n",
     "8:5: key 'switches[0].bridge': said twice; the first time in line 7", Errc::kDuplicate},
    {"repeated_section", "agents:", "controller: {}\nagents:",
     "18:1: key 'controller': said twice; the first time in line 1", Errc::kDuplicate},
    {"missing_key", "    bridge: br1\n", "", "5:5: key 'switches[0].bridge': is missing"},
    {"scalar_for_list", "[192.168.10.1/24]", "192.168.10.1/24",
     "9:45: key 'switches[0].ports[0].addresses': value '192.168.10.1/24': must be a list"},
    {"list_for_scalar", "bridge: br1", "bridge: [br1]",
     "7:13: key 'switches[0].bridge': must be a single value, not a list"},
    {"nothing_for_scalar", "bridge: br1",
     "bridge:", "7:5: key 'switches[0].bridge': must be a single value, not nothing"},
    {"empty_required_list", "[192.168.10.1/24]", "[]",
     "9:45: key 'switches[0].ports[0].addresses': must have at least one item"},
    {"timeout_zero", "idle_timeout: 60s", "idle_timeout: 0s",
     "24:44: key 'services[0].affinity.idle_timeout': value '0s': must be 1s to 65535s"},
    {"timeout_too_long", "idle_timeout: 60s", "idle_timeout: 65536s",
     "24:44: key 'services[0].affinity.idle_timeout': value '65536s': must be 1s to 65535s"},
    {"bare_number", "idle_timeout: 60s", "idle_timeout: 60",
     "24:44: key 'services[0].affinity.idle_timeout': value '60': must be a whole number with a unit, such "
     "as "
     "500ms, 5s, 2m, 1h or 7d"},
    {"part_of_a_second", "idle_timeout: 60s", "idle_timeout: 1500ms",
     "24:44: key 'services[0].affinity.idle_timeout': value '1500ms': must be a multiple of 1s"},
    {"overflowing_duration", "idle_timeout: 60s", "idle_timeout: 9223372036854775807d",
     "24:44: key 'services[0].affinity.idle_timeout': value '9223372036854775807d': is too long a time"},
    {"limit_zero", "idle_timeout: 60s", "limit: 0",
     "24:37: key 'services[0].affinity.limit': value '0': must be an integer, 1 to 100000000"},
    {"limit_no_number", "idle_timeout: 60s", "limit: 5x",
     "24:37: key 'services[0].affinity.limit': value '5x': must be an integer, 1 to 100000000"},
    {"weight_nan", "{metric: cpu_utilization}", "{metric: cpu_utilization, weight: nan}",
     "28:80: key 'services[1].selection.load[0].weight': value 'nan': must be a number, above 0 and at most "
     "1000000"},
    {"scale_zero", "{metric: cpu_utilization}", "{metric: cpu_utilization, scale: 0}",
     "28:79: key 'services[1].selection.load[0].scale': value '0': must be a number, above 0 and at most "
     "1e+18"},
    {"bad_name", "name: dr1", "name: DR_1",
     "5:11: key 'switches[0].name': value 'DR_1': must be of the form [a-z0-9][a-z0-9-]{0,62}"},
    {"long_value_is_cut", "name: dr1", "name: " + std::string(100, 'x'),
     "5:11: key 'switches[0].name': value '" + std::string(61, 'x') +
         "...': must be of the form [a-z0-9][a-z0-9-]{0,62}"},
    {"value_of_two_lines", "name: dr1", "name: \"a\\nb\"",
     "5:11: key 'switches[0].name': value 'a?b': must be of the form [a-z0-9][a-z0-9-]{0,62}"},
    {"bridge_too_long", "bridge: br1", "bridge: br-dyncast-000001",
     "7:13: key 'switches[0].bridge': value 'br-dyncast-000001': must be 1 to 15 printable characters "
     "without "
     "'/', ':' and spaces"},
    {"unknown_word", "role: access", "role: client",
     "9:26: key 'switches[0].ports[0].role': value 'client': must be one of: access, edge, uplink"},
    {"unknown_role", "name: dr1\n", "name: dr1\n    role: forwarder\n",
     "6:11: key 'switches[0].role': value 'forwarder': must be one of: d-router, d-forwarder"},
    {"adopt_yes", "bridge: br1", "bridge: br1\n    adopt: yes",
     "8:12: key 'switches[0].adopt': value 'yes': must be one of: true, false"},
    {"listen_without_address", "ptcp:6653:10.0.0.1", "ptcp:6653",
     "2:20: key 'controller.openflow_listen': value 'ptcp:6653': must be ptcp:PORT:IPV4 or punix:PATH"},
    {"listen_port_zero", "ptcp:6653:10.0.0.1", "ptcp:0:10.0.0.1",
     "2:20: key 'controller.openflow_listen': value 'ptcp:0:10.0.0.1': must be ptcp:PORT:IPV4 or punix:PATH"},
    {"target_form", "ptcp:6653:10.0.0.1", "ptcp:6653:10.0.0.1\n  openflow_target: ptcp:6653:10.0.0.1",
     "3:20: key 'controller.openflow_target': value 'ptcp:6653:10.0.0.1': must be tcp:IPV4:PORT or "
     "unix:PATH"},
    {"ovsdb_form", "tcp:10.255.0.11:6640", "10.255.0.11",
     "6:12: key 'switches[0].ovsdb': value '10.255.0.11': must be tcp:IPV4:PORT or unix:PATH"},
    {"metrics_form", "ptcp:6653:10.0.0.1", "ptcp:6653:10.0.0.1\n  metrics_bind: 10.0.0.1:5570",
     "3:17: key 'controller.metrics_bind': value '10.0.0.1:5570': must be tcp://IPV4:PORT, tcp://*:PORT or "
     "ipc://PATH"},
    {"log_level", "ptcp:6653:10.0.0.1", "ptcp:6653:10.0.0.1\n  log_level: loud",
     "3:14: key 'controller.log_level': value 'loud': must be LEVEL or MODULE=LEVEL, separated by commas; "
     "levels trace, debug, info, warn, error, off"},
    {"ports_form", "tcp/80]", "80]",
     "27:13: key 'services[1].ports[0]': value '80': must be icmp, tcp/PORT, udp/PORT, sctp/PORT or "
     "PROTOCOL/FIRST-LAST, ports 1 to 65535"},
    {"icmp_with_port", "tcp/80]", "icmp/8]",
     "27:13: key 'services[1].ports[0]': value 'icmp/8': must be icmp, tcp/PORT, udp/PORT, sctp/PORT or "
     "PROTOCOL/FIRST-LAST, ports 1 to 65535"},
    {"speed_word", "role: access,", "role: access, speed: fast,",
     "9:41: key 'switches[0].ports[0].speed': value 'fast': must be a whole number with bit, kbit, mbit or "
     "gbit (per second), 1bit to 100000gbit"},
    {"speed_differs", "- {name: c1, role: access, addresses: [192.168.10.1/24]}",
     "- {name: c1, role: access, speed: 1gbit, addresses: [192.168.10.1/24]}\n"
     "      - {name: c1, vlan: 7, role: access, speed: 10gbit, addresses: [192.168.11.1/24]}",
     "10:50: key 'switches[0].ports[1].speed': value '10gbit': must be the same for all VLANs of c1, where "
     "1gbit "
     "stands already",
     Errc::kConflict},
    {"vlan_reserved", "role: access,", "role: access, vlan: 4095,",
     "9:40: key 'switches[0].ports[0].vlan': value '4095': must be an integer, 1 to 4094"},
    {"store_word", "idle_timeout: 60s", "store: hash",
     "24:37: key 'services[0].affinity.store': value 'hash': must be one of: auto, timed, generations, "
     "conntrack, none"},
    {"binding_flow_limit", "bridge: br1", "bridge: br1\n    binding_flow_limit: 999",
     "8:25: key 'switches[0].binding_flow_limit': value '999': must be an integer, 1000 to 4000000"},
    {"ports_reversed", "tcp/80]", "tcp/90-80]",
     "27:13: key 'services[1].ports[0]': value 'tcp/90-80': the first port must not be above the last"},
    {"mac_multicast", "role: access,", "role: access, mac: '01:00:00:00:00:01',",
     "9:39: key 'switches[0].ports[0].mac': value '01:00:00:00:00:01': must be a unicast MAC address"},
};

const Case kAddresses[] = {
    {"address_without_length", "192.168.10.1/24", "192.168.10.1",
     "9:46: key 'switches[0].ports[0].addresses[0]': value '192.168.10.1': must be an address with a prefix "
     "length, such as 10.0.0.1/24"},
    {"address_of_network", "192.168.10.1/24", "192.168.10.0/24",
     "9:46: key 'switches[0].ports[0].addresses[0]': value '192.168.10.0/24': is the network's own address, "
     "not "
     "a host's"},
    {"address_of_broadcast", "192.168.10.1/24", "192.168.10.255/24",
     "9:46: key 'switches[0].ports[0].addresses[0]': value '192.168.10.255/24': is the network's broadcast "
     "address"},
    {"address_multicast", "192.168.10.1/24", "224.0.0.1/24",
     "9:46: key 'switches[0].ports[0].addresses[0]': value '224.0.0.1/24': must be a unicast address"},
    {"pool_host_bits", "10.96.0.0/24", "10.96.0.1/24",
     "3:12: key 'sid_pool[0]': value '10.96.0.1/24': has host bits set; the network is 10.96.0.0/24"},
    {"pool_multicast", "10.96.0.0/24", "224.0.0.0/24",
     "3:12: key 'sid_pool[0]': value '224.0.0.0/24': must be a network of unicast addresses"},
    {"pool_overlap", "10.96.0.0/24", "10.96.0.128/25, 10.96.0.0/24",
     "3:12: key 'sid_pool[0]': value '10.96.0.128/25': overlaps 10.96.0.0/24 at 'sid_pool[1]': each address "
     "may "
     "be in the pool once",
     Errc::kConflict},
    {"sid_multicast", "10.96.0.1", "239.0.0.1",
     "22:10: key 'services[0].sid': value '239.0.0.1': must be a unicast address"},
    {"sid_twice_v4", "sid: 10.96.0.1", "sid: [10.96.0.1, 10.96.0.3]",
     "22:22: key 'services[0].sid[1]': value '10.96.0.3': a service has one D-SID per IP version",
     Errc::kDuplicate},
    {"sid_is_gateway", "10.96.0.1", "192.168.20.1",
     "22:10: key 'services[0].sid': value '192.168.20.1': is an address of switch 'dr2'", Errc::kConflict},
    {"sid_is_next_hop", "10.96.0.1", "172.16.1.1",
     "22:10: key 'services[0].sid': value '172.16.1.1': is a next hop of switch 'dr1'", Errc::kConflict},
    {"sid_twice_v6", "sid: 10.96.0.1", "sid: ['fd00::1', 'fd00::2']",
     "22:22: key 'services[0].sid[1]': value 'fd00::2': a service has one D-SID per IP version",
     Errc::kDuplicate},
    {"sid_v6_multicast", "sid: 10.96.0.1", "sid: 'ff02::1'",
     "22:10: key 'services[0].sid': value 'ff02::1': must be a unicast address"},
    {"address_v6_without_length", "192.168.10.1/24", "'fd00::1'",
     "9:46: key 'switches[0].ports[0].addresses[0]': value 'fd00::1': must be an address with a prefix "
     "length, "
     "such as 10.0.0.1/24"},
    {"address_v6_of_network", "192.168.10.1/24", "'fd00::/64'",
     "9:46: key 'switches[0].ports[0].addresses[0]': value 'fd00::/64': is the network's own address, not a "
     "host's"},
    {"networks_v6_overlap", "[192.168.10.1/24]}\n      - {name: up, role: uplink, addresses: [172.16.1.2/24",
     "['fd00::1/64']}\n      - {name: up, role: uplink, addresses: [172.16.1.2/24, 'fd00::2/65'",
     "10:61: key 'switches[0].ports[1].addresses[1]': value 'fd00::2/65': overlaps fd00::1/64 at "
     "'switches[0].ports[0].addresses[0]': the networks of two ports of a switch must not overlap",
     Errc::kConflict},
    {"route_of_another_family", "{to: 0.0.0.0/0, via: 172.16.1.1}",
     "{to: 0.0.0.0/0, via: 172.16.1.1}\n      - {to: '::/0', via: 'fd00::9'}",
     "13:27: key 'switches[0].routes[1].via': value 'fd00::9': must be a host's address on the network of "
     "one "
     "of the switch's ports",
     Errc::kConflict},
    {"sid_in_bids", "10.96.0.1", "10.2.3.4",
     "22:10: key 'services[0].sid': value '10.2.3.4': lies in 10.2.0.0/16, where agent 'edge2' may have "
     "D-BIDs",
     Errc::kConflict},
    {"sid_in_access_network", "10.96.0.1", "192.168.10.77",
     "22:10: key 'services[0].sid': value '192.168.10.77': lies in 192.168.10.0/24, the network of port 'c1' "
     "of "
     "switch 'dr1'",
     Errc::kConflict},
    {"bids_empty", "[10.2.0.0/16]", "[]", "19:25: key 'agents[0].bids': must have at least one item"},
    {"port_networks_overlap", "172.16.1.2/24", "192.168.10.130/25",
     "10:46: key 'switches[0].ports[1].addresses[0]': value '192.168.10.130/25': overlaps 192.168.10.1/24 at "
     "'switches[0].ports[0].addresses[0]': the networks of two ports of a switch must not overlap\n"
     "f.yaml:12:30: key 'switches[0].routes[0].via': value '172.16.1.1': must be a host's address on the "
     "network "
     "of one of the switch's ports",
     Errc::kConflict},
    {"address_twice", "192.168.10.1/24", "192.168.10.1/24, 192.168.10.1/24",
     "9:63: key 'switches[0].ports[0].addresses[1]': value '192.168.10.1/24': this switch already has this "
     "address",
     Errc::kDuplicate},
    {"route_elsewhere", "via: 172.16.1.1", "via: 172.16.2.1",
     "12:30: key 'switches[0].routes[0].via': value '172.16.2.1': must be a host's address on the network of "
     "one "
     "of the switch's ports",
     Errc::kConflict},
    {"route_to_broadcast", "via: 172.16.1.1", "via: 172.16.1.255",
     "12:30: key 'switches[0].routes[0].via': value '172.16.1.255': must be a host's address on the network "
     "of "
     "one of the switch's ports",
     Errc::kConflict},
    {"route_to_itself", "via: 172.16.1.1", "via: 172.16.1.2",
     "12:30: key 'switches[0].routes[0].via': value '172.16.1.2': is the switch's own address",
     Errc::kConflict},
    {"route_twice", "via: 172.16.1.1}", "via: 172.16.1.1}\n      - {to: 0.0.0.0/0, via: 172.16.1.3}",
     "13:14: key 'switches[0].routes[1].to': value '0.0.0.0/0': this switch already has a route to this "
     "network",
     Errc::kDuplicate},
    {"route_connected", "0.0.0.0/0", "192.168.10.0/24",
     "12:14: key 'switches[0].routes[0].to': value '192.168.10.0/24': is the network of one of the ports",
     Errc::kConflict},
    {"sources_at_uplink", "role: uplink,", "role: uplink, sources: [10.0.0.0/8],",
     "10:43: key 'switches[0].ports[1].sources': only a port with role: access has sources"},
};

const Case kAcross[] = {
    {"switch_twice", "name: dr2", "name: dr1",
     "13:11: key 'switches[1].name': value 'dr1': a switch of this name is already at 'switches[0].name'",
     Errc::kDuplicate},
    {"bridge_twice", "tcp:10.255.0.12:6640\n    bridge: br2", "tcp:10.255.0.11:6640\n    bridge: br1",
     "15:13: key 'switches[1].bridge': value 'br1': at this OVSDB server, this name is already at "
     "'switches[0].bridge'\n"
     "f.yaml:17:16: key 'switches[1].ports[0].name': value 'c1': at this OVSDB server, this name is already "
     "at "
     "'switches[0].ports[0].name'",
     Errc::kDuplicate},
    {"port_twice", "name: up", "name: c1",
     "10:16: key 'switches[0].ports[1].name': value 'c1': a port of this name and VLAN id is already at "
     "'switches[0].ports[0].name'",
     Errc::kDuplicate},
    {"tagged_port_twice", "{name: up, role: uplink,",
     "{name: c1, role: uplink, vlan: 7, addresses: [172.16.9.1/24]}\n      - {name: c1, role: uplink, vlan: "
     "7,",
     "11:16: key 'switches[0].ports[2].name': value 'c1 (VLAN 7)': a port of this name and VLAN id is "
     "already at "
     "'switches[0].ports[1].name'",
     Errc::kDuplicate},
    {"switch_cannot_reach_loopback", "ptcp:6653:10.0.0.1", "ptcp:6653:127.0.0.1",
     "2:20: key 'controller.openflow_listen': value 'ptcp:6653:127.0.0.1': switch 'dr1' at "
     "tcp:10.255.0.11:6640 "
     "cannot connect to tcp:127.0.0.1:6653: listen at an address that the switches reach, or give "
     "openflow_target",
     Errc::kConflict},
    {"switch_cannot_reach_socket", "ptcp:6653:10.0.0.1", "punix:/run/of",
     "2:20: key 'controller.openflow_listen': value 'punix:/run/of': switch 'dr1' at tcp:10.255.0.11:6640 "
     "cannot connect to unix:/run/of: listen at an address that the switches reach, or give openflow_target",
     Errc::kConflict},
    {"target_is_loopback", "ptcp:6653:10.0.0.1", "ptcp:6653:10.0.0.1\n  openflow_target: tcp:127.0.0.1:6653",
     "3:20: key 'controller.openflow_target': value 'tcp:127.0.0.1:6653': switch 'dr1' at "
     "tcp:10.255.0.11:6640 "
     "cannot connect to tcp:127.0.0.1:6653: give an address of this host that the switches reach",
     Errc::kConflict},
    {"icmp_twice", "tcp/80]", "icmp, tcp/80, icmp]",
     "27:27: key 'services[1].ports[2]': value 'icmp': overlaps icmp of the same service", Errc::kConflict},
    {"conntrack_of_coarser_key", "key: 5-tuple, idle_timeout: 60s}",
     "key: 3-tuple, store: conntrack}\n    dispatch: learn",
     "24:37: key 'services[0].affinity.store': value 'conntrack': holds connections, so key must be 5-tuple, "
     "not 3-tuple; other keys: timed, generations, none",
     Errc::kConflict},
    {"conntrack_reactive", "idle_timeout: 60s", "store: conntrack",
     "24:37: key 'services[0].affinity.store': value 'conntrack': needs dispatch: learn; reactive bindings "
     "are "
     "flows: timed or generations",
     Errc::kConflict},
    {"none_reactive", "idle_timeout: 60s", "store: none",
     "24:37: key 'services[0].affinity.store': value 'none': needs dispatch: learn; reactive bindings are "
     "flows: timed or generations",
     Errc::kConflict},
    {"fin_timeout_of_generations", "idle_timeout: 60s", "store: generations, fin_timeout: 5s",
     "24:63: key 'services[0].affinity.fin_timeout': value '5s': must be 0s with store: generations, which "
     "has "
     "no FIN timeout; timed and conntrack have",
     Errc::kConflict},
    {"limit_of_timed", "idle_timeout: 60s", "store: timed, limit: 100001",
     "24:51: key 'services[0].affinity.limit': value '100001': must be at most 100000 with store: timed: "
     "each "
     "change of a flow table costs Open vSwitch time for every timed flow; generations hold any number",
     Errc::kConflict},
    {"limit_of_timed_by_fin", "idle_timeout: 60s", "fin_timeout: 5s, limit: 1000000",
     "24:54: key 'services[0].affinity.limit': value '1000000': must be at most 100000 with store: timed "
     "(which "
     "a fin_timeout asks for): each change of a flow table costs Open vSwitch time for every timed flow; "
     "generations hold any number",
     Errc::kConflict},
    {"agent_twice", "  - {name: edge2, bids: [10.2.0.0/16]}\n",
     "  - {name: edge2, bids: [10.2.0.0/16]}\n  - {name: edge2, bids: [10.3.0.0/16]}\n",
     "20:12: key 'agents[1].name': value 'edge2': an agent of this name is already at 'agents[0].name'",
     Errc::kDuplicate},
    {"service_twice", "name: web", "name: video",
     "25:11: key 'services[1].name': value 'video': a service of this name is already at 'services[0].name'",
     Errc::kDuplicate},
    {"ports_overlap_within", "tcp/80]", "tcp/79-90, tcp/80]",
     "27:24: key 'services[1].ports[1]': value 'tcp/80': overlaps tcp/79-90 of the same service",
     Errc::kConflict},
    {"ports_overlap_across", "sid: 10.96.0.2\n    ports: [tcp/80]", "sid: 10.96.0.1\n    ports: [udp/5010]",
     "27:13: key 'services[1].ports[0]': value 'udp/5010': overlaps udp/5000-5010 of service 'video', which "
     "has "
     "the same D-SID",
     Errc::kConflict},
    {"fin_timeout_of_coarser_key", "key: 5-tuple,", "key: 3-tuple, fin_timeout: 5s,",
     "24:43: key 'services[0].affinity.fin_timeout': value '5s': must be 0s unless key is 5-tuple: a coarser "
     "key "
     "covers connections that still run",
     Errc::kConflict},
    {"metric_twice", "{metric: cpu_utilization}", "{metric: cpu_utilization}, {metric: cpu_utilization}",
     "28:82: key 'services[1].selection.load[1].metric': value 'cpu_utilization': this metric is already at "
     "'services[1].selection.load[0].metric'",
     Errc::kDuplicate},
    {"load_without_use", "policy: least-loaded", "policy: round-robin",
     "28:44: key 'services[1].selection.load': policy round-robin looks at no metric of instances",
     Errc::kConflict},
};

std::string NameOf(const ::testing::TestParamInfo<Case>& c) { return c.param.what; }
INSTANTIATE_TEST_SUITE_P(Forms, FabricRefused, ::testing::ValuesIn(kForms), NameOf);
INSTANTIATE_TEST_SUITE_P(Addresses, FabricRefused, ::testing::ValuesIn(kAddresses), NameOf);
INSTANTIATE_TEST_SUITE_P(Across, FabricRefused, ::testing::ValuesIn(kAcross), NameOf);

TEST(FabricRefusedTogether, AllErrorsComeAtOnceInTheOrderOfTheFile) {
  std::string text = Replace(std::string(kValid), "bridge: br1", "bridge: br/1");
  text = Replace(text, "idle_timeout: 60s", "idle_timeout: 0s");
  text = Replace(text, "name: web", "name: video");
  text = Replace(text, "  openflow_listen", "  of: x\n  openflow_listen");
  const Result<FabricConfig> config = ParseFabric(text, "f.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().ToString(),
              ::testing::MatchesRegex("f.yaml:2:3: [^\n]*\nf.yaml:8:13: [^\n]*\nf.yaml:25:44: [^\n]*\n"
                                      "f.yaml:26:11: [^\n]*"));
}

TEST(FabricRefusedTogether, ManyErrorsAreCut) {
  std::string text;
  for (int i = 0; i < 150; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const Result<FabricConfig> config = ParseFabric(text, "f.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().ToString(), ::testing::EndsWith("\nf.yaml: 50 more errors"));
}

TEST(FabricAccepted, SharedSidWithOtherPortsAndSecondAddressOnOneNetwork) {
  std::string text = Replace(std::string(kValid), "sid: 10.96.0.2", "sid: 10.96.0.1");
  text = Replace(text, "192.168.10.1/24", "192.168.10.1/24, 192.168.10.2/24");
  text = Replace(text, "key: 5-tuple,", "key: 3-tuple, fin_timeout: 0s,");
  const Result<FabricConfig> config = ParseFabric(text, "f.yaml");
  EXPECT_TRUE(config.ok()) << config.error().ToString();
}

TEST(FabricAccepted, LoopbackWhereTheSwitchesCanReachIt) {
  std::string text = Replace(std::string(kValid), "ptcp:6653:10.0.0.1", "ptcp:6653:127.0.0.1");
  text = Replace(text, "tcp:10.255.0.11:6640", "unix:/run/db.sock");
  text = Replace(text, "tcp:10.255.0.12:6640", "tcp:127.0.0.1:6640");
  EXPECT_TRUE(ParseFabric(text, "f.yaml").ok());
  text = Replace(std::string(kValid), "ptcp:6653:10.0.0.1",
                 "ptcp:6653:127.0.0.1\n  openflow_target: tcp:10.0.0.9:6653");
  EXPECT_TRUE(ParseFabric(text, "f.yaml").ok()) << "a relay or NAT may stand between";
}

}  // namespace
}  // namespace dyncast::config
