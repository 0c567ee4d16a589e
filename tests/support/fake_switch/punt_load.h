// Demands from an emulated switch, each a punt from a new client that waits for its binding flow and its
// packet-out. In closed loop whoever has both makes room in the window for the next; with a rate they come
// when they are due, and wait from then on. Cheap: fixed octets, patched.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "schema/base/ip.h"
#include "tests/support/fake_switch/fake_switch.h"

namespace dyncast::test {

struct PuntLoadOptions {
  uint32_t window = 64;  // so many wait at most
  double per_s = 0;      // 0: closed loop
  uint16_t service = 1;
  IpAddress sid;  // IPv4
  uint16_t port = 80;
  uint32_t in_port = 1;
  uint8_t client_net = 10;  // clients are client_net.x.y.z: unlike for each switch
};

// Microseconds 0..99999 exactly, longer ones together.
class LatencyCounts {
 public:
  LatencyCounts() : counts_(kBins) {}
  void Add(uint64_t us) { ++counts_[us < kBins ? us : kBins - 1], ++total_; }
  void Add(const LatencyCounts& other);
  uint64_t Quantile(double q) const;  // 0 without any
  uint64_t total() const { return total_; }

 private:
  static constexpr uint64_t kBins = 100000;
  std::vector<uint64_t> counts_;
  uint64_t total_ = 0;
};

class PuntLoad {
 public:
  PuntLoad(FakeSwitch* fake, const PuntLoadOptions& options);  // sets the switch's callbacks
  // Fills the window up. Call after each Step while the load shall last.
  void Fill();
  // How long until the next demand is due; nullopt in closed loop, and while the window is full.
  std::optional<std::chrono::nanoseconds> UntilNext() const;
  // Forgets what was measured up to now.
  void ResetCounts();
  uint64_t done() const { return latencies_.total(); }
  uint64_t outstanding() const { return outstanding_; }
  // Packet-outs or flows for nobody who waits: bound twice, or answered twice.
  uint64_t unasked() const { return unasked_; }
  const LatencyCounts& latencies() const { return latencies_; }

 private:
  enum Seen : uint8_t { kFree = 0, kWaiting = 1, kBound = 2, kForwarded = 4 };
  struct Slot {
    uint32_t sequence = 0;
    uint8_t seen = kFree;
    std::chrono::steady_clock::time_point sent{};
  };
  void OnPacketOut(openflow::ByteView message);
  void OnBinding(openflow::ByteView flow_mod);
  void Mark(uint32_t sequence, uint8_t what);
  void Send(std::chrono::steady_clock::time_point since);

  FakeSwitch* const fake_;
  const PuntLoadOptions options_;
  std::vector<uint8_t> packet_;
  std::vector<Slot> slots_;
  uint32_t next_ = 1;
  std::chrono::steady_clock::time_point due_{};  // with a rate: when the next one is
  uint64_t outstanding_ = 0;
  uint64_t unasked_ = 0;
  size_t client_offset_ = 0;  // in the last flow_mod; the next one is likely alike
  LatencyCounts latencies_;
};

}  // namespace dyncast::test
