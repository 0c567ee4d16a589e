// Octets written by template or read by hand, against libopenvswitch's codecs.
#include <gtest/gtest.h>

#include <memory>

#include "ovs-integration/openflow/binding_codec.h"
#include "ovs-integration/openflow/flow_image.h"
#include "ovs-integration/openflow/ovs_headers.h"
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
  RandomBindings random(Seed());
  openflow::BindingEncoder encoder;
  for (int i = 0; i < 20000; ++i) {
    const BindingFlow b = random.Next();
    const auto image = openflow::ImageFromText(pipeline::CompileBinding(b));
    ASSERT_TRUE(image.ok()) << image.error().ToString();
    OutBuffer add;
    ASSERT_TRUE(encoder.WriteAdd(&add, 0, b));
    ASSERT_EQ(Taken(add), image->add) << pipeline::ToText(pipeline::CompileBinding(b));
    OutBuffer remove;
    ASSERT_TRUE(encoder.WriteDelete(&remove, 0, b.key));
    Bytes expected = image->MakeDelete();
    openflow::Put64(expected.data() + 8, 0xd103000000000000ull);  // ours, a binding
    openflow::Put64(expected.data() + 16, 0xffff000000000000ull);
    ASSERT_EQ(Taken(remove), expected);
    OutBuffer bundled;
    ASSERT_TRUE(encoder.WriteBundledAdd(&bundled, 0x01020304, 9, b));
    const Bytes wrapped = Taken(bundled);
    ASSERT_EQ(wrapped.size(), 16 + image->add.size());
    Bytes inner(wrapped.begin() + 16, wrapped.end());
    ASSERT_EQ(openflow::MessageXid(inner), 0x01020304u);
    openflow::Put32(inner.data() + 4, 0);
    ASSERT_EQ(inner, image->add);
  }
  EXPECT_EQ(encoder.slow_encodings(), 0u);  // every shape has its template
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
    const auto neighbor = static_cast<uint32_t>(random.Below(UINT32_MAX));
    OutBuffer held;
    encoder.WriteSendToNeighbor(&held, 7, neighbor, packet);
    EXPECT_EQ(Taken(held), LibraryPacketOut("in_port=CONTROLLER,packet=" + hex +
                                            ",actions=" + pipeline::NeighborActions(neighbor)));
    OutBuffer plain;
    encoder.WriteSendPacket(&plain, 7, PortNo{port}, packet);
    EXPECT_EQ(Taken(plain), LibraryPacketOut("in_port=CONTROLLER,packet=" + hex +
                                             ",actions=output:" + std::to_string(port)));
  }
}

TEST(Punts, AreReadAsTheLibraryWritesThem) {
  RandomBindings random(Seed());
  for (int i = 0; i < 5000; ++i) {
    Bytes packet(14 + random.Below(1500), static_cast<uint8_t>(i));
    const auto service = random.Id();
    Bytes userdata = {static_cast<uint8_t>(1 + random.Below(4)), static_cast<uint8_t>(service >> 8),
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
    uint32_t regs[10] = {};
    for (unsigned r = 0; r < 10; ++r) {
      if (random.Below(2) == 0) continue;
      regs[r] = static_cast<uint32_t>(1 + random.Below(UINT32_MAX - 1));
      match_set_reg(&pin.base.flow_metadata, r, regs[r]);
    }
    if (random.Below(2) == 0) match_set_metadata(&pin.base.flow_metadata, random.Below(UINT64_MAX));
    const openflow::OfpbufPtr msg(
        ofputil_encode_packet_in_private(&pin, OFPUTIL_P_OF15_OXM, OFPUTIL_PACKET_IN_NXT2));
    const ByteView message(static_cast<const uint8_t*>(msg->data), msg->size);
    ASSERT_TRUE(openflow::IsPacketIn2(message));
    const auto punt = openflow::ReadPunt(message);
    ASSERT_TRUE(punt.ok()) << punt.error().ToString();
    ASSERT_TRUE(punt->has_value());
    EXPECT_EQ(static_cast<uint8_t>((*punt)->reason), userdata[0]);
    EXPECT_EQ((*punt)->service, ServiceId{userdata[0] <= 2 ? service : uint16_t{0}});
    EXPECT_EQ((*punt)->in_port, PortNo{port});
    EXPECT_EQ((*punt)->reg5, regs[5]);
    EXPECT_EQ(Bytes((*punt)->packet.begin(), (*punt)->packet.end()), packet);
  }
}

}  // namespace
}  // namespace dyncast::test
