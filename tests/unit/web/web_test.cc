#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/web/http.h"
#include "tests/support/web/load_report.h"
#include "tests/support/web/stats.h"

namespace dyncast::web {
namespace {

using std::chrono::milliseconds;
using MonoTime = ServerStats::MonoTime;

TEST(Http, ReadsARequestAndLeavesTheNext) {
  const std::string one = "GET /work?ms=5&x=1 HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n";
  const ParsedRequest parsed = ParseRequest(one + "GET / HTTP/1.1\r\n\r\n");
  ASSERT_EQ(parsed.state, ParseState::kComplete);
  EXPECT_EQ(parsed.consumed, one.size());
  EXPECT_EQ(parsed.request.method, "GET");
  EXPECT_EQ(parsed.request.path, "/work");
  EXPECT_EQ(QueryValue(parsed.request.query, "ms"), "5");
  EXPECT_EQ(QueryValue(parsed.request.query, "m"), std::nullopt);
  EXPECT_FALSE(parsed.request.keep_alive);
}

TEST(Http, WaitsForTheWholeHeadAndRefusesBodies) {
  EXPECT_EQ(ParseRequest("GET / HTTP/1.1\r\nHost: a\r\n").state, ParseState::kIncomplete);
  EXPECT_EQ(ParseRequest("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").state, ParseState::kBad);
  EXPECT_EQ(ParseRequest("nonsense\r\n\r\n").state, ParseState::kBad);
  EXPECT_EQ(ParseRequest(std::string(20000, 'x')).state, ParseState::kBad);
}

TEST(Http, ReadsAResponseWithItsInstance) {
  const std::string text = "HTTP/1.1 200 OK\r\nX-Instance: i21\r\nContent-Length: 4\r\n\r\ni21\n";
  const ParsedResponse parsed = ParseResponse(text + "HTTP");
  ASSERT_EQ(parsed.state, ParseState::kComplete);
  EXPECT_EQ(parsed.consumed, text.size());
  EXPECT_EQ(parsed.response.status, 200);
  EXPECT_EQ(parsed.response.instance, "i21");
  EXPECT_EQ(ParseResponse(text.substr(0, text.size() - 1)).state, ParseState::kIncomplete);
  EXPECT_EQ(ParseResponse("HTTP/1.1 200 OK\r\n\r\n").state, ParseState::kBad);
}

TEST(Http, ReadsEndpoints) {
  EXPECT_EQ(ParseEndpoint("10.0.0.1:80")->port, 80);
  EXPECT_EQ(ParseEndpoint("[fd00::1]:80")->address, "fd00::1");
  for (const char* bad : {"10.0.0.1", ":80", "10.0.0.1:0", "10.0.0.1:65536", "fd00::1:80", "[]:80", "a:b"}) {
    EXPECT_FALSE(ParseEndpoint(bad).has_value()) << bad;
  }
}

TEST(ServerStats, UtilizationIsTheBusyShareOfTheLastSecond) {
  ServerStats stats(2);
  const MonoTime start{std::chrono::seconds{100}};
  stats.RequestStarted();
  stats.RequestEnded(start, start + milliseconds{500});
  EXPECT_NEAR(stats.Utilization(start + milliseconds{1000}), 0.25, 1e-9);
  EXPECT_NEAR(stats.Utilization(start + milliseconds{1300}), 0.1, 1e-9);
  EXPECT_EQ(stats.Utilization(start + milliseconds{2000}), 0.0);
}

TEST(ServerStats, CountsWhatAStationServed) {
  ServerStats stats(4);
  const MonoTime start{std::chrono::seconds{100}};
  EXPECT_EQ(stats.LatencySeconds(start), std::nullopt);
  stats.RequestStarted();
  stats.RequestStarted();
  stats.AddBusy(start, start + milliseconds{500}, 2);
  stats.RequestServed(start, start + milliseconds{300});
  stats.RequestServed(start, start + milliseconds{500});
  stats.SetWaiting(3);
  EXPECT_NEAR(stats.Utilization(start + milliseconds{1000}), 0.25, 1e-9);
  EXPECT_NEAR(*stats.LatencySeconds(start + milliseconds{1000}), 0.4, 1e-9);
  const std::string page = stats.OpenMetrics(start + milliseconds{1000});
  for (const char* line : {"requests_total 2\n", "waiting 3\n", "inflight 0\n", "latency_seconds 0.400000\n",
                           "busy_seconds_total 1.000000\n"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line << page;
  }
  EXPECT_EQ(stats.LatencySeconds(start + milliseconds{3000}), std::nullopt);
  EXPECT_EQ(stats.OpenMetrics(start + milliseconds{3000}).find("\nlatency_seconds "), std::string::npos);
}

Answer From(uint64_t connection, const char* source, const char* instance) {
  return {.connection = connection, .source = source, .target = "10.96.0.1:80", .instance = instance};
}

TEST(LoadReport, SeesAConnectionThatMoved) {
  LoadReport report;
  report.Count(From(1, "a", "i21"));
  report.Count(From(1, "a", "i21"));
  report.Count(From(2, "b", "i31"));
  EXPECT_EQ(report.moved_connections(), 0u);
  EXPECT_EQ(report.moved_clients(), 0u);
  report.Count(From(1, "a", "i31"));
  report.Count(From(1, "a", "i21"));
  EXPECT_EQ(report.moved_connections(), 1u);
  EXPECT_EQ(report.moved_clients(), 1u);
}

TEST(LoadReport, SeesAClientOnTwoInstancesOverTwoConnections) {
  LoadReport report;
  report.Count(From(1, "a", "i21"));
  report.Count(From(2, "a", "i31"));
  EXPECT_EQ(report.moved_connections(), 0u);
  EXPECT_EQ(report.moved_clients(), 1u);
}

TEST(LoadReport, WritesWhatItCounted) {
  LoadReport report;
  report.CountConnection();
  Answer answer = From(1, "a", "i21");
  answer.latency = milliseconds{4};
  report.Count(answer);
  report.CountFailure("reset", 12.5);
  report.CountFailure("reset", 13.5);
  const auto json = nlohmann::json::parse(report.Json("report", 20, 1.5, 1));
  EXPECT_EQ(json["requests"], 1);
  EXPECT_EQ(json["failed"], 2);
  EXPECT_EQ(json["failures"]["reset"], 2);
  EXPECT_EQ(json["first_failure_at"], 12.5);
  EXPECT_EQ(json["last_failure_at"], 13.5);
  EXPECT_EQ(json["instances"]["i21"]["requests"], 1);
  EXPECT_EQ(json["latency_ms"]["p50"], 4.0);
  EXPECT_FALSE(nlohmann::json::parse(report.Json("progress", 20, 1.5, 1)).contains("sources"));
}

}  // namespace
}  // namespace dyncast::web
