// The switch's option table: asked for only where a plan needs it, filled before the flows, never cleared.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/openflow/harness.h"

namespace dyncast::test {
namespace {

using openflow::MsgType;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using State = openflow::Session::State;

const std::map<uint16_t, FakeTunnelOption> kOurs = {
    {0, {0xff01, 1, 4}}, {1, {0xff01, 2, 12}}, {2, {0xff01, 3, 16}}};

TEST(TunnelOptions, ABridgeWithoutThemIsNotAsked) {
  Joined j;
  j.Start(SmallPlan());
  j.session->Resync();
  j.Pump();
  j.session->Check(1);
  j.Pump();
  EXPECT_EQ(j.recorder.checked.size(), 1u);
  EXPECT_EQ(j.fake.option_requests_seen(), 0u);
  EXPECT_EQ(j.fake.option_mods_seen(), 0u);
}

TEST(TunnelOptions, AreAddedBeforeTheFlowsAndThenLeftAlone) {
  Joined j;
  j.Start(TunnelPlan());  // the emulated switch refuses a flow whose option is not mapped
  ASSERT_EQ(j.recorder.synced.size(), 1u);
  EXPECT_EQ(j.counters.resyncs, 0u);
  EXPECT_EQ(j.fake.tunnel_options(), kOurs);
  EXPECT_EQ(j.fake.option_requests_seen(), 1u);
  EXPECT_EQ(j.fake.option_mods_seen(), 1u);
  // Another plan: what is known need not be asked.
  j.Want(TunnelPlan(4));
  j.Pump();
  EXPECT_EQ(j.fake.option_requests_seen(), 1u);
  // With each dump, and nothing is sent.
  j.fake.ResetCounts();
  j.session->Resync();
  j.Pump();
  j.session->Check(1);
  j.Pump();
  ASSERT_EQ(j.recorder.checked.size(), 1u);
  EXPECT_THAT(j.recorder.checked[0].report.differences, IsEmpty());
  EXPECT_THAT(j.recorder.synced.back().differences, IsEmpty());
  EXPECT_EQ(j.fake.received(MsgType::kBundleControl) + j.fake.received(MsgType::kBarrierRequest), 0u);
  EXPECT_EQ(j.fake.option_requests_seen(), 3u);
  EXPECT_EQ(j.fake.option_mods_seen(), 1u);
  // A restarted controller.
  j.Reconnect();
  j.Start(TunnelPlan(4));
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.fake.option_mods_seen(), 1u);
  // They stay when nobody wants them.
  j.Want(SmallPlan());
  j.Pump();
  EXPECT_EQ(j.fake.tunnel_options(), kOurs);
}

TEST(TunnelOptions, OnlyWhatIsMissingIsAddedBesideOthers) {
  Joined j;
  const FakeTunnelOption theirs{0x102, 1, 8};
  j.fake.tunnel_options() = {{1, {0xff01, 2, 12}}, {9, theirs}};
  j.Start(TunnelPlan());
  EXPECT_EQ(j.state(), State::kSynced);
  auto expected = kOurs;
  expected[9] = theirs;
  EXPECT_EQ(j.fake.tunnel_options(), expected);
}

TEST(TunnelOptions, AloneTheyAreConfirmedByABarrier) {
  Joined j;
  j.Start(SmallPlan());
  j.fake.ResetCounts();
  pipeline::Compiled plan = SmallPlan();
  plan.tunnel_options = TunnelPlan().tunnel_options;
  j.Want(plan);
  j.Pump();
  EXPECT_EQ(j.recorder.synced.size(), 2u);
  EXPECT_EQ(j.fake.received(MsgType::kBarrierRequest), 1u);
  EXPECT_EQ(j.fake.received(MsgType::kBundleControl), 0u);
  EXPECT_EQ(j.fake.tunnel_options(), kOurs);
}

TEST(TunnelOptions, WhatIsMappedOtherwiseRefusesThePlanAndIsLeft) {
  const std::map<uint16_t, FakeTunnelOption> others[] = {
      {{2, {0x102, 9, 16}}},   // our field
      {{2, {0xff01, 3, 12}}},  // our option in another length
      {{5, {0xff01, 3, 16}}},  // our option under another field
  };
  for (const auto& mapped : others) {
    Joined j;
    j.fake.tunnel_options() = mapped;
    j.Start(TunnelPlan());
    EXPECT_EQ(j.state(), State::kRefused);
    EXPECT_THAT(j.session->last_error(),
                HasSubstr("switch 0x2a cannot have the plan: it has the tunnel option tun_metadata"));
    EXPECT_THAT(j.session->last_error(), HasSubstr("where tun_metadata2 (class 0xff01, type 3, 16 octets)"));
    const auto& [field, theirs] = *mapped.begin();
    EXPECT_THAT(j.session->last_error(),
                HasSubstr(fmt::format("del-tlv-map BRIDGE '{{class={:#x},type={},len={}}}->tun_metadata{}'",
                                      theirs.option_class, theirs.type, theirs.octets, field)));
    EXPECT_THAT(j.fake.flows(), IsEmpty()) << "half of a plan";
    EXPECT_EQ(j.fake.tunnel_options(), mapped);
    EXPECT_EQ(j.fake.option_mods_seen(), 0u);
    j.session->Check(1);
    j.Pump();
    ASSERT_EQ(j.recorder.checked.size(), 1u);
    EXPECT_THAT(j.recorder.checked[0].report.differences, testing::Contains(HasSubstr("refused: it has")));
    // Bindings go on, and the plan is tried again.
    j.session->InstallBinding(MakeBinding(1), j.now.mono);
    j.Advance(std::chrono::seconds(1));
    EXPECT_EQ(j.fake.FlowsOf(20).size(), 1u);
    j.fake.tunnel_options().clear();
    for (int i = 0; i < 10; ++i) j.Advance(std::chrono::seconds(1));
    EXPECT_EQ(j.state(), State::kSynced);
    EXPECT_EQ(j.fake.tunnel_options(), kOurs);
  }
}

TEST(TunnelOptions, OfASecondWriterAtTheSameTimeAreMadeGood) {
  Joined j;
  j.Pump();
  j.Want(TunnelPlan());
  j.session->Run(j.now);  // asked
  j.PumpOnce();           // answered; the additions are on their way
  j.fake.tunnel_options() = {{0, {0xff01, 1, 4}}};
  j.Pump();
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.counters.resyncs, 1u);
  EXPECT_EQ(j.fake.tunnel_options(), kOurs);
}

