// Every rule of the wire: a valid message with one thing wrong is refused, and the error names it.
#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "schema/wire/dyncast.pb.h"
#include "schema/wire/message.h"

namespace dyncast::wire {
namespace {

using ::testing::HasSubstr;

v1::Envelope Base() {
  v1::Envelope e;
  e.set_agent("edge2");
  e.set_boot_epoch(1700000000000000);
  e.set_sequence(7);
  e.set_sent_at_us(1700000001000000);
  return e;
}

v1::Envelope AnnounceProto() {
  v1::Envelope e = Base();
  v1::Announce& a = *e.mutable_announce();
  a.set_instance("video-1");
  a.set_service("video");
  a.set_bid("10.2.0.1");
  a.set_health(v1::HEALTH_UP);
  a.mutable_capacity()->set_cpu_cores(4);
  return e;
}

v1::Envelope ReportProto() {
  v1::Envelope e = Base();
  v1::Report& r = *e.mutable_report();
  r.set_instance("video-1");
  v1::Metric& m = *r.add_metrics();
  m.set_name("cpu_utilization");
  m.set_value(0.5);
  m.set_unit("ratio");
  return e;
}

v1::Envelope WithdrawProto() {
  v1::Envelope e = Base();
  e.mutable_withdraw()->set_instance("video-1");
  e.mutable_withdraw()->set_reason("stopped");
  return e;
}

v1::Envelope HeartbeatProto() {
  v1::Envelope e = Base();
  e.mutable_heartbeat()->set_interval_ms(500);
  return e;
}

v1::Envelope PathsProto() {
  v1::Envelope e = Base();
  v1::Path& p = *e.mutable_paths()->add_paths();
  p.set_peer("edge3");
  p.set_loss(0);
  p.set_sent(50);
  p.set_window_ms(5000);
  return e;
}

Result<AgentMessage> DecodeProto(std::string_view topic, const v1::Envelope& e) {
  return Decode(topic, e.SerializeAsString());
}

TEST(Decode, AcceptsEachKind) {
  Result<AgentMessage> announce = DecodeProto("announce/edge2", AnnounceProto());
  ASSERT_TRUE(announce.ok()) << announce.error().ToString();
  EXPECT_EQ(announce->agent, "edge2");
  EXPECT_EQ(announce->boot_epoch, 1700000000000000u);
  EXPECT_EQ(announce->sequence, 7u);
  EXPECT_EQ(UnixMicros(announce->sent_at), 1700000001000000);
  const auto& a = std::get<Announce>(announce->body);
  EXPECT_EQ(a.instance, "video-1");
  EXPECT_EQ(a.bid, *IpAddress::Parse("10.2.0.1"));
  EXPECT_FALSE(a.sid.has_value());
  EXPECT_EQ(a.health, Health::kUp);
  EXPECT_EQ(a.capacity.cpu_cores, 4.0);
  EXPECT_FALSE(a.capacity.gpus.has_value()) << "absent is not 0";

  ASSERT_TRUE(DecodeProto("report/edge2", ReportProto()).ok());
  ASSERT_TRUE(DecodeProto("withdraw/edge2", WithdrawProto()).ok());
  ASSERT_TRUE(DecodeProto("heartbeat/edge2", HeartbeatProto()).ok());

  Result<AgentMessage> paths = DecodeProto("paths/edge2", PathsProto());
  ASSERT_TRUE(paths.ok()) << paths.error().ToString();
  const PathSample& path = std::get<Paths>(paths->body).paths.at(0);
  EXPECT_EQ(path.peer, "edge3");
  EXPECT_FALSE(path.ipv6);
  EXPECT_FALSE(path.rtt.has_value()) << "absent is not 0";
  EXPECT_FALSE(path.loss_forward.has_value());
  EXPECT_EQ(path.loss, 0);
  EXPECT_EQ(path.sent, 50u);
  EXPECT_EQ(path.window, std::chrono::milliseconds(5000));
}

struct Bad {
  std::string what;
  std::function<v1::Envelope()> make;
  std::function<void(v1::Envelope&)> change;
  std::string topic;
  std::vector<std::string> said;  // each must be in the error
};

class DecodeRefuses : public ::testing::TestWithParam<Bad> {};

TEST_P(DecodeRefuses, AndNamesTheFieldValueAndRule) {
  const Bad& bad = GetParam();
  v1::Envelope e = bad.make();
  ASSERT_TRUE(DecodeProto(bad.topic, e).ok()) << "valid before the change";
  bad.change(e);
  Result<AgentMessage> result = DecodeProto(bad.topic, e);
  ASSERT_FALSE(result.ok());
  for (const std::string& part : bad.said) EXPECT_THAT(result.error().ToString(), HasSubstr(part));
}

std::vector<Bad> AllBad() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<Bad> all;
  const auto announce = [&all](std::string what, std::function<void(v1::Announce&)> change,
                               std::vector<std::string> said) {
    said.push_back("agent edge2");
    all.push_back({std::move(what), AnnounceProto,
                   [change](v1::Envelope& e) { change(*e.mutable_announce()); }, "announce/edge2",
                   std::move(said)});
  };
  announce("no_bid", [](v1::Announce& a) { a.clear_bid(); }, {"announce.bid", "IP address"});
  announce("multicast_bid", [](v1::Announce& a) { a.set_bid("224.0.0.1"); },
           {"announce.bid", "'224.0.0.1'", "unicast"});
  announce("broadcast_bid", [](v1::Announce& a) { a.set_bid("255.255.255.255"); }, {"unicast"});
  announce("zero_bid", [](v1::Announce& a) { a.set_bid("0.0.0.0"); }, {"unicast"});
  announce("none_bid", [](v1::Announce& a) { a.set_bid("::"); }, {"unicast"});
  announce("multicast_v6_bid", [](v1::Announce& a) { a.set_bid("ff02::1"); }, {"unicast"});
  announce("bid_with_prefix", [](v1::Announce& a) { a.set_bid("10.2.0.1/24"); }, {"'10.2.0.1/24'"});
  announce("sid_not_an_address", [](v1::Announce& a) { a.set_sid("video"); }, {"announce.sid", "'video'"});
  announce("sid_is_bid", [](v1::Announce& a) { a.set_sid(a.bid()); }, {"announce.sid", "differ"});
  announce("instance_upper_case", [](v1::Announce& a) { a.set_instance("Video"); },
           {"announce.instance", "'Video'", "[a-z0-9]"});
  announce("instance_empty", [](v1::Announce& a) { a.set_instance(""); }, {"announce.instance"});
  announce("service_dash_first", [](v1::Announce& a) { a.set_service("-x"); }, {"announce.service"});
  announce("service_too_long", [](v1::Announce& a) { a.set_service(std::string(64, 'a')); },
           {"announce.service"});
  announce("health_unknown_value", [](v1::Announce& a) { a.set_health(static_cast<v1::Health>(9)); },
           {"announce.health", "'9'"});
  announce("cores_zero", [](v1::Announce& a) { a.mutable_capacity()->set_cpu_cores(0); },
           {"capacity.cpu_cores", "above 0"});
  announce("cores_nan", [nan](v1::Announce& a) { a.mutable_capacity()->set_cpu_cores(nan); },
           {"capacity.cpu_cores"});
  announce("memory_infinite",
           [](v1::Announce& a) {
             a.mutable_capacity()->set_memory_bytes(std::numeric_limits<double>::infinity());
           },
           {"capacity.memory_bytes"});
  announce("gpus_negative", [](v1::Announce& a) { a.mutable_capacity()->set_gpus(-1); }, {"capacity.gpus"});
  announce("sessions_huge", [](v1::Announce& a) { a.mutable_capacity()->set_max_sessions(1e19); },
           {"capacity.max_sessions"});
  announce("rate_negative", [](v1::Announce& a) { a.mutable_capacity()->set_requests_per_s(-3); },
           {"capacity.requests_per_s", "-3"});

