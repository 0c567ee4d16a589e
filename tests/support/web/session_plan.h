// What clients are going to do, drawn from a seed: sessions that come at random (Poisson), each of several
// requests with thinking between them, each request with its own work. The same options give the same
// sessions, whatever becomes of them. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <vector>

namespace dyncast::web {

struct SessionShape {
  double sessions_per_s = 1;                  // > 0
  double requests_mean = 1;                   // of one session, >= 1; geometric
  std::chrono::microseconds think_mean{0};    // between an answer and the next request; exponential
  std::chrono::microseconds work_mean{1000};  // lognormal
  double work_sigma = 0;                      // of the work's logarithm; 0: all alike
  uint64_t seed = 1;
};

struct PlannedRequest {
  std::chrono::microseconds think{0};  // after the answer before; 0 for the first
  std::chrono::microseconds work{0};
  friend bool operator==(const PlannedRequest&, const PlannedRequest&) = default;
};

struct PlannedSession {
  std::chrono::microseconds start{0};    // since the first moment
  std::vector<PlannedRequest> requests;  // not empty
  friend bool operator==(const PlannedSession&, const PlannedSession&) = default;
};

class SessionPlan {
 public:
  explicit SessionPlan(const SessionShape& shape);
  PlannedSession Next();

 private:
  double Exponential(double mean);

  const SessionShape shape_;
  std::mt19937_64 random_;
  double at_us_ = 0;
};

}  // namespace dyncast::web
