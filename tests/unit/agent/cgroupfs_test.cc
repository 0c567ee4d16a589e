#include "agent/core/cgroupfs.h"

#include <gtest/gtest.h>

namespace dyncast::agent {
namespace {

TEST(CpuStat, ReadsUsage) {
  EXPECT_EQ(ParseCpuStat("usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n")->count(), 1234);
  for (const char* text :
       {"", "user_usec 5\n", "usage_usec\n", "usage_usec x\n", "usage_usec 9999999999999999999\n"}) {
    EXPECT_FALSE(ParseCpuStat(text)) << text;
  }
}

TEST(MemoryBytes, TellsALimitFromNone) {
  EXPECT_EQ(ParseMemoryBytes("4096\n")->value(), 4096u);
  EXPECT_EQ(ParseMemoryBytes("0\n")->value(), 0u);
  EXPECT_FALSE(ParseMemoryBytes("max\n")->has_value());
  for (const char* text : {"", "\n", "maximum\n", "-1\n", "1 2\n", "1\n2\n"}) {
    EXPECT_FALSE(ParseMemoryBytes(text)) << text;
  }
}

TEST(CpuMax, IsQuotaOverPeriod) {
  EXPECT_DOUBLE_EQ(ParseCpuMax("150000 100000\n")->value(), 1.5);
  EXPECT_FALSE(ParseCpuMax("max 100000\n")->has_value());
  for (const char* text :
       {"", "100000\n", "1 0\n", "0 100000\n", "max\n", "1 2 3\n", "x 100000\n", "-1 100000\n"}) {
    EXPECT_FALSE(ParseCpuMax(text)) << text;
  }
}

}  // namespace
}  // namespace dyncast::agent
