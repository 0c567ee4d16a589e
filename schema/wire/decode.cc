// Bytes of a peer to domain types. Nothing here trusts the peer: every field is checked against its rule,
// and no text of the peer reaches an error but through Shown().
#include <fmt/core.h>
#include <google/protobuf/arena.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <memory_resource>
#include <set>

#include "schema/model/name.h"
#include "schema/wire/dyncast.pb.h"
#include "schema/wire/message.h"

namespace dyncast::wire {
namespace {

constexpr size_t kMaxTopicBytes = 80;  // the longest kind, '/', the longest agent name, and some
constexpr size_t kMaxReasonBytes = 128;
constexpr double kMaxCapacity = 1e18;
constexpr uint32_t kMaxWindowMs = 24 * 60 * 60 * 1000;
constexpr uint64_t kMaxPathTimeUs = 10ull * 60 * 1000 * 1000;
constexpr int64_t kMaxSentAtUs = 253402300799999999;  // the end of the year 9999, as far as FormatWall goes

Error Refusal(std::string_view field, std::string_view value, std::string_view rule) {
  return MakeError(Errc::kInvalid, fmt::format("field '{}': value '{}': {}", field, Shown(value), rule));
}

// Protobuf writes to stderr about each string that is not UTF-8, which a peer could use to flood the log;
// the same fact is in our error.
void SilenceProtobuf() {
  [[maybe_unused]] static const auto previous = google::protobuf::SetLogHandler(nullptr);
}

Status CheckName(std::string_view field, const std::string& value) {
  if (!IsName(value)) return Refusal(field, value, kNameRule);
  return Ok();
}

Result<IpAddress> ParseUnicast(std::string_view field, const std::string& text) {
  Result<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok()) return Refusal(field, text, "must be an IP address");
  if (!IsUnicast(*address)) return Refusal(field, text, "must be a unicast address");
  return address;
}

enum class Zero : uint8_t { kAllowed, kRefused };

Status TakeCapacity(std::string_view field, Zero zero, double value, std::optional<double>& to) {
  const bool low = zero == Zero::kAllowed ? value < 0 : value <= 0;
  if (!std::isfinite(value) || low || value > kMaxCapacity) {
    return Refusal(field, fmt::format("{}", value),
                   zero == Zero::kAllowed ? "must be from 0 to 1e18" : "must be above 0 and at most 1e18");
  }
  to = value;
  return Ok();
}

Result<Capacity> FromProto(const v1::Capacity& from) {
  Capacity to;
  Status status = Ok();
  const auto take = [&status](bool said, std::string_view field, Zero zero, double value,
                              std::optional<double>& target) {
    if (said && status.ok()) status = TakeCapacity(field, zero, value, target);
  };
  take(from.has_cpu_cores(), "capacity.cpu_cores", Zero::kRefused, from.cpu_cores(), to.cpu_cores);
  take(from.has_memory_bytes(), "capacity.memory_bytes", Zero::kRefused, from.memory_bytes(),
       to.memory_bytes);
  take(from.has_gpus(), "capacity.gpus", Zero::kAllowed, from.gpus(), to.gpus);
  take(from.has_max_sessions(), "capacity.max_sessions", Zero::kRefused, from.max_sessions(),
       to.max_sessions);
  take(from.has_requests_per_s(), "capacity.requests_per_s", Zero::kRefused, from.requests_per_s(),
       to.requests_per_s);
  if (!status.ok()) return status.error();
  return to;
}

using Body = std::variant<Announce, Report, Withdraw, Heartbeat, Paths>;

Result<Body> FromProto(const v1::Announce& from) {
  Announce to;
  if (Status s = CheckName("announce.instance", from.instance()); !s.ok()) return s.error();
  if (Status s = CheckName("announce.service", from.service()); !s.ok()) return s.error();
  to.instance = from.instance();
  to.service = from.service();
  Result<IpAddress> bid = ParseUnicast("announce.bid", from.bid());
  if (!bid.ok()) return bid.error();
  to.bid = *bid;
  if (from.has_sid()) {
    Result<IpAddress> sid = ParseUnicast("announce.sid", from.sid());
    if (!sid.ok()) return sid.error();
    if (*sid == to.bid) return Refusal("announce.sid", from.sid(), "must differ from the D-BID");
    to.sid = *sid;
  }
  switch (from.health()) {
    case v1::HEALTH_UNKNOWN: to.health = Health::kUnknown; break;
    case v1::HEALTH_UP: to.health = Health::kUp; break;
    case v1::HEALTH_DOWN: to.health = Health::kDown; break;
    default: return Refusal("announce.health", std::to_string(from.health()), "must be 0, 1 or 2");
  }
  Result<Capacity> capacity = FromProto(from.capacity());
  if (!capacity.ok()) return capacity.error();
  to.capacity = *capacity;
  return Body{std::move(to)};
}

std::optional<MetricLevel> FromProto(v1::Level level) {
  switch (level) {
    case v1::LEVEL_0: return MetricLevel::kL0;
    case v1::LEVEL_1: return MetricLevel::kL1;
    case v1::LEVEL_2: return MetricLevel::kL2;
    default: return std::nullopt;
  }
}

std::optional<MetricSource> FromProto(v1::Source source) {
  switch (source) {
    case v1::SOURCE_NOMINAL: return MetricSource::kNominal;
    case v1::SOURCE_UNSPECIFIED:
    case v1::SOURCE_MEASURED: return MetricSource::kMeasured;
    case v1::SOURCE_ESTIMATED: return MetricSource::kEstimated;
    case v1::SOURCE_AGGREGATED: return MetricSource::kAggregated;
    case v1::SOURCE_DIRECT: return MetricSource::kDirect;
    case v1::SOURCE_NORMALIZED: return MetricSource::kNormalized;
    default: return std::nullopt;
  }
}

std::optional<MetricStatistic> FromProto(v1::Statistic statistic) {
  switch (statistic) {
    case v1::STATISTIC_UNSPECIFIED:
    case v1::STATISTIC_INSTANT: return MetricStatistic::kInstant;
    case v1::STATISTIC_MEAN: return MetricStatistic::kMean;
    case v1::STATISTIC_MIN: return MetricStatistic::kMin;
    case v1::STATISTIC_MAX: return MetricStatistic::kMax;
    case v1::STATISTIC_P50: return MetricStatistic::kP50;
    case v1::STATISTIC_P99: return MetricStatistic::kP99;
    case v1::STATISTIC_RATE: return MetricStatistic::kRate;
    default: return std::nullopt;
  }
}

// The unit that `said` stands for, or nothing where it contradicts the metric's definition: 50 "%" must
// not pass as a utilisation of 50. Scores (levels 1 and 2) have none.
std::optional<std::string> UnitOf(std::string_view name, MetricLevel level, const std::string& said) {
  if (level != MetricLevel::kL0) return said.empty() || said == "1" ? std::optional("1") : std::nullopt;
  const std::string_view defined = DefinedUnit(name);
  if (said.empty()) return std::string(defined.empty() ? "1" : defined);
  if (!IsUnit(said)) return std::nullopt;
  if (defined == "ratio" && said == "1") return std::string(defined);
  if (!defined.empty() && said != defined) return std::nullopt;
  return said;
}

// Nothing for a metric that breaks a rule.
std::optional<MetricSample> FromProto(const v1::Metric& from) {
  if (!IsMetricName(from.name()) || !from.has_value() || from.window_ms() > kMaxWindowMs) return std::nullopt;
  const std::optional<MetricLevel> level = FromProto(from.level());
  const std::optional<MetricSource> source = FromProto(from.source());
  const std::optional<MetricStatistic> statistic = FromProto(from.statistic());
  if (!level || !source || !statistic) return std::nullopt;
  std::optional<std::string> unit = UnitOf(from.name(), *level, from.unit());
  if (!unit) return std::nullopt;
  MetricSample to{.name = from.name(),
                  .value = from.value(),
                  .unit = std::move(*unit),
                  .level = *level,
                  .source = *source,
                  .statistic = *statistic,
                  .window = std::chrono::milliseconds{from.window_ms()}};
  if (!PlausibleMetric(to)) return std::nullopt;
  return to;
}

Result<Body> FromProto(const v1::Report& from) {
  Report to;
  if (Status s = CheckName("report.instance", from.instance()); !s.ok()) return s.error();
  to.instance = from.instance();
  const auto count = static_cast<size_t>(from.metrics_size());
  if (count > kMaxMetrics) {
    return Refusal("report.metrics", fmt::format("{} metrics", count),
                   fmt::format("must be at most {}", kMaxMetrics));
  }
  to.metrics.reserve(count);
  std::array<std::byte, 2048> room;
  std::pmr::monotonic_buffer_resource pool(room.data(), room.size());
  std::pmr::set<std::string_view> seen(&pool);  // views into `from`
  for (const v1::Metric& metric : from.metrics()) {
    std::optional<MetricSample> sample = FromProto(metric);
    if (!sample || !seen.insert(metric.name()).second) {
      ++to.refused_metrics;
      continue;
    }
    to.metrics.push_back(std::move(*sample));
  }
  return Body{std::move(to)};
}

Result<Body> FromProto(const v1::Withdraw& from) {
  if (Status s = CheckName("withdraw.instance", from.instance()); !s.ok()) return s.error();
  if (from.reason().size() > kMaxReasonBytes) {
    return Refusal(
        "withdraw.reason", from.reason(),
        fmt::format("has {} bytes, at most {} are allowed", from.reason().size(), kMaxReasonBytes));
  }
  return Body{Withdraw{.instance = from.instance(), .reason = from.reason()}};
}

Result<Body> FromProto(const v1::Heartbeat& from) {
  if (from.interval_ms() < 10 || from.interval_ms() > 3600 * 1000) {
    return Refusal("heartbeat.interval_ms", std::to_string(from.interval_ms()), "must be 10 to 3600000");
  }
  Heartbeat to;
  to.interval = std::chrono::milliseconds{from.interval_ms()};
  if (from.has_updates()) {
    const v1::Updates& updates = from.updates();
    to.updates = UpdateCounters{.sent_interval = updates.sent_interval(),
                                .sent_threshold = updates.sent_threshold(),
                                .sent_refresh = updates.sent_refresh(),
                                .suppressed_gap = updates.suppressed_gap(),
                                .suppressed_damped = updates.suppressed_damped(),
                                .suppressed_hysteresis = updates.suppressed_hysteresis(),
                                .suppressed_unchanged = updates.suppressed_unchanged()};
  }
  return Body{std::move(to)};
}

bool IsPart(double value) { return std::isfinite(value) && value >= 0 && value <= 1; }

// Nothing for a session that breaks a rule.
std::optional<PathSample> FromProto(const v1::Path& from) {
  if (!IsName(from.peer()) || !from.has_loss() || !IsPart(from.loss())) return std::nullopt;
  if (from.sent() == 0 || from.window_ms() == 0 || from.window_ms() > kMaxWindowMs) return std::nullopt;
  PathSample to;
  to.peer = from.peer();
  to.ipv6 = from.ipv6();
  to.loss = from.loss();
  to.sent = from.sent();
  to.window = std::chrono::milliseconds{from.window_ms()};
  bool good = true;
  const auto time = [&good](bool said, uint64_t us, std::optional<Micros>& target) {
    if (!said) return;
    good = good && us <= kMaxPathTimeUs;
    if (good) target = Micros{us};
  };
  time(from.has_rtt_us(), from.rtt_us(), to.rtt);
  time(from.has_rtt_min_us(), from.rtt_min_us(), to.rtt_min);
  time(from.has_jitter_forward_us(), from.jitter_forward_us(), to.jitter_forward);
  time(from.has_jitter_backward_us(), from.jitter_backward_us(), to.jitter_backward);
  const auto part = [&good](bool said, double value, std::optional<double>& target) {
    if (!said) return;
    good = good && IsPart(value);
    if (good) target = value;
  };
  part(from.has_loss_forward(), from.loss_forward(), to.loss_forward);
  part(from.has_loss_backward(), from.loss_backward(), to.loss_backward);
  if (to.rtt_min && (!to.rtt || *to.rtt_min > *to.rtt)) good = false;
  if (!good) return std::nullopt;
  return to;
}

Result<Body> FromProto(const v1::Paths& from) {
  const auto count = static_cast<size_t>(from.paths_size());
  if (count > kMaxPaths) {
    return Refusal("paths.paths", fmt::format("{} sessions", count),
                   fmt::format("must be at most {}", kMaxPaths));
  }
  Paths to;
  std::set<std::pair<std::string_view, bool>> seen;  // views into `from`
  for (const v1::Path& path : from.paths()) {
    std::optional<PathSample> sample = FromProto(path);
    if (!sample || !seen.emplace(path.peer(), path.ipv6()).second) {
      ++to.refused_paths;
      continue;
    }
    to.paths.push_back(std::move(*sample));
  }
  return Body{std::move(to)};
}

Result<Body> BodyOf(const v1::Envelope& envelope) {
  switch (envelope.body_case()) {
    case v1::Envelope::kAnnounce: return FromProto(envelope.announce());
    case v1::Envelope::kReport: return FromProto(envelope.report());
    case v1::Envelope::kWithdraw: return FromProto(envelope.withdraw());
    case v1::Envelope::kHeartbeat: return FromProto(envelope.heartbeat());
    case v1::Envelope::kPaths: return FromProto(envelope.paths());
    case v1::Envelope::BODY_NOT_SET: break;
  }
  return Refusal("body", "", "must be announce, report, withdraw, heartbeat or paths");
}

Result<AgentMessage> FromProto(const v1::Envelope& envelope) {
  if (envelope.boot_epoch() == 0) return Refusal("boot_epoch", "0", "must be 1 or more");
  if (envelope.sent_at_us() <= 0 || envelope.sent_at_us() > kMaxSentAtUs) {
    return Refusal("sent_at_us", std::to_string(envelope.sent_at_us()),
                   fmt::format("must be Unix microseconds, 1 to {}", kMaxSentAtUs));
  }
  Result<Body> body = BodyOf(envelope);
  if (!body.ok()) return body.error();
  return AgentMessage{.agent = envelope.agent(),
                      .boot_epoch = envelope.boot_epoch(),
                      .sequence = envelope.sequence(),
                      .sent_at = FromUnixMicros(envelope.sent_at_us()),
                      .body = std::move(*body)};
}

}  // namespace

