// agent.yaml: a metric agent's configuration.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/ip.h"
#include "schema/base/result.h"
#include "schema/config/agent_path.h"
#include "schema/model/metric.h"

namespace dyncast::config {

enum class HealthCheckKind : uint8_t { kTcp, kHttp, kNone };

struct HealthCheckConfig {
  HealthCheckKind kind = HealthCheckKind::kTcp;
  uint16_t port = 0;                        // default: the instance's port
  std::string path = "/";                   // http
  std::chrono::milliseconds interval{500};  // 10 ms .. 1 h
  std::chrono::milliseconds timeout{400};   // less than interval
  uint32_t fall = 1;                        // failures in a row until down
  uint32_t rise = 1;                        // successes in a row until up
  friend bool operator==(const HealthCheckConfig&, const HealthCheckConfig&) = default;
};

// One metric taken from the application's OpenMetrics page.
struct ScrapedMetric {
  std::string name;                                         // the name it is reported under
  std::string from;                                         // the sample's name on the page
  std::vector<std::pair<std::string, std::string>> labels;  // all must be equal
  bool rate = false;                                        // a counter: report its increase per second
  double factor = 1.0;                                      // the value is multiplied by this
  std::string unit = "1";
  friend bool operator==(const ScrapedMetric&, const ScrapedMetric&) = default;
};

struct ScrapeConfig {
  std::string url;  // http://ADDRESS:PORT/PATH
  std::chrono::milliseconds timeout{300};
  std::vector<ScrapedMetric> metrics;
  friend bool operator==(const ScrapeConfig&, const ScrapeConfig&) = default;
};

// One metric taken from a load report beside those that have a meaning of their own there.
struct OrcaMetric {
  std::string name;  // the name it is reported under
  std::string from;  // "named_metrics.NAME", "utilization.NAME", "request_cost.NAME" or a field's name
  double factor = 1.0;
  std::string unit = "1";
  friend bool operator==(const OrcaMetric&, const OrcaMetric&) = default;
};

// Load reports of the application (xDS OrcaLoadReport). At least one of health, url and post is set.
struct OrcaConfig {
  bool health = false;                     // from the answers of the health check
  std::string url;                         // http://ADDRESS:PORT/PATH; "": none is fetched
  std::chrono::milliseconds timeout{300};  // of a fetch
  bool post = false;                       // the application posts them to `orca_listen`
  std::chrono::milliseconds expiry{10000};
  std::vector<OrcaMetric> metrics;
  friend bool operator==(const OrcaConfig&, const OrcaConfig&) = default;
};

// A program that is run and prints metrics.
struct PluginConfig {
  std::vector<std::string> command;  // an absolute path and its arguments
  std::chrono::milliseconds interval{5000};
  std::chrono::milliseconds timeout{1000};  // less than interval
  std::vector<ScrapedMetric> metrics;
  friend bool operator==(const PluginConfig&, const PluginConfig&) = default;
};
inline constexpr size_t kMaxPlugins = 16;  // of an instance

struct GpuConfig {
  std::string library = "libnvidia-ml.so.1";
  std::vector<uint32_t> devices;  // empty: all
  std::chrono::milliseconds timeout{1000};
  friend bool operator==(const GpuConfig&, const GpuConfig&) = default;
};

// A change that is reported at once, between the intervals.
struct ThresholdConfig {
  std::string metric;
  std::optional<double> change;    // absolute difference to what was last reported
  std::optional<double> relative;  // the same as a part of what was last reported
  std::vector<double> levels;      // ascending; to cross one is a change
  double hysteresis = 0;           // how far it must turn back before that counts, in the metric's unit
  friend bool operator==(const ThresholdConfig&, const ThresholdConfig&) = default;
};

enum class UpdateWhen : uint8_t { kBoth, kInterval, kThreshold };

// As route flap damping (RFC 2439): each turn of a metric adds 1 to its penalty, which halves in `half_life`.
// Above `suppress` its changes are no reason for a report until the penalty has fallen to `reuse`.
struct DampingConfig {
  bool enabled = true;
  double suppress = 5;
  double reuse = 2;  // less than suppress
  std::chrono::milliseconds half_life{2000};
  std::chrono::milliseconds max_hold{10000};  // from the last turn until it counts again, at most
  friend bool operator==(const DampingConfig&, const DampingConfig&) = default;
};

// When an instance's metrics are reported, as a file says it, for all instances or for one. What is left out
// is the agent's, then the default: see UpdateRulesOf.
struct UpdatesConfig {
  std::optional<UpdateWhen> policy;
  std::optional<std::chrono::milliseconds> minimum_gap;
  std::optional<std::chrono::milliseconds> refresh;
  std::optional<DampingConfig> damping;
  std::vector<ThresholdConfig> thresholds;
  friend bool operator==(const UpdatesConfig&, const UpdatesConfig&) = default;
};

struct InstanceConfig {
  std::string name;
  std::string service;
  IpAddress bid;
  uint16_t port = 0;  // the instance's listening port: sessions, accept queue, default health check
  // Where the instance's sockets are, if not in the agent's own network namespace: a path such as
  // /run/netns/NAME or /proc/PID/ns/net. Health checks and scrapes are made from there too if
  // `check_inside` is set, else from the agent's own namespace.
  std::string network_namespace;
  bool check_inside = false;
  std::string cgroup;  // a cgroup v2 folder: CPU, memory and pressure are read there, not host-wide
  Capacity capacity;   // static; what is left out is read from the host or cgroup
  HealthCheckConfig health;
  std::optional<ScrapeConfig> scrape;
  std::optional<OrcaConfig> orca;
  std::vector<PluginConfig> plugins;  // at most kMaxPlugins
  std::optional<GpuConfig> gpu;       // absent: the agent's
  UpdatesConfig updates;              // where it differs from the agent's
  friend bool operator==(const InstanceConfig&, const InstanceConfig&) = default;
};

// The network namespace that checks, scrapes and fetches are made from; "": the agent's own.
inline std::string CheckNamespaceOf(const InstanceConfig& instance) {
  return instance.check_inside ? instance.network_namespace : std::string();
}

struct AgentConfig {
  std::string name;
  std::vector<std::string> controllers;  // ZeroMQ endpoints to connect to, "tcp://10.0.0.1:5570"
  std::chrono::milliseconds report_interval{1000};
  std::chrono::milliseconds heartbeat_interval{500};
  std::chrono::milliseconds sample_interval{250};  // how often thresholds are looked at
  std::chrono::milliseconds minimum_gap{100};      // between two reports of one instance
  std::vector<ThresholdConfig> thresholds;
  std::optional<GpuConfig> gpu;
  std::string orca_listen;           // "ADDRESS:PORT" or "unix:PATH"; "": nowhere
  std::vector<IpPrefix> orca_allow;  // who else may post
  UpdatesConfig updates;             // its minimum_gap and thresholds go before the two above
  std::string log_level = "info";
  std::vector<InstanceConfig> instances;
  std::optional<ReflectorConfig> reflector;  // absent: nobody's STAMP packets are answered
  std::vector<ProbeConfig> probes;           // at most one per peer and address family
  PathThresholdConfig path_threshold;
  friend bool operator==(const AgentConfig&, const AgentConfig&) = default;
};

// What holds for one instance: its own `updates`, else the agent's, else the defaults.
struct UpdateRules {
  UpdateWhen policy = UpdateWhen::kBoth;
  std::chrono::milliseconds minimum_gap{100};  // between two reports, whatever else holds
  // With kThreshold: a report is repeated after this, since one may be lost and the controller forgets old
  // ones.
  std::chrono::milliseconds refresh{5000};
  DampingConfig damping;
  std::vector<ThresholdConfig> thresholds;
  friend bool operator==(const UpdateRules&, const UpdateRules&) = default;
};
UpdateRules UpdateRulesOf(const AgentConfig& agent, const InstanceConfig& instance);

Result<AgentConfig> ParseAgent(std::string_view yaml, std::string_view name);
Result<AgentConfig> LoadAgent(const std::string& path);
std::string AgentReferenceMarkdown();

}  // namespace dyncast::config
