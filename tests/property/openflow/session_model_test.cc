// A session under random work against a model: what the switch holds in the end is what was asked for, less
// what was reported as refused.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/property/openflow/random_binding.h"
#include "tests/unit/openflow/harness.h"

namespace dyncast::test {
namespace {

TEST(SessionModel, TheSwitchHoldsWhatWasAskedForLessWhatWasRefused) {
  const uint64_t seed = Seed();
  for (uint64_t round = 0; round < 40; ++round) {
    RandomBindings random(seed + round);
    Joined j({}, {.bundle_max_flows = static_cast<uint32_t>(1 + random.Below(40))});
    j.Start(SmallPlan());
    std::vector<BindingFlow> pool;
    for (int i = 0; i < 60; ++i) {
      pool.push_back(random.Next());
      pool.back().key.service = ServiceId{static_cast<uint16_t>(1 + random.Below(3))};
      pool.back().key.at = SwitchId{1};
      pool.back().place = BindingPlace::kTimed;
    }
    std::map<BindingKey, InstanceId> model;
    std::set<BindingKey> uncertain;  // refused at some time: may be there from before, or not at all
    for (int step = 0; step < 400; ++step) {
      BindingFlow b = pool[random.Below(pool.size())];
      b.instance = InstanceId{static_cast<uint16_t>(1 + random.Below(4))};
      const uint64_t what = random.Below(20);
      if (what < 10) {
        j.session->InstallBinding(b, j.now.mono);
        model[b.key] = b.instance;
      } else if (what < 14) {
        j.session->RemoveBinding(b.key, j.now.mono);
        model.erase(b.key);
      } else if (what == 14) {
        j.session->RemoveBindingsOf(b.key.service, b.instance, j.now.mono);
        std::erase_if(
            model, [&](const auto& e) { return e.first.service == b.key.service && e.second == b.instance; });
      } else if (what == 15) {
        j.fake.RefuseFlow(1 + random.Below(10));
      } else if (what == 16) {
        j.session->Resync();
      } else if (what == 17) {
        const int egress = static_cast<int>(1 + random.Below(6));
        j.Want(random.Below(2) == 0 ? SmallPlan(egress) : TunnelPlan(egress));
      } else if (what == 18) {
        j.session->Run(j.now);  // sends, without an answer yet
      } else {
        j.Advance(Micros{static_cast<int64_t>(random.Below(3000))});
      }
      for (const auto& [key, why] : j.recorder.refused) uncertain.insert(key);
    }
    j.fake.RefuseFlow(UINT32_MAX);
    j.Advance(Micros{5000});
    j.Advance(Micros{5000});
    ASSERT_EQ(j.state(), openflow::Session::State::kSynced)
        << "round " << round << " " << j.session->close_reason();
    for (const auto& [key, why] : j.recorder.refused) uncertain.insert(key);
    // What the switch holds, by a dump of its own.
    j.session->Resync();
    j.Pump();
    std::map<BindingKey, InstanceId> held;
    for (const FoundBinding& b : j.recorder.found.back()) {
      ASSERT_TRUE(held.emplace(b.key, b.instance).second) << "a key twice";
    }
    EXPECT_EQ(held.size(), j.fake.FlowsOf(20).size());
    for (const BindingKey& key : uncertain) {
      held.erase(key);
      model.erase(key);
    }
    ASSERT_TRUE(held == model) << "round " << round << ": the switch holds " << held.size() << ", the model "
                               << model.size();
    // And nothing of ours is wrong: a check finds no difference.
    j.session->Check(1);
    j.Pump();
    ASSERT_FALSE(j.recorder.checked.empty());
    EXPECT_TRUE(j.recorder.checked.back().report.differences.empty());
    ASSERT_TRUE(j.recorder.ended.empty()) << "our own removals were taken for losses: round " << round << " "
                                          << j.recorder.ended[0].first.key.client.ToString();
  }
}

}  // namespace
}  // namespace dyncast::test
