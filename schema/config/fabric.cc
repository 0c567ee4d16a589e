#include "schema/config/fabric.h"

#include "schema/config/fabric_check.h"
#include "schema/config/load.h"
#include "schema/config/reference.h"
#include "schema/config/tables.h"
#include "schema/config/yaml_tree.h"

namespace dyncast::config {

Result<FabricConfig> ParseFabric(std::string_view yaml, std::string_view name) {
  Result<YamlNode> root = ParseYaml(yaml, name);
  if (!root.ok()) return root.error();
  Reader reader(name);
  reader.Saw("", root->place);
  FabricConfig config;
  FabricTable().Read(reader, *root, "", config);
  FillIn(reader, config);
  CheckFabric(reader, config);
  if (!reader.ok()) return reader.ToError();
  return config;
}

Result<FabricConfig> LoadFabric(const std::string& path) {
  Result<std::string> text = ReadConfigFile(path);
  if (!text.ok()) return text.error();
  return ParseFabric(*text, path);
}

uint64_t DatapathIdFor(std::string_view fabric, std::string_view switch_name) {
  const uint64_t hash = StableHash(std::string(fabric) + "/" + std::string(switch_name));
  // 48 bits, folded so that none is lost: the upper 16 name an implementer in OpenFlow and stay 0.
  const uint64_t id = (hash ^ (hash >> 48)) & 0xffffffffffffull;
  return id == 0 ? 1 : id;
}

MacAddress GatewayMac(const FabricConfig& config, const SwitchConfig& sw, const PortConfig& port) {
  if (port.mac) return *port.mac;
  std::string text = config.controller.fabric + "/" + sw.name + "/" + port.name;
  if (port.vlan != 0) text += "/" + std::to_string(port.vlan);
  return MacFromText(text);
}

std::string FabricReferenceMarkdown() { return ReferenceMarkdown(FabricTable().Info()); }

}  // namespace dyncast::config
