#include "agent/core/source.h"

#include <utility>

namespace dyncast::agent {

SourceValues::SourceValues(std::vector<config::ScrapedMetric> wanted, Micros window, Micros expiry)
    : wanted_(std::move(wanted)),
      expiry_(expiry),
      rates_(wanted_.size(), CounterRate(window)),
      current_(wanted_.size()) {}

void SourceValues::Take(const SourceReading& reading, MonoTime now) {
  for (size_t i = 0; i < wanted_.size(); ++i) {
    current_[i].reset();
    if (!reading || i >= reading->size() || !(*reading)[i]) continue;
    const double raw = *(*reading)[i];
    if (wanted_[i].rate) {
      rates_[i].Add(now, raw);
      current_[i] = rates_[i].Current();
    } else {
      current_[i] = Windowed{.value = raw};
    }
    if (current_[i]) current_[i]->value *= wanted_[i].factor;
  }
  taken_at_ = now;
}

void SourceValues::AppendTo(std::vector<ScrapedValue>* values, MonoTime now) const {
  if (!taken_at_ || now - *taken_at_ > expiry_) return;
  for (size_t i = 0; i < wanted_.size(); ++i) {
    if (!current_[i]) continue;
    values->push_back({.name = wanted_[i].name,
                       .unit = wanted_[i].unit,
                       .statistic = wanted_[i].rate ? MetricStatistic::kRate : MetricStatistic::kInstant,
                       .value = *current_[i]});
  }
}

}  // namespace dyncast::agent
