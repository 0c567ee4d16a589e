// Metrics and scores by the API: all levels, filters, Prometheus' page; and in the database.
#include <gmock/gmock.h>

#include "controller/io/store_reader.h"
#include "tests/unit/controller_io/loop_fixture.h"
#include "tests/unit/controller_io/prometheus_text.h"

namespace dyncast {
namespace {

using test::Json;
using ::testing::HasSubstr;

class Metrics : public test::LoopFixture {
 protected:
  std::string ConfigText() override {
    std::string text = test::Yaml(dir_, "");
    text.replace(text.find("bridge: br0"), 11, "bridge: br0\n    agent: edge");
    return text + "metrics: {rules: [{metric: frames, category: service, worst: 10, best: 60}]}\n";
  }
  void SetUp() override {
    LoopFixture::SetUp();
    AnnounceUp("i1", "10.2.1.2");
    AnnounceUp("i2", "10.2.2.2");
    wire::Report report;
    report.instance = "i1";
    report.metrics = {{.name = "cpu_utilization", .value = 0.25, .unit = "ratio"},
                      {.name = "frames", .value = 50, .unit = "1/s"},
                      {.name = "own", .value = 3, .unit = "1"},
                      {.name = "computing_comb",
                       .value = 1,
                       .unit = "1",
                       .level = MetricLevel::kL1,
                       .source = MetricSource::kNormalized}};
    Say(report);
  }
  Json Rows(const std::string& query) {
    Json answer = Ask("GET", "/v1/metrics" + query);
    EXPECT_TRUE(answer.contains("metrics")) << query << answer.dump();
    return answer.contains("metrics") ? answer["metrics"] : Json::array();
  }
};

TEST_F(Metrics, AllLevelsWithTheirFields) {
  const Json rows = Rows("?instance=i1");
  ASSERT_EQ(rows.size(), 9u) << rows.dump(1);
  const Json& cpu = rows[0];
  EXPECT_EQ(cpu["service"], "web");
  EXPECT_EQ(cpu["site"], "edge");
  EXPECT_EQ(cpu["level"], "L0");
  EXPECT_EQ(cpu["category"], "compute");
  EXPECT_EQ(cpu["unit"], "ratio");
  EXPECT_EQ(cpu["score"], 7.5);
  EXPECT_EQ(cpu["meaning"], "priority");
  EXPECT_EQ(cpu["source"], "measured");
  EXPECT_EQ(cpu["statistic"], "instant");
  EXPECT_EQ(cpu["window_s"], 0);
  EXPECT_TRUE(cpu["age_s"].is_number());
  EXPECT_FALSE(cpu.contains("in_force"));
  EXPECT_FALSE(cpu.contains("switch"));
  EXPECT_EQ(rows[1]["score"], 8);
  EXPECT_FALSE(rows[2].contains("score"));
  EXPECT_FALSE(rows[2].contains("category"));
  EXPECT_EQ(rows[3]["in_force"], false) << "the agent's own";
  EXPECT_FALSE(rows[3].contains("meaning"));
  EXPECT_EQ(rows[4]["name"], "computing_comb");
  EXPECT_EQ(rows[4]["in_force"], true);
  EXPECT_EQ(rows[4]["source"], "normalized");
  EXPECT_EQ(rows[6]["level"], "L2");
  EXPECT_EQ(rows[6]["value"], 7.5);
  EXPECT_FALSE(rows[6].contains("category"));
  EXPECT_EQ(rows[7]["switch"], "dr1");
  EXPECT_EQ(rows[7]["category"], "communication");
  EXPECT_EQ(Ask("GET", "/v1/status")["counters"]["scores-contradicted"], 1);
}

TEST_F(Metrics, Filters) {
  EXPECT_EQ(Rows("?level=L2").size(), 4u) << "of the instance and of the site, without a way and from dr1";
  EXPECT_EQ(Rows("?level=L0&site=edge&switch=dr1").size(), 3u) << "the way itself";
  EXPECT_EQ(Rows("?category=service&instance=i1").size(), 2u);
  EXPECT_EQ(Rows("?service=web&name=own").size(), 1u);
  EXPECT_EQ(Rows("?instance=i2").size(), 0u) << "known, and silent so far";
  EXPECT_EQ(Rows("?level=L1&instance=i1&switch=dr1").size(), 1u);
}

TEST_F(Metrics, WhatThereIsNotIsSaid) {
  const std::vector<std::tuple<std::string, long, std::string>> cases = {
      {"?instance=nobody", 404, "no instance has the name 'nobody'"},
      {"?service=nobody", 404, "no service has the name or D-SID 'nobody'"},
      {"?switch=nobody", 404, "no switch has the name 'nobody'"},
      {"?site=nobody", 404, "no metrics are of site 'nobody'"},
      {"?name=nothing", 404, "no metric has the name 'nothing'"},
      {"?level=L3", 400, "level='L3' must be one of: L0, L1, L2"},
      {"?category=disk", 400, "category='disk' must be one of: compute, communication, service"},
  };
  for (const auto& [query, status, message] : cases) {
    long got = 0;
    const Json answer = Ask("GET", "/v1/metrics" + query, &got);
    EXPECT_EQ(got, status) << query;
    EXPECT_THAT(answer.dump(), HasSubstr(message)) << query;
  }
}

TEST_F(Metrics, ThePageForPrometheus) {
  BringUp();
  const std::string page = AskText("GET", "/v1/prometheus");
  const test::PrometheusText text = test::ReadPrometheus(page);
  EXPECT_THAT(text.problems, ::testing::IsEmpty());
  EXPECT_EQ(text.Value(R"(dyncast_l0_frames_per_second{instance="i1",service="web",site="edge"})"), 50);
  EXPECT_EQ(text.Value(R"(dyncast_l0_cpu_utilization_ratio{instance="i1",service="web",site="edge"})"), 0.25);
  EXPECT_EQ(text.Value(R"(dyncast_instance_score_l2{instance="i1",service="web",site="edge"})"), 7.5);
  EXPECT_EQ(text.Value(R"(dyncast_instance_state{instance="i2",service="web",site="edge",state="up"})"), 1);
  EXPECT_EQ(text.Value(R"(dyncast_path_rtt_seconds{switch="dr1",site="edge",family="ipv4"})"), 0);
  EXPECT_EQ(text.Value(R"(dyncast_switch_synced{switch="dr1",role="d-router"})"), 1);
  EXPECT_EQ(text.Value(R"(dyncast_core_events_total{event="scores-contradicted"})"), 1);
  EXPECT_EQ(text.Value("dyncast_database_healthy"), 1);
}

TEST_F(Metrics, ExplainAndTheDatabaseHaveThemToo) {
  const Json explained = Ask("GET", "/v1/explain?client=192.168.10.2&service=web");
  Json levels;
  for (const Json& candidate : explained["candidates"]) {
    if (candidate["instance"] == "i1") levels = candidate["levels"];
    if (candidate["instance"] == "i2") {
      EXPECT_FALSE(candidate.contains("levels"));
    }
  }
  EXPECT_EQ(levels, Json::parse(R"({"l1_compute": 7.5, "l1_service": 8.0, "l2": 7.5})"));
  const Json there = Ask("GET", "/v1/explain?client=192.168.10.2&service=web&switch=dr1");
  EXPECT_THAT(there["candidates"].dump(), HasSubstr("l1_communication"));
}

}  // namespace
}  // namespace dyncast
