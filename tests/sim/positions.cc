#include "tests/sim/positions.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>

#include "tests/sim/csv.h"
#include "tests/sim/trace.h"

namespace dyncast::sim {
namespace {

constexpr size_t kMaxBytes = size_t{64} << 20;

using Fields = std::vector<std::string_view>;

// Which column is which, from the first line.
class Columns {
 public:
  Columns(CsvReader* csv, std::vector<std::string_view> wanted) : csv_(csv), wanted_(std::move(wanted)) {}

  std::optional<Error> ReadHeader(std::string_view name) {
    Fields header;
    if (!csv_->Next(&header)) return MakeError(Errc::kInvalid, fmt::format("{}: nothing in it", name));
    count_ = header.size();
    for (const std::string_view column : wanted_) {
      const auto at = std::find(header.begin(), header.end(), column);
      if (at == header.end()) {
        return csv_->Refuse(header.front(), fmt::format("the first line must name a column {}", column));
      }
      at_.push_back(static_cast<size_t>(at - header.begin()));
    }
    return std::nullopt;
  }
  // In the order of `wanted`.
  std::optional<Error> Pick(const Fields& line, Fields* picked) const {
    if (line.size() != count_) {
      return csv_->Refuse(line.front(), fmt::format("must be {} values as in the first line, here are {}",
                                                    count_, line.size()));
    }
    picked->clear();
    for (const size_t i : at_) picked->push_back(line[i]);
    return std::nullopt;
  }

 private:
  CsvReader* const csv_;
  const Fields wanted_;
  Fields::size_type count_ = 0;
  std::vector<size_t> at_;
};

std::optional<Error> ParsePosition(const CsvReader& csv, std::string_view latitude,
                                   std::string_view longitude, Position* position) {
  const auto degrees = [](std::string_view text, double most) {
    std::optional<double> value = ParseDecimal(text, Sign::kAllowed);
    if (value && std::abs(*value) > most) value.reset();
    return value;
  };
  const auto north = degrees(latitude, 90);
  if (!north) return csv.Refuse(latitude, "latitude must be degrees, -90 to 90");
  const auto east = degrees(longitude, 180);
  if (!east) return csv.Refuse(longitude, "longitude must be degrees, -180 to 180");
  *position = {.latitude = *north, .longitude = *east};
  return std::nullopt;
}

}  // namespace

double DistanceKm(const Position& a, const Position& b) {
  constexpr double kRadiusKm = 6371;
  const auto radians = [](double degrees) { return degrees * std::numbers::pi / 180; };
  const double half_north = std::sin(radians(b.latitude - a.latitude) / 2);
  const double half_east = std::sin(radians(b.longitude - a.longitude) / 2);
  const double h = half_north * half_north +
                   std::cos(radians(a.latitude)) * std::cos(radians(b.latitude)) * half_east * half_east;
  return 2 * kRadiusKm * std::asin(std::min(1.0, std::sqrt(h)));
}

Result<Sites> ParseSites(std::string_view text, std::string_view name) {
  CsvReader csv(text, name);
  Columns columns(&csv, {"SITE_ID", "LATITUDE", "LONGITUDE"});
  if (auto error = columns.ReadHeader(name)) return std::move(*error);
  Sites sites;
  Fields line;
  Fields picked;
  while (csv.Next(&line)) {
    if (auto error = columns.Pick(line, &picked)) return std::move(*error);
    uint32_t id = 0;
    const std::string_view text_id = picked[0];
    const auto [end, bad] = std::from_chars(text_id.data(), text_id.data() + text_id.size(), id);
    if (bad != std::errc{} || end != text_id.data() + text_id.size() || id == 0) {
      return csv.Refuse(text_id, "SITE_ID must be a whole number, 1 to 4294967295");
    }
    Position position;
    if (auto error = ParsePosition(csv, picked[1], picked[2], &position)) return std::move(*error);
    if (!sites.emplace(id, position).second) return csv.Refuse(text_id, "SITE_ID stands in a line above");
  }
  return sites;
}

Result<std::vector<Position>> ParseClients(std::string_view text, std::string_view name) {
  CsvReader csv(text, name);
  Columns columns(&csv, {"Latitude", "Longitude"});
  if (auto error = columns.ReadHeader(name)) return std::move(*error);
  std::vector<Position> clients;
  Fields line;
  Fields picked;
  while (csv.Next(&line)) {
    if (auto error = columns.Pick(line, &picked)) return std::move(*error);
    if (clients.size() >= kMostClients) {
      return csv.Refuse(picked[0], fmt::format("is one client more than {}", kMostClients));
    }
    if (auto error = ParsePosition(csv, picked[0], picked[1], &clients.emplace_back()))
      return std::move(*error);
  }
  if (clients.empty()) return MakeError(Errc::kInvalid, fmt::format("{}: no client in it", name));
  return clients;
}

Result<Sites> LoadSites(const std::string& path) {
  const Result<std::string> text = ReadFile(path, kMaxBytes);
  if (!text.ok()) return text.error();
  return ParseSites(*text, path);
}

Result<std::vector<Position>> LoadClients(const std::string& path) {
  const Result<std::string> text = ReadFile(path, kMaxBytes);
  if (!text.ok()) return text.error();
  return ParseClients(*text, path);
}

}  // namespace dyncast::sim
