// The agent's shell: one thread, one wait. It carries out what the core says, with readers, probes and the
// publisher, and hands the results back. Nothing in it blocks: files are /proc's, netlink answers at once,
// connections are non-blocking.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "agent/core/agent.h"
#include "agent/core/http.h"
#include "agent/core/open_metrics.h"
#include "agent/io/gpu.h"
#include "agent/io/load_listener.h"
#include "agent/io/plugin.h"
#include "agent/io/poller.h"
#include "agent/io/probe.h"
#include "agent/io/problems.h"
#include "agent/io/publisher.h"
#include "agent/io/readers.h"
#include "agent/io/sock_diag.h"
#include "agent/io/stamp_prober.h"
#include "agent/io/stamp_responder.h"
#include "schema/base/result.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

class AgentLoop {
 public:
  struct Options {
    std::string proc = "/proc";
  };
  // `config` as LoadAgent returned it.
  AgentLoop(config::AgentConfig config, Options options);
  ~AgentLoop();
  AgentLoop(const AgentLoop&) = delete;
  AgentLoop& operator=(const AgentLoop&) = delete;

  // Until stopped, all instances withdrawn. An error only where it can't begin.
  Status Run();
  // For the thread that runs the loop, before Run: more descriptors to wait for (signals).
  Poller& poller() { return poller_; }

  // From any thread.
  void RequestStop();
  // Takes effect in the loop's thread; refused ones are logged and change nothing.
  void RequestReload(config::AgentConfig config);

  // After Run returned.
  AgentCounters counters() const { return core_.counters(); }

 private:
  void Wake();
  void OnWake();
  void Apply(Effects effects, Now now);
  void Sample(Now now);
  void StartCheck(Slot slot, Now now);
  // loop_sources.cc
  void StartSources(const Effects& effects, Now now);
  void StartScrape(Slot slot, Now now);
  void StartLoadFetch(Slot slot, Now now);
  void StartPlugin(PluginRun run, Now now);
  SourceReading ReadPage(const std::string& instance, std::string_view code, const std::string& what,
                         const std::string& where, const std::string& page,
                         const std::vector<config::ScrapedMetric>& wanted);
  Result<LoadReport> ReadLoadReport(const std::string& instance, const ProbeAnswer& answer);
  void TakeHealthLoad(Slot slot, const ProbeAnswer& answer, Now now);
  LoadListener::Answer OnPost(const LoadPost& post);
  void ReadGpus(std::map<Slot, InstanceReadings>* readings, Now now);
  Status ListenForLoad();
  Status Connect();
  void ConfigurePaths(Now now);
  void RunPaths(Now now);
  MonoTime NextDeadline(MonoTime now) const;
  void LogSums() const;

  Options options_;
  AgentCore core_;
  Problems problems_;
  HostReader host_;
  CgroupReader cgroups_;
  SocketReader sockets_;
  Poller poller_;
  ProbeRunner probes_;
  StampResponder reflector_;
  StampProber paths_;
  MonoTime next_paths_ = MonoTime::max();  // when the paths are looked at
  PluginRunner plugins_;
  GpuReader gpus_;
  LoadListener load_listener_;
  Publisher publisher_;
  int wake_ = -1;

  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::optional<config::AgentConfig> reload_;  // guarded by mutex_
};

}  // namespace dyncast::agent
