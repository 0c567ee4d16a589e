// Who may speak, and what happens to those who break the protocol.
#include <gtest/gtest.h>

#include "tests/unit/openflow/harness.h"

namespace dyncast::test {
namespace {

using openflow::MsgType;
using openflow::OutBuffer;
using openflow::Session;
using State = openflow::Session::State;

TEST(Handshake, GoesThroughItsStatesAndChangesNothingBeforeTheDesired) {
  Joined j;
  EXPECT_EQ(j.state(), State::kHello);
  j.Pump();
  EXPECT_EQ(j.state(), State::kFound);
  EXPECT_EQ(j.recorder.found.size(), 1u);
  EXPECT_EQ(j.fake.received(MsgType::kFlowMod), 0u);
  EXPECT_EQ(j.fake.received(MsgType::kBundleControl), 0u);
  EXPECT_EQ(j.counters.connects, 1u);
  j.Want(SmallPlan());
  j.Pump();
  EXPECT_EQ(j.state(), State::kSynced);
}

TEST(Handshake, RefusesAnotherVersionAndSaysSo) {
  Joined j({.version = 0x04});
  j.Pump();
  EXPECT_EQ(j.state(), State::kClosed);
  EXPECT_NE(j.session->close_reason().find("test offers OpenFlow 1.3; 1.5 is needed"), std::string::npos)
      << j.session->close_reason();
  EXPECT_EQ(j.fake.error_received(), (std::pair<uint16_t, uint16_t>(0, 0)));  // hello failed, incompatible
}

TEST(Handshake, RefusesAnUnexpectedSwitch) {
  Joined j;
  j.expected = DatapathId{99};
  j.Pump();
  EXPECT_EQ(j.state(), State::kClosed);
  EXPECT_TRUE(j.recorder.found.empty());
}

TEST(Handshake, ClosesWhenTheFirstMessageIsNoHello) {
  Joined j;
  OutBuffer out;
  out.Message(MsgType::kEchoRequest, 1, 8);
  j.session->OnMessage(out.pending(), j.now);
  EXPECT_EQ(j.state(), State::kClosed);
}

TEST(Handshake, ClosesOnAnotherVersionLater) {
  Joined j;
  j.Start(SmallPlan());
  OutBuffer out;
  out.Message(MsgType::kEchoRequest, 1, 8)[0] = 0x04;
  j.session->OnMessage(out.pending(), j.now);
  EXPECT_EQ(j.state(), State::kClosed);
  EXPECT_EQ(j.counters.malformed_received, 1u);
}

TEST(Handshake, ClosesOnBrokenFramingAndFeatures) {
  Joined j;
  j.session->OnBrokenFraming(7);
  EXPECT_EQ(j.state(), State::kClosed);
  Joined k;
  k.fake.BeSilent(MsgType::kFeaturesRequest);
  k.Pump();
  OutBuffer out;
  out.Message(MsgType::kFeaturesReply, 2, 16);
  k.session->OnMessage(out.pending(), k.now);
  EXPECT_EQ(k.state(), State::kClosed);
}

TEST(Handshake, RefusesAuxiliaryConnections) {
  Joined j;
  j.fake.BeSilent(MsgType::kFeaturesRequest);
  j.Pump();
  OutBuffer out;
  uint8_t* p = out.Message(MsgType::kFeaturesReply, 2, 32);
  openflow::Put64(p + 8, kDpid.value());
  p[21] = 1;
  j.session->OnMessage(out.pending(), j.now);
  EXPECT_EQ(j.state(), State::kClosed);
}

TEST(Handshake, GivesUpOnASilentPeer) {
  Joined j;
  j.fake.BeSilent(std::nullopt);
  j.Pump();
  EXPECT_EQ(j.state(), State::kFeatures);
  j.Advance(std::chrono::seconds(9));
  EXPECT_EQ(j.state(), State::kFeatures);
  EXPECT_LE(j.session->NextDeadline(), j.now.mono + std::chrono::seconds(1));
  j.Advance(std::chrono::seconds(1));
  EXPECT_EQ(j.state(), State::kClosed);
}

TEST(Probes, AnswersEchoesAndSendsItsOwn) {
  Joined j;
  j.Start(SmallPlan());
  OutBuffer out;
  std::memcpy(out.Message(MsgType::kEchoRequest, 77, 12) + 8, "abcd", 4);
  j.session->OnMessage(out.pending(), j.now);
  const openflow::ByteView answer = j.session->out().pending();
  ASSERT_EQ(answer.size(), 12u);
  EXPECT_EQ(openflow::MessageType(answer), MsgType::kEchoReply);
  EXPECT_EQ(openflow::MessageXid(answer), 77u);
  EXPECT_EQ(std::memcmp(answer.data() + 8, "abcd", 4), 0);
  j.Pump();

  j.Advance(std::chrono::seconds(6));
  EXPECT_EQ(j.fake.received(MsgType::kEchoRequest), 1u);
  j.Advance(std::chrono::seconds(6));
  EXPECT_EQ(j.state(), State::kSynced);
  j.fake.BeSilent(MsgType::kEchoRequest);
  j.Advance(std::chrono::seconds(6));
  EXPECT_EQ(j.state(), State::kSynced);
  j.Advance(std::chrono::seconds(6));
  EXPECT_EQ(j.state(), State::kClosed);
}

TEST(Probes, ADumpOrBundleWithoutAnswerEndsTheSession) {
  Joined j;
  j.fake.BeSilent(MsgType::kMultipartRequest);
  j.Pump();
  EXPECT_EQ(j.state(), State::kDumping);
  for (int i = 0; i < 16; ++i) j.Advance(std::chrono::seconds(4));
  EXPECT_EQ(j.state(), State::kClosed);
  EXPECT_NE(j.session->close_reason().find("dump"), std::string::npos) << j.session->close_reason();

  Joined k;
  k.Pump();
  k.fake.BeSilent(MsgType::kBundleControl);
  k.Want(SmallPlan());
  k.Pump();
  EXPECT_EQ(k.state(), State::kSyncing);
  for (int i = 0; i < 16; ++i) k.Advance(std::chrono::seconds(4));
  EXPECT_EQ(k.state(), State::kClosed);
}

TEST(Punts, AreReadAndStrangersCounted) {
  Joined j;
  j.Start(SmallPlan());
  const std::vector<uint8_t> packet(61, 0xab);
  j.fake.SendPunt(1, 5, 3, 0, packet);
  j.fake.SendPunt(2, 5, 0xfffffffe, 0x0a000001, packet);
  j.fake.SendPunt(3, 0, 3, 0x0a000002, packet);
  j.fake.SendPunt(99, 5, 3, 0, packet);  // no such reason
  j.fake.SendPunt(1, 0, 3, 0, packet);   // a demand without a service
  j.Pump();
  ASSERT_EQ(j.recorder.punts.size(), 3u);
  EXPECT_EQ(j.recorder.punts[0].punt.reason, pipeline::PuntReason::kDemand);
  EXPECT_EQ(j.recorder.punts[0].punt.service, ServiceId{5});
  EXPECT_EQ(j.recorder.punts[0].punt.in_port, PortNo{3});
  EXPECT_EQ(j.recorder.punts[0].packet, packet);
  EXPECT_EQ(j.recorder.punts[1].punt.reason, pipeline::PuntReason::kEgressGone);
  EXPECT_EQ(j.recorder.punts[1].punt.in_port, PortNo{0xfffe});
  EXPECT_EQ(j.recorder.punts[2].punt.neighbor, IpAddress()) << "the packet is no IP packet";
  EXPECT_EQ(j.counters.punts_received, 5u);
  EXPECT_EQ(j.counters.malformed_received, 2u);
  EXPECT_EQ(j.state(), State::kSynced);
}

TEST(Punts, KnowTheirVlanAndTheNextHopOfTheirFamily) {
  Joined j;
  j.Start(SmallPlan());
  std::vector<uint8_t> v4(61, 0);
  v4[12] = 0x08;
  v4[13] = 0x00;
  std::vector<uint8_t> v6(61, 0);
  v6[12] = 0x86;
  v6[13] = 0xdd;
  std::vector<uint8_t> tagged(61, 0);
  tagged[12] = 0x81;
  tagged[16] = 0x86;
  tagged[17] = 0xdd;
  const FakePunt both{.userdata = {5},
                      .in_port = 7,
                      .reg5 = 0x0a000002,
                      .reg6 = 3u | 100u << 16,
                      .xxreg3 = {0x20010db8, 0, 0, 9}};
  j.fake.SendPunt(both, v4);
  j.fake.SendPunt(both, v6);
  j.fake.SendPunt(both, tagged);
  FakePunt none = both;
  none.reg5 = 0;
  none.xxreg3 = {};
  none.userdata = {7};
  j.fake.SendPunt(none, v4);
  none.userdata = {6, 0, 5};
  j.fake.SendPunt(none, v6);
  none.reg0 = 12;
  none.userdata = {8, 0, 5};
  j.fake.SendPunt(none, v4);
  j.Pump();
  ASSERT_EQ(j.recorder.punts.size(), 6u);
  const auto punt = [&](size_t i) { return j.recorder.punts[i].punt; };
  EXPECT_EQ(punt(0).in_port, TaggedPort(PortNo{7}, 100));
  EXPECT_EQ(punt(0).neighbor, IpAddress::V4(0x0a000002));
  EXPECT_EQ(punt(0).reason, pipeline::PuntReason::kIcmpErrorToClient);
  EXPECT_EQ(punt(1).neighbor, *IpAddress::Parse("2001:db8::9"));
  EXPECT_EQ(punt(2).neighbor, *IpAddress::Parse("2001:db8::9"));
  EXPECT_TRUE(punt(3).neighbor.is_none());
  EXPECT_EQ(punt(3).reason, pipeline::PuntReason::kTtlExceeded);
  EXPECT_EQ(punt(4).reason, pipeline::PuntReason::kIcmpErrorToSid);
  EXPECT_EQ(punt(4).service, ServiceId{5});
  EXPECT_TRUE(punt(4).neighbor.is_none());
  EXPECT_FALSE(punt(4).instance.valid());
  EXPECT_EQ(punt(5).reason, pipeline::PuntReason::kFragmentToInstance);
  EXPECT_EQ(punt(5).service, ServiceId{5});
  EXPECT_EQ(punt(5).instance, InstanceId{12});
}

// What a packet that came by a tunnel brings along, as OVS says it: fields of any length.
std::vector<uint8_t> TunnelFields() {
  std::vector<uint8_t> fields;
  const auto put = [&](uint16_t oxm_class, uint8_t field, bool masked, size_t size) {
    const size_t at = fields.size();
    fields.resize(at + 4 + size, 0xa5);
    openflow::Put16(fields.data() + at, oxm_class);
    fields[at + 2] = static_cast<uint8_t>(field << 1 | (masked ? 1 : 0));
    fields[at + 3] = static_cast<uint8_t>(size);
  };
  put(0x8000, 38, false, 8);  // OXM_OF_TUNNEL_ID
  put(1, 31, false, 4);       // NXM_NX_TUN_IPV4_SRC
  put(1, 32, false, 4);
  put(0xffff, 1, true, 8);  // an experimenter's: tun_flags
  put(1, 40, false, 4);     // NXM_NX_TUN_METADATA0
  put(1, 41, false, 12);
  put(1, 42, false, 16);
  put(1, 43, false, 0);
  put(1, 103, false, 124);
  put(1, 50, true, 248);
  return fields;
}

TEST(Punts, OfADemandThatCameByATunnelNameWhoAsks) {
  Joined j;
  j.Start(SmallPlan());
  std::vector<uint8_t> packet(61, 0);
  packet[12] = 0x86;
  packet[13] = 0xdd;
  FakePunt demand{.userdata = {1, 0, 5},
                  .in_port = 10,
                  .reg5 = 0x0a000001,
                  .reg6 = 4,
                  .xxreg3 = {0x20010db8, 0, 0, 9},
                  .other_fields = TunnelFields()};
  j.fake.SendPunt(demand, packet);
  packet[12] = 0x08;
  packet[13] = 0x00;
  j.fake.SendPunt(demand, packet);
  demand.reg5 = 0;
  packet[12] = 0x86;
  packet[13] = 0xdd;
  j.fake.SendPunt(demand, packet);
  demand.userdata = {3};
  j.fake.SendPunt(demand, packet);
  j.Pump();
  ASSERT_EQ(j.recorder.punts.size(), 4u);
  const auto punt = [&](size_t i) { return j.recorder.punts[i].punt; };
  for (const size_t i : {0u, 1u}) {
    EXPECT_EQ(punt(i).reason, pipeline::PuntReason::kDemand);
    EXPECT_EQ(punt(i).service, ServiceId{5});
    EXPECT_EQ(punt(i).in_port, PortNo{10});
    EXPECT_EQ(punt(i).neighbor, IpAddress::V4(0x0a000001)) << "whatever the family of what is asked";
  }
  EXPECT_TRUE(punt(2).neighbor.is_none());
  EXPECT_EQ(punt(3).neighbor, *IpAddress::Parse("2001:db8::9"));
  EXPECT_EQ(j.counters.malformed_received, 0u);
  // One that is cut off in a field is not guessed at.
  demand.other_fields.back() = 0;
  demand.other_fields.resize(demand.other_fields.size() - 200);
  demand.xxreg3 = {};
  demand.reg6 = 0;
  j.fake.SendPunt(demand, packet);
  j.Pump();
  EXPECT_EQ(j.recorder.punts.size(), 4u);
  EXPECT_EQ(j.counters.malformed_received, 1u);
}

TEST(PacketOuts, NameThePhysicalPort) {
  Joined j;
  j.Start(SmallPlan());
  std::vector<uint32_t> in_ports;
  j.fake.on_packet_out = [&](openflow::ByteView m) { in_ports.push_back(openflow::Get32(m.data() + 24)); };
  const std::vector<uint8_t> packet(60, 1);
  j.session->ForwardDemand(TaggedPort(PortNo{7}, 100), ServiceId{5}, InstanceId{2}, packet);
  j.session->ForwardDemand(PortNo{0xfffe}, ServiceId{5}, InstanceId{2}, packet);
  j.session->SendPacket(TaggedPort(PortNo{7}, 100), packet);
  j.session->SendToNeighbor(*IpAddress::Parse("2001:db8::9"), packet);
  j.Pump();
  j.session->ForwardMiss(TaggedPort(PortNo{10}, 0), MakeBinding(1).key, InstanceId{2},
                         IpAddress::V4(0x0a000001), packet);
  j.session->SendHello(PortNo{10}, IpAddress::V4(0x0a000001));
  j.Pump();
  EXPECT_EQ(in_ports, (std::vector<uint32_t>{7, 0xfffffffe, 0xfffffffd, 0xfffffffd, 10, 0xfffffffd}));
  EXPECT_EQ(j.counters.packet_outs_sent, 6u);
}

}  // namespace
}  // namespace dyncast::test
