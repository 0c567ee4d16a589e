#include "schema/config/codec.h"

#include <gtest/gtest.h>

namespace dyncast::config {
namespace {

TEST(BitRate, IsReadAndWritten) {
  const Codec<uint64_t> codec = BitRate();
  const std::pair<const char*, uint64_t> good[] = {{"1bit", 1},
                                                   {"9600bit", 9600},
                                                   {"64kbit", 64000},
                                                   {"100mbit", 100000000},
                                                   {"10gbit", 10000000000},
                                                   {"100000gbit", 100000000000000}};
  for (const auto& [text, value] : good) {
    const Result<uint64_t> read = codec.parse(text);
    ASSERT_TRUE(read.ok()) << text;
    EXPECT_EQ(*read, value) << text;
    EXPECT_EQ(codec.format(value), text);
  }
  for (const char* bad : {"", "bit", "0bit", "0mbit", "100", "mbit", "1.5gbit", "-1mbit", "1 mbit", "1MBIT",
                          "1tbit", "100001gbit", "99999999999999999999bit", "18446744073709551616bit"}) {
    EXPECT_FALSE(codec.parse(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace dyncast::config
