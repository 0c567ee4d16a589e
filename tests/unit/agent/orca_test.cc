#include "agent/core/orca.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "agent/core/orca.pb.h"

namespace dyncast::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

// {named_metrics: {foo: 0.1, bar: 0.2}, cpu 0.1, rps_fractional 2} as another implementation writes it.
constexpr std::string_view kBase64 = "CZqZmZmZmbk/MQAAAAAAAABAQg4KA2ZvbxGamZmZmZm5P0IOCgNiYXIRmpmZmZmZyT8=";

TEST(Orca, ReadsTheTextForm) {
  const auto report = ParseOrcaHeader(
      "TEXT cpu_utilization=0.3, mem_utilization=0.8,rps_fractional = 10.0 , eps:1, "
      "named_metrics.custom_metric_util=0.4,utilization.disk=0.5,request_cost.bytes=3487");
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(*report, UnorderedElementsAre(Pair("cpu_utilization", 0.3), Pair("mem_utilization", 0.8),
                                            Pair("rps_fractional", 10), Pair("eps", 1),
                                            Pair("named_metrics.custom_metric_util", 0.4),
                                            Pair("utilization.disk", 0.5), Pair("request_cost.bytes", 3487)));
}

TEST(Orca, ReadsTheJsonForm) {
  const auto report = ParseOrcaHeader(
      R"(JSON {"cpu_utilization": 0.3, "memUtilization": 0, "rps": "12", "applicationUtilization": 1.5,
               "named_metrics": {"custom-metric-util": 0.4}, "something_new": [1]})");
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(*report, UnorderedElementsAre(Pair("cpu_utilization", 0.3), Pair("mem_utilization", 0),
                                            Pair("rps_fractional", 12), Pair("application_utilization", 1.5),
                                            Pair("named_metrics.custom-metric-util", 0.4)))
      << "0 was said, so it is there";
}

TEST(Orca, ReadsTheBinaryForm) {
  for (const std::string_view text : {kBase64, kBase64.substr(0, kBase64.size() - 1)}) {
    for (const auto& report : {ParseOrcaHeader("BIN " + std::string(text)), ParseOrcaBinHeader(text)}) {
      ASSERT_TRUE(report) << report.error().ToString();
      EXPECT_THAT(*report,
                  UnorderedElementsAre(Pair("cpu_utilization", 0.1), Pair("rps_fractional", 2),
                                       Pair("named_metrics.foo", 0.1), Pair("named_metrics.bar", 0.2)));
    }
  }
  orca::v1::LoadReport proto;
  proto.set_application_utilization(0.75);
  proto.set_eps(0);
  const auto report = ParseOrcaBinary(proto.SerializeAsString());
  ASSERT_TRUE(report);
  EXPECT_THAT(*report, UnorderedElementsAre(Pair("application_utilization", 0.75), Pair("eps", 0)));
  EXPECT_TRUE(ParseOrcaBinary("")->empty()) << "an idle application may have nothing to say";
}

