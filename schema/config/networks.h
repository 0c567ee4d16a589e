// Rules about networks that several checks share.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/ip.h"
#include "schema/config/reader.h"

namespace dyncast::config {

struct PlacedPrefix {
  IpPrefix prefix;
  std::string path;
  size_t owner = 0;  // prefixes of one owner may overlap
};

// Refuses each prefix that overlaps one of another owner; `rule` says why it must not.
void RefuseOverlaps(Reader& reader, std::vector<PlacedPrefix> all, std::string_view rule);

// True if a host can have `a` in the network of `prefix`.
bool IsHostIn(const IpPrefix& prefix, const IpAddress& a);

}  // namespace dyncast::config
