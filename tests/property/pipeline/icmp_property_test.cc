// ICMP errors get other addresses and their own ones back without a trace, and what stands between has right
// checksums, whatever is quoted and wherever the quote ends.
#include <gtest/gtest.h>

#include <random>

#include "ovs-integration/pipeline/packet.h"
#include "tests/support/packets/icmp_frame.h"

namespace dyncast::pipeline {
namespace {

using test::Build;
using test::Bytes;
using test::ChecksumsRight;
using test::IcmpFrame;
using test::ToHex;

class IcmpProperty : public testing::Test {
 protected:
  IcmpProperty() : trace(__FILE__, __LINE__, "seed " + std::to_string(seed)) {}

  IpAddress AnyAddress(bool v6) {
    if (!v6) return IpAddress::V4(static_cast<uint32_t>(random()));
    std::array<uint8_t, 16> octets{};
    for (uint8_t& octet : octets) octet = static_cast<uint8_t>(random() % 3 == 0 ? 0xff : random());
    octets[0] |= 1;  // never IPv4-mapped
    return IpAddress::V6(octets);
  }
  IcmpFrame AnyError() {
    constexpr IpProto kProtos[] = {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp};
    const bool v6 = random() % 2 == 0;
    IcmpFrame frame = IcmpFrame::Sample(v6, kProtos[random() % std::size(kProtos)]);
    constexpr uint8_t kTypes4[] = {3, 4, 11, 12};
    frame.type = v6 ? static_cast<uint8_t>(1 + random() % 4) : kTypes4[random() % std::size(kTypes4)];
    frame.code = static_cast<uint8_t>(random() % 8);
    frame.src = AnyAddress(v6);
    frame.dst = AnyAddress(v6);
    frame.quoted_src = AnyAddress(v6);
    frame.quoted_dst = AnyAddress(v6);
    frame.quoted_src_port = static_cast<uint16_t>(random());
    frame.quoted_dst_port = static_cast<uint16_t>(random());
    frame.quoted_udp_checksum = random() % 4 != 0;
    if (!v6 && random() % 8 == 0) frame.quoted_fragment_offset = 8;
    frame.quoted_payload = std::string(random() % 64, static_cast<char>(random()));
    // Even: half a checksum can't be mapped.
    frame.quoted_octets = (v6 ? 48 : 28) + (random() % 3 == 0 ? 0 : random() % 40 * 2);
    return frame;
  }
  std::optional<IpAddress> Perhaps(const IpAddress& address) {
    if (random() % 3 == 0) return std::nullopt;
    return address;
  }

  const unsigned seed = std::random_device{}();
  testing::ScopedTrace trace;
  std::mt19937 random{seed};
};

TEST_F(IcmpProperty, MappingThereAndBackLeavesNoTrace) {
  for (int i = 0; i < 20000; ++i) {
    const IcmpFrame frame = AnyError();
    const Bytes error = Build(frame);
    ASSERT_TRUE(ChecksumsRight(error));
    const Result<IcmpError> read = ParseIcmpError(error);
    ASSERT_TRUE(read.ok()) << read.error().ToString() << " " << ToHex(error);
    EXPECT_EQ(read->quoted.client, frame.quoted_src);
    EXPECT_EQ(read->quoted.sid, frame.quoted_dst);
    const IcmpErrorAddresses to{.source = Perhaps(AnyAddress(frame.v6)),
                                .destination = Perhaps(AnyAddress(frame.v6)),
                                .quoted_source = Perhaps(AnyAddress(frame.v6)),
                                .quoted_destination = Perhaps(AnyAddress(frame.v6))};
    const Result<Bytes> mapped = MapIcmpError(error, to);
    ASSERT_TRUE(mapped.ok()) << mapped.error().ToString();
    ASSERT_TRUE(ChecksumsRight(*mapped)) << ToHex(*mapped);
    // The same error about the same packet between the other addresses, made anew.
    IcmpFrame other = frame;
    other.src = to.source.value_or(frame.src);
    other.dst = to.destination.value_or(frame.dst);
    other.quoted_src = to.quoted_source.value_or(frame.quoted_src);
    other.quoted_dst = to.quoted_destination.value_or(frame.quoted_dst);
    ASSERT_EQ(ToHex(*mapped), ToHex(Build(other))) << ToHex(error);
    const Result<Bytes> back = MapIcmpError(*mapped, {.source = frame.src,
                                                      .destination = frame.dst,
                                                      .quoted_source = frame.quoted_src,
                                                      .quoted_destination = frame.quoted_dst});
    ASSERT_TRUE(back.ok());
    ASSERT_EQ(ToHex(*back), ToHex(error));
  }
}

TEST_F(IcmpProperty, DamageIsReadOrRefusedButNothingElse) {
  for (int i = 0; i < 20000; ++i) {
    Bytes error = Build(AnyError());
    for (uint32_t hits = static_cast<uint32_t>(random() % 4); hits > 0; --hits) {
      error[random() % error.size()] = static_cast<uint8_t>(random());
    }
    if (random() % 2 == 0) error.resize(random() % (error.size() + 1));
    (void)ParseNeighbor(error);
    const Result<IcmpError> read = ParseIcmpError(error);
    const Result<Bytes> mapped = MapIcmpError(error, {});
    ASSERT_EQ(mapped.ok(), read.ok());
    if (!read.ok()) continue;
    ASSERT_EQ(ToHex(*mapped), ToHex(error));
  }
}

}  // namespace
}  // namespace dyncast::pipeline
