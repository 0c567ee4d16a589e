// fabric.yaml, option by option, but for its services (service_table.cc). Rules across values are in
// fabric_check.cc.
#include "schema/config/codec.h"
#include "schema/config/tables.h"

namespace dyncast::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Presence kRequired = Presence::kRequired;

const Table<ControllerConfig>& ControllerTable() {
  using C = ControllerConfig;
  static const Table<C> table({
      Value(&C::fabric, Name(),
            {.key = "fabric",
             .description = "Names what this controller owns in the switches' databases; another fabric's "
                            "bridges are left alone."}),
      Value(&C::openflow_listen, OpenFlowListen(),
            {.key = "openflow_listen",
             .description = "Where the switches' OpenFlow connections are accepted."}),
      Value(&C::openflow_target, OpenFlowTarget(),
            {.key = "openflow_target",
             .description = "Where the switches are told to connect to.",
             .fallback = "from `openflow_listen`",
             .rule_added = "must be given when listening at 0.0.0.0, or at loopback or a unix socket for the "
                           "switches of other hosts"}),
      Value(&C::metrics_bind, ZmqBind(),
            {.key = "metrics_bind", .description = "Where the agents' messages are taken in (ZeroMQ)."}),
      Value(&C::api_socket, SocketPath(),
            {.key = "api_socket", .description = "The unix socket that dyncastctl connects to."}),
      Value(
          &C::prometheus_listen, TcpListen(),
          {.key = "prometheus_listen",
           .description = "Where Prometheus may fetch `/metrics`; without it only the API's socket has that "
                          "page. Whoever can connect can read it: listen at loopback, or on a network of "
                          "your own.",
           .fallback = "none"}),
      Value(&C::database, Path(), {.key = "database", .description = "The SQLite database."}),
      Value(&C::log_level, LogLevels(),
            {.key = "log_level", .description = "What is logged, for all modules or for single ones."}),
      Value(
          &C::binding_tick, Duration<Micros>(Micros{100}, milliseconds{100}),
          {.key = "binding_tick",
           .description = "New binding flows wait at most this long to be sent together in one bundle; under "
                          "load (from 8 in a bundle on) up to five times as long."}),
      Value(&C::missed_heartbeats, Unsigned<uint32_t>(1, 1000),
            {.key = "missed_heartbeats",
             .description = "An agent that sent nothing for this many of its heartbeat intervals is silent: "
                            "its instances go down."}),
      Value(&C::startup_grace, Duration<milliseconds>(milliseconds{0}, hours{1}),
            {.key = "startup_grace",
             .description = "After a start, instances known from before are trusted for this long without a "
                            "word of their agent."}),
      Value(&C::stats_interval, Duration<milliseconds>(milliseconds{100}, hours{1}),
            {.key = "stats_interval",
             .description = "How often packet and byte counts of the bindings are read from the switches."}),
      Value(&C::max_clock_skew, Duration<milliseconds>(milliseconds{100}, hours{24}),
            {.key = "max_clock_skew",
             .description = "How far an agent's clock may differ before its messages are refused."}),
      Value(&C::history_retention, Duration<hours>(hours{1}, hours{24 * 3650}),
            {.key = "history_retention",
             .description = "How long ended bindings and decisions stay in the database."}),
  });
  return table;
}

