// Programs that are run for the metrics that they print. Each run has a deadline and bounds; nothing here
// ever waits for one, so a program that hangs or floods delays nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/io/poller.h"
#include "schema/base/result.h"
#include "schema/base/time.h"

namespace dyncast::agent {

struct PluginSpec {
  std::vector<std::string> command;  // the program's absolute path, and its arguments; no shell reads them
  std::vector<std::string>
      environment;  // "NAME=VALUE", beside a PATH of system folders; nothing is inherited
  std::chrono::milliseconds timeout{1000};
};

class PluginRunner {
 public:
  static constexpr size_t kMaxOutput = size_t{64} << 10;  // of either stream
  static constexpr size_t kMaxAtOnce = 32;                // further ones wait for their turn
  // What it wrote to its standard output, if it ended with exit status 0.
  using Done = std::function<void(Result<std::string>)>;

  // `poller` must outlive the runner.
  explicit PluginRunner(Poller* poller);
  ~PluginRunner();  // kills what runs, without calling back
  PluginRunner(const PluginRunner&) = delete;
  PluginRunner& operator=(const PluginRunner&) = delete;

  // Calls `done` exactly once, from within OnTimers or a poller's callback, or at once where the program
  // can't be started. A run ends when its program ends; what that left behind in its process group is killed.
  void Start(PluginSpec spec, MonoTime now, Done done);
  // Kills the runs whose deadline passed.
  void OnTimers(MonoTime now);
  MonoTime NextDeadline() const;  // MonoTime::max() if none runs
  size_t running() const { return running_.size(); }

 private:
  struct Run;
  struct Waiting {
    PluginSpec spec;
    Done done;
  };
  void Launch(PluginSpec spec, MonoTime now, Done done);
  void OnOutput(uint64_t id, int stream);
  void OnEnd(uint64_t id);

  Poller* poller_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Run>> running_;
  std::deque<Waiting> waiting_;
};

}  // namespace dyncast::agent
