#include "ovs-integration/ovsdb/plan_ports.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "ovs-integration/ovsdb/plan_json.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;

constexpr int64_t kLargestPort = 0xfeff;  // of the database's 16-bit numbers
constexpr int64_t kLocalOfport = 0xfffe;
constexpr const char* kTunnelType = "geneve";

// ovs-vswitchd.conf.db(5): flows choose the far end; the checksum of UDP guards the outer headers too.
StringMap TunnelOptions(const DesiredTunnel& tunnel) {
  return {{"remote_ip", "flow"}, {"local_ip", tunnel.local_ip}, {"key", "0"}, {"csum", "true"}};
}

class PortPlanner {
 public:
  PortPlanner(const Database& db, const DesiredBridge& desired, Uuid bridge_uuid, const BridgeRow* bridge,
              PlanResult* out)
      : db_(db), desired_(desired), bridge_uuid_(std::move(bridge_uuid)), bridge_(bridge), out_(out) {}

  void Run() {
    if (bridge_ != nullptr) RemovePorts();
    std::set<std::string> done;
    if (desired_.tunnel) done.insert(desired_.tunnel->port);
    for (const std::string& name : desired_.ports) {
      if (!done.insert(name).second) continue;
      Uuid port;
      if (const InterfaceRow* interface = Find(name, &port)) {
        Number(name, *interface);
      } else if (Free(name)) {
        const bool local = name == desired_.bridge;
        if (local && bridge_ == nullptr) continue;  // made with the bridge
        json row = {{"name", name}};
        if (local) row["type"] = "internal";
        Make(name, std::move(row));
      }
    }
    if (desired_.tunnel) KeepTunnel(*desired_.tunnel);
    Join();
  }

 private:
  void Push(json operation) { out_->operations.push_back(std::move(operation)); }

  bool Wanted(const std::string& name) const {
    return (desired_.tunnel && desired_.tunnel->port == name) ||
           std::find(desired_.ports.begin(), desired_.ports.end(), name) != desired_.ports.end();
  }

  void RemovePorts() {
    for (const Uuid& uuid : bridge_->ports) {
      const auto port = db_.ports.find(uuid);
      if (port == db_.ports.end() || port->second.name == desired_.bridge || Wanted(port->second.name) ||
          MarkOf(port->second.external_ids) != desired_.fabric) {
        continue;
      }
      out_->changes.push_back(fmt::format("remove port {} from {}", port->second.name, desired_.bridge));
      Push(WaitFor("Port", uuid, port->second.external_ids));
      Push(Mutate("Bridge", bridge_uuid_,
                  json::array({json::array({"ports", "delete", SetOf(json::array({UuidValue(uuid)}))})})));
    }
  }

  // The name of the bridge that holds the port, or "" for none.
  std::string BridgeOf(const Uuid& port) const {
    for (const auto& [uuid, row] : db_.bridges) {
      if (row.ports.contains(port)) return row.name;
    }
    return {};
  }

  // The interface on our bridge, its port in *port; null where there is none.
  const InterfaceRow* Find(const std::string& name, Uuid* port) {
    const InterfaceRow* interface = FindAnywhere(name, port);
    return interface != nullptr && BridgeOf(*port) == desired_.bridge ? interface : nullptr;
  }
  const InterfaceRow* FindAnywhere(const std::string& name, Uuid* port) {
    for (const auto& [uuid, row] : db_.interfaces) {
      if (row.name != name) continue;
      for (const auto& [port_uuid, port_row] : db_.ports) {
        if (port_row.interfaces.contains(uuid)) *port = port_uuid;
      }
      interface_uuid_ = uuid;
      return &row;
    }
    return nullptr;
  }

  // No row bears the name; else it is a problem.
  bool Free(const std::string& name) {
    Uuid port;
    if (FindAnywhere(name, &port) != nullptr) {
      const std::string holder = BridgeOf(port);
      out_->problems.push_back(fmt::format("port {} is on bridge {}, not on {}: it is left there", name,
                                           holder.empty() ? "(none)" : holder, desired_.bridge));
      return false;
    }
    const auto taken = std::find_if(db_.ports.begin(), db_.ports.end(),
                                    [&](const auto& entry) { return entry.second.name == name; });
    if (taken == db_.ports.end()) return true;
    out_->problems.push_back(
        fmt::format("port {} of bridge {} has no interface of that name: a bond "
                    "cannot be a port of ours",
                    name, BridgeOf(taken->first)));
    return false;
  }

