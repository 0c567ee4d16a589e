#include "controller/core/paths.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace dyncast::core {
namespace {

std::optional<Micros> Larger(const std::optional<Micros>& a, const std::optional<Micros>& b) {
  if (!a || !b) return a ? a : b;
  return std::max(*a, *b);
}

}  // namespace

void PathTable::Set(std::string_view agent, std::vector<PathSample> samples, MonoTime now) {
  std::erase_if(samples, [&](const PathSample& sample) { return sample.peer == agent; });
  std::stable_sort(samples.begin(), samples.end(), [](const PathSample& a, const PathSample& b) {
    return std::tie(a.peer, a.ipv6) < std::tie(b.peer, b.ipv6);
  });
  said_[std::string(agent)] = {.at = now, .samples = std::move(samples)};
  ++revision_;
}

bool PathTable::Forget(std::string_view agent) {
  const auto at = said_.find(agent);
  if (at == said_.end()) return false;
  said_.erase(at);
  ++revision_;
  return true;
}

void PathTable::Retain(const std::function<bool(std::string_view agent)>& listed) {
  std::erase_if(said_, [&](const auto& entry) { return !listed(entry.first); });
  for (auto& [agent, said] : said_) {
    std::erase_if(said.samples, [&](const PathSample& sample) { return !listed(sample.peer); });
  }
  ++revision_;
}

const PathSample* PathTable::Get(const Said& said, std::string_view peer, bool ipv6) {
  const auto at = std::lower_bound(said.samples.begin(), said.samples.end(), std::tie(peer, ipv6),
                                   [](const PathSample& sample, const auto& key) {
                                     const std::string_view name = sample.peer;
                                     return std::tie(name, sample.ipv6) < key;
                                   });
  if (at == said.samples.end() || at->peer != peer || at->ipv6 != ipv6) return nullptr;
  return &*at;
}

std::optional<PathMetrics> PathTable::Find(std::string_view from, std::string_view to, bool ipv6,
                                           MonoTime now, std::chrono::milliseconds expiry) const {
  if (from == to) return PathMetrics{.rtt = Micros{0}, .loss = 0.0, .jitter = Micros{0}};
  std::optional<PathMetrics> lost;
  for (const bool reversed : {false, true}) {
    const auto said = said_.find(reversed ? to : from);
    if (said == said_.end() || now - said->second.at > expiry) continue;
    for (const bool other : {false, true}) {
      const PathSample* sample = Get(said->second, reversed ? from : to, ipv6 != other);
      if (sample == nullptr) continue;
      const PathMetrics found{.rtt = sample->rtt,
                              .loss = sample->loss,
                              .jitter = Larger(sample->jitter_forward, sample->jitter_backward),
                              .age = now - said->second.at,
                              .reversed = reversed,
                              .other_family = other};
      if (found.rtt) return found;
      if (!lost) lost = found;
    }
  }
  return lost;
}

std::vector<PathTable::Row> PathTable::Rows(MonoTime now) const {
  std::vector<Row> rows;
  for (const auto& [agent, said] : said_) {
    for (const PathSample& sample : said.samples) {
      rows.push_back({.from = agent, .sample = &sample, .age = now - said.at});
    }
  }
  return rows;
}

}  // namespace dyncast::core