  const auto other = [&all](std::string what, std::function<v1::Envelope()> make, std::string topic,
                            std::function<void(v1::Envelope&)> change, std::vector<std::string> said) {
    all.push_back({std::move(what), std::move(make), std::move(change), std::move(topic), std::move(said)});
  };
  other("report_instance", ReportProto, "report/edge2",
        [](v1::Envelope& e) { e.mutable_report()->set_instance("a b"); }, {"report.instance", "'a b'"});
  other("too_many_metrics", ReportProto, "report/edge2",
        [](v1::Envelope& e) {
          for (size_t i = 0; i < kMaxMetrics; ++i) e.mutable_report()->add_metrics()->set_name("a");
        },
        {"report.metrics", "257", "256"});
  other("too_many_paths", PathsProto, "paths/edge2",
        [](v1::Envelope& e) {
          for (size_t i = 0; i < kMaxPaths; ++i) e.mutable_paths()->add_paths()->set_peer("a");
        },
        {"paths.paths", "257", "256"});
  other("paths_under_another_topic", PathsProto, "paths/edge2",
        [](v1::Envelope& e) { e.mutable_report()->set_instance("a"); }, {"'report/edge2'"});
  other("withdraw_instance", WithdrawProto, "withdraw/edge2",
        [](v1::Envelope& e) { e.mutable_withdraw()->clear_instance(); }, {"withdraw.instance"});
  other("withdraw_reason", WithdrawProto, "withdraw/edge2",
        [](v1::Envelope& e) { e.mutable_withdraw()->set_reason(std::string(129, 'x')); },
        {"withdraw.reason", "129 bytes"});
  other("heartbeat_short", HeartbeatProto, "heartbeat/edge2",
        [](v1::Envelope& e) { e.mutable_heartbeat()->set_interval_ms(9); }, {"heartbeat.interval_ms", "'9'"});
  other("heartbeat_long", HeartbeatProto, "heartbeat/edge2",
        [](v1::Envelope& e) { e.mutable_heartbeat()->set_interval_ms(3600001); }, {"3600000"});
  other("no_epoch", HeartbeatProto, "heartbeat/edge2", [](v1::Envelope& e) { e.clear_boot_epoch(); },
        {"boot_epoch"});
  other("no_time", HeartbeatProto, "heartbeat/edge2", [](v1::Envelope& e) { e.clear_sent_at_us(); },
        {"sent_at_us"});
  other("time_beyond_9999", HeartbeatProto, "heartbeat/edge2",
        [](v1::Envelope& e) { e.set_sent_at_us(std::numeric_limits<int64_t>::max()); }, {"sent_at_us"});
  other("no_body", HeartbeatProto, "heartbeat/edge2", [](v1::Envelope& e) { e.clear_heartbeat(); }, {"body"});
  other("agent_name", HeartbeatProto, "heartbeat/edge2",
        [](v1::Envelope& e) { e.set_agent("edge2\nforged"); },
        {"topic 'heartbeat/edge2'", "'agent'", "edge2?forged"});
  other("topic_of_another_agent", HeartbeatProto, "heartbeat/edge2",
        [](v1::Envelope& e) { e.set_agent("edge3"); },
        {"agent edge3", "'heartbeat/edge2'", "'heartbeat/edge3'"});
  other("topic_of_another_kind", HeartbeatProto, "heartbeat/edge2",
        [](v1::Envelope& e) { e.mutable_withdraw()->set_instance("a"); }, {"'withdraw/edge2'"});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, DecodeRefuses, ::testing::ValuesIn(AllBad()),
                         [](const auto& bad) { return bad.param.what; });

TEST(Decode, LeavesOutAndCountsMetricsThatBreakARule) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  v1::Envelope e = ReportProto();
  v1::Report& r = *e.mutable_report();
  const auto add = [&r](const std::string& name, double value, const std::string& unit) -> v1::Metric& {
    v1::Metric& m = *r.add_metrics();
    m.set_name(name);
    m.set_value(value);
    m.set_unit(unit);
    return m;
  };
  add("load1", nan, "1");
  add("sessions", -1, "1");
  add("memory_utilization", 65, "ratio");
  add("cpu_pressure", 50, "%");          // not the metric's unit
  add("cpu_utilization", 0.1, "ratio");  // said twice
  add("Bad-Name", 1, "1");
  add("own", 1, "a unit");
  add("own", 1, "").set_level(static_cast<v1::Level>(7));
  add("own", 1, "").set_source(static_cast<v1::Source>(77));
  add("own", 1, "").set_statistic(static_cast<v1::Statistic>(77));
  add("own", 1, "").set_window_ms(86400001);
  r.add_metrics()->set_name("no_value");
  add("own", 3, "");           // fine, dimensionless
  add("utilization", 2, "1");  // fine: a ratio is dimensionless
  add("latency", 0, "");       // fine: 0 is a value
  Result<AgentMessage> m = DecodeProto("report/edge2", e);
  ASSERT_TRUE(m.ok()) << m.error().ToString();
  const auto& report = std::get<Report>(m->body);
  EXPECT_EQ(report.refused_metrics, 12u);
  ASSERT_EQ(report.metrics.size(), 4u);
  EXPECT_EQ(report.metrics[0], (MetricSample{.name = "cpu_utilization", .value = 0.5, .unit = "ratio"}));
  EXPECT_EQ(report.metrics[1], (MetricSample{.name = "own", .value = 3, .unit = "1"}));
  EXPECT_EQ(report.metrics[2], (MetricSample{.name = "utilization", .value = 2, .unit = "ratio"}));
  EXPECT_EQ(report.metrics[3], (MetricSample{.name = "latency", .value = 0, .unit = "seconds"}));
}

