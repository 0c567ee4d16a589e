// What each demand tells of its instance's load, and how far instances are.
#include <algorithm>

#include "controller/core/core_impl.h"
#include "controller/core/median.h"

namespace dyncast::core {
namespace {

// Looking up a path costs more than a decision: one that was looked up just now is used again, even if agents
// have spoken since.
constexpr std::chrono::milliseconds kDistanceHold{100};
// Whatever agents say or not, it may have expired.
constexpr std::chrono::seconds kDistanceExpiry{1};

// What peers have in common. Some services' bindings live longer than their requests take, or carry few
// requests: only who differs from its peers is doubted. One alone has none.
struct Usual {
  double excess = 1;
  double served_per_binding_s = 0;
};
Usual UsualOf(const std::vector<Instance*>& members, std::vector<double>* scratch) {
  Usual usual;
  scratch->clear();
  for (const Instance* instance : members) {
    if (const auto excess = instance->load.excess()) scratch->push_back(*excess);
  }
  if (scratch->size() > 1) usual.excess = std::max(1.0, LowerMedian(*scratch));
  scratch->clear();
  for (const Instance* instance : members) {
    if (const auto served = instance->load.served_per_binding_s()) scratch->push_back(*served);
  }
  if (scratch->size() > 1) usual.served_per_binding_s = LowerMedian(*scratch);
  return usual;
}

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

}  // namespace

Situation Core::Impl::SituationOf(const Service& service) {
  return {.sessions = service.load.sessions(),
          .requests_per_binding_s = service.load.requests_per_binding_s()};
}

void Core::Impl::UpdatePaces(Service* service, MonoTime now) {
  service->paces_at = now;
  seen_.clear();
  size_t rated = 0;
  const Usual usual = UsualOf(service->members, &usual_);
  for (Instance* instance : service->members) {
    instance->load.Compare(usual.excess, usual.served_per_binding_s, now);
    const bool fresh = instance->metrics.Fresh(now, service->spec.selection.metrics_expiry);
    seen_.push_back(instance->load.Seen(service->load, fresh, now));
    rated += instance->record.capacity.requests_per_s ? 1 : 0;
  }
  for (size_t i = 0; i < seen_.size(); ++i) {
    const Capacity& capacity = service->members[i]->record.capacity;
    const auto& fixed = rated == seen_.size() ? capacity.requests_per_s : capacity.cpu_cores;
    seen_[i].fixed = fixed.value_or(0);
  }
  believed_.resize(seen_.size());
  judge_.Judge(seen_, service->load.sessions(), believed_);
  for (size_t i = 0; i < seen_.size(); ++i) service->members[i]->load.SetPace(believed_[i]);
}

Distance Core::Impl::DistanceTo(const Switch& at, const Instance& instance, std::chrono::milliseconds expiry,
                                MonoTime now) const {
  const size_t index = instance.id().value();
  if (at.distances.size() <= index) at.distances.resize(index + 1);
  Distance& known = at.distances[index];
  const Micros age = now - known.at;
  const bool usable = known.revision != UINT64_MAX && age < kDistanceExpiry &&
                      (known.revision == paths_.revision() || age < kDistanceHold);
  if (usable) return known;
  known = Distance{.revision = paths_.revision(), .at = now};
  const std::string& place = PlaceOf(at);
  if (place.empty()) return known;
  const auto path = paths_.Find(place, instance.record.agent, !instance.record.bid.is_v4(), now, expiry);
  if (!path) return known;
  if (path->rtt) known.rtt_s = static_cast<float>(Seconds(*path->rtt));
  if (path->loss) known.loss = static_cast<float>(*path->loss);
  return known;
}

void Core::Impl::NoteBound(const Service& service, Instance* instance, const Switch& at, MonoTime now) {
  const Distance distance = DistanceTo(at, *instance, service.spec.selection.metrics_expiry, now);
  instance->load.Bound(at.id, std::max(0.0F, distance.rtt_s), table_.CountOf(instance->id()), now,
                       service.load);
}

void Core::Impl::NoteUnbound(const BindingRow& row, EndReason reason, MonoTime now) {
  Instance* instance = registry_.Find(row.instance);
  if (instance != nullptr) instance->load.Unbound(table_.CountOf(instance->id()), now);
  Service* service = services_.Find(row.key.service);
  if (service == nullptr) return;
  if (reason != EndReason::kIdle || !row.Is(BindingRow::kGeneration)) return;
  // No switch says how old it was. One that a switch made by itself is only known to have been idle.
  const auto seconds = [](uint32_t decis) { return static_cast<double>(decis) * 0.1; };
  const bool begin_known = row.installed.count() > 0 && row.installed <= row.last_seen;
  service->load.Finished(begin_known ? seconds((row.last_seen - row.installed).count()) : 0,
                         seconds(Since(now).count() - std::min(Since(now), row.last_seen).count()));
}

void Core::Impl::NoteFinished(const FoundBinding& ended, MonoTime now) {
  Instance* instance = registry_.Find(ended.instance);
  Service* service = services_.Find(ended.key.service);
  const Switch* at = FindSwitch(ended.key.at);
  if (instance == nullptr || service == nullptr || at == nullptr || ended.age < ended.idle_age) return;
  const double active_s = Seconds(ended.age - ended.idle_age);
  const Distance distance = DistanceTo(*at, *instance, service->spec.selection.metrics_expiry, now);
  service->load.Finished(active_s, Seconds(ended.idle_age));
  instance->load.Finished(active_s, std::max(0.0F, distance.rtt_s), now);
}

}  // namespace dyncast::core
