// What switches say of the bindings they hold.
#include <algorithm>
#include <utility>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

constexpr std::chrono::seconds kSweepInterval{10};
// How long a row without a flow is left alone before it is looked at again.
constexpr std::chrono::seconds kFlowlessLook{1};
// Rounding of a flow's age and of its row's time; a flow lives for a second at least.
constexpr Decis kEndedSlack{3};
// What a D-Forwarder was told this long ago, and has not learned, was lost.
constexpr std::chrono::seconds kToldOnItsWay{5};

}  // namespace

void Core::Impl::On(const SwitchFound& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured) {
    ++counters_["found-unknown-switch"];
    return;
  }
  const bool was_connected = std::exchange(sw->connected, true);
  sw->synced = false;
  sw->last_counted.reset();
  ForgetLinks(sw, now, effects);
  const bool first = !std::exchange(sw->found_before, true);
  AdoptDispatch(event, sw, first, now);
  services_.ForEach([&](Service& service) {
    if (!service.configured || service.spec.dispatch != Dispatch::kLearn) return;
    UpdateShares(&service, ShareUpdate::kInstancesAndWeights, now, effects);
  });
  if (sw->numbers) EmitPlan(sw, now, effects);
  // A key may stand in several tables: that which the switch looks at first counts.
  for (const int rank : {0, 1, 2, 3}) {
    for (const FoundBinding& found : event.bindings) {
      if (RankOf(found, sw->id) == rank) TakeFound(found, sw->id, now, effects);
    }
  }
  HandleMissing(sw, event.empty, now, effects);
  CheckLimits(sw, now, effects);
  if (!was_connected) {
    Tell("switch-found", sw->config.name, std::to_string(event.bindings.size()) + " bindings", now, effects);
  }
}

void Core::Impl::TakeFound(const FoundBinding& found, SwitchId at, Now now, Effects* effects) {
  const Service* service = services_.Find(found.key.service);
  BindingRow* row = table_.Find(found.key);
  if (!Meaningful(found, at)) {
    ++counters_["found-foreign-bindings"];
    if (row != nullptr && found.key.at == at) {
      const bool removed = service == nullptr || !service->configured;
      End(found.key, removed ? EndReason::kServiceRemoved : EndReason::kReplaced, found.packets, found.bytes,
          now, effects);
    }
    effects->emplace_back(RemoveBinding{.at = at, .key = found.key, .client_bits = found.client_bits});
    return;
  }
  if (row != nullptr && row->Is(BindingRow::kSeen)) {
    if (RankOf(found, at) < 2) return;
    LeaveBehind(at, found.key.service, found.place, now.mono);
    // By which of the two it went until now is not known. If by this one, the other has aged unused.
    if (row->instance == found.instance && !row->Is(BindingRow::kGeneration)) {
      Install(*service, row, now.mono, effects);
    }
    return;
  }
  if (row != nullptr && row->instance != found.instance) {
    // The switch is right: packets went there.
    End(found.key, EndReason::kReplaced, std::nullopt, std::nullopt, now, effects);
    row = nullptr;
  }
  if (row == nullptr) {
    ++counters_["found-adopted"];
    row = Adopt(found, *service, now, effects);
  }
  row->Clear(BindingRow::kUnconfirmed);
  row->Clear(BindingRow::kFlowless);
  row->Clear(BindingRow::kTold);
  row->Set(BindingRow::kSeen);
  if (found.idle_timeout.count() > 0) {
    row->idle_timeout_s =
        static_cast<uint16_t>(std::clamp<int64_t>(found.idle_timeout.count(), 1, UINT16_MAX));
  }
  TouchIfChanged(found, row, now, effects);
  if (!PlaceAsFound(found, row)) {
    // The configuration gave the service another store while the switch was away.
    Install(*service, row, now.mono, effects);
    LeaveBehind(at, found.key.service, found.place, now.mono);
  }
}

BindingRow* Core::Impl::Adopt(const FoundBinding& found, const Service& service, Now now, Effects* effects) {
  BindingRow* row = table_.Insert({.key = found.key, .instance = found.instance});
  const bool timed = IsTimed(found.place) && found.idle_timeout.count() > 0;
  const auto idle = timed ? found.idle_timeout : service.spec.affinity.idle_timeout;
  row->idle_timeout_s = static_cast<uint16_t>(std::clamp<int64_t>(idle.count(), 1, UINT16_MAX));
  const DecidedBy by = FindSwitch(found.key.at)->forwarder()       ? DecidedBy::kForwarder
                       : service.spec.dispatch == Dispatch::kLearn ? DecidedBy::kSwitch
                                                                   : DecidedBy::kController;
  Emit(BindingStarted{.key = found.key,
                      .sid = service.SidFor(found.key.client),
                      .instance = found.instance,
                      .decided_by = by,
                      .reason = StartReason::kFound,
                      .at = now.wall,
                      .idle_timeout = std::chrono::seconds{row->idle_timeout_s},
                      .decision = {}},
       effects);
  return row;
}

