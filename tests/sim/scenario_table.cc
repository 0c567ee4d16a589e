// A scenario, option by option. Rules across values are in scenario_check.cc.
#include "tests/sim/scenario_table.h"

#include "schema/config/codec.h"

namespace dyncast::sim {
namespace {

using config::Bound;
using config::Duration;
using config::List;
using config::Name;
using config::Number;
using config::Path;
using config::Presence;
using config::Section;
using config::Sections;
using config::Table;
using config::Unsigned;
using config::Value;
using config::Words;
using std::chrono::hours;
using std::chrono::seconds;

constexpr Presence kRequired = Presence::kRequired;
constexpr Micros kNone{0};

const Table<RouterSpec>& RouterTable() {
  using R = RouterSpec;
  static const Table<R> table({
      Value(&R::name, Name(),
            {.key = "name",
             .presence = kRequired,
             .description = "The D-Router's name; the agent beside it is `net-NAME`.",
             .rule_added = "at most 50 octets, unique"}),
      Value(
          &R::share, Number(0, Bound::kExcluded, 1e6),
          {.key = "share",
           .description = "Its part of the synthetic demands, relative to the others'. Without effect where "
                          "clients have positions."}),
      Value(&R::site, Unsigned<uint32_t>(0, UINT32_MAX),
            {.key = "site",
             .description = "Where it is: a SITE_ID of `network.positions.sites`.",
             .fallback = "none"}),
  });
  return table;
}

const Table<InstanceSpec>& InstanceTable() {
  using I = InstanceSpec;
  static const Table<I> table({
      Value(&I::name, Name(),
            {.key = "name",
             .presence = kRequired,
             .description = "The instance's name.",
             .rule_added = "unique"}),
      Value(&I::service, Name(),
            {.key = "service", .description = "What it serves.", .fallback = "the first of `services`"}),
      Value(&I::workers, Unsigned<uint32_t>(1, 1024),
            {.key = "workers",
             .description = "Requests that it serves at the same time; others wait in turn."}),
      Value(&I::speed, Number(0, Bound::kExcluded, 1000),
            {.key = "speed", .description = "Seconds of work that each worker does in a second."}),
  });
  return table;
}

const Table<EdgeSpec>& EdgeTable() {
  using E = EdgeSpec;
  static const Table<E> table({
      Value(&E::name, Name(),
            {.key = "name",
             .presence = kRequired,
             .description = "The edge's name; its agent is `agent-NAME`.",
             .rule_added = "at most 50 octets, unique"}),
      Value(&E::site, Unsigned<uint32_t>(0, UINT32_MAX),
            {.key = "site",
             .description = "Where it is: a SITE_ID of `network.positions.sites`.",
             .fallback = "none"}),
      Sections(&E::instances, InstanceTable(),
               {.key = "instances", .presence = kRequired, .description = "Its instances."}),
  });
  return table;
}

const Table<DelaySpec>& DelayTable() {
  using D = DelaySpec;
  static const Table<D> table({
      Value(&D::router, Name(), {.key = "router", .presence = kRequired, .description = "A D-Router."}),
      Value(&D::edge, Name(),
            {.key = "edge",
             .presence = kRequired,
             .description = "An edge.",
             .rule_added = "once for each D-Router"}),
      Value(&D::delay, Duration<Micros>(kNone, seconds{10}),
            {.key = "delay",
             .presence = kRequired,
             .description = "One way from the one to the other, and as long back."}),
  });
  return table;
}

const Table<PositionSpec>& PositionTable() {
  using P = PositionSpec;
  static const Table<P> table({
      Value(&P::sites, Path(),
            {.key = "sites",
             .presence = kRequired,
             .description =
                 "CSV file with the columns SITE_ID, LATITUDE and LONGITUDE (degrees). Relative to the "
                 "scenario's folder."}),
      Value(&P::clients, Path(),
            {.key = "clients",
             .description =
                 "CSV file with the columns Latitude and Longitude: synthetic demands come from these "
                 "places, each with the same chance, and enter at the nearest D-Router.",
             .fallback = "none"}),
      Value(&P::per_km, Duration<Micros>(kNone, seconds{1}),
            {.key = "per_km", .description = "One-way delay for each kilometre between D-Router and edge."}),
      Value(&P::constant, Duration<Micros>(kNone, seconds{1}),
            {.key = "constant", .description = "One-way delay beside that."}),
  });
  return table;
}

const Table<NetworkSpec>& NetworkTable() {
  using N = NetworkSpec;
  static const Table<N> table({
      Value(&N::delay, Duration<Micros>(kNone, seconds{10}),
            {.key = "delay",
             .description = "One way between D-Routers and edges for which nothing else is said."}),
      Sections(&N::delays, DelayTable(), {.key = "delays", .description = "Delays of single ways."}),
      Section(&N::positions, PositionTable(),
              {.key = "positions", .description = "Delays from the places of D-Routers and edges."}),
  });
  return table;
}

const Table<SpeedSpec>& SpeedTable() {
  using S = SpeedSpec;
  static const Table<S> table({
      Value(&S::instance, Name(), {.key = "instance", .presence = kRequired, .description = "An instance."}),
      Value(&S::at, Duration<Micros>(kNone, hours{24}),
            {.key = "at", .presence = kRequired, .description = "When, since the start."}),
      Value(&S::factor, Number(0, Bound::kExcluded, 1000),
            {.key = "factor",
             .presence = kRequired,
             .description = "Its workers run at this many times their `speed` from then on."}),
  });
  return table;
}

const Table<RotationSpec>& RotationTable() {
  using R = RotationSpec;
  static const Table<R> table({
      Value(&R::factor, Number(0, Bound::kExcluded, 1000),
            {.key = "factor",
             .presence = kRequired,
             .description = "Its workers run at this many times their `speed`."}),
      Value(&R::time, Duration<Micros>(std::chrono::milliseconds{1}, hours{24}),
            {.key = "time",
             .presence = kRequired,
             .description = "For how long; then it is the next one's turn."}),
  });
  return table;
}

const Table<WorkSpec>& WorkTable() {
  using W = WorkSpec;
  static const Table<W> table({
      Value(&W::distribution,
            Words<Distribution>({{.word = "lognormal", .value = Distribution::kLognormal},
                                 {.word = "exponential", .value = Distribution::kExponential},
                                 {.word = "fixed", .value = Distribution::kFixed}}),
            {.key = "distribution", .description = "Of one request's work."}),
      Value(&W::mean, Duration<Micros>(Micros{1}, hours{1}),
            {.key = "mean", .description = "Mean time that a worker of speed 1 needs for a request."}),
      Value(&W::sigma, Number(0, Bound::kExcluded, 4),
            {.key = "sigma",
             .description = "With lognormal: standard deviation of the work's natural logarithm."}),
  });
  return table;
}

const Table<SessionSpec>& SessionTable() {
  using S = SessionSpec;
  static const Table<S> table({
      Value(&S::length, Duration<Micros>(std::chrono::milliseconds{1}, hours{24}),
            {.key = "length", .description = "How long a session sends requests."}),
      Value(&S::gap, Duration<Micros>(Micros{1}, hours{1}),
            {.key = "gap",
             .description = "Mean time between its requests (exponential); the first comes at once."}),
  });
  return table;
}

const Table<DemandSpec>& DemandTable() {
  using D = DemandSpec;
  static const Table<D> table({
      Value(&D::service, Name(),
            {.key = "service",
             .description = "Which service is asked.",
             .fallback = "the first of `services`"}),
      Value(&D::load, Number(0, Bound::kExcluded, 10),
            {.key = "load",
             .description =
                 "Work that comes in, as a part of what all instances of the service can do at their own "
                 "speeds."}),
      Section(&D::work, WorkTable(), {.key = "work", .description = "Work of one request."}),
      Value(&D::clients, Unsigned<uint32_t>(1, 60000),
            {.key = "clients",
             .description = "How many clients ask, each with the same chance; not with clients' positions."}),
      Section(&D::sessions, SessionTable(),
              {.key = "sessions",
               .description =
                   "A demand is a session: a flow of many requests that stays with its instance. Absent: a "
                   "demand is one request."}),
  });
  return table;
}

const Table<ReportSpec>& ReportTable() {
  using R = ReportSpec;
  static const Table<R> table({
      Value(&R::period, Duration<Micros>(std::chrono::milliseconds{10}, hours{1}),
            {.key = "period", .description = "Between two reports of an agent."}),
      Value(&R::window, Duration<Micros>(kNone, hours{1}),
            {.key = "window",
             .description = "Time over which rate, utilisation and latency are taken.",
             .fallback = "the period, at least 500ms"}),
      Value(&R::delay, Duration<Micros>(kNone, seconds{10}),
            {.key = "delay", .description = "From an agent to the controller."}),
      Value(&R::loss, Number(0, Bound::kIncluded, 1),
            {.key = "loss", .description = "Part of all agents' messages that are lost."}),
  });
  return table;
}

}  // namespace

const Table<Scenario>& ScenarioTable() {
  using S = Scenario;
  static const Table<S> table({
      Value(&S::name, Name(),
            {.key = "name", .presence = kRequired, .description = "The scenario's name in all outputs."}),
      List(&S::services, Name(),
           {.key = "services",
            .description = "Names of the services.",
            .fallback = "web",
            .rule_added = "unique"}),
      Sections(&S::routers, RouterTable(),
               {.key = "routers", .presence = kRequired, .description = "D-Routers where demands enter."}),
      Sections(&S::edges, EdgeTable(),
               {.key = "edges",
                .presence = kRequired,
                .description = "Edges with their instances; each has an agent."}),
      Section(&S::network, NetworkTable(),
              {.key = "network", .description = "Delays between D-Routers and edges."}),
      Sections(&S::speeds, SpeedTable(),
               {.key = "speeds", .description = "Changes of single instances' speeds."}),
      Section(
          &S::rotation, RotationTable(),
          {.key = "rotation",
           .description = "One instance after the other is slower (or faster), in the order of the file."}),
      Sections(&S::demands, DemandTable(),
               {.key = "demands", .description = "Synthetic demands: Poisson arrivals."}),
      Value(&S::trace, Path(),
            {.key = "trace",
             .description = "CSV file of demands, in place of `demands`. Relative to the scenario's folder.",
             .fallback = "none"}),
      Section(&S::reports, ReportTable(), {.key = "reports", .description = "What agents send."}),
      Value(&S::ending,
            Words<Ending>({{.word = "fin", .value = Ending::kFin}, {.word = "idle", .value = Ending::kIdle}}),
            {.key = "ending",
             .description =
                 "How a binding ends: with its demand or session, or `idle_timeout` after its last packet."}),
      Value(&S::idle_timeout, Duration<Micros>(seconds{1}, seconds{65535}),
            {.key = "idle_timeout", .description = "See `ending`.", .rule_added = "whole seconds"}),
      Value(&S::dispatch,
            Words<Dispatch>({{.word = "reactive", .value = Dispatch::kReactive},
                             {.word = "learn", .value = Dispatch::kLearn}}),
            {.key = "dispatch",
             .description = "Who selects: the controller each time, or the D-Router by shares."}),
      Value(&S::metrics_expiry, Duration<Micros>(kNone, hours{1}),
            {.key = "metrics_expiry",
             .description = "As in fabric.yaml.",
             .fallback = "three report periods, at least 10s"}),
      Value(&S::duration, Duration<Micros>(std::chrono::milliseconds{1}, hours{24}),
            {.key = "duration",
             .description = "Demands arrive for this long; then what is under way is served to its end."}),
      Value(&S::warm_up, Duration<Micros>(kNone, hours{24}),
            {.key = "warm_up",
             .description = "Demands of before are not counted.",
             .rule_added = "less than `duration`"}),
      Value(&S::seed, Unsigned<uint64_t>(0, UINT64_MAX),
            {.key = "seed", .description = "Of all randomness."}),
  });
  return table;
}

}  // namespace dyncast::sim
