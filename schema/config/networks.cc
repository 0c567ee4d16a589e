#include "schema/config/networks.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

namespace dyncast::config {

void RefuseOverlaps(Reader& reader, std::vector<PlacedPrefix> all, std::string_view rule) {
  std::erase_if(all, [&reader](const PlacedPrefix& p) { return reader.Refused(p.path); });
  std::stable_sort(all.begin(), all.end(), [](const PlacedPrefix& a, const PlacedPrefix& b) {
    return std::tuple(a.prefix.address.is_v4(), a.prefix.Network()) <
           std::tuple(b.prefix.address.is_v4(), b.prefix.Network());
  });
  // Sorted so, a prefix stands before all that lie in it, and nothing else stands between.
  const PlacedPrefix* widest = nullptr;
  for (const PlacedPrefix& next : all) {
    if (widest == nullptr || !widest->prefix.Overlaps(next.prefix)) {
      widest = &next;
    } else if (widest->owner != next.owner) {
      reader.Refuse(next.path, next.prefix.ToString(),
                    fmt::format("overlaps {} at '{}': {}", widest->prefix.ToString(), widest->path, rule),
                    Errc::kConflict);
    }
  }
}

bool IsHostIn(const IpPrefix& prefix, const IpAddress& a) {
  if (prefix.address.is_none() || !prefix.Contains(a)) return false;
  if (!a.is_v4()) return prefix.length >= 127 || MaskAddress(a, prefix.length) != a;
  if (prefix.length >= 31) return true;
  const uint32_t mask = 0xffffffffu >> prefix.length;
  return (a.v4() & mask) != 0 && (a.v4() & mask) != mask;
}

}  // namespace dyncast::config
