#include "tests/sim/agents.h"

#include <algorithm>
#include <string>

#include "schema/model/name.h"
#include "tests/sim/fabric.h"

namespace dyncast::sim {
namespace {

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

MetricSample Sample(std::string_view name, double value, MetricStatistic statistic, Micros window) {
  MetricSample sample;
  sample.name = name;
  sample.value = value;
  sample.unit = DefinedUnit(name);
  sample.source = MetricSource::kDirect;
  sample.statistic = statistic;
  sample.window = std::chrono::duration_cast<std::chrono::milliseconds>(window);
  return sample;
}

}  // namespace

Agents::Agents(const Scenario& scenario, const Topology& topology, Micros window)
    : scenario_(scenario),
      topology_(topology),
      window_(window),
      edge_sequences_(scenario.edges.size(), 0),
      router_sequences_(scenario.routers.size(), 0),
      history_(topology.instances.size(), {{Micros{0}, Server::Totals{}}}) {}

wire::AgentMessage& Agents::Begin(const std::string& agent, uint64_t* sequence, Micros now,
                                  Messages* out) const {
  wire::AgentMessage& message = out->emplace_back();
  message.agent = agent;
  message.boot_epoch = 1;
  message.sequence = ++*sequence;
  message.sent_at = Fabric::Wall(now);
  return message;
}

void Agents::Announce(uint32_t edge, Micros now, Messages* out) {
  const std::string agent = Fabric::EdgeAgent(scenario_.edges[edge]);
  for (size_t i = 0; i < topology_.instances.size(); ++i) {
    const Topology::Instance& instance = topology_.instances[i];
    if (instance.edge != edge) continue;
    wire::Announce announce;
    announce.instance = instance.name;
    announce.service = scenario_.services[instance.service];
    announce.bid = Fabric::Bid(i);
    // What an operator would state of the machine: its cores, as fast as they are when nothing slows them.
    announce.capacity.cpu_cores = instance.capacity();
    announce.health = wire::Health::kUp;
    Begin(agent, &edge_sequences_[edge], now, out).body = std::move(announce);
  }
  Begin(agent, &edge_sequences_[edge], now, out).body = wire::Heartbeat{.interval = kBeat};
}

void Agents::Report(uint32_t edge, Micros now, const std::vector<Server>& servers,
                    const std::vector<uint32_t>& sessions, Messages* out) {
  const std::string agent = Fabric::EdgeAgent(scenario_.edges[edge]);
  for (size_t i = 0; i < topology_.instances.size(); ++i) {
    const Topology::Instance& instance = topology_.instances[i];
    if (instance.edge != edge) continue;
    const Server& server = servers[i];
    auto& history = history_[i];
    while (history.size() > 1 && history[1].first <= now - window_) history.pop_front();
    const auto& [since, before] = history.front();
    const Server::Totals totals = server.At(now);
    const Micros window = now - since;
    wire::Report report;
    report.instance = instance.name;
    report.metrics.reserve(5);
    if (window > Micros{0}) {
      const auto done = static_cast<double>(totals.done - before.done);
      report.metrics.push_back(
          Sample(metric::kRequestRate, done / Seconds(window), MetricStatistic::kRate, window));
      report.metrics.push_back(Sample(metric::kUtilization,
                                      (totals.busy_s - before.busy_s) / (Seconds(window) * instance.workers),
                                      MetricStatistic::kMean, window));
      if (done > 0) {
        report.metrics.push_back(Sample(metric::kLatency, (totals.serving_s - before.serving_s) / done,
                                        MetricStatistic::kMean, window));
      }
    }
    report.metrics.push_back(
        Sample(metric::kQueue, static_cast<double>(server.waiting()), MetricStatistic::kInstant, Micros{0}));
    report.metrics.push_back(
        Sample(metric::kSessions, static_cast<double>(sessions[i]), MetricStatistic::kInstant, Micros{0}));
    Begin(agent, &edge_sequences_[edge], now, out).body = std::move(report);
    history.emplace_back(now, totals);
  }
}

void Agents::Beat(uint32_t router, Micros now, Messages* out) {
  const std::string agent = Fabric::RouterAgent(scenario_.routers[router]);
  Begin(agent, &router_sequences_[router], now, out).body = wire::Heartbeat{.interval = kBeat};
}

void Agents::Paths(uint32_t router, Micros now, Messages* out) {
  wire::Paths paths;
  for (size_t e = 0; e < scenario_.edges.size(); ++e) {
    const Micros rtt = 2 * topology_.delays[router][e];
    PathSample& path = paths.paths.emplace_back();
    path.peer = Fabric::EdgeAgent(scenario_.edges[e]);
    path.rtt = path.rtt_min = rtt;
    path.jitter_forward = path.jitter_backward = Micros{0};
    path.loss_forward = path.loss_backward = 0.0;
    path.sent = 10;
    path.window = kBeat;
  }
  const std::string agent = Fabric::RouterAgent(scenario_.routers[router]);
  Begin(agent, &router_sequences_[router], now, out).body = std::move(paths);
}

}  // namespace dyncast::sim
