// `metrics` and `scores` of fabric.yaml.
#include <gmock/gmock.h>

#include "schema/config/fabric.h"

namespace dyncast::config {
namespace {

using ::testing::HasSubstr;

std::string Yaml(const std::string& metrics, const std::string& scores) {
  return "metrics: {" + metrics +
         "}\n"
         "services:\n"
         "  - {name: web, sid: 10.96.0.1, ports: [tcp/80]}\n"
         "  - {name: video, sid: 10.96.0.2, ports: [tcp/80], scores: {" +
         scores + "}}\n";
}

ScoreModel ModelOf(const FabricConfig& config, size_t service) {
  return ResolveScores(config.metrics, config.services[service].scores);
}

TEST(Scores, NothingNeedBeSaid) {
  const auto config = ParseFabric("services: [{name: web, sid: 10.96.0.1, ports: [tcp/80]}]\n", "f.yaml");
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  EXPECT_EQ(ModelOf(*config, 0), DefaultScoreModel());
}

TEST(Scores, FabricWideAndPerService) {
  const auto config = ParseFabric(
      Yaml("window: 30s, over_time: max, over_instances: weighted, tolerance: 0.5, "
           "category_weights: {compute: 2}, rules: [{metric: cpu_utilization, best: 0.1}, "
           "{metric: fps, category: service, worst: 10, best: 60, over_time: min}]",
           "over_categories: weighted, within_category: mean, category_weights: {service: 0}, rules: "
           "[{metric: latency, midpoint: 0.2, slope: -20}, {metric: io_pressure, category: none}, "
           "{metric: sessions, per: none, worst: 500, best: 0}]"),
      "f.yaml");
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  const ScoreModel web = ModelOf(*config, 0);
  EXPECT_EQ(web.window, std::chrono::seconds(30));
  EXPECT_EQ(web.over_time, OverTime::kMax);
  EXPECT_EQ(web.over_instances, Combine::kWeighted);
  EXPECT_EQ(web.over_categories, Combine::kMin);
  EXPECT_EQ(web.tolerance, 0.5);
  EXPECT_EQ(std::get<MinMax>(FindRule(web, "cpu_utilization")->normalisation),
            (MinMax{.worst = 1, .best = 0.1}));
  EXPECT_EQ(FindRule(web, "fps")->over_time, OverTime::kMin);
  EXPECT_NE(FindRule(web, "io_pressure"), nullptr);
  const ScoreModel video = ModelOf(*config, 1);
  EXPECT_EQ(video.window, std::chrono::seconds(30));
  EXPECT_EQ(video.over_categories, Combine::kWeighted);
  EXPECT_EQ(video.within_category, Combine::kMean);
  EXPECT_EQ(video.category_weights, (PerCategory<double>{2, 1, 0}));
  EXPECT_EQ(std::get<Sigmoid>(FindRule(video, "latency")->normalisation),
            (Sigmoid{.midpoint = 0.2, .slope = -20}));
  EXPECT_EQ(FindRule(video, "io_pressure"), nullptr);
  EXPECT_EQ(FindRule(video, "sessions")->per, CapacityTerm::kNone);
}

TEST(Scores, RefusedWithPlaceKeyValueAndRule) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases = {
      {"over_time: sum", "", "key 'metrics.over_time': value 'sum': must be one of: last, mean, min, max"},
      {"over_instances: median", "",
       "key 'metrics.over_instances': value 'median': must be one of: min, mean"},
      {"window: 2h", "", "key 'metrics.window': value '2h': must be 0s to 1h"},
      {"tolerance: 11", "", "key 'metrics.tolerance': value '11': must be a number, 0 to 10"},
      {"scale: 3", "", "key 'metrics.scale': unknown; known here: window, over_time"},
      {"category_weights: {compute: 0, communication: 0, service: 0}", "",
       "key 'metrics.category_weights': must not all be 0"},
      {"category_weights: {compute: -1}", "",
       "key 'metrics.category_weights.compute': value '-1': must be a number, 0 to 1000000"},
      {"rules: [{metric: Latency}]", "",
       "key 'metrics.rules[0].metric': value 'Latency': must be of the form"},
      {"rules: [{category: service}]", "", "key 'metrics.rules[0].metric': is missing"},
      {"rules: [{metric: latency}, {metric: latency, weight: 2}]", "",
       "key 'metrics.rules[1].metric': value 'latency': a rule for this metric is already at "
       "'metrics.rules[0].metric'"},
      {"rules: [{metric: latency, worst: 0, best: 0}]", "",
       "key 'metrics.rules[0].best': must differ from the other"},
      {"rules: [{metric: latency, worst: .nan, best: 0}]", "",
       "key 'metrics.rules[0].worst': value '.nan': must be a number, 0 to 1e+18"},
      {"rules: [{metric: latency, slope: 0, midpoint: 1}]", "",
       "key 'metrics.rules[0].slope': must not be 0"},
      {"rules: [{metric: latency, slope: 1, worst: 1}]", "",
       "key 'metrics.rules[0].slope': must not stand beside worst or best"},
      {"rules: [{metric: fps, worst: 1, best: 2}]", "",
       "key 'metrics.rules[0].category': must be given: the metric has no rule by default"},
      {"rules: [{metric: fps, category: service}]", "",
       "key 'metrics.rules[0].metric': value 'fps': has no rule by default: give worst and best"},
      {"rules: [{metric: latency, weight: 0}]", "",
       "key 'metrics.rules[0].weight': value '0': must be a number, above 0"},
      {"rules: [{metric: latency, best: 0.2}]", "rules: [{metric: latency, worst: 0.2}]",
       "key 'services[1].scores.rules[0].worst': must differ from the other"},
      {"category_weights: {compute: 0}", "category_weights: {communication: 0, service: 0}",
       "key 'services[1].scores.category_weights': must not all be 0"},
  };
  for (const auto& [metrics, scores, message] : cases) {
    const auto config = ParseFabric(Yaml(metrics, scores), "f.yaml");
    ASSERT_FALSE(config.ok()) << metrics << " " << scores;
    EXPECT_THAT(config.error().ToString(), HasSubstr(message));
    EXPECT_THAT(config.error().ToString(), HasSubstr("f.yaml:"));
  }
}

TEST(Scores, OneFaultIsSaidOnce) {
  const auto config =
      ParseFabric(Yaml("rules: [{metric: fps, category: service, worst: x, best: 2}]", ""), "f.yaml");
  ASSERT_FALSE(config.ok());
  const std::string text = config.error().ToString();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 0) << text;
}

}  // namespace
}  // namespace dyncast::config
