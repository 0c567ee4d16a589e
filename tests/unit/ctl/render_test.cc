#include "controller/ctl/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dyncast::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const WallTime kNow = FromUnixMicros(1'769'860'800'000'000);

TEST(RenderList, InstancesWithUnknownAndMissingFields) {
  const Json answer = Json::parse(R"({"instances": [
      {"name": "web-1", "service": "web", "bid": "10.0.2.1", "agent": "edge2", "state": "up",
       "trusted_from_before": true, "in_state_s": 3.2, "bindings": 12, "demands": 1000, "load": 0.25,
       "capacity": {"cpu_cores": 4}, "new_field": [1, {"x": 2}]},
      {"name": "web-2\u001b[2J", "state": "down", "reason": "health"}]})");
  Result<std::string> text = RenderList("instances", answer, kNow);
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  EXPECT_EQ(
      *text,
      "NAME          SERVICE  D-BID     AGENT  STATE             FOR  BINDINGS  DEMANDS  LOAD  CAPACITY  "
      "REASON\n"
      "web-1         web      10.0.2.1  edge2  up (remembered)  3.2s        12     1000  0.25         -  "
      "-\n"
      "web-2\\x1b[2J  -        -         -      down                -         -        -     -         -  "
      "health\n");
}

TEST(RenderList, EveryListTakesItsDocumentedFields) {
  const Json answer = Json::parse(R"({
    "services": [{"name": "web", "sid_v4": "10.9.0.1", "ports": ["tcp/80"], "dispatch": "reactive",
                  "store": "timed", "affinity": "5-tuple", "policy": "auto", "instances_up": 3,
                  "instances_known": 4, "bindings": 1, "binding_limit": 50, "full": false, "demands": 2,
                  "demands_refused": 5, "demands_unbound": 6}],
    "switches": [{"name": "d1", "role": "d-router", "dpid": "00000000000000d1", "peer": "tcp:127.0.0.1:1",
                  "openflow_state": "synced", "ovsdb_state": "ready", "state": "synced", "bindings": 3,
                  "demands": 4, "learned": 9, "refused_flows": 0, "last_error": "", "counters": {}, "ports": {"p1": 1}}],
    "agents": [{"name": "edge2", "silent": false, "last_heard_s": 0.4, "messages": 10, "gaps": 1,
                "replayed": 0, "refused": 0, "last_refusal": "", "boot_epoch": 1,
                "updates": {"sent": 12, "suppressed": 340}}],
    "metrics": [{"instance": "web-1", "service": "web", "site": "edge2", "switch": "d1",
                 "name": "cpu_utilization", "value": 0.5, "unit": "ratio", "level": "L0",
                 "category": "compute", "score": 5, "meaning": "optional", "source": "measured",
                 "statistic": "mean", "window_s": 10, "age_s": 1.25}],
    "paths": [{"agent": "edge2", "peer": "edge3", "family": "ipv4", "rtt_s": 0.010285, "rtt_min_s": 0.010113,
               "jitter_forward_s": 0.000143, "jitter_backward_s": 0.00002, "loss": 0.02, "loss_forward": 0.02,
               "loss_backward": 0, "sent": 50, "window_s": 5, "age_s": 0.7},
              {"agent": "edge2", "peer": "edge4", "family": "ipv6", "loss": 1, "sent": 50, "window_s": 5,
               "age_s": 0.7}],
    "links": [{"switch": "d1", "port": "p1", "role": "uplink", "number": 1, "in_bit_s": 250000000,
               "out_bit_s": 999, "speed_bit_s": 1000000000, "in_load": 0.25, "out_load": 0.000001,
               "in_packets_s": 20833, "out_packets_s": 1, "in_dropped": 3, "out_dropped": 0, "window_s": 10,
               "age_s": 4}],
    "bindings": [{"switch": "d1", "service": "web", "sid": "10.9.0.1", "client": "10.1.0.5",
                  "src_port": 40000, "dst_port": null, "proto": "tcp", "bid": "10.0.2.1",
                  "instance": "web-1", "decided_by": "controller", "created_at": 1769860790.0,
                  "last_seen_at": 1769860799.5, "idle_timeout_s": 60, "packets": 7, "bytes": 900}],
    "events": [{"id": 1, "at": 1769860800, "kind": "instance-up", "subject": "web-1", "detail": ""}]})");
  const std::vector<std::pair<const char*, const char*>> expected = {
      {"services",
       "web   10.9.0.1  tcp/80  reactive  5-tuple   timed  auto    3/4         1     50  no          2       "
       " 5 "
       "       6\n"},
      {"switches",
       "d1    d-router  -     00000000000000d1  tcp:127.0.0.1:1  synced  synced    ready         3        4 "
       " "},
      {"agents", "edge2  heard  400ms        10     1         0        0    12        340  -\n"},
      {"metrics",
       "web-1     edge2  web      d1      L0     compute   cpu_utilization    0.5  ratio      5  optional  "
       "measured  mean        10.0s  1.2s\n"},
      {"paths",
       "edge2  edge3  ipv4    10.29ms  10.11ms        0.14ms  0.02ms    2.0%   2.0%  0.0%       50    5.0s  "
       "700ms\n"},
      {"paths",
       "edge2  edge4  ipv6          -        -             -       -  100.0%      -     -       50    5.0s  "
       "700ms\n"},
      {"links",
       "d1      p1    uplink  250 Mbit/s  999 bit/s  1 Gbit/s    25.0%      0.0%         20833              "
       "1  "
       "         3            0  10.0s  4.0s\n"},
      {"bindings",
       "10.1.0.5  40000      -  tcp    web-1     10.0.2.1  controller  10.0s  500ms        7    900\n"},
      {"events", "2026-01-31T12:00:00.000Z  instance-up  web-1    -\n"}};
  for (const auto& [list, row] : expected) {
    Result<std::string> text = RenderList(list, answer, kNow);
    ASSERT_TRUE(text.ok()) << list;
    EXPECT_THAT(*text, HasSubstr(row)) << list;
  }
}

