#include "ovs-integration/pipeline/packet.h"

#include <gtest/gtest.h>

#include "tests/support/packets/packets.h"

namespace dyncast::pipeline {
namespace {

using test::ArpFrame;
using test::Build;
using test::Bytes;
using test::ChecksumsRight;
using test::Ip;
using test::Ipv4Packet;
using test::Ipv6Packet;
using test::Mac;

TEST(ParsePacket, TagIsSkippedOnce) {
  Ipv4Packet packet;
  packet.vlan = 42;
  const Result<ParsedPacket> parsed = ParsePacket(Build(packet));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->eth_type, 0x0800);
  EXPECT_EQ(parsed->demand.dst_port, 80);
  Bytes twice = Build(packet);
  twice.insert(twice.begin() + 12, {0x81, 0x00, 0x00, 0x01});
  EXPECT_FALSE(ParsePacket(twice).ok());
}

TEST(ParsePacket, Ipv4OptionsAndPaddingAreAllowed) {
  Bytes packet = Build(Ipv4Packet{});
  packet.insert(packet.begin() + 34, 8, 1);  // two words of NOP options
  packet[14] = 0x47;
  packet[17] = static_cast<uint8_t>(packet[17] + 8);
  packet.resize(packet.size() + 20);
  const Result<ParsedPacket> parsed = ParsePacket(packet);
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_EQ(parsed->demand.src_port, 40000);
}

TEST(ParsePacket, LaterFragmentHasNoPorts) {
  Ipv4Packet packet;
  packet.proto = IpProto::kUdp;
  packet.fragment_offset = 1480;
  packet.payload = "12";
  const Result<ParsedPacket> parsed = ParsePacket(Build(packet));
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->later_fragment);
  EXPECT_EQ(parsed->demand.src_port, 0);
  EXPECT_EQ(parsed->demand.proto, IpProto::kUdp);
}

TEST(ParsePacket, ExtensionHeadersUpToEight) {
  Ipv6Packet packet;
  packet.extensions = {0, 43, 60, 51, 135, 60, 60, 44};
  Result<ParsedPacket> parsed = ParsePacket(Build(packet));
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_EQ(parsed->demand.dst_port, 80);
  EXPECT_EQ(parsed->demand.client, Ip("fd00::1"));
  EXPECT_FALSE(parsed->later_fragment);
  packet.fragment_offset = 1448;
  parsed = ParsePacket(Build(packet));
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->later_fragment);
  EXPECT_EQ(parsed->demand.dst_port, 0);
  packet.extensions.insert(packet.extensions.begin(), 0);
  parsed = ParsePacket(Build(packet));
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().code, Errc::kLimit);
}

TEST(ParsePacket, IcmpIsOneProtocolInBothFamilies) {
  Ipv6Packet packet;
  packet.proto = IpProto::kIcmp;
  packet.vlan = 7;
  const Result<ParsedPacket> parsed = ParsePacket(Build(packet));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->demand.proto, IpProto::kIcmp);
  Bytes wrong = Build(Ipv6Packet{});
  wrong[20] = 1;  // ICMP's number, which says nothing in an IPv6 packet
  ASSERT_TRUE(ParsePacket(wrong).ok());
  EXPECT_EQ(ParsePacket(wrong)->demand.proto, IpProto::kAny);
}

// Read as it stands, such a packet would pass for a demand of an IPv4 client.
TEST(ParsePacket, MappedAddressesAreRefused) {
  Ipv6Packet packet;
  packet.src = Ip("::ffff:10.0.0.1");
  EXPECT_FALSE(ParsePacket(Build(packet)).ok());
}

TEST(ParsePacket, EveryTruncationIsRefused) {
  Ipv4Packet v4;
  v4.payload.clear();
  Ipv6Packet v6;
  v6.extensions = {0, 44};
  for (const Bytes& whole : {Build(v4), Build(v6)}) {
    ASSERT_TRUE(ParsePacket(whole).ok());
    for (size_t octets = 0; octets < whole.size(); ++octets) {
      EXPECT_FALSE(ParsePacket(std::span(whole).first(octets)).ok()) << octets;
    }
  }
}

TEST(ParsePacket, LyingLengthsAreRefused) {
  const Bytes good = Build(Ipv4Packet{});
  for (const auto& [at, value] :
       {std::pair{14, 0x44}, {14, 0x65}, {14, 0x4f}, {16, 0xff}, {17, 19}, {17, 30}}) {
    Bytes bad = good;
    bad[static_cast<size_t>(at)] = static_cast<uint8_t>(value);
    EXPECT_FALSE(ParsePacket(bad).ok()) << at << " " << value;
  }
}

