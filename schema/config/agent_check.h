// The second pass over agent.yaml: what is left out is filled in, then the rules across values.
#pragma once

#include "schema/config/agent.h"
#include "schema/config/reader.h"

namespace dyncast::config {

// Defaults that depend on other values: health.port, health.timeout, a scraped metric's unit, a probe's
// window.
void FillIn(const Reader& reader, AgentConfig& config);
void FillInPaths(const Reader& reader, AgentConfig& config);  // within FillIn
// The rules across values. Values that broke a rule of their own are skipped: they hold their default.
void CheckAgent(Reader& reader, const AgentConfig& config);
void CheckPaths(Reader& reader, const AgentConfig& config);  // within CheckAgent

}  // namespace dyncast::config
