// The option tables of a scenario file.
#pragma once

#include "schema/config/option.h"
#include "tests/sim/scenario.h"

namespace dyncast::sim {

const config::Table<Scenario>& ScenarioTable();

}  // namespace dyncast::sim
