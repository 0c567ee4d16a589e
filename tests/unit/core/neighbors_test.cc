// Who is asked for, when, and what waits meanwhile.
#include "controller/core/neighbors.h"

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class NeighborsTest : public CoreFixture {
 protected:
  static std::vector<IpAddress> Targets(const Effects& effects, SwitchId at) {
    std::vector<IpAddress> targets;
    for (const auto& ask : All<AskNeighbor>(effects)) {
      if (ask.at == at) targets.push_back(ask.target);
    }
    return targets;
  }
  NeighborWanted Wanted(std::string_view sw, std::string_view neighbor) const {
    return {.at = Sw(sw), .neighbor = Ip(neighbor), .packet = packet_};
  }
};

TEST_F(NeighborsTest, NextHopsAreAskedForUntilTheyAnswer) {
  Start();
  Connect("r1");
  const SwitchId r1 = Sw("r1");
  EXPECT_LE(core_->NextDeadline(), now_.mono + milliseconds{1});
  const auto asked = All<AskNeighbor>(Tick());
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].target, Ip("10.9.1.254"));
  EXPECT_EQ(asked[0].sender, Ip("10.9.1.1"));
  EXPECT_EQ(asked[0].port, PortNo{2});
  EXPECT_EQ(asked[0].sender_mac, core_->PlanInForce(r1)->ports[1].mac);
  // While a fabric starts, an answer may be possible at any moment: 0.1, 0.2, 0.4, 0.8 s, then each second.
  std::vector<int> asked_at_ms;
  for (int ms = 100; ms <= 3600; ms += 100) {
    if (!Targets(Tick(milliseconds{100}), r1).empty()) asked_at_ms.push_back(ms);
  }
  EXPECT_EQ(asked_at_ms, (std::vector<int>{100, 300, 700, 1500, 2500, 3500}));
  Do(NeighborFound{.at = r1, .port = PortNo{2}, .neighbor = Ip("10.9.1.254"), .mac = {}});
  EXPECT_TRUE(Targets(Tick(seconds{29}), r1).empty());
  EXPECT_EQ(Targets(Tick(seconds{1}), r1).size(), 1u);
  // No answer any more: every second at most, then less often.
  size_t asks = 0;
  for (int i = 0; i < 100; ++i) asks += Targets(Tick(seconds{1}), r1).size();
  EXPECT_GE(asks, 15u);
  EXPECT_LE(asks, 22u);
  Do(SwitchLost{r1, "away"});
  EXPECT_TRUE(Targets(Tick(seconds{60}), r1).empty());
  Connect("r1");
  EXPECT_EQ(Targets(Tick(), r1).size(), 1u);
}

TEST_F(NeighborsTest, OnlyDBidsOnOwnNetworksAreAskedFor) {
  config_.switches[0].ports.push_back({.name = "edge1",
                                       .role = PortRole::kEdge,
                                       .addresses = {Net("10.2.0.1/24")},
                                       .sources = {},
                                       .mac = std::nullopt});
  Start();
  Do(PortsKnown{Sw("r1"), {{"acc1", PortNo{1}}, {"up1", PortNo{2}}, {"edge1", PortNo{3}}}});
  Do(SwitchFound{Sw("r1"), {}});
  Do(SwitchSynced{Sw("r1")});
  Connect("r2");
  Tick();
  Announce("a2", "web-2", "web", "10.2.0.10");
  Announce("a3", "web-3", "web", "10.3.0.10");
  const auto effects = Tick();
  EXPECT_EQ(Targets(effects, Sw("r1")), (std::vector<IpAddress>{Ip("10.2.0.10")}));
  EXPECT_TRUE(Targets(effects, Sw("r2")).empty());
}

TEST_F(NeighborsTest, PacketsWaitForTheirNeighbour) {
  Start();
  Connect("r1");
  Tick();
  const auto first = Do(Wanted("r1", "10.11.0.5"));
  EXPECT_EQ(Targets(first, Sw("r1")), (std::vector<IpAddress>{Ip("10.11.0.5")}));
  for (int i = 0; i < 17; ++i) EXPECT_TRUE(Do(Wanted("r1", "10.11.0.5")).empty()) << "asked a moment ago";
  EXPECT_EQ(Counter("held-dropped"), 2u);
  EXPECT_TRUE(
      Do(NeighborFound{.at = Sw("r1"), .port = PortNo{1}, .neighbor = Ip("10.11.0.6"), .mac = {}}).empty());
  const auto sent = All<SendHeld>(
      Do(NeighborFound{.at = Sw("r1"), .port = PortNo{1}, .neighbor = Ip("10.11.0.5"), .mac = {}}));
  ASSERT_EQ(sent.size(), 16u);
  EXPECT_EQ(sent[0].packet, packet_);
  EXPECT_TRUE(
      Do(NeighborFound{.at = Sw("r1"), .port = PortNo{1}, .neighbor = Ip("10.11.0.5"), .mac = {}}).empty());
}

TEST_F(NeighborsTest, WaitingIsBounded) {
  Start();
  Connect("r1");
  Tick();
  Do(Wanted("r1", "192.0.2.1"));
  EXPECT_EQ(Counter("held-dropped"), 1u) << "on none of our networks";
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 4; ++k) Do(Wanted("r1", "10.11.0." + std::to_string(i + 2)));
  }
  EXPECT_EQ(Counter("held-dropped"), 1u + 400 - 256);
  Tick(seconds{1});
  EXPECT_EQ(Counter("held-dropped"), 401u);
  EXPECT_TRUE(All<SendHeld>(Do(NeighborFound{
                                .at = Sw("r1"), .port = PortNo{1}, .neighbor = Ip("10.11.0.2"), .mac = {}}))
                  .empty());
}

// Many flows meet in one next hop, and packets for strangers are no reason to drop theirs.
TEST_F(NeighborsTest, NextHopsHaveRoomOfTheirOwn) {
  Start();
  Connect("r1");
  Tick();
  for (int i = 0; i < 300; ++i) Do(Wanted("r1", "10.11.0." + std::to_string(i % 200 + 2)));
  EXPECT_EQ(Counter("held-dropped"), 300u - 256);
  for (int i = 0; i < 130; ++i) Do(Wanted("r1", "10.9.1.254"));
  EXPECT_EQ(Counter("held-dropped"), 300u - 256 + 2);
  const auto sent = All<SendHeld>(
      Do(NeighborFound{.at = Sw("r1"), .port = PortNo{2}, .neighbor = Ip("10.9.1.254"), .mac = {}}));
  EXPECT_EQ(sent.size(), 128u);
}

}  // namespace
}  // namespace dyncast::core
