#include "controller/core/slots.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "controller/core/mix.h"

namespace dyncast::core {
namespace {

// How many slots each of the wants has now, by its index.
class Holders {
 public:
  explicit Holders(std::span<const SlotWant> wants) {
    order_.reserve(wants.size());
    for (size_t i = 0; i < wants.size(); ++i) order_.emplace_back(wants[i].instance, i);
    std::sort(order_.begin(), order_.end());
  }
  static constexpr size_t kNone = SIZE_MAX;
  size_t IndexOf(InstanceId instance) const {
    const auto at = std::lower_bound(order_.begin(), order_.end(), std::pair{instance, size_t{0}});
    return at != order_.end() && at->first == instance ? at->second : kNone;
  }
  std::vector<uint32_t> Count(std::span<const InstanceId> current) const {
    std::vector<uint32_t> counts(order_.size(), 0);
    for (const InstanceId instance : current) {
      const size_t i = IndexOf(instance);
      if (i != kNone) ++counts[i];
    }
    return counts;
  }

 private:
  std::vector<std::pair<InstanceId, size_t>> order_;
};

// Parts of kSlots in proportion to the weights. Who would get less than one slot gets one, at the cost of the
// others in proportion.
std::vector<double> Quotas(std::span<const SlotWant> wants) {
  std::vector<double> quotas(wants.size(), 0);
  std::vector<bool> least(wants.size(), false);
  for (;;) {
    // The largest weight as the unit: no sum overflows.
    double largest = 0;
    double slots = static_cast<double>(kSlots);
    for (size_t i = 0; i < wants.size(); ++i) {
      if (least[i])
        slots -= 1;
      else
        largest = std::max(largest, wants[i].weight);
    }
    double sum = 0;
    for (size_t i = 0; i < wants.size(); ++i) sum += least[i] ? 0 : wants[i].weight / largest;
    bool again = false;
    for (size_t i = 0; i < wants.size(); ++i) {
      quotas[i] = least[i] ? 1 : wants[i].weight / largest / sum * slots;
      if (!least[i] && quotas[i] < 1) {
        least[i] = true;
        again = true;
      }
    }
    if (!again) return quotas;
  }
}

}  // namespace

std::vector<uint32_t> SlotCounts(std::span<const SlotWant> wants, std::span<const InstanceId> current) {
  if (wants.empty()) return {};
  const std::vector<double> quotas = Quotas(wants);
  const std::vector<uint32_t> has = Holders(wants).Count(current);
  std::vector<uint32_t> counts(wants.size());
  size_t given = 0;
  for (size_t i = 0; i < wants.size(); ++i) {
    // Rounding must not take the last slot of one that has a right to it.
    counts[i] = std::max(1u, static_cast<uint32_t>(quotas[i] + 1e-9));
    given += counts[i];
  }
  std::vector<size_t> order(wants.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // In billionths of a slot, so that equal weights tie.
  std::vector<int64_t> rests(wants.size());
  for (size_t i = 0; i < wants.size(); ++i) {
    rests[i] = std::llround((quotas[i] - static_cast<double>(counts[i])) * 1e9);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (rests[a] != rests[b]) return rests[a] > rests[b];
    const bool keeps_a = has[a] > counts[a];
    const bool keeps_b = has[b] > counts[b];
    if (keeps_a != keeps_b) return keeps_a;
    return wants[a].instance < wants[b].instance;
  });
  for (size_t k = 0; given < kSlots; k = (k + 1) % order.size(), ++given) ++counts[order[k]];
  for (size_t k = order.size(); given > kSlots; k = k == 0 ? order.size() : k) {
    --k;
    if (counts[order[k]] <= 1) continue;
    --counts[order[k]];
    --given;
  }
  return counts;
}

std::vector<InstanceId> AssignSlots(std::span<const InstanceId> current, std::span<const SlotWant> wants,
                                    uint64_t seed) {
  if (wants.empty()) return {};
  const std::vector<uint32_t> counts = SlotCounts(wants, current);
  const Holders holders(wants);
  std::vector<InstanceId> slots(current.begin(), current.end());
  slots.resize(kSlots);
  std::vector<std::vector<size_t>> held(wants.size());
  std::vector<size_t> free;
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const size_t i = holders.IndexOf(slots[slot]);
    if (i == Holders::kNone) {
      free.push_back(slot);
    } else {
      held[i].push_back(slot);
    }
  }
  const auto by_hash = [seed](uint64_t salt) {
    return [seed, salt](size_t a, size_t b) {
      const auto rank = [&](size_t slot) {
        return std::pair{Mix(seed ^ (slot * 0x9E3779B97F4A7C15ull), salt | 1), slot};
      };
      return rank(a) < rank(b);
    };
  };
  for (size_t i = 0; i < wants.size(); ++i) {
    if (held[i].size() <= counts[i]) continue;
    const uint64_t salt = (uint64_t{wants[i].instance.value()} + 1) * 0xD6E8FEB86659FD93ull;
    std::sort(held[i].begin(), held[i].end(), by_hash(salt));
    free.insert(free.end(), held[i].begin(), held[i].end() - static_cast<std::ptrdiff_t>(counts[i]));
    held[i].resize(counts[i]);
  }
  std::sort(free.begin(), free.end(), by_hash(0xA0761D6478BD642Full));
  size_t next = 0;
  for (size_t i = 0; i < wants.size(); ++i) {
    for (size_t n = held[i].size(); n < counts[i]; ++n) slots[free[next++]] = wants[i].instance;
  }
  return slots;
}

bool SameInstances(std::span<const InstanceId> current, std::span<const SlotWant> wants) {
  if (current.empty() || wants.empty()) return current.empty() == wants.empty();
  const Holders holders(wants);
  for (const InstanceId instance : current) {
    if (holders.IndexOf(instance) == Holders::kNone) return false;
  }
  const std::vector<uint32_t> has = holders.Count(current);
  return std::all_of(has.begin(), has.end(), [](uint32_t n) { return n > 0; });
}

bool SharesDiffer(std::span<const InstanceId> current, std::span<const SlotWant> wants) {
  const std::vector<uint32_t> has = Holders(wants).Count(current);
  const std::vector<double> quotas = wants.empty() ? std::vector<double>{} : Quotas(wants);
  for (size_t i = 0; i < wants.size(); ++i) {
    const double off = std::abs(quotas[i] - static_cast<double>(has[i]));
    if (off > std::max(1.0, kShareTolerance * static_cast<double>(has[i]))) return true;
  }
  return false;
}

}  // namespace dyncast::core
