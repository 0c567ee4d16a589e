// The control loop with its real core, database and sessions, an emulated switch, and the API by HTTP.
#include <gtest/gtest.h>

#include "tests/unit/controller_io/loop_fixture.h"

namespace dyncast {
namespace {

using ControlLoopTest = test::LoopFixture;
using test::Json;
using test::Parse;
using test::Yaml;

TEST_F(ControlLoopTest, BindsADemandAndTellsWhy) {
  BringUp();
  uint64_t forwarded = 0;
  fake_->on_packet_out = [&](openflow::ByteView) { ++forwarded; };
  const uint64_t packet_outs_before = fake_->received(openflow::MsgType::kPacketOut);
  Demand(40000);
  ASSERT_TRUE(Until([&] { return BindingFlows() == 1; }));
  EXPECT_GT(fake_->received(openflow::MsgType::kPacketOut), packet_outs_before)
      << "the first packet was kept";
  EXPECT_GE(forwarded, 1u);
  ASSERT_TRUE(store_->Flush(std::chrono::seconds(5)).ok());

  const Json bindings = Ask("GET", "/v1/bindings?service=web");
  ASSERT_EQ(bindings["bindings"].size(), 1u) << bindings;
  EXPECT_EQ(bindings["bindings"][0]["client"], "192.168.10.2");
  EXPECT_EQ(bindings["bindings"][0]["src_port"], 40000);
  EXPECT_EQ(bindings["bindings"][0]["decided_by"], "controller");
  const std::string instance = bindings["bindings"][0]["instance"];

  const Json why = Ask("GET", "/v1/explain?client=192.168.10.2:40000&service=web");
  ASSERT_EQ(why["bound"].size(), 1u) << why;
  EXPECT_EQ(why["bound"][0]["instance"], instance);
  EXPECT_EQ(why["bound"][0]["decision"]["policy"], "auto") << why;
  EXPECT_EQ(why["candidates"].size(), 2u);
  EXPECT_NE(why["would_choose"], instance) << "the other one has fewer bindings";

  const Json check = Ask("POST", "/v1/check");
  EXPECT_EQ(check["ok"], true) << check;
  EXPECT_EQ(check["switches"][0]["bindings_switch"], 1);
  EXPECT_EQ(check["switches"][0]["bindings_database"], 1);
}

TEST_F(ControlLoopTest, CheckSeesPlantedFaultsAndSyncRepairsThem) {
  BringUp();
  Demand(40000);
  ASSERT_TRUE(Until([&] { return BindingFlows() == 1; }));
  ASSERT_EQ(Ask("POST", "/v1/check")["ok"], true);

  // Somebody takes a flow of the plan and the binding away.
  auto& flows = fake_->flows();
  for (auto it = flows.begin(); it != flows.end();) {
    it = it->second.table == 40 || it->second.table == 26 ? flows.erase(it) : std::next(it);
  }
  const Json broken = Ask("POST", "/v1/check");
  EXPECT_EQ(broken["ok"], false);
  EXPECT_GE(broken["switches"][0]["missing"].get<int>(), 2) << broken;
  EXPECT_EQ(broken["switches"][0]["bindings_differ"], 1);

  const Json repaired = Ask("POST", "/v1/sync");
  EXPECT_EQ(repaired["ok"], true) << repaired;
  EXPECT_GE(repaired["switches"][0]["added"].get<int>(), 2);
  ASSERT_TRUE(Until([&] { return BindingFlows() == 1; })) << "the live binding is put back";
  EXPECT_EQ(Ask("POST", "/v1/check")["ok"], true);
}

TEST_F(ControlLoopTest, CheckNamesAPortThatTheSwitchDoesNotHave) {
  BringUp();
  EXPECT_EQ(Ask("POST", "/v1/check")["ok"], true);
  loop_->OnPorts("dr1", {{"c1", PortNo{1}}});
  ASSERT_TRUE(Until([&] { return State() == "synced"; }));
  const Json check = Ask("POST", "/v1/check");
  EXPECT_EQ(check["ok"], false);
  EXPECT_EQ(check["switches"][0]["ports_missing"], Json::array({"up"})) << check;
}

TEST_F(ControlLoopTest, ReloadRefusesWhatCannotChangeAndKeepsTheRest) {
  BringUp();
  auto moved = std::make_shared<config::FabricConfig>(*config_);
  moved->controller.database = "/elsewhere.db";
  const Status refused = loop_->Reload(moved);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("controller.database"), std::string::npos);

