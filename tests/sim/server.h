// An instance as it serves: workers, one first-in-first-out queue, and a speed that may change at any time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "schema/base/time.h"

namespace dyncast::sim {

class Server {
 public:
  // `speed`: seconds of work per second and worker, > 0.
  Server(uint32_t workers, double speed) : workers_(workers), speed_(speed) {}

  // All times must not be before those of earlier calls.
  void Arrive(Micros now, uint32_t job, double work_s);
  // When the next request will be done at the present speed; nullopt if none is served.
  std::optional<Micros> NextDone() const;
  struct Done {
    uint32_t job = 0;
    Micros started{0};
  };
  // Ends the request that is due. Precondition: NextDone() is now.
  Done Finish(Micros now);
  void SetSpeed(Micros now, double speed);

  uint32_t workers() const { return workers_; }
  double speed() const { return speed_; }
  size_t serving() const { return serving_.size(); }
  size_t waiting() const { return waiting_.size(); }
  size_t present() const { return serving_.size() + waiting_.size(); }
  // Seconds of work that are still to do for those present.
  double WorkLeft(Micros now) const;

  // Since the start.
  struct Totals {
    double busy_s = 0;     // workers' time
    uint64_t done = 0;     // requests
    double serving_s = 0;  // from a worker's begin to its end, of the requests that are done
  };
  Totals At(Micros now) const;

 private:
  struct InService {
    double end = 0;  // on the clock of work
    uint32_t job = 0;
    Micros started{0};
  };
  static bool Later(const InService& a, const InService& b) {
    return a.end != b.end ? a.end > b.end : a.job > b.job;
  }
  void Advance(Micros now);
  void Start(Micros now, uint32_t job, double work_s);

  const uint32_t workers_;
  double speed_;
  Micros last_{0};
  double clock_ = 0;                // seconds of work that each busy worker has done since the start
  std::vector<InService> serving_;  // a heap, the next to be done first
  struct Waiting {
    uint32_t job = 0;
    double work_s = 0;
  };
  std::deque<Waiting> waiting_;
  Totals totals_;  // at last_
};

}  // namespace dyncast::sim
