// The metric agent's decisions: what to check, read, scrape and say, and when. A step function: every call
// takes `now` and returns what the shell (agent/io) must do; it reads no clock and does no I/O itself.
//
//   Tick --> checks, scrapes, "sample" --> the shell reads --> OnSample --> announces and reports
//                    \--> the shell checks --> OnCheck --> an announce at once where health changed
//
// What is promised on the wire (schema/wire/dyncast.proto): PUB/SUB loses messages, so everything is
// repeated in full. Announces and reports go out every report_interval, a report never within minimum_gap
// of the one before, heartbeats on a timer that nothing else delays, withdrawals three times.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/core/instance.h"
#include "agent/core/load_post.h"
#include "agent/core/path_policy.h"
#include "schema/base/ids.h"
#include "schema/base/result.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"
#include "schema/wire/message.h"

namespace dyncast::agent {

// An instance as long as its configuration stands; a changed one gets another. Local to the process.
using Slot = StrongId<struct SlotTag, uint32_t>;

// A run of config().plugins[plugin] of an instance.
struct PluginRun {
  Slot slot{0};
  size_t plugin = 0;
};

struct Note {
  enum class Kind : uint8_t { kHealth, kRefusedMetric };
  Kind kind = Kind::kHealth;
  std::string instance;
  std::string detail;
};

// What the shell must do, in this order.
struct Effects {
  std::vector<wire::AgentMessage> messages;  // to publish, in order
  std::vector<Slot> checks;                  // health checks to start; answer by OnCheck
  std::vector<Slot> scrapes;                 // pages to fetch; answer by OnScrape
  std::vector<Slot> load_fetches;            // config().orca->url to fetch; answer by OnLoadFetch
  std::vector<PluginRun> plugins;            // to run; answer by OnPlugin
  bool sample = false;                       // read everything now; answer by OnSample
  std::vector<Note> notes;                   // for the log
};

// What to say to an application that posted.
struct PostAnswer {
  int status = 0;       // of HTTP
  std::string problem;  // "" if it was taken
  Effects effects;
};

struct AgentCounters {
  uint64_t announces = 0;
  uint64_t reports = 0;
  uint64_t withdraws = 0;
  uint64_t heartbeats = 0;
  uint64_t refused_metrics = 0;
  uint64_t scrapes_failed = 0;
  uint64_t plugins_failed = 0;
  uint64_t load_reports = 0;
  uint64_t load_reports_refused = 0;  // posted or found in an answer, but not to be used; fetches that failed
  UpdateCounters updates;             // over all instances, also those that went
  uint64_t paths = 0;                 // messages
  UpdateCounters path_updates;
};

class AgentCore {
 public:
  static constexpr uint32_t kWithdrawTimes = 3;
  static constexpr std::chrono::milliseconds kStopSpacing{50};  // between the withdrawals of a stop
  static constexpr std::chrono::milliseconds kScrapeLead{50};   // a page is asked for before its sample
  static constexpr std::chrono::milliseconds kSettle{500};      // the first values over a window

  // `config` as LoadAgent returned it. `boot_epoch` must be larger at each start of the agent.
  AgentCore(config::AgentConfig config, uint64_t boot_epoch);

  // When Tick has something to do; in the past: now.
  MonoTime NextDeadline() const;
  Effects Tick(Now now);
  // `own` holds the readings by slot; an instance without an entry had nothing that could be read.
  Effects OnSample(const HostReadings& host, const std::map<Slot, InstanceReadings>& own, Now now);
  // Results for a slot that is gone meanwhile are left out.
  Effects OnCheck(Slot slot, CheckOutcome outcome, const std::string& detail, Now now);
  void OnScrape(Slot slot, const SourceReading& values, Now now);
  // These may be reason for a report at once.
  Effects OnPlugin(PluginRun run, const SourceReading& values, Now now);
  Effects OnLoadReport(Slot slot, const Result<LoadReport>& report, Now now);
  // The answer to a load fetch, or nothing where it had no load report; an error where there is no answer.
  Effects OnLoadFetch(Slot slot, const Result<LoadReport>& report, Now now);
  // An application posted a load report.
  PostAnswer OnPost(const LoadPost& post, Now now);
  // All paths as they are now, complete; called every sample_interval while there are probes, and after.
  Effects OnPaths(std::vector<PathSample> paths, Now now);
  // Whether OnPaths is wanted: there are probes, or controllers may not have heard yet that there are none.
  bool has_paths() const { return !config_.probes.empty() || path_policy_.has_reported(); }
  // A controller connected and knows nothing yet: all is said again within the minimum gap.
  void OnSubscriber(Now now);
  // Takes over a new configuration. Error: the old one stays (the agent's name can't change).
  Result<Effects> Reload(config::AgentConfig config, Now now);
  // Withdraws all; stopped() once that was said often enough.
  Effects Stop(Now now);
  bool stopped() const { return stopping_ && withdrawing_.empty(); }

  const config::AgentConfig& config() const { return config_; }
  const std::map<Slot, Instance>& instances() const { return instances_; }
  AgentCounters counters() const;

 private:
  struct Withdrawing {
    std::string reason;
    uint32_t left = kWithdrawTimes;
    MonoTime next{};
    Micros spacing{0};
  };
  template <typename Body>
  void Emit(Effects* effects, Body body, Now now);
  void EmitReport(Effects* effects, Instance* instance, Trigger trigger, Now now);
  void EmitWithdraws(Effects* effects, Now now);
  void Withdraw(const std::string& instance, std::string reason, Micros spacing, Now now);
  void AddInstance(config::InstanceConfig config, wire::Health health, Now now);
  Micros SampleCadence() const;
  Micros ScrapeLead() const;
  void ScheduleScrape();
  // agent_sources.cc
  void StartSources(Slot slot, Instance* instance, bool scrape, Now now, Effects* effects);
  MonoTime SourcesDeadline(const Instance& instance) const;
  void Renewed(Instance* instance, Now now, Effects* effects);
  void NoteRefused(const Instance& instance, std::vector<std::string> refused, Effects* effects);
  void StartSampling(Now now);
  void Forget(std::map<Slot, Instance>::iterator it);

  config::AgentConfig config_;
  bool looks_between_ = false;  // at values, between two reports
  const uint64_t boot_epoch_;
  uint64_t sequence_ = 0;
  uint32_t last_slot_ = 0;
  std::map<Slot, Instance> instances_;
  std::map<std::string, Withdrawing> withdrawing_;  // by instance
  WindowedRatio host_cpu_;
  PathPolicy path_policy_;
  bool started_ = false;
  bool stopping_ = false;
  MonoTime next_heartbeat_{};
  MonoTime next_sample_{};
  MonoTime next_report_{};
  MonoTime settle_at_ = MonoTime::max();
  MonoTime scrape_at_ = MonoTime::max();
  MonoTime refresh_at_ = MonoTime::max();
  MonoTime last_refresh_ = MonoTime::min();
  Trigger trigger_ = Trigger::kInterval;  // of the sample that is being read
  AgentCounters counters_;
};

}  // namespace dyncast::agent