TEST(TunnelOptions, ASwitchThatCannotTellThemIsRefusedOnlyWhereTheyAreWanted) {
  Joined j({.has_tunnel_options = false});
  j.Start(SmallPlan());
  EXPECT_EQ(j.state(), State::kSynced);
  j.Want(TunnelPlan());
  j.Pump();
  EXPECT_EQ(j.state(), State::kRefused);
  EXPECT_THAT(j.session->last_error(), HasSubstr("it does not tell its tunnel options: OFPBRC_BAD_VENDOR"));
  EXPECT_EQ(j.fake.flows().size(), 5u) << "the former plan stands";
}

TEST(TunnelOptions, APlanThatChangesBeforeTheAnswerIsTheOneThatCounts) {
  Joined j;
  j.Start(SmallPlan());
  j.Want(TunnelPlan());
  j.session->Run(j.now);
  j.Want(SmallPlan(4));
  j.session->Check(1);
  j.Pump();
  EXPECT_EQ(j.state(), State::kSynced);
  EXPECT_EQ(j.fake.option_mods_seen(), 0u);
  EXPECT_EQ(j.fake.flows().size(), 6u);
  ASSERT_EQ(j.recorder.checked.size(), 1u);
  EXPECT_THAT(j.recorder.checked[0].report.differences, IsEmpty());
  // A check on its way waits for the plan, whose question comes between.
  j.session->Check(2);
  j.session->Run(j.now);
  j.Want(TunnelPlan(4));
  j.session->Run(j.now);
  j.Pump();
  ASSERT_EQ(j.recorder.checked.size(), 2u);
  EXPECT_THAT(j.recorder.checked[1].report.differences, IsEmpty());
  EXPECT_EQ(j.fake.tunnel_options(), kOurs);
}

