// The network between agents' places: the table, and what the core takes into it.
#include "controller/core/paths.h"

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kExpiry{10000};

PathSample Way(std::string peer, std::optional<Micros> rtt, bool ipv6 = false, double loss = 0) {
  PathSample sample;
  sample.peer = std::move(peer);
  sample.ipv6 = ipv6;
  sample.rtt = rtt;
  sample.rtt_min = rtt;
  sample.loss = loss;
  sample.sent = 10;
  sample.window = seconds{1};
  return sample;
}

class Paths : public ::testing::Test {
 protected:
  std::optional<Micros> Rtt(std::string_view from, std::string_view to, bool ipv6 = false) const {
    const auto found = table_.Find(from, to, ipv6, now_, kExpiry);
    return found ? found->rtt : std::nullopt;
  }
  PathTable table_;
  MonoTime now_{seconds{100}};
};

TEST_F(Paths, OwnDirectionAndAskedFamilyFirst) {
  EXPECT_EQ(Rtt("a", "b"), std::nullopt);
  EXPECT_EQ(Rtt("a", "a"), Micros{0});
  table_.Set("b", {Way("a", Micros{4}, true)}, now_);
  EXPECT_EQ(Rtt("a", "b"), Micros{4}) << "reversed, other family";
  table_.Set("b", {Way("a", Micros{4}, true), Way("a", Micros{3})}, now_);
  EXPECT_EQ(Rtt("a", "b"), Micros{3}) << "reversed";
  table_.Set("a", {Way("b", Micros{2}, true), Way("c", Micros{9})}, now_);
  EXPECT_EQ(Rtt("a", "b"), Micros{2}) << "own direction, other family";
  table_.Set("a", {Way("b", Micros{2}, true), Way("c", Micros{9}), Way("b", Micros{1})}, now_);
  EXPECT_EQ(Rtt("a", "b"), Micros{1});
  EXPECT_EQ(Rtt("a", "b", true), Micros{2});
  EXPECT_EQ(Rtt("b", "a", true), Micros{4});
  const auto reversed = table_.Find("c", "a", true, now_, kExpiry);
  ASSERT_TRUE(reversed);
  EXPECT_TRUE(reversed->reversed && reversed->other_family);
}

TEST_F(Paths, SetReplacesAndForgetForgets) {
  const uint64_t before = table_.revision();
  table_.Set("a", {Way("b", Micros{1}), Way("c", Micros{2}), Way("a", Micros{7})}, now_);
  EXPECT_EQ(table_.Rows(now_).size(), 2u) << "nothing is away from itself";
  table_.Set("a", {Way("c", Micros{5})}, now_);
  EXPECT_EQ(Rtt("a", "b"), std::nullopt);
  EXPECT_EQ(Rtt("c", "a"), Micros{5});
  EXPECT_FALSE(table_.Forget("c"));
  EXPECT_EQ(Rtt("a", "c"), Micros{5});
  EXPECT_TRUE(table_.Forget("a"));
  EXPECT_EQ(Rtt("a", "c"), std::nullopt);
  EXPECT_GT(table_.revision(), before);
  table_.Set("a", {Way("b", Micros{1}), Way("c", Micros{2})}, now_);
  table_.Set("b", {Way("a", Micros{1})}, now_);
  table_.Retain([](std::string_view agent) { return agent != "b"; });
  ASSERT_EQ(table_.Rows(now_).size(), 1u);
  EXPECT_EQ(table_.Rows(now_)[0].sample->peer, "c");
}

TEST_F(Paths, ExpiresAndSaysItsAge) {
  table_.Set("a", {Way("b", Micros{1})}, now_);
  now_ += seconds{10};
  ASSERT_TRUE(table_.Find("a", "b", false, now_, kExpiry));
  EXPECT_EQ(table_.Find("a", "b", false, now_, kExpiry)->age, Micros{seconds{10}});
  table_.Set("b", {Way("a", Micros{3})}, now_);
  now_ += Micros{1};
  EXPECT_EQ(Rtt("a", "b"), Micros{3}) << "an old word does not hide a new one";
  now_ += seconds{10};
  EXPECT_EQ(Rtt("a", "b"), std::nullopt);
}

TEST_F(Paths, WhatLostEverythingHasALossButNoTime) {
  table_.Set("a", {Way("b", std::nullopt, false, 1)}, now_);
  const auto found = table_.Find("a", "b", false, now_, kExpiry);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rtt, std::nullopt);
  EXPECT_EQ(found->loss, 1.0);
  table_.Set("a", {Way("b", std::nullopt, false, 1), Way("b", Micros{6}, true)}, now_);
  EXPECT_EQ(Rtt("a", "b"), Micros{6});
}

class PathsInCore : public CoreFixture {};

TEST_F(PathsInCore, AreTakenFromAgentsThatAreListed) {
  Start();
  Say("a2", wire::Paths{.paths = {Way("a3", Micros{7000}), Way("nobody", Micros{1}), Way("a2", Micros{1})},
                        .refused_paths = 2});
  EXPECT_EQ(Counter("paths-refused"), 4u);
  Say("stranger", wire::Paths{.paths = {Way("a3", Micros{1})}, .refused_paths = 0});
  Advance(milliseconds{300});
  const auto rows = core_->Paths(now_);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].from, "a2");
  EXPECT_EQ(rows[0].sample.peer, "a3");
  EXPECT_EQ(rows[0].sample.rtt, Micros{7000});
  EXPECT_EQ(rows[0].age, milliseconds{300});
}

TEST_F(PathsInCore, AreRecordedAsTheyAreTaken) {
  Start();
  const auto records = [](const Effects& effects) { return Records<PathsRecord>(effects); };
  auto said = records(Say(
      "a2", wire::Paths{.paths = {Way("a3", Micros{7000}), Way("nobody", Micros{1})}, .refused_paths = 0}));
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].agent, "a2");
  EXPECT_EQ(said[0].at, now_.wall);
  EXPECT_EQ(said[0].paths, std::vector<PathSample>{Way("a3", Micros{7000})});
  EXPECT_TRUE(records(Say("stranger", wire::Paths{})).empty());
  // A silent agent's ways are none, once.
  said = records(Tick(seconds{4}));
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].agent, "a2");
  EXPECT_TRUE(said[0].paths.empty());
  EXPECT_TRUE(records(Tick(seconds{4})).empty());
  Say("a3", wire::Paths{.paths = {Way("a2", Micros{7000})}, .refused_paths = 0});
  std::erase_if(config_.agents, [](const auto& agent) { return agent.name == "a3"; });
  said = records(Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}));
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].agent, "a3");
  EXPECT_TRUE(said[0].paths.empty());
}

TEST_F(PathsInCore, GoWithASilentOrRemovedAgent) {
  Start();
  Say("a2", wire::Paths{.paths = {Way("a3", Micros{7000})}, .refused_paths = 0});
  Tick(seconds{2});
  EXPECT_EQ(core_->Paths(now_).size(), 1u);
  Tick(seconds{2});
  EXPECT_TRUE(core_->Paths(now_).empty());
  Say("a2", wire::Paths{.paths = {Way("a3", Micros{7000})}, .refused_paths = 0});
  EXPECT_EQ(core_->Paths(now_).size(), 1u);
  config_.agents.pop_back();
  Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)});
  EXPECT_TRUE(core_->Paths(now_).empty());
}

}  // namespace
}  // namespace dyncast::core
