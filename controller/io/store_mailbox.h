// The mailbox between the control thread and the writer: what is posted is merged per row, so that the
// backlog is bounded by the number of rows and not by how long the disk was away. Pure: no I/O, no clock,
// no lock (BindingStore holds one).
//
// For each binding key an entry says (1) what becomes of the row that the database may hold, and (2) the
// row that must stand there afterwards. Bindings that start and end between two writes become finished
// history rows; everything else of a key stays in its entry. Merging keeps exactly what writing the
// records one by one would have left behind, but for intermediate touches.
//
// Counting: each posted record is written, merged (superseded, or it changed nothing), dropped, or pending.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "schema/model/record.h"

namespace dyncast::store {

// A multiset of 64-bit hashes of the keys that may stand in the database. A key that is not in it
// certainly does not, which is what lets the mailbox forget bindings that came and went. Two keys of one
// hash are two elements. 8 to 16 bytes per key.
class KnownKeys {
 public:
  void Insert(uint64_t hash);
  void Erase(uint64_t hash);  // one element; nothing if absent
  bool Contains(uint64_t hash) const;
  size_t size() const { return used_; }

 private:
  size_t Home(uint64_t hash) const { return static_cast<size_t>(hash >> shift_); }
  void Grow();

  std::vector<uint64_t> slots_;  // 0: free; linear probing
  size_t used_ = 0;
  unsigned shift_ = 64;
};

// A live row: the record that started it, and its newest totals.
struct LiveRow {
  BindingStarted started;
  WallTime last_seen{};
  uint64_t packets = 0;
  uint64_t bytes = 0;
};

struct HistoryRow {
  LiveRow row;
  EndReason reason = EndReason::kIdle;
  WallTime ended_at{};
};

// What becomes of the row that the database may hold for a key.
struct StoredChange {
  enum class Kind : uint8_t {
    kKeep,
    kTouch,    // new totals
    kReplace,  // to history if it is there: another binding took the key
    kEnd,      // to history
  };
  Kind kind = Kind::kKeep;
  EndReason reason = EndReason::kIdle;  // kReplace, kEnd
  WallTime at{};                        // kReplace, kEnd
  std::optional<WallTime> last_seen;
  std::optional<uint64_t> packets;  // absent: as they stand in the row
  std::optional<uint64_t> bytes;
};

struct BindingEntry {
  BindingKey key;
  uint64_t hash = 0;
  StoredChange stored;
  std::optional<LiveRow> live;

  // Posted records that this entry still stands for.
  unsigned tokens() const {
    const bool counts = stored.kind == StoredChange::Kind::kTouch || stored.kind == StoredChange::Kind::kEnd;
    return (counts ? 1u : 0u) + (live ? 1u : 0u);
  }
  bool empty() const { return stored.kind == StoredChange::Kind::kKeep && !live; }
};

struct MergeCounters {
  uint64_t merged = 0;
  uint64_t dropped = 0;
};

// One generation: what was posted since the last one was taken away for writing.
class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(Mailbox&&) = default;
  Mailbox& operator=(Mailbox&&) = default;

  // What a merge needs to know about its surroundings.
  struct Around {
    const KnownKeys* known = nullptr;
    const Mailbox* writing = nullptr;  // the generation before this one, not yet in `known`; may be null
    size_t max_weight = 0;             // beyond it history, events and decision contexts are dropped
  };
  void Merge(Record record, const Around& around, MergeCounters* counters);
  // Empties it, and keeps a usual amount of memory for the next generation: fresh memory for each would
  // cost more page faults than merging costs time.
  void Clear();

  bool HoldsLive(const BindingKey& key, uint64_t hash) const;
  // Posted records that are in it, and what they weigh against max_weight (a context weighs its size).
  size_t tokens() const { return tokens_; }
  size_t weight() const { return tokens_ + extra_weight_; }
  bool empty() const { return tokens_ == 0 && entries_.size() == empty_entries_; }

  // In the order in which they are to be written: names before what refers to them.
  const std::vector<SwitchRecord>& switches() const { return switches_; }
  const std::vector<ServiceRecord>& services() const { return services_; }
  const std::vector<InstanceRecord>& instances() const { return instances_; }
  const std::vector<DecisionContextRecord>& contexts() const { return contexts_; }
  const std::vector<HistoryRow>& history() const { return history_; }
  const std::vector<BindingEntry>& entries() const { return entries_; }
  const std::vector<EventRecord>& events() const { return events_; }
  const std::vector<MetricsRecord>& metrics() const { return metrics_; }
  const std::vector<PathsRecord>& paths() const { return paths_; }
  const std::vector<LinksRecord>& links() const { return links_; }

 private:
  BindingEntry* Find(const BindingKey& key, uint64_t hash);
  BindingEntry& FindOrAdd(const BindingKey& key, uint64_t hash);
  void Reindex(size_t slots);
  void DropEmptyEntries();
  void EndLive(BindingEntry* entry, EndReason reason, WallTime at, bool full, MergeCounters* counters);

  void MergeStarted(BindingStarted record, const Around& around, MergeCounters* counters);
  void MergeTouched(const BindingTouched& record, const Around& around, MergeCounters* counters);
  void MergeEnded(const BindingEnded& record, const Around& around, MergeCounters* counters);
  void MergeContext(DecisionContextRecord record, const Around& around, MergeCounters* counters);
  template <typename T, typename Id>
  void MergeLatest(std::vector<T>* rows, std::unordered_map<Id, size_t>* index, const Id& id, T record,
                   MergeCounters* counters);
  bool Full(const Around& around) const {
    return weight() + (around.writing != nullptr ? around.writing->weight() : 0) >= around.max_weight;
  }
  static bool MayBeStored(const BindingKey& key, uint64_t hash, const Around& around);

  std::vector<SwitchRecord> switches_;
  std::vector<ServiceRecord> services_;
  std::vector<InstanceRecord> instances_;
  std::vector<MetricsRecord> metrics_;
  std::vector<PathsRecord> paths_;
  std::vector<LinksRecord> links_;
  std::unordered_map<uint16_t, size_t> switch_index_, service_index_, instance_index_, metrics_index_,
      links_index_;
  std::unordered_map<std::string, size_t> paths_index_;  // by agent
  std::vector<DecisionContextRecord> contexts_;
  std::vector<HistoryRow> history_;
  std::vector<EventRecord> events_;
  std::vector<BindingEntry> entries_;
  std::vector<uint32_t> index_;  // open addressing: position in entries_ + 1; 0: free
  unsigned shift_ = 64;
  size_t empty_entries_ = 0;
  size_t tokens_ = 0;
  size_t extra_weight_ = 0;
};

uint64_t HashOf(const BindingKey& key);

}  // namespace dyncast::store
