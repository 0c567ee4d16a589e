// Metric agents by the thousand: one thread, a publisher socket (so a connection) for each agent, real
// messages.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace dyncast::bench {

struct PublisherOptions {
  std::string endpoint;       // where the subscriber is bound
  uint32_t agents = 1;        // > 0
  double messages_per_s = 0;  // of all together, evenly spaced; 0: as many as go out
};

// Instances that they speak for, all together: an agent has one, or its part of fifty.
uint32_t InstancesOf(uint32_t agents);
// `agents:` of fabric.yaml, a list in flow style: a0, a1, ... with their D-BIDs.
std::string AgentsYaml(uint32_t agents);
// Room for so many connections in one process, both ends; exits with a message where it is refused.
void AllowConnections(uint32_t agents);

// Publishes from construction to destruction: reports of five metrics, every twentieth message an announce,
// so that a subscriber who joins late learns of all instances. The agents take turns.
class Publishers {
 public:
  explicit Publishers(const PublisherOptions& options) : thread_([this, options] { Run(options); }) {}
  ~Publishers() {
    phase_ = Phase::kStopped;
    phase_.notify_one();
    thread_.join();
  }
  Publishers(const Publishers&) = delete;
  Publishers& operator=(const Publishers&) = delete;
  // The subscriber has heard all of them: silence until Begin.
  void Pause() { phase_ = Phase::kPaused; }
  void Begin() {
    phase_ = Phase::kBegun;
    phase_.notify_one();
  }

 private:
  enum class Phase : uint8_t { kJoining, kPaused, kBegun, kStopped };
  void Run(const PublisherOptions& options);
  std::atomic<Phase> phase_{Phase::kJoining};
  std::thread thread_;
};

}  // namespace dyncast::bench
