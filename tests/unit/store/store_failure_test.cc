// What goes wrong with the file: steering goes on, nothing that was promised is lost, and it is shown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "schema/sql/migrations.h"
#include "tests/unit/store/fault_vfs.h"
#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using std::chrono::milliseconds;
using store_test::At;
using store_test::Ended;
using store_test::Fault;
using store_test::Key;
using store_test::MustFlush;
using store_test::MustOpen;
using store_test::SetFault;
using store_test::Shell;
using store_test::Started;
using store_test::TempDir;

std::string RefusedBecause(const std::string& path) {
  StoreOptions options;
  options.path = path;
  const auto store = BindingStore::Open(options);
  EXPECT_FALSE(store.ok());
  return store.ok() ? "" : store.error().ToString();
}

TEST(StoreOpen, NewerSchemaIsRefusedWithBothVersions) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  MustOpen(path).reset();
  Shell(path).Run("PRAGMA user_version = 999");
  const std::string why = RefusedBecause(path);
  EXPECT_THAT(why, testing::HasSubstr(path));
  EXPECT_THAT(why, testing::HasSubstr("version 999"));
  EXPECT_THAT(why, testing::HasSubstr("version " + std::to_string(sql::KnownVersion())));
  EXPECT_EQ(Shell(path).One("PRAGMA user_version"), "999");
}

TEST(StoreOpen, AnOlderSchemaIsBroughtForward) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  {
    Shell shell(path);
    shell.Run(std::string(sql::Migrations()[0].sql));
    shell.Run("PRAGMA user_version = 1; PRAGMA application_id = " + std::to_string(sql::kApplicationId));
    shell.Run("INSERT INTO switch VALUES (1, 'old', 'd-router')");
  }
  auto store = MustOpen(path);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->Load()->switches.at(0).name, "old");
  EXPECT_EQ(Shell(path).One("SELECT name FROM switches"), "old");
  EXPECT_EQ(Shell(path).One("PRAGMA user_version"), std::to_string(sql::KnownVersion()));
}

TEST(StoreOpen, MigrationsAreNumberedWithoutGaps) {
  int32_t expected = 1;
  for (const sql::Migration& step : sql::Migrations()) EXPECT_EQ(step.version, expected++);
}

TEST(StoreOpen, OtherFilesAreRefusedAndUnchanged) {
  TempDir dir;
  const std::string text = dir.File("text");
  std::ofstream(text) << std::string(5000, 'x');
  EXPECT_THAT(RefusedBecause(text),
              testing::AllOf(testing::HasSubstr(text), testing::HasSubstr("not a database")));
  EXPECT_EQ(std::filesystem::file_size(text), 5000u);

  const std::string other = dir.File("other.db");
  Shell(other).Run("CREATE TABLE t (x)");
  EXPECT_THAT(RefusedBecause(other), testing::HasSubstr("another program"));
  EXPECT_EQ(Shell(other).One("PRAGMA journal_mode"), "delete");

  EXPECT_THAT(RefusedBecause(dir.File("no/such/folder/a.db")), testing::HasSubstr("no/such/folder"));
}

TEST(StoreOpen, ARowThatBreaksARuleIsNamed) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  {
    auto store = MustOpen(path);
    store->Post(Started(Key(1), 1, 1));
    MustFlush(store.get());
  }
  Shell(path).Run("UPDATE binding SET client = 'nonsense'");
  EXPECT_THAT(RefusedBecause(path), testing::AllOf(testing::HasSubstr("table binding, column client"),
                                                   testing::HasSubstr("'nonsense'")));
}

TEST(StoreOpen, ACorruptFileIsRefused) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  {
    auto store = MustOpen(path);
    for (uint32_t i = 0; i < 3000; ++i) store->Post(Started(Key(i), 1, 1));
    MustFlush(store.get());
  }
  const auto size = std::filesystem::file_size(path);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    for (uintmax_t i = 4096; i < size; ++i) file.put('\x5a');
  }
  EXPECT_THAT(RefusedBecause(path),
              testing::AllOf(testing::HasSubstr(path), testing::HasSubstr("malformed")));
}

TEST(StoreFailure, LockedDatabaseLosesNothingAndSteeringGoesOn) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  Shell shell(path);
  shell.Run("BEGIN EXCLUSIVE");
  const auto from = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < 50000; ++i) store->Post(Started(Key(i), 1, 1));
  EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(20));
  const Status refused = store->Flush(milliseconds(300));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_THAT(refused.error().ToString(), testing::HasSubstr("locked"));
  StoreCounters c = store->Counters();
  EXPECT_FALSE(c.healthy);
  EXPECT_GE(c.failures, 1u);
  EXPECT_EQ(c.pending, 50000u);
  EXPECT_THAT(c.last_error, testing::HasSubstr("locked"));
  shell.Run("ROLLBACK");
  MustFlush(store.get());
  c = store->Counters();
  EXPECT_TRUE(c.healthy);
  EXPECT_EQ(c.pending, 0u);
  EXPECT_EQ(c.dropped, 0u);
  EXPECT_EQ(shell.One("SELECT count(*) FROM bindings"), "50000");
}

