// Scores of levels 1 and 2 in the database: the newest of each instance, and those of decisions.
#include <gtest/gtest.h>

#include "schema/sql/migrations.h"
#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using store_test::At;
using store_test::Key;
using store_test::MustFlush;
using store_test::MustOpen;
using store_test::PostNames;
using store_test::Shell;
using store_test::Started;
using store_test::TempDir;

MetricsRecord Record(uint16_t instance, std::vector<InstanceScores> scores) {
  MetricsRecord record;
  record.instance = InstanceId(instance);
  record.at = At(7);
  record.metrics.push_back(MetricSample{.name = "cpu_utilization", .value = 0.5, .unit = "ratio"});
  record.scores = std::move(scores);
  record.scores_at = At(6.5);
  return record;
}

InstanceScores From(uint16_t at, std::optional<double> communication, std::optional<double> l2) {
  return {.at = SwitchId(at), .scores = {.l1 = {5, communication, std::nullopt}, .l2 = l2}};
}

class StoredScores : public testing::Test {
 protected:
  void SetUp() override {
    store_ = MustOpen(dir_.File("a.db"));
    PostNames(store_.get());
  }
  std::vector<std::string> Rows(const std::string& sql) {
    MustFlush(store_.get());
    return Shell(dir_.File("a.db")).Rows(sql);
  }
  TempDir dir_;
  std::unique_ptr<BindingStore> store_;
};

TEST_F(StoredScores, TheNewestOfEachInstanceFromEachSwitch) {
  store_->Post(Record(1, {From(0, std::nullopt, 1)}));
  store_->Post(Record(1, {From(0, std::nullopt, 5), From(1, 2.5, 2.5)}));
  store_->Post(Record(2, {}));
  EXPECT_EQ(Rows("SELECT * FROM scores ORDER BY instance, switch"),
            (std::vector<std::string>{"web-1|web|agent-1|NULL|5.0|NULL|NULL|5.0|optional|6.5",
                                      "web-1|web|agent-1|router-1|5.0|2.5|NULL|2.5|not-recommended|6.5"}));
  EXPECT_EQ(Rows("SELECT instance, name, service, site FROM metrics WHERE instance = 'web-1'"),
            (std::vector<std::string>{"web-1|cpu_utilization|web|agent-1"}));
}

TEST_F(StoredScores, WhatIsDownHasNone) {
  store_->Post(Record(1, {From(0, std::nullopt, 5)}));
  InstanceRecord down;
  down.id = InstanceId(1);
  down.name = "web-1";
  down.service = ServiceId(1);
  down.bid = IpAddress::V4(0x0a010001u);
  store_->Post(down);
  EXPECT_TRUE(Rows("SELECT * FROM scores").empty());
  down.state = InstanceState::kDraining;
  store_->Post(down);
  EXPECT_EQ(Rows("SELECT * FROM scores").size(), 1u);
}

TEST_F(StoredScores, TheViewMeansWhatTheModelMeans) {
  for (int tenths = 0; tenths <= 100; ++tenths) {
    const double l2 = tenths / 10.0;
    store_->Post(Record(1, {From(0, std::nullopt, l2)}));
    EXPECT_EQ(Rows("SELECT meaning FROM scores"),
              (std::vector<std::string>{std::string(ScoreMeaningName(MeaningOf(l2)))}))
        << l2;
  }
}

TEST_F(StoredScores, DecisionsHaveThoseOfTheirTime) {
  DecisionContextRecord context;
  context.context = 7;
  context.service = ServiceId(1);
  context.at = At(2);
  CandidateContext candidate;
  candidate.instance = InstanceId(1);
  candidate.scores = {.l1 = {8, std::nullopt, 6.5}, .l2 = 6.5};
  context.candidates.push_back(candidate);
  candidate = CandidateContext();
  candidate.instance = InstanceId(2);
  context.candidates.push_back(candidate);
  store_->Post(context);
  store_->Post(Started(Key(1), 1, 100));
  store_->Post(Started(Key(2), 2, 101));
  EXPECT_EQ(Rows("SELECT instance, l2, candidates ->> '$[0].levels' FROM decisions ORDER BY at"),
            (std::vector<std::string>{R"(web-1|6.5|{"l1_compute":8.0,"l1_service":6.5,"l2":6.5})",
                                      R"(web-2|NULL|{"l1_compute":8.0,"l1_service":6.5,"l2":6.5})"}));
}

TEST(StoredScoresOfOld, AnOlderFileHasNoneUntilTheNextReport) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  {
    Shell shell(path);
    for (size_t i = 0; i < 3; ++i) shell.Run(std::string(sql::Migrations()[i].sql));
    shell.Run("PRAGMA user_version = 3; PRAGMA application_id = " + std::to_string(sql::kApplicationId));
    shell.Run("INSERT INTO metric_report VALUES (1, 5, '[{\"name\": \"latency\", \"value\": 1}]')");
  }
  auto store = MustOpen(path);
  PostNames(store.get());
  MustFlush(store.get());
  EXPECT_EQ(Shell(path).One("SELECT instance || name FROM metrics"), "web-1latency");
  EXPECT_EQ(Shell(path).One("SELECT * FROM scores"), "no row");
  store->Post(Record(1, {From(0, std::nullopt, 8)}));
  MustFlush(store.get());
  EXPECT_EQ(Shell(path).One("SELECT l2 FROM scores"), "8.0");
}

}  // namespace
}  // namespace dyncast
