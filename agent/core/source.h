// Values that an application's page or a plug-in gives, under the names that the configuration gives them:
// with factor and rate applied, and only until they are too old. Pure.
#pragma once

#include <optional>
#include <vector>

#include "agent/core/metrics.h"
#include "agent/core/sampler.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

// As they stand in the source, in the order of what was asked for; nullopt: not there. The outer one: the
// source could not be read.
using SourceReading = std::optional<std::vector<std::optional<double>>>;

class SourceValues {
 public:
  // `window`: what rates are measured over, at least. `expiry`: how long a reading may be used.
  SourceValues(std::vector<config::ScrapedMetric> wanted, Micros window, Micros expiry);

  void Take(const SourceReading& reading, MonoTime now);
  void AppendTo(std::vector<ScrapedValue>* values, MonoTime now) const;

  // The scheduler's notes.
  MonoTime next_run{};
  bool running = false;

 private:
  std::vector<config::ScrapedMetric> wanted_;
  Micros expiry_;
  std::vector<CounterRate> rates_;                // one for each metric
  std::vector<std::optional<Windowed>> current_;  // the newest values, factor applied
  std::optional<MonoTime> taken_at_;
};

}  // namespace dyncast::agent
