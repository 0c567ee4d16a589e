// The agent's STAMP sessions towards other agents' reflectors: sockets and times for
// agent/core/stamp_session. One thread; nothing in it waits. A socket or key that is not to be had is tried
// again each second.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/stamp_session.h"
#include "agent/io/poller.h"
#include "agent/io/problems.h"
#include "agent/io/stamp_socket.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"
#include "schema/model/path.h"

namespace dyncast::agent {

class StampProber {
 public:
  static constexpr std::chrono::seconds kRetry{1};
  // Both must outlive the prober.
  StampProber(Poller* poller, Problems* problems);
  ~StampProber();
  StampProber(const StampProber&) = delete;
  StampProber& operator=(const StampProber&) = delete;

  // Sessions whose configuration and key are the same go on; others end or begin.
  void Configure(const std::vector<config::ProbeConfig>& probes, MonoTime now);
  // Sends what is due.
  void OnTimers(MonoTime now);
  MonoTime NextDeadline() const;  // MonoTime::max() without probes
  // What is known of each path now, in the order of the configuration.
  std::vector<PathSample> Paths(MonoTime now);
  // One line a session.
  void LogCounters() const;

 private:
  struct Probe;
  void Open(Probe* probe, MonoTime now);
  void Close(Probe* probe);
  void SendDue(Probe* probe, MonoTime now);
  void OnEvents(Probe* probe);
  void Failed(Probe* probe, std::string_view what, const Error& error);
  void NoteFate(const Probe& probe, StampFate fate);
  void NoteTimes(Probe* probe, const StampSocket::Received& received);

  Poller* poller_;
  Problems* problems_;
  std::vector<std::unique_ptr<Probe>> probes_;
  std::vector<char> buffer_;
};

}  // namespace dyncast::agent
