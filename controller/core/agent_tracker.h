// Who of the agents is alive, and whether a message may be believed: allow-list, clock, boot epoch and
// sequence. No clock of its own, no knowledge of instances.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/view.h"
#include "schema/base/time.h"
#include "schema/config/fabric.h"
#include "schema/wire/message.h"

namespace dyncast::core {

// A message broke a rule: it changes nothing but a counter. `rule` is a stable name, `text` says the value
// and the rule for people.
struct Refusal {
  std::string_view rule;
  std::string text;
};

class AgentTracker {
 public:
  // Agents that are no longer listed are forgotten.
  void Configure(const config::FabricConfig& config);

  struct Verdict {
    std::optional<Refusal> refusal;
    bool rebooted = false;  // first message of a later epoch than the one known before
  };
  // Judges the envelope and, if it is in order, moves the sequence on.
  Verdict Judge(const wire::AgentMessage& message, Now now);
  // The message's body was accepted too: the agent lives. True if it was silent before.
  bool Heard(const wire::AgentMessage& message, Now now);
  // Counts a refusal, of Judge or of the body's rules, at its agent.
  void CountRefusal(const std::string& agent, const Refusal& refusal);

  // Those that fell silent since the last call: nothing accepted for longer than the configured number of
  // their own heartbeat intervals.
  std::vector<std::string> TakeSilent(MonoTime now);
  // When the next one may fall silent.
  std::optional<MonoTime> NextSilence() const;
  bool IsSilent(std::string_view agent) const;
  // nullptr if the agent is not listed.
  const config::AgentAllowance* Allowance(std::string_view agent) const;
  std::vector<AgentView> View(MonoTime now) const;

 private:
  struct Agent {
    config::AgentAllowance allowance;
    std::optional<uint64_t> boot_epoch;
    uint64_t last_sequence = 0;
    std::optional<MonoTime> last_heard;
    std::chrono::milliseconds interval{1000};  // until it says its own
    bool silent = true;
    uint64_t messages = 0;
    uint64_t gaps = 0;
    uint64_t replayed = 0;
    uint64_t refused = 0;
    std::string last_refusal;
    std::optional<UpdateCounters> updates;  // as its last heartbeat said
  };
  MonoTime SilentAt(const Agent& agent) const;

  std::map<std::string, Agent, std::less<>> agents_;
  uint32_t missed_heartbeats_ = 3;
  std::chrono::milliseconds max_clock_skew_{60000};
};

}  // namespace dyncast::core
