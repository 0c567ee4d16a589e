// The results as CSV: one line for each cell. Columns: docs/simulation.md.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/matrix.h"

namespace dyncast::sim {

std::string CsvReport(const std::vector<Cell>& cells);
// For people: the same without what few look at, in columns.
std::string TextReport(const std::vector<Cell>& cells);

}  // namespace dyncast::sim
