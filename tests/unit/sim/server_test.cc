// Instances, agents and reference policies, each by itself.
#include "tests/sim/server.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/sim/agents.h"
#include "tests/sim/oracle.h"
#include "tests/unit/sim/fixture.h"

namespace dyncast::sim {
namespace {

constexpr Micros Ms(int64_t ms) { return Micros{ms * 1000}; }

TEST(Server, ServesInTurnWithItsWorkers) {
  Server server(2, 1);
  server.Arrive(Ms(0), 1, 0.100);
  server.Arrive(Ms(10), 2, 0.020);
  server.Arrive(Ms(11), 3, 0.050);
  server.Arrive(Ms(12), 4, 0.001);
  EXPECT_EQ(server.waiting(), 2u);
  EXPECT_NEAR(server.WorkLeft(Ms(12)), 0.088 + 0.018 + 0.050 + 0.001, 1e-9);
  ASSERT_EQ(server.NextDone(), Ms(30));
  EXPECT_EQ(server.Finish(Ms(30)).job, 2u);
  ASSERT_EQ(server.NextDone(), Ms(80));  // 3 began at 30
  EXPECT_EQ(server.Finish(Ms(80)).job, 3u);
  ASSERT_EQ(server.NextDone(), Ms(81));
  EXPECT_EQ(server.Finish(Ms(81)).job, 4u);
  EXPECT_EQ(server.Finish(Ms(100)).job, 1u);
  EXPECT_FALSE(server.NextDone().has_value());
  const Server::Totals totals = server.At(Ms(150));
  EXPECT_EQ(totals.done, 4u);
  EXPECT_NEAR(totals.busy_s, 0.171, 1e-9);
  EXPECT_NEAR(totals.serving_s, 0.171, 1e-9);
}

TEST(Server, AChangeOfSpeedHoldsForWhatIsUnderWay) {
  Server server(1, 1);
  server.Arrive(Ms(0), 1, 0.100);
  server.SetSpeed(Ms(40), 0.3);
  ASSERT_EQ(server.NextDone(), Ms(240));  // 60 ms of work are left
  server.SetSpeed(Ms(140), 2);
  ASSERT_EQ(server.NextDone(), Ms(155));  // 30 ms are left
  EXPECT_EQ(server.Finish(Ms(155)).started, Ms(0));
}

TEST(Agents, ReportWhatTheWindowHeld) {
  const Loaded loaded = Prepared(Parsed(kSmall));
  Agents agents(loaded.scenario, loaded.topology, Ms(500));
  std::vector<Server> servers{Server(2, 1), Server(4, 1)};
  Agents::Messages out;
  agents.Report(0, Ms(100), servers, {0, 0}, &out);
  servers[0].Arrive(Ms(100), 1, 0.300);
  servers[0].Arrive(Ms(100), 2, 9);
  servers[0].Arrive(Ms(100), 3, 9);
  servers[0].Finish(Ms(400));
  servers[0].Arrive(Ms(400), 4, 9);
  out.clear();
  agents.Report(0, Ms(700), servers, {4, 0}, &out);  // back to 100: the youngest that is 500 ms old
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].agent, "agent-e1");
  const auto& report = std::get<wire::Report>(out[0].body);
  EXPECT_EQ(report.instance, "i1");
  std::map<std::string, double> values;
  for (const MetricSample& sample : report.metrics) values[sample.name] = sample.value;
  EXPECT_NEAR(values["request_rate"], 1 / 0.6, 1e-9);
  EXPECT_NEAR(values["utilization"], 1, 1e-9);
  EXPECT_NEAR(values["latency"], 0.3, 1e-9);
  EXPECT_EQ(values["queue"], 1);
  EXPECT_EQ(values["sessions"], 4);
  // Without a completed request there is no latency.
  out.clear();
  agents.Report(1, Ms(700), servers, {4, 0}, &out);
  for (const MetricSample& sample : std::get<wire::Report>(out[0].body).metrics)
    EXPECT_NE(sample.name, "latency");
}

