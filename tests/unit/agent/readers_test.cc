#include "agent/io/readers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace dyncast::agent {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string pattern = fs::temp_directory_path() / "dyncast-agent-test-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void Write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  std::string path() const { return path_; }

 private:
  fs::path path_;
};

TEST(HostReader, ReadsThisMachine) {
  Problems problems;
  HostReader reader("/proc", &problems);
  const HostReadings readings = reader.Read();
  ASSERT_TRUE(readings.cpu);
  EXPECT_EQ(readings.cpu->processors, std::thread::hardware_concurrency());
  EXPECT_GT(readings.cpu->busy_ticks, 0u);
  ASSERT_TRUE(readings.memory);
  EXPECT_GT(readings.memory->total_bytes, uint64_t{1} << 27);
  ASSERT_TRUE(readings.load1);
  // A kernel may be built without pressure figures; then each is absent and named.
  EXPECT_EQ(problems.open(), readings.pressure.cpu ? 0u : 3u);
}

TEST(HostReader, WhatCannotBeReadIsAbsentAndNamed) {
  const Folder folder;
  folder.Write("stat", "cpu  1 2 3 4\ncpu0 1 2 3 4\n");
  folder.Write("meminfo", "garbage\n");
  Problems problems;
  HostReader reader(folder.path(), &problems);
  HostReadings readings = reader.Read();
  EXPECT_TRUE(readings.cpu);
  EXPECT_FALSE(readings.memory);
  EXPECT_FALSE(readings.load1);
  EXPECT_FALSE(readings.pressure.cpu);
  EXPECT_EQ(problems.open(), 5u);
  folder.Write("meminfo", "MemTotal: 4 kB\nMemAvailable: 1 kB\n");
  readings = reader.Read();
  EXPECT_TRUE(readings.memory);
  EXPECT_EQ(problems.open(), 4u);
}

TEST(CgroupReader, ReadsAFolder) {
  const Folder folder;
  folder.Write("cpu.stat", "usage_usec 500\nuser_usec 1\n");
  folder.Write("cpu.max", "50000 100000\n");
  folder.Write("memory.current", "4096\n");
  folder.Write("memory.max", "max\n");
  folder.Write("cpu.pressure", "some avg10=10.00 avg60=0 avg300=0 total=0\n");
  Problems problems;
  CgroupReader reader(&problems);
  const CgroupReadings readings = reader.Read(folder.path(), "a");
  EXPECT_EQ(readings.cpu_used, std::chrono::microseconds(500));
  ASSERT_TRUE(readings.cpu_limit_cores && *readings.cpu_limit_cores);
  EXPECT_DOUBLE_EQ(**readings.cpu_limit_cores, 0.5);
  EXPECT_EQ(readings.memory_bytes, 4096u);
  ASSERT_TRUE(readings.memory_limit_bytes);
  EXPECT_FALSE(*readings.memory_limit_bytes);
  EXPECT_DOUBLE_EQ(readings.pressure.cpu.value(), 0.1);
  EXPECT_FALSE(readings.pressure.memory);
  EXPECT_EQ(problems.open(), 2u);
}

TEST(ReadSmallFile, KeepsItsBoundAndNamesThePath) {
  const Folder folder;
  folder.Write("big", std::string(100000, 'x'));
  std::string buffer;
  EXPECT_TRUE(ReadSmallFile(folder.path() + "/big", 100000, &buffer));
  EXPECT_EQ(buffer.size(), 100000u);
  const Status big = ReadSmallFile(folder.path() + "/big", 99999, &buffer);
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().code, Errc::kLimit);
  const Status none = ReadSmallFile(folder.path() + "/none", 1, &buffer);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().where, folder.path() + "/none");
  EXPECT_FALSE(ReadSmallFile(folder.path(), 1, &buffer));  // a folder
}

}  // namespace
}  // namespace dyncast::agent
