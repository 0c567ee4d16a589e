#include "agent/core/agent.h"

#include <algorithm>
#include <utility>

#include "agent/core/timer_grid.h"

namespace dyncast::agent {
namespace {

// Somebody must look at values between two reports.
bool LooksBetween(const config::AgentConfig& config) {
  return std::any_of(config.instances.begin(), config.instances.end(),
                     [&](const config::InstanceConfig& instance) {
                       const config::UpdateRules rules = config::UpdateRulesOf(config, instance);
                       return rules.policy != config::UpdateWhen::kInterval && !rules.thresholds.empty();
                     });
}

PathPolicy::Options PathOptions(const config::AgentConfig& config) {
  return {.interval = config.report_interval, .gap = config.minimum_gap, .threshold = config.path_threshold};
}

}  // namespace

AgentCore::AgentCore(config::AgentConfig config, uint64_t boot_epoch)
    : config_(std::move(config)),
      looks_between_(LooksBetween(config_)),
      boot_epoch_(boot_epoch),
      host_cpu_(kSettle),
      path_policy_(PathOptions(config_)) {}

// Without thresholds nobody looks at values between two reports, so none are read.
Micros AgentCore::SampleCadence() const {
  if (!looks_between_) return config_.report_interval;
  return std::min(config_.sample_interval, config_.report_interval);
}

Micros AgentCore::ScrapeLead() const { return std::min<Micros>(kScrapeLead, SampleCadence() / 2); }

void AgentCore::ScheduleScrape() {
  scrape_at_ = std::min({next_sample_, next_report_, settle_at_}) - ScrapeLead();
}

void AgentCore::AddInstance(config::InstanceConfig config, wire::Health health, Now now) {
  withdrawing_.erase(config.name);
  UpdatePolicy policy(config::UpdateRulesOf(config_, config));
  Instance instance(
      std::move(config), std::move(policy),
      {.window = kSettle, .expiry = SampleCadence() + ScrapeLead() + Micros(kSettle), .health = health});
  instance.next_check = now.mono;
  for (SourceValues& plugin : instance.plugins()) plugin.next_run = now.mono;
  instances_.emplace(Slot{++last_slot_}, std::move(instance));
}

void AgentCore::StartSampling(Now now) {
  next_sample_ = now.mono;
  next_report_ = now.mono;
  settle_at_ = config_.report_interval > kSettle ? now.mono + kSettle : MonoTime::max();
  scrape_at_ = now.mono;
}

template <typename Body>
void AgentCore::Emit(Effects* effects, Body body, Now now) {
  effects->messages.push_back({.agent = config_.name,
                               .boot_epoch = boot_epoch_,
                               .sequence = ++sequence_,
                               .sent_at = now.wall,
                               .body = std::move(body)});
}

void AgentCore::EmitReport(Effects* effects, Instance* instance, Trigger trigger, Now now) {
  if (instance->policy().OnMetrics(instance->metrics(), trigger, now.mono) == UpdatePolicy::Decision::kKeep) {
    return;
  }
  ++counters_.reports;
  Emit(effects, instance->Report(), now);
}

void AgentCore::Withdraw(const std::string& instance, std::string reason, Micros spacing, Now now) {
  withdrawing_[instance] = {.reason = std::move(reason), .next = now.mono, .spacing = spacing};
}

void AgentCore::EmitWithdraws(Effects* effects, Now now) {
  for (auto it = withdrawing_.begin(); it != withdrawing_.end();) {
    Withdrawing& w = it->second;
    if (w.next <= now.mono) {
      ++counters_.withdraws;
      Emit(effects, wire::Withdraw{.instance = it->first, .reason = w.reason}, now);
      w.next = now.mono + w.spacing;
      --w.left;
    }
    it = w.left == 0 ? withdrawing_.erase(it) : std::next(it);
  }
}

MonoTime AgentCore::NextDeadline() const {
  if (!started_) return MonoTime::min();
  MonoTime next = MonoTime::max();
  for (const auto& [name, w] : withdrawing_) next = std::min(next, w.next);
  if (stopping_) return next;
  next = std::min({next, next_heartbeat_, next_sample_, next_report_, settle_at_, refresh_at_});
  for (const auto& [slot, instance] : instances_) {
    const config::InstanceConfig& config = instance.config();
    if (config.health.kind != config::HealthCheckKind::kNone) next = std::min(next, instance.next_check);
    next = std::min(next, SourcesDeadline(instance));
    if (const auto due = instance.policy().DueAt()) next = std::min(next, *due);
  }
  return next;
}

Effects AgentCore::Tick(Now now) {
  Effects effects;
  if (!started_ && !stopping_) {
    started_ = true;
    next_heartbeat_ = now.mono;
    for (const config::InstanceConfig& instance : config_.instances) {
      AddInstance(instance, wire::Health::kUnknown, now);
    }
    StartSampling(now);
  }
  EmitWithdraws(&effects, now);
  if (stopping_) return effects;

  if (next_heartbeat_ <= now.mono) {
    ++counters_.heartbeats;
    Emit(&effects, wire::Heartbeat{.interval = config_.heartbeat_interval, .updates = counters().updates},
         now);
    next_heartbeat_ = NextOnGrid(next_heartbeat_, config_.heartbeat_interval, now.mono);
  }
  const bool refresh = refresh_at_ <= now.mono;
  if (refresh) {
    refresh_at_ = MonoTime::max();
    last_refresh_ = now.mono;
  }
  const bool scrape = scrape_at_ <= now.mono;
  if (scrape) scrape_at_ = MonoTime::max();
  for (auto& [slot, instance] : instances_) {
    const config::HealthCheckConfig& health = instance.config().health;
    if (health.kind != config::HealthCheckKind::kNone && instance.next_check <= now.mono) {
      instance.next_check = NextOnGrid(instance.next_check, health.interval, now.mono);
      if (!instance.check_running) effects.checks.push_back(slot);
      instance.check_running = true;
    }
    StartSources(slot, &instance, scrape, now, &effects);
    if (refresh && instance.sampled()) {
      ++counters_.announces;
      Emit(&effects, instance.Announce(), now);
      EmitReport(&effects, &instance, Trigger::kRefresh, now);
    } else if (const auto due = instance.policy().DueAt(); due && *due <= now.mono) {
      EmitReport(&effects, &instance, Trigger::kSample, now);
    }
  }
  const bool report = next_report_ <= now.mono;
  const bool settled = settle_at_ <= now.mono;
  if (report || settled || next_sample_ <= now.mono) {
    effects.sample = true;
    trigger_ = report ? Trigger::kInterval : settled ? Trigger::kSettled : Trigger::kSample;
    if (report) next_report_ = NextOnGrid(next_report_, config_.report_interval, now.mono);
    if (settled) settle_at_ = MonoTime::max();
    next_sample_ = NextOnGrid(next_sample_, SampleCadence(), now.mono);
    ScheduleScrape();
  }
  return effects;
}

Effects AgentCore::OnSample(const HostReadings& host, const std::map<Slot, InstanceReadings>& own, Now now) {
  Effects effects;
  if (stopping_) return effects;
  std::optional<Windowed> host_cpu;
  if (host.cpu) {
    host_cpu_.Add(now.mono, static_cast<double>(host.cpu->busy_ticks),
                  static_cast<double>(host.cpu->total_ticks));
    host_cpu = host_cpu_.Current();
  }
  for (auto& [slot, instance] : instances_) {
    const auto readings = own.find(slot);
    InstanceReadings none;
    if (!instance.config().cgroup.empty()) none.cgroup.emplace();  // the host's values are not its own
    NoteRefused(instance,
                instance.OnSample(host, readings == own.end() ? none : readings->second, host_cpu, now.mono),
                &effects);
    if (trigger_ == Trigger::kInterval) {
      ++counters_.announces;
      Emit(&effects, instance.Announce(), now);
    }
    EmitReport(&effects, &instance, trigger_, now);
  }
  return effects;
}

Effects AgentCore::OnCheck(Slot slot, CheckOutcome outcome, const std::string& detail, Now now) {
  Effects effects;
  const auto it = instances_.find(slot);
  if (it == instances_.end() || stopping_) return effects;
  Instance& instance = it->second;
  instance.check_running = false;
  if (instance.health().OnCheck(outcome) == HealthChange::kSame) return effects;
  const bool up = instance.health().health() == wire::Health::kUp;
  effects.notes.push_back({Note::Kind::kHealth, instance.config().name,
                           std::string(up ? "up" : "down") + (detail.empty() ? "" : " " + detail)});
  ++counters_.announces;
  Emit(&effects, instance.Announce(), now);
  return effects;
}

Effects AgentCore::OnPaths(std::vector<PathSample> paths, Now now) {
  Effects effects;
  if (stopping_ || !started_ || !path_policy_.OnPaths(paths, now.mono)) return effects;
  ++counters_.paths;
  Emit(&effects, wire::Paths{.paths = std::move(paths)}, now);
  return effects;
}

void AgentCore::OnSubscriber(Now now) {
  path_policy_.Refresh();
  if (refresh_at_ != MonoTime::max()) return;  // one is due already
  const Micros gap = config_.updates.minimum_gap.value_or(config_.minimum_gap);
  const bool recent = last_refresh_ != MonoTime::min() && now.mono < last_refresh_ + gap;
  refresh_at_ = recent ? last_refresh_ + gap : now.mono;
}

void AgentCore::Forget(std::map<Slot, Instance>::iterator it) {
  counters_.updates += it->second.policy().counters();
  instances_.erase(it);
}

Result<Effects> AgentCore::Reload(config::AgentConfig config, Now now) {
  if (config.name != config_.name) {
    return MakeError(Errc::kConflict, "the agent's name can't change from '" + config_.name + "' to '" +
                                          config.name + "' while it runs: restart it");
  }
  Effects effects;
  path_policy_.SetOptions(PathOptions(config));
  if (stopping_ || !started_) {
    config_ = std::move(config);
    looks_between_ = LooksBetween(config_);
    return effects;
  }
  // The agent's own options stand in every instance's policy and windows.
  config::AgentConfig old_options = std::exchange(config_, std::move(config));
  looks_between_ = LooksBetween(config_);
  config::AgentConfig new_options = config_;
  old_options.instances.clear();
  new_options.instances.clear();
  for (config::AgentConfig* options : {&old_options, &new_options}) {  // of no instance
    options->reflector.reset();
    options->probes.clear();
    options->path_threshold = {};
  }
  const bool same_options = old_options == new_options;

  std::map<std::string, std::map<Slot, Instance>::iterator, std::less<>> before;
  for (auto it = instances_.begin(); it != instances_.end(); ++it) before[it->second.config().name] = it;
  for (const config::InstanceConfig& wanted : config_.instances) {
    const auto known = before.find(wanted.name);
    if (known == before.end()) {
      AddInstance(wanted, wire::Health::kUnknown, now);
      continue;
    }
    const auto it = known->second;
    before.erase(known);
    const config::InstanceConfig& had = it->second.config();
    if (same_options && had == wanted) continue;
    wire::Health health = it->second.health().health();
    if (had.service != wanted.service || had.bid != wanted.bid) {
      // Another place under the same name: what was bound to the old one must not follow it.
      ++counters_.withdraws;
      Emit(&effects, wire::Withdraw{.instance = wanted.name, .reason = "moved by a reload"}, now);
      health = wire::Health::kUnknown;
    } else if (had.health.kind == config::HealthCheckKind::kNone) {
      health = wire::Health::kUnknown;  // "up" was never checked
    }
    Forget(it);
    AddInstance(wanted, health, now);
  }
  for (const auto& [name, it] : before) {
    Withdraw(name, "removed from the configuration", config_.report_interval, now);
    Forget(it);
  }
  EmitWithdraws(&effects, now);
  next_heartbeat_ = now.mono;
  StartSampling(now);
  return effects;
}

Effects AgentCore::Stop(Now now) {
  Effects effects;
  if (stopping_) return effects;
  stopping_ = true;
  for (const auto& [slot, instance] : instances_) {
    Withdraw(instance.config().name, "agent stopped", kStopSpacing, now);
  }
  for (auto& [name, w] : withdrawing_) w.spacing = kStopSpacing;
  for (auto& [name, w] : withdrawing_) w.next = now.mono;
  EmitWithdraws(&effects, now);
  return effects;
}

AgentCounters AgentCore::counters() const {
  AgentCounters sum = counters_;
  sum.path_updates = path_policy_.counters();
  for (const auto& [slot, instance] : instances_) sum.updates += instance.policy().counters();
  return sum;
}

}  // namespace dyncast::agent
