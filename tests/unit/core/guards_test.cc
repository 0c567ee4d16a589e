// What selection must not do, whatever instances say or do.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "controller/core/chooser.h"
#include "tests/unit/core/farm.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Micros kFin{0};
constexpr Micros kIdle{seconds{5}};

class Guards : public Farm {
 protected:
  Guards() {
    config_.services[0].selection.policy = PolicyKind::kAuto;
    config_.services[0].affinity.idle_timeout = seconds{5};
  }
  // Of switch r1.
  int SlotsOf(const std::string& name) const {
    const auto plan = core_->PlanInForce(Sw("r1"));
    const auto& slots = plan->services.front().slots_v4;
    return static_cast<int>(std::count(slots.begin(), slots.end(), View(name).id));
  }
};

struct Lie {
  const char* name = "";
  PolicyKind policy = PolicyKind::kAuto;
  Micros linger = kFin;
  std::vector<std::pair<std::string, double>> claims{};
  double most = 0.1;
};
const std::vector<std::pair<std::string, double>> kIdleAndFast = {
    {"utilization", 0.01}, {"sessions", 0}, {"queue", 0}, {"latency", 0.001}};
// As fast as the others, with thousands of workers.
const std::vector<std::pair<std::string, double>> kHuge = {
    {"utilization", 0.0001}, {"sessions", 0}, {"queue", 0}, {"latency", 0.05}};
// Its requests as fast as none, its use as that of the others.
const std::vector<std::pair<std::string, double>> kFullSpeed = {
    {"utilization", 0.3}, {"sessions", 0}, {"queue", 0}, {"latency", 1e-5}};

// Three honest ones of 80/s each; one that can 8/s and says something else.
class Liar : public Guards, public ::testing::WithParamInterface<Lie> {};

TEST_P(Liar, DoesNotAttractEverything) {
  config_.services[0].selection.policy = GetParam().policy;
  const Server honest{.agent = "", .workers = 4, .service_s = 0.05};
  Server liar{.agent = "", .workers = 4, .service_s = 0.5};
  liar.claims = GetParam().claims;
  Build({{"web-a", honest}, {"web-b", honest}, {"web-c", honest}, {"web-liar", liar}});
  Run(120, 20, GetParam().linger);
  ResetCounts();
  Run(120, 120, GetParam().linger);
  EXPECT_LT(ShareOf("web-liar"), GetParam().most) << "it can take 0.067 of what comes";
}

INSTANTIATE_TEST_SUITE_P(
    Guards, Liar,
    ::testing::Values(Lie{"idle_fin", PolicyKind::kAuto, kFin, kIdleAndFast},
                      Lie{"idle_idle", PolicyKind::kAuto, kIdle, kIdleAndFast},
                      Lie{"huge_fin", PolicyKind::kAuto, kFin, kHuge},
                      Lie{"huge_idle", PolicyKind::kAuto, kIdle, kHuge},
                      Lie{"speed_fin", PolicyKind::kAuto, kFin, kFullSpeed},
                      Lie{"speed_idle", PolicyKind::kAuto, kIdle, kFullSpeed},
                      Lie{"idle_least_bindings", PolicyKind::kLeastBindings, kFin, kIdleAndFast},
                      Lie{"huge_least_bindings", PolicyKind::kLeastBindings, kFin, kHuge}),
    [](const auto& lie) { return std::string(lie.param.name); });

TEST_F(Guards, WhereClientsKeepConnectionsOpenReportsAreBelieved) {
  keep_open_ = seconds{1};
  const Server one{.agent = "", .workers = 4, .service_s = 0.05};
  Build({{"web-a", one}, {"web-b", one}, {"web-c", one}});
  Run(120, 30, kIdle);
  for (const auto& c : core_->Explain(Demand("r1", "web", 99).demand, Sv("web"), Sw("r1"), now_).candidates) {
    EXPECT_NEAR(c.capacity.value(), 80, 20);
  }
}

