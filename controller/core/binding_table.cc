#include "controller/core/binding_table.h"

#include <cassert>
#include <cstring>
#include <numeric>

#include "controller/core/mix.h"

namespace dyncast::core {
namespace {

constexpr size_t kFirstSlots = 2;

}  // namespace

BindingTable::BindingTable(uint64_t seed) : seed_(seed) {}

uint64_t BindingTable::Hash(const BindingKey& key) const { return HashKey(key, seed_); }

BindingRow* BindingTable::Find(const BindingKey& key) {
  return const_cast<BindingRow*>(static_cast<const BindingTable*>(this)->Find(key));
}

const BindingRow* BindingTable::Find(const BindingKey& key) const {
  const uint64_t hash = Hash(key);
  const Shard& shard = shards_[hash >> 56];
  if (shard.slots.empty()) return nullptr;
  const size_t mask = shard.slots.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    const BindingRow& row = shard.slots[i];
    if (!row.instance.valid()) return nullptr;
    if (row.key == key) return &row;
  }
}

void BindingTable::Place(Shard* shard, const BindingRow& row, BindingRow** placed) const {
  const size_t mask = shard->slots.size() - 1;
  size_t i = Hash(row.key) & mask;
  while (shard->slots[i].instance.valid()) i = (i + 1) & mask;
  shard->slots[i] = row;
  if (placed != nullptr) *placed = &shard->slots[i];
}

void BindingTable::Grow(Shard* shard) {
  std::vector<BindingRow> old(shard->slots.empty() ? kFirstSlots : shard->slots.size() * 2);
  old.swap(shard->slots);
  for (const BindingRow& row : old) {
    if (row.instance.valid()) Place(shard, row, nullptr);
  }
}

BindingRow* BindingTable::Insert(const BindingRow& row) {
  assert(row.instance.valid() && Find(row.key) == nullptr);
  Shard& shard = shards_[Hash(row.key) >> 56];
  if ((shard.used + 1) * 5 > shard.slots.size() * 4) Grow(&shard);
  BindingRow* placed = nullptr;
  Place(&shard, row, &placed);
  ++shard.used;
  ++size_;
  Count(row, 1);
  return placed;
}

bool BindingTable::Erase(const BindingKey& key) {
  BindingRow* row = Find(key);
  if (row == nullptr) return false;
  Count(*row, -1);
  Shard& shard = shards_[Hash(key) >> 56];
  const size_t mask = shard.slots.size() - 1;
  // Moves later members of the chain back, so that no tombstone is needed.
  size_t hole = static_cast<size_t>(row - shard.slots.data());
  for (size_t i = (hole + 1) & mask; shard.slots[i].instance.valid(); i = (i + 1) & mask) {
    const size_t home = Hash(shard.slots[i].key) & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      shard.slots[hole] = shard.slots[i];
      hole = i;
    }
  }
  shard.slots[hole] = BindingRow{};
  --shard.used;
  --size_;
  if (shard.used == 0) {
    std::vector<BindingRow>().swap(shard.slots);
  } else if (shard.slots.size() > kFirstSlots && shard.used * 5 < shard.slots.size()) {
    // A fifth full: half the room, so that a burst does not hold its memory for ever.
    std::vector<BindingRow> old(shard.slots.size() / 2);
    old.swap(shard.slots);
    for (const BindingRow& moved : old) {
      if (moved.instance.valid()) Place(&shard, moved, nullptr);
    }
  }
  return true;
}

void BindingTable::Rebind(BindingRow* row, InstanceId instance) {
  Count(*row, -1);
  row->instance = instance;
  Count(*row, 1);
}

uint32_t* BindingTable::Slot(std::vector<uint32_t>* counts, size_t i) {
  if (counts->size() <= i) counts->resize(i + 1, 0);
  return &(*counts)[i];
}

void BindingTable::Count(const BindingRow& row, int32_t change) {
  const auto add = [change](uint32_t* count) { *count += static_cast<uint32_t>(change); };
  add(Slot(&per_instance_, row.instance.value()));
  if (per_instance_at_.size() <= row.instance.value())
    per_instance_at_.resize(size_t{row.instance.value()} + 1);
  add(Slot(&per_instance_at_[row.instance.value()], row.key.at.value()));
  add(Slot(&per_switch_, row.key.at.value()));
  const size_t service = row.key.service.value();
  if (per_service_.size() <= service) per_service_.resize(service + 1);
  add(Slot(&per_service_[service], row.key.at.value()));
}

uint32_t BindingTable::CountOf(ServiceId service, SwitchId at) const {
  return service.value() < per_service_.size() ? At(per_service_[service.value()], at.value()) : 0;
}

uint64_t BindingTable::CountOf(ServiceId service) const {
  if (service.value() >= per_service_.size()) return 0;
  const auto& counts = per_service_[service.value()];
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

size_t BindingTable::bytes() const {
  size_t total = sizeof(*this);
  for (const Shard& shard : shards_) total += shard.slots.capacity() * sizeof(BindingRow);
  total += (per_instance_.capacity() + per_switch_.capacity()) * sizeof(uint32_t);
  for (const auto* table : {&per_service_, &per_instance_at_}) {
    for (const auto& counts : *table) total += sizeof(counts) + counts.capacity() * sizeof(uint32_t);
  }
  return total;
}

}  // namespace dyncast::core