  auto grown = Parse(Yaml(dir_, "  - {name: media, sid: 10.96.0.2, ports: [udp/5000]}\n"));
  ASSERT_NE(grown, nullptr);
  ASSERT_TRUE(loop_->Reload(grown).ok());
  EXPECT_EQ(Ask("GET", "/v1/services")["services"].size(), 2u);
  ASSERT_TRUE(Until([&] { return State() == "synced"; }));
  EXPECT_EQ(Ask("POST", "/v1/check")["ok"], true);
}

TEST_F(ControlLoopTest, DrainIsAskedByNameAndUnknownNamesAreErrors) {
  BringUp();
  long status = 0;
  EXPECT_EQ(Ask("POST", "/v1/drain?instance=i1", &status)["state"], "draining");
  EXPECT_EQ(status, 200);
  EXPECT_EQ(Ask("POST", "/v1/undrain?instance=i1")["state"], "up");
  EXPECT_EQ(Ask("POST", "/v1/drain?instance=nobody", &status)["error"]["code"], "not_found");
  EXPECT_EQ(status, 404);
  EXPECT_EQ(Ask("GET", "/v1/explain?client=999&service=web", &status)["error"]["code"], "parse");
  EXPECT_EQ(status, 400);
  EXPECT_EQ(Ask("GET", "/v1/bindings?limit=many", &status)["error"]["code"], "invalid");
  for (const char* unknown : {"service=nobody", "instance=nobody", "switch=nobody", "service=10.9.9.9"}) {
    EXPECT_EQ(Ask("GET", std::string("/v1/bindings?") + unknown, &status)["error"]["code"], "not_found");
  }
  EXPECT_EQ(Ask("GET", "/v1/bindings?service=web", &status)["bindings"], Json::array()) << "known, unbound";
  EXPECT_EQ(Ask("GET", "/v1/bindings?service=10.96.0.1", &status)["bindings"], Json::array());
  EXPECT_EQ(Ask("GET", "/v1/explain?client=fd00::1&service=web", &status)["error"]["code"], "not_found")
      << "web has no IPv6 D-SID";
  EXPECT_EQ(Ask("GET", "/v1/explain?client=192.168.10.2&service=web&port=81", &status)["error"]["code"],
            "not_found");
  EXPECT_EQ(Ask("GET", "/v1/nothing", &status)["error"]["code"], "not_found");
  EXPECT_EQ(status, 404);
}

TEST_F(ControlLoopTest, ALostSwitchComesBackWithItsBindings) {
  BringUp();
  for (uint16_t p = 40000; p < 40020; ++p) Demand(p);
  ASSERT_TRUE(Until([&] { return BindingFlows() == 20; }));
  fake_->Disconnect();
  ASSERT_TRUE(Until([&] { return State() == "away"; }));
  EXPECT_EQ(Ask("POST", "/v1/check")["ok"], false) << "a switch that is away is not as it must be";
  const uint64_t flow_mods = fake_->flow_mods_seen();
  ASSERT_TRUE(fake_->Connect().ok());
  ASSERT_TRUE(Until([&] { return State() == "synced"; }));
  EXPECT_EQ(Ask("POST", "/v1/check")["ok"], true);
  EXPECT_EQ(fake_->flow_mods_seen(), flow_mods) << "nothing had changed, so nothing is sent";
}

}  // namespace
}  // namespace dyncast
