// Files of demands and of places: each rule with the line that breaks it.
#include "tests/sim/trace.h"

#include <gtest/gtest.h>

#include "tests/sim/positions.h"
#include "tests/unit/sim/fixture.h"

namespace dyncast::sim {
namespace {

const std::string kHeader = "arrival_s,client,service,work_s\n";

Result<Trace> Parse(const std::string& lines) {
  return ParseTrace(kHeader + lines, "t.csv", {"web", "api", "none"}, {true, true, false});
}
std::string Refusal(const std::string& lines) {
  const Result<Trace> trace = Parse(lines);
  return trace.ok() ? "accepted" : trace.error().message;
}

TEST(Trace, ReadsDemands) {
  const Result<Trace> trace = Parse("0,c1,web,0.05\n0.25,10.1.2.3,api,1\r\n0.25,c1,web,0.000001");
  ASSERT_TRUE(trace.ok()) << trace.error().message;
  ASSERT_EQ(trace->rows.size(), 3u);
  EXPECT_EQ(trace->rows[1].at, Micros{250'000});
  EXPECT_EQ(trace->rows[1].client, 1u);
  EXPECT_EQ(trace->rows[1].service, 1u);
  EXPECT_DOUBLE_EQ(trace->rows[1].work_s, 1);
  EXPECT_EQ(trace->rows[2].client, 0u);
  EXPECT_EQ(trace->clients, (std::vector<std::string>{"c1", "10.1.2.3"}));
}

TEST(Trace, RefusesBadLines) {
  const std::string good = "1,c,web,0.05\n";
  EXPECT_EQ(Refusal(good + "0.5,c,web,0.05\n"),
            "t.csv:3: value '0.5': arrival_s must not be less than in the line above");
  EXPECT_EQ(Refusal("x,c,web,0.05\n"),
            "t.csv:2: value 'x': arrival_s must be a number of seconds, 0 to 86400");
  EXPECT_EQ(Refusal("-1,c,web,0.05\n"),
            "t.csv:2: value '-1': arrival_s must be a number of seconds, 0 to 86400");
  EXPECT_EQ(Refusal("1e3,c,web,0.05\n"),
            "t.csv:2: value '1e3': arrival_s must be a number of seconds, 0 to 86400");
  EXPECT_EQ(Refusal("nan,c,web,0.05\n"),
            "t.csv:2: value 'nan': arrival_s must be a number of seconds, 0 to 86400");
  EXPECT_EQ(Refusal("86400.1,c,web,0.05\n"),
            "t.csv:2: value '86400.1': arrival_s must be a number of seconds, 0 to 86400");
  EXPECT_EQ(Refusal("1,a b,web,0.05\n"),
            "t.csv:2: value 'a b': client must be 1 to 64 octets of [A-Za-z0-9._:-]");
  EXPECT_EQ(Refusal("1,,web,0.05\n"), "t.csv:2: value '': client must be 1 to 64 octets of [A-Za-z0-9._:-]");
  EXPECT_EQ(Refusal("1,c,www,0.05\n"),
            "t.csv:2: value 'www': service must be one of the scenario's 'services'");
  EXPECT_EQ(Refusal("1,c,none,0.05\n"), "t.csv:2: value 'none': no instance serves this service");
  EXPECT_EQ(Refusal("1,c,web,0\n"),
            "t.csv:2: value '0': work_s must be a number of seconds, 0.000001 to 3600");
  EXPECT_EQ(Refusal("1,c,web,inf\n"),
            "t.csv:2: value 'inf': work_s must be a number of seconds, 0.000001 to 3600");
  EXPECT_EQ(Refusal("1,c,web\n"),
            "t.csv:2: value '1': must be four values (arrival_s,client,service,work_s), here are 3");
  EXPECT_EQ(Refusal(good + "\n" + good),
            "t.csv:3: value '': must be four values (arrival_s,client,service,work_s), "
            "here are 1");
}

TEST(Trace, WantsItsHeader) {
  const auto refusal = [](std::string_view text) {
    return ParseTrace(text, "t.csv", {"web"}, {true}).error().message;
  };
  EXPECT_EQ(refusal(""), "t.csv: nothing in it");
  EXPECT_EQ(refusal("0,c,web,1\n"),
            "t.csv:1: value '0,c,web,1': the first line must be arrival_s,client,service,work_s");
}

TEST(Trace, ClientsKeepTheirDRouter) {
  Trace trace;
  for (int i = 0; i < 1000; ++i) trace.clients.push_back("client" + std::to_string(i));
  AssignRouters({0.25, 1}, &trace);
  const auto first = std::count(trace.client_routers.begin(), trace.client_routers.end(), 0u);
  EXPECT_NEAR(static_cast<double>(first), 250, 60);
}

TEST(Trace, DrivesARun) {
  Scenario s = Parsed(kSmall);
  s.demands.clear();
  s.trace = "x";
  Loaded loaded{.scenario = s, .topology = {}, .trace = {}};
  loaded.trace =
      *ParseTrace(kHeader + "1,c,web,0.05\n3,c,web,0.1\n3.01,d,web,0.2\n19,d,web,0.3\n25,d,web,1\n", "t.csv",
                  {"web"}, {true});
  loaded.topology = *MakeTopology(loaded.scenario, &*loaded.trace);
  AssignRouters(loaded.topology.router_shares, &*loaded.trace);
  const Outcome outcome = Simulate(loaded, Spec(s, "least-bindings"));
  EXPECT_EQ(outcome.requests, 3u);  // one before the warm-up's end, one after the duration
  EXPECT_NEAR(outcome.max_s, 0.3, 1e-5);
  EXPECT_NEAR(outcome.mean_s, 0.2, 1e-5);
}

TEST(Positions, DistancesAreThoseOfTheEarth) {
  // A degree of latitude is 111.2 km; Melbourne to Sydney about 713 km.
  EXPECT_NEAR(DistanceKm({0, 0}, {1, 0}), 111.19, 0.01);
  EXPECT_NEAR(DistanceKm({-37.8136, 144.9631}, {-33.8688, 151.2093}), 713, 2);
  EXPECT_EQ(DistanceKm({-37, 144}, {-37, 144}), 0);
}

TEST(Positions, RefusesBadLines) {
  const auto sites = [](std::string_view text) {
    const Result<Sites> result = ParseSites(text, "s.csv");
    return result.ok() ? "accepted" : result.error().message;
  };
  EXPECT_EQ(sites("SITE_ID,X,LATITUDE,LONGITUDE\n7,a,-37.8,144.9\n"), "accepted");
  EXPECT_EQ(sites("SITE_ID,LATITUDE\n"),
            "s.csv:1: value 'SITE_ID': the first line must name a column LONGITUDE");
  EXPECT_EQ(sites("SITE_ID,LATITUDE,LONGITUDE\n7,-91,0\n"),
            "s.csv:2: value '-91': latitude must be degrees, -90 to 90");
  EXPECT_EQ(sites("SITE_ID,LATITUDE,LONGITUDE\n7,1,x\n"),
            "s.csv:2: value 'x': longitude must be degrees, -180 to 180");
  EXPECT_EQ(sites("SITE_ID,LATITUDE,LONGITUDE\n0,1,1\n"),
            "s.csv:2: value '0': SITE_ID must be a whole number, 1 to 4294967295");
  EXPECT_EQ(sites("SITE_ID,LATITUDE,LONGITUDE\n7,1,1\n7,2,2\n"),
            "s.csv:3: value '7': SITE_ID stands in a line above");
  EXPECT_EQ(sites("SITE_ID,LATITUDE,LONGITUDE\n7,1\n"),
            "s.csv:2: value '7': must be 3 values as in the first line, here are 2");
  const Result<std::vector<Position>> clients = ParseClients("Latitude,Longitude\n", "c.csv");
  EXPECT_EQ(clients.error().message, "c.csv: no client in it");
}

}  // namespace
}  // namespace dyncast::sim
