// The rules across values of `updates` and `thresholds` in agent.yaml.
#pragma once

#include <string>
#include <vector>

#include "schema/config/agent.h"
#include "schema/config/reader.h"

namespace dyncast::config {

// What the agent says for all instances.
void CheckAgentUpdates(Reader& reader, const AgentConfig& agent);
// What an instance says, and what holds for it together with the agent's. `path`: the instance's.
void CheckUpdateRules(Reader& reader, const std::string& path, const AgentConfig& agent,
                      const InstanceConfig& instance);

}  // namespace dyncast::config