TEST(Orca, WhatIsNotOfAFormIsRefused) {
  const auto error = [](const Result<LoadReport>& report) {
    return report ? std::string("taken") : report.error().ToString();
  };
  EXPECT_THAT(error(ParseOrcaHeader("")), HasSubstr("must begin with TEXT, JSON or BIN"));
  EXPECT_THAT(error(ParseOrcaHeader("cpu_utilization=1")), HasSubstr("found 'cpu_utilization=1'"));
  EXPECT_THAT(error(ParseOrcaHeader("TEXT cpu_utilization")), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(error(ParseOrcaHeader("TEXT cpu_utilization=")), HasSubstr("must be a number"));
  EXPECT_THAT(error(ParseOrcaHeader("TEXT cpu_utilization=half")), HasSubstr("must be a number"));
  EXPECT_THAT(error(ParseOrcaHeader("TEXT eps=1,eps=2")), HasSubstr("'eps' stands twice"));
  EXPECT_THAT(error(ParseOrcaHeader("JSON {\"cpu_utilization\": \"high\"}")), HasSubstr("in JSON"));
  EXPECT_THAT(error(ParseOrcaHeader("JSON [")), HasSubstr("in JSON"));
  EXPECT_THAT(error(ParseOrcaHeader("BIN ====")), HasSubstr("base64"));
  EXPECT_THAT(error(ParseOrcaHeader("BIN CZqZm_mZmbk/")), HasSubstr("base64"));
  EXPECT_THAT(error(ParseOrcaHeader("BIN CZqZ")), HasSubstr("no serialized"));
  EXPECT_THAT(error(ParseOrcaBinary(std::string("\x42\x07\x0a\x05\xff\xfe\xfd\xfc\xfb", 9))),
              HasSubstr("no serialized"))
      << "a name that is no text";
}

TEST(Orca, WhatALaterVersionAddsIsPassedOver) {
  EXPECT_THAT(*ParseOrcaText("eps=1,new_field=3,named_metrics.=2"), ElementsAre(Pair("eps", 1)));
}

TEST(Orca, HasBounds) {
  const OrcaLimits limits{.bytes = 200, .values = 2, .name_bytes = 20};
  EXPECT_TRUE(ParseOrcaText("eps=1,cpu_utilization=1", limits));
  EXPECT_EQ(ParseOrcaText("eps=1,cpu_utilization=1,mem_utilization=1", limits).error().code, Errc::kLimit);
  EXPECT_EQ(ParseOrcaText("named_metrics.a-long-name=1", limits).error().code, Errc::kLimit);
  for (const auto& report :
       {ParseOrcaText(std::string(201, ' '), limits), ParseOrcaJson(std::string(201, ' '), limits),
        ParseOrcaBinary(std::string(201, ' '), limits)}) {
    EXPECT_EQ(report.error().code, Errc::kLimit);
  }
  std::string deep = R"({"named_metrics": )";
  for (int i = 0; i < 20000; ++i) deep += "[";
  EXPECT_FALSE(ParseOrcaJson(deep));
}

TEST(Orca, StandardFieldsHaveNamesOfTheirOwn) {
  const LoadReport report = {{"application_utilization", 0.5},
                             {"cpu_utilization", 0.4},
                             {"mem_utilization", 0.3},
                             {"rps_fractional", 20},
                             {"eps", 2},
                             {"named_metrics.queue", 7}};
  std::vector<std::string> found;
  for (const ScrapedValue& v : StandardOrcaValues(report)) {
    found.push_back(v.name + "=" + std::to_string(v.value.value).substr(0, 4) + " " + v.unit);
  }
  EXPECT_THAT(found,
              ElementsAre("utilization=0.50 ratio", "cpu_utilization=0.40 ratio",
                          "memory_utilization=0.30 ratio", "request_rate=20.0 1/s", "error_rate=2.00 1/s"));
  const auto configured = ConfiguredOrcaValues(
      report, {{.name = "queue", .from = "named_metrics.queue", .factor = 2, .unit = "1"},
               {.name = "disk", .from = "utilization.disk", .factor = 1, .unit = "ratio"}});
  ASSERT_EQ(configured.size(), 1u) << "what was not said is absent";
  EXPECT_EQ(configured[0].name, "queue");
  EXPECT_EQ(configured[0].value.value, 14);
}

TEST(Orca, NotANumberIsTakenHereAndJudgedInTheReport) {
  const auto report = ParseOrcaText("application_utilization=NaN,eps=-1");
  ASSERT_TRUE(report);
  Measured measured;
  measured.scraped = StandardOrcaValues(*report);
  const BuiltMetrics built = BuildMetrics(measured);
  EXPECT_TRUE(built.metrics.empty());
  EXPECT_THAT(built.refused, ElementsAre("utilization=nan", "error_rate=-1"));
}

}  // namespace
}  // namespace dyncast::agent
