// Places on Earth from CSV files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"

namespace dyncast::sim {

struct Position {
  double latitude = 0;   // degrees, -90..90
  double longitude = 0;  // degrees, -180..180
};

// Along a great circle of a sphere of radius 6371 km.
double DistanceKm(const Position& a, const Position& b);

using Sites = std::map<uint32_t, Position>;  // by SITE_ID, > 0
// Other columns may stand beside those needed. Errors: "NAME:LINE: value 'VALUE': RULE".
Result<Sites> ParseSites(std::string_view text, std::string_view name);
Result<std::vector<Position>> ParseClients(std::string_view text, std::string_view name);
Result<Sites> LoadSites(const std::string& path);
Result<std::vector<Position>> LoadClients(const std::string& path);

}  // namespace dyncast::sim
