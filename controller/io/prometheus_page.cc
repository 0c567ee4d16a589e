#include "controller/io/prometheus_page.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <set>
#include <utility>

namespace dyncast::api {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string_view>>;
using prometheus::MetricType;

// Families in the order of their names; each series once, whatever agents call their metrics.
class Page {
 public:
  void Gauge(const std::string& name, std::string_view help, const Labels& labels, double value) {
    Add(name, help, MetricType::Gauge, labels, value);
  }
  void Counter(const std::string& name, std::string_view help, const Labels& labels, uint64_t value) {
    Add(name, help, MetricType::Counter, labels, static_cast<double>(value));
  }
  std::string Text() const {
    std::vector<prometheus::MetricFamily> all;
    for (const auto& [name, family] : families_) all.push_back(family);
    return prometheus::TextSerializer().Serialize(all);
  }

 private:
  void Add(const std::string& name, std::string_view help, MetricType type, const Labels& labels,
           double value) {
    prometheus::ClientMetric metric;
    std::string series = name;
    for (const auto& [key, text] : labels) {
      if (text.empty()) continue;  // which is what an absent label means
      metric.label.push_back({std::string(key), std::string(text)});
      series.append("\n").append(key).append("=").append(text);
    }
    // Prometheus refuses a page that says one series twice.
    if (!series_.insert(std::move(series)).second) return;
    if (type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    prometheus::MetricFamily& family = families_[name];
    family.name = name;
    if (family.help.empty()) family.help = help;
    family.type = type;
    family.metric.push_back(std::move(metric));
  }

  std::map<std::string, prometheus::MetricFamily> families_;
  std::set<std::string> series_;
};

double Seconds(std::chrono::milliseconds ms) { return static_cast<double>(ms.count()) / 1000; }

std::string_view HelpOf(std::string_view metric) {
  static const std::map<std::string_view, std::string_view> kHelp = {
      {metric::kCpuUtilization, "CPU in use, part of the host's or cgroup's capacity."},
      {metric::kMemoryUtilization, "Memory in use, part of all."},
      {metric::kCpuPressure, "Part of the last 10 s in which some task waited for a CPU (PSI)."},
      {metric::kMemoryPressure, "Part of the last 10 s in which some task waited for memory (PSI)."},
      {metric::kIoPressure, "Part of the last 10 s in which some task waited for I/O (PSI)."},
      {metric::kLoad1, "Run queue length, mean of one minute."},
      {metric::kSessions, "Established connections at the instance."},
      {metric::kAcceptQueue, "Connections that the instance has not yet accepted."},
      {metric::kRequestRate, "Requests served per second."},
      {metric::kUtilization, "The application's own utilisation."},
      {metric::kLatency, "Mean time to serve a request."},
      {metric::kQueue, "Requests that wait in the application."},
      {metric::kErrorRate, "Requests that failed per second."},
      {metric::kGpuUtilization, "GPU in use, part of the time, mean of the GPUs."},
      {metric::kGpuMemoryUtilization, "GPU memory in use, part of all."},
      {metric::kRtt, "Mean round-trip time from the switch to the site."},
      {metric::kJitter, "Mean difference of successive delays, the larger of both ways."},
      {metric::kLoss, "Part of the packets that were lost, both ways together."},
  };
  const auto at = kHelp.find(metric);
  return at == kHelp.end() ? "A metric of an agent's own." : at->second;
}

void AddController(const PrometheusInput& in, Page* page) {
  page->Gauge("dyncast_controller_info", "1; what runs.",
              {{"version", DYNCAST_VERSION}, {"fabric", in.status.fabric}}, 1);
  page->Gauge("dyncast_controller_start_time_seconds", "Unix time of the controller's start.", {},
              static_cast<double>(UnixMicros(in.started)) / 1e6);
  page->Counter("dyncast_controller_warnings_total", "Warnings logged.", {}, in.status.warnings);
  page->Counter("dyncast_intake_messages_total", "Agents' messages received.", {}, in.status.intake.received);
  page->Counter("dyncast_intake_malformed_messages_total", "Agents' messages that broke a rule of the wire.",
                {}, in.status.intake.malformed);
  page->Counter("dyncast_unreadable_packets_total", "Packets from switches that could not be read.", {},
                in.status.packets_unreadable);
  const StoreCounters& store = in.status.store;
  page->Gauge("dyncast_database_healthy", "1 while the last write succeeded.", {}, store.healthy ? 1 : 0);
  page->Gauge("dyncast_database_pending_records", "Records that wait to be written.", {},
              static_cast<double>(store.pending));
  page->Counter("dyncast_database_written_records_total", "Records written.", {}, store.written);
  page->Counter("dyncast_database_dropped_records_total", "Records lost.", {}, store.dropped);
  page->Counter("dyncast_database_failures_total", "Transactions that failed and were tried again.", {},
                store.failures);
  for (const auto& [name, value] : in.view.counters) {
    page->Counter("dyncast_core_events_total", "What the core counted, by name, see docs/api.md.",
                  {{"event", name}}, value);
  }
}

void AddServices(const core::FabricView& view, Page* page) {
  for (const core::ServiceView& s : view.services) {
    const Labels service = {{"service", s.spec.name}};
    page->Gauge("dyncast_service_instances", "Instances known, whatever their state.", service,
                s.instances_known);
    page->Gauge("dyncast_service_instances_up", "Instances that may take demands.", service, s.instances_up);
    page->Counter("dyncast_service_demands_total", "Demands decided.", service, s.demands);
    page->Counter("dyncast_service_demands_refused_total", "Demands that no instance could take.", service,
                  s.demands_refused);
    page->Counter("dyncast_service_demands_unbound_total", "Packets steered without a binding.", service,
                  s.demands_unbound);
    if (s.bindings_known) {
      page->Gauge("dyncast_service_binding_limit", "Bindings that the service may hold on each switch.",
                  service, s.spec.affinity.limit);
    }
    for (const core::ServiceAtView& at : s.switches) {
      const Labels there = {{"service", s.spec.name}, {"switch", at.switch_name}};
      if (s.bindings_known) {
        page->Gauge("dyncast_service_bindings", "Live bindings.", there, static_cast<double>(at.bindings));
      }
      if (s.spec.dispatch != Dispatch::kLearn) continue;
      page->Counter("dyncast_service_limit_reached_total", "How often the binding limit was reached.", there,
                    at.closings);
      for (const core::ShareView& share : at.shares) {
        const auto add = [&](const char* family, uint32_t slots) {
          page->Gauge("dyncast_service_share_ratio",
                      "Part of new demands that the switch gives the instance, 0 to 1.",
                      {{"service", s.spec.name},
                       {"switch", at.switch_name},
                       {"instance", share.instance_name},
                       {"family", family}},
                      static_cast<double>(slots) / static_cast<double>(kSlots));
        };
        if (s.spec.sid_v4) add("ipv4", share.slots_v4);
        if (s.spec.sid_v6) add("ipv6", share.slots_v6);
      }
    }
  }
}

void AddInstances(const core::FabricView& view, Page* page) {
  for (const core::InstanceView& i : view.instances) {
    const Labels labels = {{"instance", i.name}, {"service", i.service}, {"site", i.agent}};
    for (const InstanceState state : {InstanceState::kUp, InstanceState::kDraining, InstanceState::kDown}) {
      Labels with_state = labels;
      with_state.emplace_back("state", InstanceStateName(state));
      page->Gauge("dyncast_instance_state", "1 for the state that the instance is in, else 0.", with_state,
                  i.state == state ? 1 : 0);
    }
    page->Gauge("dyncast_instance_bindings", "Live bindings in the whole fabric.", labels,
                static_cast<double>(i.bindings));
    page->Counter("dyncast_instance_demands_total", "Demands that the controller sent there.", labels,
                  i.demands);
    if (i.load) {
      page->Gauge("dyncast_instance_load", "Load as the service's selection defines it; 1 is fully loaded.",
                  labels, *i.load);
    }
    if (i.estimated_capacity) {
      page->Gauge("dyncast_instance_estimated_requests_per_second",
                  "Requests per second at full use, estimated from reports.", labels, *i.estimated_capacity);
    }
  }
}

void AddLinks(const core::SwitchView& s, Page* page) {
  for (const core::LinkView& link : s.links) {
    const Labels labels = {{"switch", s.name}, {"port", link.port}, {"port_role", PortRoleName(link.role)}};
    if (link.speed_bit_s) {
      page->Gauge("dyncast_link_speed_bits_per_second", "Configured, or what the switch knows of the device.",
                  labels, static_cast<double>(*link.speed_bit_s));
    }
    if (!link.counters) continue;
    const auto count = [&](const char* name, const char* help, const std::optional<uint64_t>& value) {
      if (value) page->Counter(name, help, labels, *value);
    };
    count("dyncast_link_in_bytes_total", "Bytes into the switch.", link.counters->in_bytes);
    count("dyncast_link_out_bytes_total", "Bytes out of the switch.", link.counters->out_bytes);
    count("dyncast_link_in_packets_total", "Packets into the switch.", link.counters->in_packets);
    count("dyncast_link_out_packets_total", "Packets out of the switch.", link.counters->out_packets);
    count("dyncast_link_in_dropped_packets_total", "Packets dropped on their way in.",
          link.counters->in_dropped);
    count("dyncast_link_out_dropped_packets_total", "Packets dropped on their way out.",
          link.counters->out_dropped);
  }
}

void AddSwitches(const core::FabricView& view, Page* page) {
  for (const core::SwitchView& s : view.switches) {
    const std::string_view role = SwitchRoleName(s.role);
    const Labels labels = {{"switch", s.name}, {"role", role}};
    page->Gauge("dyncast_switch_synced", "1 while the switch holds what it must.", labels,
                s.state == "synced" ? 1 : 0);
    page->Gauge("dyncast_switch_bindings", "Live bindings.", labels, static_cast<double>(s.bindings));
    page->Counter("dyncast_switch_demands_total", "Demands that the switch asked about.", labels, s.demands);
    page->Counter("dyncast_switch_learned_bindings_total", "Bindings that the switch made by itself.", labels,
                  s.learned);
    page->Counter("dyncast_switch_plan_changes_total", "Changes of what the switch must hold.", labels,
                  s.plan_changes);
    page->Counter("dyncast_switch_refused_flows_total", "Binding flows that the switch refused.", labels,
                  s.refused_flows);
    page->Counter("dyncast_switch_monitor_gaps_total", "Pauses of the switch's flow monitor.", labels,
                  s.monitor_gaps);
    AddLinks(s, page);
  }
}

void AddUpdates(const std::string& agent, const UpdateCounters& updates, Page* page) {
  const auto add = [&](const char* name, const char* help, const char* reason, uint64_t count) {
    page->Counter(name, help, {{"site", agent}, {"reason", reason}}, count);
  };
  constexpr const char* kSent = "dyncast_agent_updates_sent_total";
  constexpr const char* kSentHelp = "Reports that the agent sent, by its own count.";
  add(kSent, kSentHelp, "interval", updates.sent_interval);
  add(kSent, kSentHelp, "threshold", updates.sent_threshold);
  add(kSent, kSentHelp, "refresh", updates.sent_refresh);
  constexpr const char* kSuppressed = "dyncast_agent_updates_suppressed_total";
  constexpr const char* kSuppressedHelp =
      "The agent's looks at metrics that sent no report, by its own count.";
  add(kSuppressed, kSuppressedHelp, "gap", updates.suppressed_gap);
  add(kSuppressed, kSuppressedHelp, "damped", updates.suppressed_damped);
  add(kSuppressed, kSuppressedHelp, "hysteresis", updates.suppressed_hysteresis);
  add(kSuppressed, kSuppressedHelp, "unchanged", updates.suppressed_unchanged);
}

void AddAgents(const core::FabricView& view, Page* page) {
  for (const core::AgentView& a : view.agents) {
    const Labels labels = {{"site", a.name}};
    page->Gauge("dyncast_agent_heard", "1 while the agent is heard of in time.", labels, a.silent ? 0 : 1);
    if (a.last_heard) {
      page->Gauge("dyncast_agent_silence_seconds", "Since the agent was last heard of.", labels,
                  Seconds(*a.last_heard));
    }
    page->Counter("dyncast_agent_messages_total", "Messages taken.", labels, a.messages);
    page->Counter("dyncast_agent_lost_messages_total", "Sequence numbers that never came.", labels, a.gaps);
    page->Counter("dyncast_agent_replayed_messages_total", "Messages refused for an old epoch or sequence.",
                  labels, a.replayed);
    page->Counter("dyncast_agent_refused_messages_total", "Messages refused for a broken rule.", labels,
                  a.refused);
    if (a.updates) AddUpdates(a.name, *a.updates, page);
  }
}

void AddPaths(const std::vector<core::PathView>& paths, Page* page) {
  for (const core::PathView& path : paths) {
    const PathSample& sample = path.sample;
    const Labels way = {
        {"site", path.from}, {"peer", sample.peer}, {"family", sample.ipv6 ? "ipv6" : "ipv4"}};
    const auto time = [&](const char* name, const char* help, const Labels& labels,
                          const std::optional<Micros>& value) {
      if (value) page->Gauge(name, help, labels, static_cast<double>(value->count()) / 1e6);
    };
    const auto directed = [&](const char* direction) {
      Labels labels = way;
      labels.emplace_back("direction", direction);
      return labels;
    };
    time("dyncast_agent_path_rtt_seconds", "Mean round-trip time to the peer, as the site measured it.", way,
         sample.rtt);
    time("dyncast_agent_path_rtt_min_seconds", "Least round-trip time to the peer.", way, sample.rtt_min);
    constexpr const char* kJitter = "dyncast_agent_path_jitter_seconds";
    constexpr const char* kJitterHelp = "Mean difference of successive delays; forward is to the peer.";
    time(kJitter, kJitterHelp, directed("forward"), sample.jitter_forward);
    time(kJitter, kJitterHelp, directed("backward"), sample.jitter_backward);
    constexpr const char* kLoss = "dyncast_agent_path_loss_ratio";
    constexpr const char* kLossHelp = "Part of the packets that were lost; forward is to the peer.";
    page->Gauge(kLoss, kLossHelp, directed("both"), sample.loss);
    if (sample.loss_forward) page->Gauge(kLoss, kLossHelp, directed("forward"), *sample.loss_forward);
    if (sample.loss_backward) page->Gauge(kLoss, kLossHelp, directed("backward"), *sample.loss_backward);
    page->Gauge("dyncast_agent_path_age_seconds", "Since the site said so.", way, Seconds(path.age));
  }
}

void AddMetrics(const std::vector<core::MetricRow>& rows, Page* page) {
  for (const core::MetricRow& row : rows) {
    const MetricSample& sample = row.sample;
    if (sample.level == MetricLevel::kL0) {
      if (row.instance.empty()) {
        const std::string_view unit = sample.unit;
        page->Gauge("dyncast_path_" + sample.name + "_" + std::string(unit), HelpOf(sample.name),
                    {{"switch", row.switch_name}, {"site", row.site}, {"family", row.family}}, sample.value);
        continue;
      }
      page->Gauge(FamilyOf(sample.name, sample.unit), HelpOf(sample.name),
                  {{"instance", row.instance}, {"service", row.service}, {"site", row.site}}, sample.value);
      continue;
    }
    if (!row.in_force) continue;
    Labels labels = {{"instance", row.instance},
                     {"service", row.service},
                     {"site", row.site},
                     {"switch", row.switch_name}};
    std::string name = row.instance.empty() ? "dyncast_site_score" : "dyncast_instance_score";
    if (sample.level == MetricLevel::kL1) {
      if (!row.category) continue;
      labels.emplace_back("category", ScoreCategoryName(*row.category));
      page->Gauge(name + "_l1", "CATS level 1 score of a category, 0 to 10, 10 is best.", labels,
                  sample.value);
    } else {
      page->Gauge(name + "_l2", "CATS level 2 score, 0 to 10: below 3.5 not recommended, from 7.5 priority.",
                  labels, sample.value);
    }
  }
}

}  // namespace

std::string FamilyOf(std::string_view name, std::string_view unit) {
  std::string suffix;
  if (unit == "1/s") {
    suffix = "per_second";
  } else if (unit != "1") {
    for (const char c : unit) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      suffix += plain ? c : '_';
    }
  }
  std::string family = "dyncast_l0_" + std::string(name);
  if (suffix.empty() || family.ends_with("_" + suffix)) return family;
  return family + "_" + suffix;
}

std::string PrometheusPage(const PrometheusInput& input) {
  Page page;
  AddController(input, &page);
  AddServices(input.view, &page);
  AddInstances(input.view, &page);
  AddSwitches(input.view, &page);
  AddAgents(input.view, &page);
  AddPaths(input.paths, &page);
  AddMetrics(input.rows, &page);
  return page.Text();
}

}  // namespace dyncast::api
