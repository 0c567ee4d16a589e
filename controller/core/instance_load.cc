#include "controller/core/instance_load.h"

#include <algorithm>
#include <cmath>

namespace dyncast::core {
namespace {

// Of single service times: standard deviation over mean. Those of real services are between 1 and 2.
constexpr double kVariation = 1.3;
// So many standard deviations are no chance. It must get worse less clearly than better: not to see that an
// instance became slow costs more than to think so for a moment.
constexpr double kWorse = 2.5;
constexpr double kBetter = 3;

// Averages over the last seconds.
constexpr double kTau = 2.0;
// Own samples: as many demands as this should have been served.
constexpr double kOwnSample = 16;
// Of ServiceLoad's counts.
constexpr double kServiceSeconds = 600;
constexpr double kFinishedMemory = 256;
constexpr double kManyRequests = 1.5;
// Sums of reports are halved when they are of more than this time.
constexpr double kUseSeconds = 60;
// What is known of bindings that ended earlier is not used.
constexpr std::chrono::seconds kLifeExpiry{30};
// An instance whose bindings live this much longer than it claims to serve is not believed.
constexpr double kDoubt = 0.4;
constexpr double kLeastService = 1e-6;
constexpr double kUnknownService = 0.01;

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

}  // namespace

// ---- Track --------------------------------------------------------------------------------------

void Track::Add(double sample, double values, double fresh) {
  if (!(sample > 0) || !std::isfinite(sample) || !(values > 0) || !(fresh > 0)) return;
  if (weight_ > 0) {
    const double deviation = kVariation * mean_ * std::sqrt(1 / values + 1 / weight_);
    const double off = (sample - mean_) / deviation;
    if (off < kWorse && off > -kBetter) {
      weight_ = std::min(weight_ + fresh, most_);
      mean_ += (sample - mean_) * std::min(1.0, fresh / weight_);
      return;
    }
  }
  mean_ = sample;
  weight_ = std::min(values, most_);
}

// ---- ServiceLoad --------------------------------------------------------------------------------

void ServiceLoad::Finished(double active_s, double lingered_s) {
  finished_ = std::min(finished_ + 1, kFinishedMemory);
  active_s_ += (active_s - active_s_) / finished_;
  lingered_s_ += (lingered_s - lingered_s_) / finished_;
}

void ServiceLoad::Reported(double window_s, double bound, double held_s, double requests) {
  seconds_ += window_s;
  bound_ += bound;
  held_s_ += held_s;
  requests_ += requests;
  if (seconds_ > kServiceSeconds) {
    for (double* sum : {&seconds_, &bound_, &held_s_, &requests_}) *sum /= 2;
  }
  sessions_ = bound_ > 0 && requests_ > kManyRequests * bound_;
}

// ---- InstanceLoad -------------------------------------------------------------------------------

InstanceLoad::Pace InstanceLoad::PaceNow(const ServiceLoad& service, MonoTime now) const {
  const double service_time =
      service_s(service, true, now).value_or(service.active_s().value_or(kUnknownService));
  return {.service_s = std::max(service_time, kLeastService), .workers = workers().value_or(1)};
}

double InstanceLoad::ServerPart() const {
  if (mean_held_ <= 0) return 1;
  return std::clamp(1 - travelling_ / mean_held_, 0.05, 1.0);
}

double InstanceLoad::QueueAt(MonoTime now, const ServiceLoad& service) const {
  double left_s = Seconds(now - at_);
  if (left_s <= 0 || queue_ <= 0) return queue_;
  const Pace pace = PaceNow(service, now);
  // Part of the time that a demand is at the instance, not on its way.
  const double rtt_s = bound_per_s_ > 0 ? travelling_ / bound_per_s_ : 0;
  const double there_s = pace.service_s * std::max(1.0, queue_ / pace.workers);
  const double there = there_s / (there_s + rtt_s);
  double queue = queue_;
  const double full = pace.workers / there;  // more than these wait
  if (queue > full) {
    const double until_s = (queue - full) * pace.service_s / pace.workers;
    if (until_s >= left_s) return queue - left_s * pace.workers / pace.service_s;
    left_s -= until_s;
    queue = full;
  }
  return queue * std::exp(-left_s * there / pace.service_s);
}

void InstanceLoad::Advance(uint32_t held, MonoTime now, const ServiceLoad& service) {
  if (!started_) {
    started_ = true;
    at_ = now;
    mean_held_ = held;
    return;
  }
  const double passed_s = Seconds(now - at_);
  if (passed_s <= 0) return;
  queue_ = QueueAt(now, service);
  const double kept = std::exp(-passed_s / kTau);
  mean_held_ = held + (mean_held_ - held) * kept;
  travelling_ *= kept;
  bound_per_s_ *= kept;
  held_s_ += held * passed_s;
  busy_s_ += std::min(held * ServerPart(), workers().value_or(1)) * passed_s;
  at_ = now;
}

void InstanceLoad::Bound(SwitchId at, double rtt_s, uint32_t held, MonoTime now, const ServiceLoad& service) {
  Advance(held, now, service);
  travelling_ += rtt_s / kTau;
  bound_per_s_ += 1 / kTau;
  queue_ = std::min(queue_ + 1, held + 1.0);
  bound_ += 1;
  if (bound_at_.size() <= at.value()) bound_at_.resize(size_t{at.value()} + 1);
  Rate& rate = bound_at_[at.value()];
  rate.per_s = rate.per_s * std::exp(-Seconds(now - rate.at) / kTau) + 1 / kTau;
  rate.at = now;
  Sample(now, service);
}

void InstanceLoad::Unbound(uint32_t held, MonoTime now, const ServiceLoad& service) {
  Advance(held, now, service);
  queue_ = std::min(queue_, std::max(0.0, held - 1.0));
  done_ += 1;
  Sample(now, service);
}

// A sample is due when so many have been served, or should have been.
void InstanceLoad::Sample(MonoTime now, const ServiceLoad& service) {
  if (done_ < kOwnSample && (!own_.known() || busy_s_ < kOwnSample * PaceNow(service, now).service_s)) return;
  own_.Add(busy_s_ / std::max(done_, 0.5), std::max(done_, 1.0), std::max(done_, 1.0));
  busy_s_ = 0;
  done_ = 0;
}

void InstanceLoad::Finished(double active_s, double rtt_s, MonoTime now) {
  life_.Add(std::max(active_s - rtt_s, kLeastService), 1, 1);
  life_at_ = now;
}

void InstanceLoad::Reported(const InstanceMetrics& metrics, MonoTime now, ServiceLoad* service) {
  const double since_s = reported_ ? Seconds(now - reported_at_) : 0;
  reported_at_ = now;
  reported_ = true;
  const double window_s = metrics.window_s() > 0 ? metrics.window_s() : since_s;
  const double fresh_s = since_s > 0 ? std::min(since_s, window_s) : window_s;
  const std::optional<double> rate = metrics.request_rate();
  const std::optional<double> use = metrics.load();
  if (rate && *rate > 0 && window_s > 0) {
    const double values = *rate * window_s;
    const double fresh = *rate * fresh_s;
    if (use && *use > kLeastUtilisation) cost_.Add(*use / *rate, values, fresh);
    if (metrics.latency()) service_.Add(*metrics.latency(), values, fresh);
    if (use && metrics.latency()) {
      work_s_ += *rate * *metrics.latency() * fresh_s;
      use_s_ += *use * fresh_s;
      if (use_s_ > kUseSeconds) {
        work_s_ /= 2;
        use_s_ /= 2;
      }
    }
  }
  if (since_s > 0 && rate) service->Reported(since_s, bound_, held_s_, *rate * since_s);
  held_s_ = 0;
  bound_ = 0;
  // How many it has now.
  const std::optional<double> sessions = metrics.sessions();
  if (sessions) {
    Advance(static_cast<uint32_t>(std::lround(mean_held_)), now, *service);
    queue_ = *sessions;
  }
}

InstanceLoad::Busy InstanceLoad::Now(uint32_t held, MonoTime now, const ServiceLoad& service) const {
  // Half of those that travel are on their way back.
  const double back = mean_held_ > 0 ? std::clamp(0.5 * travelling_ / mean_held_, 0.0, 0.95) : 0;
  if (service.exact() || service.sessions()) return {.ahead = held * (1 - back), .spread = 0};
  const double queue = QueueAt(now, service);
  return {.ahead = queue * (1 - back), .spread = std::sqrt(queue / 2)};
}

std::optional<double> InstanceLoad::service_s(const ServiceLoad& service, bool fresh, MonoTime now) const {
  std::optional<double> seconds;
  if (fresh && service_.known()) seconds = service_.value();
  if (service.sessions()) return seconds;
  if (service.exact() && own_.known()) seconds = own_.value();
  if (life_.known() && now - life_at_ <= kLifeExpiry) {
    seconds = std::max(seconds.value_or(0), kDoubt * life_.value());
  }
  return seconds;
}

std::optional<double> InstanceLoad::workers() const {
  if (use_s_ <= 0 || work_s_ <= 0) return std::nullopt;
  return std::clamp(work_s_ / use_s_, 0.1, 1e6);
}

std::optional<double> InstanceLoad::full_per_s() const {
  if (!cost_.known()) return std::nullopt;
  return 1 / cost_.value();
}

double InstanceLoad::bound_per_s(MonoTime now) const {
  return bound_per_s_ * std::exp(-Seconds(now - at_) / kTau);
}

double InstanceLoad::bound_per_s(SwitchId at, MonoTime now) const {
  if (at.value() >= bound_at_.size()) return 0;
  const Rate& rate = bound_at_[at.value()];
  return rate.per_s * std::exp(-Seconds(now - rate.at) / kTau);
}

}  // namespace dyncast::core
