#include "tests/support/pktgen/tally.h"

#include <algorithm>
#include <bit>

namespace dyncast::pktgen {
namespace {

size_t BucketOf(uint64_t ns) {
  if (ns < 64) {
    return ns;
  }
  const auto doublings = static_cast<size_t>(std::bit_width(ns)) - 7;  // ns >> doublings is 64..127
  return 64 * (doublings + 1) + (ns >> doublings) - 64;
}
uint64_t MiddleOf(size_t bucket) {
  if (bucket < 64) {
    return bucket;
  }
  const size_t doublings = bucket / 64 - 1;
  const uint64_t low = (uint64_t{bucket % 64} + 64) << doublings;
  return low + ((uint64_t{1} << doublings) >> 1);
}

}  // namespace

void Histogram::Add(uint64_t ns) {
  ++buckets_[std::min(BucketOf(ns), buckets_.size() - 1)];
  ++count_;
  sum_ += ns;
  max_ = std::max(max_, ns);
}

uint64_t Histogram::Quantile(double share) const {
  if (share >= 1) return max_;
  const auto wanted = static_cast<uint64_t>(share * static_cast<double>(count_));
  uint64_t below = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    below += buckets_[i];
    if (below > wanted || (below == count_ && below != 0)) {
      return std::min(MiddleOf(i), max_);
    }
  }
  return 0;
}

Tally::Tally(uint32_t flows, uint64_t packets, size_t instances)
    : per_instance(instances),
      instance_first_ns(instances),
      instance_last_ns(instances),
      first_(flows, kNobody),
      last_(flows, kNobody),
      last_ns_(flows),
      moved_(flows),
      seen_(packets / 64 + 1),
      answered_(packets / 64 + 1) {}

bool Tally::Mark(std::vector<uint64_t>* bits, uint32_t index) {
  if (index / 64 >= bits->size()) {
    return false;
  }
  uint64_t& word = (*bits)[index / 64];
  const uint64_t bit = uint64_t{1} << (index % 64);
  const bool fresh = (word & bit) == 0;
  word |= bit;
  return fresh;
}

bool Tally::Delivered(uint32_t flow, uint32_t sequence, uint16_t instance, uint64_t at_ns) {
  if (flow >= first_.size() || !Mark(&seen_, sequence)) {
    ++duplicates;
    return false;
  }
  ++delivered;
  ++per_instance[instance];
  if (instance_first_ns[instance] == 0) {
    instance_first_ns[instance] = at_ns;
  }
  instance_last_ns[instance] = std::max(instance_last_ns[instance], at_ns);
  if (first_delivered_ns == 0) {
    first_delivered_ns = at_ns;
  }
  last_delivered_ns = std::max(last_delivered_ns, at_ns);
  if (first_[flow] == kNobody) {
    first_[flow] = instance;
  } else if (last_[flow] != instance) {
    if (!moved_[flow]) {
      moved_[flow] = true;
      ++flows_moved;
    }
    if (first_move_ns == 0) {
      first_move_ns = at_ns;
    }
    last_move_ns = std::max(last_move_ns, at_ns);
  }
  if (last_ns_[flow] != 0 && at_ns > last_ns_[flow]) {
    max_gap_ns = std::max(max_gap_ns, at_ns - last_ns_[flow]);
  }
  last_[flow] = instance;
  last_ns_[flow] = at_ns;
  return true;
}

bool Tally::Answered(uint32_t sequence) {
  if (!Mark(&answered_, sequence)) {
    ++duplicate_answers;
    return false;
  }
  ++answered;
  return true;
}

}  // namespace dyncast::pktgen