TEST(Agents, MessagesAreInOrder) {
  const Loaded loaded = Prepared(Parsed(std::string(kSmall) + "network: {delay: 7ms}\n"));
  Agents agents(loaded.scenario, loaded.topology, Ms(500));
  Agents::Messages out;
  agents.Announce(1, Ms(0), &out);
  agents.Announce(1, Ms(1000), &out);
  ASSERT_EQ(out.size(), 4u);
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i].sequence, i + 1);
  EXPECT_EQ(std::get<wire::Announce>(out[0].body).capacity.cpu_cores, 4);
  out.clear();
  agents.Paths(0, Ms(0), &out);
  const auto& paths = std::get<wire::Paths>(out[0].body).paths;
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_EQ(paths[1].peer, "agent-e2");
  EXPECT_EQ(paths[1].rtt, Ms(14));
}

TEST(Oracle, MeanWaitIsErlangs) {
  // One worker: rho / (1 - rho). Two workers: rho^2 / (1 - rho^2).
  EXPECT_NEAR(ReferencePolicy::MeanWait(1, 0.8), 4, 1e-9);
  EXPECT_NEAR(ReferencePolicy::MeanWait(2, 0.5), 0.25 / 0.75, 1e-9);
  EXPECT_EQ(ReferencePolicy::MeanWait(3, 0), 0);
  EXPECT_GT(ReferencePolicy::MeanWait(4, 1.5), ReferencePolicy::MeanWait(4, 0.999));
}

class OracleChoice : public ::testing::Test {
 protected:
  OracleChoice() {
    loaded_ = Prepared(Parsed(R"(name: o
routers: [{name: r1}]
edges:
  - {name: e1, instances: [{name: i1}, {name: i2, speed: 2}]}
  - {name: e2, instances: [{name: i3, speed: 2}]}
network: {delays: [{router: r1, edge: e2, delay: 20ms}]}
demands: [{load: 0.5, work: {distribution: fixed, mean: 100ms}}]
)"));
    for (const auto& i : loaded_.topology.instances) servers_.emplace_back(i.workers, i.speed);
    underway_.resize(3);
  }
  uint32_t Choose(Reference kind = Reference::kOracle, double work_s = 0.1) {
    ReferencePolicy policy(kind, loaded_.topology);
    return policy.Choose({.router = 0, .service = 0, .work_s = work_s}, Micros{0}, servers_, underway_);
  }
  Loaded loaded_;
  std::vector<Server> servers_;
  std::vector<Underway> underway_;
};

TEST_F(OracleChoice, TakesTheFasterThenTheNearer) {
  EXPECT_EQ(Choose(), 1u);  // 50 ms; i3: 90, i1: 100
  servers_[1].Arrive(Micros{0}, 1, 0.1);
  EXPECT_EQ(Choose(), 2u);  // i2: 100, i3: 90
  servers_[1].SetSpeed(Micros{0}, 0.2);
  servers_[2].SetSpeed(Micros{0}, 0.2);
  EXPECT_EQ(Choose(), 0u);
}

TEST_F(OracleChoice, SeesWhatIsOnTheWay) {
  underway_[1].requests = 1;
  EXPECT_EQ(Choose(), 2u);
  underway_[1].requests = 0;
  EXPECT_EQ(Choose(), 1u);
}

TEST_F(OracleChoice, AQueueShrinksWhileTheDemandTravels) {
  servers_[0].Arrive(Micros{0}, 1, 9);
  servers_[1].Arrive(Micros{0}, 2, 9);
  servers_[1].Arrive(Micros{0}, 3, 9);
  servers_[2].Arrive(Micros{0}, 4, 9);
  // i3: 20 + max(20, 50) + 50 = 120 ms; i2: 100 + 50; i1: 100 + 100.
  EXPECT_EQ(Choose(), 2u);
}

TEST_F(OracleChoice, OnlyTheClairvoyantKnowsTheWork) {
  servers_[1].Arrive(Micros{0}, 1, 0.001);
  servers_[2].Arrive(Micros{0}, 2, 9);
  EXPECT_EQ(Choose(Reference::kOracle), 0u);       // i1: 100 = i2: 50 + 50, equal: the first
  EXPECT_EQ(Choose(Reference::kClairvoyant), 1u);  // 0.5 + 50
}

}  // namespace
}  // namespace dyncast::sim
