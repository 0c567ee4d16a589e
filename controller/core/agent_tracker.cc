#include "controller/core/agent_tracker.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace dyncast::core {
namespace {

constexpr std::string_view kReplayed = "replayed";

// Saturating, so that no clock of another machine can overflow the difference.
int64_t Difference(int64_t a, int64_t b) {
  int64_t d = 0;
  if (__builtin_sub_overflow(a, b, &d)) return a > b ? INT64_MAX : INT64_MIN + 1;
  return std::max(d, INT64_MIN + 1);
}

}  // namespace

void AgentTracker::Configure(const config::FabricConfig& config) {
  missed_heartbeats_ = std::max(1u, config.controller.missed_heartbeats);
  max_clock_skew_ = config.controller.max_clock_skew;
  std::map<std::string, Agent, std::less<>> next;
  for (const config::AgentAllowance& allowance : config.agents) {
    const auto known = agents_.find(allowance.name);
    Agent agent = known == agents_.end() ? Agent{} : std::move(known->second);
    agent.allowance = allowance;
    next.emplace(allowance.name, std::move(agent));
  }
  agents_ = std::move(next);
}

AgentTracker::Verdict AgentTracker::Judge(const wire::AgentMessage& message, Now now) {
  const auto it = agents_.find(message.agent);
  if (it == agents_.end()) {
    return {.refusal = Refusal{"unknown-agent",
                               fmt::format("agent '{}' is not listed under 'agents'", message.agent)}};
  }
  Agent& agent = it->second;
  ++agent.messages;
  const int64_t skew_us = Difference(UnixMicros(message.sent_at), UnixMicros(now.wall));
  const int64_t allowed_us = Micros{max_clock_skew_}.count();
  if (skew_us > allowed_us || skew_us < -allowed_us) {
    return {.refusal =
                Refusal{"clock-skew",
                        fmt::format("sent_at_us {} differs by {} ms from our clock, at most {} ms allowed",
                                    UnixMicros(message.sent_at), skew_us / 1000, max_clock_skew_.count())}};
  }
  const bool same_epoch = agent.boot_epoch == message.boot_epoch;
  if (agent.boot_epoch && message.boot_epoch < *agent.boot_epoch) {
    return {.refusal = Refusal{kReplayed, fmt::format("boot_epoch {} is older than {}", message.boot_epoch,
                                                      *agent.boot_epoch)}};
  }
  if (same_epoch && message.sequence <= agent.last_sequence) {
    return {.refusal = Refusal{kReplayed, fmt::format("sequence {} is not above {}", message.sequence,
                                                      agent.last_sequence)}};
  }
  Verdict verdict;
  verdict.rebooted = agent.boot_epoch.has_value() && !same_epoch;
  if (same_epoch) agent.gaps += message.sequence - agent.last_sequence - 1;
  agent.boot_epoch = message.boot_epoch;
  agent.last_sequence = message.sequence;
  return verdict;
}

bool AgentTracker::Heard(const wire::AgentMessage& message, Now now) {
  const auto it = agents_.find(message.agent);
  if (it == agents_.end()) return false;
  Agent& agent = it->second;
  if (const auto* beat = std::get_if<wire::Heartbeat>(&message.body)) {
    agent.interval = std::clamp(beat->interval, std::chrono::milliseconds{10},
                                std::chrono::milliseconds{std::chrono::hours{1}});
    agent.updates = beat->updates;
  }
  agent.last_heard = now.mono;
  return std::exchange(agent.silent, false);
}

void AgentTracker::CountRefusal(const std::string& agent, const Refusal& refusal) {
  const auto it = agents_.find(agent);
  if (it == agents_.end()) return;
  ++(refusal.rule == kReplayed ? it->second.replayed : it->second.refused);
  it->second.last_refusal = fmt::format("{}: {}", refusal.rule, refusal.text);
}

MonoTime AgentTracker::SilentAt(const Agent& agent) const {
  return *agent.last_heard + Micros{agent.interval} * missed_heartbeats_;
}

std::vector<std::string> AgentTracker::TakeSilent(MonoTime now) {
  std::vector<std::string> fallen;
  for (auto& [name, agent] : agents_) {
    if (agent.silent || !agent.last_heard || now <= SilentAt(agent)) continue;
    agent.silent = true;
    fallen.push_back(name);
  }
  return fallen;
}

std::optional<MonoTime> AgentTracker::NextSilence() const {
  std::optional<MonoTime> next;
  for (const auto& [name, agent] : agents_) {
    if (agent.silent || !agent.last_heard) continue;
    const MonoTime at = SilentAt(agent) + Micros{1};
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

bool AgentTracker::IsSilent(std::string_view agent) const {
  const auto it = agents_.find(agent);
  return it == agents_.end() || it->second.silent;
}

const config::AgentAllowance* AgentTracker::Allowance(std::string_view agent) const {
  const auto it = agents_.find(agent);
  return it == agents_.end() ? nullptr : &it->second.allowance;
}

std::vector<AgentView> AgentTracker::View(MonoTime now) const {
  std::vector<AgentView> views;
  for (const auto& [name, agent] : agents_) {
    AgentView view;
    view.name = name;
    view.silent = agent.silent;
    view.boot_epoch = agent.boot_epoch.value_or(0);
    view.last_sequence = agent.last_sequence;
    if (agent.last_heard) {
      view.last_heard = std::chrono::duration_cast<std::chrono::milliseconds>(now - *agent.last_heard);
    }
    view.heartbeat_interval = agent.interval;
    view.messages = agent.messages;
    view.gaps = agent.gaps;
    view.replayed = agent.replayed;
    view.refused = agent.refused;
    view.last_refusal = agent.last_refusal;
    view.updates = agent.updates;
    views.push_back(std::move(view));
  }
  return views;
}

}  // namespace dyncast::core