TEST_F(Guards, APaceThatWasReportedExpires) {
  config_.services[0].selection.metrics_expiry = milliseconds{3000};
  StartWeb();
  const auto capacities = [&](uint16_t port) {
    Do(Demand("r1", "web", port));
    std::vector<double> found;
    for (const auto& c :
         core_->Explain(Demand("r1", "web", 99).demand, Sv("web"), Sw("r1"), now_).candidates) {
      found.push_back(c.capacity.value());
    }
    return found;
  };
  for (int i = 0; i < 2; ++i) {
    Report("a2", "web-2", {{"request_rate", 40}, {"utilization", 0.5}, {"latency", 0.05}});
    Report("a3", "web-3", {{"request_rate", 40}, {"utilization", 0.1}, {"latency", 0.05}});
    Advance(seconds{1});
  }
  const auto reported = capacities(1000);
  EXPECT_GT(std::max(reported[0], reported[1]), 2 * std::min(reported[0], reported[1]));
  Advance(seconds{5});
  const auto later = capacities(1001);
  EXPECT_DOUBLE_EQ(later[0], later[1]);
}

TEST_F(Guards, ASlowInstanceIsSeenWithoutAnyReport) {
  Server silent{.agent = "", .workers = 4, .service_s = 0.05};
  silent.reports = false;
  Build({{"web-a", silent}, {"web-b", silent}, {"web-c", silent}});
  Run(120, 20, kFin);
  ResetCounts();
  Run(120, 20, kFin);
  EXPECT_NEAR(ShareOf("web-a"), 0.333, 0.08);
  servers_["web-a"].service_s = 0.3;
  Run(120, 3, kFin);
  ResetCounts();
  Run(120, 20, kFin);
  EXPECT_LT(ShareOf("web-a"), 0.15);
  servers_["web-a"].service_s = 0.05;
  Run(120, 30, kFin);
  ResetCounts();
  Run(120, 20, kFin);
  EXPECT_GT(ShareOf("web-a"), 0.2) << "it is well again, and was tried";
}

TEST_F(Guards, AnInstanceThatBecomesSlowLosesDemandsAndGetsThemBack) {
  for (const Micros linger : {kFin, kIdle}) {
    const Server one{.agent = "", .workers = 4, .service_s = 0.05};
    Build({{"web-a", one}, {"web-b", one}, {"web-c", one}});
    Run(120, 20, linger);
    servers_["web-b"].service_s = 0.25;
    Run(120, 3, linger);
    ResetCounts();
    Run(120, 20, linger);
    EXPECT_LT(ShareOf("web-b"), 0.17) << linger.count();
    servers_["web-b"].service_s = 0.05;
    Run(120, 30, linger);
    ResetCounts();
    Run(120, 20, linger);
    EXPECT_GT(ShareOf("web-b"), 0.22) << linger.count();
  }
}

TEST_F(Guards, WhenAllAreOverloadedDemandsAreSpread) {
  for (const Micros linger : {kFin, kIdle}) {
    const Server one{.agent = "", .workers = 4, .service_s = 0.05};
    Build({{"web-a", one}, {"web-b", one}, {"web-c", one}, {"web-d", one}});
    Run(400, 10, linger);
    ResetCounts();
    Run(400, 5, linger);
    for (const auto& [name, server] : servers_) EXPECT_NEAR(ShareOf(name), 0.25, 0.06) << name;
  }
}

TEST_F(Guards, WhenAllAreFullOfLoadLeastLoadedTakesTurns) {
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  StartWeb();
  Report("a2", "web-2", {{"utilization", 1.0}});
  Report("a3", "web-3", {{"utilization", 1.3}});
  std::map<InstanceId, int> went;
  for (uint16_t port = 1000; port < 1010; ++port) ++went[Went(Do(Demand("r1", "web", port)))];
  EXPECT_EQ(went[View("web-2").id], 5);
}

