// What became of the packets of one stream: exact counts, latencies, and which instance each flow went to.
// Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dyncast::pktgen {

// Log-linear: 64 steps for each doubling, so a percentile is right to 1.6%.
class Histogram {
 public:
  void Add(uint64_t ns);
  uint64_t count() const { return count_; }
  uint64_t max_ns() const { return max_; }
  double mean_ns() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }
  // The value that `share` (0..1) of all are at most; 0 if there are none.
  uint64_t Quantile(double share) const;

 private:
  std::array<uint64_t, 64 * 40> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
  uint64_t sum_ = 0;
};

inline constexpr uint16_t kNobody = 0xffff;

class Tally {
 public:
  // Flows are counted from 0, sequence numbers below `packets`.
  Tally(uint32_t flows, uint64_t packets, size_t instances);

  // A demand reached `instance`. False: seen before.
  bool Delivered(uint32_t flow, uint32_t sequence, uint16_t instance, uint64_t at_ns);
  // Its answer reached the client. False: seen before.
  bool Answered(uint32_t sequence);

  uint64_t sent = 0;
  uint64_t delivered = 0;
  uint64_t duplicates = 0;
  uint64_t answered = 0;
  uint64_t duplicate_answers = 0;
  uint64_t wrong_answers = 0;  // not from the address that was asked
  uint64_t bad_checksums = 0;
  uint64_t first_sent_ns = 0;
  uint64_t last_sent_ns = 0;
  uint64_t first_delivered_ns = 0;
  uint64_t last_delivered_ns = 0;
  // Flows that were seen on another instance than before, at least once, and when the first and the last of
  // these changes were.
  uint64_t flows_moved = 0;
  uint64_t first_move_ns = 0;
  uint64_t last_move_ns = 0;
  uint64_t max_gap_ns = 0;  // the longest between two packets of a flow
  std::vector<uint64_t> per_instance;
  std::vector<uint64_t> instance_first_ns;  // first and last arrival at each; 0: none
  std::vector<uint64_t> instance_last_ns;
  Histogram latency;
  Histogram rtt;
  // Per flow: the instance that had it first, and last.
  const std::vector<uint16_t>& first_instance() const { return first_; }
  const std::vector<uint16_t>& last_instance() const { return last_; }

 private:
  static bool Mark(std::vector<uint64_t>* bits, uint32_t index);

  std::vector<uint16_t> first_;
  std::vector<uint16_t> last_;
  std::vector<uint64_t> last_ns_;
  std::vector<bool> moved_;
  std::vector<uint64_t> seen_;
  std::vector<uint64_t> answered_;
};

}  // namespace dyncast::pktgen
