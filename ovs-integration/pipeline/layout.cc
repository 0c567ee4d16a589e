#include "ovs-integration/pipeline/layout.h"

namespace dyncast::pipeline {

std::string_view TableName(Table table) {
  switch (table) {
    case Table::kClassify: return "classify";
    case Table::kTunnel: return "tunnel";
    case Table::kAdmit: return "admit";
    case Table::kLink: return "link";
    case Table::kService: return "service";
    case Table::kLookup: return "lookup";
    case Table::kOlder: return "older";
    case Table::kRenew: return "renew";
    case Table::kMarked: return "marked";
    case Table::kBinding: return "binding";
    case Table::kGeneration0: return "generation0";
    case Table::kGeneration1: return "generation1";
    case Table::kOffer: return "offer";
    case Table::kHeaderBinding: return "header-binding";
    case Table::kHeaderGeneration0: return "header-generation0";
    case Table::kHeaderGeneration1: return "header-generation1";
    case Table::kSelect: return "select";
    case Table::kLearn: return "learn";
    case Table::kMiss: return "miss";
    case Table::kAsk: return "ask";
    case Table::kEgress: return "egress";
    case Table::kReturn: return "return";
    case Table::kReturned: return "returned";
    case Table::kRoute: return "route";
    case Table::kNeighbor: return "neighbor";
    case Table::kOutput: return "output";
  }
  return "?";
}

uint64_t EncodeCookie(const Cookie& cookie) {
  return kCookieOwner << 56 | static_cast<uint64_t>(cookie.kind) << 48 |
         static_cast<uint64_t>(cookie.service.value()) << 32 |
         static_cast<uint64_t>(cookie.instance.value()) << 16 | cookie.at.value();
}

std::optional<Cookie> DecodeCookie(uint64_t raw) {
  if ((raw & kCookieOwnerMask) != kCookieOwner << 56) return std::nullopt;
  const auto kind = static_cast<uint8_t>(raw >> 48);
  if (kind < static_cast<uint8_t>(FlowKind::kStatic) || kind > static_cast<uint8_t>(FlowKind::kUnbound)) {
    return std::nullopt;
  }
  return Cookie{.kind = static_cast<FlowKind>(kind),
                .service = ServiceId{static_cast<uint16_t>(raw >> 32)},
                .instance = InstanceId{static_cast<uint16_t>(raw >> 16)},
                .at = SwitchId{static_cast<uint16_t>(raw)}};
}

}  // namespace dyncast::pipeline
