#include "ovs-integration/openflow/oxm.h"

#include "ovs-integration/pipeline/compile.h"

namespace dyncast::openflow {
namespace {

// oxm_class of a field: OpenFlow's own, its registers in pairs, Nicira's registers one by one or in fours.
enum Class : uint16_t { kNicira = 0x0001, kBasic = 0x8000, kPacketRegs = 0x8001, kExperimenter = 0xffff };
constexpr uint8_t kInPort = 0;
constexpr uint8_t kEthType = 5;
constexpr uint8_t kIpProto = 10;
constexpr uint8_t kPacketType = 44;
constexpr uint8_t kFirstXxreg = 111;

// `size` octets of registers from `first` on, and their masks behind them if `masked`.
bool ReadRegisters(const uint8_t* value, size_t size, bool masked, size_t first, OxmFields* out) {
  for (size_t i = 0; i < size / 4; ++i) {
    const uint32_t mask = masked ? Get32(value + size + 4 * i) : UINT32_MAX;
    if (mask == 0) continue;
    out->reg[first + i] = Get32(value + 4 * i) & mask;
    out->mask[first + i] = mask;
  }
  return true;
}

bool ReadField(uint16_t oxm_class, uint8_t field, bool masked, ByteView value, OxmFields* out) {
  const size_t size = masked ? value.size() / 2 : value.size();
  switch (oxm_class) {
    case kPacketRegs:
      if (field >= 8) break;
      return size == 8 && ReadRegisters(value.data(), 8, masked, 2 * size_t{field}, out);
    case kNicira:
      if (field < 16) return size == 4 && ReadRegisters(value.data(), 4, masked, field, out);
      if (field >= kFirstXxreg && field < kFirstXxreg + 4) {
        return size == 16 && ReadRegisters(value.data(), 16, masked, 4 * (field - size_t{kFirstXxreg}), out);
      }
      break;
    case kBasic:
      if (masked) break;
      if (field == kInPort && size == 4) return out->in_port = Get32(value.data()), true;
      if (field == kEthType && size == 2) return out->eth_type = Get16(value.data()), true;
      if (field == kIpProto && size == 1) return out->ip_proto = value[0], true;
      if (field == kPacketType && size == 4 && Get32(value.data()) == 0) return true;  // Ethernet: the rule
      break;
    default: break;
  }
  out->others = true;
  return true;
}

}  // namespace

std::optional<OxmFields> ReadOxm(ByteView fields) {
  OxmFields out;
  while (!fields.empty()) {
    if (fields.size() < 4) return std::nullopt;
    const uint32_t header = Get32(fields.data());
    const size_t size = header & 0xff;
    if (fields.size() < 4 + size) return std::nullopt;
    if (!ReadField(static_cast<uint16_t>(header >> 16), static_cast<uint8_t>(header >> 9 & 0x7f),
                   (header >> 8 & 1) != 0, fields.subspan(4, size), &out)) {
      return std::nullopt;
    }
    fields = fields.subspan(4 + size);
  }
  return out;
}

std::optional<OxmMatch> CutMatch(ByteView data) {
  if (data.size() < 8 || Get16(data.data()) != 1) return std::nullopt;  // OFPMT_OXM
  const size_t length = Get16(data.data() + 2);
  const size_t padded = (length + 7) / 8 * 8;
  if (length < 4 || padded > data.size()) return std::nullopt;
  return OxmMatch{.fields = data.subspan(4, length - 4), .size = padded};
}

std::optional<BindingKey> ReadBindingKey(ByteView fields, const pipeline::Cookie& cookie, bool* pushed) {
  const std::optional<OxmFields> oxm = ReadOxm(fields);
  if (!oxm || oxm->others || oxm->in_port != 0) return std::nullopt;
  for (size_t i = 0; i < oxm->mask.size(); ++i) {
    const bool in_key = i == 1 || i == 4 || (i >= 7 && i <= 11);
    if (oxm->mask[i] != (in_key ? UINT32_MAX : 0)) return std::nullopt;
  }
  const auto key = pipeline::KeyOf({.reg1 = oxm->reg[1],
                                    .reg4 = oxm->reg[4],
                                    .reg7 = oxm->reg[7],
                                    .xxreg2 = {oxm->reg[8], oxm->reg[9], oxm->reg[10], oxm->reg[11]}},
                                   cookie.at);
  if (!key || key->service != cookie.service || !cookie.instance.valid()) return std::nullopt;
  // The prerequisite of fin_timeout, in what the controller pushes.
  *pushed = oxm->eth_type != 0 || oxm->ip_proto != 0;
  if (*pushed) {
    const uint16_t family = key->client.is_v4() ? 0x0800 : 0x86dd;
    if (key->proto != IpProto::kTcp || oxm->ip_proto != 6 || oxm->eth_type != family) return std::nullopt;
  }
  return key;
}

std::optional<BindingPlace> PlaceOfTable(uint8_t table) {
  switch (static_cast<pipeline::Table>(table)) {
    case pipeline::Table::kBinding: return BindingPlace::kTimed;
    case pipeline::Table::kGeneration0: return BindingPlace::kGeneration0;
    case pipeline::Table::kGeneration1: return BindingPlace::kGeneration1;
    default: return std::nullopt;
  }
}

uint8_t TableOf(BindingPlace place) {
  switch (place) {
    case BindingPlace::kTimed: return static_cast<uint8_t>(pipeline::Table::kBinding);
    case BindingPlace::kGeneration0: return static_cast<uint8_t>(pipeline::Table::kGeneration0);
    case BindingPlace::kGeneration1: return static_cast<uint8_t>(pipeline::Table::kGeneration1);
  }
  return 0;
}

}  // namespace dyncast::openflow
