#include "tests/sim/server.h"

#include <algorithm>
#include <cmath>

namespace dyncast::sim {
namespace {

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

}  // namespace

void Server::Advance(Micros now) {
  const double passed_s = Seconds(now - last_);
  totals_.busy_s += passed_s * static_cast<double>(serving_.size());
  clock_ += passed_s * speed_;
  last_ = now;
}

void Server::Start(Micros now, uint32_t job, double work_s) {
  serving_.push_back({.end = clock_ + work_s, .job = job, .started = now});
  std::push_heap(serving_.begin(), serving_.end(), Later);
}

void Server::Arrive(Micros now, uint32_t job, double work_s) {
  Advance(now);
  if (serving_.size() < workers_) {
    Start(now, job, work_s);
  } else {
    waiting_.push_back({.job = job, .work_s = work_s});
  }
}

std::optional<Micros> Server::NextDone() const {
  if (serving_.empty()) return std::nullopt;
  const double left_s = std::max(0.0, (serving_.front().end - clock_) / speed_);
  // What rounding of the clock added is no time.
  constexpr double kRoundingUs = 1e-3;
  return last_ + Micros{static_cast<int64_t>(std::ceil(left_s * 1e6 - kRoundingUs))};
}

Server::Done Server::Finish(Micros now) {
  Advance(now);
  std::pop_heap(serving_.begin(), serving_.end(), Later);
  const InService done = serving_.back();
  serving_.pop_back();
  ++totals_.done;
  totals_.serving_s += Seconds(now - done.started);
  if (!waiting_.empty()) {
    const Waiting next = waiting_.front();
    waiting_.pop_front();
    Start(now, next.job, next.work_s);
  }
  return {.job = done.job, .started = done.started};
}

void Server::SetSpeed(Micros now, double speed) {
  Advance(now);
  speed_ = speed;
}

double Server::WorkLeft(Micros now) const {
  const double clock = clock_ + Seconds(now - last_) * speed_;
  double left_s = 0;
  for (const InService& s : serving_) left_s += std::max(0.0, s.end - clock);
  for (const Waiting& w : waiting_) left_s += w.work_s;
  return left_s;
}

Server::Totals Server::At(Micros now) const {
  Totals totals = totals_;
  totals.busy_s += Seconds(now - last_) * static_cast<double>(serving_.size());
  return totals;
}

}  // namespace dyncast::sim
