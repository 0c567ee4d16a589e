#include "controller/io/store_mailbox.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace dyncast::store {

uint64_t HashOf(const BindingKey& key) {
  const uint64_t h = std::hash<BindingKey>{}(key);
  return h == 0 ? 1 : h;  // 0 stands for a free slot
}

// ---- KnownKeys ----------------------------------------------------------------------------------

void KnownKeys::Insert(uint64_t hash) {
  if ((used_ + 1) * 4 > slots_.size() * 3) Grow();
  const size_t mask = slots_.size() - 1;
  size_t i = Home(hash);
  while (slots_[i] != 0) i = (i + 1) & mask;
  slots_[i] = hash;
  ++used_;
}

bool KnownKeys::Contains(uint64_t hash) const {
  if (slots_.empty()) return false;
  const size_t mask = slots_.size() - 1;
  for (size_t i = Home(hash); slots_[i] != 0; i = (i + 1) & mask) {
    if (slots_[i] == hash) return true;
  }
  return false;
}

void KnownKeys::Erase(uint64_t hash) {
  if (slots_.empty()) return;
  const size_t mask = slots_.size() - 1;
  size_t hole = Home(hash);
  while (slots_[hole] != hash) {
    if (slots_[hole] == 0) return;
    hole = (hole + 1) & mask;
  }
  // Later elements of the run move up, so that no search ends at the hole too early.
  for (size_t i = (hole + 1) & mask; slots_[i] != 0; i = (i + 1) & mask) {
    const size_t home = Home(slots_[i]);
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = 0;
  --used_;
}

void KnownKeys::Grow() {
  std::vector<uint64_t> old = std::move(slots_);
  slots_.assign(std::max<size_t>(64, old.size() * 2), 0);
  shift_ = static_cast<unsigned>(64 - std::countr_zero(slots_.size()));
  used_ = 0;
  for (uint64_t hash : old) {
    if (hash != 0) Insert(hash);
  }
}

// ---- The entries' index -------------------------------------------------------------------------

BindingEntry* Mailbox::Find(const BindingKey& key, uint64_t hash) {
  if (index_.empty()) return nullptr;
  const size_t mask = index_.size() - 1;
  for (size_t i = static_cast<size_t>(hash >> shift_); index_[i] != 0; i = (i + 1) & mask) {
    BindingEntry& entry = entries_[index_[i] - 1];
    if (entry.hash == hash && entry.key == key) return &entry;
  }
  return nullptr;
}

bool Mailbox::HoldsLive(const BindingKey& key, uint64_t hash) const {
  const BindingEntry* entry = const_cast<Mailbox*>(this)->Find(key, hash);
  return entry != nullptr && entry->live.has_value();
}

BindingEntry& Mailbox::FindOrAdd(const BindingKey& key, uint64_t hash) {
  if (BindingEntry* found = Find(key, hash)) return *found;
  if (empty_entries_ > 1024 && empty_entries_ * 2 > entries_.size()) DropEmptyEntries();
  if ((entries_.size() + 1) * 4 > index_.size() * 3) Reindex(std::max<size_t>(64, index_.size() * 2));
  BindingEntry& entry = entries_.emplace_back();
  entry.key = key;
  entry.hash = hash;
  ++empty_entries_;
  const size_t mask = index_.size() - 1;
  size_t i = static_cast<size_t>(hash >> shift_);
  while (index_[i] != 0) i = (i + 1) & mask;
  index_[i] = static_cast<uint32_t>(entries_.size());
  return entry;
}

void Mailbox::Reindex(size_t slots) {
  index_.assign(slots, 0);
  shift_ = static_cast<unsigned>(64 - std::countr_zero(slots));
  const size_t mask = slots - 1;
  for (size_t n = 0; n < entries_.size(); ++n) {
    size_t i = static_cast<size_t>(entries_[n].hash >> shift_);
    while (index_[i] != 0) i = (i + 1) & mask;
    index_[i] = static_cast<uint32_t>(n + 1);
  }
}

void Mailbox::DropEmptyEntries() {
  std::erase_if(entries_, [](const BindingEntry& e) { return e.empty(); });
  empty_entries_ = 0;
  Reindex(index_.size());
}

void Mailbox::Clear() {
  constexpr size_t kKeptRows = 65536;
  if (entries_.capacity() > kKeptRows || history_.capacity() > kKeptRows) {
    *this = Mailbox();
    return;
  }
  switches_.clear();
  services_.clear();
  instances_.clear();
  metrics_.clear();
  paths_.clear();
  paths_index_.clear();
  links_.clear();
  for (auto* index : {&switch_index_, &service_index_, &instance_index_, &metrics_index_, &links_index_}) {
    index->clear();
  }
  contexts_.clear();
  history_.clear();
  events_.clear();
  entries_.clear();
  std::fill(index_.begin(), index_.end(), 0u);
  empty_entries_ = tokens_ = extra_weight_ = 0;
}

// ---- Merging ------------------------------------------------------------------------------------

bool Mailbox::MayBeStored(const BindingKey& key, uint64_t hash, const Around& around) {
  return around.known->Contains(hash) || (around.writing != nullptr && around.writing->HoldsLive(key, hash));
}

void Mailbox::EndLive(BindingEntry* entry, EndReason reason, WallTime at, bool full,
                      MergeCounters* counters) {
  if (full) {
    --tokens_;
    ++counters->dropped;
  } else {
    // The started record now stands for the history row.
    history_.push_back(HistoryRow{.row = std::move(*entry->live), .reason = reason, .ended_at = at});
  }
  entry->live.reset();
}

void Mailbox::MergeStarted(BindingStarted record, const Around& around, MergeCounters* counters) {
  const uint64_t hash = HashOf(record.key);
  BindingEntry& entry = FindOrAdd(record.key, hash);
  if (entry.empty()) --empty_entries_;
  if (entry.live) {
    EndLive(&entry, EndReason::kReplaced, record.at, Full(around), counters);
  } else if (entry.stored.kind == StoredChange::Kind::kTouch ||
             (entry.stored.kind == StoredChange::Kind::kKeep && MayBeStored(entry.key, hash, around))) {
    if (entry.stored.kind == StoredChange::Kind::kTouch) {
      --tokens_;
      ++counters->merged;
    }
    entry.stored.kind = StoredChange::Kind::kReplace;
    entry.stored.reason = EndReason::kReplaced;
    entry.stored.at = record.at;
  }
  LiveRow& live = entry.live.emplace();
  live.last_seen = record.at;
  live.started = std::move(record);
  ++tokens_;
}

void Mailbox::MergeTouched(const BindingTouched& record, const Around& around, MergeCounters* counters) {
  const uint64_t hash = HashOf(record.key);
  BindingEntry* entry = Find(record.key, hash);
  if (entry != nullptr && entry->live) {
    entry->live->last_seen = record.last_seen;
    entry->live->packets = record.packets;
    entry->live->bytes = record.bytes;
    ++counters->merged;
    return;
  }
  const bool gone = entry != nullptr && (entry->stored.kind == StoredChange::Kind::kEnd ||
                                         entry->stored.kind == StoredChange::Kind::kReplace);
  const bool touched = entry != nullptr && entry->stored.kind == StoredChange::Kind::kTouch;
  if (gone || (!touched && !MayBeStored(record.key, hash, around))) {
    ++counters->merged;  // there is nothing to touch
    return;
  }
  if (touched) {
    ++counters->merged;
  } else {
    entry = &FindOrAdd(record.key, hash);
    --empty_entries_;
    ++tokens_;
    entry->stored.kind = StoredChange::Kind::kTouch;
  }
  entry->stored.last_seen = record.last_seen;
  entry->stored.packets = record.packets;
  entry->stored.bytes = record.bytes;
}

void Mailbox::MergeEnded(const BindingEnded& record, const Around& around, MergeCounters* counters) {
  const uint64_t hash = HashOf(record.key);
  BindingEntry* entry = Find(record.key, hash);
  if (entry != nullptr && entry->live) {
    if (record.packets) entry->live->packets = *record.packets;
    if (record.bytes) entry->live->bytes = *record.bytes;
    EndLive(entry, record.reason, record.at, Full(around), counters);
    if (entry->empty()) ++empty_entries_;
    ++counters->merged;
    return;
  }
  const bool gone = entry != nullptr && (entry->stored.kind == StoredChange::Kind::kEnd ||
                                         entry->stored.kind == StoredChange::Kind::kReplace);
  const bool touched = entry != nullptr && entry->stored.kind == StoredChange::Kind::kTouch;
  if (gone || (!touched && !MayBeStored(record.key, hash, around))) {
    ++counters->merged;  // there is nothing to end
    return;
  }
  if (touched) {
    ++counters->merged;
  } else {
    entry = &FindOrAdd(record.key, hash);
    --empty_entries_;
    ++tokens_;
  }
  entry->stored.kind = StoredChange::Kind::kEnd;
  entry->stored.reason = record.reason;
  entry->stored.at = record.at;
  if (record.packets) entry->stored.packets = record.packets;
  if (record.bytes) entry->stored.bytes = record.bytes;
}

void Mailbox::MergeContext(DecisionContextRecord record, const Around& around, MergeCounters* counters) {
  if (Full(around)) {
    ++counters->dropped;
    return;
  }
  // One record, but as heavy as all that it lists.
  for (const CandidateContext& candidate : record.candidates) extra_weight_ += 1 + candidate.metrics.size();
  contexts_.push_back(std::move(record));
  ++tokens_;
}

template <typename T, typename Id>
void Mailbox::MergeLatest(std::vector<T>* rows, std::unordered_map<Id, size_t>* index, const Id& id, T record,
                          MergeCounters* counters) {
  const auto [it, added] = index->try_emplace(id, rows->size());
  if (added) {
    rows->push_back(std::move(record));
    ++tokens_;
  } else {
    (*rows)[it->second] = std::move(record);
    ++counters->merged;
  }
}

void Mailbox::Merge(Record record, const Around& around, MergeCounters* counters) {
  if (auto* started = std::get_if<BindingStarted>(&record)) {
    MergeStarted(std::move(*started), around, counters);
  } else if (auto* touched = std::get_if<BindingTouched>(&record)) {
    MergeTouched(*touched, around, counters);
  } else if (auto* ended = std::get_if<BindingEnded>(&record)) {
    MergeEnded(*ended, around, counters);
  } else if (auto* context = std::get_if<DecisionContextRecord>(&record)) {
    MergeContext(std::move(*context), around, counters);
  } else if (auto* sw = std::get_if<SwitchRecord>(&record)) {
    MergeLatest(&switches_, &switch_index_, sw->id.value(), std::move(*sw), counters);
  } else if (auto* service = std::get_if<ServiceRecord>(&record)) {
    MergeLatest(&services_, &service_index_, service->id.value(), std::move(*service), counters);
  } else if (auto* instance = std::get_if<InstanceRecord>(&record)) {
    MergeLatest(&instances_, &instance_index_, instance->id.value(), std::move(*instance), counters);
  } else if (auto* metrics = std::get_if<MetricsRecord>(&record)) {
    MergeLatest(&metrics_, &metrics_index_, metrics->instance.value(), std::move(*metrics), counters);
  } else if (auto* paths = std::get_if<PathsRecord>(&record)) {
    const std::string agent = paths->agent;
    MergeLatest(&paths_, &paths_index_, agent, std::move(*paths), counters);
  } else if (auto* links = std::get_if<LinksRecord>(&record)) {
    MergeLatest(&links_, &links_index_, links->at_switch.value(), std::move(*links), counters);
  } else if (auto* event = std::get_if<EventRecord>(&record)) {
    if (Full(around)) {
      ++counters->dropped;
      return;
    }
    events_.push_back(std::move(*event));
    ++tokens_;
  }
}

}  // namespace dyncast::store
