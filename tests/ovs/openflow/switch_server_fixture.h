// The sessions and a real ovs-vswitchd with dummy ports and virtual time.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ovs-integration/openflow/loop.h"
#include "ovs-integration/openflow/switch_server.h"
#include "schema/base/log.h"
#include "tests/support/dummy_ovs/dummy_ovs.h"
#include "tests/support/packets/packets.h"
#include "tests/unit/openflow/harness.h"

namespace dyncast::test {

class SwitchServerOvs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    static const bool once = (openflow::InitLibrary("openflow_ovs_test"), true);
    ASSERT_TRUE(once);
  }
  void SetUp() override {
    auto started = DummyOvs::Start();
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    ovs = std::move(*started);
    ASSERT_TRUE(ovs->AddBridge("br0", kDpid).ok());
    ASSERT_TRUE(ovs->AddPort("br0", "p1", PortNo{1}).ok());
    ASSERT_TRUE(ovs->AddPort("br0", "p2", PortNo{2}).ok());
  }
  void TearDown() override {
    server.reset();
    if (ovs) {
      EXPECT_EQ(ovs->BadLogLines(allowed), std::vector<std::string>{});
    }
  }
  // A server of this test's own, in place of the last one; the switch connects to it.
  void Serve(openflow::ServerOptions options = {}) {
    server = std::make_unique<openflow::SwitchServer>(options, &recorder);
    server->SetExpected({kDpid});
    const std::string path = ovs->dir() + "/of" + std::to_string(++servers) + ".sock";
    const Status listening = server->Listen("punix:" + path);
    ASSERT_TRUE(listening.ok()) << listening.error().ToString();
    const auto set = ovs->Vsctl({"set-controller", "br0", "unix:" + path});
    ASSERT_TRUE(set.ok()) << set.error().ToString();
  }
  // Turns the loop until `done`; false after 20 s.
  bool Until(const std::function<bool()>& done) {
    const MonoTime end = ReadClocks().mono + std::chrono::seconds(20);
    while (true) {
      const Now now = ReadClocks();
      server->Run(now);
      if (done()) return true;
      if (now.mono >= end) return false;
      server->Wait(now);
      openflow::WakeAt(now.mono + std::chrono::milliseconds(20));
      openflow::Block();
    }
  }
  bool Synced(size_t times) {
    return Until([&] { return recorder.synced.size() >= times; });
  }
  void Start(const pipeline::Compiled& plan) {
    Serve();
    ASSERT_TRUE(Until([&] { return recorder.found.size() == 1; }));
    const Status set = server->SetDesired(kDpid, plan);
    ASSERT_TRUE(set.ok()) << set.error().ToString();
    ASSERT_TRUE(Synced(1)) << server->Statuses()[0].last_error;
  }
  size_t BindingFlows() {
    const auto flows = ovs->DumpFlows("br0", "table=20");
    return flows.ok() ? flows->size() : SIZE_MAX;
  }
  openflow::SwitchCounters Counters() { return server->Statuses()[0].counters; }

  Recorder recorder;
  std::unique_ptr<DummyOvs> ovs;
  std::unique_ptr<openflow::SwitchServer> server;
  std::vector<std::string> allowed = {"connection dropped", "connection failed", "connection closed"};
  int servers = 0;
};

}  // namespace dyncast::test
