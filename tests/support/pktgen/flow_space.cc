#include "tests/support/pktgen/flow_space.h"

#include <array>

namespace dyncast::pktgen {
namespace {

uint32_t LastWord(const IpAddress& address) {
  const auto& o = address.octets();
  return uint32_t{o[12]} << 24 | uint32_t{o[13]} << 16 | uint32_t{o[14]} << 8 | uint32_t{o[15]};
}

void Append(std::string* out, uint16_t value) {
  out->push_back(static_cast<char>(value >> 8));
  out->push_back(static_cast<char>(value & 0xff));
}

}  // namespace

IpAddress Plus(const IpAddress& address, uint32_t offset) {
  std::array<uint8_t, 16> octets = address.octets();
  const uint32_t word = LastWord(address) + offset;
  for (size_t i = 0; i < 4; ++i) {
    octets[12 + i] = static_cast<uint8_t>(word >> (24 - 8 * i));
  }
  return IpAddress::V6(octets);
}

IpAddress FlowSpace::Client(uint32_t index) const { return Plus(first_client, index * client_step); }

FlowKey FlowSpace::At(uint64_t flow) const {
  uint64_t client = 0;
  uint64_t rest = 0;
  if (order == FlowOrder::kClientsFirst) {
    client = flow % clients;
    rest = flow / clients;
  } else {
    const uint64_t per_client = uint64_t{source_ports} * ports;
    client = flow / per_client;
    rest = flow % per_client;
  }
  return {.client = Client(static_cast<uint32_t>(client)),
          .source_port = static_cast<uint16_t>(first_source_port + rest % source_ports),
          .port = static_cast<uint16_t>(first_port + rest / source_ports)};
}

bool FlowSpace::IsClient(const IpAddress& address) const {
  const auto& a = address.octets();
  const auto& b = first_client.octets();
  if (!std::equal(a.begin(), a.begin() + 12, b.begin())) {
    return false;
  }
  const uint32_t distance = LastWord(address) - LastWord(first_client);
  return distance % client_step == 0 && distance / client_step < clients;
}

std::string FlowSpace::GroupOf(const FlowKey& key, GroupKind kind, uint8_t prefix) const {
  const IpAddress client = kind == GroupKind::kClient ? MaskAddress(key.client, prefix) : key.client;
  std::string group(client.octets().begin(), client.octets().end());
  if (kind == GroupKind::k5Tuple) {
    Append(&group, key.source_port);
  }
  if (kind == GroupKind::k5Tuple || kind == GroupKind::k4Tuple) {
    Append(&group, key.port);
  }
  return group;
}

}  // namespace dyncast::pktgen
