// The blocks of a port range hold exactly the range: tried with every port there is.
#include <gtest/gtest.h>

#include <bitset>
#include <memory>
#include <random>

#include "ovs-integration/pipeline/match_text.h"

namespace dyncast::pipeline {
namespace {

void ExpectExact(uint16_t first, uint16_t last) {
  const std::vector<PortMask> masks = PortMasks(first, last);
  ASSERT_LE(masks.size(), 30u);
  const auto covered = std::make_unique<std::bitset<65536>>();
  for (const PortMask& block : masks) {
    ASSERT_EQ(block.value & ~block.mask, 0) << "a value outside of its mask never matches";
    size_t ports = 0;
    for (uint32_t port = block.value; port <= 0xffff && (port & block.mask) == block.value; ++port) {
      ASSERT_FALSE(covered->test(port)) << port << " is held twice";
      covered->set(port);
      ++ports;
    }
    // Any port that the block matches was met above: its free bits are its low bits.
    ASSERT_EQ(ports, static_cast<uint16_t>(~block.mask) + 1u);
  }
  for (uint32_t port = 0; port <= 0xffff; ++port) {
    ASSERT_EQ(covered->test(port), port >= first && port <= last) << first << "-" << last << " at " << port;
  }
}

TEST(PortMasks, HoldExactlyTheRange) {
  for (const auto& [first, last] : {std::pair{0, 65535},
                                    {1, 65535},
                                    {1, 65534},
                                    {0, 0},
                                    {65535, 65535},
                                    {80, 80},
                                    {8000, 8099},
                                    {1024, 2047},
                                    {1023, 2048}}) {
    ExpectExact(static_cast<uint16_t>(first), static_cast<uint16_t>(last));
  }
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 300 && !testing::Test::HasFatalFailure(); ++i) {
    auto first = static_cast<uint16_t>(random());
    auto last = static_cast<uint16_t>(random());
    if (first > last) std::swap(first, last);
    ExpectExact(first, last);
  }
}

TEST(PortMasks, TextKeepsSinglePortsPlain) {
  EXPECT_EQ(PortMaskText({.value = 80, .mask = 0xffff}), "80");
  EXPECT_EQ(PortMaskText({.value = 8000, .mask = 0xffe0}), "0x1f40/0xffe0");
}

}  // namespace
}  // namespace dyncast::pipeline
