// agent.yaml, option by option. Rules across values are in agent_check.cc.
#include <algorithm>

#include "schema/config/codec.h"
#include "schema/config/tables.h"

namespace dyncast::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr Presence kRequired = Presence::kRequired;

Codec<milliseconds> Interval() { return Duration<milliseconds>(milliseconds{10}, hours{1}); }

bool IsUrlPath(std::string_view text) {
  return !text.empty() && text.size() <= 1024 && text[0] == '/' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

const Table<Capacity>& CapacityTable() {
  using C = Capacity;
  static const Table<C> table({
      Value(&C::cpu_cores, Number(0, Bound::kExcluded, 1e18),
            {.key = "cpu_cores", .description = "CPU cores.", .fallback = "of the host or cgroup"}),
      Value(&C::memory_bytes, Number(0, Bound::kExcluded, 1e18),
            {.key = "memory_bytes", .description = "Memory in bytes.", .fallback = "of the host or cgroup"}),
      Value(&C::gpus, Number(0, Bound::kIncluded, 1e18),
            {.key = "gpus", .description = "GPUs.", .fallback = "unknown"}),
      Value(&C::max_sessions, Number(0, Bound::kExcluded, 1e18),
            {.key = "max_sessions",
             .description = "Sessions that it may hold at once.",
             .fallback = "unknown"}),
      Value(&C::requests_per_s, Number(0, Bound::kExcluded, 1e18),
            {.key = "requests_per_s",
             .description = "Requests per second as the operator rates it.",
             .fallback = "unknown"}),
  });
  return table;
}

const Table<HealthCheckConfig>& HealthTable() {
  using H = HealthCheckConfig;
  static const Table<H> table({
      Value(&H::kind,
            Words<HealthCheckKind>({{.word = "tcp", .value = HealthCheckKind::kTcp},
                                    {.word = "http", .value = HealthCheckKind::kHttp},
                                    {.word = "none", .value = HealthCheckKind::kNone}}),
            {.key = "check",
             .description = "`tcp`: a connection is accepted; `http`: a GET is answered with a 2xx status; "
                            "`none`: the instance counts as up."}),
      Value(&H::port, Unsigned<uint16_t>(1, 65535),
            {.key = "port", .description = "The port that is checked.", .fallback = "the instance's `port`"}),
      Value(&H::path, Text("URL path", "a path from '/' on, without spaces", IsUrlPath),
            {.key = "path", .description = "What is fetched.", .rule_added = "only with `check: http`"}),
      Value(&H::interval, Interval(), {.key = "interval", .description = "From one check to the next."}),
      Value(&H::timeout, Duration<milliseconds>(milliseconds{1}, hours{1}),
            {.key = "timeout",
             .description = "A check that takes longer has failed.",
             .fallback = "400ms, or 4/5 of a shorter `interval`",
             .rule_added = "less than `interval`"}),
      Value(&H::fall, Unsigned<uint32_t>(1, 1000),
            {.key = "fall", .description = "Failures in a row until the instance is down."}),
      Value(&H::rise, Unsigned<uint32_t>(1, 1000),
            {.key = "rise", .description = "Successes in a row until it is up."}),
  });
  return table;
}

const Table<InstanceConfig>& InstanceTable() {
  using I = InstanceConfig;
  static const Table<I> table({
      Value(&I::name, Name(),
            {.key = "name",
             .presence = kRequired,
             .description = "The instance's name.",
             .rule_added = "unique in the fabric"}),
      Value(&I::service, Name(),
            {.key = "service", .presence = kRequired, .description = "The service, as in fabric.yaml."}),
      Value(&I::bid, UnicastAddress(),
            {.key = "bid",
             .presence = kRequired,
             .description = "The D-BID: the instance's own unicast address.",
             .rule_added = "once per service"}),
      Value(&I::port, Unsigned<uint16_t>(1, 65535),
            {.key = "port",
             .presence = kRequired,
             .description = "The port it listens at: its sessions, accept queue and health are read there."}),
      Value(&I::network_namespace, Path(),
            {.key = "network_namespace",
             .description = "Where the instance's sockets are: `/run/netns/NAME` or `/proc/PID/ns/net`.",
             .fallback = "the agent's own"}),
      Value(&I::check_inside, Boolean(),
            {.key = "check_inside",
             .description = "Make health checks and scrapes from within `network_namespace`."}),
      Value(&I::cgroup, Path(),
            {.key = "cgroup",
             .description = "A cgroup v2 folder: CPU, memory and pressure are read there.",
             .fallback = "of the whole host"}),
      Section(&I::capacity, CapacityTable(), {.key = "capacity", .description = "What it has, used or not."}),
      Section(&I::health, HealthTable(), {.key = "health", .description = "How its health is checked."}),
      Section(&I::scrape, ScrapeTable(),
              {.key = "scrape", .description = "Metrics of the application's own.", .fallback = "none"}),
      Section(&I::orca, OrcaTable(),
              {.key = "orca",
               .description = "Load reports of the application (xDS `OrcaLoadReport`).",
               .fallback = "none"}),
      Sections(&I::plugins, PluginTable(),
               {.key = "plugins",
                .description = "Programs that are run and say metrics, at most 16.",
                .fallback = "none"}),
      Section(&I::gpu, GpuTable(),
              {.key = "gpu", .description = "Its GPUs.", .fallback = "those of the agent's `gpu`"}),
      Section(&I::updates, UpdatesTable(),
              {.key = "updates", .description = "When it is reported, where that differs from the agent's."}),
  });
  return table;
}

}  // namespace

