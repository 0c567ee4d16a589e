// Traffic of the switches' ports: rates from counters, and what the core shows of them.
#include "controller/core/links.h"

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

MonoTime At(int64_t ms) { return MonoTime{milliseconds(1000000 + ms)}; }

PortCounters Counted(uint32_t number, uint64_t in_bytes, uint64_t out_bytes, uint64_t in_packets = 0,
                     uint64_t out_packets = 0) {
  return {.number = PortNo{number},
          .in_bytes = in_bytes,
          .out_bytes = out_bytes,
          .in_packets = in_packets,
          .out_packets = out_packets,
          .in_dropped = 0,
          .out_dropped = 0,
          .speed_bit_s = std::nullopt,
          .alive = std::nullopt};
}

TEST(LinkTable, RatesAreDifferencesOverTime) {
  LinkTable links;
  EXPECT_EQ(links.Find(PortNo{1}), nullptr);
  links.Set({Counted(1, 1000, 5000, 10, 50)}, At(0));
  ASSERT_NE(links.Find(PortNo{1}), nullptr);
  EXPECT_FALSE(links.Find(PortNo{1})->rates) << "one reading is no rate";
  links.Set({Counted(1, 2000, 5000, 30, 50)}, At(2000));
  const PortRates rates = *links.Find(PortNo{1})->rates;
  EXPECT_EQ(rates.window, seconds(2));
  EXPECT_DOUBLE_EQ(*rates.in_bit_s, 4000);
  EXPECT_DOUBLE_EQ(*rates.out_bit_s, 0);
  EXPECT_DOUBLE_EQ(*rates.in_packets_s, 10);
  EXPECT_DOUBLE_EQ(*rates.out_packets_s, 0);
  EXPECT_EQ(links.Find(PortNo{1})->at, At(2000));
}

TEST(LinkTable, APortWhoseCounterFellHasNoRates) {
  LinkTable links;
  links.Set({Counted(1, 1000, 5000)}, At(0));
  links.Set({Counted(1, 10, 6000)}, At(1000));
  EXPECT_FALSE(links.Find(PortNo{1})->rates)
      << "the other counter began anew too, and has risen higher since";
  EXPECT_EQ(links.Find(PortNo{1})->counters.out_bytes, 6000u);
  links.Set({Counted(1, 110, 6000)}, At(2000));
  EXPECT_DOUBLE_EQ(*links.Find(PortNo{1})->rates->in_bit_s, 800);
}

TEST(LinkTable, APortThatWasMadeAnewHasNoRatesHoweverHighItCounts) {
  const auto aged = [](uint64_t in_bytes, int64_t alive_ms) {
    PortCounters port = Counted(1, in_bytes, 0);
    port.alive = milliseconds(alive_ms);
    return port;
  };
  LinkTable links;
  links.Set({aged(1000, 3000)}, At(0));
  links.Set({aged(900000, 7000)}, At(10000));
  EXPECT_FALSE(links.Find(PortNo{1})->rates) << "7 s old, and the last reading is 10 s ago";
  links.Set({aged(910000, 17000)}, At(20000));
  EXPECT_DOUBLE_EQ(*links.Find(PortNo{1})->rates->in_bit_s, 8000);
  links.Set({aged(920000, 16000)}, At(30000));
  EXPECT_FALSE(links.Find(PortNo{1})->rates) << "younger than it was";
}

TEST(LinkTable, TheWindowIsTheSwitchsOwnTime) {
  LinkTable links;
  PortCounters port = Counted(1, 0, 0);
  port.alive = seconds(100);
  links.Set({port}, At(0));
  port.alive = seconds(110);
  port.in_bytes = 10000;
  links.Set({port}, At(10800));  // the answer was late
  EXPECT_EQ(links.Find(PortNo{1})->rates->window, seconds(10));
  EXPECT_DOUBLE_EQ(*links.Find(PortNo{1})->rates->in_bit_s, 8000);
}

TEST(LinkTable, WhatIsNotCountedHasNoRate) {
  LinkTable links;
  PortCounters port{.number = PortNo{1}};
  links.Set({port}, At(0));
  port.in_bytes = 5;
  links.Set({port}, At(1000));
  EXPECT_FALSE(links.Find(PortNo{1})->rates->in_bit_s);
  EXPECT_FALSE(links.Find(PortNo{1})->rates->out_bit_s);
}

TEST(LinkTable, ReadingsAtTheSameTimeMakeNone) {
  LinkTable links;
  links.Set({Counted(1, 1000, 0)}, At(0));
  links.Set({Counted(1, 2000, 0)}, At(49));
  EXPECT_FALSE(links.Find(PortNo{1})->rates);
  links.Set({Counted(1, 3000, 0)}, At(1000));
  EXPECT_DOUBLE_EQ(*links.Find(PortNo{1})->rates->in_bit_s, 16000) << "since the first";
}

