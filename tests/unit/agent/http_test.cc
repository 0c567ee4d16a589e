#include "agent/core/http.h"

#include <gtest/gtest.h>

namespace dyncast::agent {
namespace {

struct Outcome {
  bool ok = false;
  bool done = false;
  int status = 0;
  std::string body{};
  std::string error{};
};

// Feeds `text` in pieces of `piece` bytes; with `Close`, the peer closes afterwards.
enum class Close : uint8_t { kNo, kYes };
Outcome Parse(std::string_view text, size_t piece, Close close = Close::kNo, HttpBody body = HttpBody::kKeep,
              HttpLimits limits = {}) {
  HttpResponseParser parser(body, limits);
  Outcome outcome{.ok = true};
  for (size_t at = 0; at < text.size() && !outcome.done; at += piece) {
    const auto progress = parser.Feed(text.substr(at, piece));
    if (!progress) return {.error = progress.error().message};
    outcome.done = *progress == HttpProgress::kDone;
  }
  if (close == Close::kYes && !outcome.done) {
    const auto progress = parser.Finish();
    if (!progress) return {.error = progress.error().message};
    outcome.done = true;
  }
  outcome.status = parser.status();
  outcome.body = parser.body();
  return outcome;
}

class Pieces : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Pieces, testing::Values(1, 2, 3, 7, 4096));

TEST_P(Pieces, BodyByContentLength) {
  const Outcome o = Parse("HTTP/1.1 200 OK\r\nContent-LENGTH:  5 \r\nX: y\r\n\r\nhelloEXTRA", GetParam());
  EXPECT_TRUE(o.ok && o.done) << o.error;
  EXPECT_EQ(o.status, 200);
  EXPECT_EQ(o.body, "hello");
}

TEST_P(Pieces, BodyInChunks) {
  const Outcome o = Parse(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, world!!!\r\n0\r\nT: "
      "1\r\n\r\n",
      GetParam());
  EXPECT_TRUE(o.ok && o.done) << o.error;
  EXPECT_EQ(o.body, "hello, world!!!");
}

TEST_P(Pieces, BodyToTheEndOfTheConnection) {
  EXPECT_FALSE(Parse("HTTP/1.0 200 OK\n\nhello", GetParam()).done);
  const Outcome o = Parse("HTTP/1.0 200 OK\n\nhello", GetParam(), Close::kYes);
  EXPECT_TRUE(o.ok && o.done) << o.error;
  EXPECT_EQ(o.body, "hello");
}

TEST_P(Pieces, InterimAnswersArePassedOver) {
  const Outcome o = Parse("HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", GetParam());
  EXPECT_TRUE(o.ok && o.done) << o.error;
  EXPECT_EQ(o.status, 204);
}

TEST_P(Pieces, ACheckNeedsTheHeaderOnly) {
  const Outcome o = Parse("HTTP/1.1 503 Busy\r\nContent-Length: 99999999999\r\n\r\nxxx", GetParam(),
                          Close::kNo, HttpBody::kSkip);
  EXPECT_TRUE(o.ok && o.done) << o.error;
  EXPECT_EQ(o.status, 503);
}

TEST_P(Pieces, ACutOffAnswerIsAnError) {
  for (const char* text :
       {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    EXPECT_FALSE(Parse(text, GetParam(), Close::kYes).ok) << text;
  }
}

TEST_P(Pieces, GarbageIsAnError) {
  for (const char* text :
       {"SSH-2.0-OpenSSH\r\n", "HTTP/2 200\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 999 OK\r\n",
        "HTTP/1.1 +20 OK\r\n", "HTTP/1.1 200 OK\r\nnocolon\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n"}) {
    EXPECT_FALSE(Parse(text, GetParam()).ok) << text;
  }
}

TEST_P(Pieces, NothingGrowsWithoutBound) {
  const HttpLimits limits{.head_bytes = 64, .body_bytes = 10};
  const auto run = [&](const std::string& text) {
    return Parse(text, GetParam(), Close::kNo, HttpBody::kKeep, limits).ok;
  };
  EXPECT_FALSE(run("HTTP/1.1 200 " + std::string(100, 'x')));
  EXPECT_FALSE(run("HTTP/1.1 200 OK\r\n" + std::string(100, 'x')));
  EXPECT_FALSE(run("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"));
  EXPECT_TRUE(run("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"));
  EXPECT_FALSE(run("HTTP/1.1 200 OK\r\n\r\n01234567890"));
  EXPECT_FALSE(run("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n"));
  EXPECT_FALSE(run("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100, 'x')));
}

// The load report of header or trailer, "-" for none, or "error".
std::string LoadOf(const std::string& text, size_t piece, HttpLimits limits = {}) {
  HttpResponseParser parser(HttpBody::kTrailer, limits);
  for (size_t at = 0; at < text.size(); at += piece) {
    const auto progress = parser.Feed(std::string_view(text).substr(at, piece));
    if (!progress) return "error";
    if (*progress == HttpProgress::kMore) continue;
    EXPECT_EQ(parser.body(), "") << "it is not kept";
    return parser.load_report().value_or(parser.load_report_bin().value_or("-"));
  }
  return "more";
}

TEST_P(Pieces, ALoadReportMayStandInHeaderOrTrailer) {
  const size_t piece = GetParam();
  EXPECT_EQ(LoadOf("HTTP/1.1 200 OK\r\nEndpoint-Load-Metrics: TEXT eps=1\r\n\r\n", piece), "TEXT eps=1");
  EXPECT_EQ(LoadOf("HTTP/1.1 200 OK\r\nendpoint-load-metrics-bin:  CZqZ \r\n\r\n", piece), "CZqZ");
  EXPECT_EQ(LoadOf("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", piece), "-") << "no trailer can come";
  EXPECT_EQ(LoadOf("HTTP/1.1 200 OK\r\n\r\n", piece), "-");
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n3\r\nabc\r\n0\r\n";
  EXPECT_EQ(LoadOf(chunked + "other: 1\r\nendpoint-load-metrics: TEXT eps=2\r\n\r\n", piece), "TEXT eps=2");
  EXPECT_EQ(LoadOf(chunked + "\r\n", piece), "-");
  EXPECT_EQ(LoadOf(chunked, piece), "more");
  const HttpLimits small{.head_bytes = 256, .body_bytes = 2};
  EXPECT_EQ(LoadOf(chunked + "\r\n", piece, small), "error") << "a body that is not kept is bounded too";
}

TEST(HttpUrl, ReadsAddressPortAndPath) {
  const auto url = ParseHttpUrl("http://10.0.0.1:9100/metrics?x=1");
  ASSERT_TRUE(url) << url.error().ToString();
  EXPECT_EQ(*url, (HttpUrl{.address = *IpAddress::Parse("10.0.0.1"), .port = 9100, .path = "/metrics?x=1"}));
  EXPECT_EQ(*ParseHttpUrl("http://[2001:db8::1]"),
            (HttpUrl{.address = *IpAddress::Parse("2001:db8::1"), .port = 80, .path = "/"}));
  EXPECT_EQ(ParseHttpUrl("http://[::1]:8080/")->port, 8080);
  for (const char* bad :
       {"", "https://10.0.0.1/", "http://host/", "http://10.0.0.1:0/", "http://10.0.0.1:65536/",
        "http://10.0.0.1:/", "http://[::1/", "http://[::1]x/", "http://10.0.0.1?x", "http://10.0.0.1/a b",
        "http://10.0.0.1/a\r\nX: y", "http://10.0.0.1/#f", "http:///x"}) {
    EXPECT_FALSE(ParseHttpUrl(bad)) << bad;
  }
}

TEST(HttpGetRequest, NamesTheHostAndClosesTheConnection) {
  const std::string request = HttpGetRequest(*ParseHttpUrl("http://[::1]:8080/a"), "*/*");
  EXPECT_TRUE(request.starts_with("GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n")) << request;
  EXPECT_NE(request.find("\r\nConnection: close\r\n"), std::string::npos);
  EXPECT_TRUE(request.ends_with("\r\n\r\n"));
}

}  // namespace
}  // namespace dyncast::agent
