#include "tests/support/web/session_plan.h"

#include <cmath>

namespace dyncast::web {

using std::chrono::microseconds;

SessionPlan::SessionPlan(const SessionShape& shape) : shape_(shape), random_(shape.seed) {}

double SessionPlan::Exponential(double mean) {
  return mean > 0 ? std::exponential_distribution<double>(1 / mean)(random_) : 0;
}

PlannedSession SessionPlan::Next() {
  at_us_ += Exponential(1e6 / shape_.sessions_per_s);
  PlannedSession session{.start = microseconds(static_cast<int64_t>(at_us_)), .requests = {}};
  const uint64_t more =
      shape_.requests_mean > 1 ? std::geometric_distribution<uint64_t>(1 / shape_.requests_mean)(random_) : 0;
  const double mean = static_cast<double>(shape_.work_mean.count());
  // The mean of a lognormal is exp(mu + sigma^2 / 2).
  const double mu = std::log(std::max(1.0, mean)) - shape_.work_sigma * shape_.work_sigma / 2;
  for (uint64_t i = 0; i <= more; ++i) {
    const double think = i == 0 ? 0 : Exponential(static_cast<double>(shape_.think_mean.count()));
    const double work =
        shape_.work_sigma > 0 ? std::lognormal_distribution<double>(mu, shape_.work_sigma)(random_) : mean;
    session.requests.push_back({.think = microseconds(static_cast<int64_t>(think)),
                                .work = microseconds(static_cast<int64_t>(work))});
  }
  return session;
}

}  // namespace dyncast::web
