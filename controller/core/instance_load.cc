#include "controller/core/instance_load.h"

#include <algorithm>
#include <cmath>

namespace dyncast::core {
namespace {

// Averages over the last seconds.
constexpr double kTau = 2.0;
// Of ServiceLoad's counts.
constexpr double kServiceSeconds = 600;
constexpr double kFinishedMemory = 256;
constexpr double kManyRequests = 1.5;
// Sums of reports are halved when they are of more than this time.
constexpr double kUseSeconds = 60;
constexpr double kLifeMemory = 32;
// How long bindings lived counts less with time, by e in so many seconds.
constexpr double kLifeFade = 8;
// An instance that gets no demands must be tried again: in so many seconds most of what is known is
// forgotten.
constexpr double kFade = 5;
// An instance whose excess is this many times its peers' is slower than it says.
constexpr double kDoubt = 2.5;
// Requests for each binding: sums are halved when they are of more than this time, and compared from so many
// requests on. An instance that is behind counts as such for a while after.
constexpr double kServedSeconds = 10;
constexpr double kServedFewest = 50;
constexpr double kBehind = 0.5;
constexpr std::chrono::seconds kBehindFor{60};
// Of each binding an instance's report counts for at most so many times what is usual, and some requests
// more.
constexpr double kMostServed = 4;
constexpr double kServedSlack = 10;
// So many lives are enough where nothing else says how long a request takes.
constexpr double kFewLives = 4;
constexpr double kLeastService = 1e-6;
constexpr double kLeastFull = 1e-3;

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

}  // namespace

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

double InstanceLoad::ServerPart() const {
  if (mean_held_ <= 0) return 1;
  return std::clamp(1 - travelling_ / mean_held_, 0.05, 1.0);
}

Crowd InstanceLoad::CrowdAt(MonoTime now) const {
  // Part of the time that a demand is at the instance, not on its way.
  const double rtt_s = bound_per_s_ > 0 ? travelling_ / bound_per_s_ : 0;
  const double there_s = pace_.service_s * std::max(1.0, crowd_.mean / pace_.workers);
  const double there = there_s / (there_s + rtt_s);
  return After(crowd_, pace_.workers / there, pace_.service_s / there, Seconds(now - at_));
}

void InstanceLoad::Advance(uint32_t held, MonoTime now) {
  if (!started_) {
    started_ = true;
    at_ = now;
    reported_at_ = now;
    mean_held_ = held;
    return;
  }
  const double passed_s = Seconds(now - at_);
  if (passed_s <= 0) return;
  crowd_ = CrowdAt(now);
  const double kept = std::exp(-passed_s / kTau);
  mean_held_ = held + (mean_held_ - held) * kept;
  travelling_ *= kept;
  bound_per_s_ *= kept;
  held_s_ += held * passed_s;
  own_.Busy(std::min(held * ServerPart(), pace_.workers) * passed_s);
  if (held == 0) own_.Fade(std::exp(-passed_s / kFade));
  at_ = now;
}

void InstanceLoad::Bound(SwitchId at, double rtt_s, uint32_t held, MonoTime now, const ServiceLoad& service) {
  Advance(held, now);
  if (service_.known()) {
    const double ahead = Ahead(held, now, service).mean;
    const double foreseen_s = service_.value() * std::max(1.0, (ahead + 1) / pace_.workers);
    foreseen_s_ += (foreseen_s - foreseen_s_) * (foreseen_s_ > 0 ? 1 / kLifeMemory : 1);
  }
  travelling_ += rtt_s / kTau;
  bound_per_s_ += 1 / kTau;
  crowd_.mean = std::min(crowd_.mean + 1, held + 1.0);
  bound_ += 1;
  if (bound_at_.size() <= at.value()) bound_at_.resize(size_t{at.value()} + 1);
  Rate& rate = bound_at_[at.value()];
  rate.per_s = rate.per_s * std::exp(-Seconds(now - rate.at) / kTau) + 1 / kTau;
  rate.at = now;
}

void InstanceLoad::Unbound(uint32_t held, MonoTime now) {
  Advance(held, now);
  crowd_.mean = std::min(crowd_.mean, std::max(0.0, held - 1.0));
  own_.Done();
}

void InstanceLoad::Finished(double active_s, double rtt_s, MonoTime now) {
  lives_ = std::min(lives_ + 1, kLifeMemory);
  life_s_ += (std::max(active_s - rtt_s, kLeastService) - life_s_) / lives_;
  life_at_ = now;
}

std::optional<double> InstanceLoad::excess() const {
  if (lives_ < kLifeMemory || foreseen_s_ <= 0) return std::nullopt;
  return life_s_ / foreseen_s_;
}

std::optional<double> InstanceLoad::served_per_binding_s() const {
  if (served_held_s_ < kServedSeconds) return std::nullopt;
  return served_ / served_held_s_;
}

void InstanceLoad::Compare(double usual_excess, double usual_served, MonoTime now) {
  usual_excess_ = usual_excess;
  usual_served_ = usual_served;
  const auto served = served_per_binding_s();
  if (served && usual_served * served_held_s_ >= kServedFewest && *served < kBehind * usual_served) {
    behind_at_ = now;
    behind_per_s_ = served_ / served_s_;
  }
}

void InstanceLoad::Reported(const InstanceMetrics& metrics, uint32_t held, MonoTime now,
                            ServiceLoad* service) {
  Advance(held, now);
  const double since_s = Seconds(now - reported_at_);
  reported_at_ = now;
  const double window_s = metrics.window_s() > 0 ? metrics.window_s() : since_s;
  const double fresh_s = since_s > 0 ? std::min(since_s, window_s) : window_s;
  const std::optional<double> rate = metrics.request_rate();
  const std::optional<double> use = metrics.load();
  if (rate && *rate > 0 && window_s > 0) {
    const double values = *rate * window_s;
    const double fresh = *rate * fresh_s;
    if (use && *use > kLeastUtilisation) cost_.Add(*use / *rate, values, fresh);
    if (metrics.latency()) service_.Add(*metrics.latency(), values, fresh);
    if (use && metrics.latency() && std::isfinite(*rate * *metrics.latency() * window_s)) {
      work_s_ += *rate * *metrics.latency() * fresh_s;
      use_s_ += *use * fresh_s;
      if (use_s_ > kUseSeconds) {
        work_s_ /= 2;
        use_s_ /= 2;
      }
    }
  }
  if (since_s > 0 && rate && *rate <= 0) {
    service_.Fade(std::exp(-since_s / kFade));
    cost_.Fade(std::exp(-since_s / kFade));
  }
  if (since_s > 0 && rate && std::isfinite(*rate * since_s)) {
    double requests = *rate * since_s;
    served_ += requests;
    served_held_s_ += held_s_;
    served_s_ += since_s;
    if (served_s_ > kServedSeconds) {
      for (double* sum : {&served_, &served_held_s_, &served_s_}) *sum /= 2;
    }
    // One that serves others too, or lies, must not say how the whole service is used.
    if (usual_served_ > 0)
      requests = std::min(requests, kMostServed * usual_served_ * held_s_ + kServedSlack);
    service->Reported(since_s, bound_, held_s_, requests);
  }
  held_s_ = 0;
  bound_ = 0;
  // How many it has now.
  if (metrics.sessions()) {
    const double actual = std::min(*metrics.sessions(), static_cast<double>(held));
    crowd_ = {.mean = actual, .variance = 0};
  }
}

Crowd InstanceLoad::Ahead(uint32_t held, MonoTime now, const ServiceLoad& service) const {
  // Half of those that travel are on their way back.
  const double back = mean_held_ > 0 ? std::clamp(0.5 * travelling_ / mean_held_, 0.0, 0.95) : 0;
  Crowd crowd = {.mean = static_cast<double>(held), .variance = 0};
  if (!service.exact() && !service.sessions()) crowd = CrowdAt(now);
  return {.mean = crowd.mean * (1 - back), .variance = crowd.variance * (1 - back) * (1 - back)};
}

SeenPace InstanceLoad::Seen(const ServiceLoad& service, bool fresh, MonoTime now) const {
  SeenPace seen;
  if (fresh) {
    if (service_.known()) {
      seen.service_s = service_.value();
      seen.service_weight = service_.weight();
    }
    if (work_s_ > 0 && use_s_ > 0) seen.workers = work_s_ / use_s_;
    if (cost_.known()) {
      seen.full_per_s = 1 / cost_.value();
      seen.full_weight = cost_.weight();
    }
  }
  if (service.sessions()) {
    if (seen.full_per_s && behind_at_ && now - *behind_at_ <= kBehindFor) {
      // It is full with what it served; the rest of what it says is not believed.
      seen.full_per_s = std::min(*seen.full_per_s, std::max(behind_per_s_, kLeastFull));
      seen.service_s.reset();
      seen.workers.reset();
    }
    return seen;
  }
  const double life_weight = lives_ * std::exp(-Seconds(now - life_at_) / kLifeFade);
  if (service.exact()) {
    // Nothing that it says, but for the workers: without them the time that they were busy is not known.
    if (pace_.workers_known && own_.known()) {
      seen.service_s = own_.value();
      seen.service_weight = own_.weight();
    } else if (lives_ >= kFewLives) {
      seen.service_s = life_s_;
      seen.service_weight = life_weight;
    }
    return seen;
  }
  if (!seen.service_s && lives_ >= kLifeMemory) {
    seen.service_s = life_s_;
    seen.service_weight = life_weight;
  } else if (seen.service_s) {
    const double doubt = excess().value_or(0) / (kDoubt * usual_excess_);
    if (doubt > 1) {
      // Known by its lives only: as they fade it counts as the others do, and is tried.
      seen.service_s = *seen.service_s * doubt;
      seen.service_weight = std::min(seen.service_weight, life_weight);
    }
  }
  return seen;
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
