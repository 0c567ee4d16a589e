#include "ovs-integration/ovsdb/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "ovs-integration/ovsdb/plan_json.h"
#include "ovs-integration/ovsdb/plan_limits.h"
#include "ovs-integration/ovsdb/plan_ports.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;

constexpr int64_t kMaxBackoffMs = 1000;
constexpr int64_t kInactivityProbeMs = 5000;

json ControllerColumns(const DesiredBridge& desired) {
  return {{"target", desired.controller_target},
          {"connection_mode", "out-of-band"},
          {"max_backoff", kMaxBackoffMs},
          {"inactivity_probe", kInactivityProbeMs}};
}

StringMap OtherConfig(const DesiredBridge& desired) {
  return {{"datapath-id", fmt::format("{:016x}", desired.dpid.value())}, {"disable-in-band", "true"}};
}

StringMap BridgeMarks(const DesiredBridge& desired) {
  return {{std::string(kFabricMark), desired.fabric}, {std::string(kSwitchMark), desired.switch_name}};
}

class Planner {
 public:
  Planner(const Database& db, const DesiredBridge& desired) : db_(db), desired_(desired) {}

  PlanResult Run() {
    if (db_.roots.size() != 1) {
      out_.refusal = fmt::format(
          "the database has {} rows in table Open_vSwitch where one should be: "
          "initialise it (ovs-vsctl init)",
          db_.roots.size());
      return std::move(out_);
    }
    for (const auto& [uuid, row] : db_.bridges) {
      if (row.name == desired_.bridge) bridge_uuid_ = uuid, bridge_ = &row;
    }
    if (bridge_ == nullptr) {
      MakeBridge();
    } else {
      if (!Ours()) return std::move(out_);
      SetBridge();
      SetController();
    }
    PlanPorts(db_, desired_, bridge_uuid_, bridge_, &out_);
    PlanFlowTables(db_, desired_, bridge_uuid_, bridge_, &out_);
    PlanZones(db_, desired_, &out_);
    // The guard stands first: a failed wait ends the transaction before anything was done.
    if (bridge_ != nullptr && !out_.operations.empty()) {
      out_.operations.insert(out_.operations.begin(), WaitFor("Bridge", bridge_uuid_, bridge_->external_ids));
    }
    return std::move(out_);
  }

  PlanResult Release() {
    for (const auto& [uuid, row] : db_.bridges) {
      if (row.name == desired_.bridge && MarkOf(row.external_ids) == desired_.fabric) {
        bridge_uuid_ = uuid, bridge_ = &row;
      }
    }
    if (bridge_ == nullptr) return std::move(out_);
    Push(WaitFor("Bridge", bridge_uuid_, bridge_->external_ids));
    json mutations = json::array({DeleteMarks()});
    json controllers = json::array();
    for (const Uuid& uuid : bridge_->controllers) {
      if (OurController(uuid)) controllers.push_back(UuidValue(uuid));
    }
    if (!controllers.empty()) mutations.push_back(json::array({"controller", "delete", SetOf(controllers)}));
    Push(Mutate("Bridge", bridge_uuid_, mutations));
    for (const Uuid& uuid : bridge_->ports) {
      const auto port = db_.ports.find(uuid);
      if (port == db_.ports.end() || MarkOf(port->second.external_ids) != desired_.fabric) continue;
      Push(Mutate("Port", uuid,
                  json::array({json::array(
                      {"external_ids", "delete", SetOf(json::array({std::string(kFabricMark)}))})})));
    }
    ReleaseFlowTables(db_, desired_, *bridge_, &out_);
    ReleaseZones(db_, desired_, &out_);
    out_.changes.push_back("release bridge " + desired_.bridge);
    return std::move(out_);
  }

 private:
  void Push(json operation) { out_.operations.push_back(std::move(operation)); }

  bool Ours() {
    const std::string mark = MarkOf(bridge_->external_ids);
    if (mark == desired_.fabric) return true;
    if (mark.empty() && desired_.adopt) {
      out_.changes.push_back("adopt bridge " + desired_.bridge);
      return true;
    }
    // Never taken over: two controllers would change it in turns.
    out_.refusal = mark.empty()
                       ? fmt::format(
                             "bridge {} exists and is not ours (no external_ids:{}): remove it, choose "
                             "another name, or allow 'adopt' for switch {}",
                             desired_.bridge, kFabricMark, desired_.switch_name)
                       : fmt::format("bridge {} belongs to fabric '{}' (external_ids:{}), not to '{}'",
                                     desired_.bridge, mark, kFabricMark, desired_.fabric);
    return false;
  }

  bool OurController(const Uuid& uuid) const {
    const auto row = db_.controllers.find(uuid);
    return row != db_.controllers.end() && MarkOf(row->second.external_ids) == desired_.fabric;
  }

  json NewController(const std::string& name) const {
    json row = ControllerColumns(desired_);
    row["external_ids"] = MapValue(FabricMark(desired_.fabric));
    return Insert("Controller", name, std::move(row));
  }

