#include "tests/support/web/session_plan.h"

#include <gtest/gtest.h>

namespace dyncast::web {
namespace {

SessionShape Shape() {
  return {.sessions_per_s = 50,
          .requests_mean = 5,
          .think_mean = std::chrono::milliseconds{100},
          .work_mean = std::chrono::milliseconds{40},
          .work_sigma = 0.5,
          .seed = 3};
}

TEST(SessionPlan, TheSameSeedGivesTheSameSessions) {
  SessionPlan one(Shape());
  SessionPlan other(Shape());
  SessionShape changed = Shape();
  changed.seed = 4;
  SessionPlan unlike(changed);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const PlannedSession session = one.Next();
    EXPECT_EQ(session, other.Next());
    differs |= !(session == unlike.Next());
  }
  EXPECT_TRUE(differs);
}

TEST(SessionPlan, HasTheMeansThatWereAskedFor) {
  SessionPlan plan(Shape());
  constexpr int kSessions = 20000;
  double requests = 0;
  double thinks = 0;
  double think_us = 0;
  double work_us = 0;
  PlannedSession last;
  for (int i = 0; i < kSessions; ++i) {
    const PlannedSession session = plan.Next();
    ASSERT_FALSE(session.requests.empty());
    EXPECT_EQ(session.requests[0].think.count(), 0);
    EXPECT_GE(session.start, last.start);
    for (const PlannedRequest& request : session.requests) {
      ++requests;
      work_us += static_cast<double>(request.work.count());
      if (&request == &session.requests[0]) continue;
      ++thinks;
      think_us += static_cast<double>(request.think.count());
    }
    last = session;
  }
  EXPECT_NEAR(kSessions / (static_cast<double>(last.start.count()) / 1e6), 50, 1);
  EXPECT_NEAR(requests / kSessions, 5, 0.15);
  EXPECT_NEAR(think_us / thinks, 100e3, 2e3);
  EXPECT_NEAR(work_us / requests, 40e3, 0.5e3);
}

TEST(SessionPlan, WithoutSpreadAllWorkIsAlike) {
  SessionShape shape = Shape();
  shape.work_sigma = 0;
  shape.requests_mean = 1;
  SessionPlan plan(shape);
  for (int i = 0; i < 50; ++i) {
    const PlannedSession session = plan.Next();
    ASSERT_EQ(session.requests.size(), 1u);
    EXPECT_EQ(session.requests[0].work, std::chrono::milliseconds{40});
  }
}

}  // namespace
}  // namespace dyncast::web
