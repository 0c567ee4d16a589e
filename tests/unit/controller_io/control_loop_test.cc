// The control loop with its real core, database and sessions, an emulated switch, and the API by HTTP.
#include "controller/io/control_loop.h"

#include <curl/curl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "controller/core/core.h"
#include "controller/io/api_server.h"
#include "controller/io/binding_store.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/config/fabric.h"
#include "tests/support/fake_switch/fake_switch.h"
#include "tests/support/packets/packets.h"
#include "tests/unit/controller_io/temp_dir.h"

namespace dyncast {
namespace {

using Json = nlohmann::json;
using test::FakeSwitch;

constexpr uint8_t kDemand = 1;

std::string Yaml(const test::TempDir& dir, const std::string& more) {
  const std::string at = dir.path().string();
  return "controller: {openflow_listen: 'punix:" + at + "/of', metrics_bind: 'ipc://" + at +
         "/m', api_socket: '" + at + "/api', database: '" + at + "/d.db'}\n" + R"(
switches:
  - name: dr1
    ovsdb: unix:)" +
         at + R"(/none
    bridge: br0
    ports:
      - {name: c1, role: access, addresses: [192.168.10.1/24]}
      - {name: up, role: uplink, addresses: [172.16.1.2/24]}
    routes: [{to: 0.0.0.0/0, via: 172.16.1.1}]
agents: [{name: edge, bids: [10.2.0.0/16]}]
services:
  - {name: web, sid: 10.96.0.1, ports: [tcp/8080], no_instance: drop}
)" + more;
}

std::shared_ptr<const config::FabricConfig> Parse(const std::string& yaml) {
  auto parsed = config::ParseFabric(yaml, "test.yaml");
  EXPECT_TRUE(parsed.ok()) << parsed.error().ToString();
  return parsed.ok() ? std::make_shared<const config::FabricConfig>(std::move(*parsed)) : nullptr;
}

size_t Append(char* data, size_t size, size_t count, void* out) {
  static_cast<std::string*>(out)->append(data, size * count);
  return size * count;
}

class ControlLoopTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    openflow::InitLibrary("unit_controller_io");
    curl_global_init(CURL_GLOBAL_DEFAULT);
  }

  void SetUp() override {
    config_ = Parse(Yaml(dir_, ""));
    ASSERT_NE(config_, nullptr);
    StoreOptions options;
    options.path = config_->controller.database;
    auto store = BindingStore::Open(options);
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    store_ = std::move(*store);
    auto persisted = store_->Load();
    ASSERT_TRUE(persisted.ok());
    auto subscriber = MetricSubscriber::Bind(config_->controller.metrics_bind);
    ASSERT_TRUE(subscriber.ok());
    const Now now = ReadClocks();
    ControlLoop::Parts parts;
    parts.config = config_;
    parts.core = std::make_unique<core::Core>(config_, *persisted, now, 1, 1);
    parts.subscriber = std::move(*subscriber);
    parts.store = store_.get();
    loop_ = std::make_unique<ControlLoop>(std::move(parts));
    ASSERT_TRUE(loop_->Start().ok());
    auto api = ApiServer::Start({.socket_path = config_->controller.api_socket,
                                 .database = config_->controller.database,
                                 .started = now},
                                loop_.get(), store_.get());
    ASSERT_TRUE(api.ok()) << api.error().ToString();
    api_ = std::move(*api);
    fake_ = std::make_unique<FakeSwitch>(
        test::FakeSwitchOptions{.target = "unix:" + (dir_.path() / "of").string(),
                                .dpid = config::DatapathIdFor(config_->controller.fabric, "dr1")});
  }

  // Turns the loop and the switch until `condition` holds.
  bool Until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      if (fake_->connected()) fake_->Step();
      openflow::WakeAt(ReadClocks().mono + std::chrono::milliseconds(2));
      loop_->RunOnce(fake_->connected() ? fake_->fd() : -1);
    }
    return true;
  }

  // A request needs the loop to turn while it waits.
  Json Ask(const std::string& method, const std::string& path, long* status = nullptr) {
    std::string body;
    long code = 0;
    std::atomic<bool> done{false};
    std::thread client([&] {
      CURL* curl = curl_easy_init();
      curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, config_->controller.api_socket.c_str());
      curl_easy_setopt(curl, CURLOPT_URL, ("http://localhost" + path).c_str());
      if (method == "POST") curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
      curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
      curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
      curl_easy_perform(curl);
      curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
      curl_easy_cleanup(curl);
      done = true;
    });
    EXPECT_TRUE(Until([&] { return done.load(); }));
    client.join();
    if (status != nullptr) *status = code;
    return Json::parse(body, nullptr, false);
  }

  void Say(std::variant<wire::Announce, wire::Report, wire::Withdraw, wire::Heartbeat> body) {
    wire::AgentMessage m;
    m.agent = "edge";
    m.boot_epoch = 1;
    m.sequence = ++sequence_;
    m.sent_at = ReadClocks().wall;
    m.body = std::move(body);
    loop_->StepNow(core::AgentSaid{m});
  }
  void AnnounceUp(const std::string& name, const std::string& bid) {
    wire::Announce a;
    a.instance = name;
    a.service = "web";
    a.bid = test::Ip(bid);
    a.health = wire::Health::kUp;
    Say(a);
  }

  void BringUp() {
    ASSERT_TRUE(fake_->Connect().ok());
    loop_->OnPorts("dr1", {{"c1", PortNo{1}}, {"up", PortNo{2}}});
    AnnounceUp("i1", "10.2.1.2");
    AnnounceUp("i2", "10.2.2.2");
    ASSERT_TRUE(Until([&] { return State() == "synced" && !fake_->FlowsOf(40).empty(); }));
  }
  std::string State() {
    const auto view = loop_->core().View(ReadClocks());
    return view.switches.empty() ? "" : view.switches[0].state;
  }
  size_t BindingFlows() { return fake_->FlowsOf(20).size(); }

  void Demand(uint16_t src_port) {
    fake_->SendPunt(kDemand, 1, 1, 0,
                    test::Build(test::Ipv4Packet{.src = test::Ip("192.168.10.2"),
                                                 .dst = test::Ip("10.96.0.1"),
                                                 .src_port = src_port,
                                                 .dst_port = 8080}));
  }

  test::TempDir dir_;
  std::shared_ptr<const config::FabricConfig> config_;
  std::unique_ptr<BindingStore> store_;
  std::unique_ptr<ControlLoop> loop_;
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<FakeSwitch> fake_;
  uint64_t sequence_ = 0;
};

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
  EXPECT_EQ(why["bound"][0]["decision"]["policy"], "least-bindings") << why;
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
    it = it->second.table == 40 || it->second.table == 20 ? flows.erase(it) : std::next(it);
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
