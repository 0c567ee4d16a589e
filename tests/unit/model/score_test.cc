// Scores by hand: each normalisation, each aggregation, their edges, and what settings change.
#include "schema/model/score.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace dyncast {
namespace {

using ::testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double Score(const Normalisation& how, double raw) { return Normalise(how, raw).value_or(-1); }

TEST(MinMaxScore, DirectionFollowsFromTheOrder) {
  const MinMax smaller_is_better{.worst = 1, .best = 0};
  EXPECT_DOUBLE_EQ(Score(smaller_is_better, 0), 10);
  EXPECT_DOUBLE_EQ(Score(smaller_is_better, 0.25), 7.5);
  EXPECT_DOUBLE_EQ(Score(smaller_is_better, 1), 0);
  const MinMax larger_is_better{.worst = 100, .best = 300};
  EXPECT_DOUBLE_EQ(Score(larger_is_better, 100), 0);
  EXPECT_DOUBLE_EQ(Score(larger_is_better, 250), 7.5);
  EXPECT_DOUBLE_EQ(Score(larger_is_better, 300), 10);
}

TEST(MinMaxScore, IsKeptWithinItsRange) {
  const MinMax how{.worst = 0.8, .best = 0.2};
  EXPECT_DOUBLE_EQ(Score(how, 0), 10);
  EXPECT_DOUBLE_EQ(Score(how, 64), 0);
  EXPECT_DOUBLE_EQ(Score(how, 1e308), 0);
  EXPECT_DOUBLE_EQ(Score(MinMax{.worst = 0, .best = 1e-300}, 1e308), 10);
}

TEST(SigmoidScore, HalfAtTheMidpointAndSteepByTheSlope) {
  const Sigmoid how{.midpoint = 0.2, .slope = -20};
  EXPECT_DOUBLE_EQ(Score(how, 0.2), 5);
  EXPECT_NEAR(Score(how, 0.1), 10 / (1 + std::exp(-2)), 1e-12);
  EXPECT_NEAR(Score(how, 0.3), 10 / (1 + std::exp(2)), 1e-12);
  const Sigmoid larger_is_better{.midpoint = 100, .slope = 0.1};
  EXPECT_GT(Score(larger_is_better, 150), 9.9);
  EXPECT_LT(Score(larger_is_better, 50), 0.1);
}

TEST(SigmoidScore, DoesNotOverflow) {
  EXPECT_DOUBLE_EQ(Score(Sigmoid{.midpoint = 0, .slope = -1e18}, 1e300), 0);
  EXPECT_DOUBLE_EQ(Score(Sigmoid{.midpoint = 1e18, .slope = -1e18}, 0), 10);
  EXPECT_DOUBLE_EQ(Score(Sigmoid{.midpoint = 0, .slope = 1e18}, 1e308), 10);
}

TEST(Score, NothingFromWhatIsNotFinite) {
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    EXPECT_FALSE(Normalise(MinMax{.worst = 1, .best = 0}, bad));
    EXPECT_FALSE(Normalise(Sigmoid{.midpoint = 1, .slope = -1}, bad));
  }
}

TEST(Aggregation, OfScores) {
  const WeightedScore scores[] = {
      {.score = 2, .weight = 1}, {.score = 8, .weight = 3}, {.score = 5, .weight = 0}};
  EXPECT_DOUBLE_EQ(*Aggregate(Combine::kMin, scores), 2);
  EXPECT_DOUBLE_EQ(*Aggregate(Combine::kMax, scores), 8);
  EXPECT_DOUBLE_EQ(*Aggregate(Combine::kMean, scores), 5);
  EXPECT_DOUBLE_EQ(*Aggregate(Combine::kWeighted, scores), 6.5);
}

TEST(Aggregation, OfNothingIsNothing) {
  for (const Combine how : {Combine::kMin, Combine::kMean, Combine::kMax, Combine::kWeighted}) {
    EXPECT_FALSE(Aggregate(how, std::span<const WeightedScore>{}));
  }
  const WeightedScore weightless[] = {{.score = 3, .weight = 0}};
  EXPECT_FALSE(Aggregate(Combine::kWeighted, weightless));
  EXPECT_DOUBLE_EQ(*Aggregate(Combine::kMean, weightless), 3);
  EXPECT_FALSE(Aggregate(OverTime::kMean, std::span<const double>{}));
}

