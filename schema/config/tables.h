// The option tables of both files. Each is made once, on first use, and never changes.
#pragma once

#include "schema/config/agent.h"
#include "schema/config/fabric.h"
#include "schema/config/option.h"

namespace dyncast::config {

const Table<FabricConfig>& FabricTable();
const Table<ServiceSpec>& ServiceTable();  // within FabricTable
enum class ScorePlace : uint8_t { kFabric, kService };
const Table<ScoreSettings>& ScoreTable(ScorePlace place);  // within FabricTable and ServiceTable
const Table<AgentConfig>& AgentTable();
const Table<ReflectorConfig>& ReflectorTable();  // within AgentTable, as the next two
const Table<ProbeConfig>& ProbeTable();
const Table<PathThresholdConfig>& PathThresholdTable();
const Table<ThresholdConfig>& ThresholdTable();  // within AgentTable
const Table<UpdatesConfig>& UpdatesTable();
const Table<ScrapeConfig>& ScrapeTable();
const Table<OrcaConfig>& OrcaTable();
const Table<PluginConfig>& PluginTable();
const Table<GpuConfig>& GpuTable();

}  // namespace dyncast::config
