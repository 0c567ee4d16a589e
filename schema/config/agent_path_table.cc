// agent.yaml's options about the network between agents, and the rules across their values.
#include <fmt/core.h>

#include <algorithm>

#include "schema/config/agent_check.h"
#include "schema/config/codec.h"
#include "schema/config/tables.h"
#include "schema/config/unique.h"

namespace dyncast::config {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Presence kRequired = Presence::kRequired;

}  // namespace

const Table<ReflectorConfig>& ReflectorTable() {
  using R = ReflectorConfig;
  static const Table<R> table({
      List(&R::listen, UdpEndpoint(),
           {.key = "listen",
            .presence = kRequired,
            .description = "Where it answers (UDP; STAMP's port is 862, ports below 1024 need "
                           "CAP_NET_BIND_SERVICE)."}),
      List(&R::senders, Network(),
           {.key = "senders",
            .presence = kRequired,
            .description = "Who is answered; all others' packets are dropped and counted."}),
      Value(&R::key_file, Path(),
            {.key = "key_file",
             .description = "A file with the key of the senders' HMAC-SHA-256, 16 to 1024 bytes without the "
                            "newline at its end; others must not be able to read it. With a key, only "
                            "authenticated packets are answered.",
             .fallback = "none: unauthenticated"}),
      Value(&R::rate_limit, Unsigned<uint32_t>(1, 100000),
            {.key = "rate_limit", .description = "Packets per second and session that are answered."}),
  });
  return table;
}

const Table<ProbeConfig>& ProbeTable() {
  using P = ProbeConfig;
  static const Table<P> table({
      Value(&P::peer, Name(),
            {.key = "peer",
             .presence = kRequired,
             .description = "The agent whose reflector answers, as in fabric.yaml.",
             .rule_added = "another than this one; one probe per peer and address family"}),
      Value(&P::address, UnicastAddress(),
            {.key = "address", .presence = kRequired, .description = "The reflector's address."}),
      Value(&P::port, Unsigned<uint16_t>(1, 65535), {.key = "port", .description = "Its UDP port."}),
      Value(&P::source, UnicastAddress(),
            {.key = "source",
             .description = "The packets' source address.",
             .fallback = "by the host's routes",
             .rule_added = "of the same family as `address`"}),
      Value(&P::interval, Duration<milliseconds>(milliseconds{10}, minutes{1}),
            {.key = "interval", .description = "From one packet to the next."}),
      Value(&P::timeout, Duration<milliseconds>(milliseconds{10}, seconds{30}),
            {.key = "timeout", .description = "A packet that is not answered for this long is lost."}),
      Value(&P::window, Duration<milliseconds>(milliseconds{100}, minutes{10}),
            {.key = "window",
             .description = "What delays, jitter and losses are taken over.",
             .fallback = "5s, or 10 `interval` or 4 `timeout` if that is more",
             .rule_added = "at least 2 `timeout` and 5 `interval`"}),
      Value(&P::reflector,
            Words<PeerReflector>({{.word = "stateful", .value = PeerReflector::kStateful},
                                  {.word = "stateless", .value = PeerReflector::kStateless}}),
            {.key = "reflector",
             .description =
                 "Whether the peer counts its answers, as agents do, or copies the packets' numbers: "
                 "then losses are not told apart by direction."}),
      Value(&P::key_file, Path(),
            {.key = "key_file",
             .description = "As in `reflector`: the peer's key.",
             .fallback = "none: unauthenticated"}),
  });
  return table;
}

const Table<PathThresholdConfig>& PathThresholdTable() {
  using T = PathThresholdConfig;
  static const Table<T> table({
      Value(&T::relative, Number(0, Bound::kExcluded, 1e6),
            {.key = "relative",
             .description = "Report when a round trip differs by this part of the one last reported, and by "
                            "`change`."}),
      Value(&T::change, Duration<microseconds>(microseconds{0}, minutes{10}),
            {.key = "change", .description = "The least difference that counts."}),
      Value(&T::loss, Number(0, Bound::kExcluded, 1),
            {.key = "loss",
             .description =
                 "Report when the loss differs by this part of the packets: 0.05 is one in twenty."}),
  });
  return table;
}

void FillInPaths(const Reader& reader, AgentConfig& config) {
  for (size_t i = 0; i < config.probes.size(); ++i) {
    ProbeConfig& probe = config.probes[i];
    if (reader.Says(fmt::format("probes[{}].window", i))) continue;
    probe.window = std::max({probe.window, 10 * probe.interval, 4 * probe.timeout});
  }
}

void CheckPaths(Reader& reader, const AgentConfig& config) {
  if (config.reflector) {
    Unique listen("this endpoint");
    for (size_t i = 0; i < config.reflector->listen.size(); ++i) {
      const IpEndpoint& endpoint = config.reflector->listen[i];
      if (endpoint.port != 0)
        listen.Check(reader, fmt::format("reflector.listen[{}]", i), endpoint.ToString());
    }
  }
  Unique peers("a probe of this peer and address family");
  for (size_t i = 0; i < config.probes.size(); ++i) {
    const ProbeConfig& probe = config.probes[i];
    const std::string path = fmt::format("probes[{}]", i);
    if (!probe.peer.empty() && probe.peer == config.name) {
      reader.Refuse(path + ".peer", probe.peer, "must be another agent than this one", Errc::kConflict);
    }
    if (probe.address.is_none()) continue;  // refused already
    const bool v4 = probe.address.is_v4();
    if (!probe.peer.empty()) peers.Check(reader, path + ".peer", probe.peer + (v4 ? " (IPv4)" : " (IPv6)"));
    if (probe.source && probe.source->is_v4() != v4) {
      reader.Refuse(path + ".source", probe.source->ToString(), "must be of the same family as address",
                    Errc::kConflict);
    }
    const milliseconds least = std::max(2 * probe.timeout, 5 * probe.interval);
    if (probe.window < least) {
      reader.Refuse(path + ".window", FormatDuration(probe.window),
                    fmt::format("must be at least 2 timeout and 5 interval, {} here", FormatDuration(least)),
                    Errc::kConflict);
    }
  }
}

}  // namespace dyncast::config
