// Random lives of a core, judged by an independent oracle after each step.
#include <cstdlib>

#include "tests/property/core/driver.h"

namespace dyncast::core {
namespace {

uint64_t Seed() {
  if (const char* fixed = std::getenv("DYNCAST_TEST_SEED")) return std::strtoull(fixed, nullptr, 10);
  return std::random_device{}();
}

TEST(CoreProperty, TheRulesHoldAfterEveryStep) {
  const uint64_t first = Seed();
  std::printf("seed %llu\n", static_cast<unsigned long long>(first));
  uint64_t demands = 0;
  uint64_t moved = 0;
  uint64_t restarts = 0;
  uint64_t deleted = 0;
  uint64_t learned = 0;
  uint64_t flips = 0;
  uint64_t closings = 0;
  uint64_t slots_moved = 0;
  uint64_t asked = 0;
  uint64_t taken = 0;
  uint64_t refused = 0;
  uint64_t followed = 0;
  for (uint64_t seed = first; seed < first + 6; ++seed) {
    Driver driver(seed);
    driver.Run(4000);
    demands += driver.demands;
    moved += driver.moved;
    restarts += driver.restarts;
    deleted += driver.deleted;
    learned += driver.oracle.learned;
    flips += driver.flips;
    closings += driver.closings;
    slots_moved += driver.oracle.slots_moved;
    asked += driver.misses;
    taken += driver.oracle.taken;
    refused += driver.refused;
    followed += driver.followed;
    ASSERT_TRUE(driver.oracle.broken.empty()) << "DYNCAST_TEST_SEED=" << seed << "\n"
                                              << driver.oracle.broken.front();
  }
  // The lives were worth living.
  EXPECT_GT(demands, 1000u);
  EXPECT_GT(moved, 20u);
  EXPECT_GT(restarts, 10u);
  EXPECT_GT(deleted, 5u);
  EXPECT_GT(learned, 300u);
  EXPECT_GT(flips, 50u);
  EXPECT_GT(closings, 1u);
  EXPECT_GT(slots_moved, 1000u);
  EXPECT_GT(asked, 200u);
  EXPECT_GT(taken, 50u);
  EXPECT_GT(refused, 20u);
  // Seldom in six lives; the unit tests see to it that it happens.
  std::printf("rows that followed a count: %llu\n", static_cast<unsigned long long>(followed));
}

TEST(CoreProperty, TheSameEventsGiveTheSameEffects) {
  const uint64_t seed = Seed();
  Driver a(seed);
  Driver b(seed);
  a.Run(3000);
  b.Run(3000);
  EXPECT_TRUE(a.trace == b.trace) << "seed " << seed;
  Driver c(seed + 1);
  c.Run(3000);
  EXPECT_FALSE(a.trace == c.trace);
}

// ---- The oracle must notice planted faults ----------------------------------------------------------

// The first complaint about a life whose effects are altered; empty if none.
std::string ComplaintAbout(const Driver::Tamper& tamper) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Driver driver(seed, tamper);
    driver.Run(3000);
    if (!driver.oracle.broken.empty()) return driver.oracle.broken.front();
  }
  return {};
}

template <typename T>
Driver::Tamper DropNth(int n) {
  return [n, seen = 0](Effects* effects) mutable {
    std::erase_if(*effects, [&](const Effect& effect) {
      if constexpr (std::is_constructible_v<Record, T>) {
        const Record* record = std::get_if<Record>(&effect);
        return record != nullptr && std::holds_alternative<T>(*record) && ++seen == n;
      } else {
        return std::holds_alternative<T>(effect) && ++seen == n;
      }
    });
  };
}

TEST(CoreOracle, NoticesWhatIsLeftOut) {
  EXPECT_NE(ComplaintAbout(DropNth<BindingStarted>(5)), "");
  EXPECT_NE(ComplaintAbout(DropNth<BindingEnded>(5)), "");
  EXPECT_NE(ComplaintAbout(DropNth<InstallBinding>(9)), "");
  EXPECT_NE(ComplaintAbout(DropNth<SetPlan>(4)), "");
  EXPECT_NE(ComplaintAbout(DropNth<InstanceRecord>(3)), "");
}

TEST(CoreOracle, NoticesTablesThatAreNotEmptied) {
  EXPECT_NE(ComplaintAbout([](Effects* effects) {
              std::erase_if(*effects,
                            [](const Effect& e) { return std::holds_alternative<RemoveBindingsAt>(e); });
            }),
            "");
}

