#include "schema/config/updates_check.h"

#include <fmt/core.h>

#include <cmath>

#include "schema/config/codec.h"
#include "schema/config/unique.h"

namespace dyncast::config {
namespace {

using std::chrono::milliseconds;

void CheckDamping(Reader& reader, const std::string& at, const DampingConfig& damping) {
  if (damping.reuse >= damping.suppress) {
    reader.Refuse(at + ".reuse", fmt::format("{}", damping.reuse),
                  fmt::format("must be less than suppress, which is {}", damping.suppress), Errc::kConflict);
    return;
  }
  const double halvings = std::log2(damping.suppress / damping.reuse);
  if (static_cast<double>(damping.max_hold.count()) <=
      halvings * static_cast<double>(damping.half_life.count())) {
    reader.Refuse(
        at + ".max_hold", FormatDuration(damping.max_hold),
        fmt::format("must be more than {:.2f} x half_life, from suppress to reuse, or nothing is ever "
                    "damped",
                    halvings),
        Errc::kConflict);
  }
}

void CheckGap(Reader& reader, const std::string& at, milliseconds gap, milliseconds interval) {
  if (gap <= interval) return;
  reader.Refuse(at, FormatDuration(gap),
                "must be at most report_interval, which is " + FormatDuration(interval), Errc::kConflict);
}

void CheckThresholds(Reader& reader, const std::string& at, const std::vector<ThresholdConfig>& thresholds) {
  Unique metrics("a threshold of this metric");
  for (size_t i = 0; i < thresholds.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", at, i);
    metrics.Check(reader, path + ".metric", thresholds[i].metric);
    const std::vector<double>& levels = thresholds[i].levels;
    if (!reader.Says(path + ".change") && !reader.Says(path + ".relative") && levels.empty()) {
      reader.Refuse(path, "must have change, relative or levels");
    }
    for (size_t l = 1; l < levels.size(); ++l) {
      if (reader.Refused(fmt::format("{}.levels[{}]", path, l)) || levels[l] > levels[l - 1]) continue;
      reader.Refuse(fmt::format("{}.levels[{}]", path, l), fmt::format("{}", levels[l]),
                    fmt::format("must be above the one before, {}", levels[l - 1]), Errc::kConflict);
    }
  }
}

void CheckUpdates(Reader& reader, const std::string& at, const UpdatesConfig& updates,
                  const AgentConfig& agent) {
  CheckThresholds(reader, at + ".thresholds", updates.thresholds);
  if (updates.minimum_gap) {
    CheckGap(reader, at + ".minimum_gap", *updates.minimum_gap, agent.report_interval);
  }
  if (updates.damping) CheckDamping(reader, at + ".damping", *updates.damping);
}

}  // namespace

void CheckAgentUpdates(Reader& reader, const AgentConfig& agent) {
  CheckGap(reader, "minimum_gap", agent.minimum_gap, agent.report_interval);
  CheckThresholds(reader, "thresholds", agent.thresholds);
  CheckUpdates(reader, "updates", agent.updates, agent);
  for (const std::string key : {"minimum_gap", "thresholds"}) {
    if (reader.Says(key) && reader.Says("updates." + key)) {
      reader.Refuse("updates." + key, "is said at the top level too", Errc::kDuplicate);
    }
  }
}

void CheckUpdateRules(Reader& reader, const std::string& path, const AgentConfig& agent,
                      const InstanceConfig& instance) {
  CheckUpdates(reader, path + ".updates", instance.updates, agent);
  const UpdateRules rules = UpdateRulesOf(agent, instance);
  if (rules.policy != UpdateWhen::kThreshold) return;
  // Named at the instance where it says something itself, else where the agent does.
  const std::string at = instance.updates == UpdatesConfig{} ? "updates" : path + ".updates";
  if (rules.thresholds.empty()) {
    reader.Refuse(at + ".policy", "threshold", "needs thresholds", Errc::kConflict);
  }
  if (rules.refresh < rules.minimum_gap) {
    reader.Refuse(at + ".refresh", FormatDuration(rules.refresh),
                  "must be at least minimum_gap, which is " + FormatDuration(rules.minimum_gap),
                  Errc::kConflict);
  }
}

}  // namespace dyncast::config