void Core::Impl::TouchIfChanged(const FoundBinding& found, BindingRow* row, Now now, Effects* effects) {
  row->last_seen = std::max(row->last_seen, Since(now.mono - Micros{found.idle_age}));
  if (row->packets == found.packets) return;
  row->packets = found.packets;
  Emit(BindingTouched{.key = row->key,
                      .last_seen = now.wall - Micros{found.idle_age},
                      .packets = found.packets,
                      .bytes = found.bytes},
       effects);
}

// Rows that the switch's dump did not have. A switch that is empty started anew and ended none of them.
void Core::Impl::HandleMissing(Switch* sw, bool empty, Now now, Effects* effects) {
  std::vector<std::pair<BindingKey, EndReason>> ended;
  const Decis at = Since(now.mono);
  table_.ForEach([&](BindingRow& row) {
    if (row.key.at != sw->id) return;
    if (row.Is(BindingRow::kSeen)) {
      row.Clear(BindingRow::kSeen);
      return;
    }
    if (row.Is(BindingRow::kFlowless)) return;  // never had a flow
    if (Doomed(row)) {
      ended.emplace_back(row.key, EndReason::kIdle);
      return;
    }
    const bool unconfirmed = row.Is(BindingRow::kUnconfirmed);
    const Service* service = services_.Find(row.key.service);
    const bool bindable = service != nullptr && service->configured &&
                          HasRows(StoreAt(row.key.at, *service)) && KeyFits(service->spec.affinity, row.key);
    // When an unconfirmed row's last packet came is not known: not before our start, for all that matters.
    const bool alive = at.count() - row.last_seen.count() < static_cast<uint64_t>(Lifetime(row).count()) * 10;
    // What the switch let expire while we were away must not come back.
    const bool back = bindable && alive && Usable(row) && (empty || !unconfirmed);
    if (back) {
      ++counters_["bindings-reinstalled"];
      Install(*service, &row, now.mono, effects);
    } else {
      ended.emplace_back(row.key, unconfirmed ? EndReason::kAwayEnded : EndReason::kFlowLost);
    }
  });
  for (const auto& [key, reason] : ended) End(key, reason, std::nullopt, std::nullopt, now, effects);
}

void Core::Impl::On(const SwitchSynced& event, Now now, Effects*) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured || !sw->connected) return;
  sw->synced_at = now.mono;
  if (sw->synced) return;
  sw->synced = true;
  sw->greeted.clear();
  sw->serving = true;
  plans_dirty_ = plans_dirty_ || !TunnelsOf(*sw).forwarders.empty();  // whom they ask
  // Counting is spread over the interval, so that switches do not all answer at once.
  sw->next_count = now.mono + config_->controller.stats_interval * ((sw->id.value() % 8) + 1) / 8;
  if (sw->plan != nullptr) neighbors_.Connected(*sw->plan, now.mono);
  UpdateDeadline(now.mono);
}

void Core::Impl::On(const SwitchLost& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->configured) return;
  const bool was_connected = std::exchange(sw->connected, false);
  sw->synced = false;
  sw->serving = false;
  sw->endpoint_known = false;
  sw->last_counted.reset();
  ForgetLinks(sw, now, effects);
  sw->last_error = event.reason;
  plans_dirty_ = plans_dirty_ || !TunnelsOf(*sw).forwarders.empty();  // whom they ask now
  neighbors_.Disconnected(sw->id);
  if (was_connected) Tell("switch-lost", sw->config.name, event.reason, now, effects);
}

void Core::Impl::On(const BindingFlowEnded& event, Now now, Effects* effects) {
  BindingRow* row = table_.Find(event.binding.key);
  if (row == nullptr || row->key.at != event.at || row->instance != event.binding.instance) {
    ++counters_["ended-flows-unknown"];  // an old flow, replaced since
    return;
  }
  if (event.binding.place != row->place()) {
    ++counters_["ended-flows-moved"];  // it stands in another table since
    return;
  }
  // A packet may come between a flow's end and the news of it: the flow was sent again, and stands.
  const Decis created = Since(now.mono - Micros{event.binding.age});
  if (created + kEndedSlack < row->installed) {
    ++counters_["ended-flows-renewed"];
    return;
  }
  // Somebody deleted it, or it aged unused. The connection lives and must not move: its flow goes back.
  const Service* service = services_.Find(row->key.service);
  const bool lives = event.reason == EndReason::kFlowLost || WaitsForPlan(event.at, row->key.service);
  if (lives && Usable(*row) && service != nullptr && service->configured) {
    ++counters_["flows-restored"];
    Install(*service, row, now.mono, effects);
    return;
  }
  if (event.reason == EndReason::kIdle) NoteFinished(event.binding, now.mono);
  End(event.binding.key, event.reason, event.binding.packets, event.binding.bytes, now, effects);
}

