// A service station: requests wait in one queue for one of several places, and each holds its place for a
// time that is its own. No CPU is burnt, so a machine of two cores can stand for edges of any capacity:
// places / service time. Pure: time is handed in; not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace dyncast::web {

class Station {
 public:
  using MonoTime = std::chrono::steady_clock::time_point;
  using Work = std::chrono::nanoseconds;  // the time that a request takes at speed 1, >= 0
  // `busy` places from one moment to a later one.
  using OnBusy = std::function<void(MonoTime from, MonoTime to, size_t busy)>;

  // `places` > 0. `on_busy` may be empty; else it is told every stretch of time, in order.
  Station(size_t places, MonoTime now, OnBusy on_busy);

  // Precondition of these three: Run(now) was called, so that nothing that is done by now is still here.
  // `ticket` is the caller's name for the request, unlike that of any other that is here.
  void Offer(uint64_t ticket, Work work, MonoTime now);
  // The one who asked is gone: the request leaves the queue, or its place.
  void Cancel(uint64_t ticket, MonoTime now);
  // How fast all places work from now on, > 0; what is left of running requests counts, too.
  void SetSpeed(double speed, MonoTime now);

  // When the next request is done; nullopt if none is in a place.
  std::optional<MonoTime> NextDue() const;
  // Calls `done` with each ticket that is done by `now`, and when it was: in order, and exact however late
  // the call comes, since whoever waits takes the place at that very moment.
  void Run(MonoTime now, const std::function<void(uint64_t ticket, MonoTime at)>& done);

  size_t busy() const { return running_.size(); }
  size_t waiting() const { return queue_.size(); }
  double speed() const { return speed_; }

 private:
  struct Waiting {
    uint64_t ticket = 0;
    Work work{0};
  };
  // Time as the places see it: it passes `speed_` times as fast. In nanoseconds of work since the start.
  double WorkTime(MonoTime at) const;
  MonoTime TimeOf(double work_time) const;
  void Advance(MonoTime to);
  void Fill();

  const size_t places_;
  const OnBusy on_busy_;
  double speed_ = 1;
  MonoTime at_;         // all is accounted for up to here
  double work_at_ = 0;  // WorkTime(at_)
  std::deque<Waiting> queue_;
  std::set<std::pair<double, uint64_t>> running_;  // (work time of the end, ticket)
  std::map<uint64_t, double> ends_;                // ticket -> its end in running_
};

}  // namespace dyncast::web
