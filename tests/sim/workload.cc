#include "tests/sim/workload.h"

#include <algorithm>
#include <cmath>

namespace dyncast::sim {
namespace {

Micros FromSeconds(double s) { return Micros{static_cast<int64_t>(std::llround(s * 1e6))}; }
double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

double RequestsOf(const DemandSpec& spec) {
  return spec.sessions ? 1 + Seconds(spec.sessions->length) / Seconds(spec.sessions->gap) : 1;
}

}  // namespace

Workload::Workload(const Scenario& scenario, const Topology& topology, const Trace* trace, uint64_t seed)
    : scenario_(scenario), topology_(topology), trace_(trace) {
  for (size_t i = 0; i < scenario.demands.size(); ++i) {
    const DemandSpec& spec = scenario.demands[i];
    const auto named = std::find(scenario.services.begin(), scenario.services.end(), spec.service);
    const auto service = static_cast<uint32_t>(named - scenario.services.begin());
    double capacity = 0;
    for (const Topology::Instance& instance : topology.instances) {
      if (instance.service == service) capacity += instance.capacity();
    }
    Source& source = sources_.emplace_back(Source{.spec = &spec,
                                                  .service = service,
                                                  .gap_s = 0,
                                                  .next = Micros{0},
                                                  .arrivals = Random(seed, 16 * i),
                                                  .works = Random(seed, 16 * i + 1),
                                                  .clients = Random(seed, 16 * i + 2)});
    source.gap_s = Seconds(spec.work.mean) * RequestsOf(spec) / (spec.load * capacity);
    Schedule(&source);
  }
}

void Workload::Schedule(Source* source) const {
  source->next += FromSeconds(source->arrivals.Exponential(source->gap_s));
}

double Workload::Work(const WorkSpec& spec, Random* random) const {
  const double mean = Seconds(spec.mean);
  switch (spec.distribution) {
    case Distribution::kLognormal: return random->Lognormal(mean, spec.sigma);
    case Distribution::kExponential: return random->Exponential(mean);
    case Distribution::kFixed: break;
  }
  return mean;
}

void Workload::AddSession(Source* source, Arrival* arrival) const {
  const SessionSpec& session = *source->spec->sessions;
  arrival->session = true;
  arrival->ends = arrival->at + session.length;
  arrival->offered_work = Seconds(source->spec->work.mean) / Seconds(session.gap);
  Micros at = arrival->at;
  for (;;) {
    at += FromSeconds(source->works.Exponential(Seconds(session.gap)));
    if (at >= arrival->ends) return;
    arrival->later.push_back({.at = at, .work_s = Work(source->spec->work, &source->works)});
  }
}

bool Workload::Next(Arrival* arrival) {
  if (trace_ != nullptr) return NextOfTrace(arrival);
  Source* next = nullptr;
  for (Source& source : sources_) {
    if (next == nullptr || source.next < next->next) next = &source;
  }
  if (next == nullptr || next->next >= scenario_.duration) return false;
  arrival->at = next->next;
  arrival->service = next->service;
  arrival->session = false;
  arrival->later.clear();
  arrival->work_s = Work(next->spec->work, &next->works);
  if (topology_.client_routers.empty()) {
    arrival->client = static_cast<uint32_t>(next->clients.Below(next->spec->clients));
    const double where = next->clients.Uniform();
    const auto& shares = topology_.router_shares;
    const auto at = std::upper_bound(shares.begin(), shares.end() - 1, where);
    arrival->router = static_cast<uint32_t>(at - shares.begin());
  } else {
    arrival->client = static_cast<uint32_t>(next->clients.Below(topology_.client_routers.size()));
    arrival->router = topology_.client_routers[arrival->client];
  }
  if (next->spec->sessions) AddSession(next, arrival);
  Schedule(next);
  return true;
}

bool Workload::NextOfTrace(Arrival* arrival) {
  if (row_ >= trace_->rows.size()) return false;
  const Trace::Row& row = trace_->rows[row_];
  if (row.at >= scenario_.duration) return false;
  ++row_;
  arrival->at = row.at;
  arrival->service = row.service;
  arrival->client = row.client;
  arrival->router = trace_->client_routers[row.client];
  arrival->work_s = row.work_s;
  arrival->session = false;
  arrival->later.clear();
  return true;
}

}  // namespace dyncast::sim
