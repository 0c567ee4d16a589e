// What the fabric's agents would say: announcements and heartbeats, reports of their instances over a window,
// and the network between D-Routers and edges. Messages only; when and whether they arrive is the
// simulation's.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "schema/wire/message.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"
#include "tests/sim/topology.h"

namespace dyncast::sim {

class Agents {
 public:
  // `window`: over which rates are taken. References must outlive this.
  Agents(const Scenario& scenario, const Topology& topology, Micros window);

  static constexpr std::chrono::milliseconds kBeat{1000};

  using Messages = std::vector<wire::AgentMessage>;
  // All append. The edge's agent: its instances announced, and a heartbeat.
  void Announce(uint32_t edge, Micros now, Messages* out);
  // One report for each of its instances. `sessions`: connections that are open, of each instance.
  void Report(uint32_t edge, Micros now, const std::vector<Server>& servers,
              const std::vector<uint32_t>& sessions, Messages* out);
  // The agent beside a D-Router: a heartbeat, and what it measured to each edge's agent.
  void Beat(uint32_t router, Micros now, Messages* out);
  void Paths(uint32_t router, Micros now, Messages* out);

 private:
  wire::AgentMessage& Begin(const std::string& agent, uint64_t* sequence, Micros now, Messages* out) const;

  const Scenario& scenario_;
  const Topology& topology_;
  const Micros window_;
  std::vector<uint64_t> edge_sequences_;
  std::vector<uint64_t> router_sequences_;
  // Of each instance: totals at its last reports, oldest first, back to the window's begin.
  std::vector<std::deque<std::pair<Micros, Server::Totals>>> history_;
};

}  // namespace dyncast::sim
