#include "tests/support/web/station.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dyncast::web {

Station::Station(size_t places, MonoTime now, OnBusy on_busy)
    : places_(places), on_busy_(std::move(on_busy)), at_(now) {}

double Station::WorkTime(MonoTime at) const {
  return work_at_ + speed_ * static_cast<double>(std::chrono::nanoseconds(at - at_).count());
}

Station::MonoTime Station::TimeOf(double work_time) const {
  const double ns = std::max(0.0, (work_time - work_at_) / speed_);
  return at_ + std::chrono::nanoseconds(static_cast<int64_t>(std::ceil(ns)));
}

void Station::Advance(MonoTime to) {
  if (to <= at_) return;
  if (on_busy_) on_busy_(at_, to, running_.size());
  work_at_ = WorkTime(to);
  at_ = to;
}

void Station::Fill() {
  while (running_.size() < places_ && !queue_.empty()) {
    const Waiting next = queue_.front();
    queue_.pop_front();
    const double end = work_at_ + static_cast<double>(next.work.count());
    running_.emplace(end, next.ticket);
    ends_[next.ticket] = end;
  }
}

void Station::Offer(uint64_t ticket, Work work, MonoTime now) {
  Advance(now);
  queue_.push_back({.ticket = ticket, .work = work});
  Fill();
}

void Station::Cancel(uint64_t ticket, MonoTime now) {
  Advance(now);
  if (const auto running = ends_.find(ticket); running != ends_.end()) {
    running_.erase({running->second, ticket});
    ends_.erase(running);
    Fill();
    return;
  }
  std::erase_if(queue_, [ticket](const Waiting& w) { return w.ticket == ticket; });
}

void Station::SetSpeed(double speed, MonoTime now) {
  Advance(now);
  speed_ = speed;
}

std::optional<Station::MonoTime> Station::NextDue() const {
  if (running_.empty()) return std::nullopt;
  return TimeOf(running_.begin()->first);
}

void Station::Run(MonoTime now, const std::function<void(uint64_t, MonoTime)>& done) {
  while (!running_.empty()) {
    const auto [end, ticket] = *running_.begin();
    const MonoTime at = TimeOf(end);
    if (at > now) break;
    Advance(at);
    running_.erase(running_.begin());
    ends_.erase(ticket);
    Fill();
    done(ticket, at);
  }
  Advance(now);
}

}  // namespace dyncast::web
