#include "ovs-integration/openflow/oxm.h"

#include <bit>

#include "ovs-integration/pipeline/compile.h"

namespace dyncast::openflow {
namespace {

// oxm_class of a field: OpenFlow's own, its registers in pairs, Nicira's registers one by one or in fours.
enum Class : uint16_t { kNicira = 0x0001, kBasic = 0x8000, kPacketRegs = 0x8001, kExperimenter = 0xffff };
constexpr uint8_t kInPort = 0;
constexpr uint8_t kEthType = 5;
constexpr uint8_t kIpProto = 10;
constexpr uint8_t kPacketType = 44;
constexpr uint8_t kIpv4Source = 11;
constexpr uint8_t kIpv6Source = 26;
constexpr uint8_t kFirstPort = 13;  // source and destination of TCP, of UDP, of SCTP
constexpr uint8_t kLastPort = 18;
constexpr uint8_t kFirstXxreg = 111;
constexpr uint16_t kIpv4 = 0x0800;  // of kEthType
constexpr uint16_t kIpv6 = 0x86dd;

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

// An IP address of `size` octets, its mask behind it if `masked`.
void ReadSource(const uint8_t* value, size_t size, bool masked, OxmFields* out) {
  out->source_type = size == 4 ? kIpv4 : kIpv6;
  for (size_t i = 0; i < size; ++i) {
    out->source_mask[i] = masked ? value[size + i] : uint8_t{0xff};
    out->source[i] = value[i] & out->source_mask[i];
  }
}

// False: there is something of the kind already, of another protocol.
bool ReadPort(uint8_t field, uint16_t value, OxmFields* out) {
  static constexpr uint8_t kProtos[] = {6, 17, 132};
  const uint8_t proto = kProtos[(field - kFirstPort) / 2];
  if (out->port_proto != 0 && out->port_proto != proto) return false;
  out->port_proto = proto;
  ((field - kFirstPort) % 2 == 0 ? out->src_port : out->dst_port) = value;
  return value != 0;
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
      if ((field == kIpv4Source && size == 4) || (field == kIpv6Source && size == 16)) {
        if (out->source_type != 0) break;
        return ReadSource(value.data(), size, masked, out), true;
      }
      if (masked) break;
      if (field >= kFirstPort && field <= kLastPort && size == 2) {
        if (!ReadPort(field, Get16(value.data()), out)) break;
        return true;
      }
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

namespace {

// Registers that a key in header form has, with the numbers of the others' words.
bool MasksAre(const OxmFields& oxm, KeyForm form) {
  for (size_t i = 0; i < oxm.mask.size(); ++i) {
    const bool in_key = i == 1 || i == 4 || i == 7 || (form == KeyForm::kRegisters && i >= 8 && i <= 11);
    if (oxm.mask[i] != (in_key ? UINT32_MAX : 0)) return false;
  }
  return true;
}

// Leading ones; nullopt for a mask that is no prefix's.
std::optional<uint8_t> PrefixLength(const std::array<uint8_t, 16>& mask) {
  int bits = 0;
  for (size_t i = 0; i < 4; ++i) {
    const uint32_t word = Get32(mask.data() + 4 * i);
    const int ones = std::countl_one(word);
    const uint32_t whole = ones == 0 ? 0 : UINT32_MAX << (32 - ones);
    // Behind the first word that is not full nothing may follow.
    if (word != whole || (ones != 0 && bits != static_cast<int>(32 * i))) return std::nullopt;
    bits += ones;
  }
  return static_cast<uint8_t>(bits);
}

std::optional<MatchedKey> KeyInRegisters(const OxmFields& oxm, SwitchId at) {
  if (oxm.source_type != 0 || oxm.port_proto != 0) return std::nullopt;
  const auto key = pipeline::KeyOf({.reg1 = oxm.reg[1],
                                    .reg4 = oxm.reg[4],
                                    .reg7 = oxm.reg[7],
                                    .xxreg2 = {oxm.reg[8], oxm.reg[9], oxm.reg[10], oxm.reg[11]}},
                                   at);
  if (!key) return std::nullopt;
  // The prerequisite of fin_timeout, in what the controller pushes.
  const bool pushed = oxm.eth_type != 0 || oxm.ip_proto != 0;
  if (pushed) {
    const uint16_t family = key->client.is_v4() ? kIpv4 : kIpv6;
    if (key->proto != IpProto::kTcp || oxm.ip_proto != 6 || oxm.eth_type != family) return std::nullopt;
  }
  return MatchedKey{.key = *key, .pushed = pushed};
}

std::optional<MatchedKey> KeyInHeader(const OxmFields& oxm, SwitchId at) {
  const bool v6 = (oxm.reg[4] & pipeline::kKeyIpv6) != 0;
  if (oxm.eth_type != (v6 ? kIpv6 : kIpv4) || (oxm.source_type != 0 && oxm.source_type != oxm.eth_type)) {
    return std::nullopt;
  }
  const bool ports = oxm.reg[7] == pipeline::kKeyHasPorts;
  if (!ports && oxm.reg[7] != 0) return std::nullopt;
  const uint32_t proto = ports ? oxm.reg[4] & 0xff : 0;
  if (oxm.ip_proto != proto || oxm.port_proto != proto || (oxm.dst_port != 0) != ports) return std::nullopt;
  pipeline::KeyRegisters registers{.reg1 = oxm.reg[1],
                                   .reg4 = oxm.reg[4],
                                   .reg7 = static_cast<uint32_t>(oxm.src_port) << 16 | oxm.dst_port};
  for (size_t i = 0; i < 4; ++i) registers.xxreg2[i] = Get32(oxm.source.data() + 4 * i);
  const auto key = pipeline::KeyOf(registers, at);
  const auto bits = PrefixLength(oxm.source_mask);
  if (!key || !bits) return std::nullopt;
  return MatchedKey{.key = *key, .client_bits = *bits == (v6 ? 128 : 32) ? kAllClientBits : *bits};
}

}  // namespace

std::optional<MatchedKey> ReadBindingKey(ByteView fields, const pipeline::Cookie& cookie, KeyForm form) {
  const std::optional<OxmFields> oxm = ReadOxm(fields);
  if (!oxm || oxm->others || oxm->in_port != 0 || !MasksAre(*oxm, form)) return std::nullopt;
  auto found = form == KeyForm::kHeader ? KeyInHeader(*oxm, cookie.at) : KeyInRegisters(*oxm, cookie.at);
  if (!found || found->key.service != cookie.service || !cookie.instance.valid()) return std::nullopt;
  return found;
}

std::optional<BindingPlace> PlaceOfTable(uint8_t table) {
  for (const BindingPlace place : kBindingPlaces) {
    if (TableOf(place) == table) return place;
  }
  return std::nullopt;
}

uint8_t TableOf(BindingPlace place) { return static_cast<uint8_t>(pipeline::TableOf(place)); }

}  // namespace dyncast::openflow