TEST(RenderList, EmptyAndBad) {
  EXPECT_EQ(*RenderList("bindings", Json::parse(R"({"bindings": []})"), kNow), "no bindings\n");
  for (const char* bad : {"7", "[]", "{}", R"({"agents": 7})", R"({"agents": [7]})", R"({"agents": null})"}) {
    Result<std::string> text = RenderList("agents", Json::parse(bad), kNow);
    ASSERT_FALSE(text.ok()) << bad;
    EXPECT_EQ(text.error().code, Errc::kProtocol);
  }
}

TEST(RenderStatus, ShowsAFailingDatabase) {
  Result<std::string> text = RenderStatus(Json::parse(R"({"version": "0.1.0", "fabric": "demo",
      "uptime_s": 252, "pid": 17, "switches_synced": 1, "switches_total": 2, "instances_up": 3,
      "instances_known": 4, "agents_heard": 2, "agents_total": 2, "bindings": 5, "demands": 6, "warnings": 1,
      "services_full": 1, "services_total": 3, "alarms": ["service web is full on d1: \u001b[31m"],
      "database": {"healthy": false, "pending": 9, "written": 10, "dropped": 0, "last_error": "disk full"},
      "counters": {"reselected": 3, "held": 12}})"));
  EXPECT_EQ(*text,
            "fabric demo, version 0.1.0, up 4m12s, pid 17\n"
            "switches   1 of 2 in sync\n"
            "instances  3 of 4 up\n"
            "agents     2 of 2 heard\n"
            "bindings   5\n"
            "services   1 of 3 full\n"
            "demands    6\n"
            "warnings   1\n"
            "database   FAILING, 9 waiting, 10 written, 0 dropped\n"
            "           last error: disk full\n"
            "ALARM      service web is full on d1: \\x1b[31m\n"
            "\n"
            "COUNTER     VALUE\n"
            "reselected      3\n"
            "held           12\n");
  EXPECT_THAT(*RenderStatus(Json::object()), HasSubstr("fabric -, version -, up -, pid -"));
  EXPECT_FALSE(RenderStatus(Json::array()).ok());
}

