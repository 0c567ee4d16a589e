// Domain types to bytes. Says nothing of rules: what breaks one is refused by Decode.
#include "schema/wire/dyncast.pb.h"
#include "schema/wire/message.h"

namespace dyncast::wire {
namespace {

v1::Health ToProto(Health health) {
  switch (health) {
    case Health::kUnknown: return v1::HEALTH_UNKNOWN;
    case Health::kUp: return v1::HEALTH_UP;
    case Health::kDown: return v1::HEALTH_DOWN;
  }
  return v1::HEALTH_UNKNOWN;
}

v1::Level ToProto(MetricLevel level) {
  switch (level) {
    case MetricLevel::kL0: return v1::LEVEL_0;
    case MetricLevel::kL1: return v1::LEVEL_1;
    case MetricLevel::kL2: return v1::LEVEL_2;
  }
  return v1::LEVEL_0;
}

v1::Source ToProto(MetricSource source) {
  switch (source) {
    case MetricSource::kNominal: return v1::SOURCE_NOMINAL;
    case MetricSource::kMeasured: return v1::SOURCE_MEASURED;
    case MetricSource::kEstimated: return v1::SOURCE_ESTIMATED;
    case MetricSource::kAggregated: return v1::SOURCE_AGGREGATED;
    case MetricSource::kDirect: return v1::SOURCE_DIRECT;
    case MetricSource::kNormalized: return v1::SOURCE_NORMALIZED;
  }
  return v1::SOURCE_UNSPECIFIED;
}

v1::Statistic ToProto(MetricStatistic statistic) {
  switch (statistic) {
    case MetricStatistic::kInstant: return v1::STATISTIC_INSTANT;
    case MetricStatistic::kMean: return v1::STATISTIC_MEAN;
    case MetricStatistic::kMin: return v1::STATISTIC_MIN;
    case MetricStatistic::kMax: return v1::STATISTIC_MAX;
    case MetricStatistic::kP50: return v1::STATISTIC_P50;
    case MetricStatistic::kP99: return v1::STATISTIC_P99;
    case MetricStatistic::kRate: return v1::STATISTIC_RATE;
  }
  return v1::STATISTIC_UNSPECIFIED;
}

void Fill(const Announce& from, v1::Envelope& envelope) {
  v1::Announce& to = *envelope.mutable_announce();
  to.set_instance(from.instance);
  to.set_service(from.service);
  if (from.sid) to.set_sid(from.sid->ToString());
  to.set_bid(from.bid.ToString());
  to.set_health(ToProto(from.health));
  v1::Capacity& capacity = *to.mutable_capacity();
  if (from.capacity.cpu_cores) capacity.set_cpu_cores(*from.capacity.cpu_cores);
  if (from.capacity.memory_bytes) capacity.set_memory_bytes(*from.capacity.memory_bytes);
  if (from.capacity.gpus) capacity.set_gpus(*from.capacity.gpus);
  if (from.capacity.max_sessions) capacity.set_max_sessions(*from.capacity.max_sessions);
  if (from.capacity.requests_per_s) capacity.set_requests_per_s(*from.capacity.requests_per_s);
}

void Fill(const Report& from, v1::Envelope& envelope) {
  v1::Report& to = *envelope.mutable_report();
  to.set_instance(from.instance);
  for (const MetricSample& sample : from.metrics) {
    v1::Metric& metric = *to.add_metrics();
    metric.set_name(sample.name);
    metric.set_value(sample.value);
    metric.set_unit(sample.unit);
    metric.set_level(ToProto(sample.level));
    metric.set_source(ToProto(sample.source));
    metric.set_statistic(ToProto(sample.statistic));
    if (sample.window.count() > 0) metric.set_window_ms(static_cast<uint32_t>(sample.window.count()));
  }
}

void Fill(const Withdraw& from, v1::Envelope& envelope) {
  v1::Withdraw& to = *envelope.mutable_withdraw();
  to.set_instance(from.instance);
  to.set_reason(from.reason);
}

void Fill(const Heartbeat& from, v1::Envelope& envelope) {
  envelope.mutable_heartbeat()->set_interval_ms(static_cast<uint32_t>(from.interval.count()));
  if (!from.updates) return;
  v1::Updates& to = *envelope.mutable_heartbeat()->mutable_updates();
  to.set_sent_interval(from.updates->sent_interval);
  to.set_sent_threshold(from.updates->sent_threshold);
  to.set_sent_refresh(from.updates->sent_refresh);
  to.set_suppressed_gap(from.updates->suppressed_gap);
  to.set_suppressed_damped(from.updates->suppressed_damped);
  to.set_suppressed_hysteresis(from.updates->suppressed_hysteresis);
  to.set_suppressed_unchanged(from.updates->suppressed_unchanged);
}

void Fill(const Paths& from, v1::Envelope& envelope) {
  v1::Paths& to = *envelope.mutable_paths();
  for (const PathSample& sample : from.paths) {
    v1::Path& path = *to.add_paths();
    path.set_peer(sample.peer);
    path.set_ipv6(sample.ipv6);
    const auto us = [](Micros t) { return static_cast<uint64_t>(t.count()); };
    if (sample.rtt) path.set_rtt_us(us(*sample.rtt));
    if (sample.rtt_min) path.set_rtt_min_us(us(*sample.rtt_min));
    if (sample.jitter_forward) path.set_jitter_forward_us(us(*sample.jitter_forward));
    if (sample.jitter_backward) path.set_jitter_backward_us(us(*sample.jitter_backward));
    if (sample.loss_forward) path.set_loss_forward(*sample.loss_forward);
    if (sample.loss_backward) path.set_loss_backward(*sample.loss_backward);
    path.set_loss(sample.loss);
    path.set_sent(sample.sent);
    path.set_window_ms(static_cast<uint32_t>(sample.window.count()));
  }
}

std::string_view KindName(const AgentMessage& message) {
  switch (message.body.index()) {
    case 0: return "announce";
    case 1: return "report";
    case 2: return "withdraw";
    case 3: return "heartbeat";
    default: return "paths";
  }
}

}  // namespace

std::string Topic(const AgentMessage& message) {
  return std::string(KindName(message)) + "/" + message.agent;
}

std::string Encode(const AgentMessage& message) {
  v1::Envelope envelope;
  envelope.set_agent(message.agent);
  envelope.set_boot_epoch(message.boot_epoch);
  envelope.set_sequence(message.sequence);
  envelope.set_sent_at_us(UnixMicros(message.sent_at));
  std::visit([&envelope](const auto& body) { Fill(body, envelope); }, message.body);
  return envelope.SerializeAsString();
}

}  // namespace dyncast::wire
