// The flows of single bindings, their keys in registers, and the actions of packet-outs.
#include <algorithm>
#include <array>
#include <cstdio>

#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/flow_builder.h"

namespace dyncast::pipeline {
namespace {

// Four registers as the one of 128 bits that they are parts of.
std::string Hex128(const std::array<uint32_t, 4>& words) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "0x%08x%08x%08x%08x", words[0], words[1], words[2], words[3]);
  return text.data();
}

std::array<uint32_t, 4> WordsOf(const IpAddress& address) {
  if (address.is_v4()) return {address.v4(), 0, 0, 0};
  std::array<uint32_t, 4> words{};
  for (size_t i = 0; i < 16; ++i) words[i / 4] = words[i / 4] << 8 | address.octets()[i];
  return words;
}

IpAddress Ipv6Of(const std::array<uint32_t, 4>& words) {
  std::array<uint8_t, 16> octets{};
  for (size_t i = 0; i < 16; ++i) octets[i] = static_cast<uint8_t>(words[i / 4] >> (24 - 8 * (i % 4)));
  return IpAddress::V6(octets);
}

// A key of one TCP connection: it ends with its FIN.
bool EndsWithFin(const BindingKey& key) { return key.proto == IpProto::kTcp && key.src_port != 0; }

std::string RegistersMatch(const BindingKey& key) {
  const KeyRegisters registers = RegistersOf(key);
  return "reg1=" + Hex(registers.reg1) + ",reg4=" + Hex(registers.reg4) + ",reg7=" + Hex(registers.reg7) +
         ",xxreg2=" + Hex128(registers.xxreg2);
}

// Constants in registers, and the rest where packets have it: OVS finds out by few bits of a header that no
// flow can match it, and lets all headers that share these bits share a flow in the datapath.
std::string HeaderMatch(const BindingKey& key, uint8_t client_bits) {
  const Family family = FamilyOf(key.client);
  const uint8_t most = family == Family::kV4 ? 32 : 128;
  const IpPrefix client{key.client, std::min(client_bits, most)};
  const bool ports = key.dst_port != 0;
  std::string text = (ports ? ProtoText(key.proto, family) : IpText(family)) +
                     ",reg1=" + Hex(key.service.value()) + ",reg4=" + Hex(RegistersOf(key).reg4) +
                     ",reg7=" + Hex(ports ? kKeyHasPorts : 0) + "," +
                     PrefixMatch(family == Family::kV4 ? "nw_src" : "ipv6_src", client);
  if (key.src_port != 0) text += "tp_src=" + std::to_string(key.src_port) + ",";
  if (ports) text += "tp_dst=" + std::to_string(key.dst_port) + ",";
  text.pop_back();
  return text;
}

}  // namespace

Table TableOf(BindingPlace place) {
  switch (place) {
    case BindingPlace::kTimed: break;
    case BindingPlace::kGeneration0: return Table::kGeneration0;
    case BindingPlace::kGeneration1: return Table::kGeneration1;
    case BindingPlace::kHeaderTimed: return Table::kHeaderBinding;
    case BindingPlace::kHeaderGeneration0: return Table::kHeaderGeneration0;
    case BindingPlace::kHeaderGeneration1: return Table::kHeaderGeneration1;
  }
  return Table::kBinding;
}

KeyRegisters RegistersOf(const BindingKey& key) {
  return {.reg1 = key.service.value(),
          .reg4 = static_cast<uint32_t>(key.proto) | (key.client.is_v4() ? 0 : kKeyIpv6),
          .reg7 = static_cast<uint32_t>(key.src_port) << 16 | key.dst_port,
          .xxreg2 = WordsOf(key.client)};
}

