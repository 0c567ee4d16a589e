// ParseSites and ParseClients over arbitrary text: never crash, an error says where it is, places are on
// Earth.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tests/sim/positions.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using dyncast::sim::Position;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto check = [](const Position& p) {
    if (!(std::abs(p.latitude) <= 90 && std::abs(p.longitude) <= 180)) std::abort();
  };
  const auto sites = dyncast::sim::ParseSites(text, "places.csv");
  if (!sites.ok() && !sites.error().message.starts_with("places.csv:")) std::abort();
  if (sites.ok()) {
    for (const auto& [id, position] : *sites) check(position);
  }
  const auto clients = dyncast::sim::ParseClients(text, "places.csv");
  if (!clients.ok() && !clients.error().message.starts_with("places.csv:")) std::abort();
  if (clients.ok()) {
    for (const Position& position : *clients) check(position);
  }
  return 0;
}
