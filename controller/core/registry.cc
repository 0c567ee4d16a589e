#include "controller/core/registry.h"

#include <algorithm>
#include <utility>

namespace dyncast::core {

Instance* Registry::FindByName(std::string_view name) const {
  const auto id = ids_.Find(name);
  return id ? Find(*id) : nullptr;
}

Instance* Registry::Make(const InstanceRecord& record) {
  if (instances_.size() <= record.id.value()) instances_.resize(size_t{record.id.value()} + 1);
  auto& slot = instances_[record.id.value()];
  slot = std::make_unique<Instance>();
  slot->record = record;
  Join(slot.get());
  return slot.get();
}

void Registry::Join(Instance* instance) {
  Service* service = services_->Find(instance->record.service);
  if (service == nullptr) return;
  const auto at =
      std::lower_bound(service->members.begin(), service->members.end(), instance,
                       [](const Instance* a, const Instance* b) { return a->record.id < b->record.id; });
  service->members.insert(at, instance);
  service->context_changed = true;
  service->shares_dirty = true;
}

void Registry::Leave(Instance* instance) {
  Service* service = services_->Find(instance->record.service);
  if (service == nullptr) return;
  std::erase(service->members, instance);
  service->context_changed = true;
  service->shares_dirty = true;
}

void Registry::Note(Instance* instance, std::string event, std::string detail, bool plan_changed) {
  if (Service* service = services_->Find(instance->record.service)) {
    service->context_changed = true;
    service->shares_dirty = true;
  }
  changes_.push_back({.instance = instance->id(),
                      .event = std::move(event),
                      .detail = std::move(detail),
                      .plan_changed = plan_changed});
}

void Registry::SetState(Instance* instance, InstanceState state, std::string reason, Now now) {
  const bool was_in_plan = instance->in_plan();
  const bool same_state = instance->record.state == state;
  const bool drained = state == InstanceState::kDraining && reason == kDrained;
  if (same_state && instance->drained == drained && instance->record.reason == reason) return;
  instance->record.state = state;
  instance->record.reason = reason;
  instance->record.changed_at = now.wall;
  instance->drained = drained;
  if (!same_state) instance->state_since = now.mono;
  std::string event = drained ? "instance-drained" : "instance-" + std::string(InstanceStateName(state));
  Note(instance, std::move(event), std::move(reason), was_in_plan != instance->in_plan());
}

void Registry::GoDown(Instance* instance, std::string reason, Now now) {
  instance->announce_by.reset();
  instance->trusted_from_before = false;
  instance->up_since.reset();
  SetState(instance, InstanceState::kDown, std::move(reason), now);
}

void Registry::GoUp(Instance* instance, Now now) {
  if (instance->record.drained_by_operator) {
    const bool late = instance->drained || (instance->drain_until && now.mono >= *instance->drain_until);
    SetState(instance, InstanceState::kDraining, late ? std::string(kDrained) : "operator", now);
    return;
  }
  if (instance->up()) return;
  instance->up_since = now.mono;
  instance->credit = 0;
  instance->recent = 0;
  if (instance->record.state == InstanceState::kDown) {
    instance->load = InstanceLoad{};
    instance->metrics.Forget();
  }
  SetState(instance, InstanceState::kUp, "health", now);
}

void Registry::Load(const std::vector<InstanceRecord>& records, const config::FabricConfig& config, Now now) {
  grace_ = config.controller.startup_grace;
  for (const InstanceRecord& record : records) {
    if (!ids_.Adopt(record.name, record.id)) continue;
    Instance* instance = Make(record);
    instance->state_since = now.mono;
    instance->drained = record.state == InstanceState::kDraining && record.reason == kDrained;
    if (record.drain_until) instance->drain_until = now.mono + (*record.drain_until - now.wall);
    if (record.state != InstanceState::kDown) {
      instance->trusted_from_before = true;
      instance->announce_by = now.mono + grace_;
    }
  }
}

void Registry::Configure(const config::FabricConfig& config, Now now) {
  grace_ = config.controller.startup_grace;
  gateways_.clear();
  for (const auto& sw : config.switches) {
    for (const auto& port : sw.ports) {
      for (const IpPrefix& prefix : port.addresses) gateways_.push_back(prefix.address);
    }
  }
  ForEach([&](Instance& instance) {
    const Service* service = services_->Find(instance.record.service);
    if (service != nullptr) instance.metrics.Redefine(service->spec.selection);
    if (instance.record.state == InstanceState::kDown) return;
    if (service == nullptr || !service->configured) {
      GoDown(&instance, "service-removed", now);
      return;
    }
    if (agents_->Allowance(instance.record.agent) == nullptr) {
      GoDown(&instance, "agent-removed", now);
      return;
    }
    if (const auto refusal = CheckBid(instance.record.agent, instance.record.bid, *service)) {
      GoDown(&instance, std::string(refusal->rule), now);
      return;
    }
    // Of two that came into conflict the one that was there first stays.
    const Instance* other = Conflicting(instance.record.bid, *service, instance.record.agent, &instance);
    if (other != nullptr && other->id() < instance.id()) GoDown(&instance, "bid-conflict", now);
  });
}

std::optional<Refusal> Registry::Announce(const std::string& agent, const wire::Announce& announce, Now now) {
  const Service* service = services_->FindByName(announce.service);
  Instance* instance = FindByName(announce.instance);
  if (auto refusal = CheckAnnounce(agent, announce, service, instance)) return refusal;
  if (instance == nullptr) {
    const auto id = ids_.Get(announce.instance);
    if (!id) return Refusal{"no-instance-id", "all 65535 instance ids are taken"};
    instance = Make({.id = *id,
                     .name = announce.instance,
                     .service = service->id,
                     .bid = announce.bid,
                     .agent = agent,
                     .capacity = announce.capacity,
                     .state = InstanceState::kDown,
                     .reason = "new",
                     .drained_by_operator = false,
                     .changed_at = now.wall,
                     .drain_until = std::nullopt});
    instance->state_since = now.mono;
    Note(instance, "instance-new", announce.bid.ToString(), false);
  } else if (instance->record.service != service->id || instance->record.bid != announce.bid) {
    Leave(instance);
    instance->record.service = service->id;
    instance->record.bid = announce.bid;
    instance->record.agent = agent;
    instance->record.capacity = announce.capacity;
    instance->metrics = InstanceMetrics{};
    instance->history = MetricHistory{};
    instance->scored_at.reset();
    instance->scores.clear();
    instance->load = InstanceLoad{};
    Join(instance);
    Note(instance, "instance-changed", announce.bid.ToString(), false);
    changes_.back().rebuilt = true;
  } else if (instance->record.agent != agent || instance->record.capacity != announce.capacity) {
    instance->record.agent = agent;
    instance->record.capacity = announce.capacity;
    Note(instance, {}, {}, false);
  }
  switch (announce.health) {
    case wire::Health::kUnknown:
      // Its agent has just started: what is up stays up until the first check, however long that takes. The
      // agent spoke of it: from here on only its silence or its word takes it down.
      instance->announce_by.reset();
      if (instance->record.state == InstanceState::kDown) GoDown(instance, "health-unknown", now);
      return std::nullopt;
    case wire::Health::kDown: GoDown(instance, "health", now); return std::nullopt;
    case wire::Health::kUp: break;
  }
  instance->trusted_from_before = false;
  instance->announce_by.reset();
  GoUp(instance, now);
  return std::nullopt;
}

std::optional<Refusal> Registry::Withdraw(const std::string& agent, const wire::Withdraw& withdraw, Now now) {
  Instance* instance = FindByName(withdraw.instance);
  if (instance == nullptr) {
    return Refusal{"unknown-instance", "withdraw of unknown instance '" + withdraw.instance + "'"};
  }
  if (!CheckOwner(*instance, agent)) {
    return Refusal{"instance-of-another-agent",
                   "instance '" + withdraw.instance + "' is of agent '" + instance->record.agent + "'"};
  }
  // The agent's own words stay out of the reason, which is a closed set.
  GoDown(instance, "withdrawn", now);
  return std::nullopt;
}

std::optional<Refusal> Registry::Report(const std::string& agent, const wire::Report& report, Now now,
                                        uint64_t* left_out) {
  Instance* instance = FindByName(report.instance);
  if (instance == nullptr) {
    return Refusal{"unknown-instance", "report of unknown instance '" + report.instance + "'"};
  }
  if (!CheckOwner(*instance, agent)) {
    return Refusal{"instance-of-another-agent",
                   "instance '" + report.instance + "' is of agent '" + instance->record.agent + "'"};
  }
  std::vector<MetricSample> samples;
  samples.reserve(report.metrics.size());
  for (const MetricSample& sample : report.metrics) {
    if (PlausibleMetric(sample)) samples.push_back(sample);
  }
  *left_out = report.refused_metrics + (report.metrics.size() - samples.size());
  Service* service = services_->Find(instance->record.service);
  instance->history.Add(samples, service != nullptr ? service->scores : DefaultScoreModel(), now.mono);
  const Selection selection = service != nullptr ? service->spec.selection : Selection{};
  const bool counts = !instance->up_since || now.mono - *instance->up_since >= selection.blackout;
  instance->metrics.Replace(std::move(samples), selection, counts, now.mono);
  if (service == nullptr) return std::nullopt;
  ++service->reports;
  return std::nullopt;
}

void Registry::AgentSilent(std::string_view agent, Now now) {
  ForEach([&](Instance& instance) {
    if (instance.record.agent != agent || instance.record.state == InstanceState::kDown) return;
    GoDown(&instance, "agent-silent", now);
  });
}

void Registry::AgentRebooted(std::string_view agent, Now now) {
  ForEach([&](Instance& instance) {
    if (instance.record.agent != agent || instance.record.state == InstanceState::kDown) return;
    if (!instance.announce_by) instance.announce_by = now.mono + grace_;
  });
}

bool Registry::Drain(std::string_view name, std::chrono::seconds deadline, Now now) {
  Instance* instance = FindByName(name);
  if (instance == nullptr) return false;
  instance->record.drained_by_operator = true;
  instance->drain_until.reset();
  instance->record.drain_until.reset();
  if (deadline.count() > 0) {
    instance->drain_until = now.mono + deadline;
    instance->record.drain_until = now.wall + deadline;
  }
  if (instance->record.state == InstanceState::kDown) {
    Note(instance, "instance-drain-asked", "while down", false);
    return true;
  }
  instance->up_since.reset();
  if (instance->record.state == InstanceState::kDraining && !instance->drained) {
    Note(instance, "instance-drain-asked", "deadline changed", false);
    return true;
  }
  SetState(instance, InstanceState::kDraining, "operator", now);
  return true;
}

bool Registry::Undrain(std::string_view name, Now now) {
  Instance* instance = FindByName(name);
  if (instance == nullptr) return false;
  const bool was = std::exchange(instance->record.drained_by_operator, false);
  instance->drain_until.reset();
  instance->record.drain_until.reset();
  if (instance->record.state == InstanceState::kDraining) {
    GoUp(instance, now);
  } else if (was) {
    Note(instance, "instance-undrained", {}, false);
  }
  return true;
}

void Registry::Tick(Now now) {
  ForEach([&](Instance& instance) {
    if (instance.announce_by && now.mono >= *instance.announce_by) {
      GoDown(&instance, "not-announced", now);
      return;
    }
    if (instance.record.state == InstanceState::kDraining && !instance.drained && instance.drain_until &&
        now.mono >= *instance.drain_until) {
      SetState(&instance, InstanceState::kDraining, std::string(kDrained), now);
    }
  });
}

std::optional<MonoTime> Registry::NextDeadline() const {
  std::optional<MonoTime> next;
  const auto consider = [&next](const std::optional<MonoTime>& at) {
    if (at && (!next || *at < *next)) next = at;
  };
  ForEach([&](const Instance& instance) {
    consider(instance.announce_by);
    if (instance.record.state == InstanceState::kDraining && !instance.drained) {
      consider(instance.drain_until);
    }
  });
  return next;
}

}  // namespace dyncast::core
