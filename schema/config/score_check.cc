// Rules across the values of score settings.
#include <fmt/core.h>

#include "schema/config/fabric_check.h"
#include "schema/config/option.h"
#include "schema/config/unique.h"

namespace dyncast::config {
namespace {

// Applies `settings` to `model` and says what cannot be.
void CheckSettings(Reader& reader, const std::string& at, const ScoreSettings& settings, ScoreModel* model) {
  Unique metrics("a rule for this metric");
  for (size_t i = 0; i < settings.rules.size(); ++i) {
    metrics.Check(reader, fmt::format("{}.rules[{}].metric", at, i), settings.rules[i].metric);
  }
  for (const ScoreProblem& problem : ApplyScores(settings, model)) {
    if (!problem.rule) {
      reader.Refuse(ChildPath(at, problem.key), problem.broken, Errc::kConflict);
      continue;
    }
    const std::string rule = fmt::format("{}.rules[{}]", at, *problem.rule);
    // A value that broke a rule of its own is missing here: that is said already.
    bool said = false;
    for (const char* key : {"metric", "category", "worst", "best", "midpoint", "slope"}) {
      said = said || reader.Refused(ChildPath(rule, key));
    }
    if (said) continue;
    const std::string path = ChildPath(rule, problem.key);
    if (problem.key == "metric") {
      reader.Refuse(path, settings.rules[*problem.rule].metric, problem.broken, Errc::kConflict);
    } else {
      reader.Refuse(path, problem.broken, Errc::kConflict);
    }
  }
}

}  // namespace

void CheckScores(Reader& reader, const FabricConfig& config) {
  ScoreModel fabric = DefaultScoreModel();
  CheckSettings(reader, "metrics", config.metrics, &fabric);
  for (size_t i = 0; i < config.services.size(); ++i) {
    ScoreModel service = fabric;
    CheckSettings(reader, fmt::format("services[{}].scores", i), config.services[i].scores, &service);
  }
}

}  // namespace dyncast::config
