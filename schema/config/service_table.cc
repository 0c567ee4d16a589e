// The services of fabric.yaml, option by option. Rules across values are in service_check.cc.
#include "schema/config/codec.h"
#include "schema/config/tables.h"

namespace dyncast::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Presence kRequired = Presence::kRequired;

// `5-tuple`, `4-tuple`, `3-tuple`, `client`, `client/24`, `client/24/56` into three members.
Option<Affinity> AffinityKeyOption() {
  const Said said = {
      .key = "key",
      .description =
          "What makes two packets one flow. `4-tuple` leaves out the source port, `3-tuple` both "
          "ports, `client` all but the source address; `client/24` keeps 24 bits of an IPv4 "
          "source (and all of an IPv6 one), `client/24/56` also 56 bits of an IPv6 one, "
          "`client/32/56` those and all of an IPv4 one.",
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
      Value(&A::fin_timeout, Duration<seconds>(seconds{0}, seconds{65535}),
            {.key = "fin_timeout",
             .description = "After the client's FIN or RST a binding ends this long after its last packet; "
                            "`0s`: not used.",
             .fallback = "5s with `key: 5-tuple` and `store` timed or conntrack, else 0s",
             .rule_added = "not 0 only with `key: 5-tuple` (a coarser key covers connections that still "
                           "run), and not with `store` generations or none, which have no FIN timeout"}),
      Value(&A::limit, Unsigned<uint32_t>(1, 100000000),
            {.key = "limit",
             .description =
                 "Bindings that the service may hold per switch; demands beyond it are served "
                 "without one, and counted. Of no effect with `store: none`, and with conntrack only "
                 "at D-Forwarders.",
             .rule_added = "with `store: timed` at most 100000"}),
      Value(&A::store,
            Words<BindingStoreKind>({{.word = "auto", .value = BindingStoreKind::kAuto},
                                     {.word = "timed", .value = BindingStoreKind::kTimed},
                                     {.word = "generations", .value = BindingStoreKind::kGenerations},
                                     {.word = "conntrack", .value = BindingStoreKind::kConntrack},
                                     {.word = "none", .value = BindingStoreKind::kNone}}),
            {.key = "store",
             .description =
                 "How a switch holds the bindings. `timed`: one flow each, with its timeouts; for small "
                 "numbers. `generations`: flows without timeouts; any number, and a binding ends "
                 "idle_timeout to twice that after its last packet. `conntrack`: marks of connection "
                 "tracking; the controller does not see single bindings; D-Forwarders hold flows, timed "
                 "or generations by `limit` as with `auto`. `none`: nothing is held, flows "
                 "move when shares do. `auto`: timed where `limit` is at most 20000 or `fin_timeout` is "
                 "given, else generations.",
             .rule_added = "`conntrack` only with `key: 5-tuple` and `dispatch: learn`, `none` only with "
                           "`dispatch: learn`"}),
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
            Words<PolicyKind>({{.word = "auto", .value = PolicyKind::kAuto},
                               {.word = "least-bindings", .value = PolicyKind::kLeastBindings},
                               {.word = "water-filling", .value = PolicyKind::kWaterFilling},
                               {.word = "weighted", .value = PolicyKind::kWeighted},
                               {.word = "power-of-two", .value = PolicyKind::kPowerOfTwo},
                               {.word = "least-loaded", .value = PolicyKind::kLeastLoaded},
                               {.word = "lowest-delay", .value = PolicyKind::kLowestDelay},
                               {.word = "static", .value = PolicyKind::kStatic},
                               {.word = "round-robin", .value = PolicyKind::kRoundRobin}}),
            {.key = "policy",
             .description = "How an instance is chosen for a new demand; docs/selection.md compares them."}),
      Sections(
          &S::load, LoadTable(),
          {.key = "load",
           .description = "An instance's load is the sum of weight * value / scale over these.",
           .fallback = "the largest utilisation that an instance reports",
           .rule_added = "not with `round-robin`, `static` and `lowest-delay`, which look at no metric of "
                         "instances"}),
      Value(&S::slow_start, Duration<milliseconds>(milliseconds{0}, hours{1}),
            {.key = "slow_start",
             .description = "An instance younger than this gets a growing part of its share; `0s`: all at "
                            "once."}),
      Value(&S::metrics_expiry, Duration<milliseconds>(milliseconds{100}, hours{1}),
            {.key = "metrics_expiry",
             .description = "Metrics older than this are not used: the instance counts as average."}),
      Value(
          &S::blackout, Duration<milliseconds>(milliseconds{0}, hours{1}),
          {.key = "blackout",
           .description = "What an instance reports in this time after it came up is not used: first figures "
                          "are of its start, not of its work."}),
      Value(&S::max_share, Number(0, Bound::kExcluded, 1),
            {.key = "max_share",
             .description =
                 "No instance gets a larger part of the new demands than this, as long as others can "
                 "take them; `1`: no bound."}),
      Value(&S::weights_gap, Duration<milliseconds>(milliseconds{100}, hours{1}),
            {.key = "weights_gap",
             .description =
                 "With `dispatch: learn`: weights alone change a switch's shares at most once in this "
                 "time."}),
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
      .rule_added =
          "not an address of a gateway or a next hop, and in no network of a port or of an agent's "
          "`bids`",
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

}  // namespace

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
            .description = "Protocols and ports of the service; `icmp`: echo requests, of ICMP and ICMPv6.",
            .rule_added = "disjoint, also from those of another service with the same D-SID"}),
      Value(&S::dispatch,
            Words<Dispatch>({{.word = "reactive", .value = Dispatch::kReactive},
                             {.word = "learn", .value = Dispatch::kLearn}}),
            {.key = "dispatch",
             .description = "`reactive`: the controller decides for each demand; `learn`: the switch does."}),
      Section(&S::affinity, AffinityTable(),
              {.key = "affinity", .description = "What stays together, and for how long."}),
      Section(&S::selection, SelectionTable(),
              {.key = "selection", .description = "How an instance is chosen for a new demand."}),
      Section(&S::scores, ScoreTable(ScorePlace::kService),
              {.key = "scores",
               .description = "How this service's metrics become scores, where other than "
                              "in `metrics`."}),
      Value(&S::no_instance,
            Words<NoInstanceAction>({{.word = "unreachable", .value = NoInstanceAction::kUnreachable},
                                     {.word = "drop", .value = NoInstanceAction::kDrop}}),
            {.key = "no_instance",
             .description = "What a demand gets while no instance may take it: an ICMP host unreachable "
                            "(ICMPv6 address unreachable), or nothing."}),
  });
  return table;
}

}  // namespace dyncast::config