TEST(StoreFailure, BeyondTheBoundHistoryIsDroppedAndCountedAndLiveRowsAreNot) {
  TempDir dir;
  StoreOptions options;
  options.path = dir.File("a.db");
  options.max_pending = 100;
  auto store = MustOpen(options);
  Shell shell(options.path);
  shell.Run("BEGIN EXCLUSIVE");
  for (uint32_t i = 0; i < 300; ++i) store->Post(Started(Key(i), 1, 1));
  for (uint32_t i = 0; i < 30000; ++i) {  // bindings that come and go
    store->Post(Started(Key(1000 + i), 1, 1));
    store->Post(Ended(Key(1000 + i), 2));
  }
  store->Post(EventRecord{.at = At(1), .kind = "lost", .subject = "", .detail = ""});
  EXPECT_FALSE(store->Flush(milliseconds(200)).ok());
  shell.Run("ROLLBACK");
  const Status told = store->Flush(std::chrono::seconds(30));
  ASSERT_FALSE(told.ok());
  EXPECT_EQ(told.error().code, Errc::kLimit);
  MustFlush(store.get());  // told once
  EXPECT_EQ(shell.One("SELECT count(*) FROM binding"), "300");
  const StoreCounters c = store->Counters();
  EXPECT_GE(c.dropped, 29800u);
  EXPECT_EQ(c.posted, c.written + c.merged + c.dropped);
  EXPECT_EQ(std::to_string(30000 + 1 - c.dropped),
            shell.One("SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM event)"));
}

class StoreFaults : public testing::TestWithParam<Fault> {};

TEST_P(StoreFaults, AreCountedAndHealed) {
  store_test::InstallFaultVfs();
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  store->Post(Started(Key(1), 1, 1));
  MustFlush(store.get());
  SetFault(GetParam());
  for (uint32_t i = 2; i < 2000; ++i) store->Post(Started(Key(i), 1, 1));
  store->Post(Ended(Key(1), 5));
  const Status refused = store->Flush(milliseconds(200));
  EXPECT_FALSE(refused.ok());
  StoreCounters c = store->Counters();
  EXPECT_FALSE(c.healthy);
  EXPECT_GE(c.failures, 1u);
  EXPECT_FALSE(c.last_error.empty());
  SetFault(Fault::kNone);
  MustFlush(store.get());
  c = store->Counters();
  EXPECT_TRUE(c.healthy);
  EXPECT_EQ(c.dropped, 0u);
  EXPECT_EQ(c.posted, c.written + c.merged);
  Shell shell(path);
  EXPECT_EQ(shell.One("SELECT count(*) FROM binding"), "1998");
  EXPECT_EQ(shell.One("SELECT count(*) FROM history"), "1");
  EXPECT_EQ(shell.One("PRAGMA integrity_check"), "ok");
}
INSTANTIATE_TEST_SUITE_P(All, StoreFaults,
                         testing::Values(Fault::kDiskFull, Fault::kWriteError, Fault::kSyncError));

TEST(StoreFailure, ARemovedFileIsRestored) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  for (uint32_t i = 0; i < 500; ++i) store->Post(Started(Key(i), 1, 1));
  MustFlush(store.get());
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  store->Post(Started(Key(1000), 1, 2));
  MustFlush(store.get());
  EXPECT_TRUE(std::filesystem::exists(path));
  Shell shell(path);
  EXPECT_EQ(shell.One("SELECT count(*) FROM bindings"), "501");
  EXPECT_EQ(shell.One("PRAGMA integrity_check"), "ok");
  store.reset();
  EXPECT_EQ(MustOpen(path)->Load()->bindings.size(), 501u);
}

TEST(StoreFailure, AReplacedFileIsLeftAloneAndSaid) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  store->Post(Started(Key(1), 1, 1));
  MustFlush(store.get());
  std::filesystem::rename(path, dir.File("moved"));
  std::ofstream(path) << "precious";
  store->Post(Started(Key(2), 1, 2));
  const Status refused = store->Flush(milliseconds(200));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().ToString(), testing::HasSubstr("replaced by another"));
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
  std::filesystem::remove(path);
  MustFlush(store.get());
  EXPECT_EQ(Shell(path).One("SELECT count(*) FROM bindings"), "2");
}

TEST(StoreFailure, StoppingWhileLockedEndsInBoundedTime) {
  TempDir dir;
  const std::string path = dir.File("a.db");
  auto store = MustOpen(path);
  Shell shell(path);
  shell.Run("BEGIN EXCLUSIVE");
  store->Post(Started(Key(1), 1, 1));
  const auto from = std::chrono::steady_clock::now();
  store.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(10));
}

}  // namespace
}  // namespace dyncast
