// Agents' messages, drains.
#include <fmt/core.h>

#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

// Events about refused messages, for each agent: what can repeat with every message must not fill the
// database.
constexpr std::chrono::seconds kRefusalEventGap{10};

}  // namespace

void Core::Impl::Refused(const std::string& agent, const Refusal& refusal, Now now, Effects* effects) {
  ++counters_[fmt::format("refused-{}", refusal.rule)];
  agents_.CountRefusal(agent, refusal);
  // Agents that nobody listed share one slot: their names are whatever the peer likes.
  const bool listed = agents_.Allowance(agent) != nullptr;
  MonoTime& told = refusal_told_.try_emplace(listed ? agent : std::string(), MonoTime::min()).first->second;
  if (told != MonoTime::min() && now.mono - told < kRefusalEventGap) return;
  told = now.mono;
  Tell("message-refused", agent, fmt::format("{}: {}", refusal.rule, refusal.text), now, effects);
}

void Core::Impl::On(const AgentSaid& event, Now now, Effects* effects) {
  const wire::AgentMessage& message = event.message;
  ++counters_["messages"];
  const AgentTracker::Verdict verdict = agents_.Judge(message, now);
  if (verdict.refusal) {
    Refused(message.agent, *verdict.refusal, now, effects);
    return;
  }
  if (verdict.rebooted) {
    registry_.AgentRebooted(message.agent, now);
    Tell("agent-restarted", message.agent, {}, now, effects);
    UpdateDeadline(now.mono);
  }
  std::optional<Refusal> refusal;
  if (const auto* announce = std::get_if<wire::Announce>(&message.body)) {
    refusal = registry_.Announce(message.agent, *announce, now);
  } else if (const auto* withdraw = std::get_if<wire::Withdraw>(&message.body)) {
    refusal = registry_.Withdraw(message.agent, *withdraw, now);
  } else if (const auto* report = std::get_if<wire::Report>(&message.body)) {
    uint64_t left_out = 0;
    refusal = registry_.Report(message.agent, *report, now, &left_out);
    if (left_out > 0) counters_["metrics-refused"] += left_out;
    if (!refusal) {
      Instance* instance = registry_.FindByName(report->instance);
      Service* service = services_.Find(instance->record.service);
      if (service != nullptr && instance->metrics.counts()) {
        instance->load.Reported(instance->metrics, table_.CountOf(instance->id()), now.mono, &service->load);
      }
      CountUnknown(*instance, service);
      CheckLevels(message.agent, *instance, now, effects);
      UpdateScores(instance, now);
      Emit(MetricsRecord{.instance = instance->id(),
                         .at = now.wall,
                         .metrics = instance->metrics.samples(),
                         .scores = instance->scores,
                         .scores_at = instance->scores_at},
           effects);
    }
  } else if (const auto* paths = std::get_if<wire::Paths>(&message.body)) {
    TakePaths(message.agent, *paths, now, effects);
  }
  if (refusal) {
    Refused(message.agent, *refusal, now, effects);
    return;
  }
  if (const auto* said = std::get_if<wire::Announce>(&message.body)) LookSoonAt(said->instance, now.mono);
  if (const auto* said = std::get_if<wire::Report>(&message.body)) LookSoonAt(said->instance, now.mono);
  if (agents_.Heard(message, now)) {
    Tell("agent-heard", message.agent, {}, now, effects);
    UpdateDeadline(now.mono);
  }
}

void Core::Impl::LookSoonAt(const std::string& instance, MonoTime now) {
  const Instance* known = registry_.FindByName(instance);
  Service* service = known == nullptr ? nullptr : services_.Find(known->record.service);
  if (service != nullptr) LookSoon(service, now);
}

void Core::Impl::TakePaths(const std::string& agent, const wire::Paths& paths, Now now, Effects* effects) {
  uint64_t refused = paths.refused_paths;
  std::vector<PathSample> samples;
  samples.reserve(paths.paths.size());
  for (const PathSample& sample : paths.paths) {
    // Agents that nobody listed have no place here.
    if (sample.peer == agent || agents_.Allowance(sample.peer) == nullptr) {
      ++refused;
      continue;
    }
    samples.push_back(sample);
  }
  Emit(PathsRecord{.agent = agent, .at = now.wall, .paths = samples}, effects);
  paths_.Set(agent, std::move(samples), now.mono);
  services_.ForEach([&](Service& service) { LookSoon(&service, now.mono); });
  if (refused > 0) counters_["paths-refused"] += refused;
}

void Core::Impl::ForgetPaths(const std::string& agent, Now now, Effects* effects) {
  if (paths_.Forget(agent)) Emit(PathsRecord{.agent = agent, .at = now.wall, .paths = {}}, effects);
}

void Core::Impl::On(const DrainRequested& event, Now now, Effects*) {
  const bool known = event.drain ? registry_.Drain(event.instance, event.deadline, now)
                                 : registry_.Undrain(event.instance, now);
  if (!known) ++counters_["drain-of-unknown-instance"];
}

void Core::Impl::On(const NeighborWanted& event, Now now, Effects* effects) {
  const Switch* sw = FindSwitch(event.at);
  const bool ready = sw != nullptr && sw->ready();
  neighbors_.Wanted(event, ready ? sw->plan.get() : nullptr, now.mono, effects);
  deadline_ = std::min(deadline_, neighbors_.NextDeadline().value_or(deadline_));
}

void Core::Impl::On(const NeighborFound& event, Now now, Effects* effects) {
  neighbors_.Found(event, now.mono, effects);
  // Before the host behind LOCAL has its address, Open vSwitch sends nothing into the tunnel.
  Switch* sw = FindSwitch(event.at);
  const bool endpoint =
      sw != nullptr && sw->plan != nullptr && sw->plan->tunnel && sw->plan->tunnel->local == event.neighbor;
  if (!endpoint || std::exchange(sw->endpoint_known, true)) return;
  sw->greeted.clear();
  plans_dirty_ = plans_dirty_ || !TunnelsOf(*sw).forwarders.empty();  // whom they ask
}

}  // namespace dyncast::core
