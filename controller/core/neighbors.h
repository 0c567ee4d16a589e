// MACs of neighbours: whom to ask for and when, and packets that wait for an answer. The switch keeps the
// answers itself; here is only what makes it learn them. Next hops and D-BIDs of the plan have room of their
// own, so that nobody who asks for strange addresses can take it. Packets wait for 1 s at most.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "controller/core/event.h"
#include "schema/model/switch_plan.h"

namespace dyncast::core {

class Neighbors {
 public:
  // Packets that wait for one neighbour, and in all; of the plan's (many flows meet in one next hop), and of
  // others.
  static constexpr size_t kHeldPerTarget = 128;
  static constexpr size_t kHeldForTargets = 512;
  static constexpr size_t kHeldPerOther = 16;
  static constexpr size_t kHeldForOthers = 256;
  static constexpr std::chrono::seconds kHoldTime{1};
  // Between two questions for one neighbour; for one of the plan's, which may answer at any moment while a
  // fabric starts, the first gaps are shorter: kFirstGap, doubled with each question.
  static constexpr std::chrono::seconds kAskGap{1};
  static constexpr std::chrono::milliseconds kFirstGap{100};
  static constexpr std::chrono::seconds kRefresh{30};    // of one that answered
  static constexpr std::chrono::seconds kSlowRetry{10};  // of one that did not answer kQuickTries times
  static constexpr uint32_t kQuickTries = 10;

  // The switch's plan, new or changed: its next hops and D-BIDs on its own networks are asked for.
  void SetPlan(const SwitchPlan& plan, MonoTime now);
  // The switch can be asked now; everything is asked for again.
  void Connected(const SwitchPlan& plan, MonoTime now);
  // Nothing is asked for until Connected; what waited is dropped.
  void Disconnected(SwitchId at);

  void Wanted(const NeighborWanted& event, const SwitchPlan* plan, MonoTime now, Effects* effects);
  void Found(const NeighborFound& event, MonoTime now, Effects* effects);
  // Questions that are due, packets that waited too long. `plan_of(SwitchId)` gives a SwitchPlan pointer.
  template <typename PlanOf>
  void Tick(MonoTime now, PlanOf&& plan_of, Effects* effects) {
    DropOld(now);
    for (auto& [at, sw] : switches_) {
      if (!sw.connected) continue;
      if (const SwitchPlan* plan = plan_of(at)) AskDue(&sw, *plan, now, effects);
    }
  }
  std::optional<MonoTime> NextDeadline() const;

  uint64_t held_dropped() const { return held_dropped_; }
  uint64_t asked() const { return asked_; }
  size_t held() const { return held_.size(); }

 private:
  struct Target {
    MonoTime next_ask{};
    uint32_t tries = 0;  // since it last answered
  };
  struct PerSwitch {
    bool connected = false;
    std::map<IpAddress, Target> targets;
    // Rate limit of questions that packets cause, for neighbours that are no targets.
    std::map<IpAddress, MonoTime> asked;
  };
  struct Held {
    SwitchId at;
    IpAddress neighbor;
    bool target = false;
    MonoTime until{};
    std::vector<uint8_t> packet;
  };
  static Micros GapAfter(uint32_t tries);
  void Hold(const NeighborWanted& event, bool target, MonoTime now);
  void DropOld(MonoTime now);
  void AskDue(PerSwitch* sw, const SwitchPlan& plan, MonoTime now, Effects* effects);
  bool Ask(const SwitchPlan& plan, const IpAddress& target, Effects* effects);

  std::map<SwitchId, PerSwitch> switches_;
  std::deque<Held> held_;  // oldest first
  uint64_t held_dropped_ = 0;
  uint64_t asked_ = 0;
};

}  // namespace dyncast::core
