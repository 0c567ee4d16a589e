// Random records, failures and restarts against a std::map: what stands in the file must be what the
// records say one by one, however they were merged. DYNCAST_SEED=N repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <tuple>

#include "tests/unit/store/fault_vfs.h"
#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using store_test::At;
using store_test::Fault;
using store_test::MustFlush;
using store_test::MustOpen;
using store_test::SetFault;
using store_test::Shell;
using store_test::TempDir;

struct ModelRow {
  int64_t created = 0, seen = 0, instance = 0, packets = 0, bytes = 0;
};

// Applies records one by one, as if each were written at once.
struct Model {
  std::map<BindingKey, ModelRow> live;
  std::vector<std::string> history;
  std::map<int, std::string> instances;
  uint64_t events = 0;

  static std::string Text(const BindingKey& key, const ModelRow& row) {
    return key.client.ToString() + "|" + std::to_string(key.src_port) + "|" +
           std::to_string(static_cast<int>(key.proto)) + "|" + std::to_string(row.instance) + "|" +
           std::to_string(row.created) + "|" + std::to_string(row.seen) + "|" + std::to_string(row.packets) +
           "|" + std::to_string(row.bytes);
  }
  void End(const BindingKey& key, int64_t at, EndReason reason) {
    const auto it = live.find(key);
    if (it == live.end()) return;
    history.push_back(Text(key, it->second) + "|" + std::to_string(at) + "|" +
                      std::to_string(static_cast<int>(reason)));
    live.erase(it);
  }
  void Apply(const Record& record) {
    if (const auto* s = std::get_if<BindingStarted>(&record)) {
      End(s->key, UnixMicros(s->at), EndReason::kReplaced);
      live[s->key] = {
          .created = UnixMicros(s->at), .seen = UnixMicros(s->at), .instance = s->instance.value()};
    } else if (const auto* t = std::get_if<BindingTouched>(&record)) {
      const auto it = live.find(t->key);
      if (it == live.end()) return;
      it->second.seen = UnixMicros(t->last_seen);
      it->second.packets = static_cast<int64_t>(t->packets);
      it->second.bytes = static_cast<int64_t>(t->bytes);
    } else if (const auto* e = std::get_if<BindingEnded>(&record)) {
      const auto it = live.find(e->key);
      if (it != live.end() && e->packets) it->second.packets = static_cast<int64_t>(*e->packets);
      if (it != live.end() && e->bytes) it->second.bytes = static_cast<int64_t>(*e->bytes);
      End(e->key, UnixMicros(e->at), e->reason);
    } else if (const auto* i = std::get_if<InstanceRecord>(&record)) {
      instances[i->id.value()] = i->name;
    } else {
      ++events;
    }
  }
};

class Driver {
 public:
  explicit Driver(uint64_t seed) : random_(seed) {}

  Record Next() {
    ++clock_;
    BindingKey key;
    const uint32_t n = Pick(40);
    key.client =
        n % 5 == 0 ? *IpAddress::Parse("2001:db8::" + std::to_string(n)) : IpAddress::V4(0x0a000000u + n);
    key.src_port = static_cast<uint16_t>(Pick(2) * 1000);
    key.dst_port = 80;
    key.proto = Pick(2) == 0 ? IpProto::kTcp : IpProto::kAny;
    key.service = ServiceId(1);
    key.at = SwitchId(1);
    const uint32_t kind = Pick(100);
    if (kind < 40) return store_test::Started(key, static_cast<uint16_t>(1 + Pick(9)), clock_);
    if (kind < 60) {
      return BindingTouched{
          .key = key, .last_seen = At(clock_), .packets = Pick(1000), .bytes = Pick(100000)};
    }
    if (kind < 92) {
      BindingEnded e = store_test::Ended(key, clock_, static_cast<EndReason>(Pick(7)));
      if (Pick(2) == 0) e.packets = Pick(5000);
      if (Pick(2) == 0) e.bytes = Pick(500000);
      return e;
    }
    if (kind < 96) {
      InstanceRecord r;
      r.id = InstanceId(static_cast<uint16_t>(1 + Pick(9)));
      r.name = "i" + std::to_string(Pick(1000));
      return r;
    }
    return EventRecord{.at = At(clock_), .kind = "k", .subject = "s", .detail = std::to_string(clock_)};
  }
  uint32_t Pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