TEST(TunnelOptions, ABrokenOrMissingAnswerEndsTheSession) {
  for (const size_t size : {16u, 36u, 40u}) {
    Joined j;
    j.Pump();
    j.fake.BeSilent(MsgType::kExperimenter);
    j.Want(TunnelPlan());
    j.Pump();
    openflow::OutBuffer out;
    uint8_t* p = out.Message(MsgType::kExperimenter, 99, size);
    openflow::Put32(p + 8, openflow::kNiciraVendor);
    openflow::Put32(p + 12, 26);
    if (size == 40) openflow::Put16(p + 36, 64);  // no such field
    j.session->OnMessage(out.pending(), j.now);
    EXPECT_EQ(j.state(), State::kClosed) << size;
    EXPECT_EQ(j.counters.malformed_received, 1u);
    EXPECT_THAT(j.session->close_reason(), HasSubstr("a tunnel option table"));
  }
  Joined j;
  j.Pump();
  j.fake.BeSilent(MsgType::kExperimenter);
  j.Want(TunnelPlan());
  j.Pump();
  EXPECT_EQ(j.state(), State::kFound);
  for (int i = 0; i < 16; ++i) j.Advance(std::chrono::seconds(4));
  EXPECT_EQ(j.session->close_reason(), "the switch does not tell its tunnel options");
  // An answer that nobody waits for is none.
  Joined k;
  k.Start(SmallPlan());
  openflow::OutBuffer out;
  uint8_t* p = out.Message(MsgType::kExperimenter, 99, 40);
  openflow::Put32(p + 8, openflow::kNiciraVendor);
  openflow::Put32(p + 12, 26);
  k.session->OnMessage(out.pending(), k.now);
  k.Pump();
  EXPECT_EQ(k.state(), State::kSynced);
}

TEST(TunnelOptions, TheDumpWaitsForThem) {
  Joined j;
  j.Start(TunnelPlan());
  j.fake.BeSilent(MsgType::kExperimenter);
  j.session->Resync();
  j.Pump();
  EXPECT_EQ(j.state(), State::kDumping);
  for (int i = 0; i < 16; ++i) j.Advance(std::chrono::seconds(4));
  EXPECT_EQ(j.session->close_reason(), "the switch does not answer a dump");
}

TEST(ImageCache, KnowsWhatNoSwitchWouldReportBackAlike) {
  const auto refused = [](const std::string& match, const std::string& actions,
                          std::vector<pipeline::TunnelOption> options = TunnelPlan().tunnel_options) {
    openflow::ImageCache cache;
    pipeline::Compiled plan;
    plan.tunnel_options = std::move(options);
    plan.flows = {{.table = 1, .priority = 1, .match = match, .actions = actions}};
    const auto compiled = cache.Compile(plan);
    return compiled.ok() ? "" : compiled.error().message;
  };
  EXPECT_EQ(refused("tun_metadata0=0x5", "set_field:0x5/0xffff->tun_metadata0"), "");
  EXPECT_EQ(refused("tun_metadata1=0xff/0xffffffff", "set_field:0->tun_metadata2"), "");
  EXPECT_THAT(
      refused("tun_metadata0=5/0xffffffff", "drop"),
      HasSubstr("mask of all bits of tun_metadata0 (class 0xff01, type 1, 4 octets) must be left out"));
  EXPECT_THAT(refused("", "clone(set_field:5/0xffffffff->tun_metadata0,output:1)"), HasSubstr("mask of all"));
  EXPECT_THAT(refused("tun_metadata0=0x123456789", "drop"), HasSubstr("a value of 5 octets is too long"));
  EXPECT_THAT(refused("", "set_field:0x123456789->tun_metadata0"), HasSubstr("too long"));
  EXPECT_THAT(refused("tun_metadata3=1", "drop"), HasSubstr("tun_metadata3 is none of the plan's options"));
  EXPECT_THAT(refused("", "drop", {{.option_class = 1, .type = 1, .octets = 6, .field = 0}}),
              HasSubstr("octets 4, 8 .. 124"));
  EXPECT_THAT(refused("", "drop", {{1, 1, 128, 0}}), HasSubstr("octets 4, 8 .. 124"));
  EXPECT_THAT(refused("", "drop", {{1, 1, 4, 64}}), HasSubstr("fields are 0..63"));
  EXPECT_THAT(refused("", "drop", {{1, 1, 4, 0}, {1, 2, 4, 0}}), HasSubstr("tun_metadata0"));
  EXPECT_THAT(refused("", "drop", {{1, 1, 4, 0}, {1, 1, 4, 1}}), HasSubstr("tun_metadata1"));

  // What was good with other options is looked at again.
  openflow::ImageCache cache;
  pipeline::Compiled plan = TunnelPlan();
  ASSERT_TRUE(cache.Compile(plan).ok());
  plan.tunnel_options.erase(plan.tunnel_options.begin());
  EXPECT_FALSE(cache.Compile(plan).ok());
}

}  // namespace
}  // namespace dyncast::test
