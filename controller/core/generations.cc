// Where bindings' flows are: a timed table, or two tables that take turns (store generations). There the
// switch ages nothing: each idle_timeout the older table is emptied and becomes the current one, so what was
// not renewed for that long is gone.
#include <algorithm>

#include "controller/core/core_impl.h"

namespace dyncast::core {
namespace {

// Deleted rows are ended in pieces, so that other events do not wait: at most this many rows are looked at,
// or ended, in one step. A shard is the smallest piece.
constexpr size_t kLookedAtOnce = 100'000;
constexpr size_t kEndedAtOnce = 20'000;
// News of a renewal may still be on its way when the older table is emptied.
constexpr std::chrono::milliseconds kSweepDelay{200};
// Until a plan of another store is in force in the switch.
constexpr std::chrono::seconds kLeftoverDelay{1};

}  // namespace

SwitchDispatch* Core::Impl::FindDispatch(SwitchId at, ServiceId service) {
  return const_cast<SwitchDispatch*>(static_cast<const Impl*>(this)->FindDispatch(at, service));
}
const SwitchDispatch* Core::Impl::FindDispatch(SwitchId at, ServiceId service) const {
  const Switch* sw = FindSwitch(at);
  if (sw == nullptr) return nullptr;
  const auto found = sw->dispatch.find(service);
  return found == sw->dispatch.end() ? nullptr : &found->second;
}

bool Core::Impl::Doomed(const BindingRow& row) const {
  if (!row.Is(BindingRow::kGeneration) || row.Is(BindingRow::kFlowless)) return false;
  const SwitchDispatch* dispatch = FindDispatch(row.key.at, row.key.service);
  return dispatch != nullptr && ((dispatch->epoch - row.epoch()) & 3) == 2;
}

void Core::Impl::PlaceNow(BindingRow* row) const {
  const Service* service = services_.Find(row->key.service);
  if (service != nullptr) row->form = FormAt(row->key.at, *service);
  const SwitchDispatch* dispatch = FindDispatch(row->key.at, row->key.service);
  if (service == nullptr || dispatch == nullptr ||
      StoreAt(row->key.at, *service) != BindingStoreKind::kGenerations) {
    row->PlaceTimed();
  } else {
    row->PlaceInEpoch(dispatch->epoch);
  }
}

bool Core::Impl::PlaceAsFound(const FoundBinding& found, BindingRow* row) const {
  PlaceNow(row);
  if (IsTimed(found.place) == row->Is(BindingRow::kGeneration)) return false;
  if (FormOf(found.place) != row->form) return false;
  if (found.place != row->place()) row->PlaceInEpoch((row->epoch() + 3) & 3);
  return true;
}

int Core::Impl::RankOf(const FoundBinding& found, SwitchId at) const {
  const Service* service = services_.Find(found.key.service);
  const SwitchDispatch* dispatch = FindDispatch(at, found.key.service);
  if (service == nullptr || dispatch == nullptr) return 0;
  const BindingPlace current = GenerationPlace(dispatch->generation(), FormOf(found.place));
  const int turn = IsTimed(found.place) || found.place == current ? 0 : 1;
  return InUse(at, *service, found.place) ? turn : 2 + turn;
}

std::chrono::seconds Core::Impl::Lifetime(const BindingRow& row) const {
  const Service* service = services_.Find(row.key.service);
  std::chrono::seconds idle{row.idle_timeout_s};
  if (idle.count() == 0 && service != nullptr) idle = service->spec.affinity.idle_timeout;
  // What is known of such a row is when it was learned or renewed: one turn of the tables before its end.
  return row.Is(BindingRow::kGeneration) ? 2 * idle : idle;
}

size_t Core::Impl::GenerationRows(const Switch& sw) const {
  size_t rows = 0;
  for (const auto& [id, dispatch] : sw.dispatch) {
    if (StoreAt(sw.id, *services_.Find(id)) == BindingStoreKind::kGenerations) {
      rows += table_.CountOf(id, sw.id);
    }
  }
  return rows;
}

void Core::Impl::FlipDue(Now now, Effects* effects) {
  for (const auto& sw : switches_) {
    if (!sw || !sw->ready() || !sw->synced) continue;
    for (auto& [id, dispatch] : sw->dispatch) {
      const Service* service = services_.Find(id);
      if (StoreAt(sw->id, *service) != BindingStoreKind::kGenerations) continue;
      if (!dispatch.next_flip || now.mono < *dispatch.next_flip) continue;
      // A switch that does not take its plans still uses the tables as they were; a sweep under way must not
      // meet rows of two turns.
      if (dispatch.flipped_at && (!sw->synced_at || *sw->synced_at < *dispatch.flipped_at)) continue;
      if (dispatch.swept_with > swept_) continue;
      effects->emplace_back(RemoveBindingsAt{
          .at = sw->id,
          .service = id,
          .place =
              GenerationPlace(static_cast<uint8_t>(1 - dispatch.generation()), FormAt(sw->id, *service))});
      dispatch.epoch = static_cast<uint8_t>((dispatch.epoch + 1) & 3);
      dispatch.next_flip = now.mono + service->spec.affinity.idle_timeout;
      dispatch.flipped_at = now.mono;
      ++dispatch.flips;
      plans_dirty_ = true;
      if (table_.CountOf(id, sw->id) == 0) continue;
      if (sweep_until_ <= swept_) sweep_from_ = now.mono + kSweepDelay;
      // Once through all shards from here on, wherever a sweep under way is.
      sweep_until_ = std::max(sweep_until_, swept_ + BindingTable::kShards);
      dispatch.swept_with = sweep_until_;
    }
  }
}

void Core::Impl::Sweep(Now now, Effects* effects) {
  if (swept_ >= sweep_until_ || now.mono < sweep_from_) return;
  size_t looked = 0;
  size_t ended = 0;
  std::vector<BindingKey> doomed;
  while (swept_ < sweep_until_ && looked < kLookedAtOnce && ended < kEndedAtOnce) {
    doomed.clear();
    table_.ForEachIn(swept_ % BindingTable::kShards, [&](const BindingRow& row) {
      ++looked;
      if (Doomed(row)) doomed.push_back(row.key);
    });
    for (const BindingKey& key : doomed) End(key, EndReason::kIdle, std::nullopt, std::nullopt, now, effects);
    ended += doomed.size();
    ++swept_;
  }
}

BindingStoreKind Core::Impl::StoreAt(SwitchId at, const Service& service) const {
  const Switch* sw = FindSwitch(at);
  return dyncast::StoreAt(sw != nullptr ? sw->config.role : SwitchRole::kDRouter, service.spec.affinity);
}

KeyForm Core::Impl::FormAt(SwitchId at, const Service& service) const {
  const Switch* sw = FindSwitch(at);
  return KeyFormAt(sw != nullptr ? sw->config.role : SwitchRole::kDRouter, service.spec);
}

bool Core::Impl::InUse(SwitchId at, const Service& service, BindingPlace place) const {
  const bool timed = StoreAt(at, service) == BindingStoreKind::kTimed;
  return timed == IsTimed(place) && FormOf(place) == FormAt(at, service);
}

RemoveBinding Core::Impl::Removal(const BindingKey& key) const {
  const Service* service = services_.Find(key.service);
  if (service == nullptr) return {.at = key.at, .key = key};
  return {.at = key.at, .key = key, .client_bits = ClientBits(service->spec.affinity, key.client)};
}

void Core::Impl::MoveStore(ServiceId id, const std::map<SwitchId, HeldAs>& from, Now now, Effects* effects) {
  const Service* service = services_.Find(id);
  // What is left where the flows go now, from a move just before, means nothing any more.
  std::erase_if(leftovers_, [&](const Leftover& left) {
    if (left.service != id || from.count(left.at) == 0) return false;
    if (!InUse(left.at, *service, left.place)) return false;
    const Switch* sw = FindSwitch(left.at);
    if (sw != nullptr && sw->connected) {
      effects->emplace_back(RemoveBindingsAt{.at = left.at, .service = id, .place = left.place});
    }
    return true;
  });
  std::vector<BindingKey> gone;
  table_.ForEach([&](BindingRow& row) {
    if (row.key.service != id || from.count(row.key.at) == 0) return;
    const Switch* sw = FindSwitch(row.key.at);
    if (Doomed(row) || !Usable(row)) {
      gone.push_back(row.key);
    } else if (sw != nullptr && sw->connected && !row.Is(BindingRow::kFlowless) &&
               !row.Is(BindingRow::kUnconfirmed)) {
      Install(*service, &row, now.mono, effects);
    } else {
      PlaceNow(&row);
    }
  });
  for (const BindingKey& key : gone) {
    const BindingRow& row = *table_.Find(key);
    const EndReason reason = Usable(row) ? EndReason::kIdle : GoneReason(row.instance);
    End(key, reason, std::nullopt, std::nullopt, now, effects);
  }
  for (const auto& [at, before] : from) {
    const Switch* sw = FindSwitch(at);
    if (sw == nullptr || !sw->configured || !sw->connected) continue;
    SwitchDispatch* dispatch = FindDispatch(sw->id, id);
    if (StoreAt(at, *service) == BindingStoreKind::kGenerations) {
      dispatch->next_flip = now.mono + service->spec.affinity.idle_timeout;
      dispatch->flipped_at.reset();
    }
    if (before.store == BindingStoreKind::kTimed) {
      LeaveBehind(sw->id, id, TimedPlace(before.form), now.mono);
    } else {
      LeaveBehind(sw->id, id, GenerationPlace(0, before.form), now.mono);
      LeaveBehind(sw->id, id, GenerationPlace(1, before.form), now.mono);
    }
  }
}

void Core::Impl::LeaveBehind(SwitchId at, ServiceId service, BindingPlace place, MonoTime now) {
  const bool known = std::any_of(leftovers_.begin(), leftovers_.end(), [&](const Leftover& l) {
    return l.at == at && l.service == service && l.place == place;
  });
  if (!known)
    leftovers_.push_back({.due = now + kLeftoverDelay, .at = at, .service = service, .place = place});
}

bool Core::Impl::WaitsForPlan(SwitchId at, ServiceId service) const {
  const Switch* sw = FindSwitch(at);
  const Service* found = services_.Find(service);
  if (sw == nullptr || !sw->connected || sw->plan != nullptr || found == nullptr) return false;
  return std::any_of(leftovers_.begin(), leftovers_.end(), [&](const Leftover& left) {
    return left.at == at && left.service == service && !InUse(at, *found, left.place);
  });
}

void Core::Impl::RenewUnused(const Switch& sw, MonoTime now, Effects* effects) {
  if (leftovers_.empty()) return;
  table_.ForEach([&](BindingRow& row) {
    if (row.key.at != sw.id || row.Is(BindingRow::kGeneration) || row.Is(BindingRow::kFlowless)) return;
    if (row.Is(BindingRow::kTold) || !Usable(row) || !WaitsForPlan(sw.id, row.key.service)) return;
    Install(*services_.Find(row.key.service), &row, now, effects);
  });
}

void Core::Impl::RemoveLeftovers(Now now, Effects* effects) {
  std::erase_if(leftovers_, [&](const Leftover& left) {
    const Switch* sw = FindSwitch(left.at);
    const Service* service = services_.Find(left.service);
    // Such a switch says what it holds when it is back; a removed service was cleared as a whole.
    if (sw == nullptr || !sw->connected || service == nullptr || !service->configured) return true;
    if (InUse(left.at, *service, left.place)) return true;  // again
    if (now.mono < left.due || !sw->ready() || !sw->synced) return false;
    effects->emplace_back(RemoveBindingsAt{.at = left.at, .service = left.service, .place = left.place});
    return true;
  });
}

}  // namespace dyncast::core
