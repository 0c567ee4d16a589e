// The binding table's key and entry (draft section 4.2.1, Figure 3).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/ip.h"
#include "schema/base/time.h"
#include "schema/model/service.h"

namespace dyncast {

// The addresses of one packet to a D-SID, as the client wrote them.
struct Demand {
  IpAddress client;
  IpAddress sid;
  IpProto proto = IpProto::kTcp;
  uint16_t src_port = 0;
  uint16_t dst_port = 0;
  friend bool operator==(const Demand&, const Demand&) = default;
};

// An affinity key's value on one switch. Fields that the service's key leaves out are 0 (kAny).
// `service` stands for the D-SID: a service has one per family, and `client` tells the family.
struct BindingKey {
  IpAddress client;  // masked to the key's prefix
  uint16_t src_port = 0;
  uint16_t dst_port = 0;
  ServiceId service;
  SwitchId at;
  IpProto proto = IpProto::kAny;
  friend auto operator<=>(const BindingKey&, const BindingKey&) = default;
};

// The key under which `demand` is bound: pure, the one place that knows what each kind keeps.
BindingKey MakeBindingKey(const Affinity& affinity, SwitchId at, ServiceId service, const Demand& demand);

enum class DecidedBy : uint8_t { kController, kSwitch, kForwarder };
std::string_view DecidedByName(DecidedBy by);

// What a switch holds of a service's in-switch dispatch, as its session found it.
struct FoundDispatch {
  ServiceId service;
  uint8_t generation = 0;
  bool binding_closed = false;
  std::vector<InstanceId> slots_v4;  // size kSlots, or empty
  std::vector<InstanceId> slots_v6;
  friend bool operator==(const FoundDispatch&, const FoundDispatch&) = default;
};

// Packets of a service that a switch steered without a binding, as the service was over its limit. Without a
// service: packets that a D-Forwarder asked about.
struct UnboundPackets {
  ServiceId service;
  uint64_t packets = 0;
  bool ended = false;  // the flow that took them is gone: its last word
  friend bool operator==(const UnboundPackets&, const UnboundPackets&) = default;
};

// Why a binding ended, as it stands in binding_history.reason.
enum class EndReason : uint8_t {
  kIdle,             // idle timeout (or the FIN timeout) passed
  kInstanceGone,     // its instance went down; the flow selected again
  kInstanceDrained,  // the drain's deadline passed
  kServiceRemoved,
  kReplaced,   // another binding took the same key
  kFlowLost,   // the switch no longer had the flow (restart, deleted by another)
  kAwayEnded,  // ended while the controller was away, found by comparing with the switch
};
std::string_view EndReasonName(EndReason reason);

// What the flow of a binding matches: registers that the switch wrote the key into, or the packet's own
// header.
enum class KeyForm : uint8_t { kRegisters, kHeader };

// The table that holds a binding's flow, each for flows of one form. In a generation table idle and FIN
// timeouts are not used.
enum class BindingPlace : uint8_t {
  kTimed,
  kGeneration0,
  kGeneration1,
  kHeaderTimed,
  kHeaderGeneration0,
  kHeaderGeneration1,
};
inline constexpr std::array<BindingPlace, 6> kBindingPlaces{
    BindingPlace::kTimed,       BindingPlace::kGeneration0,       BindingPlace::kGeneration1,
    BindingPlace::kHeaderTimed, BindingPlace::kHeaderGeneration0, BindingPlace::kHeaderGeneration1};

constexpr KeyForm FormOf(BindingPlace place) {
  return place < BindingPlace::kHeaderTimed ? KeyForm::kRegisters : KeyForm::kHeader;
}
constexpr bool IsTimed(BindingPlace place) {
  return place == BindingPlace::kTimed || place == BindingPlace::kHeaderTimed;
}
constexpr BindingPlace TimedPlace(KeyForm form) {
  return form == KeyForm::kRegisters ? BindingPlace::kTimed : BindingPlace::kHeaderTimed;
}
constexpr BindingPlace GenerationPlace(uint8_t generation, KeyForm form = KeyForm::kRegisters) {
  if (form == KeyForm::kRegisters) {
    return generation == 0 ? BindingPlace::kGeneration0 : BindingPlace::kGeneration1;
  }
  return generation == 0 ? BindingPlace::kHeaderGeneration0 : BindingPlace::kHeaderGeneration1;
}

// How many bits of the client's address the flows of a service match where they match the header: all of
// them, whatever the family, or as many as the prefix of its key has.
inline constexpr uint8_t kAllClientBits = 128;
uint8_t ClientBits(const Affinity& affinity, const IpAddress& client);

// What the controller tells a switch to hold for one binding.
struct BindingFlow {
  BindingKey key;
  InstanceId instance;
  std::chrono::seconds idle_timeout{60};
  std::chrono::seconds fin_timeout{0};  // 0: none
  BindingPlace place = BindingPlace::kTimed;
  uint8_t client_bits = kAllClientBits;  // see ClientBits; not used in registers, which are matched whole
  friend bool operator==(const BindingFlow&, const BindingFlow&) = default;
};

// A binding as a switch reports it, in a dump or when it ends.
struct FoundBinding {
  BindingKey key;
  InstanceId instance;
  uint64_t packets = 0;
  uint64_t bytes = 0;
  std::chrono::milliseconds age{0};       // since the flow was added
  std::chrono::milliseconds idle_age{0};  // since its last packet
  std::chrono::seconds idle_timeout{0};
  BindingPlace place = BindingPlace::kTimed;
  uint8_t client_bits = kAllClientBits;  // as in BindingFlow
  friend bool operator==(const FoundBinding&, const FoundBinding&) = default;
};

}  // namespace dyncast

template <>
struct std::hash<dyncast::BindingKey> {
  size_t operator()(const dyncast::BindingKey& k) const noexcept {
    const uint64_t rest = static_cast<uint64_t>(k.src_port) << 48 | static_cast<uint64_t>(k.dst_port) << 32 |
                          static_cast<uint64_t>(k.service.value()) << 16 | k.at.value();
    uint64_t h = std::hash<dyncast::IpAddress>{}(k.client) ^ (rest * 0x94D049BB133111EBull) ^
                 static_cast<uint64_t>(k.proto);
    h ^= h >> 32;
    return h * 0x9E3779B97F4A7C15ull;
  }
};
