// The results as one HTML page that needs nothing else: no script, no resource from anywhere.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/matrix.h"

namespace dyncast::sim {

// In the order of the cells, which must be that of RunMatrix.
std::string HtmlReport(const std::vector<Cell>& cells);

}  // namespace dyncast::sim