TEST_F(Guards, FirstReportsOfANewInstanceAreNotUsed) {
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  config_.services[0].selection.blackout = milliseconds{3000};
  StartWeb();
  const auto to_2 = [&](uint16_t first) {
    int n = 0;
    for (uint16_t port = first; port < first + 10; ++port) {
      n += Went(Do(Demand("r1", "web", port))) == View("web-2").id ? 1 : 0;
    }
    return n;
  };
  Report("a2", "web-2", {{"utilization", 0.9}});
  Report("a3", "web-3", {{"utilization", 0.1}});
  EXPECT_EQ(to_2(1000), 5);
  EXPECT_EQ(View("web-2").metrics.size(), 1u) << "they are shown";
  Advance(seconds{3});
  EXPECT_EQ(to_2(1100), 5) << "what was said in the blackout does not count later";
  Report("a2", "web-2", {{"utilization", 0.9}});
  Report("a3", "web-3", {{"utilization", 0.1}});
  EXPECT_EQ(to_2(1200), 0);
}

TEST_F(Guards, NoBlackoutForInstancesKnownFromBefore) {
  config_.services[0].selection.blackout = milliseconds{3000};
  PersistedState before;
  before.services = {{.id = ServiceId{1}, .name = "web", .sid_v4 = Ip("10.100.0.1"), .sid_v6 = std::nullopt}};
  before.instances = {{.id = InstanceId{1},
                       .name = "web-2",
                       .service = ServiceId{1},
                       .bid = Ip("10.2.0.10"),
                       .agent = "a2",
                       .capacity = {},
                       .state = InstanceState::kUp,
                       .reason = "health",
                       .drained_by_operator = false,
                       .changed_at = {},
                       .drain_until = std::nullopt}};
  Start(before);
  Announce("a2", "web-2", "web", "10.2.0.10");
  Report("a2", "web-2", {{"utilization", 0.5}});
  EXPECT_EQ(View("web-2").load, 0.5);
}

TEST_F(Guards, NoInstanceGetsMoreThanItsShare) {
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  config_.services[0].selection.max_share = 0.6;
  StartWeb();
  Report("a2", "web-2", {{"utilization", 0.1}});
  Report("a3", "web-3", {{"utilization", 0.9}});
  int to_2 = 0;
  constexpr int kDemands = 1000;
  for (uint16_t port = 1000; port < 1000 + kDemands; ++port) {
    to_2 += Went(Do(Demand("r1", "web", port))) == View("web-2").id ? 1 : 0;
  }
  EXPECT_NEAR(to_2, 600, 40);
}

TEST_F(Guards, AShareThatCannotBeKeptIsNotKept) {
  config_.services[0].selection.max_share = 0.3;  // of two
  StartWeb();
  std::map<InstanceId, int> went;
  for (uint16_t port = 1000; port < 1100; ++port) ++went[Went(Do(Demand("r1", "web", port)))];
  EXPECT_NEAR(went[View("web-2").id], 50, 5);
  Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kDown);
  EXPECT_EQ(Went(Do(Demand("r1", "web", 2000))), View("web-2").id);
}

TEST_F(Guards, WithDispatchLearnNoInstanceHasMoreSlotsThanItsShare) {
  config_.services[0].dispatch = Dispatch::kLearn;
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  config_.services[0].selection.max_share = 0.6;
  StartWeb();
  Report("a2", "web-2", {{"utilization", 0.0}});
  Report("a3", "web-3", {{"utilization", 0.9}});
  Tick(seconds{2});
  EXPECT_EQ(SlotsOf("web-2"), 614) << "0.6 of 1024";
}

