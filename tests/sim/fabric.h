// The decision core with everything around it that a scenario's fabric would have: a configuration, D-Routers
// that are in sync, time that passes. What it decides is counted here; where demands go, is returned.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/core.h"
#include "tests/sim/scenario.h"
#include "tests/sim/topology.h"

namespace dyncast::sim {

// A flow of a client, and the binding that stands for it in its D-Router.
struct Flow {
  uint32_t router = 0;
  uint32_t service = 0;
  uint32_t client = 0;
  uint16_t port = 0;
  uint32_t instance = 0;
  Micros bound_at{0};
  Micros last_packet{0};
  uint64_t packets = 0;
};

struct FabricOptions {
  PolicyKind policy = PolicyKind::kLeastBindings;
  Dispatch dispatch = Dispatch::kReactive;
  std::chrono::seconds idle_timeout{60};
  std::chrono::milliseconds metrics_expiry{10000};
  uint64_t seed = 1;
};

class Fabric {
 public:
  Fabric(const Scenario& scenario, const Topology& topology, const FabricOptions& options);

  static std::string EdgeAgent(const EdgeSpec& edge) { return "agent-" + edge.name; }
  static std::string RouterAgent(const RouterSpec& router) { return "net-" + router.name; }
  static IpAddress Bid(size_t instance);

  // Lets the core's time pass until `now`: its ticks that are due.
  void Advance(Micros now);
  void Say(wire::AgentMessage message, Micros now);
  // The clock that agents write into their messages.
  static WallTime Wall(Micros now) { return ClocksAt(now).wall; }

  // A packet of a flow without a binding. The instance that it goes to; nullopt: refused.
  std::optional<uint32_t> Demand(const Flow& flow, Micros now);
  // The switch's news that a binding ended.
  void Ended(const Flow& flow, Micros now);

  // The bindings that stand, for what the core wants counted. Set by the owner.
  struct Standing {
    virtual ~Standing() = default;
    virtual void Append(uint32_t router, std::vector<const Flow*>* flows) const = 0;
  };
  void SetStanding(const Standing* standing) { standing_ = standing; }

  struct Counts {
    uint64_t messages = 0;     // of agents, that arrived
    uint64_t refused = 0;      // demands
    uint64_t plans = 0;        // SetPlan
    uint64_t installed = 0;    // binding flows pushed
    uint64_t slots_moved = 0;  // dispatch learn: slots that changed hands, all D-Routers
  };
  const Counts& counts() const { return counts_; }
  void ResetCounts() { counts_ = {}; }
  size_t binding_count() const { return core_->binding_count(); }

 private:
  static Now ClocksAt(Micros now);
  BindingKey KeyOf(const Flow& flow) const;
  FoundBinding Found(const Flow& flow, Micros now) const;
  void Do(const core::Event& event, Micros now);
  void Take();
  void TakePlan(const SwitchPlan& plan);
  void Count(SwitchId at, Micros now);
  std::optional<uint32_t> Select(const Flow& flow, Micros now);
  void ReportLearned(Micros now);

  struct Router {
    SwitchId id;
    std::vector<std::vector<uint32_t>> slots;  // [service]: kSlots instances, or empty
    std::vector<FoundBinding> learned;         // not yet told
    bool counting = false;
  };

  const Dispatch dispatch_;
  std::unique_ptr<core::Core> core_;
  std::vector<Router> routers_;
  std::vector<ServiceId> services_;
  std::vector<InstanceId> ids_;      // of each instance that a plan ever had
  std::vector<uint32_t> instances_;  // by id
  Affinity affinity_;
  core::Effects effects_;
  const Standing* standing_ = nullptr;
  std::vector<uint8_t> packet_;
  MonoTime next_tick_{};
  Counts counts_;
};

}  // namespace dyncast::sim
