// ICMP errors: made, read, and mapped back and forth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ovs-integration/pipeline/packet.h"
#include "tests/support/packets/icmp_frame.h"
#include "tests/support/packets/packets.h"

namespace dyncast::pipeline {
namespace {

using test::ArpFrame;
using test::Build;
using test::Bytes;
using test::ChecksumsRight;
using test::FromHex;
using test::IcmpFrame;
using test::Ip;
using test::Ipv4Packet;
using test::Ipv6Packet;
using test::Mac;
using test::NdFrame;
using test::ToHex;
using testing::HasSubstr;

TEST(MakeUnreachable6, AnswersFromTheAddressThatWasAsked) {
  Ipv6Packet demand;
  demand.payload = std::string(1400, 'z');
  const Bytes packet = Build(demand);
  const std::optional<Bytes> answer = MakeUnreachable(packet);
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(ChecksumsRight(*answer));
  EXPECT_EQ(answer->size(), 14u + 1280u);
  const Result<ParsedPacket> parsed = ParsePacket(*answer);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->eth_dst, demand.eth_src);
  EXPECT_EQ(parsed->eth_src, demand.eth_dst);
  EXPECT_EQ(parsed->demand.client, demand.dst);
  EXPECT_EQ(parsed->demand.sid, demand.src);
  EXPECT_EQ((*answer)[54], 1);
  EXPECT_EQ((*answer)[55], 3);
  EXPECT_TRUE(std::equal(answer->begin() + 62, answer->end(), packet.begin() + 14));
  EXPECT_EQ(MakeUnreachable(*answer), std::nullopt);
}

TEST(MakeUnreachable6, KeepsSilentWhereItMust) {
  const auto silent = [](const Ipv6Packet& packet) { return MakeUnreachable(Build(packet)) == std::nullopt; };
  Ipv6Packet packet;
  packet.proto = IpProto::kIcmp;
  EXPECT_FALSE(silent(packet));  // an echo request is no error
  for (const int type : {0, 1, 2, 3, 4, 100, 127, 137}) {
    packet.icmp_type = static_cast<uint8_t>(type);
    EXPECT_TRUE(silent(packet)) << type;
  }
  packet = {};
  packet.extensions = {44};
  EXPECT_FALSE(silent(packet));
  packet.fragment_offset = 8;
  EXPECT_TRUE(silent(packet));
  for (const char* source : {"::", "::1", "ff02::1"}) {
    packet = {};
    packet.src = Ip(source);
    EXPECT_TRUE(silent(packet)) << source;
  }
  packet = {};
  packet.dst = Ip("ff0e::1");
  EXPECT_TRUE(silent(packet));
  packet = {};
  packet.eth_dst = Mac("33:33:00:00:00:01");
  EXPECT_TRUE(silent(packet));
}

TEST(MakeTimeExceeded, AnswersFromTheGateway) {
  const Bytes v4 = Build(Ipv4Packet{});
  const std::optional<Bytes> answer = MakeTimeExceeded(v4, Ip("192.0.2.1"));
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(ChecksumsRight(*answer));
  EXPECT_EQ((*answer)[34], 11);
  EXPECT_EQ((*answer)[35], 0);
  const Result<IcmpError> read = ParseIcmpError(*answer);
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->source, Ip("192.0.2.1"));
  EXPECT_EQ(read->destination, Ipv4Packet{}.src);
  EXPECT_EQ(read->quoted.client, Ipv4Packet{}.src);
  EXPECT_EQ(read->quoted.sid, Ipv4Packet{}.dst);

  const std::optional<Bytes> answer6 = MakeTimeExceeded(Build(Ipv6Packet{}), Ip("fd00::9"));
  ASSERT_TRUE(answer6.has_value());
  EXPECT_TRUE(ChecksumsRight(*answer6));
  EXPECT_EQ((*answer6)[54], 3);
  EXPECT_EQ((*answer6)[55], 0);
  EXPECT_EQ(ParseIcmpError(*answer6)->source, Ip("fd00::9"));

