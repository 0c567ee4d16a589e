// How fast bindings come into SQLite, beside the limit on the same machine in the same run: a bare loop
// that upserts the same rows into the same table with the same pragmas and as many rows a transaction,
// its text made beforehand. Rounds alternate; the table shows medians.
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controller/io/binding_store.h"
#include "controller/io/store_json.h"
#include "controller/io/store_migrate.h"
#include "controller/io/store_sqlite.h"
#include "schema/base/log.h"
#include "tests/bench/common/rows.h"

namespace dyncast::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kRowsPerTransaction = 8192;  // as the store's own pieces
constexpr size_t kCandidates = 4;
constexpr int64_t kStart = 1'700'000'000'000'000;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "bench_store: %s\n", why.c_str());
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) Die(result.error().ToString());
  return std::move(result.value());
}

double Seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

// Client, ports and instance of the n-th demand: scattered over the address space, as a table sees it.
BindingStarted MakeBinding(uint64_t n) {
  uint64_t x = (n + 1) * 0x9E3779B97F4A7C15ull;
  x ^= x >> 31;
  x *= 0xBF58476D1CE4E5B9ull;
  BindingStarted b;
  b.key.client = IpAddress::V4(0x0a000000u | static_cast<uint32_t>(x & 0xffffff));
  b.key.src_port = static_cast<uint16_t>(1024 + ((x >> 24) % 60000));
  b.key.dst_port = 80;
  b.key.service = ServiceId(1);
  b.key.at = SwitchId(static_cast<uint16_t>(1 + (n & 1)));
  b.key.proto = IpProto::kTcp;
  b.sid = IpAddress::V4(0xc6336401);
  b.instance = InstanceId(static_cast<uint16_t>(1 + n % kCandidates));
  b.at = FromUnixMicros(kStart + static_cast<int64_t>(n) * 10);
  b.idle_timeout = std::chrono::seconds(60);
  b.decision.context = static_cast<uint64_t>(kStart);
  b.decision.kept = b.decision.candidates = kCandidates;
  for (size_t i = 0; i < kCandidates; ++i) {
    b.decision.scores[i] = {.instance = InstanceId(static_cast<uint16_t>(1 + (n + i) % kCandidates)),
                            .cost = 0.25f + 0.125f * static_cast<float>((n + i * 7) % 64),
                            .bindings = static_cast<uint32_t>(n / kCandidates)};
  }
  return b;
}

void RemoveDatabase(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path + suffix).c_str());
}