const Table<PortConfig>& PortTable() {
  using P = PortConfig;
  static const Table<P> table({
      Value(&P::name, InterfaceName(),
            {.key = "name",
             .presence = kRequired,
             .description = "The interface's name on the switch's host; the bridge's own name stands for its "
                            "local port."}),
      Value(
          &P::role,
          Words<PortRole>({{.word = "access", .value = PortRole::kAccess},
                           {.word = "edge", .value = PortRole::kEdge},
                           {.word = "uplink", .value = PortRole::kUplink}}),
          {.key = "role",
           .presence = kRequired,
           .description = "`access`: clients; sources are checked and demands recognised. `edge`: instances "
                          "and agents, plain routing. `uplink`: the infrastructure, plain routing."}),
      List(&P::addresses, InterfaceAddress(),
           {.key = "addresses",
            .presence = kRequired,
            .description = "The gateway's own addresses on this port.",
            .rule_added = "the networks of two ports of a switch must not overlap"}),
      List(&P::sources, Network(),
           {.key = "sources",
            .description = "Source addresses that may enter here.",
            .fallback = "the networks of `addresses`",
            .rule_added = "only with `role: access`"}),
      Value(&P::mac, UnicastMac(),
            {.key = "mac",
             .description = "The gateway's MAC address on this port.",
             .fallback = "made from fabric, switch and port names, and the VLAN id"}),
      Value(&P::vlan, Unsigned<uint16_t>(1, 4094),
            {.key = "vlan",
             .description = "The 802.1Q VLAN id that this port's packets carry. One interface may be several "
                            "ports that differ in it, one of them untagged.",
             .fallback = "no tag",
             .rule_added = "once per interface"}),
      Value(&P::speed, BitRate(),
            {.key = "speed",
             .description =
                 "What the link behind the interface carries in one direction; its load is shown as a "
                 "part of it.",
             .fallback = "what the switch knows of the device",
             .rule_added = "the same for all VLANs of an interface"}),
  });
  return table;
}

const Table<RouteConfig>& RouteTable() {
  using R = RouteConfig;
  static const Table<R> table({
      Value(&R::to, Network(),
            {.key = "to",
             .presence = kRequired,
             .description = "The destination; `0.0.0.0/0` and `::/0` are the default routes.",
             .rule_added = "once per switch, and not the network of a port"}),
      Value(&R::via, UnicastAddress(),
            {.key = "via",
             .presence = kRequired,
             .description = "The next hop.",
             .rule_added = "on the network of one of the ports, and not the gateway itself"}),
  });
  return table;
}

const Table<PuntLimits>& PuntTable() {
  using P = PuntLimits;
  constexpr uint32_t kMost = 10000000;
  static const Table<P> table({
      Value(&P::demands_per_s, Unsigned<uint32_t>(0, kMost),
            {.key = "demands_per_s", .description = "First packets of demands, per second; 0: no limit."}),
      Value(&P::fragments_per_s, Unsigned<uint32_t>(0, kMost),
            {.key = "fragments_per_s",
             .description =
                 "Later IPv4 fragments of TCP and UDP, which pass the controller, per second; 0: no limit."}),
      Value(&P::others_per_s, Unsigned<uint32_t>(0, kMost),
            {.key = "others_per_s",
             .description =
                 "All other packets for the controller (ARP, ND, next hops that are not known), per second; "
                 "0: no "
                 "limit. Each client that the switch meets first by an answer to it takes up to four."}),
  });
  return table;
}

const Table<TunnelConfig>& TunnelTable() {
  using T = TunnelConfig;
  static const Table<T> table({
      Value(&T::address, UnicastAddress(),
            {.key = "address",
             .presence = kRequired,
             .description = "The endpoint: the address of the host behind the bridge's local port.",
             .rule_added = "IPv4; in a network of that port, which has role: edge and no VLAN id; not the "
                           "gateway's own; unique in the fabric"}),
      Value(&T::port, InterfaceName(),
            {.key = "port",
             .description = "The name of the Geneve interface, which is created.",
             .fallback = "made from the bridge's name",
             .rule_added = "unique within an OVSDB server"}),
      Value(&T::mtu, Unsigned<uint16_t>(576, 9216),
            {.key = "mtu",
             .description = "The largest IP packet that the infrastructure carries between the endpoints, "
                            "tunnel headers included."}),
  });
  return table;
}