TEST(Decode, LeavesOutAndCountsPathsThatBreakARule) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  v1::Envelope e = PathsProto();
  uint32_t bad = 0;
  const auto add = [&](const std::string& peer, const std::function<void(v1::Path&)>& change) {
    v1::Path& p = *e.mutable_paths()->add_paths();
    p = PathsProto().paths().paths(0);
    p.set_peer(peer);
    change(p);
    ++bad;
  };
  add("Edge4", [](v1::Path&) {});
  add("", [](v1::Path&) {});
  add("edge3", [](v1::Path& p) { p.set_sent(60); });  // said twice
  add("edge4", [](v1::Path& p) { p.clear_loss(); });
  add("edge4", [](v1::Path& p) { p.clear_sent(); });
  add("edge4", [](v1::Path& p) { p.clear_window_ms(); });
  add("edge4", [](v1::Path& p) { p.set_window_ms(86400001); });
  for (const double part : {nan, -0.1, 1.1, std::numeric_limits<double>::infinity()}) {
    add("edge4", [part](v1::Path& p) { p.set_loss(part); });
    add("edge4", [part](v1::Path& p) { p.set_loss_forward(part); });
    add("edge4", [part](v1::Path& p) { p.set_loss_backward(part); });
  }
  for (const uint64_t us : {uint64_t{600000001}, UINT64_MAX}) {
    add("edge4", [us](v1::Path& p) { p.set_rtt_us(us); });
    add("edge4", [us](v1::Path& p) { p.set_jitter_forward_us(us); });
    add("edge4", [us](v1::Path& p) { p.set_jitter_backward_us(us); });
  }
  add("edge4", [](v1::Path& p) { p.set_rtt_min_us(1); });  // of no mean
  add("edge4", [](v1::Path& p) {
    p.set_rtt_us(1);
    p.set_rtt_min_us(2);
  });
  add("edge3", [](v1::Path& p) { p.set_ipv6(true); });  // fine: the other family
  add("edge4", [](v1::Path& p) {                        // fine: at all bounds
    p.set_rtt_us(600000000);
    p.set_rtt_min_us(600000000);
    p.set_jitter_forward_us(0);
    p.set_jitter_backward_us(600000000);
    p.set_loss(1);
    p.set_loss_forward(1);
    p.set_loss_backward(0);
    p.set_sent(UINT32_MAX);
    p.set_window_ms(86400000);
  });
  Result<AgentMessage> m = DecodeProto("paths/edge2", e);
  ASSERT_TRUE(m.ok()) << m.error().ToString();
  const auto& paths = std::get<Paths>(m->body);
  EXPECT_EQ(paths.refused_paths, bad - 2);
  ASSERT_EQ(paths.paths.size(), 3u);
  EXPECT_EQ(paths.paths[0].sent, 50u) << "the first of the two";
  EXPECT_TRUE(paths.paths[1].ipv6);
  EXPECT_EQ(paths.paths[2].peer, "edge4");
  EXPECT_EQ(paths.paths[2].rtt, Micros(600000000));
}

