// fabric.yaml: the controller's configuration, frozen after it was parsed and validated.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/ip.h"
#include "schema/base/result.h"
#include "schema/base/time.h"
#include "schema/model/score.h"
#include "schema/model/service.h"
#include "schema/model/switch_plan.h"

namespace dyncast::config {

struct ControllerConfig {
  std::string fabric = "dyncast";  // names what we own in OVSDB (external_ids:dyncast-fabric)
  // Where switches' OpenFlow connections are accepted: "ptcp:6653:127.0.0.1", "punix:/run/x.sock".
  std::string openflow_listen = "ptcp:6653:127.0.0.1";
  // What the switches are told to connect to; default: derived from openflow_listen.
  std::string openflow_target;
  // Where agents' metrics are taken in (ZeroMQ endpoint to bind).
  std::string metrics_bind = "tcp://127.0.0.1:5570";
  std::string api_socket = "/run/dyncast/controller.sock";
  std::string prometheus_listen;  // "IPv4:PORT", where Prometheus may fetch /metrics; empty: nowhere
  std::string database = "/var/lib/dyncast/dyncast.db";
  std::string log_level = "info";
  // Binding flows wait at most this long to be sent together in one bundle, up to five times as long under
  // load. 0.1..100 ms.
  Micros binding_tick{1000};
  // An agent that sent nothing for this many of its heartbeat intervals is silent: its instances go down.
  uint32_t missed_heartbeats = 3;
  // After a start, instances known from before are trusted for this long without a word of their agent.
  std::chrono::milliseconds startup_grace{5000};
  // How often packet and byte counts of the bindings are read from the switches.
  std::chrono::milliseconds stats_interval{10000};
  // How far an agent's clock may differ before its messages are refused.
  std::chrono::milliseconds max_clock_skew{60000};
  std::chrono::hours history_retention{24 * 7};
  friend bool operator==(const ControllerConfig&, const ControllerConfig&) = default;
};

struct PortConfig {
  std::string name;  // the interface's name on the switch's host; the bridge's own name: its LOCAL port
  PortRole role = PortRole::kAccess;
  std::vector<IpPrefix> addresses;  // at least one; the gateway's addresses on this port
  std::vector<IpPrefix> sources;    // access only; default: the networks of `addresses`
  std::optional<MacAddress> mac;    // default: made from fabric, switch and port names (and the VLAN id)
  // 802.1Q VLAN id of this port's packets, 1..4094; 0: untagged. One interface may be several ports that
  // differ in it.
  uint16_t vlan = 0;
  // What the link behind the interface carries in one direction, bit/s, > 0; absent: what the switch knows of
  // the device.
  std::optional<uint64_t> speed{};
  friend bool operator==(const PortConfig&, const PortConfig&) = default;
};

struct RouteConfig {
  IpPrefix to;
  IpAddress via;
  friend bool operator==(const RouteConfig&, const RouteConfig&) = default;
};

// Where a switch is reached by tunnel, for D-Forwarders and the D-Routers they ask.
struct TunnelConfig {
  IpAddress address;    // IPv4, of the host behind the bridge's LOCAL port
  std::string port;     // the Geneve interface's name, at most 15 bytes; default: made from the bridge's
  uint16_t mtu = 1500;  // of the infrastructure between the endpoints; 576..9216
  friend bool operator==(const TunnelConfig&, const TunnelConfig&) = default;
};

struct SwitchConfig {
  std::string name;
  SwitchRole role = SwitchRole::kDRouter;
  std::string ovsdb;                     // "tcp:10.0.0.1:6640", "unix:/var/run/openvswitch/db.sock"
  std::string bridge;                    // at most 15 bytes
  std::string datapath_type = "system";  // "system" (kernel), "netdev" (userspace)
  bool adopt = false;                    // take over a bridge of that name that exists and is nobody's
  std::vector<PortConfig> ports;
  std::vector<RouteConfig> routes;
  // The agent beside the switch: what it measures of the way to other agents is what their instances are
  // away from here. Empty: not known; a D-Forwarder then counts as being where its D-Router is.
  std::string agent;
  PuntLimits punts;
  std::optional<TunnelConfig> tunnel;
  std::vector<std::string> d_routers;  // role d-forwarder: whom it asks, the first that is there
  // Most flows in each binding table, whatever the services' limits; beyond, the switch refuses to learn and
  // demands are steered by hash. 1000..4000000.
  uint32_t binding_flow_limit = 1500000;
  friend bool operator==(const SwitchConfig&, const SwitchConfig&) = default;
};

// Who may publish, and for which D-BIDs. An agent that is not listed is refused.
struct AgentAllowance {
  std::string name;
  std::vector<IpPrefix> bids;  // not empty
  friend bool operator==(const AgentAllowance&, const AgentAllowance&) = default;
};

struct FabricConfig {
  ControllerConfig controller;
  std::vector<IpPrefix> sid_pool;  // D-SIDs for services that name none are taken from here, in order
  std::vector<SwitchConfig> switches;
  std::vector<AgentAllowance> agents;
  ScoreSettings metrics{};  // for all services
  std::vector<ServiceSpec> services;
  friend bool operator==(const FabricConfig&, const FabricConfig&) = default;
};

// Parses and validates. `name` stands in front of every message ("fabric.yaml:12:3: ..."). All
// errors that can be found at once are given, one a line, in the error's message.
Result<FabricConfig> ParseFabric(std::string_view yaml, std::string_view name);
Result<FabricConfig> LoadFabric(const std::string& path);

// What is accepted but may not do what was meant, one sentence each.
std::vector<std::string> FabricWarnings(const FabricConfig& config);

// The datapath id that a switch's bridge is given: stable for its fabric and name.
uint64_t DatapathIdFor(std::string_view fabric, std::string_view switch_name);
// The gateway's MAC on a port: configured, or made from the names.
MacAddress GatewayMac(const FabricConfig& config, const SwitchConfig& sw, const PortConfig& port);

// docs/configuration.md's tables, made from the same option tables that drive parsing.
std::string FabricReferenceMarkdown();

}  // namespace dyncast::config
