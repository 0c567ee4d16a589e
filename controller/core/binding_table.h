// Affinity key -> instance, for millions of keys. Open addressing with linear probing in 256 shards that
// grow one by one, so that no single insertion moves more than a 256th of the table. 48 octets a slot,
// shards between 40% and 80% full: at most 120 octets a binding, its spare room included.
//
// The hash is keyed by a seed: clients choose parts of the key and must not be able to build long chains.
// Counts per instance, switch and (service, switch) are kept with each change.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/time.h"
#include "schema/model/binding.h"

namespace dyncast::core {

// Tenths of a second since the core's start; lasts 13 years. Times before the start are 0.
using Decis = std::chrono::duration<uint32_t, std::deci>;

struct BindingRow {
  enum Flag : uint8_t {
    kUnconfirmed = 1,  // from the database; the switch has not yet said that it holds it
    kFlowless = 2,     // the switch refused the flow; the controller forwards and ages it
    kSeen = 4,         // scratch: met in the dump at hand
    kWatched = 8,      // an entry of the core's list of flowless rows is about it
    kGeneration = 16,  // its flow is in a generation table; the epoch it was learned in stands above
    kTold = 128,       // a D-Forwarder was told it (at `installed`), and has not said that it learned it
  };
  static constexpr uint8_t kEpochShift = 5;  // two bits, below kTold
  BindingKey key;
  InstanceId instance;  // 0: the slot is empty
  Decis last_seen{0};   // last packet known of
  Decis installed{0};   // last InstallBinding, or when it was told first
  uint16_t idle_timeout_s = 0;
  uint8_t flags = 0;
  KeyForm form = KeyForm::kRegisters;  // of its flow
  uint64_t packets = 0;

  bool Is(Flag flag) const { return (flags & flag) != 0; }
  void Set(Flag flag) { flags = static_cast<uint8_t>(flags | flag); }
  void Clear(Flag flag) { flags = static_cast<uint8_t>(flags & ~flag); }
  // Meaningful with kGeneration: 0..3, see SwitchDispatch::epoch.
  uint8_t epoch() const { return flags >> kEpochShift & 3; }
  void PlaceInEpoch(uint8_t epoch) {
    flags = static_cast<uint8_t>((flags & ~(3 << kEpochShift)) | kGeneration | (epoch & 3) << kEpochShift);
  }
  void PlaceTimed() { flags = static_cast<uint8_t>(flags & ~(3 << kEpochShift | kGeneration)); }
  BindingPlace place() const {
    return Is(kGeneration) ? GenerationPlace(epoch() & 1, form) : TimedPlace(form);
  }
};
static_assert(sizeof(BindingRow) == 48);

class BindingTable {
 public:
  explicit BindingTable(uint64_t seed);

  // Null if unknown. Valid until the next Insert or Erase.
  BindingRow* Find(const BindingKey& key);
  const BindingRow* Find(const BindingKey& key) const;
  // Precondition: the key is unknown and row.instance is valid. Valid until the next Insert or Erase.
  BindingRow* Insert(const BindingRow& row);
  // False if unknown.
  bool Erase(const BindingKey& key);
  // Gives a known row to another instance; keeps the counts right.
  void Rebind(BindingRow* row, InstanceId instance);

  // Calls f(BindingRow&) for all; f must not insert or erase.
  template <typename F>
  void ForEach(F&& f) {
    for (Shard& shard : shards_) {
      for (BindingRow& row : shard.slots) {
        if (row.instance.valid()) f(row);
      }
    }
  }
  template <typename F>
  void ForEach(F&& f) const {
    for (const Shard& shard : shards_) {
      for (const BindingRow& row : shard.slots) {
        if (row.instance.valid()) f(row);
      }
    }
  }

  // Rows are kept in this many parts; a sweep goes through them one by one.
  static constexpr size_t kShards = 256;
  template <typename F>
  void ForEachIn(size_t shard, F&& f) const {
    for (const BindingRow& row : shards_[shard].slots) {
      if (row.instance.valid()) f(row);
    }
  }

  size_t size() const { return size_; }
  size_t bytes() const;
  uint32_t CountOf(InstanceId instance) const { return At(per_instance_, instance.value()); }
  uint32_t CountOf(InstanceId instance, SwitchId at) const {
    if (instance.value() >= per_instance_at_.size()) return 0;
    return At(per_instance_at_[instance.value()], at.value());
  }
  uint32_t CountAt(SwitchId at) const { return At(per_switch_, at.value()); }
  uint32_t CountOf(ServiceId service, SwitchId at) const;
  uint64_t CountOf(ServiceId service) const;

 private:
  struct Shard {
    std::vector<BindingRow> slots;  // size 0 or a power of two
    size_t used = 0;
  };
  static uint32_t At(const std::vector<uint32_t>& counts, size_t i) {
    return i < counts.size() ? counts[i] : 0;
  }
  uint64_t Hash(const BindingKey& key) const;
  void Grow(Shard* shard);
  void Place(Shard* shard, const BindingRow& row, BindingRow** placed) const;
  uint32_t* Slot(std::vector<uint32_t>* counts, size_t i);
  void Count(const BindingRow& row, int32_t change);

  const uint64_t seed_;
  std::array<Shard, kShards> shards_;
  size_t size_ = 0;
  std::vector<uint32_t> per_instance_;
  std::vector<std::vector<uint32_t>> per_instance_at_;  // [instance][switch]
  std::vector<uint32_t> per_switch_;
  std::vector<std::vector<uint32_t>> per_service_;  // [service][switch]
};

}  // namespace dyncast::core