constexpr const char* kExplanation = R"({"service": "web", "policy": "least-bindings",
    "formula": "(bindings + 1) / capacity",
    "key": {"client": "10.1.0.5", "src_port": 40000, "dst_port": 80, "proto": "tcp"},
    "bound": [{"client": "10.1.0.5", "src_port": 40000, "dst_port": 80, "proto": "tcp", "switch": "d1",
      "instance": "web-1", "instance_gone": false,
      "decision": {"at": 1769860796.8, "policy": "least-bindings", "reason": "new",
        "decided_by": "controller", "candidate_count": 2, "context": 99,
        "scores": [{"instance": "web-1", "cost": 0.25, "bindings": 3},
                   {"instance": "web-2", "cost": 0.5, "bindings": 7}],
        "candidates": [{"instance": "web-1", "state": "up", "load": 0.1, "capacity": 16},
                       {"instance": "web-2", "state": "up", "load": 0.2, "capacity": 16},
                       {"instance": "web-3", "state": "down", "excluded": "down"}]}}],
    "candidates": [{"instance": "web-2", "state": "up", "cost": 0.4, "load": 0.3, "capacity": 20,
                    "bindings": 8, "excluded": "", "metrics": {"cpu_utilization": 0.3},
                    "metric_ages_s": {"cpu_utilization": 1.2}}],
    "would_choose": "web-2", "no_instance_reason": ""})";

TEST(RenderExplain, SaysWhereAndWhy) {
  Result<std::string> text = RenderExplain(Json::parse(kExplanation), kNow);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(
      *text,
      "Service web, policy least-bindings: (bindings + 1) / capacity.\n"
      "The affinity key is client 10.1.0.5, source port 40000, port 80, protocol tcp.\n"
      "\n"
      "Bound at switch d1 to web-1 (client 10.1.0.5, source port 40000, port 80, protocol tcp) for 3.2s, "
      "since "
      "2026-01-31T11:59:56.800Z.\n"
      "  Decided with policy least-bindings by the controller, because the demand was new, among 2 "
      "candidates.\n"
      "  Lower cost is better; as it was known then:\n"
      "       INSTANCE  STATE  COST  LOAD  CAPACITY  BINDINGS  EXCLUDED  METRICS\n"
      "    *  web-1     up     0.25   0.1        16         3  -         -\n"
      "       web-2     up      0.5   0.2        16         7  -         -\n"
      "       web-3     down      -     -         -         -  down      -\n"
      "\n"
      "A new demand would now go to web-2.\n"
      "     INSTANCE  STATE  COST  LOAD  CAPACITY  BINDINGS  EXCLUDED  METRICS\n"
      "  *  web-2     up      0.4   0.3        20         8  -         cpu_utilization=0.3 (1.2s old)\n");
}

TEST(RenderExplain, ShowsScoresWhereThereAre) {
  Json answer = Json::parse(kExplanation);
  answer["candidates"][0]["levels"] = {{"l1_compute", 7}, {"l1_communication", 6.25}, {"l2", 6.25}};
  answer["candidates"][0]["rtt_ms"] = 5.25;
  answer["candidates"][0]["expected_ms"] = 42;
  answer["candidates"].push_back({{"instance", "web-1"}, {"state", "up"}, {"bindings", 1}});
  answer["bound"][0]["decision"]["candidates"][1]["levels"] = {{"l1_service", 3}, {"l2", 3}};
  const std::string text = *RenderExplain(answer, kNow);
  EXPECT_THAT(text,
              HasSubstr("BINDINGS  EXCLUDED    RTT  EXPECTED  L1 COMPUTE  L1 COMM    L2  METRICS\n"
                        "  *  web-2     up      0.4   0.3        20         8  -         5.2ms      42ms"
                        "           7     6.25  6.25  cpu_utilization=0.3 (1.2s old)\n"));
  EXPECT_THAT(text, HasSubstr("BINDINGS  EXCLUDED  L1 SERVICE  L2  METRICS\n"));
  EXPECT_THAT(text, HasSubstr("0.2        16         7  -                  3   3  -\n"));
}

