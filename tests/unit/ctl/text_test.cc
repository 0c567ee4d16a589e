#include "controller/ctl/text.h"

#include <gtest/gtest.h>

#include "controller/ctl/table.h"

namespace dyncast::ctl {
namespace {

TEST(Format, DelaysAndBitRates) {
  EXPECT_EQ(FormatDelay(0.010285), "10.29ms");
  EXPECT_EQ(FormatDelay(0.000004), "0.00ms");
  EXPECT_EQ(FormatDelay(1.5), "1500.00ms");
  EXPECT_EQ(FormatDelay(-1), "0.00ms");
  EXPECT_EQ(FormatBitRate(0), "0 bit/s");
  EXPECT_EQ(FormatBitRate(-5), "0 bit/s");
  EXPECT_EQ(FormatBitRate(999), "999 bit/s");
  EXPECT_EQ(FormatBitRate(1500), "1.5 kbit/s");
  EXPECT_EQ(FormatBitRate(12345678), "12.35 Mbit/s");
  EXPECT_EQ(FormatBitRate(4e11), "400 Gbit/s");
}

TEST(Text, EscapesWhatSteersATerminal) {
  EXPECT_EQ(Escape("plain äöü ✓"), "plain äöü ✓");
  EXPECT_EQ(Escape("a\x1b[31mb\nc\td\x7f"), "a\\x1b[31mb\\x0ac\\x09d\\x7f");
  EXPECT_EQ(Escape("\xc2\x9b"), "\\x9b");              // C1 CSI
  EXPECT_EQ(Escape("\xe2\x80\xaetxt"), "\\u202etxt");  // right-to-left override
  EXPECT_EQ(Escape("\xff\xc3"), "\\xff\\xc3");         // no UTF-8
}

TEST(Text, Durations) {
  EXPECT_EQ(FormatDuration(-1), "0s");
  EXPECT_EQ(FormatDuration(0.0004), "0.4ms");
  EXPECT_EQ(FormatDuration(0.35), "350ms");
  EXPECT_EQ(FormatDuration(3.2), "3.2s");
  EXPECT_EQ(FormatDuration(59.96), "1m00s");
  EXPECT_EQ(FormatDuration(252), "4m12s");
  EXPECT_EQ(FormatDuration(11100), "3h05m");
  EXPECT_EQ(FormatDuration(187200), "2d04h");
}

TEST(Text, Values) {
  EXPECT_EQ(FormatValue(nullptr), "-");
  EXPECT_EQ(FormatValue(""), "-");
  EXPECT_EQ(FormatValue(true), "yes");
  EXPECT_EQ(FormatValue(18446744073709551615ull), "18446744073709551615");
  EXPECT_EQ(FormatValue(0.123456), "0.1235");
  EXPECT_EQ(FormatValue(8589934592.0), "8589934592");
  EXPECT_EQ(FormatValue(Json::parse(R"(["tcp/80", "tcp/443"])")), "tcp/80, tcp/443");
  EXPECT_EQ(FormatValue(Json::parse(R"({"b": 1, "a": "x"})")), "b=1 a=x");
}

TEST(Text, Times) {
  EXPECT_EQ(FormatTime(1769860800.123), "2026-01-31T12:00:00.123Z");
  EXPECT_EQ(FormatTime("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00Z");
  EXPECT_EQ(FormatTime(nullptr), "-");
  EXPECT_EQ(FormatTime(-5), "-5");
}

TEST(Text, Seconds) {
  EXPECT_EQ(ParseSeconds("30")->count(), 30);
  EXPECT_EQ(ParseSeconds("30s")->count(), 30);
  EXPECT_EQ(ParseSeconds("5m")->count(), 300);
  EXPECT_EQ(ParseSeconds("2h")->count(), 7200);
  for (const char* bad : {"", "s", "-1", "1.5s", "30ms", "1d", "99999999999999999999", "9000h"}) {
    EXPECT_FALSE(ParseSeconds(bad).ok()) << bad;
  }
}

TEST(Text, PercentEncodesAllButTheUnreserved) {
  EXPECT_EQ(PercentEncode("az-09._~"), "az-09._~");
  EXPECT_EQ(PercentEncode("a b&c=%/?\xc3\xa4"), "a%20b%26c%3D%25%2F%3F%C3%A4");
}

TEST(TableText, AlignsByCharacters) {
  Table table({{"NAME"}, {"N", Align::kRight}, {"NOTE"}});
  table.Add({"äö", "7", "x"});
  table.Add({"long name", "1234", ""});
  table.Add({"short"});
  EXPECT_EQ(table.Text("  "),
            "  NAME          N  NOTE\n"
            "  äö            7  x\n"
            "  long name  1234\n"
            "  short         -  -\n");
}

}  // namespace
}  // namespace dyncast::ctl
