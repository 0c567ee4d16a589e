#include "agent/core/open_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dyncast::agent {
namespace {

constexpr char kPage[] =
    "# HELP http_requests_total Requests \\ served.\n"
    "# TYPE http_requests_total counter\n"
    "http_requests_total{method=\"get\",code=\"200\"} 1027 1395066363000\n"
    "http_requests_total{ method = \"get\" , code = \"500\" , } 3\n"
    "\n"
    "queue_length 7\r\n"
    "latency_bucket{le=\"+Inf\"} 1.5e1 # {trace_id=\"abc\"} 0.67 1.0\n"
    "weird{path=\"C:\\\\DIR\\\"x\\\"\\n,}\"} -Inf\n"
    "nothing NaN\n"
    "# EOF\n";

TEST(OpenMetrics, VisitsEverySampleInOrder) {
  std::vector<OpenMetricsSample> samples;
  std::vector<std::string> names;
  const Status parsed = ParseOpenMetrics(kPage, [&](const OpenMetricsSample& s) {
    samples.push_back(s);
    names.emplace_back(s.name);
  });
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(names, (std::vector<std::string>{"http_requests_total", "http_requests_total", "queue_length",
                                             "latency_bucket", "weird", "nothing"}));
  ASSERT_EQ(samples.size(), 6u);
  EXPECT_EQ(samples[0].value, 1027);
  ASSERT_EQ(samples[1].labels.size(), 2u);
  EXPECT_EQ(samples[1].labels[1].name, "code");
  EXPECT_EQ(samples[1].labels[1].value, "500");
  EXPECT_EQ(samples[2].value, 7);
  EXPECT_EQ(samples[3].value, 15);
  EXPECT_EQ(samples[4].labels[0].value, "C:\\DIR\"x\"\n,}");
  EXPECT_EQ(samples[4].value, -INFINITY);
  EXPECT_TRUE(std::isnan(samples[5].value));
}

TEST(OpenMetrics, RefusesAPageWithAMalformedLineAndNamesIt) {
  const auto where = [](std::string_view bad) {
    const std::string page = "good 1\n" + std::string(bad) + "\nmore 2\n";
    const Status parsed = ParseOpenMetrics(page, [](const OpenMetricsSample&) {});
    return parsed ? std::string("accepted") : parsed.error().where;
  };
  for (const char* bad :
       {"1bad 2", "name", "name x", "name 1 x", "name 1 2 3", "name{a=1} 1", "name{a=\"1} 1",
        "name{a=\"\\q\"} 1", "name{a=\"1\" b=\"2\"} 1", "name{a=\"1\",a=\"2\"} 1", "name{=\"1\"} 1",
        "name{a=\"1\"", "name{,} 1", "name-x 1", "name +-1", "<html>", "name 0x10", "name\x01 1"}) {
    EXPECT_EQ(where(bad), "line 2") << bad;
  }
}

TEST(OpenMetrics, RefusesAPageThatWasCutOff) {
  EXPECT_FALSE(ParseOpenMetrics("a 1\nb 12", [](const OpenMetricsSample&) {}));
  EXPECT_TRUE(ParseOpenMetrics("a 1\n# EOF", [](const OpenMetricsSample&) {}));
  EXPECT_FALSE(ParseOpenMetrics("a 1\n# EOF\nb 2\n", [](const OpenMetricsSample&) {}));
  EXPECT_TRUE(ParseOpenMetrics("", [](const OpenMetricsSample&) {}));
}

TEST(OpenMetrics, KeepsItsBounds) {
  const auto run = [](std::string_view page, const OpenMetricsLimits& limits) {
    const Status parsed = ParseOpenMetrics(
        page, [](const OpenMetricsSample&) {}, limits);
    return parsed ? std::optional<Errc>{} : parsed.error().code;
  };
  EXPECT_EQ(run("a 1\nb 2\n", {.page_bytes = 7}), Errc::kLimit);
  EXPECT_EQ(run("a 1\nb 2\n", {.page_bytes = 8}), std::nullopt);
  EXPECT_EQ(run("a 1\nb 2\n", {.samples = 1}), Errc::kLimit);
  EXPECT_EQ(run("a 1\nb 2\n", {.samples = 2}), std::nullopt);
  EXPECT_EQ(run("a 1234567\n", {.line_bytes = 8}), Errc::kLimit);
  EXPECT_EQ(run("a 1234567\n", {.line_bytes = 9}), std::nullopt);
  EXPECT_EQ(run("a{b=\"\",c=\"\"} 1\n", {.labels = 1}), Errc::kParse);
  EXPECT_EQ(run("a{b=\"\",c=\"\"} 1\n", {.labels = 2}), std::nullopt);
}

TEST(PickMetrics, MatchesLabelsAndSumsWhatTheyLeaveOpen) {
  const auto values =
      PickMetrics(kPage, {{.name = "r", .from = "http_requests_total", .labels = {{"code", "200"}}},
                          {.name = "all", .from = "http_requests_total", .labels = {}},
                          {.name = "none", .from = "http_requests_total", .labels = {{"code", "404"}}},
                          {.name = "q", .from = "queue_length", .labels = {}},
                          {.name = "absent", .from = "queue", .labels = {}}});
  ASSERT_TRUE(values) << values.error().ToString();
  EXPECT_EQ(*values, (std::vector<std::optional<double>>{1027, 1030, std::nullopt, 7, std::nullopt}));
}

TEST(PickMetrics, RefusesAPageWithOneBadLineWhole) {
  const auto values = PickMetrics("q 1\nq q\n", {{.name = "q", .from = "q", .labels = {}}});
  ASSERT_FALSE(values);
  EXPECT_EQ(values.error().where, "line 2");
}

}  // namespace
}  // namespace dyncast::agent