const Table<AgentConfig>& AgentTable() {
  using A = AgentConfig;
  static const Table<A> table({
      Value(&A::name, Name(),
            {.key = "name", .presence = kRequired, .description = "The agent's name, as in fabric.yaml."}),
      List(&A::controllers, ZmqConnect(),
           {.key = "controllers", .presence = kRequired, .description = "Where to publish (ZeroMQ)."}),
      Value(&A::report_interval, Interval(),
            {.key = "report_interval", .description = "Everything is announced and reported this often."}),
      Value(&A::heartbeat_interval, Interval(),
            {.key = "heartbeat_interval", .description = "A sign of life is sent this often."}),
      Value(&A::sample_interval, Interval(),
            {.key = "sample_interval", .description = "How often the thresholds are looked at."}),
      Value(&A::minimum_gap, Duration<milliseconds>(milliseconds{0}, hours{1}),
            {.key = "minimum_gap",
             .description = "Between two reports of one instance, whatever the thresholds say.",
             .rule_added = "at most `report_interval`"}),
      Sections(&A::thresholds, ThresholdTable(),
               {.key = "thresholds",
                .description = "Changes that are reported at once, between the intervals.",
                .fallback = "none"}),
      Section(&A::gpu, GpuTable(),
              {.key = "gpu",
               .description = "GPUs of the host, for instances that name none themselves.",
               .fallback = "none are looked at"}),
      Value(&A::orca_listen, LoadListen(),
            {.key = "orca_listen",
             .description =
                 "Where instances with `orca: {post: true}` post their load reports (HTTP). Each may "
                 "post for itself, from its D-BID; this host for all of them.",
             .fallback = "none"}),
      List(&A::orca_allow, Network(),
           {.key = "orca_allow",
            .description = "From where else load reports may be posted.",
            .fallback = "none"}),
      Section(&A::updates, UpdatesTable(),
              {.key = "updates",
               .description = "When instances are reported. `minimum_gap` and `thresholds` may stand here or "
                              "above, not in both places."}),
      Value(&A::log_level, LogLevels(),
            {.key = "log_level", .description = "What is logged, for all modules or for single ones."}),
      Sections(&A::instances, InstanceTable(),
               {.key = "instances", .description = "The instances that it speaks for.", .fallback = "none"}),
      Section(&A::reflector, ReflectorTable(),
              {.key = "reflector",
               .description = "Answers other agents' STAMP packets (RFC 8762).",
               .fallback = "none: nobody is answered"}),
      Sections(
          &A::probes, ProbeTable(),
          {.key = "probes",
           .description = "Other agents to which delay, jitter and loss are measured by STAMP (RFC 8762).",
           .fallback = "none"}),
      Section(
          &A::path_threshold, PathThresholdTable(),
          {.key = "path_threshold",
           .description = "Changes of a path that are reported at once, looked at every `sample_interval`, "
                          "at most every `minimum_gap`."}),
  });
  return table;
}

}  // namespace dyncast::config
