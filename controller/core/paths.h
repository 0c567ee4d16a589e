// The network between the agents' places, as the agents measured it. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/time.h"
#include "schema/model/path.h"

namespace dyncast::core {

// From one place to another, seen from the former.
struct PathMetrics {
  std::optional<Micros> rtt;     // mean; absent: nothing came back
  std::optional<double> loss;    // of both ways together, 0..1
  std::optional<Micros> jitter;  // the larger of both ways
  Micros age{0};                 // since it was said
  bool reversed = false;         // measured from the other end
  bool other_family = false;     // the family asked for was not measured
  friend bool operator==(const PathMetrics&, const PathMetrics&) = default;
};

class PathTable {
 public:
  // Replaces all that `agent` said before. Samples are of different peers and families; one about `agent`
  // itself is left out.
  void Set(std::string_view agent, std::vector<PathSample> samples, MonoTime now);
  // What `agent` said is not known any more. What others said of the way to it stays until it expires.
  // True if it had said something.
  bool Forget(std::string_view agent);
  // Only ways between agents that `listed` is true for stay.
  void Retain(const std::function<bool(std::string_view agent)>& listed);

  // The way from one agent's place to another's: what `from` measured, else what `to` did; the family asked
  // for, else the other. A session that got nothing back counts only if no other got anything. nullopt if
  // nothing was said within `expiry`. A place is nothing away from itself.
  std::optional<PathMetrics> Find(std::string_view from, std::string_view to, bool ipv6, MonoTime now,
                                  std::chrono::milliseconds expiry) const;

  struct Row {
    std::string_view from;
    const PathSample* sample = nullptr;  // never null
    Micros age{0};
  };
  // All that was said, by names and family. Valid until the next change.
  std::vector<Row> Rows(MonoTime now) const;
  // Grows with each change.
  uint64_t revision() const { return revision_; }

 private:
  struct Said {
    MonoTime at{};
    std::vector<PathSample> samples;  // by peer and family
  };
  static const PathSample* Get(const Said& said, std::string_view peer, bool ipv6);

  std::map<std::string, Said, std::less<>> said_;  // by agent
  uint64_t revision_ = 0;
};

}  // namespace dyncast::core
