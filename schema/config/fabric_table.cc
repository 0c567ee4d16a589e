// fabric.yaml, option by option. Rules across values are in fabric_check.cc.
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
             .rule_added = "must be given when listening at 0.0.0.0"}),
      Value(&C::metrics_bind, ZmqBind(),
            {.key = "metrics_bind", .description = "Where the agents' messages are taken in (ZeroMQ)."}),
      Value(&C::api_socket, SocketPath(),
            {.key = "api_socket", .description = "The unix socket that dyncastctl connects to."}),
      Value(&C::database, Path(), {.key = "database", .description = "The SQLite database."}),
      Value(&C::log_level, LogLevels(),
            {.key = "log_level", .description = "What is logged, for all modules or for single ones."}),
      Value(&C::binding_tick, Duration<Micros>(Micros{100}, milliseconds{100}),
            {.key = "binding_tick",
             .description = "New binding flows wait at most this long to be sent together in one bundle."}),
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
             .fallback = "made from fabric, switch and port names"}),
  });
  return table;
}

const Table<RouteConfig>& RouteTable() {
  using R = RouteConfig;
  static const Table<R> table({
      Value(&R::to, Network(),
            {.key = "to",
             .presence = kRequired,
             .description = "The destination; `0.0.0.0/0` is the default route.",
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
      Value(&P::others_per_s, Unsigned<uint32_t>(0, kMost),
            {.key = "others_per_s",
             .description =
                 "All other packets for the controller (ARP and the like), per second; 0: no limit."}),
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
            Words<SwitchRole>(
                {{.word = "d-router", .value = SwitchRole::kDRouter},
                 {.word = "d-forwarder", .value = SwitchRole::kDForwarder, .refusal = kNotSupported}}),
            {.key = "role", .description = "What the switch is in the fabric."}),
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
      Section(&S::punts, PuntTable(),
              {.key = "punts", .description = "How many packets may be sent to the controller."}),
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

// `5-tuple`, `4-tuple`, `3-tuple`, `client`, `client/24`, `client/24/56` into three members.
Option<Affinity> AffinityKeyOption() {
  const Said said = {
      .key = "key",
      .description =
          "What makes two packets one flow. `4-tuple` leaves out the source port, `3-tuple` both "
          "ports, `client` all but the source address; `client/24` keeps 24 bits of an IPv4 "
          "source (and all of an IPv6 one), `client/24/56` also 56 bits of an IPv6 one.",
  };
  const auto read = [](Reader& reader, const YamlNode& node, const std::string& path, Affinity& to) {
    const Codec<Affinity> codec = {
        .type = "",
        .rule = "",
        .parse = [](std::string_view text) -> Result<Affinity> {
          constexpr std::string_view kRule =
              "must be 5-tuple, 4-tuple, 3-tuple, client, client/V4 or client/V4/V6, V4 1 to 32, V6 1 to 128";
          for (const AffinityKind kind :
               {AffinityKind::k5Tuple, AffinityKind::k4Tuple, AffinityKind::k3Tuple, AffinityKind::kClient}) {
            if (text == AffinityKindName(kind)) {
              Affinity parsed;
              parsed.kind = kind;
              return parsed;
            }
          }
          if (!text.starts_with("client/")) return Broken(kRule);
          text.remove_prefix(7);
          Affinity parsed;
          parsed.kind = AffinityKind::kClientPrefix;
          const size_t slash = text.find('/');
          const Result<uint8_t> v4 = Unsigned<uint8_t>(1, 32).parse(text.substr(0, slash));
          if (!v4.ok()) return Broken(kRule);
          parsed.prefix_v4 = *v4;
          if (slash == std::string_view::npos) return parsed;
          const Result<uint8_t> v6 = Unsigned<uint8_t>(1, 128).parse(text.substr(slash + 1));
          if (!v6.ok()) return Broken(kRule);
          parsed.prefix_v6 = *v6;
          return parsed;
        },
        .format = [](const Affinity&) { return std::string(); }};
    if (const std::optional<Affinity> parsed = ReadScalar(codec, reader, node, path)) {
      to.kind = parsed->kind;
      to.prefix_v4 = parsed->prefix_v4;
      to.prefix_v6 = parsed->prefix_v6;
    }
  };
  return {
      .info = MakeInfo(said, "word", "`5-tuple`, `4-tuple`, `3-tuple`, `client`, `client/V4`, `client/V4/V6`",
                       std::string(AffinityKindName(Affinity{}.kind))),
      .set = read};
}

const Table<Affinity>& AffinityTable() {
  using A = Affinity;
  static const Table<A> table({
      AffinityKeyOption(),
      Value(&A::idle_timeout, Duration<seconds>(seconds{1}, seconds{65535}),
            {.key = "idle_timeout",
             .description = "A binding ends when no packet of its flow came for this long."}),
      Value(
          &A::fin_timeout, Duration<seconds>(seconds{0}, seconds{65535}),
          {.key = "fin_timeout",
           .description = "After the client's FIN or RST a binding ends this long after its last packet; "
                          "`0s`: not used.",
           .fallback = "5s with `key: 5-tuple`, else 0s",
           .rule_added = "not 0 only with `key: 5-tuple`: a coarser key covers connections that still run"}),
      Value(&A::limit, Unsigned<uint32_t>(1, 100000000),
            {.key = "limit",
             .description = "Bindings that the service may hold per switch; demands beyond it are served "
                            "without one, and counted."}),
  });
  return table;
}

const Table<MetricTerm>& LoadTable() {
  using M = MetricTerm;
  static const Table<M> table({
      Value(&M::metric, MetricNameText(),
            {.key = "metric",
             .presence = kRequired,
             .description = "The metric's name.",
             .rule_added = "unique within the list"}),
      Value(&M::weight, Number(0, Bound::kExcluded, 1e6),
            {.key = "weight", .description = "How much this metric counts beside the others."}),
      Value(&M::scale, Number(0, Bound::kExcluded, 1e18),
            {.key = "scale", .description = "The value that counts as fully loaded, in the metric's unit."}),
  });
  return table;
}

const Table<Selection>& SelectionTable() {
  using S = Selection;
  static const Table<S> table({
      Value(&S::policy,
            Words<PolicyKind>({{.word = "round-robin", .value = PolicyKind::kRoundRobin},
                               {.word = "static", .value = PolicyKind::kStatic},
                               {.word = "least-loaded", .value = PolicyKind::kLeastLoaded},
                               {.word = "weighted", .value = PolicyKind::kWeighted},
                               {.word = "least-bindings", .value = PolicyKind::kLeastBindings}}),
            {.key = "policy", .description = "How an instance is chosen for a new demand."}),
      Sections(&S::load, LoadTable(),
               {.key = "load",
                .description = "An instance's load is the sum of weight * value / scale over these.",
                .fallback = "the largest utilisation that an instance reports",
                .rule_added = "not with `round-robin` and `static`, which look at no metric"}),
      Value(&S::slow_start, Duration<milliseconds>(milliseconds{0}, hours{1}),
            {.key = "slow_start",
             .description = "An instance younger than this gets a growing part of its share; `0s`: all at "
                            "once."}),
      Value(&S::metrics_expiry, Duration<milliseconds>(milliseconds{100}, hours{1}),
            {.key = "metrics_expiry",
             .description = "Metrics older than this are not used: the instance counts as average."}),
  });
  return table;
}

// One address, or a list of one per family, into two members.
Option<ServiceSpec> SidOption() {
  const Said said = {
      .key = "sid",
      .description =
          "The D-SID, the anycast address that clients use: one address, or a list with one per "
          "IP version.",
      .fallback = "the next of `sid_pool`",
      .rule_added = "not an address of a gateway or a next hop",
  };
  const auto one = [](Reader& reader, const YamlNode& node, const std::string& path, ServiceSpec& to) {
    const std::optional<IpAddress> address = ReadScalar(UnicastAddress(), reader, node, path);
    if (!address) return;
    std::optional<IpAddress>& member = address->is_v4() ? to.sid_v4 : to.sid_v6;
    if (member) reader.Refuse(path, node.scalar, "a service has one D-SID per IP version", Errc::kDuplicate);
    member = *address;
  };
  const auto read = [one](Reader& reader, const YamlNode& node, const std::string& path, ServiceSpec& to) {
    if (node.kind != YamlNode::Kind::kList) return one(reader, node, path, to);
    if (node.items.empty()) reader.Refuse(path, "must have at least one item");
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string item = ItemPath(path, i);
      reader.Saw(item, node.items[i].place);
      one(reader, node.items[i], item, to);
    }
  };
  return {.info = MakeInfo(said, "address, or list of address", "unicast", ""), .set = read};
}

const Table<ServiceSpec>& ServiceTable() {
  using S = ServiceSpec;
  static const Table<S> table({
      Value(&S::name, Name(),
            {.key = "name",
             .presence = kRequired,
             .description = "The service's name.",
             .rule_added = "unique"}),
      SidOption(),
      List(&S::ports, ServicePorts(),
           {.key = "ports",
            .presence = kRequired,
            .description = "Protocols and ports of the service.",
            .rule_added = "disjoint, also from those of another service with the same D-SID"}),
      Value(&S::dispatch,
            Words<Dispatch>({{.word = "reactive", .value = Dispatch::kReactive},
                             {.word = "learn", .value = Dispatch::kLearn, .refusal = kNotSupported}}),
            {.key = "dispatch",
             .description = "`reactive`: the controller decides for each demand; `learn`: the switch does."}),
      Section(&S::affinity, AffinityTable(),
              {.key = "affinity", .description = "What stays together, and for how long."}),
      Section(&S::selection, SelectionTable(),
              {.key = "selection", .description = "How an instance is chosen for a new demand."}),
      Value(&S::no_instance,
            Words<NoInstanceAction>({{.word = "unreachable", .value = NoInstanceAction::kUnreachable},
                                     {.word = "drop", .value = NoInstanceAction::kDrop}}),
            {.key = "no_instance",
             .description = "What a demand gets while no instance may take it: an ICMP host unreachable, or "
                            "nothing."}),
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
                           "they stand in the file.",
            .fallback = "none",
            .rule_added = "networks that do not overlap"}),
      Sections(&F::switches, SwitchTable(),
               {.key = "switches", .description = "The switches.", .fallback = "none"}),
      Sections(&F::agents, AllowanceTable(),
               {.key = "agents",
                .description = "Who may publish, and for which D-BIDs; an agent that is not here is refused.",
                .fallback = "none"}),
      Sections(&F::services, ServiceTable(),
               {.key = "services", .description = "The services.", .fallback = "none"}),
  });
  return table;
}

}  // namespace dyncast::config