TEST(Aggregation, OverTime) {
  const double raw[] = {0.2, 0.9, 0.4};
  EXPECT_DOUBLE_EQ(*Aggregate(OverTime::kLast, raw), 0.4);
  EXPECT_DOUBLE_EQ(*Aggregate(OverTime::kMean, raw), 0.5);
  EXPECT_DOUBLE_EQ(*Aggregate(OverTime::kMin, raw), 0.2);
  EXPECT_DOUBLE_EQ(*Aggregate(OverTime::kMax, raw), 0.9);
  const double large[] = {1e308, 1e308, 1e308};
  EXPECT_DOUBLE_EQ(*Aggregate(OverTime::kMean, large), 1e308) << "the sum is not representable, the mean is";
}

TEST(Meaning, AsTheDraftHasIt) {
  const std::vector<std::pair<double, ScoreMeaning>> cases = {
      {0, ScoreMeaning::kNotRecommended},    {3, ScoreMeaning::kNotRecommended},
      {3.49, ScoreMeaning::kNotRecommended}, {3.5, ScoreMeaning::kOptional},
      {4, ScoreMeaning::kOptional},          {7, ScoreMeaning::kOptional},
      {7.49, ScoreMeaning::kOptional},       {7.5, ScoreMeaning::kPriority},
      {8, ScoreMeaning::kPriority},          {10, ScoreMeaning::kPriority}};
  for (const auto& [score, meaning] : cases) EXPECT_EQ(MeaningOf(score), meaning) << score;
}

TEST(ScoreNames, AreTheDraftsTypes) {
  EXPECT_EQ(ScoreMetricName(ScoreCategory::kCompute), "computing_comb");
  for (const ScoreCategory category : kScoreCategories) {
    EXPECT_EQ(CategoryOfScore(ScoreMetricName(category)), category);
  }
  EXPECT_FALSE(CategoryOfScore(kLevel2MetricName));
  EXPECT_FALSE(CategoryOfScore("cpu_utilization"));
}

TEST(ScoreSample, IsPlausibleWithinItsRangeOnly) {
  MetricSample sample{.name = "computing_comb", .value = 10, .unit = "1", .level = MetricLevel::kL1};
  EXPECT_TRUE(PlausibleMetric(sample));
  sample.value = 0;
  EXPECT_TRUE(PlausibleMetric(sample));
  for (const double bad : {10.001, -0.1, kNan, kInfinity}) {
    sample.value = bad;
    EXPECT_FALSE(PlausibleMetric(sample)) << bad;
  }
  sample.value = 11;
  sample.level = MetricLevel::kL0;
  EXPECT_TRUE(PlausibleMetric(sample));
}

TEST(CapacityTerms, UnknownAndZeroAreNothing) {
  Capacity capacity;
  EXPECT_EQ(CapacityOf(CapacityTerm::kNone, capacity), 1);
  EXPECT_FALSE(CapacityOf(CapacityTerm::kMaxSessions, capacity));
  capacity.max_sessions = 50;
  capacity.gpus = 0;
  EXPECT_EQ(CapacityOf(CapacityTerm::kMaxSessions, capacity), 50);
  EXPECT_FALSE(CapacityOf(CapacityTerm::kGpus, capacity));
}

TEST(DefaultModel, IsSortedAndSound) {
  const ScoreModel& model = DefaultScoreModel();
  ASSERT_FALSE(model.rules.empty());
  for (size_t i = 0; i < model.rules.size(); ++i) {
    const ScoreRule& rule = model.rules[i];
    if (i > 0) {
      EXPECT_LT(model.rules[i - 1].metric, rule.metric);
    }
    EXPECT_EQ(FindRule(model, rule.metric), &rule);
    EXPECT_GT(rule.weight, 0);
    if (const auto* linear = std::get_if<MinMax>(&rule.normalisation)) {
      EXPECT_NE(linear->worst, linear->best);
    }
  }
  EXPECT_EQ(FindRule(model, "nobody_knows"), nullptr);
}

