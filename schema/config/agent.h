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

// A change that is reported at once, between the intervals.
struct ThresholdConfig {
  std::string metric;
  std::optional<double> change;    // absolute difference to what was last reported
  std::optional<double> relative;  // the same as a part of what was last reported
  friend bool operator==(const ThresholdConfig&, const ThresholdConfig&) = default;
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
  friend bool operator==(const InstanceConfig&, const InstanceConfig&) = default;
};

struct AgentConfig {
  std::string name;
  std::vector<std::string> controllers;  // ZeroMQ endpoints to connect to, "tcp://10.0.0.1:5570"
  std::chrono::milliseconds report_interval{1000};
  std::chrono::milliseconds heartbeat_interval{500};
  std::chrono::milliseconds sample_interval{250};  // how often thresholds are looked at
  std::chrono::milliseconds minimum_gap{100};      // between two reports of one instance
  std::vector<ThresholdConfig> thresholds;
  std::string log_level = "info";
  std::vector<InstanceConfig> instances;
  std::optional<ReflectorConfig> reflector;  // absent: nobody's STAMP packets are answered
  std::vector<ProbeConfig> probes;           // at most one per peer and address family
  PathThresholdConfig path_threshold;
  friend bool operator==(const AgentConfig&, const AgentConfig&) = default;
};

Result<AgentConfig> ParseAgent(std::string_view yaml, std::string_view name);
Result<AgentConfig> LoadAgent(const std::string& path);
std::string AgentReferenceMarkdown();

}  // namespace dyncast::config
