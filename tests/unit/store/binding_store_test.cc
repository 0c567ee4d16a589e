// What is posted stands in the tables and views, merged or not, and after a restart.
#include <gtest/gtest.h>

#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using store_test::At;
using store_test::Ended;
using store_test::Key;
using store_test::MustFlush;
using store_test::MustOpen;
using store_test::PostNames;
using store_test::Shell;
using store_test::Started;
using store_test::TempDir;

void ExpectAccounted(const BindingStore& store) {
  const StoreCounters c = store.Counters();
  EXPECT_EQ(c.posted, c.written + c.merged + c.dropped + c.pending);
}

TEST(BindingStore, BindingStandsInTheLiveView) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  PostNames(store.get());
  store->Post(Started(Key(5), 1, 100.5));
  MustFlush(store.get());
  Shell shell(path);
  EXPECT_EQ(
      shell.One("SELECT switch, service, sid, client, src_port, dst_port, proto, bid, instance, decided_by, "
                "created_at, last_seen_at, idle_timeout_s, packets, bytes FROM bindings"),
      "router-1|web|198.51.100.1|10.0.0.5|1029|80|tcp|10.1.0.1|web-1|controller|100.5|100.5|60|0|0");
  EXPECT_EQ(
      shell.One(
          "SELECT at, instance, reason, policy, cost, candidate_count, scores, context, live FROM decisions"),
      "100.5|web-1|new|least-bindings|0.5|3|"
      "[{\"instance\":\"web-1\",\"cost\":0.5,\"bindings\":12},"
      "{\"instance\":\"web-9\",\"cost\":1.25,\"bindings\":40}]|7|1");
  EXPECT_EQ(shell.One("SELECT json_extract(candidates, '$[0].instance'), json_extract(candidates, "
                      "'$[0].metrics[0].value'), json_extract(candidates, '$[1].excluded') FROM decisions"),
            "web-1|0.25|draining");
  EXPECT_EQ(shell.One("SELECT count(*) FROM binding_history"), "0");
  ExpectAccounted(*store);
  EXPECT_EQ(store->Counters().pending, 0u);
}

TEST(BindingStore, FieldsThatTheAffinityLeavesOutAreNull) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  BindingKey key;
  key.client = *IpAddress::Parse("2001:db8::5");
  key.service = ServiceId(1);
  key.at = SwitchId(1);
  BindingStarted found = Started(key, 1, 3);
  found.decision = Decision{};
  found.reason = StartReason::kFound;
  found.decided_by = DecidedBy::kSwitch;
  store->Post(found);
  MustFlush(store.get());
  Shell shell(path);
  // No names were posted: the row is there all the same.
  EXPECT_EQ(
      shell.One(
          "SELECT switch, service, client, src_port, dst_port, proto, instance, decided_by FROM bindings"),
      "NULL|NULL|2001:db8::5|NULL|NULL|NULL|NULL|switch");
  EXPECT_EQ(shell.One("SELECT reason, policy, cost, scores, context, candidates FROM decisions"),
            "found|NULL|NULL|NULL|NULL|NULL");
}

TEST(BindingStore, EveryEnumeratorHasItsNameInTheViews) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  std::vector<std::string> reasons, deciders, starts, states;
  for (uint8_t i = 0; i <= 6; ++i) {
    BindingStarted b = Started(Key(i), 1, i);
    b.decided_by = static_cast<DecidedBy>(i % 3);
    b.reason = static_cast<StartReason>(i % 3);
    store->Post(b);
    store->Post(Ended(Key(i), 100 + i, static_cast<EndReason>(i)));
    reasons.emplace_back(EndReasonName(static_cast<EndReason>(i)));
    deciders.emplace_back(DecidedByName(static_cast<DecidedBy>(i % 3)));
    starts.emplace_back(StartReasonName(static_cast<StartReason>(i % 3)));
  }
  for (uint8_t i = 0; i <= 2; ++i) {
    InstanceRecord r;
    r.id = InstanceId(static_cast<uint16_t>(i + 1));
    r.state = static_cast<InstanceState>(i);
    store->Post(r);
    states.emplace_back(InstanceStateName(r.state));
  }
  MustFlush(store.get());
  Shell shell(path);
  EXPECT_EQ(shell.Rows("SELECT reason FROM binding_history ORDER BY ended_at"), reasons);
  EXPECT_EQ(shell.Rows("SELECT decided_by FROM binding_history ORDER BY ended_at"), deciders);
  EXPECT_EQ(shell.Rows("SELECT reason FROM decisions ORDER BY at"), starts);
  EXPECT_EQ(shell.Rows("SELECT state FROM instances ORDER BY id"), states);
  for (IpProto proto : {IpProto::kIcmp, IpProto::kTcp, IpProto::kUdp, IpProto::kSctp}) {
    BindingKey key = Key(77);
    key.proto = proto;
    store->Post(Started(key, 1, 5));
    MustFlush(store.get());
    EXPECT_EQ(shell.One("SELECT proto FROM bindings WHERE client = '10.0.0.77'"), IpProtoName(proto));
    store->Post(Ended(key, 6));
  }
}

