// A controller that is killed: everything that a Flush acknowledged is there. The test starts itself as
// the child ("--child FILE"), which tells over a pipe what was acknowledged, and kills it at a random time.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "tests/unit/store/store_support.h"

namespace dyncast {
namespace {

using store_test::Ended;
using store_test::Key;
using store_test::MustOpen;
using store_test::Shell;
using store_test::Started;
using store_test::TempDir;

constexpr uint32_t kRowsPerFlush = 50;
constexpr int kReportTo = 9;  // the child's end of the pipe; its log has stdout and stderr

// Binding n starts; the one ten before it ends. Acknowledged counts go into the pipe, four bytes each.
int Child(const std::string& path) {
  auto store = MustOpen(path);
  if (store == nullptr) return 1;
  for (uint32_t n = 0;; ++n) {
    store->Post(Started(Key(n), 1, n));
    if (n >= 10) store->Post(Ended(Key(n - 10), n));
    if ((n + 1) % kRowsPerFlush != 0) continue;
    if (!store->Flush(std::chrono::seconds(30)).ok()) return 1;
    const uint32_t acknowledged = n + 1;
    if (write(kReportTo, &acknowledged, sizeof acknowledged) != sizeof acknowledged) return 1;
  }
}

TEST(StoreCrash, WhatFlushAcknowledgedSurvivesSigkill) {
  const char* given = std::getenv("DYNCAST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("DYNCAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 8; ++round) {
    TempDir dir;
    const std::string path = dir.File("a.db");
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      dup2(ends[1], kReportTo);
      execl("/proc/self/exe", "store_crash_test", "--child", path.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    // Kill it some acknowledgements later, wherever it stands then.
    uint32_t acknowledged = 0;
    uint64_t to_read = 1 + random() % 12;
    uint32_t value = 0;
    while (to_read-- > 0 && read(ends[0], &value, sizeof value) == sizeof value) acknowledged = value;
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    while (read(ends[0], &value, sizeof value) == sizeof value) acknowledged = value;
    close(ends[0]);
    ASSERT_GT(acknowledged, 0u);

    auto store = MustOpen(path);
    ASSERT_NE(store, nullptr);
    Shell shell(path);
    EXPECT_EQ(shell.One("PRAGMA integrity_check"), "ok");
    // Started before the acknowledged count: live, or in history; ended ten later.
    const std::string n = std::to_string(acknowledged);
    EXPECT_EQ(
        shell.One("SELECT count(DISTINCT created_at_us) FROM (SELECT created_at_us FROM binding UNION ALL "
                  "SELECT created_at_us FROM history) WHERE created_at_us < " +
                  n + " * 1000000"),
        n);
    EXPECT_EQ(shell.One("SELECT count(*) FROM history WHERE ended_at_us < " + n + " * 1000000"),
              std::to_string(acknowledged - 10));
    EXPECT_EQ(shell.One("SELECT count(*) FROM binding WHERE created_at_us < (" + n + " - 10) * 1000000"),
              "0");
  }
}

}  // namespace
}  // namespace dyncast

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--child") == 0) return dyncast::Child(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