void Core::Impl::On(const BindingFlowRefused& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr) return;
  ++sw->refused_flows;
  ++counters_["flows-refused"];
  if (sw->last_error != event.error) {
    sw->last_error = event.error;
    Tell("flow-refused", sw->config.name, event.error, now, effects);
  }
  BindingRow* row = table_.Find(event.key);
  if (row == nullptr || row->key.at != event.at || row->Is(BindingRow::kFlowless)) return;
  // The binding holds: its packets go through the controller until it is idle.
  row->Set(BindingRow::kFlowless);
  if (row->Is(BindingRow::kWatched)) return;
  row->Set(BindingRow::kWatched);
  if (!flowless_keys_.insert(event.key).second) return;  // the entry of a former row
  flowless_.emplace_back(now.mono + kFlowlessLook, event.key);
  deadline_ = std::min(deadline_, flowless_.front().first);
}

// Ends rows without a flow that saw no packet for their idle timeout: no switch will say so.
void Core::Impl::AgeFlowless(Now now, Effects* effects) {
  size_t left = flowless_.size();
  while (left-- > 0 && flowless_.front().first <= now.mono) {
    const BindingKey key = flowless_.front().second;
    flowless_.pop_front();
    BindingRow* row = table_.Find(key);
    if (row == nullptr || !row->Is(BindingRow::kFlowless)) {
      if (row != nullptr) row->Clear(BindingRow::kWatched);
      flowless_keys_.erase(key);
      continue;
    }
    const uint32_t idle = Since(now.mono).count() - row->last_seen.count();
    if (idle >= uint32_t{row->idle_timeout_s} * 10) {
      End(key, EndReason::kIdle, row->packets, std::nullopt, now, effects);
      flowless_keys_.erase(key);
    } else {
      flowless_.emplace_back(now.mono + kFlowlessLook, key);
    }
  }
}

void Core::Impl::On(const BindingsCounted& event, Now now, Effects* effects) {
  Switch* sw = FindSwitch(event.at);
  if (sw == nullptr || !sw->connected) return;
  sw->last_counted = now.mono;
  for (const FoundBinding& counted : event.bindings) {
    BindingRow* row = table_.Find(counted.key);
    if (row == nullptr || row->key.at != event.at) continue;
    if (row->instance != counted.instance) {
      if (!ToldInVain(*row, counted, now.mono)) continue;
      ++counters_["told-in-vain"];
      End(counted.key, EndReason::kReplaced, std::nullopt, std::nullopt, now, effects);
      row = Adopt(counted, *services_.Find(counted.key.service), now, effects);
      PlaceAsFound(counted, row);
    }
    if (counted.place != row->place()) continue;
    row->Clear(BindingRow::kTold);
    TouchIfChanged(counted, row, now, effects);
  }
}

// A key whose instance went was told another one, the word was lost, and the first instance came back before
// the key's next packet: the D-Forwarder goes on with the flow that it has and never asks again. Then its
// flow is right, since the packets go there.
//
// A count that is older than what the row knows says the same, so the rule must not take one for the other:
//  - A row that the switch said it learned is never in question, however old it or the count is.
//  - What was told may be on its way, or learned after the count was taken. That takes milliseconds; after
//    kToldOnItsWay it is lost. Should it come later still, or should the connection have stood still
//    meanwhile, the news of the learning follow the count on the same connection and put the row right again.
//  - While the former instance is gone the row is right: the next packet asks, and is told the row's.
//  - Only the table that the switch looks at first counts. Beneath it stands what was learned over; if that
//    is all there is, its next packet takes it over and the switch says so, or the table's turn ends it.
bool Core::Impl::ToldInVain(const BindingRow& row, const FoundBinding& counted, MonoTime now) const {
  if (!row.Is(BindingRow::kTold) || Since(now) - row.installed < kToldOnItsWay) return false;
  const Instance* instance = registry_.Find(counted.instance);
  return instance != nullptr && instance->in_plan() && Meaningful(counted, row.key.at) &&
         RankOf(counted, row.key.at) == 0;
}

// Rows whose flow must have ended long ago although nobody said so: a flow-removed message was lost.
// Never while the switch's counters may just be late.
void Core::Impl::SweepStale(Now now, Effects* effects) {
  next_sweep_ = now.mono + kSweepInterval;
  const Decis margin = std::chrono::ceil<Decis>(config_->controller.stats_interval * 3) +
                       std::chrono::duration_cast<Decis>(kSweepInterval);
  std::vector<BindingKey> stale;
  table_.ForEach([&](const BindingRow& row) {
    const Switch* sw = FindSwitch(row.key.at);
    if (sw == nullptr || !sw->synced || !sw->last_counted || row.Is(BindingRow::kFlowless)) return;
    if (row.Is(BindingRow::kGeneration)) return;  // flips end them
    const uint64_t until = uint64_t{row.last_seen.count()} + uint64_t{row.idle_timeout_s} * 10;
    if (until + margin.count() < Since(*sw->last_counted).count()) stale.push_back(row.key);
  });
  for (const BindingKey& key : stale) {
    ++counters_["bindings-swept"];
    End(key, EndReason::kFlowLost, std::nullopt, std::nullopt, now, effects);
  }
}

}  // namespace dyncast::core
