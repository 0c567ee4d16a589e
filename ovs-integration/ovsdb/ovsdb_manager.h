// Keeps the bridges of all switches as fabric.yaml wants them, over OVSDB (RFC 7047): bridge, ports,
// controller target, fail-mode secure, datapath type and id. Touches only rows that carry our mark
// (external_ids:dyncast-fabric); a bridge of the wanted name without it is left alone and reported,
// unless it may be adopted. Ports that the operator added to our bridge are left alone too.
//
// One thread: calls and callbacks belong to the control thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schema/base/ids.h"
#include "schema/base/result.h"
#include "schema/base/time.h"

namespace dyncast::ovsdb {

// Timeouts of one connection tracking zone (Datapath.ct_zones, CT_Timeout_Policy of ovs-vswitchd.conf.db(5)).
struct ConntrackZone {
  uint16_t zone = 0;
  std::chrono::seconds idle{60};    // established TCP, UDP and other traffic
  std::chrono::seconds closing{5};  // TCP after a FIN or RST
  std::chrono::seconds opening{5};  // TCP before it is established: what a SYN flood leaves behind
  friend bool operator==(const ConntrackZone&, const ConntrackZone&) = default;
};

// A Geneve port whose far end and options the flows choose (ovs-vswitchd.conf.db(5), Interface options).
struct DesiredTunnel {
  std::string port;      // the interface's name
  std::string local_ip;  // IPv4
  friend bool operator==(const DesiredTunnel&, const DesiredTunnel&) = default;
};

struct DesiredBridge {
  std::string switch_name;
  std::string remote;  // "tcp:IP:PORT" or "unix:PATH"
  std::string fabric;  // value of our mark
  std::string bridge;
  std::string datapath_type;  // "system" or "netdev"
  DatapathId dpid;
  std::string controller_target;
  bool adopt = false;
  std::vector<std::string> ports;  // the bridge's own name stands for its LOCAL port
  // Only these zones of the bridge's datapath are written; others are left alone.
  std::vector<ConntrackZone> zones{};
  // Most flows in each of the binding tables (Flow_Table.flow_limit, overflow refused); 0: no limit.
  uint32_t binding_flow_limit = 0;
  std::optional<DesiredTunnel> tunnel{};  // OnPorts reports its number like those of `ports`
  friend bool operator==(const DesiredBridge&, const DesiredBridge&) = default;
};

struct BridgeStatus {
  std::string switch_name;
  std::string state;  // "connecting", "changing", "ready", "refused"
  std::string last_error;
  uint64_t transactions = 0;
  uint64_t reconnects = 0;
  std::vector<std::pair<std::string, PortNo>> ports;  // those with an OpenFlow number
  uint64_t bridges_remade = 0;                        // somebody deleted the bridge, and it was made again
  uint64_t messages_refused = 0;                      // of the server, that broke RFC 7047 or came too late
};

class Listener {
 public:
  virtual ~Listener() = default;
  // The ports that have an OpenFlow number changed (also: the first time).
  virtual void OnPorts(const std::string& switch_name,
                       const std::vector<std::pair<std::string, PortNo>>& ports) = 0;
  // The database was refused or lost; already rate-limited by the reconnect's back-off.
  virtual void OnProblem(const std::string& switch_name, const std::string& what) = 0;
};

class OvsdbManager {
 public:
  explicit OvsdbManager(Listener* listener);
  ~OvsdbManager();
  // A bridge that is no longer wanted loses our controller target and our mark, nothing else: it goes
  // on forwarding until the operator removes it.
  void SetDesired(std::vector<DesiredBridge> desired);
  void Run(Now now);
  void Wait(Now now);
  std::vector<BridgeStatus> Statuses() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyncast::ovsdb
