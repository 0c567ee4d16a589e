// Parsers against pages and files that the test itself writes from known values.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "agent/core/http.h"
#include "agent/core/open_metrics.h"
#include "agent/core/sampler.h"

namespace dyncast::agent {
namespace {

uint64_t Seed() {
  const char* given = std::getenv("DYNCAST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("DYNCAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

std::string Escaped(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

TEST(OpenMetricsProperty, ReadsBackWhatWasWritten) {
  std::mt19937_64 random(Seed());
  const auto pick = [&](size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(random);
  };
  const std::string alphabet = "ab\"\\\n{}=, #1\t";
  for (int round = 0; round < 300; ++round) {
    std::string page;
    std::vector<config::ScrapedMetric> wanted;
    std::vector<std::optional<double>> expected;
    const size_t samples = pick(0, 20);
    for (size_t i = 0; i < samples; ++i) {
      config::ScrapedMetric metric;
      metric.from = "m" + std::to_string(i);
      std::string text = metric.from;
      const size_t labels = pick(0, 3);
      for (size_t l = 0; l < labels; ++l) {
        std::string value;
        for (size_t n = pick(0, 6); n > 0; --n) value += alphabet[pick(0, alphabet.size() - 1)];
        text += (l == 0 ? "{" : ",") + std::string("l") + std::to_string(l) + "=\"" + Escaped(value) + "\"";
        if (pick(0, 1) == 1) metric.labels.emplace_back("l" + std::to_string(l), value);
      }
      if (labels > 0) text += "}";
      const double value = std::uniform_real_distribution<double>(-1e12, 1e12)(random);
      char number[64];
      std::snprintf(number, sizeof number, " %.17g", value);
      text += number;
      if (pick(0, 3) == 0) text += " 1395066363000";
      if (pick(0, 3) == 0) text += " # {trace=\"x\"} 1";
      if (pick(0, 3) == 0) page += "# HELP x y\n\n";
      page += text + "\n";
      wanted.push_back(metric);
      expected.push_back(value);
    }
    if (pick(0, 1) == 1) page += "# EOF\n";
    const auto picked = PickMetrics(page, wanted);
    ASSERT_TRUE(picked) << picked.error().ToString() << "\n" << page;
    ASSERT_EQ(*picked, expected) << page;
  }
}

TEST(HttpProperty, ThePiecesDoNotMatter) {
  std::mt19937_64 random(Seed());
  const auto pick = [&](size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(random);
  };
  for (int round = 0; round < 300; ++round) {
    std::string body(pick(0, 3000), '\0');
    for (char& c : body) c = static_cast<char>(pick(0, 255));
    std::string text = "HTTP/1.1 200 OK\r\nX-Header: y\r\n";
    if (pick(0, 1) == 1) {
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    } else {
      text += "Transfer-Encoding: chunked\r\n\r\n";
      for (size_t at = 0; at < body.size();) {
        const size_t size = std::min(pick(1, 400), body.size() - at);
        char line[32];
        std::snprintf(line, sizeof line, "%zx\r\n", size);
        text += line + body.substr(at, size) + "\r\n";
        at += size;
      }
      text += "0\r\n\r\n";
    }
    HttpResponseParser parser(HttpBody::kKeep);
    Result<HttpProgress> progress = HttpProgress::kMore;
    for (size_t at = 0; at < text.size();) {
      ASSERT_EQ(*progress, HttpProgress::kMore);
      const size_t size = std::min(pick(1, 700), text.size() - at);
      progress = parser.Feed(std::string_view(text).substr(at, size));
      ASSERT_TRUE(progress) << progress.error().ToString();
      at += size;
    }
    ASSERT_EQ(*progress, HttpProgress::kDone);
    ASSERT_EQ(parser.body(), body);
  }
}

// A counter that is reset at random: the rates add up to all increases.
TEST(CounterRateProperty, SumsToTheIncrease) {
  std::mt19937_64 random(Seed());
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int round = 0; round < 200; ++round) {
    CounterRate rate(std::chrono::milliseconds(500));
    MonoTime at{std::chrono::seconds(100)};
    double counter = static_cast<double>(pick(0, 1000));
    rate.Add(at, counter);
    for (int i = 0; i < 20; ++i) {
      double increase = static_cast<double>(pick(0, 1000));
      if (pick(0, 4) == 0 && increase < counter) counter = 0;  // restarted
      counter += increase;
      const auto step = std::chrono::milliseconds(pick(500, 3000));
      at += step;
      rate.Add(at, counter);
      ASSERT_TRUE(rate.Current());
      ASSERT_NEAR(rate.Current()->value * std::chrono::duration<double>(step).count(), increase, 1e-6);
    }
  }
}

}  // namespace
}  // namespace dyncast::agent