  void MakeBridge() {
    out_.makes_bridge = true;
    out_.changes.push_back("make bridge " + desired_.bridge);
    Push(Insert("Interface", "local_interface", {{"name", desired_.bridge}, {"type", "internal"}}));
    Push(Insert("Port", "local_port", {{"name", desired_.bridge}, {"interfaces", Named("local_interface")}}));
    Push(NewController("controller"));
    Push(Insert("Bridge", "bridge",
                {{"name", desired_.bridge},
                 {"datapath_type", desired_.datapath_type},
                 {"fail_mode", "secure"},
                 {"protocols", "OpenFlow15"},
                 {"ports", Named("local_port")},
                 {"controller", Named("controller")},
                 {"other_config", MapValue(OtherConfig(desired_))},
                 {"external_ids", MapValue(BridgeMarks(desired_))}}));
    Push(Mutate("Open_vSwitch", *db_.roots.begin(),
                json::array({json::array({"bridges", "insert", SetOf(json::array({Named("bridge")}))})})));
  }

  void SetKeys(const char* column, const StringMap& have, const StringMap& want, json* mutations) {
    dyncast::ovsdb::SetKeys(desired_.bridge, column, have, want, mutations, &out_);
  }

  void SetBridge() {
    json row = json::object();
    const std::string have = bridge_->datapath_type.empty() ? "system" : bridge_->datapath_type;
    if (have != desired_.datapath_type) row["datapath_type"] = desired_.datapath_type;
    if (bridge_->fail_mode != "secure") row["fail_mode"] = "secure";
    for (const auto& [column, value] : row.items()) {
      out_.changes.push_back(fmt::format("set {} {}={}", desired_.bridge, column, value.get<std::string>()));
    }
    if (!row.empty()) {
      Push({{"op", "update"}, {"table", "Bridge"}, {"where", WhereUuid(bridge_uuid_)}, {"row", row}});
    }
    json mutations = json::array();
    if (!bridge_->protocols.contains("OpenFlow15")) {
      mutations.push_back(json::array({"protocols", "insert", SetOf(json::array({"OpenFlow15"}))}));
      out_.changes.push_back("allow OpenFlow15 on " + desired_.bridge);
    }
    SetKeys("other_config", bridge_->other_config, OtherConfig(desired_), &mutations);
    SetKeys("external_ids", bridge_->external_ids, BridgeMarks(desired_), &mutations);
    if (!mutations.empty()) Push(Mutate("Bridge", bridge_uuid_, mutations));
  }

  void SetController() {
    Uuid kept;
    json surplus = json::array();
    for (const Uuid& uuid : bridge_->controllers) {
      const auto row = db_.controllers.find(uuid);
      if (row == db_.controllers.end()) continue;
      // A row with our own target is us, whoever wrote it: a second one would only repeat it.
      const bool same_target = row->second.target == desired_.controller_target;
      if (!OurController(uuid) && !same_target) {
        out_.problems.push_back(
            fmt::format("bridge {} also has the controller {}, which is not ours: it is left alone, but "
                        "may change flows",
                        desired_.bridge, row->second.target));
      } else if (kept.empty()) {
        kept = uuid;
      } else {
        surplus.push_back(UuidValue(uuid));
      }
    }
    if (!surplus.empty()) {
      out_.changes.push_back("remove surplus controllers of " + desired_.bridge);
      Push(Mutate("Bridge", bridge_uuid_,
                  json::array({json::array({"controller", "delete", SetOf(surplus)})})));
    }
    if (kept.empty()) {
      out_.changes.push_back(
          fmt::format("set {} controller={}", desired_.bridge, desired_.controller_target));
      Push(NewController("controller"));
      Push(Mutate(
          "Bridge", bridge_uuid_,
          json::array({json::array({"controller", "insert", SetOf(json::array({Named("controller")}))})})));
      return;
    }
    const ControllerRow& row = db_.controllers.at(kept);
    const bool same = row.target == desired_.controller_target && row.connection_mode == "out-of-band" &&
                      row.max_backoff == kMaxBackoffMs && row.inactivity_probe == kInactivityProbeMs;
    if (!same) {
      out_.changes.push_back(
          fmt::format("set {} controller={}", desired_.bridge, desired_.controller_target));
      Push({{"op", "update"},
            {"table", "Controller"},
            {"where", WhereUuid(kept)},
            {"row", ControllerColumns(desired_)}});
    }
    json mutations = json::array();
    SetKeys("external_ids", row.external_ids, FabricMark(desired_.fabric), &mutations);
    if (!mutations.empty()) Push(Mutate("Controller", kept, mutations));
  }

  const Database& db_;
  const DesiredBridge& desired_;
  Uuid bridge_uuid_;
  const BridgeRow* bridge_ = nullptr;  // null where the bridge does not exist
  PlanResult out_;
};

}  // namespace

PlanResult Plan(const Database& db, const DesiredBridge& desired) { return Planner(db, desired).Run(); }

PlanResult PlanRelease(const Database& db, const DesiredBridge& formerly) {
  return Planner(db, formerly).Release();
}

}  // namespace dyncast::ovsdb