uint64_t FileBytes(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

double BareUpserts(const std::string& path, size_t count) {
  RemoveDatabase(path);
  store::Database db = Must(store::OpenForWriting(path));
  store::Statement begin = Must(store::Statement::Prepare(db, "BEGIN IMMEDIATE"));
  store::Statement commit = Must(store::Statement::Prepare(db, "COMMIT"));
  store::Statement upsert = Must(store::Statement::Prepare(
      db,
      "INSERT INTO binding (client, service_id, switch_id, src_port, dst_port, proto, instance_id, sid, "
      "decided_by, start_reason, created_at_us, last_seen_at_us, idle_timeout_s, packets, bytes, context, "
      "candidate_count, scores) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET instance_id = excluded.instance_id, sid = excluded.sid, "
      "decided_by = excluded.decided_by, start_reason = excluded.start_reason, "
      "created_at_us = excluded.created_at_us, last_seen_at_us = excluded.last_seen_at_us, "
      "idle_timeout_s = excluded.idle_timeout_s, packets = excluded.packets, bytes = excluded.bytes, "
      "context = excluded.context, candidate_count = excluded.candidate_count, scores = excluded.scores"));
  struct Texts {
    std::string client, scores;
  };
  std::vector<BindingStarted> rows;
  std::vector<Texts> texts(count);
  rows.reserve(count);
  for (size_t n = 0; n < count; ++n) {
    rows.push_back(MakeBinding(n));
    store::AddressText(rows[n].key.client, &texts[n].client);
    store::ScoresJson(rows[n].decision, &texts[n].scores);
  }
  const std::string sid = rows[0].sid.ToString();

  const Clock::time_point from = Clock::now();
  for (size_t n = 0; n < count; ++n) {
    if (n % kRowsPerTransaction == 0 && !begin.Run()) Die("BEGIN");
    const BindingStarted& b = rows[n];
    upsert.BindText(1, texts[n].client);
    upsert.Bind(2, b.key.service.value());
    upsert.Bind(3, b.key.at.value());
    upsert.Bind(4, b.key.src_port);
    upsert.Bind(5, b.key.dst_port);
    upsert.Bind(6, static_cast<int64_t>(b.key.proto));
    upsert.Bind(7, b.instance.value());
    upsert.BindText(8, sid);
    upsert.Bind(9, static_cast<int64_t>(b.decided_by));
    upsert.Bind(10, static_cast<int64_t>(b.reason));
    upsert.Bind(11, UnixMicros(b.at));
    upsert.Bind(12, UnixMicros(b.at));
    upsert.Bind(13, b.idle_timeout.count());
    upsert.Bind(14, 0);
    upsert.Bind(15, 0);
    upsert.Bind(16, static_cast<int64_t>(b.decision.context));
    upsert.Bind(17, b.decision.candidates);
    upsert.BindText(18, texts[n].scores);
    if (!upsert.Run()) Die(db.LastError("upsert").ToString());
    if ((n % kRowsPerTransaction == kRowsPerTransaction - 1 || n + 1 == count) && !commit.Run())
      Die("COMMIT");
  }
  if (Status synced = db.SyncLog(); !synced.ok()) Die(synced.error().ToString());
  return static_cast<double>(count) / Seconds(from);
}

void Names(BindingStore* store) {
  for (uint16_t i = 1; i <= kCandidates; ++i) {
    if (i <= 2) store->Post(SwitchRecord{.id = SwitchId(i), .name = "router-" + std::to_string(i)});
    InstanceRecord instance;
    instance.id = InstanceId(i);
    instance.name = "web-" + std::to_string(i);
    instance.service = ServiceId(1);
    instance.bid = IpAddress::V4(0x0a010000u + i);
    store->Post(instance);
  }
  ServiceRecord service;
  service.id = ServiceId(1);
  service.name = "web";
  service.sid_v4 = IpAddress::V4(0xc6336401);
  store->Post(service);
}

struct StoreRun {
  double rate = 0;     // bindings per second until all is on disk
  double post_ns = 0;  // mean of one Post
  double bytes_per_row = 0;
};

std::unique_ptr<BindingStore> OpenStore(const std::string& path) {
  RemoveDatabase(path);
  StoreOptions options;
  options.path = path;
  std::unique_ptr<BindingStore> store = Must(BindingStore::Open(options));
  Names(store.get());
  Must(store->Flush(std::chrono::seconds(10)));
  return store;
}

StoreRun ThroughStore(const std::string& path, size_t count) {
  std::unique_ptr<BindingStore> store = OpenStore(path);
  std::vector<BindingStarted> rows;
  rows.reserve(count);
  for (size_t n = 0; n < count; ++n) rows.push_back(MakeBinding(n));

  StoreRun run;
  const Clock::time_point from = Clock::now();
  for (const BindingStarted& row : rows) store->Post(row);
  run.post_ns = Seconds(from) * 1e9 / static_cast<double>(count);
  Must(store->Flush(std::chrono::seconds(120)));
  run.rate = static_cast<double>(count) / Seconds(from);
  const StoreCounters counters = store->Counters();
  if (counters.dropped != 0 || counters.failures != 0) Die("records lost: " + counters.last_error);
  store.reset();  // checkpoints
  run.bytes_per_row = static_cast<double>(FileBytes(path)) / static_cast<double>(count);
  return run;
}

// What posting costs the control thread while the writer keeps up: bursts, each on disk before the next.
double PostNanoseconds(const std::string& path, size_t bursts) {
  constexpr size_t kBurst = 2000;
  std::unique_ptr<BindingStore> store = OpenStore(path);
  std::vector<BindingStarted> rows;
  double seconds = 0;
  for (size_t i = 0; i < bursts; ++i) {
    rows.clear();
    for (size_t n = 0; n < kBurst; ++n) rows.push_back(MakeBinding(i * kBurst + n));
    const Clock::time_point from = Clock::now();
    for (const BindingStarted& row : rows) store->Post(row);
    seconds += Seconds(from);
    Must(store->Flush(std::chrono::seconds(60)));
  }
  return seconds * 1e9 / static_cast<double>(bursts * kBurst);
}

// Bindings that start and end: what a steady table costs, rows moving to history.
double Turnover(const std::string& path, size_t count) {
  std::unique_ptr<BindingStore> store = OpenStore(path);
  for (size_t n = 0; n < count; ++n) store->Post(MakeBinding(n));
  Must(store->Flush(std::chrono::seconds(120)));
  const Clock::time_point from = Clock::now();
  for (size_t n = 0; n < count; ++n) {
    const BindingStarted old = MakeBinding(n);
    store->Post(
        BindingEnded{.key = old.key, .reason = EndReason::kIdle, .at = old.at, .packets = 10, .bytes = 1000});
  }
  Must(store->Flush(std::chrono::seconds(120)));
  return static_cast<double>(count) / Seconds(from);
}

struct Latency {
  double p50_us = 0;
  double p99_us = 0;
};

// Point reads by another connection while the store writes as fast as it can.
Latency ReadsWhileWriting(const std::string& path, size_t count) {
  std::unique_ptr<BindingStore> store = OpenStore(path);
  for (size_t n = 0; n < count; ++n) store->Post(MakeBinding(n));
  Must(store->Flush(std::chrono::seconds(120)));
  store::Database db = Must(store::OpenForReading(path));
  store::Statement read = Must(store::Statement::Prepare(
      db,
      "SELECT instance_id FROM binding WHERE client = ? AND service_id = ? AND switch_id = ? AND "
      "src_port = ? AND dst_port = ? AND proto = ?"));
  std::atomic<bool> stop{false};
  std::thread writing([&] {
    for (size_t n = count; !stop.load(); ++n) {
      store->Post(MakeBinding(n));
      if (n % 65536 == 0) (void)store->Flush(std::chrono::seconds(120));
    }
  });
  std::vector<double> took;
  std::string client;
  const Clock::time_point from = Clock::now();
  for (uint64_t n = 0; Seconds(from) < 2.0; n += 7919) {
    const BindingKey key = MakeBinding(n % count).key;
    store::AddressText(key.client, &client);
    const Clock::time_point start = Clock::now();
    read.BindText(1, client);
    read.Bind(2, key.service.value());
    read.Bind(3, key.at.value());
    read.Bind(4, key.src_port);
    read.Bind(5, key.dst_port);
    read.Bind(6, static_cast<int64_t>(key.proto));
    const int code = read.Step();
    read.Reset();
    took.push_back(Seconds(start) * 1e6);
    if (code != SQLITE_ROW) Die("a row that was flushed is not there");
  }
  stop = true;
  writing.join();
  std::sort(took.begin(), took.end());
  return {.p50_us = took[took.size() / 2], .p99_us = took[took.size() * 99 / 100]};
}

int Main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  Must(log::SetLevels("warn"));
  const size_t count = options.quick ? 100'000 : 300'000;
  const int rounds = options.quick ? 3 : 5;
  std::string dir = (std::filesystem::temp_directory_path() / "dyncast-bench-XXXXXX").string();
  if (mkdtemp(dir.data()) == nullptr) Die("cannot make a folder in " + dir);
  const std::string path = dir + "/bench.db";

  std::vector<double> bare, ours, post, ratio, bytes;
  for (int i = 0; i < rounds; ++i) {
    bare.push_back(BareUpserts(path, count));
    const StoreRun run = ThroughStore(path, count);
    ours.push_back(run.rate);
    post.push_back(run.post_ns);
    bytes.push_back(run.bytes_per_row);
    ratio.push_back(run.rate / bare.back());
  }
  const double paced_post = PostNanoseconds(path, 25);
  const double ended = Turnover(path, count);
  const Latency latency = ReadsWhileWriting(path, count);
  std::filesystem::remove_all(dir);

  const std::string name = "new-bindings";
  const std::vector<Row> rows = {
      {"store", name, "sqlite", "bindings written", Median(bare), "1/s", rounds, "", 0},
      {"store", name, "dyncast", "bindings written", Median(ours), "1/s", rounds, "sqlite", Median(ratio)},
      {"store", name, "dyncast", "one post, writer behind", Median(post), "ns", rounds, "", 0},
      {"store", name, "dyncast", "one post, writer keeps up", paced_post, "ns", 25, "", 0},
      {"store", name, "dyncast", "database per binding", Median(bytes), "bytes", rounds, "", 0},
      {"store", "ended-bindings", "dyncast", "bindings moved to history", ended, "1/s", 1, "", 0},
      {"store", "read-while-writing", "dyncast", "point read p50", latency.p50_us, "us", 1, "", 0},
      {"store", "read-while-writing", "dyncast", "point read p99", latency.p99_us, "us", 1, "", 0},
  };
  return Report(rows, options.json);
}

}  // namespace
}  // namespace dyncast::bench

int main(int argc, char** argv) { return dyncast::bench::Main(argc, argv); }