TEST(BindingStore, StartedAndEndedBeforeAFlushIsOnlyHistory) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  std::vector<Record> records;
  records.push_back(Started(Key(1), 2, 10));
  records.push_back(BindingTouched{.key = Key(1), .last_seen = At(12), .packets = 3, .bytes = 300});
  records.push_back(Ended(Key(1), 20, EndReason::kInstanceGone));
  store->PostMany(std::move(records));
  MustFlush(store.get());
  Shell shell(path);
  EXPECT_EQ(shell.One("SELECT count(*) FROM binding"), "0");
  EXPECT_EQ(
      shell.Rows("SELECT instance_id, last_seen_at_us, packets, bytes, ended_at_us, end_reason FROM history"),
      std::vector<std::string>{"2|12000000|3|300|20000000|1"});
  const StoreCounters c = store->Counters();
  EXPECT_EQ(c.written, 1u);
  EXPECT_EQ(c.merged, 2u);
  ExpectAccounted(*store);
}

TEST(BindingStore, TouchAndEndOfAStoredRow) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  store->Post(Started(Key(1), 2, 10));
  MustFlush(store.get());
  store->Post(BindingTouched{.key = Key(1), .last_seen = At(11), .packets = 1, .bytes = 100});
  store->Post(BindingTouched{.key = Key(1), .last_seen = At(12), .packets = 2, .bytes = 200});
  store->Post(BindingTouched{.key = Key(99), .last_seen = At(12), .packets = 2, .bytes = 200});  // unknown
  MustFlush(store.get());
  Shell shell(path);
  EXPECT_EQ(shell.Rows("SELECT last_seen_at, packets, bytes FROM bindings"),
            std::vector<std::string>{"12.0|2|200"});
  BindingEnded ended = Ended(Key(1), 20);
  ended.packets = 5;
  store->Post(ended);
  store->Post(Ended(Key(99), 20));
  MustFlush(store.get());
  EXPECT_EQ(shell.One("SELECT count(*) FROM bindings"), "0");
  EXPECT_EQ(shell.Rows("SELECT packets, bytes, last_seen_at, ended_at, reason FROM binding_history"),
            std::vector<std::string>{"5|200|12.0|20.0|idle"});
  ExpectAccounted(*store);
}

TEST(BindingStore, AStartForALiveKeyEndsTheOldOneAsReplaced) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  store->Post(Started(Key(1), 1, 10));
  MustFlush(store.get());
  store->Post(Started(Key(1), 2, 20));  // replaces a stored row
  store->Post(Started(Key(1), 9, 30));  // replaces a waiting row
  MustFlush(store.get());
  Shell shell(path);
  EXPECT_EQ(shell.Rows("SELECT instance_id FROM binding"), std::vector<std::string>{"9"});
  EXPECT_EQ(
      shell.Rows("SELECT instance_id, ended_at_us / 1000000, reason FROM history JOIN binding_history USING "
                 "(id) ORDER BY ended_at_us"),
      (std::vector<std::string>{"1|20|replaced", "2|30|replaced"}));
  // An explicit end that came first is not overwritten by the start that follows.
  store->Post(Ended(Key(1), 40, EndReason::kInstanceGone));
  store->Post(Started(Key(1), 1, 41));
  MustFlush(store.get());
  EXPECT_EQ(shell.One("SELECT reason FROM binding_history ORDER BY ended_at DESC"), "instance-gone");
  EXPECT_EQ(shell.Rows("SELECT instance_id FROM binding"), std::vector<std::string>{"1"});
}