std::optional<BindingKey> KeyOf(const KeyRegisters& registers, SwitchId at) {
  if (registers.reg1 == 0 || registers.reg1 > 0xffff) return std::nullopt;
  if ((registers.reg4 & ~(kKeyIpv6 | 0xffu)) != 0) return std::nullopt;
  const auto proto = static_cast<IpProto>(registers.reg4 & 0xff);
  if (!HasPorts(proto)) {
    if (proto != IpProto::kAny && proto != IpProto::kIcmp) return std::nullopt;
    if (registers.reg7 != 0) return std::nullopt;
  }
  BindingKey key;
  key.service = ServiceId{static_cast<uint16_t>(registers.reg1)};
  key.at = at;
  key.proto = proto;
  key.src_port = static_cast<uint16_t>(registers.reg7 >> 16);
  key.dst_port = static_cast<uint16_t>(registers.reg7);
  if (key.src_port != 0 && key.dst_port == 0) return std::nullopt;
  const std::array<uint32_t, 4>& words = registers.xxreg2;
  if ((registers.reg4 & kKeyIpv6) != 0) {
    key.client = Ipv6Of(words);
    if (key.client.is_v4()) return std::nullopt;  // IPv4-mapped: no host sends from it
  } else {
    if ((words[1] | words[2] | words[3]) != 0) return std::nullopt;
    key.client = IpAddress::V4(words[0]);
  }
  return key;
}

std::string BindingMatch(const BindingKey& key, BindingPlace place, uint8_t client_bits) {
  if (FormOf(place) == KeyForm::kHeader) return HeaderMatch(key, client_bits);
  if (place != BindingPlace::kTimed || !EndsWithFin(key)) return RegistersMatch(key);
  return ProtoText(key.proto, FamilyOf(key.client)) + "," + RegistersMatch(key);
}

Flow CompileBinding(const BindingFlow& binding) {
  const BindingKey& key = binding.key;
  const bool timed = IsTimed(binding.place);
  const uint16_t fin_s = timed && EndsWithFin(key) ? TimeoutSeconds(binding.fin_timeout) : uint16_t{0};
  std::string actions;
  if (fin_s > 0) actions = "fin_timeout(idle_timeout=" + std::to_string(fin_s) + "),";
  actions += SetRegister(0, binding.instance.value());
  return Flow{
      .table = static_cast<uint8_t>(TableOf(binding.place)),
      .priority = kBindingPriority,
      .cookie = EncodeCookie(
          {.kind = FlowKind::kBinding, .service = key.service, .instance = binding.instance, .at = key.at}),
      .idle_timeout_s = timed ? TimeoutSeconds(binding.idle_timeout) : uint16_t{0},
      .send_flow_removed = timed,
      .match = BindingMatch(key, binding.place, binding.client_bits),
      .actions = std::move(actions)};
}

std::string DemandActions(ServiceId service, InstanceId instance) {
  return SetRegister(0, instance.value()) + "," + SetRegister(1, service.value()) + "," +
         SetRegister(6, 1 + static_cast<unsigned>(PortRole::kAccess)) + "," + Visit(Table::kEgress);
}

std::string MissActions(const BindingKey& key, InstanceId instance, const IpAddress& forwarder) {
  const KeyRegisters registers = RegistersOf(key);
  return SetRegister(0, instance.value()) + "," + SetRegister(1, registers.reg1) + "," +
         SetRegister(4, registers.reg4) + "," + SetRegister(5, forwarder.v4()) + "," +
         SetRegister(6, kTunnelRole) + "," + SetRegister(7, registers.reg7) +
         ",set_field:" + Hex128(registers.xxreg2) + "->xxreg2," + Visit(Table::kLearn);
}

std::string HelloActions(PortNo tunnel, const IpAddress& to) {
  return "set_field:" + to.ToString() + "->tun_dst,set_field:0x0->tun_metadata0,output:" + PortText(tunnel);
}

std::string NeighborActions(const IpAddress& neighbor) { return SetNextHop(neighbor) + "," + VisitOut(); }

std::string OutputActions(PortNo port) {
  return SetRegister(3, RegisterPort(port)) + "," + Visit(Table::kOutput);
}

}  // namespace dyncast::pipeline
