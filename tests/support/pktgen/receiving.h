// The receiving side of a run: counts what arrives at the receivers' interfaces and at the client's, answers
// demands, ARP and ND. One thread of its own.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/pktgen/packet_port.h"
#include "tests/support/pktgen/traffic.h"

namespace dyncast::pktgen {

class Receiving {
 public:
  // All but `run` must live as long as this.
  Receiving(const Setup& setup, uint32_t run, PacketPort* client,
            std::vector<std::unique_ptr<Tally>>* tallies);

  void Start();
  // The tallies are the caller's again after this.
  void Stop();
  // Packets of a stream that need no more waiting for: delivered, or answered where receivers answer.
  uint64_t progress(size_t stream) const { return progress_[stream].load(std::memory_order_relaxed); }
  uint64_t elsewhere() const { return elsewhere_; }
  uint64_t ring_drops() const { return ring_drops_; }

 private:
  struct Interface {
    std::unique_ptr<PacketPort> port;
    std::map<std::pair<IpAddress, uint16_t>, uint16_t> by_address;
    uint16_t any = kNobody;
    std::vector<uint8_t> answers;  // frames of answer_bytes each, waiting to be sent
    size_t answer_bytes = 0;
  };

  void Loop();
  void AtClient(const Received& received);
  void AtReceiver(Interface* interface, const Received& received);
  void QueueAnswer(Interface* interface, const Received& received);
  static void FlushAnswers(Interface* interface);
  void AnswerForReceiver(Interface* interface, const Received& received);

  const Setup& setup_;
  const uint32_t run_;
  PacketPort* client_;
  std::vector<std::unique_ptr<Tally>>& tallies_;
  std::map<std::string, Interface> interfaces_;
  std::vector<std::atomic<uint64_t>> progress_;
  std::atomic<bool> stopping_{false};
  uint64_t elsewhere_ = 0;
  uint64_t ring_drops_ = 0;
  std::thread thread_;
};

}  // namespace dyncast::pktgen
