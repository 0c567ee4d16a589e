// What happens when: a heap of small events. Those of one time come in the order in which they were added.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "schema/base/time.h"

namespace dyncast::sim {

enum class What : uint8_t {
  kArrive,      // a: job, at its instance
  kDone,        // a: instance, b: version of its plan
  kAnswer,      // a: job, back at its D-Router
  kRequest,     // a: flow; the session's next request
  kSessionEnd,  // a: flow
  kIdle,        // a: flow; its binding may have been idle for long enough
  kReport,      // a: edge
  kAnnounce,    // a: edge
  kBeat,        // a: D-Router
  kPaths,       // a: D-Router
  kHeard,       // a: message, at the controller
  kSpeed,       // a: index of the change
  kSample,
};

struct Event {
  Micros at{0};
  uint64_t order = 0;
  What what = What::kSample;
  uint32_t a = 0;
  uint32_t b = 0;
};

class EventQueue {
 public:
  void Add(Micros at, What what, uint32_t a = 0, uint32_t b = 0) {
    heap_.push_back({.at = at, .order = ++order_, .what = what, .a = a, .b = b});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  bool empty() const { return heap_.empty(); }
  // Precondition of both: !empty().
  Micros next() const { return heap_.front().at; }
  Event Take() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    const Event event = heap_.back();
    heap_.pop_back();
    return event;
  }

 private:
  static bool Later(const Event& a, const Event& b) { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  std::vector<Event> heap_;
  uint64_t order_ = 0;
};

}  // namespace dyncast::sim
