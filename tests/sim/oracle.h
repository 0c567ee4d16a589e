// The policies that the others are measured by. They are no part of the product: they know what no controller
// can know.
//
// oracle: the present, whole and fresh: at each instance how many requests are served and wait, how many are
//   on the way there, its workers and their speed at this moment; the network's delay; the mean work of a
//   request. Not how much work single requests are, and nothing of the future. It sends a demand where its
//   answer is expected first:
//
//     delay + max(delay, wait) + mean work / speed, with
//     wait = 0 if a worker is free for it, else (requests ahead - workers + 1) * mean work / (workers *
//     speed)
//
//   since a queue gets shorter while the demand travels. Of a session it sends the whole flow where its
//   requests are expected to be answered soonest if the sessions that are there stay: the same with the mean
//   wait of a queue with that many workers at the utilisation of those sessions and this one (Erlang C, times
//   (1 + squared coefficient of variation of the work) / 2).
//
// clairvoyant: as oracle, but it knows the work that each present request still needs, and its own; for
//   demands that are no sessions.
//
// Equal ones take turns. Both are greedy: each demand's best is not always the best for all.
#pragma once

#include <cstdint>
#include <vector>

#include "schema/base/time.h"
#include "tests/sim/server.h"
#include "tests/sim/topology.h"

namespace dyncast::sim {

enum class Reference : uint8_t { kOracle, kClairvoyant };

// What is on its way to an instance or stands there for long.
struct Underway {
  uint32_t requests = 0;
  double work_s = 0;
  double session_work = 0;  // of sessions that are bound there: mean seconds of work per second
};

class ReferencePolicy {
 public:
  // `topology` must outlive this.
  ReferencePolicy(Reference kind, const Topology& topology);

  struct Asked {
    uint32_t router = 0;
    uint32_t service = 0;
    double work_s = 0;        // of its request
    double session_work = 0;  // > 0: of a session
  };
  // An instance of the service. There is one at least.
  uint32_t Choose(const Asked& asked, Micros now, const std::vector<Server>& servers,
                  const std::vector<Underway>& underway);

  // Mean wait of a queue with `workers` at utilisation `rho` of each, in units of one mean service time
  // (Erlang C). Above 0.99 it goes on in a straight line.
  static double MeanWait(uint32_t workers, double rho);

 private:
  double Expected(const Asked& asked, uint32_t instance, Micros now, const Server& server,
                  const Underway& underway) const;

  const Reference kind_;
  const Topology& topology_;
  std::vector<uint64_t> chosen_at_;
  uint64_t choices_ = 0;
};

}  // namespace dyncast::sim
