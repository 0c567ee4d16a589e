// agent.yaml: defaults and rules across values of scrape, orca, plugins and gpu.
#pragma once

#include <string>

#include "schema/config/agent.h"
#include "schema/config/reader.h"

namespace dyncast::config {

// Units of metrics, plug-ins' timeouts. `path`: the instance's.
void FillInSources(const Reader& reader, const std::string& path, InstanceConfig& instance);
void CheckSources(Reader& reader, const std::string& path, const InstanceConfig& instance);
// What concerns the agent and all of its instances.
void CheckAgentSources(Reader& reader, const AgentConfig& config);

}  // namespace dyncast::config