TEST(BindingStore, RestartFindsEverything) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  {
    auto store = MustOpen(path);
    EXPECT_TRUE(store->Load()->bindings.empty());
    PostNames(store.get());
    for (uint32_t i = 0; i < 1000; ++i) store->Post(Started(Key(i), 1, 10));
    store->Post(Ended(Key(999), 11));
    // Not flushed: stopping writes what waits.
  }
  auto store = MustOpen(path);
  Result<PersistedState> state = store->Load();
  ASSERT_TRUE(state.ok()) << state.error().ToString();
  ASSERT_EQ(state->bindings.size(), 999u);
  ASSERT_EQ(state->instances.size(), 3u);
  EXPECT_EQ(state->instances[0].name, "web-1");
  EXPECT_EQ(state->instances[0].bid, IpAddress::V4(0x0a010001));
  EXPECT_EQ(state->instances[0].capacity.cpu_cores, 4.0);
  EXPECT_FALSE(state->instances[0].capacity.gpus.has_value());
  EXPECT_EQ(state->services[0].sid_v4, IpAddress::V4(0xc6336401));
  EXPECT_FALSE(state->services[0].sid_v6.has_value());
  EXPECT_EQ(state->switches[0].name, "router-1");
  for (const PersistedBinding& b : state->bindings) {
    EXPECT_EQ(b.key, Key(b.key.client.v4() - 0x0a000000u));
    EXPECT_EQ(b.instance, InstanceId(1));
  }
  // The new store knows the old one's keys: an end reaches the row.
  store->Post(Ended(Key(3), 50));
  MustFlush(store.get());
  EXPECT_EQ(store->Load()->bindings.size(), 998u);
}

TEST(BindingStore, EventsAndMetrics) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  PostNames(store.get());
  // Text that is no UTF-8 is shown, not refused.
  store->Post(EventRecord{
      .at = At(5), .kind = "instance-up", .subject = "web-1", .detail = "x'); DROP TABLE event;--"});
  store->Post(EventRecord{.at = At(6), .kind = "instance-down", .subject = "web-1", .detail = ""});
  MetricsRecord metrics;
  metrics.instance = InstanceId(1);
  metrics.at = At(7);
  metrics.metrics.push_back(MetricSample{.name = "bad\xff", .value = 1, .unit = "1"});
  store->Post(metrics);
  metrics.metrics = {
      MetricSample{.name = "sessions", .value = 12, .unit = "1", .window = std::chrono::seconds(1)}};
  store->Post(metrics);
  MustFlush(store.get());
  Shell shell(path);
  EXPECT_EQ(shell.Rows("SELECT id, at, kind, subject FROM events"),
            (std::vector<std::string>{"1|5.0|instance-up|web-1", "2|6.0|instance-down|web-1"}));
  EXPECT_EQ(
      shell.Rows("SELECT instance, name, value, unit, level, source, statistic, window_ms, at FROM metrics"),
      std::vector<std::string>{"web-1|sessions|12.0|1|L0|measured|instant|1000|7.0"});
}

TEST(BindingStore, OldHistoryGoesAndWhatLiveBindingsNeedStays) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  StoreOptions options;
  options.path = path;
  options.history_retention = std::chrono::hours(1);
  auto store = MustOpen(options);
  const double now = static_cast<double>(UnixMicros(ReadClocks().wall)) / 1e6;
  for (uint64_t context : {7u, 8u}) {
    DecisionContextRecord record;
    record.context = context;
    record.at = At(now - 7200);
    store->Post(record);
  }
  store->Post(Started(Key(1), 1, now - 7200));  // lives, from context 7
  for (uint32_t i = 10; i < 5010; ++i) {
    store->Post(Started(Key(i), 1, now - 7200));
    store->Post(Ended(Key(i), i < 5000 ? now - 7000 : now));
  }
  store->Post(EventRecord{.at = At(now - 7000), .kind = "old", .subject = "", .detail = ""});
  store->Post(EventRecord{.at = At(now), .kind = "new", .subject = "", .detail = ""});
  MustFlush(store.get());
  Shell shell(path);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (shell.One("SELECT count(*) FROM history") != "10" && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(shell.One("SELECT count(*) FROM history"), "10");
  EXPECT_EQ(shell.Rows("SELECT kind FROM events"), std::vector<std::string>{"new"});
  while (shell.One("SELECT count(*) FROM decision_context") != "1" &&
         std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(shell.Rows("SELECT id FROM decision_context"), std::vector<std::string>{"7"});
  EXPECT_EQ(shell.One("SELECT count(*) FROM bindings"), "1");
}

}  // namespace
}  // namespace dyncast