TEST_F(Guards, WithDispatchLearnSmallChangesLeaveTheSlotsAlone) {
  config_.services[0].dispatch = Dispatch::kLearn;
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  StartWeb();
  const auto load = [&](double of_2) {
    for (int i = 0; i < 3; ++i) {
      Report("a2", "web-2", {{"utilization", of_2}});
      Report("a3", "web-3", {{"utilization", 0.5}});
      Tick(seconds{1});
    }
    return SlotsOf("web-2");
  };
  EXPECT_EQ(load(0.5), 512);
  EXPECT_EQ(load(0.51), 512) << "1% less";
  EXPECT_EQ(load(0.55), 485);
}

// Generations keep a binding for idle_timeout and more after its last packet: it says nothing of who is
// served.
TEST_F(Guards, BindingsOfGenerationsThatLingerAreNoQueue) {
  config_.services[0].affinity.store = BindingStoreKind::kGenerations;
  StartWeb();
  for (const char* agent : {"a2", "a3"}) Say(agent, wire::Heartbeat{milliseconds{3600000}});
  const auto ahead_after = [&](uint16_t first) {
    for (uint16_t port = first; port < first + 10; ++port) Do(Demand("r1", "web", port));
    Tick(seconds{2});
    double ahead = 0;
    for (const auto& c :
         core_->Explain(Demand("r1", "web", 99).demand, Sv("web"), Sw("r1"), now_).candidates) {
      ahead += c.outstanding.value();
    }
    return ahead;
  };
  EXPECT_NEAR(ahead_after(1000), 10, 1e-6) << "nothing is known yet";
  for (int i = 0; i < 200; ++i) {
    Do(SwitchSynced{Sw("r1")});
    Tick(milliseconds{100});
  }
  ASSERT_EQ(core_->binding_count(), 0u);
  EXPECT_LT(ahead_after(2000), 1) << "they are long served";
  EXPECT_EQ(core_->binding_count(), 10u);
}

TEST_F(Guards, FiguresThatMeanNothingAreNoReasonToRefuse) {
  for (const PolicyKind kind : {PolicyKind::kRoundRobin, PolicyKind::kStatic, PolicyKind::kLeastLoaded,
                                PolicyKind::kWeighted, PolicyKind::kLeastBindings, PolicyKind::kLowestDelay,
                                PolicyKind::kPowerOfTwo, PolicyKind::kWaterFilling, PolicyKind::kAuto}) {
    for (const Dispatch dispatch : {Dispatch::kReactive, Dispatch::kLearn}) {
      config_.services[0].dispatch = dispatch;
      config_.services[0].selection.policy = kind;
      Start();
      Connect("r1");
      Capacity capacity;
      capacity.requests_per_s = 1e308;
      Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kUp, capacity);
      Announce("a3", "web-3", "web", "10.3.0.10", wire::Health::kUp, capacity);
      for (int i = 0; i < 5; ++i) {
        for (const std::string n : {"2", "3"}) {
          Report("a" + n, "web-" + n,
                 {{"request_rate", 1e308},
                  {"utilization", 1e-300},
                  {"sessions", 1e308},
                  {"latency", 1e308},
                  {"cpu_utilization", std::nan("")},
                  {"queue", -5}});
        }
        Tick(seconds{1});
        if (dispatch == Dispatch::kReactive) {
          EXPECT_NE(Went(Do(Demand("r1", "web", static_cast<uint16_t>(1000 + i)))), InstanceId{})
              << PolicyKindName(kind);
        }
      }
      if (dispatch == Dispatch::kReactive) continue;
      EXPECT_NEAR(SlotsOf("web-2"), 512, 1) << PolicyKindName(kind);
    }
  }
}

TEST_F(Guards, WhatWasSaidBeforeAnInstanceCameUpIsNotUsed) {
  config_.services[0].selection.policy = PolicyKind::kLeastLoaded;
  StartWeb();
  const auto to_2 = [&](uint16_t first) {
    int n = 0;
    for (uint16_t port = first; port < first + 10; ++port) {
      n += Went(Do(Demand("r1", "web", port))) == View("web-2").id ? 1 : 0;
    }
    return n;
  };
  Report("a2", "web-2", {{"utilization", 0.1}});
  Report("a3", "web-3", {{"utilization", 0.5}});
  EXPECT_EQ(to_2(1000), 10);
  Announce("a2", "web-2", "web", "10.2.0.10", wire::Health::kDown);
  Report("a2", "web-2", {{"utilization", 0.0}});
  Announce("a2", "web-2", "web", "10.2.0.10");
  EXPECT_EQ(to_2(1100), 5) << "it was idle since it was down";
}