TEST(Decode, NoPathsIsAMessageToo) {
  v1::Envelope e = Base();
  e.mutable_paths();
  Result<AgentMessage> m = DecodeProto("paths/edge2", e);
  ASSERT_TRUE(m.ok()) << m.error().ToString();
  EXPECT_TRUE(std::get<Paths>(m->body).paths.empty());
}

TEST(Decode, TakesTheMostPaths) {
  AgentMessage m{.agent = std::string(63, 'a'),
                 .boot_epoch = 1,
                 .sequence = 0,
                 .sent_at = FromUnixMicros(1),
                 .body = {}};
  Paths paths;
  for (size_t i = 0; i < kMaxPaths; ++i) {
    PathSample path;
    path.peer = std::to_string(i);
    path.peer.resize(63, 'x');
    path.rtt = path.rtt_min = path.jitter_forward = path.jitter_backward = Micros(600000000);
    path.loss_forward = path.loss_backward = path.loss = 1.0 / 3;
    path.sent = UINT32_MAX;
    path.window = std::chrono::milliseconds(86400000);
    paths.paths.push_back(path);
  }
  m.body = paths;
  Result<AgentMessage> again = Decode(Topic(m), Encode(m));
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ(*again, m);
}

TEST(Decode, TakesScoresWithinTheirRange) {
  v1::Envelope e = ReportProto();
  v1::Report& r = *e.mutable_report();
  r.clear_metrics();
  const auto add = [&r](const std::string& name, v1::Level level, double value, const std::string& unit) {
    v1::Metric& m = *r.add_metrics();
    m.set_name(name);
    m.set_level(level);
    m.set_value(value);
    m.set_unit(unit);
    m.set_source(v1::SOURCE_NORMALIZED);
  };
  add("computing_comb", v1::LEVEL_1, 10, "");
  add("norm_fi", v1::LEVEL_2, 0, "1");
  add("service_comb", v1::LEVEL_1, 10.01, "1");
  add("communication_comb", v1::LEVEL_1, -1, "1");
  add("composed_comb", v1::LEVEL_1, 5, "ratio");
  add("cpu_utilization", v1::LEVEL_1, 5, "");  // no category's name: shown, of no meaning
  Result<AgentMessage> m = DecodeProto("report/edge2", e);
  ASSERT_TRUE(m.ok()) << m.error().ToString();
  const auto& report = std::get<Report>(m->body);
  EXPECT_EQ(report.refused_metrics, 3u);
  ASSERT_EQ(report.metrics.size(), 3u);
  EXPECT_EQ(report.metrics[0], (MetricSample{.name = "computing_comb",
                                             .value = 10,
                                             .unit = "1",
                                             .level = MetricLevel::kL1,
                                             .source = MetricSource::kNormalized}));
  EXPECT_EQ(report.metrics[1].level, MetricLevel::kL2);
  EXPECT_EQ(report.metrics[2].unit, "1");
}

