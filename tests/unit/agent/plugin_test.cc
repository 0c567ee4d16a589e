#include "agent/io/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

PluginSpec Shell(const std::string& script, milliseconds timeout = seconds(20)) {
  return {.command = {"/bin/sh", "-c", script}, .environment = {"DYNCAST_INSTANCE=i1"}, .timeout = timeout};
}

class Plugins : public testing::Test {
 protected:
  // Runs the loop until `done` holds.
  void Until(const std::function<bool()>& done) {
    const MonoTime end = ReadClocks().mono + seconds(30);
    while (!done()) {
      const MonoTime now = ReadClocks().mono;
      ASSERT_LT(now, end);
      runner_.OnTimers(now);
      poller_.Wait(std::min(runner_.NextDeadline(), now + milliseconds(100)) - now);
    }
  }
  Result<std::string> Run(PluginSpec spec) {
    std::optional<Result<std::string>> answer;
    runner_.Start(std::move(spec), ReadClocks().mono, [&](Result<std::string> a) { answer = std::move(a); });
    Until([&] { return answer.has_value(); });
    EXPECT_EQ(runner_.running(), 0u);
    return *answer;
  }
  Poller poller_;
  PluginRunner runner_{&poller_};
};

TEST_F(Plugins, GiveWhatTheyPrint) {
  const auto output = Run(Shell("echo queue 7; echo load 0.5"));
  ASSERT_TRUE(output) << output.error().ToString();
  EXPECT_EQ(*output, "queue 7\nload 0.5\n");
}

TEST_F(Plugins, GetTheirArgumentsAsTheyAre) {
  const auto output = Run({.command = {"/bin/echo", "a b", "$HOME", ";", "*", "'"}});
  ASSERT_TRUE(output) << output.error().ToString();
  EXPECT_EQ(*output, "a b $HOME ; * '\n") << "no shell";
}

TEST_F(Plugins, InheritNothing) {
  setenv("DYNCAST_TEST_SECRET", "x", 1);
  const int open_fd = dup(2);
  const auto output = Run(Shell("env; ls /proc/self/fd | wc -l; pwd; cat"));
  close(open_fd);
  ASSERT_TRUE(output) << output.error().ToString();
  EXPECT_THAT(*output, HasSubstr("DYNCAST_INSTANCE=i1\n"));
  EXPECT_THAT(*output, testing::Not(HasSubstr("SECRET")));
  EXPECT_THAT(*output, HasSubstr("\n4\n/\n"))
      << "its three, and that of the folder; the root folder; no input";
}

TEST_F(Plugins, AFailureSaysWhy) {
  EXPECT_EQ(Run(Shell("echo no such device >&2; echo second >&2; exit 3")).error().ToString(),
            "/bin/sh: exit status 3: 'no such device'");
  EXPECT_EQ(Run(Shell("exit 1")).error().ToString(), "/bin/sh: exit status 1");
  EXPECT_EQ(Run(Shell("kill -KILL $$")).error().ToString(), "/bin/sh: ended by signal 9");
  EXPECT_EQ(Run({.command = {"/there/is/no/such/program"}}).error().ToString(),
            "/there/is/no/such/program: can't be started: No such file or directory");
  EXPECT_EQ(Run({.command = {"/etc/passwd"}}).error().ToString(),
            "/etc/passwd: can't be started: Permission denied");
}

TEST_F(Plugins, OneThatHangsIsKilledWithItsProcessGroup) {
  char path[] = "/tmp/dyncast-plugin-XXXXXX";
  close(mkstemp(path));
  const MonoTime before = ReadClocks().mono;
  // The child ignores what can be ignored, and would live for an hour.
  const auto output =
      Run(Shell("trap '' TERM INT HUP; sh -c 'echo $$ > " + std::string(path) + "; exec sleep 3600' & wait",
                milliseconds(300)));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().ToString(), "/bin/sh: still running after 300 ms");
  EXPECT_LT(ReadClocks().mono - before, seconds(15));
  pid_t child = 0;
  std::ifstream(path) >> child;
  ASSERT_GT(child, 1);
  // It is a zombie at most, until init has taken it.
  Until([&] {
    std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
    std::string pid, name, state;
    stat >> pid >> name >> state;
    return !stat || state == "Z";
  });
  unlink(path);
}

TEST_F(Plugins, WhatALeaderLeavesBehindIsNotWaitedFor) {
  const MonoTime before = ReadClocks().mono;
  const auto output = Run(Shell("sleep 3600 & echo queue 1"));  // it holds the pipe open
  ASSERT_TRUE(output) << output.error().ToString();
  EXPECT_EQ(*output, "queue 1\n");
  EXPECT_LT(ReadClocks().mono - before, seconds(15));
}

TEST_F(Plugins, OneThatFloodsIsKilled) {
  for (const char* script : {"yes", "yes >&2", "head -c 65537 /dev/zero; sleep 3600"}) {
    const auto output = Run(Shell(script));
    ASSERT_FALSE(output) << script;
    EXPECT_EQ(output.error().message, "more than 65536 bytes of output") << script;
  }
  const auto most = Run(Shell("head -c 65536 /dev/zero"));
  ASSERT_TRUE(most) << most.error().ToString();
  EXPECT_EQ(most->size(), 65536u);
}

TEST_F(Plugins, OnlySoManyRunAtOnceAndAllGetTheirTurn) {
  size_t done = 0;
  size_t most = 0;
  const size_t all = PluginRunner::kMaxAtOnce * 3;
  for (size_t i = 0; i < all; ++i) {
    runner_.Start(Shell("read x < /dev/null; echo ok"), ReadClocks().mono, [&](Result<std::string> a) {
      EXPECT_TRUE(a.ok()) << a.error().ToString();
      ++done;
    });
    most = std::max(most, runner_.running());
  }
  Until([&] { return done == all; });
  EXPECT_EQ(most, PluginRunner::kMaxAtOnce);
}

TEST_F(Plugins, AreKilledWithTheirRunner) {
  pid_t child = 0;
  {
    PluginRunner runner(&poller_);
    char path[] = "/tmp/dyncast-plugin-XXXXXX";
    close(mkstemp(path));
    runner.Start(Shell("echo $$ > " + std::string(path) + "; exec sleep 3600"), ReadClocks().mono,
                 [](Result<std::string>) { ADD_FAILURE() << "called back"; });
    Until([&] { return static_cast<bool>(std::ifstream(path) >> child); });
    unlink(path);
  }
  EXPECT_NE(kill(child, 0), 0) << "it is gone, and not a zombie";
}

}  // namespace
}  // namespace dyncast::agent
