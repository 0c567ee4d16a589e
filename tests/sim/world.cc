#include "tests/sim/world.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dyncast::sim {
namespace {

constexpr uint64_t kLossStream = 1001;
constexpr Micros kLeastWindow{500'000};
constexpr uint16_t kFirstPort = 1024;

Micros WindowOf(const Scenario& s, Micros period) {
  return s.reports.window > Micros{0} ? s.reports.window : std::max(kLeastWindow, period);
}

FabricOptions OptionsOf(const Scenario& s, const RunSpec& spec) {
  using std::chrono::ceil;
  const Micros expiry = s.metrics_expiry > Micros{0}
                            ? s.metrics_expiry
                            : std::max<Micros>(std::chrono::seconds{10}, 3 * spec.period);
  // Bindings that end with their demands are not to end before them.
  const bool idle = spec.ending == Ending::kIdle;
  return {.policy = *spec.policy.policy,
          .dispatch = spec.dispatch,
          .idle_timeout = idle ? ceil<std::chrono::seconds>(s.idle_timeout) : std::chrono::hours{1},
          .metrics_expiry = ceil<std::chrono::milliseconds>(expiry),
          .seed = spec.seed};
}

}  // namespace

World::World(const Loaded& loaded, const RunSpec& spec)
    : scenario_(loaded.scenario),
      topology_(loaded.topology),
      spec_(spec),
      idle_timeout_(loaded.scenario.idle_timeout),
      workload_(loaded.scenario, loaded.topology, loaded.trace ? &*loaded.trace : nullptr, spec.seed),
      agents_(loaded.scenario, loaded.topology, WindowOf(loaded.scenario, spec.period)),
      losses_(spec.seed, kLossStream) {
  if (spec.policy.policy) {
    fabric_ = std::make_unique<Fabric>(scenario_, topology_, OptionsOf(scenario_, spec));
    fabric_->SetStanding(this);
  } else {
    reference_.emplace(spec.policy.reference, topology_);
  }
  const size_t n = topology_.instances.size();
  for (const Topology::Instance& instance : topology_.instances) {
    servers_.emplace_back(instance.workers, instance.speed);
  }
  versions_.assign(n, 0);
  planned_.assign(n, std::nullopt);
  underway_.assign(n, {});
  sessions_.assign(n, 0);
  decided_.assign(n, 0);
  outcome_.series.present.resize(n);
  outcome_.series.share.resize(n);
}

Outcome World::Run() {
  StartSpeeds();
  StartMeasuring();
  if (fabric_) StartAgents();
  Arrival arrival;
  bool more = workload_.Next(&arrival);
  while (more || !events_.empty()) {
    const bool first = more && (events_.empty() || arrival.at <= events_.next());
    now_ = first ? arrival.at : events_.next();
    if (fabric_ && now_ < scenario_.duration) fabric_->Advance(now_);
    ++outcome_.events;
    if (first) {
      Open(arrival);
      more = workload_.Next(&arrival);
    } else {
      Handle(events_.Take());
    }
  }
  return Finish();
}

void World::Handle(const Event& event) {
  switch (event.what) {
    case What::kArrive: OnArrive(event.a); break;
    case What::kDone: OnDone(event.a, event.b); break;
    case What::kAnswer: OnAnswer(event.a); break;
    case What::kRequest: OnRequest(event.a); break;
    case What::kSessionEnd:
      CloseIfOver(event.a);
      Drop(event.a);
      break;
    case What::kIdle: OnIdle(event.a); break;
    case What::kReport:
      agents_.Report(event.a, now_, servers_, sessions_, &said_);
      outcome_.reports_sent += said_.size();
      Say();
      Again(event, spec_.period);
      break;
    case What::kAnnounce:
      agents_.Announce(event.a, now_, &said_);
      Say();
      Again(event, Agents::kBeat);
      break;
    case What::kBeat:
      agents_.Beat(event.a, now_, &said_);
      Say();
      Again(event, Agents::kBeat);
      break;
    case What::kPaths:
      agents_.Paths(event.a, now_, &said_);
      outcome_.reports_sent += said_.size();
      Say();
      Again(event, spec_.period);
      break;
    case What::kHeard: OnHeard(event.a); break;
    case What::kSpeed: OnSpeed(event.a); break;
    case What::kSample:
      OnSample();
      Again(event, kSampleStep);
      break;
  }
}

// ---- Demands ------------------------------------------------------------------------------------

uint32_t World::NewJob() {
  if (free_jobs_.empty()) {
    jobs_.emplace_back();
    return static_cast<uint32_t>(jobs_.size() - 1);
  }
  const uint32_t job = free_jobs_.back();
  free_jobs_.pop_back();
  return job;
}

uint32_t World::NewClient() {
  if (free_clients_.empty()) {
    clients_.emplace_back();
    return static_cast<uint32_t>(clients_.size() - 1);
  }
  const uint32_t client = free_clients_.back();
  free_clients_.pop_back();
  return client;
}

void World::Open(const Arrival& arrival) {
  const uint32_t id = NewClient();
  Client& client = clients_[id];
  if (ports_.size() <= arrival.client) ports_.resize(size_t{arrival.client} + 1, kFirstPort - 1);
  uint16_t& port = ports_[arrival.client];
  port = port == UINT16_MAX ? kFirstPort : static_cast<uint16_t>(port + 1);
  client.flow = {
      .router = arrival.router, .service = arrival.service, .client = arrival.client, .port = port};
  client.bound = false;
  client.open = true;
  client.waits = 0;
  client.refers = 1;
  client.session_work = arrival.offered_work * (arrival.session ? 1 : 0);
  client.later = arrival.later;
  client.next = 0;
  client.ends = arrival.session ? arrival.ends : Micros{0};
  if (arrival.session) {
    ++client.refers;
    events_.Add(client.ends, What::kSessionEnd, id);
    AwaitRequest(id);
  }
  Send(id, arrival.work_s);
  Drop(id);
}

void World::AwaitRequest(uint32_t id) {
  Client& client = clients_[id];
  if (client.next >= client.later.size() || client.later[client.next].at >= scenario_.duration) return;
  ++client.refers;
  events_.Add(client.later[client.next].at, What::kRequest, id);
}

void World::OnRequest(uint32_t id) {
  const double work_s = clients_[id].later[clients_[id].next++].work_s;
  AwaitRequest(id);
  Send(id, work_s);
  Drop(id);
}

bool World::Bind(uint32_t id, double work_s) {
  Client& client = clients_[id];
  Flow& flow = client.flow;
  std::optional<uint32_t> chosen;
  if (fabric_) {
    chosen = fabric_->Demand(flow, now_);
  } else {
    chosen = reference_->Choose({.router = flow.router,
                                 .service = flow.service,
                                 .work_s = work_s,
                                 .session_work = client.session_work},
                                now_, servers_, underway_);
  }
  if (!chosen) {
    refused_ += now_ >= scenario_.warm_up ? 1 : 0;
    return false;
  }
  flow.instance = *chosen;
  flow.bound_at = now_;
  flow.packets = 0;
  client.bound = true;
  ++decided_[*chosen];
  outcome_.demands += now_ >= scenario_.warm_up ? 1 : 0;
  ++sessions_[*chosen];
  underway_[*chosen].session_work += client.session_work;
  if (spec_.ending == Ending::kIdle) {
    ++client.refers;
    events_.Add(now_ + idle_timeout_, What::kIdle, id);
  }
  return true;
}

// A request, to where its flow is bound.
void World::Send(uint32_t id, double work_s) {
  if (!clients_[id].bound && !Bind(id, work_s)) return;
  Client& client = clients_[id];
  client.flow.last_packet = now_;
  ++client.flow.packets;
  ++client.waits;
  ++client.refers;
  const uint32_t instance = client.flow.instance;
  const uint32_t job = NewJob();
  jobs_[job] = {.asked = now_, .work_s = work_s, .flow = id, .instance = instance};
  ++underway_[instance].requests;
  underway_[instance].work_s += work_s;
  events_.Add(now_ + topology_.DelayTo(client.flow.router, instance), What::kArrive, job);
}

void World::OnArrive(uint32_t job) {
  const Job& j = jobs_[job];
  --underway_[j.instance].requests;
  underway_[j.instance].work_s -= j.work_s;
  servers_[j.instance].Arrive(now_, job, j.work_s);
  Plan(j.instance);
}

// The instance's next end, unless that is planned already.
void World::Plan(uint32_t instance) {
  const std::optional<Micros> done = servers_[instance].NextDone();
  if (done == planned_[instance]) return;
  planned_[instance] = done;
  ++versions_[instance];
  if (done) events_.Add(std::max(*done, now_), What::kDone, instance, versions_[instance]);
}

void World::OnDone(uint32_t instance, uint32_t version) {
  if (version != versions_[instance]) return;
  const uint32_t job = servers_[instance].Finish(now_).job;
  planned_[instance].reset();
  Plan(instance);
  events_.Add(now_ + topology_.DelayTo(clients_[jobs_[job].flow].flow.router, instance), What::kAnswer, job);
}

void World::OnAnswer(uint32_t job) {
  const Job j = jobs_[job];
  free_jobs_.push_back(job);
  if (j.asked >= scenario_.warm_up) {
    latencies_us_.push_back(static_cast<uint32_t>(std::min<int64_t>((now_ - j.asked).count(), UINT32_MAX)));
  }
  Client& client = clients_[j.flow];
  --client.waits;
  // The client's acknowledgement, or its FIN.
  if (client.bound && client.flow.instance == j.instance) {
    client.flow.last_packet = now_;
    ++client.flow.packets;
  }
  CloseIfOver(j.flow);
  Drop(j.flow);
}

// The demand is over when all is answered, a session not before its time.
void World::CloseIfOver(uint32_t id) {
  Client& client = clients_[id];
  if (!client.open || client.waits > 0 || now_ < client.ends) return;
  client.open = false;
  if (!client.bound) return;
  --sessions_[client.flow.instance];
  underway_[client.flow.instance].session_work -= client.session_work;
  if (spec_.ending == Ending::kFin) Unbind(id);
}

void World::OnIdle(uint32_t id) {
  Client& client = clients_[id];
  const Micros due = client.flow.last_packet + idle_timeout_;
  if (client.bound && due > now_) {
    events_.Add(due, What::kIdle, id);
    return;
  }
  if (client.bound) {
    if (client.open) {
      --sessions_[client.flow.instance];
      underway_[client.flow.instance].session_work -= client.session_work;
    }
    Unbind(id);
  }
  Drop(id);
}

void World::Unbind(uint32_t id) {
  clients_[id].bound = false;
  if (fabric_ && now_ < scenario_.duration) fabric_->Ended(clients_[id].flow, now_);
}

// One that referred to it does no more.
void World::Drop(uint32_t id) {
  Client& client = clients_[id];
  if (--client.refers > 0) return;
  client.bound = false;
  free_clients_.push_back(id);
}

}  // namespace dyncast::sim