TEST(Settings, ChangeWhatTheySayAndNothingElse) {
  ScoreSettings fabric;
  fabric.over_categories = Combine::kWeighted;
  fabric.category_weights.compute = 3;
  fabric.rules = {
      {.metric = "cpu_utilization", .best = 0.2},
      {.metric = "frame_rate", .category = ScoreRuleSettings::Use::kService, .worst = 10, .best = 60}};
  ScoreSettings service;
  service.window = std::chrono::milliseconds{0};
  service.rules = {{.metric = "latency", .midpoint = 0.1, .slope = -50},
                   {.metric = "io_pressure", .category = ScoreRuleSettings::Use::kNone},
                   {.metric = "cpu_utilization", .weight = 2}};
  const ScoreModel model = ResolveScores(fabric, service);
  EXPECT_EQ(model.over_categories, Combine::kWeighted);
  EXPECT_THAT(model.category_weights, ElementsAre(3, 1, 1));
  EXPECT_EQ(model.window.count(), 0);
  EXPECT_EQ(model.within_category, DefaultScoreModel().within_category);
  EXPECT_EQ(std::get<MinMax>(FindRule(model, "cpu_utilization")->normalisation),
            (MinMax{.worst = 1, .best = 0.2}));
  EXPECT_EQ(FindRule(model, "cpu_utilization")->weight, 2);
  EXPECT_EQ(FindRule(model, "frame_rate")->category, ScoreCategory::kService);
  EXPECT_EQ(std::get<Sigmoid>(FindRule(model, "latency")->normalisation),
            (Sigmoid{.midpoint = 0.1, .slope = -50}));
  EXPECT_EQ(FindRule(model, "latency")->category, ScoreCategory::kService) << "as by default";
  EXPECT_EQ(FindRule(model, "io_pressure"), nullptr);
  EXPECT_EQ(ResolveScores({}, {}), DefaultScoreModel());
}

TEST(Settings, ProblemsNameRuleAndKeyAndChangeNothing) {
  using Use = ScoreRuleSettings::Use;
  const std::vector<std::pair<ScoreRuleSettings, std::string>> cases = {
      {{.metric = "cpu_utilization", .worst = 0}, "worst"},
      {{.metric = "cpu_utilization", .worst = 0.5, .best = 0.5}, "best"},
      {{.metric = "cpu_utilization", .worst = 1, .midpoint = 0.5}, "midpoint"},
      {{.metric = "cpu_utilization", .midpoint = 0.5}, "slope"},
      {{.metric = "cpu_utilization", .slope = 2}, "midpoint"},
      {{.metric = "cpu_utilization", .midpoint = 0.5, .slope = 0}, "slope"},
      {{.metric = "own", .worst = 1, .best = 2}, "category"},
      {{.metric = "own", .category = Use::kService}, "metric"},
      {{.metric = "own", .category = Use::kService, .best = 2}, "worst"},
  };
  for (const auto& [rule, key] : cases) {
    ScoreModel model = DefaultScoreModel();
    const auto problems = ApplyScores({.rules = {{.metric = "loss", .weight = 2}, rule}}, &model);
    ASSERT_EQ(problems.size(), 1u) << rule.metric << " " << key;
    EXPECT_EQ(problems[0].rule, 1u);
    EXPECT_EQ(problems[0].key, key);
    ScoreModel expected = DefaultScoreModel();
    ApplyScores({.rules = {{.metric = "loss", .weight = 2}}}, &expected);
    EXPECT_EQ(model, expected);
  }
  ScoreModel model = DefaultScoreModel();
  const auto problems =
      ApplyScores({.category_weights = {.compute = 0, .communication = 0, .service = 0}}, &model);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].key, "category_weights");
  EXPECT_FALSE(problems[0].rule);
  EXPECT_EQ(model, DefaultScoreModel());
}

}  // namespace
}  // namespace dyncast
