#include "tests/sim/topology.h"

#include <algorithm>
#include <cmath>

#include "tests/sim/positions.h"

namespace dyncast::sim {
namespace {

size_t IndexOf(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

double Variation(const WorkSpec& work) {
  switch (work.distribution) {
    case Distribution::kLognormal: return std::expm1(work.sigma * work.sigma);
    case Distribution::kExponential: return 1;
    case Distribution::kFixed: break;
  }
  return 0;
}

template <typename T>
size_t IndexByName(const std::vector<T>& list, const std::string& name) {
  const auto at = std::find_if(list.begin(), list.end(), [&](const T& item) { return item.name == name; });
  return static_cast<size_t>(at - list.begin());
}

// Places and the delays between them.
std::optional<Error> Place(const Scenario& s, Topology* topology) {
  const PositionSpec& spec = *s.network.positions;
  const std::string base = s.folder.empty() ? "" : s.folder + "/";
  const Result<Sites> sites = LoadSites(base + spec.sites);
  if (!sites.ok()) return sites.error();
  std::vector<Position> routers;
  for (const RouterSpec& router : s.routers) {
    const auto at = sites->find(router.site);
    if (at == sites->end()) {
      return MakeError(Errc::kNotFound, "D-Router '" + router.name + "': site " +
                                            std::to_string(router.site) + " is not in " + spec.sites);
    }
    routers.push_back(at->second);
  }
  for (size_t e = 0; e < s.edges.size(); ++e) {
    const auto at = sites->find(s.edges[e].site);
    if (at == sites->end()) {
      return MakeError(Errc::kNotFound, "edge '" + s.edges[e].name + "': site " +
                                            std::to_string(s.edges[e].site) + " is not in " + spec.sites);
    }
    for (size_t r = 0; r < routers.size(); ++r) {
      const double us = DistanceKm(routers[r], at->second) * static_cast<double>(spec.per_km.count());
      topology->delays[r][e] = spec.constant + Micros{static_cast<int64_t>(std::llround(us))};
    }
  }
  if (spec.clients.empty()) return std::nullopt;
  const Result<std::vector<Position>> clients = LoadClients(base + spec.clients);
  if (!clients.ok()) return clients.error();
  for (const Position& client : *clients) {
    const auto nearest = std::min_element(
        routers.begin(), routers.end(),
        [&](const Position& a, const Position& b) { return DistanceKm(client, a) < DistanceKm(client, b); });
    topology->client_routers.push_back(static_cast<uint32_t>(nearest - routers.begin()));
  }
  return std::nullopt;
}

// First and second moment of the work of each service's requests.
void SumUpWork(const Scenario& s, const Trace* trace, Topology* topology) {
  struct Moments {
    double weight = 0;
    double sum = 0;
    double squares = 0;
  };
  std::vector<Moments> moments(s.services.size());
  for (const DemandSpec& demand : s.demands) {
    Moments& m = moments[IndexOf(s.services, demand.service)];
    const double mean_s = static_cast<double>(demand.work.mean.count()) * 1e-6;
    // Work per second is load * capacity, so requests per second go with load / mean.
    const double weight = demand.load / mean_s;
    m.weight += weight;
    m.sum += weight * mean_s;
    m.squares += weight * mean_s * mean_s * (1 + Variation(demand.work));
  }
  if (trace != nullptr) {
    for (const Trace::Row& row : trace->rows) {
      Moments& m = moments[row.service];
      m.weight += 1;
      m.sum += row.work_s;
      m.squares += row.work_s * row.work_s;
    }
  }
  for (const Moments& m : moments) {
    const double mean = m.weight > 0 ? m.sum / m.weight : 0;
    topology->work_means_s.push_back(mean);
    topology->work_variations.push_back(mean > 0 ? m.squares / m.weight / (mean * mean) - 1 : 0);
  }
}

}  // namespace

Result<Topology> MakeTopology(const Scenario& s, const Trace* trace) {
  Topology topology;
  for (size_t e = 0; e < s.edges.size(); ++e) {
    for (const InstanceSpec& instance : s.edges[e].instances) {
      topology.instances.push_back({.name = instance.name,
                                    .service = static_cast<uint32_t>(IndexOf(s.services, instance.service)),
                                    .edge = static_cast<uint32_t>(e),
                                    .workers = instance.workers,
                                    .speed = instance.speed});
    }
  }
  topology.delays.assign(s.routers.size(), std::vector<Micros>(s.edges.size(), s.network.delay));
  if (s.network.positions) {
    if (auto error = Place(s, &topology)) return std::move(*error);
  }
  for (const DelaySpec& delay : s.network.delays) {
    topology.delays[IndexByName(s.routers, delay.router)][IndexByName(s.edges, delay.edge)] = delay.delay;
  }
  double sum = 0;
  for (const RouterSpec& router : s.routers) topology.router_shares.push_back(sum += router.share);
  for (double& share : topology.router_shares) share /= sum;
  SumUpWork(s, trace, &topology);
  return topology;
}

}  // namespace dyncast::sim