  EXPECT_EQ(MakeTimeExceeded(v4, Ip("fd00::9")), std::nullopt);
  EXPECT_EQ(MakeTimeExceeded(v4, IpAddress{}), std::nullopt);
  EXPECT_EQ(MakeTimeExceeded(*answer, Ip("192.0.2.2")), std::nullopt);
  EXPECT_EQ(MakeTimeExceeded(Build(ArpFrame{}), Ip("192.0.2.1")), std::nullopt);
}

// Written by hand; the mapped octets computed apart from the code.
TEST(MapIcmpError, GoldenTooBig) {
  // 10.2.1.9 -> 192.168.10.7, fragmentation needed, MTU 1400, quoting 8 octets of TCP
  // 192.168.10.7:40000 -> 10.2.1.11:80 behind its IPv4 header.
  const std::string ethernet = "0a000000000a0200000001010800";
  const Bytes error = FromHex(ethernet +
                              "4500003811114000400153fa0a020109c0a80a07"
                              "030456ed00000578450005dcbeef40003e06a270"
                              "c0a80a070a02010b9c40005001020304");
  const Result<IcmpError> read = ParseIcmpError(error);
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->source, Ip("10.2.1.9"));
  EXPECT_EQ(read->destination, Ip("192.168.10.7"));
  EXPECT_EQ(read->quoted, (Demand{.client = Ip("192.168.10.7"),
                                  .sid = Ip("10.2.1.11"),
                                  .proto = IpProto::kTcp,
                                  .src_port = 40000,
                                  .dst_port = 80}));
  const Result<Bytes> mapped = MapIcmpError(error, {.quoted_destination = Ip("10.96.0.1")});
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(ToHex(*mapped), ethernet +
                                "4500003811114000400153fa0a020109c0a80a07"
                                "030456ed00000578450005dcbeef40003e06a31c"
                                "c0a80a070a6000019c40005001020304");
}

TEST(MapIcmpError, AllFourAddressesInBothFamilies) {
  for (const bool v6 : {false, true}) {
    for (const IpProto proto : {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp}) {
      IcmpFrame frame = IcmpFrame::Sample(v6, proto);
      const Bytes error = Build(frame);
      ASSERT_TRUE(ChecksumsRight(error));
      const IcmpErrorAddresses to{.source = Ip(v6 ? "fd77::1" : "203.0.113.1"),
                                  .destination = Ip(v6 ? "fd77::2" : "203.0.113.2"),
                                  .quoted_source = Ip(v6 ? "fd77::3" : "203.0.113.3"),
                                  .quoted_destination = Ip(v6 ? "fd77::4" : "203.0.113.4")};
      const Result<Bytes> mapped = MapIcmpError(error, to);
      ASSERT_TRUE(mapped.ok()) << mapped.error().ToString();
      // The whole packet was quoted, so a packet with these addresses made anew must be what is quoted.
      frame.src = *to.source;
      frame.dst = *to.destination;
      frame.quoted_src = *to.quoted_source;
      frame.quoted_dst = *to.quoted_destination;
      EXPECT_EQ(ToHex(*mapped), ToHex(Build(frame))) << v6 << IpProtoName(proto);
    }
  }
}

TEST(MapIcmpError, UdpWithoutAChecksumGetsNone) {
  IcmpFrame frame = IcmpFrame::Sample(false, IpProto::kUdp);
  frame.quoted_udp_checksum = false;
  const Bytes error = Build(frame);
  const Result<Bytes> mapped = MapIcmpError(error, {.quoted_source = Ip("203.0.113.3")});
  ASSERT_TRUE(mapped.ok());
  frame.quoted_src = Ip("203.0.113.3");
  EXPECT_EQ(ToHex(*mapped), ToHex(Build(frame)));
}

