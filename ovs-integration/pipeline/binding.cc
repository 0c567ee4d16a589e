// The flows of single bindings, and the actions of packet-outs.
#include <algorithm>

#include "ovs-integration/pipeline/compile.h"
#include "ovs-integration/pipeline/flow_builder.h"
#include "ovs-integration/pipeline/match_text.h"

namespace dyncast::pipeline {
namespace {

constexpr std::chrono::seconds kMaxTimeout{65535};  // OpenFlow holds 16 bits

uint16_t TimeoutSeconds(std::chrono::seconds timeout) {
  return static_cast<uint16_t>(std::clamp(timeout, std::chrono::seconds{0}, kMaxTimeout).count());
}

}  // namespace

std::string BindingMatch(const BindingKey& key) {
  const bool v4 = key.client.is_v4();
  const std::string service = "reg1=" + Hex(key.service.value());
  if (key.proto == IpProto::kAny) {
    if (v4) return "ip," + service + ",reg8=" + Hex(key.client.v4());
    std::string client;
    for (uint8_t octet : key.client.octets()) {
      client += "0123456789abcdef"[octet >> 4];
      client += "0123456789abcdef"[octet & 0xf];
    }
    return "ipv6," + service + ",xxreg2=0x" + client;
  }
  std::string match = ProtoText(key.proto) + (v4 ? "," : "6,") + service + (v4 ? ",nw_src=" : ",ipv6_src=") +
                      key.client.ToString();
  if (key.src_port != 0) match += ",tp_src=" + std::to_string(key.src_port);
  if (key.dst_port != 0) match += ",tp_dst=" + std::to_string(key.dst_port);
  return match;
}

Flow CompileBinding(const BindingFlow& binding) {
  const BindingKey& key = binding.key;
  std::string actions;
  const uint16_t fin_s = TimeoutSeconds(binding.fin_timeout);
  if (key.proto == IpProto::kTcp && key.src_port != 0 && fin_s > 0) {
    actions = "fin_timeout(idle_timeout=" + std::to_string(fin_s) + "),";
  }
  actions += SetRegister(0, binding.instance.value());
  return Flow{
      .table = static_cast<uint8_t>(Table::kBinding),
      .priority = kBindingPriority,
      .cookie = EncodeCookie(
          {.kind = FlowKind::kBinding, .service = key.service, .instance = binding.instance, .at = key.at}),
      .idle_timeout_s = TimeoutSeconds(binding.idle_timeout),
      .send_flow_removed = true,
      .match = BindingMatch(key),
      .actions = std::move(actions)};
}

std::string DemandActions(ServiceId service, InstanceId instance) {
  return SetRegister(0, instance.value()) + "," + SetRegister(1, service.value()) + "," +
         SetRegister(6, 1 + static_cast<unsigned>(PortRole::kAccess)) + "," + Visit(Table::kEgress);
}

std::string NeighborActions(uint32_t neighbor_v4) {
  return SetRegister(5, neighbor_v4) + "," + Visit(Table::kNeighbor) + "," + Visit(Table::kOutput);
}

}  // namespace dyncast::pipeline