TEST(LinkTable, APortThatIsGoneIsForgotten) {
  LinkTable links;
  links.Set({Counted(1, 1000, 0), Counted(2, 0, 0)}, At(0));
  links.Set({Counted(2, 800, 0)}, At(1000));
  EXPECT_EQ(links.Find(PortNo{1}), nullptr);
  links.Clear();
  EXPECT_EQ(links.Find(PortNo{2}), nullptr);
}

TEST(LinkLoad, IsAPartOfTheSpeed) {
  EXPECT_EQ(LinkLoad(25e6, 100000000), 0.25);
  EXPECT_EQ(LinkLoad(std::nullopt, 100000000), std::nullopt);
  EXPECT_EQ(LinkLoad(25e6, std::nullopt), std::nullopt);
  EXPECT_EQ(LinkLoad(25e6, 0), std::nullopt);
}

class LinksInCore : public CoreFixture {
 protected:
  LinkView Link(const std::string& port) {
    for (const SwitchView& sw : core_->View(now_).switches) {
      for (const LinkView& link : sw.links) {
        if (sw.name == "r1" && link.port == port) return link;
      }
    }
    ADD_FAILURE() << "no link " << port;
    return {};
  }
};

TEST_F(LinksInCore, AreReadAtEachIntervalAndShownByName) {
  config_.switches[0].ports[1].speed = 1000000;
  Start();
  Connect("r1");
  size_t asked = 0;
  for (int i = 0; i < 4; ++i) {
    for (const CountPorts& count : All<CountPorts>(Tick(config_.controller.stats_interval))) {
      asked += count.at == Sw("r1") ? 1 : 0;
    }
  }
  EXPECT_EQ(asked, 4u);
  EXPECT_FALSE(Link("acc1").counters);
  PortCounters first = Counted(1, 0, 0);
  first.speed_bit_s = 10000000000;
  Do(PortsCounted{Sw("r1"), {first, Counted(2, 0, 0)}});
  Advance(seconds(10));
  first.in_bytes = 1250000;
  Do(PortsCounted{Sw("r1"), {first, Counted(2, 125000, 0), Counted(99, 5, 5)}});
  Advance(seconds(3));
  EXPECT_EQ(*Link("acc1").rates->in_bit_s, 1e6);
  EXPECT_EQ(Link("acc1").speed_bit_s, 10000000000) << "the device's";
  EXPECT_EQ(Link("acc1").age, seconds(3));
  EXPECT_EQ(Link("acc1").number, PortNo{1});
  EXPECT_EQ(Link("up1").speed_bit_s, 1000000) << "configured";
  EXPECT_EQ(*Link("up1").rates->in_bit_s, 1e5);
  EXPECT_EQ(Link("up1").role, PortRole::kUplink);
}

TEST_F(LinksInCore, LocalHasANameOfTheDatabasesOwn) {
  Start();
  Connect("r1");
  Do(PortsKnown{Sw("r1"), {{"acc1", PortNo{0xfffffffe}}, {"up1", PortNo{2}}}});
  Do(PortsCounted{Sw("r1"), {Counted(0xfffe, 700, 0), Counted(2, 5, 0)}});
  EXPECT_EQ(Link("acc1").counters->in_bytes, 700u);
  EXPECT_EQ(Link("up1").counters->in_bytes, 5u);
}

TEST_F(LinksInCore, GoWithTheConnectionAndAreRecorded) {
  const auto records = [](const Effects& effects) { return Records<LinksRecord>(effects); };
  Start();
  Connect("r1");
  auto told = records(Do(PortsCounted{Sw("r1"), {Counted(1, 700, 0)}}));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].at_switch, Sw("r1"));
  EXPECT_EQ(told[0].at, now_.wall);
  ASSERT_EQ(told[0].links.size(), config_.switches[0].ports.size());
  EXPECT_EQ(told[0].links[0].port, "acc1");
  EXPECT_EQ(told[0].links[0].counters->in_bytes, 700u);
  EXPECT_TRUE(Link("acc1").counters);
  told = records(Do(SwitchLost{Sw("r1"), "test"}));
  ASSERT_EQ(told.size(), 1u) << "nothing is known of a switch that is away";
  EXPECT_TRUE(told[0].links.empty());
  EXPECT_FALSE(Link("acc1").counters);
  EXPECT_TRUE(records(Do(SwitchLost{Sw("r1"), "again"})).empty());
  EXPECT_TRUE(records(Do(PortsCounted{Sw("r1"), {Counted(1, 0, 0)}})).empty());
  EXPECT_FALSE(Link("acc1").counters) << "late news of a lost connection";
}

TEST_F(LinksInCore, GoWithARemovedSwitch) {
  Start();
  Connect("r1");
  Do(PortsCounted{Sw("r1"), {Counted(1, 700, 0)}});
  const SwitchId id = Sw("r1");
  config_.switches.erase(config_.switches.begin());
  const auto told = Records<LinksRecord>(Do(ConfigChanged{std::make_shared<config::FabricConfig>(config_)}));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].at_switch, id);
  EXPECT_TRUE(told[0].links.empty());
}

}  // namespace
}  // namespace dyncast::core
