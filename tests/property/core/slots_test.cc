// Slots of select groups: exact shares, least movement.
#include "controller/core/slots.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <random>

namespace dyncast::core {
namespace {

uint64_t Seed() {
  if (const char* fixed = std::getenv("DYNCAST_TEST_SEED")) return std::strtoull(fixed, nullptr, 10);
  return std::random_device{}();
}

std::map<InstanceId, uint32_t> Count(const std::vector<InstanceId>& slots) {
  std::map<InstanceId, uint32_t> counts;
  for (const InstanceId instance : slots) ++counts[instance];
  return counts;
}

// Random wants: some as before with a little or much noise, some new, some gone.
std::vector<SlotWant> Next(std::vector<SlotWant> wants, std::mt19937_64* random) {
  const auto pick = [&](size_t n) { return static_cast<size_t>((*random)() % n); };
  const auto weight = [&]() -> double {
    switch (pick(4)) {
      case 0: return 1;
      case 1: return static_cast<double>(1 + pick(100));
      case 2: return std::pow(10.0, static_cast<double>(pick(12)) - 6);
      default: return static_cast<double>((*random)() >> 11) + 1;
    }
  };
  const size_t kind = pick(6);
  if (kind == 0) {
    for (SlotWant& want : wants) want.weight *= 0.9 + static_cast<double>(pick(200)) / 1000;
  } else if (kind == 1) {
    for (SlotWant& want : wants) want.weight = weight();
  } else if (kind == 2 && !wants.empty()) {
    wants.erase(wants.begin() + static_cast<std::ptrdiff_t>(pick(wants.size())));
  } else if (kind == 3) {
    wants.clear();
    const size_t n = pick(kMostSlotInstances + 1);
    for (size_t i = 0; i < n; ++i) {
      wants.push_back({InstanceId{static_cast<uint16_t>(i * 3 + 1 + pick(3))}, weight()});
    }
  } else if (wants.size() < kMostSlotInstances) {
    InstanceId fresh{static_cast<uint16_t>(5000 + pick(5000))};
    bool known = false;
    for (const SlotWant& want : wants) known = known || want.instance == fresh;
    if (!known) wants.push_back({fresh, weight()});
  }
  return wants;
}

// The first rule that `next` breaks; empty if none.
std::string Complaint(const std::vector<InstanceId>& before, const std::vector<SlotWant>& wants,
                      const std::vector<InstanceId>& next) {
  if (wants.empty()) return next.empty() ? "" : "slots for nobody";
  if (next.size() != kSlots) return "size";
  const auto counts = Count(next);
  if (counts.size() != wants.size()) return "an instance without a slot, or one that wants none";
  long double sum = 0;
  for (const SlotWant& want : wants) sum += want.weight;
  // Who is below one slot gets one, the others share the rest: by at most that many slots less in all.
  bool small = false;
  for (const SlotWant& want : wants) small = small || want.weight / sum * kSlots < 1;
  for (const SlotWant& want : wants) {
    const auto found = counts.find(want.instance);
    if (found == counts.end()) return "an instance without a slot";
    const long double exact = want.weight / sum * kSlots;
    if (exact < 1 && found->second != 1 && wants.size() < kSlots) return "more than its least slot";
    if (!small && std::abs(static_cast<double>(exact - found->second)) > 1.0)
      return "share off by more than one";
    for (const SlotWant& other : wants) {
      if (other.weight == want.weight &&
          std::abs(static_cast<int>(found->second) - static_cast<int>(counts.at(other.instance))) > 1) {
        return "equal weights, unequal shares";
      }
    }
  }
  if (before.empty()) return "";
  size_t moved = 0;
  for (size_t i = 0; i < kSlots; ++i) moved += before[i] != next[i] ? 1 : 0;
  size_t needed = 0;
  for (const auto& [instance, had] : Count(before)) {
    const auto now = counts.find(instance);
    const uint32_t has = now == counts.end() ? 0 : now->second;
    needed += had > has ? had - has : 0;
  }
  return moved == needed ? "" : "moved " + std::to_string(moved) + ", needed " + std::to_string(needed);
}

TEST(Slots, SharesAreExactAndOnlyWhatMustMoveMoves) {
  const uint64_t seed = Seed();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  std::vector<SlotWant> wants;
  std::vector<InstanceId> slots;
  for (int i = 0; i < 1500; ++i) {
    wants = Next(wants, &random);
    const auto next = AssignSlots(slots, wants, 7);
    ASSERT_EQ(Complaint(slots, wants, next), "") << "DYNCAST_TEST_SEED=" << seed << " step " << i;
    ASSERT_EQ(AssignSlots(next, wants, 7), next) << "the same wants again change nothing, step " << i;
    ASSERT_FALSE(SharesDiffer(next, wants) && wants.size() < 2);
    ASSERT_TRUE(SameInstances(next, wants));
    slots = next;
  }
}

TEST(Slots, TheComplaintsNoticeFaults) {
  const std::vector<SlotWant> wants = {{InstanceId{1}, 1}, {InstanceId{2}, 2}, {InstanceId{3}, 3}};
  const auto slots = AssignSlots({}, wants, 7);
  EXPECT_EQ(Complaint({}, wants, slots), "");
  auto swapped = slots;
  for (size_t i = 0; i < kSlots; ++i) {
    if (swapped[i] != InstanceId{3}) continue;
    std::swap(swapped[i], swapped[static_cast<size_t>(
                              std::find(swapped.begin(), swapped.end(), InstanceId{1}) - swapped.begin())]);
    break;
  }
  EXPECT_NE(Complaint(slots, wants, swapped), "");
  auto off = slots;
  for (int n = 0; n < 2; ++n) *std::find(off.begin(), off.end(), InstanceId{1}) = InstanceId{2};
  EXPECT_NE(Complaint({}, wants, off), "");
}

TEST(Slots, SharesAsAsked) {
  const auto counts = Count(
      AssignSlots({},
                  std::vector<SlotWant>{
                      {InstanceId{1}, 10}, {InstanceId{2}, 20}, {InstanceId{3}, 30}, {InstanceId{4}, 40}},
                  1));
  EXPECT_EQ(counts,
            (std::map<InstanceId, uint32_t>{
                {InstanceId{1}, 102}, {InstanceId{2}, 205}, {InstanceId{3}, 307}, {InstanceId{4}, 410}}));
  const auto few = Count(AssignSlots({}, std::vector<SlotWant>{{InstanceId{1}, 1}, {InstanceId{2}, 1e9}}, 1));
  EXPECT_EQ(few.at(InstanceId{1}), 1u) << "at least one slot";
}

TEST(Slots, WhatMovesIsSpreadOverTheTable) {
  std::vector<SlotWant> wants = {{InstanceId{1}, 1}, {InstanceId{2}, 1}};
  const auto before = AssignSlots({}, wants, 9);
  wants.push_back({InstanceId{3}, 1});
  const auto after = AssignSlots(before, wants, 9);
  std::array<size_t, 8> moved{};
  for (size_t i = 0; i < kSlots; ++i) moved[i * 8 / kSlots] += before[i] != after[i] ? 1 : 0;
  for (const size_t n : moved) {
    EXPECT_GT(n, 20u);
    EXPECT_LT(n, 66u);
  }
}

TEST(Slots, SmallDifferencesAreLeftAlone) {
  std::vector<SlotWant> wants = {{InstanceId{1}, 100}, {InstanceId{2}, 100}};
  const auto slots = AssignSlots({}, wants, 3);
  EXPECT_FALSE(SharesDiffer(slots, wants));
  wants[0].weight = 103;  // 519.6 of 1024: 1.5% more than 512
  EXPECT_FALSE(SharesDiffer(slots, wants));
  wants[0].weight = 105;  // 524.5: 2.4%
  EXPECT_TRUE(SharesDiffer(slots, wants));
}

}  // namespace
}  // namespace dyncast::core
