// Values that several of the API's documents share. Pure.
#pragma once

#include <chrono>
#include <cmath>
#include <optional>
#include <string>

#include "controller/io/api_json.h"

namespace dyncast::api {

inline double Seconds(std::chrono::milliseconds ms) { return static_cast<double>(ms.count()) / 1000.0; }

// JSON has no infinity: an unknown or unbounded number is absent.
inline void Put(Json* out, const char* key, const std::optional<double>& value) {
  if (value && std::isfinite(*value)) (*out)[key] = *value;
}

// An instance's scores; absent where nothing makes one.
inline Json LevelsJson(const ScoreValues& scores) {
  Json out = Json::object();
  for (const ScoreCategory category : kScoreCategories) {
    Put(&out, ("l1_" + std::string(ScoreCategoryName(category))).c_str(), scores.l1[IndexOf(category)]);
  }
  Put(&out, "l2", scores.l2);
  return out;
}

// Slots of a select group as a part of all, 0 to 1.
inline double ShareOf(size_t slots) { return static_cast<double>(slots) / static_cast<double>(kSlots); }

}  // namespace dyncast::api