// Alters the slots of every fourth plan that has some.
Driver::Tamper AlterSlots(const std::function<void(const SwitchPlan&, std::vector<InstanceId>*)>& alter) {
  return [alter, seen = 0](Effects* effects) mutable {
    for (Effect& effect : *effects) {
      auto* set = std::get_if<SetPlan>(&effect);
      if (set == nullptr) continue;
      auto other = *set->plan;
      for (PlannedService& service : other.services) {
        if (!service.slots_v4.empty() && ++seen % 4 == 0) alter(other, &service.slots_v4);
      }
      set->plan = std::make_shared<const SwitchPlan>(other);
    }
  };
}

TEST(CoreOracle, NoticesSlotsThatMoveForNothing) {
  const auto complaint = ComplaintAbout(AlterSlots([](const SwitchPlan&, std::vector<InstanceId>* slots) {
    std::rotate(slots->begin(), slots->begin() + 1, slots->end());
  }));
  EXPECT_NE(complaint, "");
}

TEST(CoreOracle, NoticesASlotOfOneThatTakesNoDemands) {
  const auto complaint = ComplaintAbout(AlterSlots(
      [](const SwitchPlan&, std::vector<InstanceId>* slots) { slots->front() = InstanceId{999}; }));
  EXPECT_NE(complaint.find("slots are not those"), std::string::npos) << complaint;
}

TEST(CoreOracle, NoticesADemandThatGoesElsewhere) {
  int seen = 0;
  const auto complaint = ComplaintAbout([&seen](Effects* effects) {
    for (Effect& effect : *effects) {
      auto* forward = std::get_if<ForwardDemand>(&effect);
      // Only where the core follows a binding: a selected one may go anywhere.
      if (forward == nullptr || effects->size() > 2 || ++seen < 3) continue;
      forward->instance = InstanceId{static_cast<uint16_t>(forward->instance.value() % 6 + 1)};
    }
  });
  EXPECT_NE(complaint, "");
}

TEST(CoreOracle, NoticesAFlowForAnotherInstance) {
  int seen = 0;
  const auto complaint = ComplaintAbout([&seen](Effects* effects) {
    for (Effect& effect : *effects) {
      auto* install = std::get_if<InstallBinding>(&effect);
      if (install == nullptr || ++seen % 16 != 4) continue;
      install->flow.instance = InstanceId{static_cast<uint16_t>(install->flow.instance.value() % 6 + 1)};
    }
  });
  EXPECT_NE(complaint, "");
}

// Alters each plan of a D-Forwarder.
Driver::Tamper AlterForwarder(const std::function<void(SwitchPlan*)>& alter) {
  return [alter](Effects* effects) {
    for (Effect& effect : *effects) {
      auto* set = std::get_if<SetPlan>(&effect);
      if (set == nullptr || set->plan->role != SwitchRole::kDForwarder) continue;
      auto other = *set->plan;
      alter(&other);
      set->plan = std::make_shared<const SwitchPlan>(other);
    }
  };
}

TEST(CoreOracle, NoticesADForwarderThatAsksTheWrongOne) {
  const auto complaint =
      ComplaintAbout(AlterForwarder([](SwitchPlan* plan) { plan->ask = Ip("10.255.2.2"); }));
  EXPECT_NE(complaint, "");
}

TEST(CoreOracle, NoticesADForwarderThatThinksAGoneInstanceIsThere) {
  const auto complaint = ComplaintAbout(AlterForwarder([](SwitchPlan* plan) {
    for (PlannedInstance& instance : plan->instances) instance.reachable = true;
  }));
  EXPECT_NE(complaint, "");
}

TEST(CoreOracle, NoticesADForwarderThatIsToldTwoThings) {
  int seen = 0;
  const auto complaint = ComplaintAbout([&seen](Effects* effects) {
    for (Effect& effect : *effects) {
      auto* forward = std::get_if<ForwardDemand>(&effect);
      if (forward == nullptr || forward->forwarder.is_none() || effects->size() > 1 || ++seen < 3) continue;
      forward->instance = InstanceId{static_cast<uint16_t>(forward->instance.value() % 6 + 1)};
    }
  });
  EXPECT_NE(complaint, "");
}

TEST(CoreOracle, NoticesAPlanWithOneInstanceMissing) {
  const auto complaint = ComplaintAbout([](Effects* effects) {
    for (Effect& effect : *effects) {
      auto* set = std::get_if<SetPlan>(&effect);
      if (set == nullptr || set->plan->instances.size() < 2) continue;
      auto less = *set->plan;
      less.instances.pop_back();
      set->plan = std::make_shared<const SwitchPlan>(less);
    }
  });
  EXPECT_NE(complaint, "");
}

}  // namespace
}  // namespace dyncast::core
