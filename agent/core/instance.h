// What the core keeps of one instance: health, samplers, the last metrics, when to report. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/core/health.h"
#include "agent/core/metrics.h"
#include "agent/core/orca.h"
#include "agent/core/policy.h"
#include "agent/core/readings.h"
#include "agent/core/sampler.h"
#include "agent/core/source.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

class Instance {
 public:
  // `window`: what utilisation and rates are measured over, at least. `expiry`: how long a scraped value
  // may be used. `health` is what holds until the first checks; kNone checks make it up.
  struct Options {
    Micros window{500000};
    Micros expiry{1000000};
    wire::Health health = wire::Health::kUnknown;
  };
  Instance(config::InstanceConfig config, UpdatePolicy policy, Options options);

  const config::InstanceConfig& config() const { return config_; }

  // Takes one sample. `host_cpu` is the host's utilisation, used where the instance has no cgroup.
  // Returns what was refused ("NAME=VALUE").
  std::vector<std::string> OnSample(const HostReadings& host, const InstanceReadings& own,
                                    std::optional<Windowed> host_cpu, MonoTime now);
  // The page's values in the order of config().scrape->metrics; nullopt: the scrape failed.
  void OnScrape(const SourceReading& values, MonoTime now);
  // The same of config().plugins[index].
  void OnPlugin(size_t index, const SourceReading& values, MonoTime now);
  void OnLoadReport(LoadReport report, MonoTime now);
  // Makes the metrics anew, of the last sample and of what the sources say now. Returns what was refused.
  std::vector<std::string> Renew(MonoTime now);

  wire::Announce Announce() const;
  wire::Report Report() const { return {.instance = config_.name, .metrics = metrics_}; }
  // False until the first sample.
  bool sampled() const { return sampled_; }

  HealthTracker& health() { return health_; }
  const HealthTracker& health() const { return health_; }
  UpdatePolicy& policy() { return policy_; }
  const UpdatePolicy& policy() const { return policy_; }
  const std::vector<MetricSample>& metrics() const { return metrics_; }

  // The scheduler's notes on this instance.
  MonoTime next_check{};
  bool check_running = false;
  bool scrape_running = false;
  bool load_fetch_running = false;
  std::vector<SourceValues>& plugins() { return plugins_; }
  const std::vector<SourceValues>& plugins() const { return plugins_; }

 private:
  std::optional<Windowed> CgroupCpu(const CgroupReadings& cgroup, const HostReadings& host, MonoTime now);
  std::optional<double> MemoryRatio(const HostReadings& host, const InstanceReadings& own) const;
  std::vector<ScrapedValue> OfTheApplication(MonoTime now) const;

  config::InstanceConfig config_;
  UpdatePolicy policy_;
  Options options_;
  HealthTracker health_;
  CpuShare cgroup_cpu_;
  std::optional<SourceValues> scrape_;
  std::vector<SourceValues> plugins_;  // as config_.plugins
  LoadReport load_report_;
  std::optional<MonoTime> load_report_at_;
  Measured measured_;  // by the last sample
  std::vector<MetricSample> metrics_;
  Capacity capacity_;
  bool sampled_ = false;
};

}  // namespace dyncast::agent
