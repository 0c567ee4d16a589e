#include "tests/sim/oracle.h"

#include <algorithm>

namespace dyncast::sim {
namespace {

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

}  // namespace

ReferencePolicy::ReferencePolicy(Reference kind, const Topology& topology)
    : kind_(kind), topology_(topology), chosen_at_(topology.instances.size(), 0) {}

double ReferencePolicy::MeanWait(uint32_t workers, double rho) {
  constexpr double kMost = 0.99;
  const double r = std::min(rho, kMost);
  const double offered = r * workers;
  // Erlang B by its recursion, then C.
  double blocked = 1;
  for (uint32_t n = 1; n <= workers; ++n) blocked = offered * blocked / (n + offered * blocked);
  const double waits = blocked / (1 - r * (1 - blocked));
  const double wait = waits / (workers * (1 - r));
  return rho <= kMost ? wait : wait * (1 + (rho - kMost) / (1 - kMost));
}

double ReferencePolicy::Expected(const Asked& asked, uint32_t instance, Micros now, const Server& server,
                                 const Underway& underway) const {
  const double delay = Seconds(topology_.DelayTo(asked.router, instance));
  const double mean = topology_.work_means_s[asked.service];
  const double rate = server.workers() * server.speed();
  if (asked.session_work > 0) {
    const double rho = (underway.session_work + asked.session_work) / rate;
    const double wait = MeanWait(server.workers(), rho) * (1 + topology_.work_variations[asked.service]) / 2;
    return 2 * delay + (wait + 1) * mean / server.speed();
  }
  const double ahead = static_cast<double>(server.present()) + underway.requests;
  const bool free = ahead < server.workers();
  if (kind_ == Reference::kClairvoyant) {
    const double wait = free ? 0 : (server.WorkLeft(now) + underway.work_s) / rate;
    return delay + std::max(delay, wait) + asked.work_s / server.speed();
  }
  const double wait = free ? 0 : (ahead - server.workers() + 1) * mean / rate;
  return delay + std::max(delay, wait) + mean / server.speed();
}

uint32_t ReferencePolicy::Choose(const Asked& asked, Micros now, const std::vector<Server>& servers,
                                 const std::vector<Underway>& underway) {
  // A billionth of a second apart is the same.
  constexpr double kTie = 1e-9;
  uint32_t best = UINT32_MAX;
  double least = 0;
  for (uint32_t i = 0; i < topology_.instances.size(); ++i) {
    if (topology_.instances[i].service != asked.service) continue;
    const double expected = Expected(asked, i, now, servers[i], underway[i]);
    const bool tie = best != UINT32_MAX && expected <= least + kTie && expected >= least - kTie;
    if (best == UINT32_MAX || (tie ? chosen_at_[i] < chosen_at_[best] : expected < least)) {
      best = i;
      least = expected;
    }
  }
  chosen_at_[best] = ++choices_;
  return best;
}

}  // namespace dyncast::sim
