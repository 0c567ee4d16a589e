// Octets written by template or read by hand, against libopenvswitch's codecs.
#include <gtest/gtest.h>
#include <openvswitch/meta-flow.h>
#include <openvswitch/ofp-group.h>

#include <memory>

#include "ovs-integration/openflow/binding_codec.h"
#include "ovs-integration/openflow/flow_image.h"
#include "ovs-integration/openflow/group_codec.h"
#include "ovs-integration/openflow/ovs_headers.h"
#include "ovs-integration/openflow/oxm.h"
#include "ovs-integration/openflow/packet_out.h"
#include "ovs-integration/openflow/punt.h"
#include "ovs-integration/pipeline/compile.h"
#include "tests/property/openflow/random_binding.h"

namespace dyncast::test {
namespace {

using openflow::Bytes;
using openflow::ByteView;
using openflow::OutBuffer;

Bytes Taken(const OutBuffer& out) { return {out.pending().begin(), out.pending().end()}; }

TEST(BindingTemplates, EqualTheSpecification) {
  using Form = openflow::BindingEncoder::Form;
  RandomBindings random(Seed());
  openflow::BindingEncoder encoder;
  for (int i = 0; i < 20000; ++i) {
    const BindingFlow b = random.Next();
    const bool header = FormOf(b.place) == KeyForm::kHeader;
    const Form form = header ? Form::kHeader : random.Below(4) == 0 ? Form::kLearned : Form::kPushed;
    BindingFlow meant = b;
    if (form == Form::kLearned) meant.fin_timeout = std::chrono::seconds{0};
    pipeline::Flow flow = pipeline::CompileBinding(meant);
    if (form == Form::kLearned) flow.match = pipeline::BindingMatch(b.key, BindingPlace::kGeneration1);
    const auto image = openflow::ImageFromText(flow);
    ASSERT_TRUE(image.ok()) << image.error().ToString();
    OutBuffer add;
    ASSERT_TRUE(encoder.WriteAdd(&add, 0, b, form));
    ASSERT_EQ(Taken(add), image->add) << pipeline::ToText(flow);
    OutBuffer remove;
    ASSERT_TRUE(encoder.WriteDelete(&remove, 0, b, form));
    flow = pipeline::CompileBinding({.key = b.key,
                                     .instance = InstanceId{1},
                                     .place = header ? BindingPlace::kHeaderTimed : BindingPlace::kTimed,
                                     .client_bits = b.client_bits});
    if (form == Form::kLearned) flow.match = pipeline::BindingMatch(b.key, BindingPlace::kGeneration1);
    Bytes expected = openflow::ImageFromText(flow)->MakeDelete();
    if (form != Form::kPushed) expected[24] = 0xff;
    openflow::Put64(expected.data() + 8, 0xd103000000000000ull);  // ours, a binding
    openflow::Put64(expected.data() + 16, 0xffff000000000000ull);
    ASSERT_EQ(Taken(remove), expected);
    OutBuffer bundled;
    ASSERT_TRUE(encoder.WriteBundledAdd(&bundled, 0x01020304, 9, b, form));
    const Bytes wrapped = Taken(bundled);
    ASSERT_EQ(wrapped.size(), 16 + image->add.size());
    Bytes inner(wrapped.begin() + 16, wrapped.end());
    ASSERT_EQ(openflow::MessageXid(inner), 0x01020304u);
    openflow::Put32(inner.data() + 4, 0);
    ASSERT_EQ(inner, image->add);
    // And the match says the key again.
    const auto match = openflow::CutMatch(ByteView(image->add).subspan(48));
    ASSERT_TRUE(match.has_value());
    const auto cookie = pipeline::DecodeCookie(image->cookie());
    ASSERT_TRUE(cookie.has_value());
    const auto read = openflow::ReadBindingKey(match->fields, *cookie, FormOf(b.place));
    ASSERT_TRUE(read.has_value()) << pipeline::ToText(flow);
    ASSERT_EQ(read->key, b.key);
    ASSERT_EQ(read->client_bits, b.client_bits);
    const auto other = header ? KeyForm::kRegisters : KeyForm::kHeader;
    ASSERT_FALSE(openflow::ReadBindingKey(match->fields, *cookie, other));
    const bool tcp = b.place == BindingPlace::kTimed && openflow::BindingEncoder::FormsDiffer(b.key);
    ASSERT_EQ(read->pushed, tcp && form == Form::kPushed);
  }
  EXPECT_EQ(encoder.slow_encodings(), 0u);  // every shape has its template
}

// What a match says of the binding that `b` is; nullopt: nothing.
std::optional<openflow::MatchedKey> ReadMatch(const BindingFlow& b, const std::string& match) {
  const auto cookie = pipeline::DecodeCookie(pipeline::CompileBinding(b).cookie);
  const auto image = openflow::ImageFromText({.table = 20, .priority = 1, .match = match, .actions = "drop"});
  EXPECT_TRUE(image.ok()) << match;
  if (!image.ok()) return std::nullopt;
  return openflow::ReadBindingKey(openflow::CutMatch(ByteView(image->add).subspan(48))->fields, *cookie,
                                  FormOf(b.place));
}

TEST(BindingKeys, AreReadFromNoOtherMatch) {
  RandomBindings random(Seed());
  for (int i = 0; i < 500; ++i) {
    BindingFlow b = random.Next();
    b.place = BindingPlace::kTimed;
    const auto read = [&](const std::string& match) { return ReadMatch(b, match); };
    const std::string plain = pipeline::BindingMatch(b.key, BindingPlace::kGeneration0);
    EXPECT_TRUE(read(plain).has_value());
    EXPECT_FALSE(read(plain + ",reg2=1"));
    EXPECT_FALSE(read(plain + ",in_port=1"));
    EXPECT_FALSE(read(plain + ",metadata=1"));
    EXPECT_FALSE(read("udp," + plain));
    EXPECT_FALSE(read("ip," + plain));
    EXPECT_FALSE(read(plain.substr(0, plain.rfind(','))));               // no client
    EXPECT_FALSE(read(plain.substr(plain.find(',') + 1)));               // no service
    EXPECT_FALSE(read("reg1=0x1/0x1" + plain.substr(plain.find(','))));  // a mask
  }
}

// `text` with `from`, which is in it, replaced.
std::string With(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << text << " has no " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(BindingKeys, InHeadersAreReadFromNoOtherMatch) {
  const BindingFlow b{.key = {.client = IpAddress::V4(0xc0a80a07),
                              .src_port = 40000,
                              .dst_port = 80,
                              .service = ServiceId{9},
                              .at = SwitchId{1},
                              .proto = IpProto::kTcp},
                      .instance = InstanceId{11},
                      .place = BindingPlace::kHeaderTimed};
  const std::string match = pipeline::BindingMatch(b.key, b.place);
  ASSERT_EQ(match, "tcp,reg1=0x9,reg4=0x6,reg7=0x1,nw_src=192.168.10.7,tp_src=40000,tp_dst=80");
  const auto read = [&](const std::string& text) { return ReadMatch(b, text); };
  ASSERT_TRUE(read(match));
  EXPECT_FALSE(read(match + ",reg8=1"));
  EXPECT_FALSE(read(match + ",nw_dst=10.0.0.1"));
  EXPECT_FALSE(read(match + ",in_port=1"));
  EXPECT_FALSE(read(match + ",nw_ttl=1"));
  EXPECT_FALSE(read(match + ",tcp_flags=2/2"));
  EXPECT_FALSE(read(With(match, "tcp,", "udp,")));            // not what reg4 says
  EXPECT_FALSE(read(With(match, "reg4=0x6", "reg4=0x11")));   // the same
  EXPECT_FALSE(read(With(match, "reg4=0x6", "reg4=0x106")));  // IPv6, it says
  EXPECT_FALSE(read(With(match, "reg1=0x9", "reg1=0x8")));    // not the cookie's service
  EXPECT_FALSE(read(With(match, "reg7=0x1", "reg7=0x0")));    // no ports, it says
  EXPECT_FALSE(read(With(match, "reg7=0x1", "reg7=0x2")));
  EXPECT_FALSE(read(With(match, ",reg7=0x1", "")));
  EXPECT_FALSE(read(With(match, ",tp_dst=80", "")));
  EXPECT_FALSE(read(With(match, ",tp_dst=80", ",tp_dst=0x50/0xfff0")));
  EXPECT_FALSE(read(With(match, ",tp_src=40000", ",tp_src=0")));
  EXPECT_FALSE(read(With(match, "192.168.10.7", "192.168.10.7/255.255.0.255")));  // no prefix
  // A prefix is read, for the caller to compare with the service's.
  const auto prefix = read(With(match, "192.168.10.7", "192.168.10.0/24"));
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->client_bits, 24);
  // A key with fewer ports is another one.
  ASSERT_TRUE(read(With(match, ",tp_src=40000", "")));
  EXPECT_EQ(read(With(match, ",tp_src=40000", ""))->key.src_port, 0);
  ASSERT_TRUE(read("ip,reg1=0x9,reg4=0x6,reg7=0,nw_src=192.168.10.7"));  // of fragments
  EXPECT_FALSE(read("tcp,reg1=0x9,reg4=0x6,reg7=0,nw_src=192.168.10.7"));
  EXPECT_FALSE(read("ip,reg1=0x9,reg4=0x6,reg7=0x2,nw_src=192.168.10.7"));
  EXPECT_FALSE(read("ipv6,reg1=0x9,reg4=0x6,reg7=0,ipv6_src=fd00::1"));
  ASSERT_TRUE(read("ipv6,reg1=0x9,reg4=0x100,reg7=0"));  // nothing of the client: client/0
  EXPECT_EQ(read("ipv6,reg1=0x9,reg4=0x100,reg7=0")->client_bits, 0);
}

Bytes LibraryPacketOut(const std::string& text) {
  ofputil_packet_out po;
  ofputil_protocol usable{};
  char* error = parse_ofp_packet_out_str(&po, text.c_str(), nullptr, nullptr, &usable);
  EXPECT_EQ(error, nullptr) << (error == nullptr ? "" : error);
  if (error != nullptr) return {};
  const openflow::OfpbufPtr msg(ofputil_encode_packet_out(&po, OFPUTIL_P_OF15_OXM));
  std::free(const_cast<void*>(po.packet));  // NOLINT: ours to free, though const
  std::free(po.ofpacts);
  const auto* data = static_cast<const uint8_t*>(msg->data);
  Bytes bytes(data, data + msg->size);
  openflow::Put32(bytes.data() + 4, 7);
  return bytes;
}

TEST(PacketOuts, EqualTheLibrarys) {
  RandomBindings random(Seed());
  const openflow::PacketOutEncoder encoder;
  const std::string hex = "020000000001020000000002080045000014000100004011";
  Bytes packet;
  for (size_t i = 0; i < hex.size(); i += 2) {
    packet.push_back(static_cast<uint8_t>(std::stoul(hex.substr(i, 2), nullptr, 16)));
  }
  for (int i = 0; i < 200; ++i) {
    const ServiceId service{random.Id()};
    const InstanceId instance{random.Id()};
    const auto port = static_cast<uint32_t>(1 + random.Below(60000));
    OutBuffer demand;
    encoder.WriteForwardDemand(&demand, 7, PortNo{port}, service, instance, packet);
    EXPECT_EQ(Taken(demand), LibraryPacketOut("in_port=" + std::to_string(port) + ",packet=" + hex +
                                              ",actions=" + pipeline::DemandActions(service, instance)));
    EXPECT_TRUE(encoder.miss_by_template());
    const BindingKey key = random.Next().key;
    const IpAddress forwarder = IpAddress::V4(static_cast<uint32_t>(random.Below(UINT32_MAX)));
    OutBuffer miss;
    encoder.WriteForwardMiss(&miss, 7, PortNo{port}, key, instance, forwarder, packet);
    EXPECT_EQ(Taken(miss), LibraryPacketOut("in_port=" + std::to_string(port) + ",packet=" + hex +
                                            ",actions=" + pipeline::MissActions(key, instance, forwarder)));
    const IpAddress neighbor = random.Next().key.client;
    OutBuffer held;
    encoder.WriteSendToNeighbor(&held, 7, neighbor, packet);
    EXPECT_EQ(Taken(held), LibraryPacketOut("in_port=CONTROLLER,packet=" + hex +
                                            ",actions=" + pipeline::NeighborActions(neighbor)));
    OutBuffer plain;
    const PortNo tagged = TaggedPort(PortNo{port}, static_cast<uint16_t>(random.Below(4096)));
    encoder.WriteSendPacket(&plain, 7, tagged, packet);
    EXPECT_EQ(Taken(plain), LibraryPacketOut("in_port=CONTROLLER,packet=" + hex +
                                             ",actions=" + pipeline::OutputActions(tagged)));
  }
}

TEST(SelectGroups, EqualTheLibrarysAndAreReadBack) {
  RandomBindings random(Seed());
  const openflow::GroupCodec& codec = openflow::GroupCodec::Get();
  for (int i = 0; i < 30; ++i) {
    pipeline::Group group{.id = static_cast<uint32_t>(random.Below(0x20000)), .slots = {}};
    const size_t slots = i == 0 ? 1024 : 1 + random.Below(200);
    for (size_t s = 0; s < slots; ++s) group.slots.emplace_back(random.Id());
    ASSERT_TRUE(codec.Check(group).ok());
    OutBuffer out;
    codec.WriteBundled(&out, 7, 9, openflow::GroupCommand::kModify, group);
    ASSERT_EQ(out.size(), codec.BundledSize(group, openflow::GroupCommand::kModify));
    ASSERT_LE(out.size(), 65535u);
    Bytes inner(out.pending().begin() + 16, out.pending().end());

    ofputil_group_mod gm;
    ofputil_protocol usable{};
    char* error = parse_ofp_group_mod_str(&gm, OFPGC15_MODIFY, pipeline::ToText(group).c_str(), nullptr,
                                          nullptr, &usable);
    ASSERT_EQ(error, nullptr) << error;
    const openflow::OfpbufPtr msg(ofputil_encode_group_mod(OFP15_VERSION, &gm, nullptr, -1));
    const auto* data = static_cast<const uint8_t*>(msg->data);
    Bytes expected(data, data + msg->size);
    openflow::Put32(expected.data() + 4, 7);
    ASSERT_EQ(inner, expected);

    // As a switch describes it.
    ofputil_group_desc desc = {};
    desc.type = gm.type;
    desc.group_id = gm.group_id;
    desc.props = gm.props;
    ovs_list replies;
    const openflow::OfpbufPtr request(ofputil_encode_group_desc_request(OFP15_VERSION, OFPG_ALL));
    ofpmp_init(&replies, static_cast<const ofp_header*>(request->data));
    ofputil_append_group_desc_reply(&desc, &gm.buckets, &replies);
    openflow::Groups found;
    ofpbuf* reply;
    LIST_FOR_EACH_POP(reply, list_node, &replies) {
      const openflow::OfpbufPtr owned(reply);
      ASSERT_TRUE(codec.Read(ByteView(static_cast<const uint8_t*>(reply->data), reply->size), &found).ok());
    }
    ofputil_uninit_group_mod(&gm);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found.at(group.id), group);
  }
}

// A packet that came by a tunnel: fields of fixed and of any length.
void SetTunnel(match* m, RandomBindings* random) {
  match_set_tun_id(m, random->Below(UINT64_MAX));
  match_set_tun_src(m, static_cast<ovs_be32>(1 + random->Below(UINT32_MAX - 1)));
  match_set_tun_dst(m, static_cast<ovs_be32>(1 + random->Below(UINT32_MAX - 1)));
  size_t left = 60;  // words of all options
  for (int option = 0; option < 8; ++option) {
    if (random->Below(2) == 0) continue;
    mf_value value = {};
    const size_t octets = 4 * random->Below(std::min<size_t>(left, 31) + 1);
    left -= octets / 4;
    uint8_t* end = value.tun_metadata + sizeof value.tun_metadata;
    for (uint8_t* p = end - octets; p != end; ++p) *p = static_cast<uint8_t>(1 + random->Below(255));
    char* error = nullptr;
    mf_set(mf_from_id(static_cast<mf_field_id>(MFF_TUN_METADATA0 + option)), &value, nullptr, m, &error);
    EXPECT_EQ(error, nullptr) << error;
  }
}

TEST(Punts, AreReadAsTheLibraryWritesThem) {
  RandomBindings random(Seed());
  for (int i = 0; i < 5000; ++i) {
    Bytes packet(14 + random.Below(1500), static_cast<uint8_t>(i));
    if (random.Below(2) == 0) openflow::Put16(packet.data() + 12, random.Below(2) == 0 ? 0x0800 : 0x86dd);
    const uint16_t type = openflow::Get16(packet.data() + 12);
    const auto service = random.Id();
    Bytes userdata = {static_cast<uint8_t>(1 + random.Below(7)), static_cast<uint8_t>(service >> 8),
                      static_cast<uint8_t>(service)};
    ofputil_packet_in_private pin = {};
    pin.base.packet = packet.data();
    pin.base.packet_len = packet.size();
    pin.base.reason = OFPR_ACTION;
    pin.base.userdata = userdata.data();
    pin.base.userdata_len = userdata.size();
    pin.base.table_id = static_cast<uint8_t>(random.Below(80));
    pin.base.cookie = random.Below(UINT64_MAX);
    match_init_catchall(&pin.base.flow_metadata);
    const auto port = static_cast<uint32_t>(1 + random.Below(65000));
    match_set_in_port(&pin.base.flow_metadata, static_cast<ofp_port_t>(port));
    uint32_t regs[16] = {};
    for (unsigned r = 0; r < 16; ++r) {
      if (random.Below(2) == 0) continue;
      regs[r] = static_cast<uint32_t>(1 + random.Below(UINT32_MAX - 1));
      match_set_reg(&pin.base.flow_metadata, r, regs[r]);
    }
    if (random.Below(2) == 0) match_set_metadata(&pin.base.flow_metadata, random.Below(UINT64_MAX));
    if (random.Below(2) == 0) SetTunnel(&pin.base.flow_metadata, &random);
    const openflow::OfpbufPtr msg(
        ofputil_encode_packet_in_private(&pin, OFPUTIL_P_OF15_OXM, OFPUTIL_PACKET_IN_NXT2));
    const ByteView message(static_cast<const uint8_t*>(msg->data), msg->size);
    ASSERT_TRUE(openflow::IsPacketIn2(message));
    const auto punt = openflow::ReadPunt(message);
    ASSERT_TRUE(punt.ok()) << punt.error().ToString();
    ASSERT_TRUE(punt->has_value());
    EXPECT_EQ(static_cast<uint8_t>((*punt)->reason), userdata[0]);
    EXPECT_EQ((*punt)->service, ServiceId{service});
    EXPECT_EQ((*punt)->in_port, TaggedPort(PortNo{port}, static_cast<uint16_t>(regs[6] >> 16 & 0xfff)));
    IpAddress neighbor;
    if (userdata[0] == static_cast<uint8_t>(pipeline::PuntReason::kDemand) ||
        userdata[0] == static_cast<uint8_t>(pipeline::PuntReason::kEgressGone)) {
      if (regs[5] != 0) neighbor = IpAddress::V4(regs[5]);
    } else if (type == 0x0800) {
      if (regs[5] != 0) neighbor = IpAddress::V4(regs[5]);
    } else if (type == 0x86dd) {
      std::array<uint8_t, 16> octets;
      for (size_t r = 0; r < 4; ++r) openflow::Put32(octets.data() + 4 * r, regs[12 + r]);
      neighbor = IpAddress::V6(octets);
    }
    EXPECT_EQ((*punt)->neighbor, neighbor);
    EXPECT_EQ(Bytes((*punt)->packet.begin(), (*punt)->packet.end()), packet);
  }
}

}  // namespace
}  // namespace dyncast::test