TEST(Decode, RefusesBytesThatAreNoEnvelope) {
  const std::string good = HeartbeatProto().SerializeAsString();
  ASSERT_TRUE(Decode("heartbeat/edge2", good).ok());
  EXPECT_EQ(Decode("heartbeat/edge2", good.substr(0, good.size() - 1)).error().code, Errc::kParse);
  EXPECT_EQ(Decode("heartbeat/edge2", "\xff\xff\xff").error().code, Errc::kParse);
  EXPECT_FALSE(Decode("heartbeat/edge2", "").ok());
  EXPECT_FALSE(Decode("", good).ok());
  EXPECT_EQ(Decode("heartbeat/edge2", std::string(kMaxMessageBytes + 1, 'x')).error().code, Errc::kLimit);
  EXPECT_EQ(Decode(std::string(81, 'x'), good).error().code, Errc::kLimit);
}

TEST(Decode, TakesTheLargestReport) {
  AgentMessage m{.agent = std::string(63, 'a'),
                 .boot_epoch = 1,
                 .sequence = 0,
                 .sent_at = FromUnixMicros(1),
                 .body = {}};
  Report report;
  report.instance = std::string(63, 'b');
  for (size_t i = 0; i < kMaxMetrics; ++i) {
    std::string name = "m" + std::to_string(i);
    name.resize(63, 'x');
    report.metrics.push_back(MetricSample{.name = name, .value = 1.0 / 3, .unit = "aaaaaaaaaaaaaaaa"});
  }
  m.body = report;
  Result<AgentMessage> again = Decode(Topic(m), Encode(m));
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_EQ(*again, m);
}

TEST(Decode, CutsWhatItShows) {
  v1::Envelope e = AnnounceProto();
  e.mutable_announce()->set_bid(std::string(5000, 'x'));
  EXPECT_LT(DecodeProto("announce/edge2", e).error().ToString().size(), 200u);
}

TEST(Topic, NamesKindAndAgent) {
  AgentMessage m;
  m.agent = "edge2";
  EXPECT_EQ(Topic(m), "announce/edge2");
  m.body = Report{};
  EXPECT_EQ(Topic(m), "report/edge2");
  m.body = Withdraw{};
  EXPECT_EQ(Topic(m), "withdraw/edge2");
  m.body = Heartbeat{};
  EXPECT_EQ(Topic(m), "heartbeat/edge2");
  m.body = Paths{};
  EXPECT_EQ(Topic(m), "paths/edge2");
}

}  // namespace
}  // namespace dyncast::wire