TEST(MakeUnreachable, AnswersFromTheAddressThatWasAsked) {
  Ipv4Packet demand;
  demand.payload = std::string(1400, 'z');
  const Bytes packet = Build(demand);
  const std::optional<Bytes> answer = MakeUnreachable(packet);
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(ChecksumsRight(*answer));
  EXPECT_EQ(answer->size(), 14u + 576u);
  const Result<ParsedPacket> parsed = ParsePacket(*answer);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->eth_dst, demand.eth_src);
  EXPECT_EQ(parsed->eth_src, demand.eth_dst);
  EXPECT_EQ(parsed->demand.client, demand.dst);
  EXPECT_EQ(parsed->demand.sid, demand.src);
  EXPECT_EQ((*answer)[34], 3);
  EXPECT_EQ((*answer)[35], 1);
  EXPECT_TRUE(std::equal(answer->begin() + 42, answer->end(), packet.begin() + 14));
  EXPECT_EQ(MakeUnreachable(*answer), std::nullopt);
}

TEST(MakeUnreachable, KeepsSilentWhereItMust) {
  const auto silent = [](Ipv4Packet packet) { return MakeUnreachable(Build(packet)) == std::nullopt; };
  Ipv4Packet packet;
  EXPECT_FALSE(silent(packet));
  packet.proto = IpProto::kIcmp;
  EXPECT_FALSE(silent(packet));  // an echo request is no error
  for (const uint8_t type : std::vector<uint8_t>{3, 4, 5, 11, 12}) {
    packet.icmp_type = type;
    EXPECT_TRUE(silent(packet)) << int{type};
  }
  packet = {};
  packet.fragment_offset = 8;
  EXPECT_TRUE(silent(packet));
  for (const char* source : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"}) {
    packet = {};
    packet.src = Ip(source);
    EXPECT_TRUE(silent(packet)) << source;
  }
  packet = {};
  packet.dst = Ip("224.0.0.5");
  EXPECT_TRUE(silent(packet));
  packet = {};
  packet.eth_dst = Mac("ff:ff:ff:ff:ff:ff");
  EXPECT_TRUE(silent(packet));
  EXPECT_EQ(MakeUnreachable(Build(ArpFrame{})), std::nullopt);
  EXPECT_EQ(MakeUnreachable({}), std::nullopt);
}

TEST(MapLaterFragment, ChangesTheAddressesAndNothingElse) {
  for (const IpProto proto : {IpProto::kTcp, IpProto::kUdp}) {
    Ipv4Packet packet{.proto = proto, .fragment_offset = 1480, .more_fragments = true};
    packet.payload = std::string(1400, '\x5a');
    Ipv4Packet wanted = packet;
    wanted.dst = Ip("10.2.1.11");
    EXPECT_EQ(MapLaterFragment(Build(packet), {}, wanted.dst), Build(wanted));
    wanted = packet;
    wanted.src = Ip("10.96.0.1");
    EXPECT_EQ(MapLaterFragment(Build(packet), wanted.src, {}), Build(wanted));
    packet.vlan = 7;
    wanted.vlan = 7;
    EXPECT_EQ(MapLaterFragment(Build(packet), wanted.src, {}), Build(wanted));
  }
}

TEST(MapLaterFragment, LeavesOtherPacketsAlone) {
  const auto mapped = [](const Bytes& packet) {
    return MapLaterFragment(packet, Ip("10.96.0.1"), {}).has_value();
  };
  EXPECT_TRUE(mapped(Build(Ipv4Packet{.fragment_offset = 8})));
  EXPECT_FALSE(mapped(Build(Ipv4Packet{})));
  EXPECT_FALSE(mapped(Build(Ipv4Packet{.more_fragments = true})));
  EXPECT_FALSE(mapped(Build(Ipv4Packet{.proto = IpProto::kIcmp, .fragment_offset = 8})));
  EXPECT_FALSE(mapped(Build(Ipv4Packet{.proto = IpProto::kSctp, .fragment_offset = 8})));
  EXPECT_FALSE(mapped(Build(Ipv6Packet{.extensions = {44}, .fragment_offset = 8})));
  EXPECT_FALSE(mapped({}));
  Bytes damaged = Build(Ipv4Packet{.fragment_offset = 8});
  damaged[24] ^= 1;  // the header's checksum
  EXPECT_FALSE(mapped(damaged));
}

}  // namespace
}  // namespace dyncast::pipeline
