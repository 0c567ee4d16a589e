#include "agent/core/procfs.h"

#include <gtest/gtest.h>

namespace dyncast::agent {
namespace {

TEST(ProcStat, SumsBusyAndTotalAndCountsProcessors) {
  const auto times = ParseProcStat(
      "cpu  100 20 30 400 50 6 7 8 90 9\n"
      "cpu0 1 2 3 4\ncpu1 1 2 3 4\ncpu12 1 2 3 4\nintr 5\nctxt 6\n");
  ASSERT_TRUE(times) << times.error().ToString();
  EXPECT_EQ(times->busy_ticks, 100u + 20 + 30 + 6 + 7 + 8);  // not idle, iowait; guest is in user already
  EXPECT_EQ(times->total_ticks, 100u + 20 + 30 + 400 + 50 + 6 + 7 + 8);
  EXPECT_EQ(times->processors, 3u);
}

TEST(ProcStat, TakesTheFourFieldsOfOldKernels) {
  const auto times = ParseProcStat("cpu 1 2 3 4\ncpu0 1 2 3 4\n");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->busy_ticks, 6u);
  EXPECT_EQ(times->total_ticks, 10u);
}

TEST(ProcStat, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", "\n", "intr 1\n", "cpu0 1 2 3 4\n", "cpu 1 2 3\ncpu0 1\n", "cpu 1 2 3 x\ncpu0 1\n",
        "cpu 1 2 3 -4\ncpu0 1\n", "cpu 1 2 3 4\n", "cpu 1 2 3 4\ncpu 1 2 3 4\ncpu0 1\n",
        "cpu 1 2 3 99999999999999999999\ncpu0 1\n"}) {
    EXPECT_FALSE(ParseProcStat(text)) << text;
  }
}

TEST(Meminfo, ReadsTotalAndAvailable) {
  const auto memory = ParseMeminfo("MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->total_bytes, 1024000u);
  EXPECT_EQ(memory->available_bytes, 256000u);
}

TEST(Meminfo, RefusesWhatIsNotOne) {
  for (const char* text :
       {"", "MemTotal: 5 kB\n", "MemAvailable: 5 kB\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
        "MemTotal: 5\nMemAvailable: 1 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n",
        "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n"}) {
    EXPECT_FALSE(ParseMeminfo(text)) << text;
  }
}

TEST(Loadavg, ReadsTheFirstFigure) {
  EXPECT_DOUBLE_EQ(*ParseLoadavg("1.25 0.50 0.10 2/300 12345\n"), 1.25);
  for (const char* text : {"", "\n", "x 1 2\n", "-1 0 0\n", "nan 0 0\n", "inf 0 0\n"}) {
    EXPECT_FALSE(ParseLoadavg(text)) << text;
  }
}

TEST(Pressure, ReadsSomeAvg10AsARatio) {
  EXPECT_DOUBLE_EQ(*ParsePressure("some avg10=12.50 avg60=1.00 avg300=0.50 total=99\nfull avg10=3.00 avg60=0 "
                                  "avg300=0 total=1\n"),
                   0.125);
  EXPECT_DOUBLE_EQ(*ParsePressure("full avg10=3.00\nsome avg10=0.00 avg60=1\n"), 0.0);
  for (const char* text : {"", "full avg10=3.00\n", "some avg60=3.00\n", "some avg10=x\n", "some avg10=101\n",
                           "some avg10=-1\n", "some avg10=nan\n"}) {
    EXPECT_FALSE(ParsePressure(text)) << text;
  }
}

TEST(Errors, QuoteWhatWasFoundWithoutItsControlCharacters) {
  const auto load = ParseLoadavg(std::string("\x1b[31m") + std::string(100, 'y') + "\n");
  ASSERT_FALSE(load);
  EXPECT_NE(load.error().message.find("'?[31myyy"), std::string::npos) << load.error().message;
  EXPECT_LT(load.error().message.size(), 120u);
}

}  // namespace
}  // namespace dyncast::agent
