// ARP and neighbour discovery, read and written.
#include <gtest/gtest.h>

#include "ovs-integration/pipeline/packet.h"
#include "tests/support/packets/packets.h"

namespace dyncast::pipeline {
namespace {

using test::ArpFrame;
using test::Build;
using test::Bytes;
using test::FromHex;
using test::Ip;
using test::Ipv4Packet;
using test::Ipv6Packet;
using test::Mac;
using test::NdFrame;
using test::ToHex;

TEST(ParseNeighborArp, ReadsRequestAndReply) {
  ArpFrame frame;
  Result<NeighborPacket> parsed = ParseNeighbor(Build(frame));
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->request);
  EXPECT_EQ(parsed->sender, Ip("10.0.0.1"));
  EXPECT_EQ(parsed->target, Ip("10.0.0.2"));
  frame.operation = 2;
  parsed = ParseNeighbor(Build(frame));
  ASSERT_TRUE(parsed.ok());
  EXPECT_FALSE(parsed->request);
  frame.operation = 3;
  EXPECT_FALSE(ParseNeighbor(Build(frame)).ok());
  frame.operation = 2;
  frame.sender_mac = Mac("ff:ff:ff:ff:ff:ff");
  EXPECT_FALSE(ParseNeighbor(Build(frame)).ok());
  EXPECT_FALSE(ParseNeighbor(Build(Ipv4Packet{})).ok());
}

TEST(ParseNeighborArp, OtherHardwareAndLengthsAreRefused) {
  const Bytes good = Build(ArpFrame{});
  for (size_t at : {14u, 15u, 16u, 18u, 19u}) {
    Bytes bad = good;
    ++bad[at];
    EXPECT_FALSE(ParseNeighbor(bad).ok()) << at;
  }
  EXPECT_FALSE(ParseNeighbor(std::span(good).first(41)).ok());
}

TEST(MakeArpRequest, IsWhatTheBuilderMakes) {
  const MacAddress mac = Mac("02:00:00:00:01:02");
  EXPECT_EQ(
      MakeArpRequest(mac, Ip("10.2.1.1"), Ip("10.2.1.9")),
      Build(ArpFrame{.eth_src = mac, .sender_mac = mac, .sender = Ip("10.2.1.1"), .target = Ip("10.2.1.9")}));
}

TEST(ParseNeighborNd, ReadsSolicitationAndAdvertisement) {
  NdFrame frame;
  frame.link_address = frame.eth_src;
  Result<NeighborPacket> parsed = ParseNeighbor(Build(frame));
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_TRUE(parsed->request);
  EXPECT_EQ(parsed->sender, frame.src);
  EXPECT_EQ(parsed->sender_mac, frame.eth_src);
  EXPECT_EQ(parsed->target, frame.target);

  frame.advertisement = true;
  frame.vlan = 20;
  parsed = ParseNeighbor(Build(frame));
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_FALSE(parsed->request);
  EXPECT_EQ(parsed->sender, frame.target);
  EXPECT_EQ(parsed->sender_mac, frame.eth_src);

  frame.link_address.reset();
  parsed = ParseNeighbor(Build(frame));
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->sender_mac.is_none());
}

TEST(ParseNeighborNd, WhatARouterWouldNotBelieveIsRefused) {
  const auto refused = [](const NdFrame& frame, const Bytes& bytes) {
    return ParseNeighbor(Build(frame)).ok() && !ParseNeighbor(bytes).ok();
  };
  NdFrame good;
  good.link_address = good.eth_src;
  const auto with = [&](auto change) {
    NdFrame frame = good;
    change(frame);
    return Build(frame);
  };
  EXPECT_TRUE(refused(good, with([](NdFrame& f) { f.hop_limit = 254; })));
  EXPECT_TRUE(refused(good, with([](NdFrame& f) { f.target = Ip("ff02::1"); })));
  EXPECT_TRUE(refused(good, with([](NdFrame& f) { f.target = Ip("::ffff:10.0.0.1"); })));
  EXPECT_TRUE(refused(good, with([](NdFrame& f) { f.src = Ip("ff02::1"); })));
  EXPECT_TRUE(refused(good, with([](NdFrame& f) { f.link_address = Mac("01:00:00:00:00:01"); })));
  // Each octet from the IPv6 source on is covered by the checksum.
  for (size_t at = 22; at < Build(good).size(); ++at) {
    Bytes bad = Build(good);
    bad[at] ^= 0x40;
    EXPECT_TRUE(refused(good, bad)) << at;
  }
  const Bytes whole = Build(good);
  for (size_t octets = 0; octets < whole.size(); ++octets) {
    EXPECT_FALSE(ParseNeighbor(std::span(whole).first(octets)).ok()) << octets;
  }
  Ipv6Packet other;
  other.proto = IpProto::kIcmp;
  other.icmp_type = 134;
  other.hop_limit = 255;
  other.payload = std::string(16, '\0');
  EXPECT_FALSE(ParseNeighbor(Build(other)).ok());
  other.icmp_type = 135;
  other.extensions = {44};  // an atomic fragment holds nothing back
  EXPECT_TRUE(ParseNeighbor(Build(other)).ok());
  other.fragment_offset = 8;
  EXPECT_FALSE(ParseNeighbor(Build(other)).ok());
}

TEST(MakeNeighborSolicit, IsWhatRfc4861Says) {
  const Bytes made = MakeNeighborSolicit(Mac("02:00:00:00:01:02"), Ip("fd02:1::1"), Ip("fd02:1::1234:5678"));
  NdFrame frame;
  frame.eth_src = Mac("02:00:00:00:01:02");
  frame.eth_dst = Mac("33:33:ff:34:56:78");
  frame.src = Ip("fd02:1::1");
  frame.dst = Ip("ff02::1:ff34:5678");
  frame.target = Ip("fd02:1::1234:5678");
  frame.link_address = frame.eth_src;
  EXPECT_EQ(ToHex(made), ToHex(Build(frame)));
  EXPECT_EQ(ToHex(made),
            "3333ff345678"
            "020000000102"
            "86dd"
            "6000000000203aff"
            "fd020001000000000000000000000001"
            "ff0200000000000000000001ff345678"
            "8700"
            "bd3b"
            "00000000"
            "fd020001000000000000000012345678"
            "0101020000000102");
}

}  // namespace
}  // namespace dyncast::pipeline
