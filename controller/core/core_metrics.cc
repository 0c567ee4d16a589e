// Metrics and scores as rows to show.
#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

std::chrono::milliseconds Millis(Micros us) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(us);
}

MetricRow RowOf(std::string instance, std::string service, std::string site, std::string switch_name) {
  return {.instance = std::move(instance),
          .service = std::move(service),
          .site = std::move(site),
          .switch_name = std::move(switch_name),
          .family = {},
          .sample = {.name = {}, .unit = {}},
          .category = std::nullopt,
          .score = std::nullopt};
}

// The scores in force; of those from a switch only what its way changes.
enum class Which : uint8_t { kAll, kOfWay };
void AddScores(const LevelScores& scores, Which which, const MetricRow& like, std::vector<MetricRow>* rows) {
  const auto add = [&](std::string_view name, MetricLevel level, std::optional<ScoreCategory> category,
                       const std::optional<LevelScore>& score) {
    if (!score) return;
    MetricRow& row = rows->emplace_back(like);
    row.sample = {.name = std::string(name),
                  .value = score->value,
                  .unit = "1",
                  .level = level,
                  .source = score->source,
                  .statistic = score->statistic,
                  .window = score->window};
    row.category = category;
    row.score = score->value;
  };
  for (const ScoreCategory category : kScoreCategories) {
    if (which == Which::kOfWay && category != ScoreCategory::kCommunication) continue;
    add(ScoreMetricName(category), MetricLevel::kL1, category, scores.l1[IndexOf(category)]);
  }
  add(kLevel2MetricName, MetricLevel::kL2, std::nullopt, scores.l2);
}

std::optional<double> ScoreOf(const InstanceLevels& levels, const ScoreRule& rule) {
  for (const MetricScore& m : levels.metrics) {
    if (m.rule == &rule) return m.score;
  }
  return std::nullopt;
}

// An instance's scores as a part of its site's.
struct Part {
  const Instance* instance = nullptr;
  LevelScores scores;
  std::chrono::milliseconds age{0};
};

// Weights by static capacity, in a unit that all of them have.
std::vector<WeightedLevels> Weighted(const std::vector<Part>& parts) {
  std::vector<WeightedLevels> out;
  for (const CapacityTerm term :
       {CapacityTerm::kRequestsPerS, CapacityTerm::kCpuCores, CapacityTerm::kNone}) {
    out.clear();
    for (const Part& part : parts) {
      const std::optional<double> weight = CapacityOf(term, part.instance->record.capacity);
      if (weight) out.push_back({.scores = part.scores, .weight = *weight});
    }
    if (out.size() == parts.size()) break;
  }
  return out;
}

}  // namespace

// Makes the rows service by service.
struct Core::Impl::RowMaker {
  // The way from a switch to the instances of one site and family, as one service scores it.
  struct Way {
    const Switch* from = nullptr;
    std::vector<MetricScore> scores;
    std::chrono::milliseconds age{0};
  };
  using Ways = std::map<std::pair<std::string, bool>, std::vector<Way>>;  // by agent, and whether IPv4

  const Impl& impl;
  const MonoTime now;
  std::vector<MetricRow> instances{};
  std::vector<MetricRow> sites{};
  std::vector<MetricRow> ways{};
  std::set<std::tuple<std::string, bool, SwitchId>> shown{};  // ways that stand in `ways`

