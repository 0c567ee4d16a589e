#include "tests/bench/common/loop_bed.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "controller/core/core.h"
#include "controller/io/metric_subscriber.h"
#include "schema/config/fabric.h"

namespace dyncast::bench {

void Die(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

nlohmann::json RunJson(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) Die("cannot run " + command);
  std::string text;
  std::array<char, 4096> buffer{};
  size_t n = 0;
  while ((n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0) text.append(buffer.data(), n);
  if (pclose(pipe) != 0) Die("failed: " + command);
  auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded()) Die("no JSON from " + command);
  return parsed;
}

std::string DemandCommand(const std::string& bin, const std::string& socket, uint64_t dpid,
                          const DemandOptions& demands) {
  return bin + "/dyncast-fake-switch --connect unix:" + socket + " --dpid " + std::to_string(dpid) +
         " --window " + std::to_string(demands.window) + " --rate " + std::to_string(demands.per_s) +
         " --seconds " + std::to_string(demands.seconds) +
         " --service-id 1 --sid 192.0.2.1 --port 8080 --in-port 1";
}

LoopBed::LoopBed(const Options& options) : dir_(options.dir) {
  const std::string yaml = "controller: {openflow_listen: 'punix:" + (dir_ / "of.sock").string() +
                           "', metrics_bind: 'ipc://" + (dir_ / "m.sock").string() + "', database: '" +
                           (dir_ / "d.db").string() + "', log_level: 'off'}\n" + R"(
switches:
  - name: dr1
    ovsdb: unix:)" + (dir_ / "none.sock").string() +
                           R"(
    bridge: br0
    ports:
      - {name: c1, role: access, addresses: [10.0.0.1/8]}
      - {name: up, role: uplink, addresses: [172.16.1.2/24]}
    routes: [{to: 0.0.0.0/0, via: 172.16.1.1}]
agents: [{name: edge, bids: [198.18.0.0/16]})" +
                           options.agents + R"(]
services:
  - name: bench
    sid: 192.0.2.1
    ports: [tcp/8080, udp/8080]
    affinity: {key: 5-tuple, idle_timeout: 600s, limit: 4000000}
    selection: {policy: least-bindings}
)" + options.services;
  auto parsed = config::ParseFabric(yaml, "bench");
  if (!parsed.ok()) Die(parsed.error().ToString());
  config_ = std::make_shared<const config::FabricConfig>(std::move(*parsed));
  StoreOptions store_options;
  store_options.path = config_->controller.database;
  auto store = BindingStore::Open(store_options);
  if (!store.ok()) Die(store.error().ToString());
  store_ = std::move(*store);
  auto persisted = store_->Load();
  auto subscriber = MetricSubscriber::Bind(config_->controller.metrics_bind);
  if (!persisted.ok() || !subscriber.ok()) Die("cannot start");
  const Now now = ReadClocks();
  ControlLoop::Parts parts;
  parts.config = config_;
  parts.core =
      std::make_unique<core::Core>(config_, *persisted, now, 1, static_cast<uint64_t>(UnixMicros(now.wall)));
  parts.subscriber = std::move(*subscriber);
  parts.store = store_.get();
  loop_ = std::make_unique<ControlLoop>(std::move(parts));
  if (Status s = loop_->Start(); !s.ok()) Die(s.error().ToString());
  loop_->OnPorts("dr1", {{"c1", PortNo{1}}, {"up", PortNo{2}}});
  Announce();
}

void LoopBed::Announce() {
  for (uint32_t i = 0; i < 4; ++i) {
    wire::AgentMessage m;
    m.agent = "edge";
    m.boot_epoch = 1;
    m.sequence = sequence_++;
    m.sent_at = ReadClocks().wall;
    wire::Announce a;
    a.instance = "e" + std::to_string(i);
    a.service = "bench";
    a.bid = IpAddress::V4(0xc6120001u + i);
    a.health = wire::Health::kUp;
    m.body = a;
    loop_->StepNow(core::AgentSaid{m});
  }
}

nlohmann::json LoopBed::Demands(const std::string& bin, const DemandOptions& demands) {
  std::atomic<bool> done{false};
  nlohmann::json result;
  const uint64_t dpid = config::DatapathIdFor(config_->controller.fabric, "dr1");
  std::thread load([&] {
    result = RunJson(DemandCommand(bin, dir_ / "of.sock", dpid, demands));
    done = true;
  });
  MonoTime next = ReadClocks().mono;
  while (!done) {
    loop_->RunOnce(-1);
    if (ReadClocks().mono >= next) {
      Announce();
      next += std::chrono::milliseconds(500);
    }
  }
  load.join();
  return result;
}

void LoopBed::Flush() {
  if (!store_->Flush(std::chrono::seconds(60)).ok()) Die("the database did not take the records");
}

}  // namespace dyncast::bench
