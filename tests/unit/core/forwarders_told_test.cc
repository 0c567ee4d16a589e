// What a D-Forwarder was told in vain: the row and the switch agree again.
#include "tests/unit/core/forwarders_fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::seconds;

// A key of f2 is bound to rtp's first instance, which goes; f2 is told the other one, in vain; the first
// returns.
class ToldInVainTest : public ForwardersTest {
 protected:
  void TellInVain(BindingStoreKind store = BindingStoreKind::kTimed) {
    config_.services[1].affinity.store = store;
    StartAll();
    const auto asked = All<ForwardDemand>(Do(Asked("rtp", 6000)));
    ASSERT_EQ(asked.size(), 1u);
    key_ = asked[0].key;
    first_ = asked[0].instance;
    if (store == BindingStoreKind::kGenerations) place_ = BindingPlace::kGeneration0;
    Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Held(first_)}});
    const bool two = first_ == View("rtp-2").id;
    const auto say = [&](wire::Health health) {
      Announce(two ? "a2" : "a3", two ? "rtp-2" : "rtp-3", "rtp", two ? "10.2.0.20" : "10.3.0.20", health);
      Tick();
    };
    say(wire::Health::kDown);
    const auto again = All<ForwardDemand>(Do(Asked("rtp", 6000)));
    ASSERT_EQ(again.size(), 1u);
    second_ = again[0].instance;
    ASSERT_NE(second_, first_);
    if (returns_) say(wire::Health::kUp);
  }
  FoundBinding Held(InstanceId instance) const {
    FoundBinding held = Taken(key_, instance);
    held.place = place_;
    held.packets = 7;
    return held;
  }
  Effects Count(InstanceId instance) { return Do(BindingsCounted{Sw("f2"), {Held(instance)}}); }
  // The instance is another server now, at another D-BID.
  Effects Rebuild(InstanceId instance) {
    const bool two = instance == View("rtp-2").id;
    const auto say = [&](const std::string& host, wire::Health health) {
      return Announce(two ? "a2" : "a3", two ? "rtp-2" : "rtp-3", "rtp", (two ? "10.2.0." : "10.3.0.") + host,
                      health);
    };
    say("20", wire::Health::kDown);
    return say("21", wire::Health::kUp);
  }
  InstanceId Row() const {
    const std::vector<BindingFlow> rows = core_->BindingsOf(Sw("f2"));
    return rows.size() == 1 ? rows[0].instance : InstanceId{};
  }

  BindingKey key_;
  InstanceId first_;
  InstanceId second_;
  BindingPlace place_ = BindingPlace::kTimed;
  bool returns_ = true;
};

TEST_F(ToldInVainTest, TheRowFollowsTheSwitchThatGoesOnWithTheFirst) {
  for (const BindingStoreKind store : {BindingStoreKind::kTimed, BindingStoreKind::kGenerations}) {
    TellInVain(store);
    EXPECT_TRUE(Records<BindingStarted>(Count(first_)).empty()) << "what it was told may be on its way";
    EXPECT_EQ(Row(), second_);
    Advance(seconds{6});
    const Effects effects = Count(first_);
    const auto ended = Records<BindingEnded>(effects);
    ASSERT_EQ(ended.size(), 1u);
    EXPECT_EQ(ended[0].key, key_);
    EXPECT_EQ(ended[0].reason, EndReason::kReplaced);
    const auto started = Records<BindingStarted>(effects);
    ASSERT_EQ(started.size(), 1u);
    EXPECT_EQ(started[0].instance, first_);
    EXPECT_EQ(started[0].decided_by, DecidedBy::kForwarder);
    EXPECT_EQ(started[0].reason, StartReason::kFound);
    const auto touched = Records<BindingTouched>(effects);
    ASSERT_EQ(touched.size(), 1u);
    EXPECT_EQ(touched[0].packets, 7u);
    EXPECT_TRUE(All<InstallBinding>(effects).empty() && All<RemoveBinding>(effects).empty());
    EXPECT_EQ(Row(), first_);
    EXPECT_EQ(Counter("told-in-vain"), 1u);
    EXPECT_TRUE(Records<BindingStarted>(Count(first_)).empty()) << "once";
    EXPECT_EQ(Records<BindingEnded>(Do(BindingFlowEnded{Sw("f2"), Held(first_), EndReason::kIdle})).size(),
              1u);
  }
}

TEST_F(ToldInVainTest, ACountThatIsOlderThanTheLearningMovesNothing) {
  TellInVain();
  Advance(seconds{6});
  Do(BindingsLearned{Sw("f2"), std::vector<FoundBinding>{Held(second_)}});
  EXPECT_TRUE(Count(first_).empty());
  Advance(seconds{60});
  EXPECT_TRUE(Count(first_).empty());
  EXPECT_EQ(Row(), second_);
}

TEST_F(ToldInVainTest, ACountThatSaysWhatWasToldConfirmsIt) {
  TellInVain();
  Advance(seconds{6});
  EXPECT_TRUE(Records<BindingStarted>(Count(second_)).empty());
  EXPECT_TRUE(Records<BindingStarted>(Count(first_)).empty());
  EXPECT_EQ(Row(), second_);
}

TEST_F(ToldInVainTest, AnInstanceThatIsGoneIsNoSwitchesWord) {
  returns_ = false;
  TellInVain();
  Advance(seconds{6});
  EXPECT_TRUE(Count(first_).empty());
  EXPECT_EQ(Row(), second_) << "the next packet asks again";
}

TEST_F(ToldInVainTest, WhatIsLeftInTheOlderTableIsNoSwitchesWord) {
  TellInVain(BindingStoreKind::kGenerations);
  Advance(seconds{6});
  place_ = BindingPlace::kGeneration1;
  EXPECT_TRUE(Count(first_).empty());
  EXPECT_EQ(Row(), second_);
}

TEST_F(ToldInVainTest, ARowThatEndsLeavesNoFlowWithoutARow) {
  TellInVain();
  const Effects effects = Rebuild(second_);
  EXPECT_EQ(Records<BindingEnded>(effects).size(), 1u);
  const auto removed = All<RemoveBinding>(effects);
  ASSERT_EQ(removed.size(), 1u) << "it may go on with the first";
  EXPECT_EQ(removed[0].at, Sw("f2"));
  EXPECT_EQ(removed[0].key, key_);
}

TEST_F(ToldInVainTest, AFlowDoesNotOutliveItsInstanceThoughNoRowNamesIt) {
  TellInVain();
  const Effects effects = Rebuild(first_);
  EXPECT_TRUE(Records<BindingEnded>(effects).empty());
  const auto removed = All<RemoveBindingsOf>(effects);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].at, Sw("f2"));
  EXPECT_EQ(removed[0].instance, first_);
  EXPECT_EQ(Row(), second_);
}

}  // namespace
}  // namespace dyncast::core
