// Table classify: which port a packet came from. Behind it no packet has a VLAN tag.
#include <string>

#include "ovs-integration/pipeline/compile_admit.h"

namespace dyncast::pipeline {
namespace {

constexpr uint16_t kKnownPort = 100;
constexpr uint16_t kTagged = 50;  // with a tag that no port of the plan has
constexpr uint16_t kMiss = 0;

}  // namespace

uint32_t InputRegister(const PlannedPort& port) {
  return (1 + static_cast<uint32_t>(port.role)) | static_cast<uint32_t>(port.vlan) << 16;
}

std::string From(const std::string& protocol, const PlannedPort& port) {
  return protocol + ",in_port=" + PortText(port.number) + ",reg6=" + Hex(InputRegister(port)) + ",";
}

void CompileClassify(FlowBuilder& out) {
  for (const PlannedPort& port : out.plan().ports) {
    const std::string in = "in_port=" + PortText(port.number);
    const std::string admit = SetRegister(6, InputRegister(port)) + "," + Visit(Table::kAdmit);
    if (port.vlan == 0) {
      out.Add(Table::kClassify, kKnownPort, in + ",vlan_tci=0x0000/0x1fff", admit);
    } else {
      out.Add(Table::kClassify, kKnownPort, in + ",dl_vlan=" + std::to_string(port.vlan),
              "pop_vlan," + admit);
    }
  }
  // A tag that is not ours would ride through the router unseen; one of VLAN 0 (priority only) is none of
  // ours.
  out.Add(Table::kClassify, kTagged, "vlan_tci=0x1000/0x1000", "drop");
  out.Add(Table::kClassify, kMiss, "", "drop");
  CompileAdmit(out);
  CompileArp(out);
  CompileNd(out);
}

}  // namespace dyncast::pipeline
