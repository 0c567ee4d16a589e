#include "schema/config/agent.h"

#include "schema/config/agent_check.h"
#include "schema/config/load.h"
#include "schema/config/reference.h"
#include "schema/config/tables.h"
#include "schema/config/yaml_tree.h"

namespace dyncast::config {

Result<AgentConfig> ParseAgent(std::string_view yaml, std::string_view name) {
  Result<YamlNode> root = ParseYaml(yaml, name);
  if (!root.ok()) return root.error();
  Reader reader(name);
  reader.Saw("", root->place);
  AgentConfig config;
  AgentTable().Read(reader, *root, "", config);
  FillIn(reader, config);
  CheckAgent(reader, config);
  if (!reader.ok()) return reader.ToError();
  return config;
}

Result<AgentConfig> LoadAgent(const std::string& path) {
  Result<std::string> text = ReadConfigFile(path);
  if (!text.ok()) return text.error();
  return ParseAgent(*text, path);
}

UpdateRules UpdateRulesOf(const AgentConfig& agent, const InstanceConfig& instance) {
  UpdateRules rules;
  rules.minimum_gap = agent.minimum_gap;
  rules.thresholds = agent.thresholds;
  for (const UpdatesConfig* said : {&agent.updates, &instance.updates}) {
    if (said->policy) rules.policy = *said->policy;
    if (said->minimum_gap) rules.minimum_gap = *said->minimum_gap;
    if (said->refresh) rules.refresh = *said->refresh;
    if (said->damping) rules.damping = *said->damping;
    if (!said->thresholds.empty()) rules.thresholds = said->thresholds;
  }
  return rules;
}

std::string AgentReferenceMarkdown() { return ReferenceMarkdown(AgentTable().Info()); }

}  // namespace dyncast::config
