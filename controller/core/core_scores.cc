// Scores of levels 1 and 2: of instances, of sites, from each switch. For people, records and policies that
// ask for them; nothing else of the core depends on them.
#include <fmt/core.h>

#include <algorithm>

#include "controller/core/core_impl.h"
#include "schema/model/name.h"

namespace dyncast::core {
namespace {

// Events about contradictory levels, for each agent.
constexpr std::chrono::seconds kContradictionEventGap{10};

ScoreValues ValuesOf(const LevelScores& scores) {
  ScoreValues values;
  for (const ScoreCategory category : kScoreCategories) {
    const std::optional<LevelScore>& score = scores.l1[IndexOf(category)];
    if (score) values.l1[IndexOf(category)] = score->value;
  }
  if (scores.l2) values.l2 = scores.l2->value;
  return values;
}

}  // namespace

std::optional<PathMetrics> Core::Impl::WayTo(const Instance& instance, const Service& service,
                                             const Switch* sw, MonoTime now) const {
  if (sw == nullptr || !sw->configured) return std::nullopt;
  const std::string& place = PlaceOf(*sw);
  if (place.empty()) return std::nullopt;
  return paths_.Find(place, instance.record.agent, !instance.record.bid.is_v4(), now,
                     service.spec.selection.metrics_expiry);
}

std::optional<InstanceLevels> Core::Impl::LevelsNow(const Instance& instance, const Service& service,
                                                    MonoTime now) const {
  const bool recent = instance.metrics.Recent(now, service.spec.selection.metrics_expiry);
  if (instance.record.state == InstanceState::kDown || !recent) return std::nullopt;
  return LevelsOf(service.scores, instance.history, instance.metrics.samples(), instance.record.capacity);
}

ScoreValues Core::Impl::ScoresFrom(const Switch* sw, const Instance& instance, MonoTime now) const {
  const Service* service = services_.Find(instance.record.service);
  if (service == nullptr) return {};
  const std::optional<InstanceLevels> levels = LevelsNow(instance, *service, now);
  if (!levels) return {};
  const std::optional<PathMetrics> way = WayTo(instance, *service, sw, now);
  const std::vector<MetricSample> samples = way ? SamplesOf(*way) : std::vector<MetricSample>{};
  return ValuesOf(Combined(service->scores, *levels, ScoresOf(service->scores, samples)));
}

void Core::Impl::UpdateScores(Instance* instance, Now now) {
  if (instance->scored_at && now.mono - *instance->scored_at < Instance::kScoresGap) return;
  const Service* service = services_.Find(instance->record.service);
  if (service == nullptr) return;
  instance->scored_at = now.mono;
  instance->scores_at = now.wall;
  instance->scores.clear();
  const std::optional<InstanceLevels> levels = LevelsNow(*instance, *service, now.mono);
  if (!levels) return;
  instance->scores.push_back({.at = {}, .scores = ValuesOf(Combined(service->scores, *levels, {}))});
  for (const auto& sw : switches_) {
    const std::optional<PathMetrics> way = WayTo(*instance, *service, sw.get(), now.mono);
    if (!way) continue;
    const std::vector<MetricSample> samples = SamplesOf(*way);
    const LevelScores scores = Combined(service->scores, *levels, ScoresOf(service->scores, samples));
    instance->scores.push_back({.at = sw->id, .scores = ValuesOf(scores)});
  }
}

void Core::Impl::CountUnknown(const Instance& instance, const Service* service) {
  const ScoreModel& scores = service != nullptr ? service->scores : DefaultScoreModel();
  uint64_t unknown = 0;
  for (const MetricSample& sample : instance.metrics.samples()) {
    const std::string_view name = sample.name;
    if (sample.level != MetricLevel::kL0) {
      unknown += CategoryOfScore(name) || name == kLevel2MetricName ? 0 : 1;
      continue;
    }
    if (!DefinedUnit(name).empty() || FindRule(scores, name) != nullptr) continue;
    const bool named = service != nullptr &&
                       std::any_of(service->spec.selection.load.begin(), service->spec.selection.load.end(),
                                   [&](const MetricTerm& term) { return term.metric == name; });
    unknown += named ? 0 : 1;
  }
  if (unknown > 0) counters_["metrics-unknown"] += unknown;
}

void Core::Impl::CheckLevels(const std::string& agent, const Instance& instance, Now now, Effects* effects) {
  const std::vector<MetricSample>& samples = instance.metrics.samples();
  const bool says_scores = std::any_of(samples.begin(), samples.end(), [](const MetricSample& sample) {
    return sample.level != MetricLevel::kL0;
  });
  const Service* service = services_.Find(instance.record.service);
  if (!says_scores || service == nullptr) return;
  const auto found = Contradictions(service->scores, instance.history, samples, instance.record.capacity);
  if (found.empty()) return;
  counters_["scores-contradicted"] += found.size();
  MonoTime& told = contradiction_told_.try_emplace(agent, MonoTime::min()).first->second;
  if (told != MonoTime::min() && now.mono - told < kContradictionEventGap) return;
  told = now.mono;
  Tell("scores-contradicted", instance.record.name,
       fmt::format("agent '{}' says {} {:.2f}, its own metrics make {:.2f}; the latter is used", agent,
                   found[0].metric, found[0].reported, found[0].computed),
       now, effects);
}

}  // namespace dyncast::core