  void Make(const std::string& name, json interface) {
    const std::string index = std::to_string(added_.size() + 1);
    Push(Insert("Interface", "interface" + index, std::move(interface)));
    Push(Insert("Port", "port" + index,
                {{"name", name},
                 {"interfaces", Named("interface" + index)},
                 {"external_ids", MapValue(FabricMark(desired_.fabric))}}));
    added_.push_back(Named("port" + index));
    out_->changes.push_back(fmt::format("add port {} to {}", name, desired_.bridge));
  }

  void KeepTunnel(const DesiredTunnel& tunnel) {
    Uuid port;
    const InterfaceRow* interface = Find(tunnel.port, &port);
    if (interface == nullptr) {
      if (!Free(tunnel.port)) return;
      return Make(
          tunnel.port,
          {{"name", tunnel.port}, {"type", kTunnelType}, {"options", MapValue(TunnelOptions(tunnel))}});
    }
    const StringMap& marks = db_.ports.at(port).external_ids;
    if (!IsOurs(marks, desired_)) {
      out_->problems.push_back(fmt::format(
          "port {} of bridge {} is not ours (no external_ids:{}={}): it is left as it is, and cannot be the "
          "tunnel; remove it, or choose another name",
          tunnel.port, desired_.bridge, kFabricMark, desired_.fabric));
      return;
    }
    json mutations = json::array();
    SetKeys(tunnel.port, "options", interface->options, TunnelOptions(tunnel), &mutations, out_);
    const bool other_type = interface->type != kTunnelType;
    if (other_type || !mutations.empty()) Push(WaitFor("Port", port, marks));
    if (other_type) {
      out_->changes.push_back(fmt::format("set {} type={}", tunnel.port, kTunnelType));
      Push(Update("Interface", interface_uuid_, {{"type", kTunnelType}}));
    }
    if (!mutations.empty()) Push(Mutate("Interface", interface_uuid_, mutations));
    // What the number meant with another type, the flows must not be told.
    if (!other_type) Number(tunnel.port, *interface);
  }

  void Join() {
    if (added_.empty()) return;
    json mutation = json::array({json::array({"ports", "insert", SetOf(added_)})});
    if (bridge_ != nullptr) {
      Push(Mutate("Bridge", bridge_uuid_, mutation));
    } else {
      // The bridge has no UUID yet, but its name is unique.
      Push({{"op", "mutate"},
            {"table", "Bridge"},
            {"where", json::array({json::array({"name", "==", desired_.bridge})})},
            {"mutations", mutation}});
    }
  }

  void Number(const std::string& name, const InterfaceRow& interface) {
    const int64_t number = interface.ofport.value_or(0);
    if (number < 0 || !interface.error.empty()) {
      out_->problems.push_back(
          fmt::format("interface {} of bridge {} has no OpenFlow port: {}", name, desired_.bridge,
                      interface.error.empty() ? "the switch gave no reason" : interface.error));
    } else if (number == kLocalOfport) {
      out_->ports.emplace_back(name, kLocalPort);
    } else if (number > 0 && number <= kLargestPort) {
      out_->ports.emplace_back(name, PortNo{static_cast<uint32_t>(number)});
    }
  }

  const Database& db_;
  const DesiredBridge& desired_;
  const Uuid bridge_uuid_;
  const BridgeRow* const bridge_;
  PlanResult* const out_;
  json added_ = json::array();
  Uuid interface_uuid_;  // of the interface that was found last
};

}  // namespace

void PlanPorts(const Database& db, const DesiredBridge& desired, const Uuid& bridge_uuid,
               const BridgeRow* bridge, PlanResult* out) {
  PortPlanner(db, desired, bridge_uuid, bridge, out).Run();
}

}  // namespace dyncast::ovsdb
