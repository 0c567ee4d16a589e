#include "agent/core/sampler.h"

namespace dyncast::agent {

void WindowedRatio::Add(MonoTime at, double numerator, double denominator) {
  if (!readings_.empty()) {
    const Reading& last = readings_.back();
    if (numerator < last.numerator || denominator < last.denominator || at < last.at) readings_.clear();
  }
  readings_.push_back({.at = at, .numerator = numerator, .denominator = denominator});
  while (readings_.size() > 2 && at - readings_[1].at >= window_) readings_.pop_front();
}

std::optional<Windowed> WindowedRatio::Current() const {
  if (readings_.size() < 2) return std::nullopt;
  const Reading& first = readings_.front();
  const Reading& last = readings_.back();
  const double growth = last.denominator - first.denominator;
  if (last.at - first.at < kShortest || !(growth > 0)) return std::nullopt;
  return Windowed{.value = (last.numerator - first.numerator) / growth,
                  .window = std::chrono::duration_cast<std::chrono::milliseconds>(last.at - first.at)};
}

void CounterRate::Add(MonoTime at, double counter) {
  if (last_) total_ += counter >= *last_ ? counter - *last_ : counter;
  last_ = counter;
  ratio_.Add(at, total_, std::chrono::duration<double>(at.time_since_epoch()).count());
}

void CpuShare::Add(MonoTime at, std::chrono::microseconds used, double cores) {
  if (last_) allowed_us_ += static_cast<double>((at - *last_).count()) * cores;
  last_ = at;
  ratio_.Add(at, static_cast<double>(used.count()), allowed_us_);
}

}  // namespace dyncast::agent
