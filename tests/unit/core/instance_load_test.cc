// What the core reckons of an instance by itself.
#include "controller/core/instance_load.h"

#include <cmath>

#include "tests/unit/core/fixture.h"

namespace dyncast::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Load : public ::testing::Test {
 protected:
  void Bind(double rtt_s = 0) { load_.Bound(SwitchId{1}, rtt_s, held_++, now_, service_); }
  void Unbind() { load_.Unbound(held_--, now_); }
  void Finish(double active_s, double lingered_s) {
    service_.Finished(active_s, lingered_s);
    load_.Finished(active_s, 0, now_);
  }
  void Report(std::vector<std::pair<std::string, double>> metrics) {
    std::vector<MetricSample> samples;
    for (const auto& [name, value] : metrics) samples.push_back(Sample(name, value));
    metrics_.Replace(std::move(samples), {}, true, now_);
    load_.Reported(metrics_, held_, now_, &service_);
  }
  double Ahead() const { return load_.Ahead(held_, now_, service_).mean; }
  void Pass(Micros by) { now_ += by; }

  ServiceLoad service_;
  InstanceLoad load_;
  InstanceMetrics metrics_;
  uint32_t held_ = 0;
  MonoTime now_{seconds{1000}};
};

TEST_F(Load, BindingsThatEndWithTheirDemandsAreTheDemands) {
  EXPECT_TRUE(service_.exact()) << "until something else is seen";
  for (int i = 0; i < 7; ++i) Bind();
  EXPECT_DOUBLE_EQ(Ahead(), 7);
  for (int i = 0; i < 50; ++i) Finish(0.05, 0.01);
  EXPECT_TRUE(service_.exact());
  Unbind();
  EXPECT_DOUBLE_EQ(Ahead(), 6);
  for (int i = 0; i < 400; ++i) Finish(0.05, 5);
  EXPECT_FALSE(service_.exact());
}

TEST_F(Load, ThoseOnTheirWayBackAreNotAhead) {
  // 100 a second, each 40 ms on its way there and back and 10 ms at the instance.
  for (int i = 0; i < 1000; ++i) {
    Bind(0.04);
    Pass(milliseconds{10});
    if (held_ == 5) Unbind();
  }
  EXPECT_NEAR(Ahead(), held_ - 2, 0.5) << "half of the four that travel";
}

TEST_F(Load, BindingsThatLingerAreReckoned) {
  for (int i = 0; i < 400; ++i) Finish(0.1, 5);
  load_.SetPace({.service_s = 0.1, .workers = 2, .full_per_s = 20, .known = true});
  for (int i = 0; i < 10; ++i) Bind();
  EXPECT_NEAR(Ahead(), 10, 0.01);
  Pass(milliseconds{200});
  EXPECT_NEAR(Ahead(), 6, 0.5) << "two at a time, each in 100 ms";
  Pass(seconds{2});
  EXPECT_LT(Ahead(), 0.1);
  EXPECT_EQ(held_, 10u);
  for (int i = 0; i < 6; ++i) Bind();
  Report({{"sessions", 3}, {"request_rate", 5}});
  EXPECT_NEAR(Ahead(), 3, 0.01) << "a report says what is true";
  Report({{"sessions", 300}, {"request_rate", 5}});
  EXPECT_NEAR(Ahead(), 16, 0.01) << "of others' connections nothing is known";
}

TEST_F(Load, ReportsTellWorkersServiceAndCapacity) {
  for (int i = 0; i < 10; ++i) {
    for (int k = 0; k < 40; ++k) Bind();
    Pass(seconds{1});
    Report({{"request_rate", 40}, {"utilization", 0.5}, {"latency", 0.05}});
    while (held_ > 0) Unbind();
  }
  const SeenPace seen = load_.Seen(service_, true, now_);
  EXPECT_NEAR(seen.workers.value(), 4, 1e-6) << "2 are busy at half of the use";
  EXPECT_NEAR(seen.full_per_s.value(), 80, 1e-6);
  EXPECT_FALSE(service_.sessions());
  EXPECT_FALSE(load_.Seen(service_, false, now_).workers) << "too old";
}

TEST_F(Load, SessionsAreSeenByTheirRequests) {
  for (int k = 0; k < 20; ++k) Bind();
  for (int i = 0; i < 10; ++i) {
    Pass(seconds{1});
    Report({{"request_rate", 40}, {"utilization", 0.5}, {"latency", 0.05}});
  }
  EXPECT_TRUE(service_.sessions());
  EXPECT_NEAR(service_.requests_per_binding_s(), 2, 1e-6);
}

// Two workers serve for `seconds`; demands come so fast that both are always busy.
TEST_F(Load, ServiceTimeIsSeenWithoutReportsOnceWorkersAreKnown) {
  load_.SetPace({.service_s = 0.1, .workers = 2, .full_per_s = 20, .known = true, .workers_known = true});
  Bind();
  Pass(seconds{1});
  Report({{"request_rate", 1}, {"utilization", 0.05}, {"latency", 0.1}});
  for (int i = 0; i < 4; ++i) Bind();
  for (int i = 0; i < 200; ++i) {
    Pass(milliseconds{50});
    Unbind();
    Bind();
  }
  EXPECT_NEAR(load_.Seen(service_, true, now_).service_s.value(), 0.1, 0.02);
  for (int i = 0; i < 40; ++i) {
    Pass(milliseconds{150});
    Unbind();
    Bind();
  }
  EXPECT_NEAR(load_.Seen(service_, true, now_).service_s.value(), 0.3, 0.05) << "no report said so";
}

