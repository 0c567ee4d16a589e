#include "agent/core/load_post.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core_fixture.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

config::InstanceConfig Posting(const std::string& name, const std::string& bid = "10.0.0.1") {
  config::InstanceConfig instance = TestInstance(name, bid);
  instance.orca.emplace();
  instance.orca->post = true;
  instance.orca->metrics = {{.name = "queue", .from = "named_metrics.q", .factor = 1, .unit = "1"}};
  return instance;
}

LoadPost Post(const std::string& path, const std::string& body, const std::string& type = "text/plain") {
  return {.path = path, .content_type = type, .body = body, .peer = *IpAddress::Parse("127.0.0.1")};
}

std::optional<double> Value(const wire::Report* report, std::string_view name) {
  for (const MetricSample& m : report->metrics) {
    if (m.name == name) return m.value;
  }
  return std::nullopt;
}

TEST(LoadPosts, AreReportedUnderTheirNames) {
  CoreDriver d(TestConfig({Posting("a"), Posting("b", "10.0.0.2")}));
  d.host.load1 = 1;
  ASSERT_TRUE(d.RunTo(100));
  const PostAnswer answer =
      d.core.OnPost(Post("/v1/load/b", R"({"applicationUtilization": 0.5, "namedMetrics": {"q": 3}})",
                         "application/json; charset=utf-8"),
                    d.now());
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.problem, "");
  ASSERT_TRUE(d.RunTo(1000));
  for (const wire::AgentMessage& m : d.messages) {
    const auto* report = std::get_if<wire::Report>(&m.body);
    if (report != nullptr && report->instance == "a") {
      EXPECT_FALSE(Value(report, "utilization"));
    }
  }
  EXPECT_EQ(d.Last<wire::Report>()->instance, "b");
  EXPECT_EQ(Value(d.Last<wire::Report>(), "utilization"), 0.5);
  EXPECT_EQ(Value(d.Last<wire::Report>(), "queue"), 3);
  EXPECT_EQ(Value(d.Last<wire::Report>(), "load1"), 1);
  EXPECT_EQ(d.core.counters().load_reports, 1u);
}

TEST(LoadPosts, AThresholdIsLookedAtAtOnce) {
  config::AgentConfig config = TestConfig({Posting("a")});
  config.report_interval = milliseconds(10000);
  config.sample_interval = milliseconds(10000);
  config.thresholds = {{.metric = "utilization", .change = 0.2, .levels = {}}};
  CoreDriver d(config);
  ASSERT_TRUE(d.RunTo(2000));
  const auto post = [&](const std::string& body) {
    PostAnswer answer = d.core.OnPost(Post("/v1/load/a", body), d.now());
    EXPECT_EQ(answer.status, 204) << answer.problem;
    d.Clear();
    d.Take(std::move(answer.effects));
    return d.TimesOf<wire::Report>().size();
  };
  EXPECT_EQ(post("application_utilization=0.1"), 1u) << "it appeared";
  ASSERT_TRUE(d.RunTo(3000));
  EXPECT_EQ(post("application_utilization=0.2"), 0u);
  EXPECT_EQ(post("application_utilization=0.35"), 1u);
  EXPECT_EQ(post("application_utilization=0.9"), 0u) << "within the gap";
  ASSERT_TRUE(d.RunTo(3100));
  EXPECT_EQ(Value(d.Last<wire::Report>(), "utilization"), 0.9) << "and at its end";
}

TEST(LoadPosts, CountUntilTheyExpire) {
  config::InstanceConfig instance = Posting("a");
  instance.orca->expiry = milliseconds(2500);
  CoreDriver d(TestConfig({instance}));
  ASSERT_TRUE(d.RunTo(500));
  d.Take(d.core.OnPost(Post("/v1/load/a", "eps=4"), d.now()).effects);
  ASSERT_TRUE(d.RunTo(3000));
  EXPECT_EQ(Value(d.Last<wire::Report>(), "error_rate"), 4);
  ASSERT_TRUE(d.RunTo(4000));
  EXPECT_FALSE(Value(d.Last<wire::Report>(), "error_rate"));
}

TEST(LoadPosts, WhatMayNotBeTakenChangesNothingAndIsCounted) {
  config::InstanceConfig silent = TestInstance("silent", "10.0.0.3");
  CoreDriver d(TestConfig({Posting("a"), silent}));
  ASSERT_TRUE(d.RunTo(1000));
  LoadPost stranger = Post("/v1/load/a", "eps=1");
  stranger.peer = *IpAddress::Parse("10.0.0.2");
  const std::vector<std::pair<LoadPost, int>> bad = {
      {Post("/v1/load/b", "eps=1"), 404},
      {Post("/v1/load/silent", "eps=1"), 404},
      {Post("/v1/load/", "eps=1"), 404},
      {Post("/", "eps=1"), 404},
      {Post("/v1/load/a", "eps=1", "application/grpc"), 415},
      {Post("/v1/load/a", "eps=1", ""), 415},
      {Post("/v1/load/a", "\xff\x00garbage"), 400},
      {Post("/v1/load/a", "{]", "application/json"), 400},
      {Post("/v1/load/a", "\x0a", "application/x-protobuf"), 400},
      {stranger, 403},
  };
  for (const auto& [post, status] : bad) {
    const PostAnswer answer = d.core.OnPost(post, d.now());
    EXPECT_EQ(answer.status, status) << post.path << " " << post.content_type;
    EXPECT_NE(answer.problem, "");
    EXPECT_TRUE(answer.effects.messages.empty());
  }
  EXPECT_EQ(d.core.counters().load_reports_refused, bad.size());
  EXPECT_EQ(d.core.counters().load_reports, 0u);
  ASSERT_TRUE(d.RunTo(2000));
  EXPECT_FALSE(Value(d.Last<wire::Report>(), "error_rate"));
}

TEST(LoadPosts, AnInstanceSpeaksForItselfAndTheHostForAll) {
  config::AgentConfig config = TestConfig({Posting("a", "10.0.0.1"), Posting("b", "2001:db8::2")});
  config.orca_allow = {*IpPrefix::Parse("192.0.2.0/24")};
  const auto may = [&](size_t instance, const char* peer) {
    std::optional<IpAddress> address;
    if (peer != nullptr) address = *IpAddress::Parse(peer);
    return MayPost(config, config.instances[instance], address);
  };
  EXPECT_TRUE(may(0, nullptr)) << "a unix socket";
  EXPECT_TRUE(may(0, "127.0.0.9"));
  EXPECT_TRUE(may(1, "::1"));
  EXPECT_TRUE(may(0, "10.0.0.1"));
  EXPECT_TRUE(may(1, "2001:db8::2"));
  EXPECT_FALSE(may(1, "10.0.0.1")) << "another instance";
  EXPECT_FALSE(may(0, "10.0.0.2"));
  EXPECT_TRUE(may(0, "192.0.2.77"));
}

TEST(LoadPosts, BeforeTheFirstSampleTheyAreKept) {
  CoreDriver d(TestConfig({Posting("a")}));
  EXPECT_EQ(d.core.OnPost(Post("/v1/load/a", "eps=1"), d.now()).status, 404) << "nobody is there yet";
  Effects effects = d.core.Tick(d.now());
  EXPECT_EQ(d.core.OnPost(Post("/v1/load/a", "eps=1"), d.now()).status, 204);
  d.Take(std::move(effects));
  EXPECT_EQ(Value(d.Last<wire::Report>(), "error_rate"), 1);
}

}  // namespace
}  // namespace dyncast::agent