TEST(RenderList, ServicesOfTheSwitchesShowTheirShares) {
  const std::string text = *RenderList("services", Json::parse(R"({"services": [
    {"name": "web", "sid_v4": "10.9.0.1", "sid_v6": "fd00::1", "ports": ["tcp/80", "icmp"],
     "dispatch": "learn", "store": "generations", "affinity": "client/24/56", "policy": "static",
     "instances_up": 2, "instances_known": 2, "bindings": 40, "binding_limit": 40, "full": true,
     "switches": [{"switch": "d1", "bindings": 40, "full": true, "closings": 1,
                   "shares": [{"instance": "i1", "share_v4": 0.25, "share_v6": 1},
                              {"instance": "i2", "share_v4": 0.75, "share_v6": 0}]},
                  {"switch": "d2", "bindings": 0, "full": false, "shares": []}]},
    {"name": "plain", "dispatch": "reactive", "switches": [{"switch": "d1"}]}]})"),
                                       kNow);
  EXPECT_THAT(text,
              HasSubstr("web    10.9.0.1, fd00::1  tcp/80, icmp  learn     client/24/56  generations  "));
  EXPECT_THAT(text, HasSubstr("\n\nSERVICE  SWITCH  BINDINGS  FULL  SHARES OF NEW DEMANDS, IPv4  IPv6\n"
                              "web      d1            40  yes   i1 25.0%, i2 75.0%           i1 100.0%\n"
                              "web      d2             0  no    -                            -\n"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("plain    d1")));
}

TEST(RenderExplain, TheSwitchesDecide) {
  Json answer = Json::parse(R"({"service": "web", "policy": "static", "formula": "1 / capacity",
    "dispatch": "learn", "store": "timed", "key_complete": true,
    "key": {"client": "fd00::5", "src_port": 40000, "dst_port": 80, "proto": "tcp"},
    "bound": [{"client": "fd00::5", "src_port": 40000, "dst_port": 80, "proto": "tcp", "switch": "d1",
      "instance": "i1", "instance_gone": false,
      "decision": {"at": 1769860796.8, "policy": "static", "reason": "new", "decided_by": "switch",
        "candidate_count": 0, "scores": null, "share": 0.5,
        "candidates": [{"instance": "i1", "state": "up", "share": 0.5},
                       {"instance": "i2", "state": "up", "share": 0.5}]}}],
    "candidates": [{"instance": "i1", "state": "up", "share": 0.25, "bindings": 1}],
    "no_instance_reason": "",
    "verdicts": [{"switch": "d1", "closed": false, "bound": "i1", "slot": 17, "instance": "i2",
                  "slots": 1024, "shares": [{"instance": "i1", "share": 0.25},
                                            {"instance": "i2", "share": 0.75}]},
                 {"switch": "d2", "closed": true, "slot": 17, "instance": "i1", "slots": 1024,
                  "shares": [{"instance": "i1", "share": 1}]},
                 {"switch": "d3", "closed": false, "slots": 0, "shares": []}]})");
  const std::string text = *RenderExplain(answer, kNow);
  EXPECT_THAT(text, HasSubstr("Decided with policy static by the switch, because the demand was new.\n"
                              "  By the hash of the key; the shares of new demands then:\n"
                              "       INSTANCE  STATE  SHARE  COST"));
  EXPECT_THAT(
      text,
      HasSubstr("The switches decide by themselves (store timed).\n"
                "Switch d1: bound to i1, so it goes there; by the hash of its key alone it would go to i2 "
                "(slot 17 of 1024).\n"
                "  Shares of new demands: i1 25.0% i2 75.0%\n"
                "Switch d2: by the hash of its key it goes to i1 (slot 17 of 1024).\n"
                "  Shares of new demands: i1 100.0%\n"
                "  The service is full there: new demands go by the hash alone, without a binding.\n"
                "Switch d3: no instance takes such demands.\n"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("would now")));
  EXPECT_TRUE(IsSo("explain", answer));
  answer["bound"] = Json::array();
  answer["store"] = "none";
  answer["verdicts"][0].erase("bound");
  answer["verdicts"][0].erase("instance");
  EXPECT_THAT(*RenderExplain(answer, kNow), HasSubstr("With store none the controller knows no bindings.\n"));
  EXPECT_THAT(*RenderExplain(answer, kNow), HasSubstr("Switch d1: the hash needs the source port too"));
  answer["verdicts"] = Json::array({answer["verdicts"][2]});
  EXPECT_FALSE(IsSo("explain", answer)) << "nobody takes it";
}

