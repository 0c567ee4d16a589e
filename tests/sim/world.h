// The inside of a run: everything that has a state, and what each event does to it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tests/sim/agents.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/fabric.h"
#include "tests/sim/oracle.h"
#include "tests/sim/random.h"
#include "tests/sim/server.h"
#include "tests/sim/simulation.h"
#include "tests/sim/workload.h"

namespace dyncast::sim {

class World : private Fabric::Standing {
 public:
  // `loaded` must outlive this.
  World(const Loaded& loaded, const RunSpec& spec);
  // Once.
  Outcome Run();

 private:
  // One request on its way, at its instance, or on its way back.
  struct Job {
    Micros asked{0};
    double work_s = 0;
    uint32_t flow = 0;
    uint32_t instance = 0;
  };
  // A demand's flow. Its slot is free again when nothing refers to it.
  struct Client {
    Flow flow;
    bool bound = false;
    bool open = false;    // the session, or the only request, is not over
    uint32_t waits = 0;   // requests without an answer
    uint32_t refers = 0;  // events and jobs
    double session_work = 0;
    std::vector<Arrival::Request> later;
    size_t next = 0;
    Micros ends{0};
  };
  struct SpeedChange {
    Micros at{0};
    uint32_t instance = 0;
    double speed = 1;
  };

  static constexpr Micros kSampleStep{100'000};

  void Handle(const Event& event);
  // The same once more, as long as demands arrive.
  void Again(const Event& event, Micros gap);
  // Demands.
  void Open(const Arrival& arrival);
  bool Bind(uint32_t client, double work_s);
  void Send(uint32_t client, double work_s);
  void OnArrive(uint32_t job);
  void OnDone(uint32_t instance, uint32_t version);
  void OnAnswer(uint32_t job);
  void AwaitRequest(uint32_t client);
  void OnRequest(uint32_t client);
  void OnIdle(uint32_t client);
  void CloseIfOver(uint32_t client);
  void Unbind(uint32_t client);
  void Drop(uint32_t client);
  void Plan(uint32_t instance);
  uint32_t NewJob();
  uint32_t NewClient();
  // Agents.
  void StartAgents();
  void Say();
  void OnHeard(uint32_t message);
  // Speeds.
  void StartSpeeds();
  void OnSpeed(uint32_t change);
  // Measuring.
  void StartMeasuring();
  void EndSecond();
  void OnSample();
  void Append(uint32_t router, std::vector<const Flow*>* flows) const override;
  Outcome Finish();

  const Scenario& scenario_;
  const Topology& topology_;
  const RunSpec spec_;
  const Micros idle_timeout_;
  Workload workload_;
  std::unique_ptr<Fabric> fabric_;  // null with a reference policy
  std::optional<ReferencePolicy> reference_;
  Agents agents_;
  Random losses_;
  EventQueue events_;
  Micros now_{0};
  std::vector<Server> servers_;
  std::vector<uint32_t> versions_;              // of each instance's kDone that counts
  std::vector<std::optional<Micros>> planned_;  // and its time
  std::vector<Underway> underway_;
  std::vector<uint32_t> sessions_;  // open at each instance
  std::vector<SpeedChange> changes_;
  std::vector<Job> jobs_;
  std::vector<uint32_t> free_jobs_;
  std::vector<Client> clients_;
  std::vector<uint32_t> free_clients_;
  std::vector<uint16_t> ports_;  // the last one of each client
  std::vector<wire::AgentMessage> messages_;
  std::vector<uint32_t> free_messages_;
  Agents::Messages said_;  // scratch
  // Measured.
  std::vector<uint32_t> latencies_us_;
  std::vector<uint32_t> decided_;  // in this second, of each instance
  std::vector<double> shares_;     // of the last second
  double moved_ = 0;
  uint64_t moved_seconds_ = 0;
  double imbalance_ = 0;
  uint64_t samples_ = 0;
  uint64_t sample_ = 0;
  uint64_t refused_ = 0;
  Outcome outcome_;
};

}  // namespace dyncast::sim
