// A control loop with its real core, database and sessions, an emulated switch, and the API by HTTP.
#pragma once

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
#include "controller/io/control_loop.h"
#include "ovs-integration/openflow/loop.h"
#include "schema/config/fabric.h"
#include "tests/support/fake_switch/fake_switch.h"
#include "tests/support/packets/packets.h"
#include "tests/unit/controller_io/temp_dir.h"

namespace dyncast::test {

using Json = nlohmann::json;

inline constexpr uint8_t kDemand = 1;

inline std::string Yaml(const TempDir& dir, const std::string& more) {
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
  - {name: web, sid: 10.96.0.1, ports: [tcp/8080], no_instance: drop, affinity: {limit: 20000}}
)" + more;
}

inline std::shared_ptr<const config::FabricConfig> Parse(const std::string& yaml) {
  auto parsed = config::ParseFabric(yaml, "test.yaml");
  EXPECT_TRUE(parsed.ok()) << parsed.error().ToString();
  return parsed.ok() ? std::make_shared<const config::FabricConfig>(std::move(*parsed)) : nullptr;
}

inline size_t Append(char* data, size_t size, size_t count, void* out) {
  static_cast<std::string*>(out)->append(data, size * count);
  return size * count;
}

class LoopFixture : public testing::Test {
 protected:
  // Once for all suites: the library is set up before any thread starts.
  static void SetUpTestSuite() {
    static const bool once = [] {
      openflow::InitLibrary("unit_controller_io");
      return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    }();
    ASSERT_TRUE(once);
  }

  // What the controller is started with.
  virtual std::string ConfigText() { return Yaml(dir_, ""); }

  void SetUp() override {
    config_ = Parse(ConfigText());
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
                                 .prometheus_listen = config_->controller.prometheus_listen,
                                 .started = now},
                                loop_.get(), store_.get());
    ASSERT_TRUE(api.ok()) << api.error().ToString();
    api_ = std::move(*api);
    fake_ = std::make_unique<FakeSwitch>(
        FakeSwitchOptions{.target = "unix:" + (dir_.path() / "of").string(),
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
    return Json::parse(AskText(method, path, status), nullptr, false);
  }
  std::string AskText(const std::string& method, const std::string& path, long* status = nullptr) {
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
    return body;
  }

  void Say(decltype(wire::AgentMessage::body) body) {
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
    a.bid = Ip(bid);
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
  size_t BindingFlows() { return fake_->FlowsOf(20).size() + fake_->FlowsOf(26).size(); }

  void Demand(uint16_t src_port) {
    fake_->SendPunt(
        kDemand, 1, 1, 0,
        Build(Ipv4Packet{
            .src = Ip("192.168.10.2"), .dst = Ip("10.96.0.1"), .src_port = src_port, .dst_port = 8080}));
  }

  TempDir dir_;
  std::shared_ptr<const config::FabricConfig> config_;
  std::unique_ptr<BindingStore> store_;
  std::unique_ptr<ControlLoop> loop_;
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<FakeSwitch> fake_;
  uint64_t sequence_ = 0;
};

}  // namespace dyncast::test
