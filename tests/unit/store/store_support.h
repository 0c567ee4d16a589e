// What the store's tests share: a folder of their own, records, and questions to the file itself.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controller/io/binding_store.h"
#include "schema/model/record.h"

namespace dyncast::store_test {

// A new folder, removed at the end.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "dyncast-store-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A second connection, as the sqlite3 shell would have one.
class Shell {
 public:
  explicit Shell(const std::string& path) {
    EXPECT_EQ(sqlite3_open_v2(path.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr),
              SQLITE_OK);
    sqlite3_busy_timeout(db_, 5000);
  }
  ~Shell() { sqlite3_close(db_); }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  void Run(const std::string& sql) {
    EXPECT_EQ(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(db_);
  }
  // All rows, columns joined by '|', NULL as "NULL".
  std::vector<std::string> Rows(const std::string& sql) {
    std::vector<std::string> out;
    sqlite3_stmt* s = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db_, sql.c_str(), -1, &s, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(db_);
    while (sqlite3_step(s) == SQLITE_ROW) {
      std::string row;
      for (int i = 0; i < sqlite3_column_count(s); ++i) {
        const void* text = sqlite3_column_text(s, i);
        row += (i == 0 ? "" : "|") + std::string(text == nullptr ? "NULL" : static_cast<const char*>(text));
      }
      out.push_back(row);
    }
    sqlite3_finalize(s);
    return out;
  }
  std::string One(const std::string& sql) {
    const std::vector<std::string> rows = Rows(sql);
    return rows.empty() ? "no row" : rows.front();
  }

 private:
  sqlite3* db_ = nullptr;
};

inline std::unique_ptr<BindingStore> MustOpen(StoreOptions options) {
  Result<std::unique_ptr<BindingStore>> store = BindingStore::Open(options);
  EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error().ToString());
  return store.ok() ? std::move(*store) : nullptr;
}
inline std::unique_ptr<BindingStore> MustOpen(const std::string& path) {
  StoreOptions options;
  options.path = path;
  return MustOpen(options);
}

inline void MustFlush(BindingStore* store) {
  const Status done = store->Flush(std::chrono::seconds(30));
  EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().ToString());
}

inline WallTime At(double seconds) { return FromUnixMicros(static_cast<int64_t>(seconds * 1e6)); }

inline BindingKey Key(uint32_t n) {
  BindingKey key;
  key.client = IpAddress::V4(0x0a000000u + n);
  key.src_port = static_cast<uint16_t>(1024 + n % 60000);
  key.dst_port = 80;
  key.service = ServiceId(1);
  key.at = SwitchId(1);
  key.proto = IpProto::kTcp;
  return key;
}

inline BindingStarted Started(const BindingKey& key, uint16_t instance, double at) {
  BindingStarted b;
  b.key = key;
  b.sid = IpAddress::V4(0xc6336401);
  b.instance = InstanceId(instance);
  b.at = At(at);
  b.idle_timeout = std::chrono::seconds(60);
  b.decision.context = 7;
  b.decision.kept = 2;
  b.decision.candidates = 3;
  b.decision.scores[0] = {.instance = InstanceId(instance), .cost = 0.5f, .bindings = 12};
  b.decision.scores[1] = {.instance = InstanceId(9), .cost = 1.25f, .bindings = 40};
  return b;
}

inline BindingEnded Ended(const BindingKey& key, double at, EndReason reason = EndReason::kIdle) {
  return BindingEnded{.key = key, .reason = reason, .at = At(at), .packets = {}, .bytes = {}};
}

// A fabric with switch 1, service 1 'web' and instances 1, 2 and 9 of it, and context 7.
inline void PostNames(BindingStore* store) {
  store->Post(SwitchRecord{.id = SwitchId(1), .name = "router-1", .role = SwitchRole::kDRouter});
  ServiceRecord service;
  service.id = ServiceId(1);
  service.name = "web";
  service.sid_v4 = IpAddress::V4(0xc6336401);
  store->Post(service);
  for (const uint16_t id : std::initializer_list<uint16_t>{1, 2, 9}) {
    InstanceRecord instance;
    instance.id = InstanceId(id);
    instance.name = "web-" + std::to_string(id);
    instance.service = ServiceId(1);
    instance.bid = IpAddress::V4(0x0a010000u + id);
    instance.agent = "agent-1";
    instance.capacity.cpu_cores = 4;
    instance.state = InstanceState::kUp;
    instance.reason = "health";
    instance.changed_at = At(1);
    store->Post(instance);
  }
  DecisionContextRecord context;
  context.context = 7;
  context.service = ServiceId(1);
  context.policy = PolicyKind::kLeastBindings;
  context.at = At(2);
  CandidateContext candidate;
  candidate.instance = InstanceId(1);
  candidate.load = 0.25;
  candidate.metrics.push_back(MetricSample{.name = "cpu_utilization", .value = 0.25, .unit = "ratio"});
  context.candidates.push_back(candidate);
  candidate = CandidateContext();
  candidate.instance = InstanceId(9);
  candidate.excluded = "draining";
  candidate.state = InstanceState::kDraining;
  context.candidates.push_back(candidate);
  store->Post(context);
}

}  // namespace dyncast::store_test