Result<AgentMessage> Decode(std::string_view topic, std::string_view bytes) {
  SilenceProtobuf();
  const auto refuse = [topic](Errc code, std::string message) {
    return MakeError(code, std::move(message), fmt::format("topic '{}'", Shown(topic)));
  };
  if (topic.size() > kMaxTopicBytes) {
    return refuse(Errc::kLimit, fmt::format("{} bytes of topic, at most {}", topic.size(), kMaxTopicBytes));
  }
  if (bytes.size() > kMaxMessageBytes) {
    return refuse(Errc::kLimit,
                  fmt::format("{} bytes of message, at most {}", bytes.size(), kMaxMessageBytes));
  }
  // A report of usual size needs no memory but this.
  std::array<char, 8192> room;
  google::protobuf::Arena arena(room.data(), room.size());
  v1::Envelope& envelope = *google::protobuf::Arena::CreateMessage<v1::Envelope>(&arena);
  if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return refuse(Errc::kParse, fmt::format("{} bytes that are no dyncast.v1.Envelope", bytes.size()));
  }
  if (!IsName(envelope.agent())) {
    return refuse(Errc::kInvalid, Refusal("agent", envelope.agent(), kNameRule).message);
  }
  const std::string where = "agent " + envelope.agent();
  Result<AgentMessage> message = FromProto(envelope);
  if (!message.ok()) {
    message.error().where = where;
    return message;
  }
  if (const std::string expected = Topic(*message); topic != expected) {
    return MakeError(
        Errc::kProtocol,
        fmt::format("field 'topic': value '{}': must be '{}' for this message", Shown(topic), expected),
        where);
  }
  return message;
}

}  // namespace dyncast::wire
