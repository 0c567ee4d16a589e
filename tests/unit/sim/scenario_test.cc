// Scenario files: what they say, and what is refused where.
#include "tests/sim/scenario.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/unit/sim/fixture.h"

namespace dyncast::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Refusal(std::string yaml) {
  const Result<Scenario> scenario = ParseScenario(yaml, "s.yaml");
  return scenario.ok() ? "accepted" : scenario.error().message;
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string SourceDir() { return std::getenv("DYNCAST_SOURCE_DIR"); }

TEST(Scenario, FillsInWhatIsNotSaid) {
  const Scenario s = Parsed(kSmall);
  EXPECT_EQ(s.services, std::vector<std::string>{"web"});
  EXPECT_EQ(s.edges[1].instances[0].service, "web");
  EXPECT_EQ(s.demands[0].service, "web");
  EXPECT_EQ(s.demands[0].work.distribution, Distribution::kLognormal);
  EXPECT_EQ(s.reports.period, Micros{1'000'000});
  EXPECT_EQ(s.idle_timeout, Micros{5'000'000});
}

TEST(Scenario, RefusesUnknownKeysWithTheirPlace) {
  EXPECT_EQ(Refusal(Replaced(std::string(kSmall), "duration:", "durations:")).substr(0, 29),
            "s.yaml:8:1: key 'durations': ");
  EXPECT_THAT(Refusal(Replaced(std::string(kSmall), "workers: 4", "worker: 4")),
              StartsWith("s.yaml:5:39: key 'edges[1].instances[0].worker'"));
}

TEST(Scenario, NamesKeyValueAndRule) {
  EXPECT_EQ(Refusal(Replaced(std::string(kSmall), "load: 0.6", "load: 0")),
            "s.yaml:7:12: key 'demands[0].load': value '0': must be a number, above 0 and at most 10");
  EXPECT_THAT(Refusal(Replaced(std::string(kSmall), "mean: 20ms", "mean: 20")),
              HasSubstr("key 'demands[0].work.mean'"));
  EXPECT_THAT(Refusal(Replaced(std::string(kSmall), "workers: 2", "workers: 0")), HasSubstr("value '0'"));
  EXPECT_THAT(Refusal(Replaced(std::string(kSmall), "warm_up: 2s", "warm_up: 20s")),
              HasSubstr("key 'warm_up': must be less than 'duration'"));
  EXPECT_THAT(Refusal(Replaced(std::string(kSmall), "name: i2", "name: i1")), HasSubstr("is already at"));
}

TEST(Scenario, RefusesContradictions) {
  const std::string small(kSmall);
  EXPECT_THAT(Refusal(small + "trace: t.csv\n"), HasSubstr("one of 'demands' and 'trace'"));
  EXPECT_THAT(Refusal(small + "speeds: [{instance: i9, at: 1s, factor: 2}]\n"), HasSubstr("value 'i9'"));
  EXPECT_THAT(
      Refusal(small + "speeds: [{instance: i1, at: 1s, factor: 2}]\nrotation: {factor: 0.3, time: 1s}\n"),
      HasSubstr("contradicts 'speeds'"));
  EXPECT_THAT(Refusal(small + "network: {delays: [{router: r1, edge: e1, delay: 1ms}, {router: r1, edge: e1, "
                              "delay: 2ms}]}\n"),
              HasSubstr("the same way again"));
  EXPECT_THAT(Refusal(small + "network: {delays: [{router: r2, edge: e1, delay: 1ms}]}\n"),
              HasSubstr("value 'r2'"));
  EXPECT_THAT(Refusal(small + "network: {positions: {sites: x.csv}}\n"), HasSubstr("needs a 'site'"));
  EXPECT_THAT(Refusal(small + "services: [api]\n" + "idle_timeout: 1500ms\n"), HasSubstr("whole seconds"));
  EXPECT_THAT(Refusal(Replaced(small, "load: 0.6", "service: api, load: 0.6")),
              HasSubstr("'demands[0].service'"));
  EXPECT_THAT(Refusal(Replaced(small, "load: 0.6", "service: api, load: 0.6") + "services: [web, api]\n"),
              HasSubstr("no instance serves 'api'"));
}

TEST(Scenario, ShippedOnesLoad) {
  for (const char* name : {"a", "b", "c", "d", "e", "trace"}) {
    const Result<Loaded> loaded = Load(SourceDir() + "/tests/sim/scenarios/" + name + ".yaml");
    ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
    EXPECT_EQ(loaded->scenario.name, name);
  }
}

TEST(Scenario, MelbourneHasItsPlaces) {
  const Result<Loaded> loaded = Load(SourceDir() + "/tests/sim/scenarios/e.yaml");
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->topology.client_routers.size(), 816u);
  for (const auto& row : loaded->topology.delays) {
    for (const Micros delay : row) {
      EXPECT_GE(delay, Micros{1000});
      EXPECT_LE(delay, Micros{12000});
    }
  }
}

TEST(Scenario, MissingFilesAreNamed) {
  Scenario s = Parsed(kSmall);
  s.demands.clear();
  s.trace = "no-such-file.csv";
  const Result<Loaded> loaded = Prepare(s);
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.error().message, HasSubstr("no-such-file.csv: cannot be read"));
}

TEST(Scenario, TheDocumentShowsAllKeys) {
  std::ifstream file(SourceDir() + "/docs/simulation.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(ScenarioReferenceMarkdown()), std::string::npos)
      << "docs/simulation.md: replace the tables by the output of `dyncast-sim --reference`";
}

}  // namespace
}  // namespace dyncast::sim
