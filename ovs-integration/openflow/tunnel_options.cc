#include "ovs-integration/openflow/tunnel_options.h"

#include <fmt/format.h>

#include <algorithm>

namespace dyncast::openflow {
namespace {

constexpr uint32_t kTableMod = 24;  // NXT_TLV_TABLE_MOD
constexpr uint32_t kTableRequest = 25;
constexpr uint32_t kTableReply = 26;
constexpr size_t kExperimenterHead = 16;
constexpr size_t kReplyHead = 16;
constexpr size_t kModHead = 8;
constexpr size_t kMappingSize = 8;
constexpr size_t kMaxFields = 64;
constexpr size_t kMaxOptionOctets = 124;

constexpr size_t kMatchOffset = 48;   // of OFPT_FLOW_MOD
constexpr uint16_t kNicira = 0x0001;  // oxm_class
constexpr uint8_t kFirstField = 40;   // NXM_NX_TUN_METADATA0
constexpr uint16_t kSetField = 25;    // OFPAT_SET_FIELD
constexpr size_t kActionAlignment = 8;

uint8_t* Experimenter(OutBuffer* out, uint32_t xid, uint32_t subtype, size_t size) {
  uint8_t* p = out->Message(MsgType::kExperimenter, xid, size);
  Put32(p + 8, kNiciraVendor);
  Put32(p + 12, subtype);
  return p + kExperimenterHead;
}

// Of a field tun_metadataN at the front of `data`, in a match or an action; other fields are good.
Status CheckField(ByteView data, const TunnelOptions& options) {
  const uint32_t header = Get32(data.data());
  const size_t size = header & 0xff;
  const auto number = static_cast<uint8_t>(header >> 9 & 0x7f);
  if (header >> 16 != kNicira || number < kFirstField || number >= kFirstField + kMaxFields) return Ok();
  const auto index = static_cast<uint8_t>(number - kFirstField);
  const auto it = options.find(index);
  if (it == options.end()) {
    return MakeError(Errc::kInvalid, fmt::format("tun_metadata{} is none of the plan's options", index));
  }
  const bool masked = (header >> 8 & 1) != 0;
  const size_t width = masked ? size / 2 : size;
  if (width > it->second.octets) {
    return MakeError(Errc::kInvalid,
                     fmt::format("a value of {} octets is too long for {}", width, OptionName(it->second)));
  }
  if (!masked || width < it->second.octets || data.size() < 4 + size) return Ok();
  const ByteView mask = data.subspan(4 + width, width);
  if (std::any_of(mask.begin(), mask.end(), [](uint8_t octet) { return octet != 0xff; })) return Ok();
  return MakeError(Errc::kInvalid,
                   fmt::format("a mask of all bits of {} must be left out", OptionName(it->second)));
}

Status CheckMatch(ByteView fields, const TunnelOptions& options) {
  while (fields.size() >= 4) {
    if (Status good = CheckField(fields, options); !good.ok()) return good;
    fields = fields.subspan(std::min(fields.size(), size_t{4} + fields[3]));
  }
  return Ok();
}

// Actions stand within others (clone), but always at a multiple of 8 octets.
Status CheckActions(ByteView instructions, const TunnelOptions& options) {
  for (size_t at = 0; at + kActionAlignment <= instructions.size(); at += kActionAlignment) {
    const ByteView action = instructions.subspan(at);
    const size_t size = Get16(action.data() + 2);
    if (Get16(action.data()) != kSetField || size < 8 || size > action.size()) continue;
    if (Status good = CheckField(action.subspan(4, size - 4), options); !good.ok()) return good;
  }
  return Ok();
}

}  // namespace

void WriteOptionTableRequest(OutBuffer* out, uint32_t xid) {
  Experimenter(out, xid, kTableRequest, kExperimenterHead);
}

void WriteOptionTableAdd(OutBuffer* out, uint32_t xid, const std::vector<pipeline::TunnelOption>& options) {
  uint8_t* p =
      Experimenter(out, xid, kTableMod, kExperimenterHead + kModHead + kMappingSize * options.size());
  p += kModHead;  // NXTTMC_ADD is 0
  for (const pipeline::TunnelOption& option : options) {
    Put16(p, option.option_class);
    p[2] = option.type;
    p[3] = option.octets;
    Put16(p + 4, option.field);
    p += kMappingSize;
  }
}

bool IsOptionTableReply(ByteView message) {
  return MessageType(message) == MsgType::kExperimenter && message.size() >= kExperimenterHead &&
         Get32(message.data() + 8) == kNiciraVendor && Get32(message.data() + 12) == kTableReply;
}

Result<TunnelOptions> ReadOptionTableReply(ByteView message) {
  const size_t head = kExperimenterHead + kReplyHead;
  if (message.size() < head || (message.size() - head) % kMappingSize != 0) {
    return MakeError(Errc::kProtocol, fmt::format("a tunnel option table of {} octets", message.size()));
  }
  TunnelOptions found;
  for (ByteView rest = message.subspan(head); !rest.empty(); rest = rest.subspan(kMappingSize)) {
    const uint16_t field = Get16(rest.data() + 4);
    if (field >= kMaxFields) {
      return MakeError(Errc::kProtocol, fmt::format("a tunnel option table with field {}; {} is the limit",
                                                    field, kMaxFields));
    }
    const auto index = static_cast<uint8_t>(field);
    found[index] = {.option_class = Get16(rest.data()), .type = rest[2], .octets = rest[3], .field = index};
  }
  return found;
}

std::string OptionName(const pipeline::TunnelOption& option) {
  return fmt::format("tun_metadata{} (class {:#x}, type {}, {} octets)", option.field, option.option_class,
                     option.type, option.octets);
}

std::string MappingText(const pipeline::TunnelOption& option) {
  return fmt::format("{{class={:#x},type={},len={}}}->tun_metadata{}", option.option_class, option.type,
                     option.octets, option.field);
}

Result<TunnelOptions> CheckTunnelOptions(const std::vector<pipeline::TunnelOption>& options) {
  TunnelOptions checked;
  for (const pipeline::TunnelOption& option : options) {
    if (option.field >= kMaxFields || option.octets == 0 || option.octets > kMaxOptionOctets ||
        option.octets % 4 != 0) {
      return MakeError(Errc::kInvalid, fmt::format("{}: fields are 0..{}, octets 4, 8 .. {}",
                                                   OptionName(option), kMaxFields - 1, kMaxOptionOctets));
    }
    for (const auto& [field, other] : checked) {
      if (field == option.field || (other.option_class == option.option_class && other.type == option.type)) {
        return MakeError(Errc::kDuplicate, fmt::format("{} and {}", OptionName(other), OptionName(option)));
      }
    }
    checked.emplace(option.field, option);
  }
  return checked;
}

Status CompareOptions(const TunnelOptions& wanted, const TunnelOptions& found,
                      std::vector<pipeline::TunnelOption>* missing) {
  for (const auto& [field, option] : wanted) {
    const auto it = found.find(field);
    if (it != found.end() && it->second == option) continue;
    const auto other = std::find_if(found.begin(), found.end(), [&want = option](const auto& entry) {
      const pipeline::TunnelOption& have = entry.second;
      return have.field == want.field || (have.option_class == want.option_class && have.type == want.type);
    });
    if (other != found.end()) {
      const pipeline::TunnelOption& theirs = other->second;
      return MakeError(
          Errc::kConflict,
          fmt::format("it has the tunnel option {} where {} is wanted, and what others mapped is left "
                      "alone. Nothing of the plan is in force until it is gone: take another bridge, or "
                      "`ovs-ofctl -O OpenFlow15 del-tlv-map BRIDGE '{}'`",
                      OptionName(theirs), OptionName(option), MappingText(theirs)));
    }
    missing->push_back(option);
  }
  return Ok();
}

Status CheckOptionFields(const FlowImage& image, const TunnelOptions& options) {
  const ByteView message(image.add);
  const size_t match_size = Get16(message.data() + kMatchOffset + 2);
  Status good = CheckMatch(message.subspan(kMatchOffset + 4, match_size - 4), options);
  if (good.ok()) good = CheckActions(message.subspan(image.match_end), options);
  if (good.ok()) return good;
  return MakeError(Errc::kInvalid, fmt::format("flow '{}': {}", image.ToString(), good.error().message));
}

}  // namespace dyncast::openflow