TEST(RenderExplain, NoInstanceAndGoneInstance) {
  Json answer = Json::parse(kExplanation);
  answer["bound"][0]["instance_gone"] = true;
  answer["bound"][0].erase("decision");
  answer.erase("would_choose");
  answer["no_instance_reason"] = "all are down";
  const std::string text = *RenderExplain(answer, kNow);
  EXPECT_THAT(text, HasSubstr("That instance is gone: the next packet selects again."));
  EXPECT_THAT(text, HasSubstr("There is no record of the decision."));
  EXPECT_THAT(text, HasSubstr("A new demand would now find no instance: all are down."));
  EXPECT_FALSE(IsSo("explain", answer));
  answer["bound"] = Json::array();
  EXPECT_THAT(*RenderExplain(answer, kNow), HasSubstr("Not bound on any switch."));
  EXPECT_TRUE(IsSo("explain", Json::parse(kExplanation)));
  EXPECT_FALSE(RenderExplain(Json::object(), kNow).ok());
}

TEST(RenderExplain, SurvivesAnyDecision) {
  for (
      const char* decision :
      {"7", "null", "{}", R"({"scores": [7, null, {}], "candidates": [1, {"instance": 3}]})",
       R"({"scores": {"a": 1}, "context": {"candidates": [{"instance": "x", "metrics": [1, {"name": 5}]}]}})"}) {
    Json answer = Json::parse(kExplanation);
    answer["bound"][0]["decision"] = Json::parse(decision);
    EXPECT_TRUE(RenderExplain(answer, kNow).ok()) << decision;
  }
}

TEST(RenderCheck, ShowsDifferences) {
  const Json answer = Json::parse(R"({"ok": false, "switches": [
      {"name": "d1", "ok": true, "reachable": true, "kept": 40, "missing": 0, "unexpected": 0,
       "bindings_switch": 5, "bindings_table": 5, "bindings_database": 5, "plan_equal": true, "differences": []},
      {"name": "d2", "ok": false, "reachable": true, "kept": 39, "missing": 1, "differences": ["missing: table=1"]},
      {"name": "d3", "ok": false, "reachable": false}]})");
  const std::string text = *RenderCheck(answer);
  EXPECT_THAT(text,
              HasSubstr("d1      yes    40        0           0          5         5            5  yes\n"));
  EXPECT_THAT(text, HasSubstr("d2: missing: table=1\n"));
  EXPECT_THAT(text, HasSubstr("d3: the switch could not be asked\n"));
  EXPECT_THAT(text, HasSubstr("not every switch holds what it must\n"));
  EXPECT_FALSE(IsSo("check", answer));
  EXPECT_TRUE(IsSo("check", Json{{"ok", true}}));
}

TEST(FilterRows, KeepsNamedRowsAndNamesWhatIsMissing) {
  const Json answer = Json::parse(R"({"agents": [{"name": "a"}, {"name": "b"}, {}], "x": 1})");
  Result<Json> kept = FilterRows("agents", "name", {"b"}, answer);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->dump(), R"({"agents":[{"name":"b"}],"x":1})");
  EXPECT_EQ(*FilterRows("agents", "name", {}, answer), answer);
  Result<Json> missing = FilterRows("agents", "name", {"b", "c"}, answer);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(ExitCode(missing.error()), 1);
  EXPECT_THAT(missing.error().message, HasSubstr("'c'"));
}

TEST(ErrorOf, MapsToExitCodes) {
  const Json body = Json::parse(R"({"error": {"code": "not_found", "message": "no instance \u0007x"}})");
  EXPECT_EQ(ExitCode(ErrorOf(404, body)), 1);
  EXPECT_EQ(ErrorOf(404, body).message, "no instance \\x07x");
  EXPECT_EQ(ExitCode(ErrorOf(400, body)), 2);
  EXPECT_EQ(ExitCode(ErrorOf(503, body)), 2);
  EXPECT_EQ(ErrorOf(500, Json(7)).message, "the controller answered with HTTP status 500");
}

}  // namespace
}  // namespace dyncast::ctl