 private:
  std::mt19937_64 random_;
  double clock_ = 0;
};

void ExpectSame(const Model& model, const std::string& path) {
  constexpr const char* kRow =
      "client || '|' || src_port || '|' || proto || '|' || instance_id || '|' || created_at_us || '|' || "
      "last_seen_at_us || '|' || packets || '|' || bytes";
  Shell shell(path);
  std::vector<std::string> live;
  for (const auto& [key, row] : model.live) live.push_back(Model::Text(key, row));
  std::sort(live.begin(), live.end());
  auto stored = shell.Rows(std::string("SELECT ") + kRow + " FROM binding");
  std::sort(stored.begin(), stored.end());
  ASSERT_EQ(stored, live);
  std::vector<std::string> history = model.history;
  std::sort(history.begin(), history.end());
  stored =
      shell.Rows(std::string("SELECT ") + kRow + " || '|' || ended_at_us || '|' || end_reason FROM history");
  std::sort(stored.begin(), stored.end());
  ASSERT_EQ(stored, history);
  std::vector<std::string> instances;
  for (const auto& [id, name] : model.instances) instances.push_back(std::to_string(id) + "|" + name);
  ASSERT_EQ(shell.Rows("SELECT id, name FROM instance ORDER BY id"), instances);
  ASSERT_EQ(shell.One("SELECT count(*) FROM event"), std::to_string(model.events));
  ASSERT_EQ(shell.One("PRAGMA integrity_check"), "ok");
}

void RunSeed(uint64_t seed) {
  SCOPED_TRACE("DYNCAST_SEED=" + std::to_string(seed));
  TempDir dir;
  StoreOptions options;
  options.path = dir.File("a.db");
  options.flush_interval = std::chrono::milliseconds(1);
  options.history_retention = std::chrono::hours(24 * 365 * 200);  // the test's clock starts in 1970
  auto store = MustOpen(options);
  Model model;
  Driver driver(seed);
  for (int round = 0; round < 25; ++round) {
    std::unique_ptr<Shell> locker;
    switch (driver.Pick(5)) {
      case 0: SetFault(Fault::kDiskFull); break;
      case 1: SetFault(Fault::kWriteError); break;
      case 2:
        locker = std::make_unique<Shell>(options.path);
        locker->Run("BEGIN EXCLUSIVE");
        break;
      default: break;
    }
    std::vector<Record> batch;
    const uint32_t records = 1 + driver.Pick(driver.Pick(4) == 0 ? 3000 : 60);
    for (uint32_t i = 0; i < records; ++i) {
      Record record = driver.Next();
      model.Apply(record);
      if (driver.Pick(3) == 0) {
        batch.push_back(std::move(record));
      } else {
        store->PostMany(std::exchange(batch, {}));
        store->Post(std::move(record));
      }
    }
    store->PostMany(std::move(batch));
    if (driver.Pick(2) == 0) (void)store->Flush(std::chrono::milliseconds(5));  // may fail: it is a failure
    SetFault(Fault::kNone);
    locker.reset();
    if (driver.Pick(3) == 0) {
      store.reset();
      store = MustOpen(options);
    } else {
      MustFlush(store.get());
      const StoreCounters c = store->Counters();
      ASSERT_EQ(c.posted, c.written + c.merged);
    }
    ExpectSame(model, options.path);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(StoreModel, RandomRecordsFailuresAndRestarts) {
  store_test::InstallFaultVfs();
  if (const char* given = std::getenv("DYNCAST_SEED")) {
    RunSeed(std::strtoull(given, nullptr, 10));
    return;
  }
  const uint64_t first = std::random_device{}();
  for (uint64_t i = 0; i < 6 && !testing::Test::HasFatalFailure(); ++i) {
    std::printf("DYNCAST_SEED=%llu\n", static_cast<unsigned long long>(first + i));
    RunSeed(first + i);
  }
}

}  // namespace
}  // namespace dyncast
