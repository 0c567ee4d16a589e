// Rules of a scenario that span several values, and defaults that depend on others.
#pragma once

#include "schema/config/reader.h"
#include "tests/sim/scenario.h"

namespace dyncast::sim {

void FillIn(config::Reader& reader, Scenario* scenario);
void CheckScenario(config::Reader& reader, const Scenario& scenario);

}  // namespace dyncast::sim