// Two of three serve what comes; the third says that it is idle and does not keep up. Sessions of 20 s.
TEST_F(Guards, WithSessionsOneThatDoesNotKeepUpIsNotBelieved) {
  StartWeb();
  Announce("a2", "web-2b", "web", "10.2.0.11");
  const std::vector<std::string> names = {"web-2", "web-3", "web-2b"};
  std::map<InstanceId, std::string> by_id;
  for (const std::string& name : names) by_id[View(name).id] = name;
  std::map<std::string, int> held;
  std::deque<std::pair<uint16_t, std::string>> sessions;
  int to_liar = 0;
  constexpr int kSeconds = 200;
  for (int second = 0; second < kSeconds; ++second) {
    for (int i = 0; i < 10; ++i) {
      const auto port = static_cast<uint16_t>(1024 + second * 10 + i);
      const std::string to = by_id.at(Went(Do(Demand("r1", "web", port))));
      ++held[to];
      sessions.emplace_back(port, to);
      if (second >= 100) to_liar += to == "web-2b" ? 1 : 0;
      if (sessions.size() > 200) {
        const auto [old, at] = sessions.front();
        sessions.pop_front();
        --held[at];
        FoundBinding found;
        found.place = BindingPlace::kHeaderTimed;
        found.key = MakeBindingKey(config_.services[0].affinity, Sw("r1"), Sv("web"),
                                   Demand("r1", "web", old).demand);
        found.instance = View(at).id;
        found.packets = 40;
        found.age = milliseconds{20000};
        Do(BindingFlowEnded{.at = Sw("r1"), .binding = found});
      }
      Tick(milliseconds{100});
    }
    for (const std::string& name : names) {
      const double asked = 2.0 * held[name];
      const std::string agent = name == "web-3" ? "a3" : "a2";
      if (name == "web-2b") {
        Report(agent, name,
               {{"request_rate", std::min(asked, 20.0)}, {"utilization", 0.03}, {"latency", 0.001}});
      } else {
        Report(agent, name, {{"request_rate", asked}, {"utilization", asked / 400}, {"latency", 0.01}});
      }
    }
  }
  EXPECT_LT(to_liar, 10 * 100 * 0.25) << "it can take a twentieth of what comes";
}

TEST(BoundWeights, CutsTheLargestAndKeepsTheRest) {
  const auto bounded = [](std::vector<double> weights, double most) {
    BoundWeights(weights, most);
    double sum = 0;
    for (const double w : weights) sum += w;
    for (double& w : weights) w /= sum;
    return weights;
  };
  EXPECT_NEAR(bounded({8, 1, 1}, 0.5)[0], 0.5, 1e-9);
  EXPECT_NEAR(bounded({8, 1, 1}, 0.5)[1], 0.25, 1e-9);
  const auto two = bounded({100, 50, 1, 1}, 0.4);
  EXPECT_NEAR(two[0], 0.4, 1e-9);
  EXPECT_NEAR(two[1], 0.4, 1e-9);
  EXPECT_NEAR(two[2], 0.1, 1e-9);
  EXPECT_NEAR(bounded({3, 1}, 0.9)[0], 0.75, 1e-9) << "nothing to cut";
  EXPECT_NEAR(bounded({9, 1}, 0.2)[0], 0.5, 1e-9) << "no way to keep it";
  const auto none = bounded({8, 0, 1, 1}, 0.5);
  EXPECT_EQ(none[1], 0) << "who takes none takes none";
}

}  // namespace
}  // namespace dyncast::core
