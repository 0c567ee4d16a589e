#include "controller/core/pace.h"

#include <algorithm>
#include <cmath>

#include "controller/core/median.h"

namespace dyncast::core {
namespace {

// So many standard deviations are no chance.
constexpr double kWorse = 2.5;
constexpr double kBetter = 2.5;
// Evidence (a logarithm) that something changed. A single long request is evidence too, so that it is more
// than textbooks ask for.
constexpr double kAlarm = 9;
// One that takes long is not more evidence than this.
constexpr double kMostOfGap = 2;
const double kHalf = std::log(2.0);
// Deviations from what is expected of an instance count beyond so many standard deviations.
constexpr double kSignificant = 3;
// An instance that is off by this (a logarithm) is not what is usual.
constexpr double kUnusual = 0.4;
// Workers and requests at full use are believed within these parts of what static capacity lets expect: of
// it, times the median of all.
constexpr double kFewest = 0.05;
constexpr double kMost = 10;
// Static capacity is believed up to so many times the median, and down to its inverse.
constexpr double kMostStatic = 100;
constexpr double kUnknownService_s = 0.01;

bool Usable(const std::optional<double>& v) { return v && std::isfinite(*v) && *v > 1e-9 && *v < 1e12; }

}  // namespace

// ---- Track --------------------------------------------------------------------------------------

void Track::Add(double sample, double values, double fresh) {
  if (!(sample > 0) || !std::isfinite(sample) || !(values > 0) || !(fresh > 0)) return;
  if (weight_ > 0) {
    const double deviation = kServiceVariation * mean_ * std::sqrt(1 / values + 1 / weight_);
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

// ---- PaceWatch ----------------------------------------------------------------------------------

void PaceWatch::Weigh(Sum* sum, double evidence, double busy_s, double done) {
  sum->evidence += evidence;
  sum->busy_s += busy_s;
  sum->done += done;
  if (sum->evidence <= 0) {
    *sum = Sum{};
  } else if (sum->evidence > kAlarm) {
    busy_s_ = std::max(sum->busy_s, 1e-9);
    done_ = std::max(sum->done, 1.0);
    slower_ = faster_ = Sum{};
  }
}

void PaceWatch::Busy(double worker_s) {
  if (worker_s <= 0) return;
  if (!known_) {
    busy_s_ += worker_s;
    return;
  }
  const double expected = worker_s / value();
  busy_s_ += worker_s;
  const double evidence = std::min(0.5 * expected, kMostOfGap - gap_);
  gap_ += evidence;
  Weigh(&slower_, evidence, worker_s, 0);
  Weigh(&faster_, -expected, worker_s, 0);
}

void PaceWatch::Fade(double factor) {
  busy_s_ *= factor;
  done_ *= factor;
  if (done_ < 1) known_ = false;
}

void PaceWatch::Done() {
  if (done_ >= kMemory) {
    busy_s_ *= 1 - 1 / kMemory;
    done_ *= 1 - 1 / kMemory;
  }
  done_ += 1;
  gap_ = 0;
  if (!known_) {
    known_ = done_ >= kLeast && busy_s_ > 0;
    return;
  }
  Weigh(&slower_, -kHalf, 0, 1);
  Weigh(&faster_, kHalf, 0, 1);
}

// ---- Crowd --------------------------------------------------------------------------------------

double Waiting(const Crowd& crowd, double more, double workers) {
  const double over = crowd.mean + more - workers;
  const double deviation = std::sqrt(crowd.variance);
  if (deviation < 1e-6) return std::max(0.0, over);
  const double z = over / deviation;
  if (z > 6) return over;
  if (z < -6) return 0;
  constexpr double kNorm = 0.3989422804014327;  // 1 / sqrt(2 pi)
  return over * 0.5 * std::erfc(-z * M_SQRT1_2) + deviation * kNorm * std::exp(-0.5 * z * z);
}

Crowd After(Crowd crowd, double workers, double service_s, double seconds) {
  constexpr int kSteps = 12;
  const double longest_s = 0.25 * service_s;
  for (int step = 0; step < kSteps && seconds > 0 && crowd.mean > 1e-9; ++step) {
    double for_s = seconds;
    if (for_s > longest_s) for_s = std::max(longest_s, seconds / (kSteps - step));
    seconds -= for_s;
    const double waiting = Waiting(crowd, 0, workers);
    const double served = std::max(crowd.mean - waiting, 0.0);
    const double all_served = crowd.variance > 1e-12
                                  ? 0.5 * std::erfc((crowd.mean - workers) / std::sqrt(2 * crowd.variance))
                                  : (crowd.mean < workers ? 1.0 : 0.0);
    // As if the rate per demand stayed over the step: never below 0.
    const double left = std::exp(-for_s / service_s * served / crowd.mean);
    const double gone = crowd.mean * (1 - left);
    crowd.mean -= gone;
    const double kept = std::exp(-2 * for_s / service_s * all_served);
    const double change = kServiceVariation * gone;
    crowd.variance = crowd.variance * kept +
                     change * (all_served > 0.01 ? (1 - kept) / (2 * for_s / service_s * all_served) : 1);
  }
  return crowd;
}

// ---- PaceJudge ----------------------------------------------------------------------------------

void PaceJudge::Shrink(std::vector<Point>* points) {
  double sum = 0;
  double weight = 0;
  for (const Point& p : *points) {
    sum += p.log * p.weight;
    weight += p.weight;
  }
  if (weight <= 0) return;
  double usual = sum / weight;
  // Twice without those that are off.
  for (int round = 0; round < 2; ++round) {
    sum = weight = 0;
    for (const Point& p : *points) {
      if (std::abs(p.log - usual) > kUnusual) continue;
      sum += p.log * p.weight;
      weight += p.weight;
    }
    if (weight <= 0) break;
    usual = sum / weight;
  }
  for (Point& p : *points) {
    double off = 0;
    if (p.weight > 0) {
      const double chance = kSignificant * kServiceVariation / std::sqrt(2 * p.weight);
      const double by = p.log - usual;
      if (std::abs(by) > chance) off = by * (1 - chance * chance / (by * by));
    }
    p.log = usual + off;
  }
}

void PaceJudge::Fixed(std::span<const SeenPace> seen) {
  const auto known = [](const SeenPace& s) { return s.fixed > 1e-9 && s.fixed < 1e18; };
  ratios_.clear();
  for (const SeenPace& s : seen) {
    if (known(s)) ratios_.push_back(s.fixed);
  }
  fixed_known_ = !ratios_.empty();
  const double median = fixed_known_ ? LowerMedian(ratios_) : 1;
  own_.resize(seen.size());
  for (size_t i = 0; i < seen.size(); ++i) {
    own_[i] = known(seen[i]) ? std::clamp(seen[i].fixed, median / kMostStatic, median * kMostStatic) : median;
  }
}

// As seen, else as follows from the rest that was seen, else as the others'. Also what counts as static
// capacity: where nobody says anything, all workers are expected to be of one speed.
void PaceJudge::Workers(std::span<const SeenPace> seen, std::span<Pace> pace) {
  double service_s = 0;
  double served = 0;
  for (const SeenPace& s : seen) {
    if (!Usable(s.service_s)) continue;
    service_s += *s.service_s;
    ++served;
  }
  service_s = served > 0 ? service_s / served : kUnknownService_s;
  ratios_.clear();
  for (size_t i = 0; i < seen.size(); ++i) {
    const SeenPace& s = seen[i];
    pace[i].workers = 0;
    if (Usable(s.workers)) {
      pace[i].workers = *s.workers;
    } else if (Usable(s.full_per_s)) {
      pace[i].workers = *s.full_per_s * (Usable(s.service_s) ? *s.service_s : service_s);
    }
    if (pace[i].workers > 0) ratios_.push_back(pace[i].workers / own_[i]);
  }
  // Not the mean: no claim may move what it is held against.
  const bool known = !ratios_.empty();
  const double ratio = known ? LowerMedian(ratios_) : 1;
  for (size_t i = 0; i < seen.size(); ++i) {
    const double usual = ratio * own_[i];
    double workers = pace[i].workers > 0 ? pace[i].workers : usual;
    workers = std::clamp(workers, kFewest * usual, kMost * usual);
    pace[i].workers = std::clamp(workers, 0.01, 1e9);
    pace[i].workers_known = known;
    pace[i].known = known || served > 0;
    fixed_[i] = fixed_known_ ? own_[i] : pace[i].workers;
  }
}

void PaceJudge::Judge(std::span<const SeenPace> seen, bool sessions, std::span<Pace> pace) {
  const size_t n = seen.size();
  fixed_.assign(n, 1);
  points_.assign(n, Point{});
  Fixed(seen);
  Workers(seen, pace);
  // Seconds of service for a unit of static capacity and worker.
  for (size_t i = 0; i < n; ++i) {
    if (!Usable(seen[i].service_s) || !(seen[i].service_weight > 0)) continue;
    points_[i] = {.log = std::log(*seen[i].service_s * fixed_[i] / pace[i].workers),
                  .weight = seen[i].service_weight};
  }
  const bool any = std::any_of(points_.begin(), points_.end(), [](const Point& p) { return p.weight > 0; });
  Shrink(&points_);
  for (size_t i = 0; i < n; ++i) {
    const double service_s = any ? std::exp(points_[i].log) * pace[i].workers / fixed_[i] : kUnknownService_s;
    pace[i].service_s = std::clamp(service_s, 1e-7, 1e6);
    pace[i].full_per_s = pace[i].workers / pace[i].service_s;
  }
  if (!sessions && any) return;
  points_.assign(n, Point{});
  ratios_.clear();
  for (size_t i = 0; i < n; ++i) {
    if (Usable(seen[i].full_per_s) && seen[i].full_weight > 0)
      ratios_.push_back(*seen[i].full_per_s / own_[i]);
  }
  if (ratios_.empty()) return;
  const double ratio = LowerMedian(ratios_);
  for (size_t i = 0; i < n; ++i) {
    if (!Usable(seen[i].full_per_s) || !(seen[i].full_weight > 0)) continue;
    const double usual = ratio * own_[i];
    const double full_per_s = std::clamp(*seen[i].full_per_s, kFewest * usual, kMost * usual);
    points_[i] = {.log = std::log(full_per_s / fixed_[i]), .weight = seen[i].full_weight};
  }
  Shrink(&points_);
  for (size_t i = 0; i < n; ++i) {
    pace[i].full_per_s = std::exp(points_[i].log) * fixed_[i];
    if (!any) pace[i].service_s = std::clamp(pace[i].workers / pace[i].full_per_s, 1e-7, 1e6);
  }
}

}  // namespace dyncast::core