// A checksum that comes out as 0 is written as 0xffff; one address in 65,536 makes it so.
TEST(MapIcmpError, UdpChecksumIsNeverZero) {
  for (const bool v6 : {false, true}) {
    IcmpFrame frame = IcmpFrame::Sample(v6, IpProto::kUdp);
    const Bytes error = Build(frame);
    const size_t checksum_at = v6 ? 14 + 40 + 8 + 40 + 6 : 14 + 20 + 8 + 20 + 6;
    int found = 0;
    for (uint32_t low = 0; low <= 0xffff; ++low) {
      std::array<uint8_t, 16> octets{0xfd, 0x77};
      octets[14] = static_cast<uint8_t>(low >> 8);
      octets[15] = static_cast<uint8_t>(low);
      const IpAddress to = v6 ? IpAddress::V6(octets) : IpAddress::V4(0xcb000000u | low);
      const Result<Bytes> mapped = MapIcmpError(error, {.quoted_source = to});
      ASSERT_TRUE(mapped.ok());
      const int sum = (*mapped)[checksum_at] << 8 | (*mapped)[checksum_at + 1];
      ASSERT_NE(sum, 0) << low;
      if (sum != 0xffff) continue;
      ++found;
      frame.quoted_src = to;
      EXPECT_EQ(ToHex(*mapped), ToHex(Build(frame)));
      const Result<Bytes> back =
          MapIcmpError(*mapped, {.quoted_source = IcmpFrame::Sample(v6, IpProto::kUdp).quoted_src});
      ASSERT_TRUE(back.ok());
      EXPECT_EQ(ToHex(*back), ToHex(error));
    }
    EXPECT_GE(found, 1);
  }
}

TEST(ParseIcmpError, ShortAndOddQuotes) {
  IcmpFrame frame = IcmpFrame::Sample(false, IpProto::kTcp);
  frame.quoted_octets = 28;  // IPv4 header and 8 octets
  EXPECT_TRUE(ParseIcmpError(Build(frame)).ok());
  frame.quoted_octets = 27;
  EXPECT_FALSE(ParseIcmpError(Build(frame)).ok());
  frame.quoted_octets = 19;
  EXPECT_FALSE(ParseIcmpError(Build(frame)).ok());
  frame = IcmpFrame::Sample(true, IpProto::kUdp);
  frame.quoted_octets = 48;
  EXPECT_TRUE(ParseIcmpError(Build(frame)).ok());
  frame.quoted_octets = 47;
  EXPECT_FALSE(ParseIcmpError(Build(frame)).ok());
}

TEST(ParseIcmpError, OtherPacketsAndDamageAreRefused) {
  for (const bool v6 : {false, true}) {
    IcmpFrame frame = IcmpFrame::Sample(v6, IpProto::kTcp);
    const Bytes good = Build(frame);
    ASSERT_TRUE(ParseIcmpError(good).ok());
    for (size_t octets = 0; octets < good.size(); ++octets) {
      EXPECT_FALSE(ParseIcmpError(std::span(good).first(octets)).ok()) << octets;
      EXPECT_FALSE(MapIcmpError(std::span(good).first(octets), {}).ok()) << octets;
    }
    // Whatever octet of the message is damaged, its checksum tells.
    for (size_t at = v6 ? 54 : 34; at < good.size(); ++at) {
      Bytes bad = good;
      bad[at] ^= 0x10;
      EXPECT_FALSE(ParseIcmpError(bad).ok()) << at;
    }
    for (const int type : {0, 5, 8, 128, 129, 135}) {
      frame.type = static_cast<uint8_t>(type);
      EXPECT_FALSE(ParseIcmpError(Build(frame)).ok()) << type;
    }
    const Result<Bytes> mixed = MapIcmpError(good, {.source = Ip(v6 ? "10.0.0.1" : "fd00::1")});
    ASSERT_FALSE(mixed.ok());
    EXPECT_EQ(mixed.error().code, Errc::kInvalid);
    EXPECT_THAT(mixed.error().message, HasSubstr("another family"));
  }
  Bytes fragment = Build(IcmpFrame::Sample(false, IpProto::kTcp));
  fragment[20] = 0x20;  // more fragments
  EXPECT_FALSE(ParseIcmpError(fragment).ok());
  EXPECT_FALSE(ParseIcmpError(Build(Ipv4Packet{})).ok());
  EXPECT_FALSE(ParseIcmpError(Build(NdFrame{})).ok());
}

}  // namespace
}  // namespace dyncast::pipeline
