#include "tests/sim/scenario.h"

#include "schema/config/load.h"
#include "schema/config/reference.h"
#include "schema/config/yaml_tree.h"
#include "tests/sim/scenario_check.h"
#include "tests/sim/scenario_table.h"

namespace dyncast::sim {

std::string_view EndingName(Ending ending) { return ending == Ending::kFin ? "fin" : "idle"; }

Result<Scenario> ParseScenario(std::string_view yaml, std::string_view name) {
  Result<config::YamlNode> root = config::ParseYaml(yaml, name);
  if (!root.ok()) return root.error();
  config::Reader reader(name);
  reader.Saw("", root->place);
  Scenario scenario;
  ScenarioTable().Read(reader, *root, "", scenario);
  FillIn(reader, &scenario);
  CheckScenario(reader, scenario);
  if (!reader.ok()) return reader.ToError();
  return scenario;
}

Result<Scenario> LoadScenario(const std::string& path) {
  Result<std::string> text = config::ReadConfigFile(path);
  if (!text.ok()) return text.error();
  Result<Scenario> scenario = ParseScenario(*text, path);
  if (!scenario.ok()) return scenario;
  const size_t slash = path.rfind('/');
  scenario->folder = slash == std::string::npos ? "." : path.substr(0, slash);
  return scenario;
}

std::string ScenarioReferenceMarkdown() {
  std::string text = config::ReferenceMarkdown(ScenarioTable().Info());
  text.pop_back();  // one newline at the end
  return text;
}

}  // namespace dyncast::sim
