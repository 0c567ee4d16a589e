// Scores for any values: monotone, bounded, independent of order, and the same again for equal inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "schema/model/score.h"

namespace dyncast {
namespace {

constexpr int kRounds = 20000;

class Scores : public testing::Test {
 protected:
  Scores() {
    const char* fixed = std::getenv("DYNCAST_TEST_SEED");
    seed_ = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
    random_.seed(seed_);
    RecordProperty("seed", std::to_string(seed_));
  }
  void TearDown() override {
    if (HasFailure()) std::printf("DYNCAST_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed_));
  }

  size_t Pick(size_t n) { return static_cast<size_t>(random_() % n); }
  double Uniform(double a, double b) { return std::uniform_real_distribution<double>(a, b)(random_); }
  // Of any size that a metric may have, the borders among them.
  double Raw() {
    switch (Pick(6)) {
      case 0: return 0;
      case 1: return 1;
      case 2: return std::numeric_limits<double>::max();
      case 3: return std::pow(10, Uniform(-18, 18));
      default: return Uniform(0, 2);
    }
  }
  double Setting() { return Pick(3) == 0 ? std::pow(10, Uniform(-6, 18)) : Uniform(0, 2); }
  Normalisation Any(bool* larger_is_better) {
    if (Pick(2) == 0) {
      MinMax linear{.worst = Setting(), .best = Setting()};
      if (linear.worst == linear.best) linear.best += 1;
      *larger_is_better = linear.best > linear.worst;
      return linear;
    }
    const double slope = Setting() + 1e-6;
    *larger_is_better = Pick(2) == 0;
    return Sigmoid{.midpoint = Setting(), .slope = *larger_is_better ? slope : -slope};
  }
  std::vector<WeightedScore> Some() {
    std::vector<WeightedScore> scores(1 + Pick(8));
    for (WeightedScore& s : scores) s = {.score = Uniform(0, 10), .weight = Pick(4) == 0 ? 0 : Setting()};
    return scores;
  }

  uint64_t seed_ = 0;
  std::mt19937_64 random_;
};

constexpr Combine kCombines[] = {Combine::kMin, Combine::kMean, Combine::kMax, Combine::kWeighted};

TEST_F(Scores, AreMonotoneAndBounded) {
  for (int i = 0; i < kRounds; ++i) {
    bool larger_is_better = false;
    const Normalisation how = Any(&larger_is_better);
    double a = Raw();
    double b = Raw();
    if (a > b) std::swap(a, b);
    const auto low = Normalise(how, a);
    const auto high = Normalise(how, b);
    ASSERT_TRUE(low && high);
    for (const double score : {*low, *high}) {
      ASSERT_GE(score, 0);
      ASSERT_LE(score, kMostScore);
    }
    ASSERT_TRUE(larger_is_better ? *low <= *high : *low >= *high) << a << " " << b;
  }
}

TEST_F(Scores, AggregatesStayWithinTheirInputsAndDoNotMindTheirOrder) {
  for (int i = 0; i < kRounds; ++i) {
    std::vector<WeightedScore> scores = Some();
    double least = kMostScore;
    double most = 0;
    for (const WeightedScore& s : scores) {
      least = std::min(least, s.score);
      most = std::max(most, s.score);
    }
    std::vector<WeightedScore> shuffled = scores;
    std::shuffle(shuffled.begin(), shuffled.end(), random_);
    for (const Combine how : kCombines) {
      const auto one = Aggregate(how, scores);
      const auto other = Aggregate(how, shuffled);
      ASSERT_EQ(one.has_value(), other.has_value());
      if (!one) continue;
      ASSERT_NEAR(*one, *other, 1e-9);
      ASSERT_GE(*one, least);
      ASSERT_LE(*one, most);
    }
  }
}

TEST_F(Scores, AggregatesOfEqualsAreThoseEquals) {
  for (int i = 0; i < kRounds; ++i) {
    std::vector<WeightedScore> scores = Some();
    const double same = Uniform(0, 10);
    for (WeightedScore& s : scores) s.score = same;
    for (const Combine how : kCombines) {
      const auto all = Aggregate(how, scores);
      if (!all) continue;
      ASSERT_EQ(*all, same);
      // What was aggregated once stays what it is.
      const WeightedScore again[] = {{.score = *all, .weight = 1}};
      ASSERT_EQ(*Aggregate(how, again), *all);
    }
    std::vector<double> raw(1 + Pick(8), Raw());
    for (const OverTime how : {OverTime::kLast, OverTime::kMean, OverTime::kMin, OverTime::kMax}) {
      ASSERT_EQ(*Aggregate(how, raw), raw[0]);
    }
  }
}

TEST_F(Scores, AggregatesRiseWithEachInput) {
  for (int i = 0; i < kRounds; ++i) {
    std::vector<WeightedScore> scores = Some();
    std::vector<WeightedScore> better = scores;
    WeightedScore& raised = better[Pick(better.size())];
    raised.score = Uniform(raised.score, 10);
    for (const Combine how : kCombines) {
      const auto before = Aggregate(how, scores);
      const auto after = Aggregate(how, better);
      ASSERT_EQ(before.has_value(), after.has_value());
      if (before) {
        ASSERT_LE(*before, *after + 1e-9);
      }
    }
  }
}

// Any settings lead to a model that makes scores, or to problems and the model as it was.
TEST_F(Scores, SettingsNeverMakeAModelThatCannotScore) {
  const char* names[] = {"cpu_utilization", "latency", "own_metric", "rtt"};
  for (int i = 0; i < kRounds / 10; ++i) {
    ScoreModel model = DefaultScoreModel();
    for (int step = 0; step < 3; ++step) {
      ScoreRuleSettings rule;
      rule.metric = names[Pick(4)];
      if (Pick(2) == 0) rule.category = static_cast<ScoreRuleSettings::Use>(Pick(4));
      if (Pick(3) == 0) rule.worst = Pick(2) == 0 ? 1 : Setting();
      if (Pick(3) == 0) rule.best = Pick(2) == 0 ? 1 : Setting();
      if (Pick(3) == 0) rule.midpoint = Setting();
      if (Pick(3) == 0) rule.slope = Pick(4) == 0 ? 0 : Setting();
      const ScoreModel before = model;
      if (!ApplyScores({.rules = {rule}}, &model).empty()) {
        ASSERT_EQ(model, before);
      }
      for (size_t k = 0; k < model.rules.size(); ++k) {
        if (k > 0) {
          ASSERT_LT(model.rules[k - 1].metric, model.rules[k].metric);
        }
        const auto score = Normalise(model.rules[k].normalisation, Raw());
        ASSERT_TRUE(score && *score >= 0 && *score <= kMostScore);
      }
    }
  }
}

}  // namespace
}  // namespace dyncast
