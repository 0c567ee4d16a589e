// Packets that a builder makes are read back field by field; damaged ones are read or refused, no more.
#include <gtest/gtest.h>

#include <random>

#include "ovs-integration/pipeline/packet.h"
#include "tests/support/packets/packets.h"

namespace dyncast::pipeline {
namespace {

using test::Build;
using test::Bytes;
using test::ChecksumsRight;
using test::Ipv4Packet;

class PacketProperty : public testing::Test {
 protected:
  PacketProperty() : trace(__FILE__, __LINE__, "seed " + std::to_string(seed)) {}

  uint16_t Any16() { return static_cast<uint16_t>(random()); }
  Ipv4Packet AnyPacket() {
    constexpr IpProto kProtos[] = {IpProto::kTcp, IpProto::kUdp, IpProto::kSctp, IpProto::kIcmp,
                                   static_cast<IpProto>(47)};
    Ipv4Packet packet;
    for (MacAddress* mac : {&packet.eth_src, &packet.eth_dst}) {
      for (uint8_t& octet : mac->octets) octet = static_cast<uint8_t>(random());
    }
    if (random() % 4 == 0) packet.vlan = Any16();
    packet.src = IpAddress::V4(static_cast<uint32_t>(random()));
    packet.dst = IpAddress::V4(static_cast<uint32_t>(random()));
    packet.proto = kProtos[random() % std::size(kProtos)];
    packet.src_port = Any16();
    packet.dst_port = Any16();
    packet.ttl = static_cast<uint8_t>(random());
    if (random() % 5 == 0) packet.fragment_offset = static_cast<uint16_t>(random() % 8192 * 8 % 65536);
    packet.more_fragments = random() % 5 == 0;
    packet.payload = std::string(random() % 40, static_cast<char>(random()));
    return packet;
  }

  const unsigned seed = std::random_device{}();
  testing::ScopedTrace trace;
  std::mt19937 random{seed};
};

TEST_F(PacketProperty, WhatIsBuiltIsReadBack) {
  for (int i = 0; i < 20000; ++i) {
    const Ipv4Packet in = AnyPacket();
    const Bytes frame = Build(in);
    const Result<ParsedPacket> out = ParsePacket(frame);
    ASSERT_TRUE(out.ok()) << out.error().ToString() << " " << test::ToHex(frame);
    EXPECT_EQ(out->eth_src, in.eth_src);
    EXPECT_EQ(out->eth_dst, in.eth_dst);
    EXPECT_EQ(out->demand.client, in.src);
    EXPECT_EQ(out->demand.sid, in.dst);
    EXPECT_EQ(out->demand.proto, in.proto);
    EXPECT_EQ(out->ttl, in.ttl);
    EXPECT_EQ(out->later_fragment, in.fragment_offset != 0);
    const bool ports = in.fragment_offset == 0 &&
                       (in.proto == IpProto::kTcp || in.proto == IpProto::kUdp || in.proto == IpProto::kSctp);
    EXPECT_EQ(out->demand.src_port, ports ? in.src_port : 0);
    EXPECT_EQ(out->demand.dst_port, ports ? in.dst_port : 0);
    const bool whole = !in.vlan && in.fragment_offset == 0;
    EXPECT_TRUE(!whole || ChecksumsRight(frame)) << test::ToHex(frame);
  }
}

TEST_F(PacketProperty, DamageIsReadOrRefusedButNothingElse) {
  for (int i = 0; i < 20000; ++i) {
    Bytes frame = Build(AnyPacket());
    for (uint32_t hits = static_cast<uint32_t>(random() % 4); hits > 0; --hits) {
      frame[random() % frame.size()] = static_cast<uint8_t>(random());
    }
    if (random() % 2 == 0) frame.resize(random() % (frame.size() + 1));
    const Result<ParsedPacket> parsed = ParsePacket(frame);
    (void)ParseNeighbor(frame);
    (void)ParseIcmpError(frame);
    const std::optional<Bytes> answer = MakeUnreachable(frame);
    if (!answer) continue;
    ASSERT_TRUE(parsed.ok());
    const Result<ParsedPacket> back = ParsePacket(*answer);
    ASSERT_TRUE(back.ok()) << test::ToHex(*answer);
    EXPECT_EQ(back->demand.client, parsed->demand.sid);
    EXPECT_EQ(back->demand.sid, parsed->demand.client);
  }
}

}  // namespace
}  // namespace dyncast::pipeline
