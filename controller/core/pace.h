// How fast instances work: from noisy samples to what is believed. Pure.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace dyncast::core {

// Of single service times: standard deviation over mean. Those of real services are between 1 and 2.
inline constexpr double kServiceVariation = 1.3;

// A positive quantity seen through noisy samples: their mean over many, which is given up at once when a
// sample differs from it by more than chance explains.
class Track {
 public:
  // Remembers about `most` values.
  explicit Track(double most) : most_(most) {}
  // `sample` is the mean of `values` single ones, of which `fresh` were in no sample before.
  void Add(double sample, double values, double fresh);
  bool known() const { return weight_ > 0; }
  double value() const { return mean_; }
  // Values behind the mean.
  double weight() const { return weight_; }
  // Nothing new is heard: what was counts less, by this factor.
  void Fade(double factor) { weight_ *= factor; }

 private:
  double most_;
  double mean_ = 0;
  double weight_ = 0;
};

// Seconds of service, from the time that workers are busy and the requests that end: their ratio over many,
// which is given up as soon as the last ones are more likely with half or twice of it (two cumulative sums of
// log-likelihood ratios, Page 1954).
class PaceWatch {
 public:
  void Busy(double worker_s);
  void Done();
  bool known() const { return known_; }
  // Precondition: known().
  double value() const { return busy_s_ / done_; }
  double weight() const { return done_; }
  // Nothing is served: what was seen counts less, by this factor.
  void Fade(double factor);

 private:
  struct Sum {
    double evidence = 0;
    double busy_s = 0;
    double done = 0;
  };
  void Weigh(Sum* sum, double evidence, double busy_s, double done);

  static constexpr double kLeast = 4;
  static constexpr double kMemory = 512;
  double busy_s_ = 0;
  double done_ = 0;
  bool known_ = false;
  double gap_ = 0;  // evidence since the last one was done
  Sum slower_;
  Sum faster_;
};

struct Pace {
  double service_s = 0.01;  // to serve a request once it is its turn, > 0
  double workers = 1;       // requests served at a time, > 0
  double full_per_s = 100;  // requests per second at full use, > 0
  bool known = false;       // at least one of these was seen, not assumed
  // The workers follow from what somebody said of them.
  bool workers_known = false;
};

// How many demands are at an instance, as far as that is known: mean and variance.
struct Crowd {
  double mean = 0;
  double variance = 0;
};
// Mean number of those that wait while `workers` are served, if `more` came: E max(0, n + more - workers), as
// of a normal distribution.
double Waiting(const Crowd& crowd, double more, double workers);
// The crowd `seconds` later, if nobody came: those that are served leave, one after `service_s` in the mean.
// Mean and variance of a death process closed by the normal distribution (Rothkopf, Oren 1979).
Crowd After(Crowd crowd, double workers, double service_s, double seconds);

// What was seen of one instance, or claimed by it.
struct SeenPace {
  double fixed = 0;                 // static capacity, in one unit for all; 0: not known
  std::optional<double> service_s;  // and the number of requests behind it
  double service_weight = 0;
  std::optional<double> workers;
  std::optional<double> full_per_s;
  double full_weight = 0;
};

// What is believed: an instance differs from what static capacities let expect only as far as chance does not
// explain it; what was not seen of it is as of the others; what it claims is bounded by what the others say.
// Keeps its scratch room between calls.
class PaceJudge {
 public:
  // `sessions`: full_per_s is taken as reported, else it follows from the other two. Precondition: of one
  // size.
  void Judge(std::span<const SeenPace> seen, bool sessions, std::span<Pace> pace);

 private:
  // A logarithm, and how many values it is of; 0: not known.
  struct Point {
    double log = 0;
    double weight = 0;
  };
  // Pulls values to what is usual, those that are not known wholly.
  static void Shrink(std::vector<Point>* points);
  // Static capacity, bounded; 1 for all where nobody says it.
  void Fixed(std::span<const SeenPace> seen);
  void Workers(std::span<const SeenPace> seen, std::span<Pace> pace);

  bool fixed_known_ = false;
  std::vector<double> own_;    // static capacity
  std::vector<double> fixed_;  // what service times are compared by
  std::vector<double> ratios_;
  std::vector<Point> points_;
};

}  // namespace dyncast::core
