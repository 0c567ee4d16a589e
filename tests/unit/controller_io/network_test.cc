// The network by the API: the ways between agents.
#include <gmock/gmock.h>

#include "tests/unit/controller_io/loop_fixture.h"

namespace dyncast {
namespace {

using test::Json;

class Network : public test::LoopFixture {
 protected:
  std::string ConfigText() override {
    std::string text = test::Yaml(dir_, "");
    const std::string agents = "agents: [";
    text.insert(text.find(agents) + agents.size(), "{name: far, bids: [10.9.0.0/16]}, ");
    const std::string uplink = "{name: up,";
    text.insert(text.find(uplink) + uplink.size(), " speed: 1gbit,");
    const std::string controller = "controller: {";
    text.insert(text.find(controller) + controller.size(), "stats_interval: 100ms, ");
    return text;
  }
};

TEST_F(Network, PathsAsTheAgentsSayThem) {
  EXPECT_EQ(Ask("GET", "/v1/paths"), Json::parse(R"({"paths": []})"));
  PathSample full;
  full.peer = "far";
  full.rtt = Micros(10285);
  full.rtt_min = Micros(10113);
  full.jitter_forward = Micros(143);
  full.jitter_backward = Micros(20);
  full.loss_forward = 0.2;
  full.loss_backward = 0;
  full.loss = 0.2;
  full.sent = 50;
  full.window = std::chrono::milliseconds(5000);
  PathSample lost;
  lost.peer = "far";
  lost.ipv6 = true;
  lost.loss = 1;
  lost.sent = 45;
  lost.window = std::chrono::milliseconds(3000);
  Say(wire::Paths{.paths = {full, lost}, .refused_paths = 0});
  Json rows = Ask("GET", "/v1/paths")["paths"];
  ASSERT_EQ(rows.size(), 2u) << rows.dump();
  for (Json& row : rows) {
    EXPECT_TRUE(row["age_s"].is_number());
    row.erase("age_s");
  }
  EXPECT_EQ(rows[0], Json::parse(R"({"agent": "edge", "peer": "far", "family": "ipv4", "rtt_s": 0.010285,
      "rtt_min_s": 0.010113, "jitter_forward_s": 0.000143, "jitter_backward_s": 0.00002, "loss": 0.2,
      "loss_forward": 0.2, "loss_backward": 0.0, "sent": 50, "window_s": 5.0})"));
  EXPECT_EQ(rows[1],
            Json::parse(R"({"agent": "edge", "peer": "far", "family": "ipv6", "loss": 1.0, "sent": 45,
      "window_s": 3.0})"));
  EXPECT_EQ(Ask("GET", "/v1/paths?agent=edge&peer=far")["paths"].size(), 2u);
  EXPECT_EQ(Ask("GET", "/v1/paths?agent=far")["paths"].size(), 0u) << "it has said nothing";
  EXPECT_EQ(Ask("GET", "/v1/paths?peer=nobody")["error"]["code"], "not_found");
}

TEST_F(Network, LinksAsTheSwitchesCountThem) {
  BringUp();
  Json rows = Ask("GET", "/v1/links")["links"];
  ASSERT_EQ(rows.size(), 2u) << rows.dump();
  EXPECT_EQ(rows[0], Json::parse(R"({"switch": "dr1", "port": "c1", "role": "access", "number": 1})"));
  const auto count = [&](uint64_t c1_bytes, uint64_t up_bytes) {
    fake_->ports() = {
        {.number = 1, .in_packets = 7, .in_bytes = c1_bytes, .in_dropped = 3, .speed_kbit_s = 10000},
        {.number = 2, .out_bytes = up_bytes, .out_dropped = UINT64_MAX}};
  };
  count(1000, 0);
  // By the interval of the configuration; bytes that go on growing make rates.
  uint64_t bytes = 0;
  ASSERT_TRUE(Until([&] {
    bytes += 100;
    count(1000 + bytes, bytes);
    rows = Ask("GET", "/v1/links?switch=dr1")["links"];
    return rows[0].contains("in_bit_s") && rows[0]["in_bit_s"] > 0;
  }));
  const Json& access = rows[0];
  EXPECT_EQ(access["speed_bit_s"], 10000000);
  EXPECT_DOUBLE_EQ(access["in_load"].get<double>(), access["in_bit_s"].get<double>() / 1e7);
  EXPECT_EQ(access["out_load"], 0);
  EXPECT_EQ(access["in_dropped"], 3);
  EXPECT_GT(access["window_s"], 0);
  EXPECT_TRUE(access["age_s"].is_number());
  const Json& uplink = rows[1];
  EXPECT_EQ(uplink["speed_bit_s"], 1000000000) << "configured; the device says nothing";
  EXPECT_GT(uplink["out_bit_s"], 0);
  EXPECT_FALSE(uplink.contains("out_dropped")) << "not counted";
  const Json loads = Ask("GET", "/v1/switches")["switches"][0]["link_load"];
  EXPECT_EQ(loads["c1"]["speed_bit_s"], 10000000);
  EXPECT_TRUE(loads["up"].contains("out_bit_s"));
  EXPECT_EQ(Ask("GET", "/v1/links?switch=nobody")["error"]["code"], "not_found");
}

}  // namespace
}  // namespace dyncast
