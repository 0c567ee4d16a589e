#include "ovs-integration/pipeline/match_text.h"

#include <array>
#include <cstdio>

namespace dyncast::pipeline {

std::vector<PortMask> PortMasks(uint16_t first, uint16_t last) {
  std::vector<PortMask> masks;
  uint32_t at = first;
  while (at <= last) {
    uint32_t size = 1;
    while (size < 0x10000 && at % (2 * size) == 0 && at + 2 * size - 1 <= last) size *= 2;
    masks.push_back(
        {.value = static_cast<uint16_t>(at), .mask = static_cast<uint16_t>(0xffffu & ~(size - 1))});
    at += size;
  }
  return masks;
}

std::string PortMaskText(const PortMask& mask) {
  if (mask.mask == 0xffff) return std::to_string(mask.value);
  return Hex(mask.value) + "/" + Hex(mask.mask);
}

uint32_t RegisterPort(PortNo port) { return port.value() == 0xfffffffeu ? kLocalPort : port.value(); }

std::string PortText(PortNo port) {
  const uint32_t number = RegisterPort(port);
  return number == kLocalPort ? "LOCAL" : std::to_string(number);
}

std::string Hex(uint64_t value) {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string PrefixMatch(const char* field, const IpPrefix& prefix) {
  if (prefix.length == 0) return {};
  const IpPrefix network = prefix.Network();
  const bool whole = network.length == (network.address.is_v4() ? 32 : 128);
  return std::string(field) + "=" + (whole ? network.address.ToString() : network.ToString()) + ",";
}

bool HasPorts(IpProto proto) {
  return proto == IpProto::kTcp || proto == IpProto::kUdp || proto == IpProto::kSctp;
}

std::string ProtoText(IpProto proto) { return std::string(IpProtoName(proto)); }

std::string SetNextHop(const IpAddress& next_hop) {
  if (next_hop.is_v4()) return "set_field:" + Hex(next_hop.v4()) + "->reg5";
  std::string value;
  for (uint8_t octet : next_hop.octets()) {
    value += "0123456789abcdef"[octet >> 4];
    value += "0123456789abcdef"[octet & 0xf];
  }
  return "set_field:0x" + value + "->xxreg3";
}

}  // namespace dyncast::pipeline
