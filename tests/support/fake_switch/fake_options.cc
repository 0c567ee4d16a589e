// The emulated switch's tunnel options: Nicira's NXT_TLV_TABLE_* messages.
#include <algorithm>

#include "tests/support/fake_switch/fake_switch.h"

namespace dyncast::test {

using openflow::ByteView;
using openflow::Get16;
using openflow::Get32;
using openflow::MessageXid;
using openflow::MsgType;
using openflow::Put16;
using openflow::Put32;

namespace {

constexpr uint32_t kNiciraError = 0xffffu << 16;
constexpr uint32_t kBadCommand = kNiciraError | 16;
constexpr uint32_t kBadOptionLength = kNiciraError | 17;
constexpr uint32_t kBadField = kNiciraError | 18;
constexpr uint32_t kAlreadyMapped = kNiciraError | 20;
constexpr uint32_t kDuplicateOption = kNiciraError | 21;
constexpr uint32_t kInvalidField = kNiciraError | 37;
constexpr size_t kMaxFields = 64;

}  // namespace

void FakeSwitch::HandleExperimenter(ByteView message) {
  const uint32_t subtype = message.size() < 16 ? 0 : Get32(message.data() + 12);
  if (subtype != 24 && subtype != 25) return;  // what the controller asks of packet-ins
  if (!options_.has_tunnel_options) return SendError(message, 1, 3);  // bad request: bad experimenter
  if (subtype == 25) {
    ++option_requests_seen_;
    return SendOptionTable(MessageXid(message));
  }
  ++option_mods_seen_;
  const uint32_t refused = AddOptions(message);
  if (refused != 0) SendError(message, static_cast<uint16_t>(refused >> 16), static_cast<uint16_t>(refused));
}

void FakeSwitch::SendOptionTable(uint32_t xid) {
  uint8_t* p = out_.Message(MsgType::kExperimenter, xid, 32 + 8 * tunnel_options_.size());
  Put32(p + 8, openflow::kNiciraVendor);
  Put32(p + 12, 26);
  Put32(p + 16, 256);
  Put16(p + 20, kMaxFields);
  p += 32;
  for (const auto& [field, option] : tunnel_options_) {
    Put16(p, option.option_class);
    p[2] = option.type;
    p[3] = option.octets;
    Put16(p + 4, field);
    p += 8;
  }
}

uint32_t FakeSwitch::AddOptions(ByteView message) {
  if (message.size() < 24 || Get16(message.data() + 16) != 0) return kBadCommand;  // only additions
  std::map<uint16_t, FakeTunnelOption> all = tunnel_options_;
  for (ByteView rest = message.subspan(24); rest.size() >= 8; rest = rest.subspan(8)) {
    const FakeTunnelOption option{.option_class = Get16(rest.data()), .type = rest[2], .octets = rest[3]};
    const uint16_t field = Get16(rest.data() + 4);
    if (option.octets % 4 != 0 || option.octets > 124) return kBadOptionLength;
    if (field >= kMaxFields) return kBadField;
    if (all.contains(field)) return kAlreadyMapped;
    const bool known = std::any_of(all.begin(), all.end(), [&](const auto& entry) {
      return entry.second.option_class == option.option_class && entry.second.type == option.type;
    });
    if (known) return kDuplicateOption;
    all[field] = option;
  }
  tunnel_options_ = std::move(all);
  return 0;
}

uint32_t FakeSwitch::CheckOptions(ByteView match) const {
  ByteView fields = match.first(std::min<size_t>(match.size(), Get16(match.data() + 2)));
  for (fields = fields.subspan(4); fields.size() >= 4;) {
    const uint32_t header = Get32(fields.data());
    const uint32_t number = header >> 9 & 0x7f;
    const bool option = header >> 16 == 1 && number >= 40 && number < 40 + kMaxFields;
    if (option && !tunnel_options_.contains(static_cast<uint16_t>(number - 40))) return kInvalidField;
    fields = fields.subspan(std::min<size_t>(fields.size(), 4 + (header & 0xff)));
  }
  return 0;
}

}  // namespace dyncast::test