TEST_F(Load, ServiceTimeIsHowLongBindingsLiveWhereWorkersAreNotKnown) {
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 3; ++k) Bind();
    Pass(milliseconds{100});
    for (int k = 0; k < 3; ++k) {
      Finish(0.1, 0.001);
      Unbind();
    }
  }
  EXPECT_NEAR(load_.Seen(service_, true, now_).service_s.value(), 0.1, 1e-3) << "at three at a time";
  // Whatever it says of latency.
  Report({{"request_rate", 10}, {"latency", 1e-4}});
  EXPECT_NEAR(load_.Seen(service_, true, now_).service_s.value(), 0.1, 1e-3);
}

class Doubt : public Load {
 protected:
  // Bindings that outlive their demands and live `life_s`, while the instance says that a request takes 1 ms.
  void Live(double life_s) {
    for (int i = 0; i < 400; ++i) service_.Finished(life_s, 5);
    for (int i = 0; i < 40; ++i) {
      for (int k = 0; k < 5; ++k) {
        Bind();
        Finish(life_s, 5);
        Unbind();
      }
      Pass(seconds{1});
      Report({{"request_rate", 5}, {"utilization", 0.01}, {"latency", 0.001}, {"sessions", 0}});
    }
  }
  SeenPace Seen() { return load_.Seen(service_, true, now_); }
};

TEST_F(Doubt, WhoLivesLongerThanItSaysIsSlowerThanItSays) {
  Live(0.5);
  EXPECT_NEAR(load_.excess().value(), 500, 5);
  EXPECT_NEAR(Seen().service_s.value(), 0.5 / 2.5, 0.01);
  EXPECT_LE(Seen().service_weight, 32);
  Pass(seconds{60});
  EXPECT_LT(Seen().service_weight, 0.1) << "it is tried again, as one of which nothing is known";
  // It works now as it always said.
  Live(0.001);
  EXPECT_NEAR(Seen().service_s.value(), 0.001, 1e-4);
}

TEST_F(Doubt, WhatAllHaveInCommonIsNoLie) {
  // Clients keep connections open.
  Live(0.5);
  load_.Compare(400, 0, now_);
  EXPECT_NEAR(Seen().service_s.value(), 0.001, 1e-4);
  load_.Compare(2, 0, now_);
  EXPECT_NEAR(Seen().service_s.value(), 0.1, 0.01);
}

TEST_F(Doubt, WhoServesFewerRequestsOfEachBindingIsFull) {
  for (int k = 0; k < 50; ++k) Bind();
  const auto report = [&](double per_s) {
    for (int i = 0; i < 30; ++i) {
      Pass(seconds{1});
      Report({{"request_rate", per_s}, {"utilization", 0.03}, {"latency", 0.001}});
    }
  };
  report(100);
  ASSERT_TRUE(service_.sessions());
  load_.Compare(1, 2, now_);
  EXPECT_NEAR(Seen().full_per_s.value(), 100 / 0.03, 1);
  report(20);
  load_.Compare(1, 2, now_);
  EXPECT_NEAR(Seen().full_per_s.value(), 20, 4) << "its peers serve 2 a second of each";
  EXPECT_FALSE(Seen().workers);
  EXPECT_FALSE(Seen().service_s);
  load_.Compare(1, 0.4, now_ + seconds{61});
  now_ += seconds{61};
  EXPECT_GT(Seen().full_per_s.value(), 100);
}

TEST_F(Doubt, OneThatClaimsManyRequestsDoesNotSayHowTheServiceIsUsed) {
  for (int k = 0; k < 20; ++k) Bind();
  load_.Compare(1, 0.5, now_);
  for (int i = 0; i < 20; ++i) {
    Pass(seconds{1});
    Report({{"request_rate", 1e300}, {"utilization", 0.5}, {"latency", 0.05}});
  }
  EXPECT_LE(service_.requests_per_binding_s(), 4 * 0.5 + 10 / 20.0 + 1e-6);
}

TEST_F(Load, WhatOverflowsIsLeftOut) {
  Bind();
  Pass(seconds{100});
  Report({{"request_rate", 1e308}, {"utilization", 0.5}, {"latency", 1e308}});
  for (int i = 0; i < 10; ++i) {
    for (int k = 0; k < 40; ++k) Bind();
    Pass(seconds{1});
    Report({{"request_rate", 40}, {"utilization", 0.5}, {"latency", 0.05}});
    while (held_ > 0) Unbind();
  }
  EXPECT_LT(service_.requests_per_binding_s(), 10);
  EXPECT_NEAR(load_.Seen(service_, true, now_).workers.value(), 4, 1e-6);
}

TEST_F(Load, RatesAreOfTheLastSeconds) {
  for (int i = 0; i < 400; ++i) {
    Pass(milliseconds{50});
    load_.Bound(SwitchId{i % 4 == 0 ? uint16_t{2} : uint16_t{1}}, 0, held_++, now_, service_);
  }
  EXPECT_NEAR(load_.bound_per_s(now_), 20, 1);
  EXPECT_NEAR(load_.bound_per_s(SwitchId{1}, now_), 15, 1.5);
  EXPECT_NEAR(load_.bound_per_s(SwitchId{2}, now_), 5, 1.5);
  EXPECT_EQ(load_.bound_per_s(SwitchId{9}, now_), 0);
  Pass(seconds{20});
  EXPECT_LT(load_.bound_per_s(now_), 0.01);
}

}  // namespace
}  // namespace dyncast::core
