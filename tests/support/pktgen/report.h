// The report of a run: one JSON object (README.md has its fields), and the map of flows to instances.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/pktgen/traffic.h"

namespace dyncast::pktgen {

struct Questions {
  GroupKind group = GroupKind::k5Tuple;
  uint8_t group_prefix = 128;
  std::string map_file;     // written; empty: none
  std::string expect_file;  // an earlier map to compare with; empty: none
};

nlohmann::ordered_json Report(const Setup& setup, const Outcome& outcome, const Questions& questions);

}  // namespace dyncast::pktgen
