#include "ovs-integration/pipeline/layout.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace dyncast::pipeline {
namespace {

TEST(Cookie, StandsForExactlyWhatItWasMadeFrom) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10000; ++i) {
    const Cookie cookie{.kind = static_cast<FlowKind>(1 + random() % 5),
                        .service = ServiceId{static_cast<uint16_t>(random())},
                        .instance = InstanceId{static_cast<uint16_t>(random())},
                        .at = SwitchId{static_cast<uint16_t>(random())}};
    const uint64_t raw = EncodeCookie(cookie);
    EXPECT_EQ(raw & kCookieOwnerMask, 0xd100000000000000ull);
    EXPECT_EQ(DecodeCookie(raw), cookie);
  }
  EXPECT_EQ(EncodeCookie({.kind = FlowKind::kBinding,
                          .service = ServiceId{0x0102},
                          .instance = InstanceId{0x0304},
                          .at = SwitchId{0x0506}}),
            0xd103010203040506ull);
}

TEST(Cookie, OfOthersIsNotOurs) {
  for (uint64_t raw : {0ull, ~0ull, 0xd200000000000001ull, 0xd100000000000001ull, 0xd107000000000001ull}) {
    EXPECT_EQ(DecodeCookie(raw), std::nullopt) << std::hex << raw;
  }
}

TEST(TableName, IsUnique) {
  std::set<std::string_view> names;
  for (Table table : {Table::kClassify, Table::kAdmit, Table::kLink, Table::kService, Table::kLookup,
                      Table::kOlder, Table::kRenew, Table::kMarked, Table::kBinding, Table::kGeneration0,
                      Table::kGeneration1, Table::kSelect, Table::kLearn, Table::kEgress, Table::kReturn,
                      Table::kReturned, Table::kRoute, Table::kNeighbor, Table::kOutput}) {
    EXPECT_TRUE(names.insert(TableName(table)).second) << TableName(table);
  }
  EXPECT_EQ(TableName(static_cast<Table>(99)), "?");
}

}  // namespace
}  // namespace dyncast::pipeline
