// Whole runs: against queueing theory, the same for the same seed, and what is known of policies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "schema/config/tables.h"
#include "tests/sim/agents.h"
#include "tests/sim/csv_report.h"
#include "tests/sim/fabric.h"
#include "tests/sim/html_report.h"
#include "tests/unit/sim/fixture.h"

namespace dyncast::sim {
namespace {

using ::testing::HasSubstr;

// Mean time in an M/M/c queue, in seconds; exact.
double MeanInQueue(uint32_t workers, double rho, double service_s) {
  return service_s * (1 + ReferencePolicy::MeanWait(workers, rho));
}

TEST(Run, OneInstanceIsAQueueOfTheory) {
  for (const auto& [workers, load] : {std::pair<uint32_t, double>{1, 0.7}, {4, 0.8}}) {
    Scenario s = Parsed(kSmall);
    s.edges.resize(1);
    s.edges[0].instances[0].workers = workers;
    s.demands[0].load = load;
    s.demands[0].work.distribution = Distribution::kExponential;
    s.duration = std::chrono::seconds{1000};
    const Loaded loaded = Prepared(s);
    const Outcome outcome = Simulate(loaded, Spec(s, "round-robin"));
    const double expected = MeanInQueue(workers, load, 0.02);
    EXPECT_NEAR(outcome.mean_s, expected, expected * 0.05) << workers;
    // It is not as if any queue would do.
    EXPECT_GT(std::abs(outcome.mean_s - MeanInQueue(workers, load + 0.05, 0.02)), expected * 0.05);
    // As many as the load needs.
    EXPECT_NEAR(static_cast<double>(outcome.requests), load * workers / 0.02 * 998, 600);
  }
}

TEST(Run, DelaysCountBothWays) {
  Scenario s = Parsed(kSmall);
  s.demands[0].load = 0.01;
  s.demands[0].work.distribution = Distribution::kFixed;
  s.network.delay = Micros{30'000};
  const Outcome outcome = Simulate(Prepared(s), Spec(s, "least-bindings"));
  EXPECT_NEAR(outcome.p50_s, 0.08, 1e-4);
}

MatrixSpec Matrix(const Loaded& loaded, unsigned threads) {
  MatrixSpec spec;
  spec.scenarios = {&loaded};
  spec.policies = AllPolicies();
  spec.periods = {Micros{100'000}, Micros{1'000'000}};
  spec.endings = {Ending::kFin, Ending::kIdle};
  spec.dispatches = {Dispatch::kReactive, Dispatch::kLearn};
  spec.seeds = {3, 4};
  spec.threads = threads;
  return spec;
}

TEST(Run, SameSeedsGiveTheSameBytes) {
  Scenario s = Parsed(kSmall);
  s.reports.loss = 0.1;
  s.duration = std::chrono::seconds{8};
  const Loaded loaded = Prepared(s);
  const std::vector<Cell> once = RunMatrix(Matrix(loaded, 1));
  const std::vector<Cell> again = RunMatrix(Matrix(loaded, 3));
  EXPECT_EQ(CsvReport(once), CsvReport(again));
  EXPECT_EQ(HtmlReport(once), HtmlReport(again));
  MatrixSpec others = Matrix(loaded, 3);
  others.seeds = {3, 5};
  EXPECT_NE(CsvReport(once), CsvReport(RunMatrix(others)));
}

TEST(Run, AllPoliciesGetTheSameDemands) {
  const Scenario s = Parsed(kSmall);
  const Loaded loaded = Prepared(s);
  const Outcome oracle = Simulate(loaded, Spec(s, "oracle"));
  EXPECT_GT(oracle.requests, 3000u);
  for (const PolicyChoice& policy : AllPolicies()) {
    const Outcome outcome = Simulate(loaded, Spec(s, policy.name));
    EXPECT_EQ(outcome.requests, oracle.requests) << policy.name;
    EXPECT_EQ(outcome.demands, oracle.demands) << policy.name;
    EXPECT_EQ(outcome.refused, 0u) << policy.name;
  }
  EXPECT_NE(Simulate(loaded, Spec(s, "oracle", 2)).requests, oracle.requests);
}

TEST(Run, KnowsEveryPolicyOfTheConfiguration) {
  const std::function<void(const config::TableInfo&, std::string*)> find = [&](const config::TableInfo& table,
                                                                               std::string* rule) {
    for (const config::OptionInfo& option : table.options) {
      if (option.key == "policy") *rule = option.rule;
      for (const config::TableInfo& child : option.children) find(child, rule);
    }
  };
  std::string rule;
  find(config::FabricTable().Info(), &rule);
  const std::regex word("`([a-z-]+)`");
  size_t names = 0;
  for (auto at = std::sregex_iterator(rule.begin(), rule.end(), word); at != std::sregex_iterator();
       ++at, ++names) {
    const auto policy = FindPolicy((*at)[1].str());
    ASSERT_TRUE(policy.has_value()) << (*at)[1].str();
    EXPECT_TRUE(policy->policy.has_value());
  }
  EXPECT_EQ(names + 2, AllPolicies().size());
}

TEST(Run, StaleLoadsHerdExactBindingsDoNot) {
  Scenario s = Parsed(kSmall);
  s.demands[0].load = 0.8;
  s.duration = std::chrono::seconds{60};
  const Loaded loaded = Prepared(s);
  const Outcome oracle = Simulate(loaded, Spec(s, "oracle"));
  const Outcome herd = Simulate(loaded, Spec(s, "least-loaded"));
  const Outcome exact = Simulate(loaded, Spec(s, "least-bindings"));
  EXPECT_GT(herd.p99_s, 3 * oracle.p99_s);
  EXPECT_GT(herd.moved_share_per_s, 0.3);
  EXPECT_LT(exact.p99_s, 1.2 * oracle.p99_s);
  EXPECT_LT(exact.moved_share_per_s, 0.1);
  EXPECT_GT(herd.imbalance, exact.imbalance);
}

TEST(Run, SlowInstancesAreSlow) {
  Scenario s = Parsed(kSmall);
  const double plain = Simulate(Prepared(s), Spec(s, "static")).mean_s;
  s.speeds = {{.instance = "i1", .at = std::chrono::seconds{2}, .factor = 0.5}};
  EXPECT_GT(Simulate(Prepared(s), Spec(s, "static")).mean_s, 1.5 * plain);
  s.speeds.clear();
  s.rotation = RotationSpec{.factor = 0.5, .time = std::chrono::seconds{3}};
  EXPECT_GT(Simulate(Prepared(s), Spec(s, "static")).mean_s, 1.2 * plain);
}

TEST(Run, SessionsStayWhereTheyAreBound) {
  Scenario s = Parsed(kSmall);
  s.demands[0].sessions =
      SessionSpec{.length = std::chrono::seconds{5}, .gap = std::chrono::milliseconds{100}};
  for (const Ending ending : {Ending::kFin, Ending::kIdle}) {
    s.ending = ending;
    const Loaded loaded = Prepared(s);
    const Outcome outcome = Simulate(loaded, Spec(s, "least-bindings"));
    EXPECT_GT(outcome.requests, 20 * outcome.demands);
    EXPECT_EQ(outcome.requests, Simulate(loaded, Spec(s, "round-robin")).requests);
  }
  // With gaps beyond the idle timeout they are bound anew.
  s.idle_timeout = std::chrono::seconds{1};
  s.demands[0].sessions->gap = std::chrono::seconds{2};
  const Outcome anew = Simulate(Prepared(s), Spec(s, "least-bindings"));
  EXPECT_LT(anew.requests, 2 * anew.demands);
}

TEST(Run, WithoutAgentsNobodyIsServed) {
  Scenario s = Parsed(kSmall);
  s.reports.loss = 1;
  const Outcome outcome = Simulate(Prepared(s), Spec(s, "least-bindings"));
  EXPECT_GT(outcome.refused, 1000u);  // from the third missed heartbeat on
  EXPECT_EQ(outcome.requests, outcome.demands);
  EXPECT_GT(outcome.messages_lost, 20u);
}

TEST(Run, LearnSelectsByShares) {
  Scenario s = Parsed(kSmall);
  s.dispatch = Dispatch::kLearn;
  s.demands[0].load = 0.2;
  s.duration = std::chrono::seconds{60};
  const Loaded loaded = Prepared(s);
  const Outcome outcome = Simulate(loaded, Spec(s, "static"));
  EXPECT_EQ(outcome.refused, 0u);
  EXPECT_EQ(outcome.bindings_pushed, 0u);
  double share = 0;
  for (const float part : outcome.series.share[1]) share += static_cast<double>(part);
  EXPECT_NEAR(share / static_cast<double>(outcome.series.share[1].size()), 4.0 / 6, 0.04);
}

TEST(Fabric, BindsAndUnbinds) {
  const Loaded loaded = Prepared(Parsed(kSmall));
  Fabric fabric(loaded.scenario, loaded.topology, {.policy = PolicyKind::kLeastBindings});
  Agents agents(loaded.scenario, loaded.topology, Micros{500'000});
  Flow flow{.router = 0, .service = 0, .client = 5, .port = 1024};
  EXPECT_FALSE(fabric.Demand(flow, Micros{1}).has_value());
  EXPECT_EQ(fabric.counts().refused, 1u);
  Agents::Messages said;
  for (const uint32_t edge : {0u, 1u}) agents.Announce(edge, Micros{2}, &said);
  for (wire::AgentMessage& message : said) fabric.Say(std::move(message), Micros{2});
  const auto first = fabric.Demand(flow, Micros{3});
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(*first, 1u);  // four cores
  EXPECT_EQ(fabric.Demand(flow, Micros{4}), first);
  EXPECT_EQ(fabric.binding_count(), 1u);
  flow.instance = *first;
  flow.bound_at = Micros{3};
  fabric.Ended(flow, Micros{500'000});
  EXPECT_EQ(fabric.binding_count(), 0u);
}

TEST(Html, NeedsNothingElse) {
  Scenario s = Parsed(kSmall);
  s.duration = std::chrono::seconds{6};
  const Loaded loaded = Prepared(s);
  const std::string page = HtmlReport(RunMatrix(Matrix(loaded, 2)));
  for (const char* outside : {"http", "src=", "href=", "url(", "@import", "<script"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  for (const PolicyChoice& policy : AllPolicies())
    EXPECT_THAT(page, HasSubstr(policy.name + ": queue of each instance"));
  for (const char* element : {"svg", "g", "table", "tr", "td", "div", "details", "text", "title", "p"}) {
    const auto count = [&](const std::string& what) {
      const std::regex tag(what);
      return std::distance(std::sregex_iterator(page.begin(), page.end(), tag), std::sregex_iterator());
    };
    EXPECT_EQ(count(std::string("<") + element + "[ >]"), count(std::string("</") + element + ">"))
        << element;
  }
}

}  // namespace
}  // namespace dyncast::sim
