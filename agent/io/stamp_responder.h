// The agent's STAMP reflector: sockets for agent/core/stamp_reflector. One thread; nothing in it waits. A
// socket or key that is not to be had is tried again each second; until then nobody is answered there.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "agent/core/stamp_reflector.h"
#include "agent/io/poller.h"
#include "agent/io/problems.h"
#include "agent/io/stamp_socket.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

class StampResponder {
 public:
  static constexpr std::chrono::seconds kRetry{1};
  // Both must outlive the responder.
  StampResponder(Poller* poller, Problems* problems);
  ~StampResponder();
  StampResponder(const StampResponder&) = delete;
  StampResponder& operator=(const StampResponder&) = delete;

  // With the same configuration and key as before, all sessions go on.
  void Configure(const std::optional<config::ReflectorConfig>& config, MonoTime now);
  // Opens what could not be opened before.
  void OnTimers(MonoTime now);
  MonoTime NextDeadline() const;  // MonoTime::max() while all is open
  void LogCounters() const;

 private:
  void Open(MonoTime now);
  void OnPackets(StampSocket* socket);
  void CloseAll();

  Poller* poller_;
  Problems* problems_;
  std::optional<config::ReflectorConfig> config_;
  std::optional<StampReflector> reflector_;            // absent without configuration or key
  std::vector<std::unique_ptr<StampSocket>> sockets_;  // as config_->listen; null: not open yet
  MonoTime next_open_ = MonoTime::max();
  uint64_t send_failures_ = 0;
  uint64_t kernel_times_ = 0;
  std::vector<char> buffer_;
};

}  // namespace dyncast::agent