  void Add(const Service& service) {
    // Rows are large and many: they are not to be moved as they grow.
    size_t more = 0;
    for (const Instance* instance : service.members) {
      more += instance->metrics.samples().size() + kScoreCategories.size() + 1 + 2 * impl.switches_.size();
    }
    instances.reserve(instances.size() + more);
    Ways known;
    // By agent, and the switch that scores are from (nullptr: from none).
    std::map<std::pair<std::string, const Switch*>, std::vector<Part>> parts;
    for (const Instance* instance : service.members) {
      const std::string& agent = instance->record.agent;
      const bool v4 = instance->record.bid.is_v4();
      const auto [there, fresh] = known.try_emplace({agent, v4});
      if (fresh) there->second = WaysTo(*instance, service);
      if (!instance->metrics.reported()) continue;
      const std::optional<InstanceLevels> levels = impl.LevelsNow(*instance, service, now);
      MetricRow like = RowOf(instance->record.name, service.spec.name, agent, {});
      like.age = Millis(now - instance->metrics.at());
      const LevelScores own = levels ? Combined(service.scores, *levels, {}) : LevelScores{};
      AddReported(*instance, service, levels, own, like);
      AddScores(own, Which::kAll, like, &instances);
      if (!levels) continue;
      const auto part = [&](const Switch* from, const LevelScores& scores) {
        if (!instance->up()) return;
        parts[{agent, from}].push_back({.instance = instance, .scores = scores, .age = like.age});
      };
      part(nullptr, own);
      for (const Way& way : there->second) {
        const LevelScores scores = Combined(service.scores, *levels, way.scores);
        MetricRow from_there = like;
        from_there.switch_name = way.from->config.name;
        from_there.age = std::max(like.age, way.age);
        AddScores(scores, Which::kOfWay, from_there, &instances);
        part(way.from, scores);
      }
    }
    for (const auto& [key, of_site] : parts) {
      const auto& [agent, from] = key;
      MetricRow like = RowOf({}, service.spec.name, agent, from == nullptr ? "" : from->config.name);
      for (const Part& part : of_site) like.age = std::max(like.age, part.age);
      AddScores(OfSite(service.scores, Weighted(of_site)), from == nullptr ? Which::kAll : Which::kOfWay,
                like, &sites);
    }
  }

  std::vector<Way> WaysTo(const Instance& instance, const Service& service) {
    std::vector<Way> found;
    const bool v4 = instance.record.bid.is_v4();
    for (const auto& sw : impl.switches_) {
      const std::optional<PathMetrics> path = impl.WayTo(instance, service, sw.get(), now);
      if (!path) continue;
      const std::vector<MetricSample> samples = SamplesOf(*path);
      found.push_back(
          {.from = sw.get(), .scores = ScoresOf(service.scores, samples), .age = Millis(path->age)});
      if (!shown.emplace(instance.record.agent, v4, sw->id).second) continue;
      for (const MetricSample& sample : samples) {
        MetricRow& row = ways.emplace_back(RowOf({}, {}, instance.record.agent, sw->config.name));
        row.family = v4 ? "ipv4" : "ipv6";
        row.sample = sample;
        row.category = ScoreCategory::kCommunication;
        row.age = found.back().age;
      }
    }
    return found;
  }

  // The newest report as it came. An agent's own score that is in force stands among the scores instead.
  void AddReported(const Instance& instance, const Service& service,
                   const std::optional<InstanceLevels>& levels, const LevelScores& own,
                   const MetricRow& like) {
    for (const MetricSample& sample : instance.metrics.samples()) {
      MetricRow row = like;
      row.sample = sample;
      if (sample.level == MetricLevel::kL0) {
        const ScoreRule* rule = FindRule(service.scores, sample.name);
        if (rule != nullptr) row.category = rule->category;
        if (rule != nullptr && levels) row.score = ScoreOf(*levels, *rule);
      } else {
        const bool l1 = sample.level == MetricLevel::kL1;
        if (l1) row.category = CategoryOfScore(sample.name);
        const bool known = l1 ? row.category.has_value() : sample.name == kLevel2MetricName;
        const std::optional<LevelScore>& used = row.category ? own.l1[IndexOf(*row.category)] : own.l2;
        if (known && used && used->reported) continue;
        row.in_force = false;
      }
      instances.push_back(std::move(row));
    }
  }
};

std::vector<MetricRow> Core::Metrics(Now now) const {
  Impl::RowMaker maker{.impl = *impl_, .now = now.mono};
  impl_->services_.ForEach([&](const Service& service) {
    if (service.configured) maker.Add(service);
  });
  std::vector<MetricRow> rows = std::move(maker.instances);
  for (std::vector<MetricRow>* more : {&maker.sites, &maker.ways}) {
    rows.insert(rows.end(), std::make_move_iterator(more->begin()), std::make_move_iterator(more->end()));
  }
  return rows;
}

}  // namespace dyncast::core