const Table<SwitchConfig>& SwitchTable() {
  using S = SwitchConfig;
  static const Table<S> table({
      Value(&S::name, Name(),
            {.key = "name",
             .presence = kRequired,
             .description = "The switch's name.",
             .rule_added = "unique"}),
      Value(&S::role,
            Words<SwitchRole>({{.word = "d-router", .value = SwitchRole::kDRouter},
                               {.word = "d-forwarder", .value = SwitchRole::kDForwarder}}),
            {.key = "role",
             .description = "`d-router`: selects instances. `d-forwarder`: holds its clients' bindings, and "
                            "asks a D-Router where there is none."}),
      Value(&S::ovsdb, OpenFlowTarget(),
            {.key = "ovsdb", .presence = kRequired, .description = "The OVSDB server of the switch's host."}),
      Value(&S::bridge, InterfaceName(),
            {.key = "bridge",
             .presence = kRequired,
             .description = "The bridge's name; it is created where it does not exist.",
             .rule_added = "unique within an OVSDB server"}),
      Value(
          &S::datapath_type,
          Words<std::string>({{.word = "system", .value = "system"}, {.word = "netdev", .value = "netdev"}}),
          {.key = "datapath_type", .description = "`system`: the kernel's; `netdev`: in userspace."}),
      Value(&S::adopt, Boolean(),
            {.key = "adopt", .description = "Take over a bridge of that name that exists and is nobody's."}),
      Sections(&S::ports, PortTable(),
               {.key = "ports", .presence = kRequired, .description = "The bridge's ports."}),
      Sections(&S::routes, RouteTable(),
               {.key = "routes", .description = "Static routes.", .fallback = "none"}),
      Value(&S::agent, Name(),
            {.key = "agent",
             .description =
                 "The agent beside this switch: the network that it measures to other agents counts as "
                 "this switch's way to their instances.",
             .fallback = "none; a D-Forwarder takes that of its D-Router",
             .rule_added = "one of `agents`"}),
      Section(&S::punts, PuntTable(),
              {.key = "punts", .description = "How many packets may be sent to the controller."}),
      Section(&S::tunnel, TunnelTable(),
              {.key = "tunnel",
               .description = "Where D-Forwarders and the D-Routers that they ask reach this switch. Only "
                              "switches of the fabric may be able to send from these addresses, see wire.md.",
               .fallback = "none",
               .rule_added = "required with `role: d-forwarder`"}),
      List(&S::d_routers, Name(),
           {.key = "d_routers",
            .description = "Whom a D-Forwarder asks: the first of these switches that is there.",
            .fallback = "none",
            .rule_added =
                "required with `role: d-forwarder`, and only there; names of d-routers that have a "
                "`tunnel`; their own clients and those of all their D-Forwarders must have `sources` "
                "that do not overlap"}),
      Value(&S::binding_flow_limit, Unsigned<uint32_t>(1000, 4000000),
            {.key = "binding_flow_limit",
             .description = "Flows that each of the switch's binding tables may hold, whatever the services' "
                            "limits say; beyond, the switch learns nothing and steers by hash."}),
  });
  return table;
}

const Table<AgentAllowance>& AllowanceTable() {
  using A = AgentAllowance;
  static const Table<A> table({
      Value(
          &A::name, Name(),
          {.key = "name", .presence = kRequired, .description = "The agent's name.", .rule_added = "unique"}),
      List(&A::bids, Network(),
           {.key = "bids",
            .presence = kRequired,
            .description = "Where the D-BIDs of the instances that it announces must lie."}),
  });
  return table;
}

}  // namespace

const Table<FabricConfig>& FabricTable() {
  using F = FabricConfig;
  static const Table<F> table({
      Section(&F::controller, ControllerTable(),
              {.key = "controller", .description = "The controller itself."}),
      List(&F::sid_pool, Network(),
           {.key = "sid_pool",
            .description = "Services that name no `sid` take their D-SIDs from here, in the order in which "
                           "they stand in the file: one for each IP version that has a network here.",
            .fallback = "none",
            .rule_added = "networks that do not overlap"}),
      Sections(&F::switches, SwitchTable(),
               {.key = "switches", .description = "The switches.", .fallback = "none"}),
      Sections(&F::agents, AllowanceTable(),
               {.key = "agents",
                .description = "Who may publish, and for which D-BIDs; an agent that is not here is refused.",
                .fallback = "none"}),
      Section(
          &F::metrics, ScoreTable(ScorePlace::kFabric),
          {.key = "metrics",
           .description = "How L0 metrics become scores, L1 and L2, see metrics.md. Nothing need be said: "
                          "known metrics have rules."}),
      Sections(&F::services, ServiceTable(),
               {.key = "services", .description = "The services.", .fallback = "none"}),
  });
  return table;
}

}  // namespace dyncast::config
