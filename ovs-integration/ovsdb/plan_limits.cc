#include "ovs-integration/ovsdb/plan_limits.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "ovs-integration/ovsdb/plan_json.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;

// pipeline::TableOf each BindingPlace: numbers of the switch's flow tables.
constexpr int64_t kBindingTables[] = {20, 21, 22, 26, 27, 28};
constexpr int64_t kLargestTimeout = 4294967295;

IntegerMap Timeouts(const ConntrackZone& zone) {
  const auto s = [](std::chrono::seconds t) { return std::clamp<int64_t>(t.count(), 1, kLargestTimeout); };
  IntegerMap timeouts;
  timeouts["tcp_established"] = s(zone.idle);
  for (const char* key : {"tcp_syn_sent", "tcp_syn_recv", "tcp_syn_sent2"}) timeouts[key] = s(zone.opening);
  for (const char* key : {"tcp_fin_wait", "tcp_time_wait", "tcp_close", "tcp_close_wait", "tcp_last_ack"}) {
    timeouts[key] = s(zone.closing);
  }
  for (const char* key : {"udp_first", "udp_single", "udp_multiple", "icmp_first", "icmp_reply"}) {
    timeouts[key] = s(zone.idle);
  }
  return timeouts;
}

json TimeoutsValue(const IntegerMap& timeouts) {
  json pairs = json::array();
  for (const auto& [key, value] : timeouts) pairs.push_back(json::array({key, value}));
  return json::array({"map", pairs});
}

StringMap ZoneMarks(const DesiredBridge& desired) {
  return {{std::string(kFabricMark), desired.fabric}, {std::string(kBridgeMark), desired.bridge}};
}

class ZonePlanner {
 public:
  ZonePlanner(const Database& db, const DesiredBridge& desired, PlanResult* out)
      : db_(db), desired_(desired), out_(out) {
    const auto it = db.datapaths_by_type.find(desired.datapath_type);
    if (it == db.datapaths_by_type.end()) return;
    datapath_uuid_ = it->second;
    const auto row = db.datapaths.find(datapath_uuid_);
    if (row != db.datapaths.end()) datapath_ = &row->second;
  }

  void Run() {
    std::map<int64_t, const ConntrackZone*> wanted;
    for (const ConntrackZone& zone : desired_.zones) wanted[zone.zone] = &zone;
    json added = json::array();
    json surplus = json::array();
    for (const auto& [number, zone] : wanted) {
      const Uuid uuid = datapath_ == nullptr ? Uuid() : ZoneOf(number);
      if (uuid.empty()) {
        added.push_back(json::array({number, New(*zone)}));
        Say("set", *zone);
      } else {
        Change(uuid, *zone);
      }
    }
    if (datapath_ != nullptr) {
      for (const auto& [number, uuid] : datapath_->ct_zones) {
        if (wanted.contains(number) || !Ours(uuid)) continue;
        surplus.push_back(number);
        out_->operations.push_back(WaitFor("CT_Zone", uuid, db_.ct_zones.at(uuid).external_ids));
        out_->changes.push_back(
            fmt::format("remove timeouts of zone {} of the {} datapath", number, desired_.datapath_type));
      }
    }
    json mutations = json::array();
    if (!surplus.empty()) mutations.push_back(json::array({"ct_zones", "delete", SetOf(surplus)}));
    if (datapath_ != nullptr) {
      if (!added.empty()) {
        mutations.push_back(json::array({"ct_zones", "insert", json::array({"map", added})}));
      }
      if (!mutations.empty()) out_->operations.push_back(Mutate("Datapath", datapath_uuid_, mutations));
    } else if (!added.empty()) {
      MakeDatapath(added);
    }
  }

  void Release() {
    if (datapath_ == nullptr) return;
    for (const auto& [number, uuid] : datapath_->ct_zones) {
      if (Ours(uuid)) out_->operations.push_back(Mutate("CT_Zone", uuid, json::array({DeleteMarks()})));
    }
  }

 private:
  // "" where the datapath has none with this number.
  Uuid ZoneOf(int64_t number) const {
    const auto it = datapath_->ct_zones.find(number);
    return it == datapath_->ct_zones.end() ? Uuid() : it->second;
  }
  bool Ours(const Uuid& uuid) const {
    const auto row = db_.ct_zones.find(uuid);
    return row != db_.ct_zones.end() && IsOurs(row->second.external_ids, desired_) &&
           MarkOf(row->second.external_ids, kBridgeMark) == desired_.bridge;
  }
  void Say(const char* verb, const ConntrackZone& zone) {
    out_->changes.push_back(fmt::format("{} timeouts of zone {} of the {} datapath: idle {} s", verb,
                                        zone.zone, desired_.datapath_type, zone.idle.count()));
  }
  json NewPolicy(const ConntrackZone& zone) {
    const std::string name = fmt::format("policy{}", zone.zone);
    out_->operations.push_back(Insert(
        "CT_Timeout_Policy", name,
        {{"timeouts", TimeoutsValue(Timeouts(zone))}, {"external_ids", MapValue(ZoneMarks(desired_))}}));
    return Named(name);
  }
  json New(const ConntrackZone& zone) {
    const std::string name = fmt::format("zone{}", zone.zone);
    const json policy = NewPolicy(zone);
    out_->operations.push_back(Insert(
        "CT_Zone", name, {{"timeout_policy", policy}, {"external_ids", MapValue(ZoneMarks(desired_))}}));
    return Named(name);
  }
  void Change(const Uuid& uuid, const ConntrackZone& zone) {
    const auto row = db_.ct_zones.find(uuid);
    if (row == db_.ct_zones.end()) return;
    const auto policy = db_.ct_timeout_policies.find(row->second.timeout_policy);
    const bool right = policy != db_.ct_timeout_policies.end() && policy->second.timeouts == Timeouts(zone);
    if (Ours(uuid)) {
      if (right) return;
      out_->operations.push_back(WaitFor("CT_Zone", uuid, row->second.external_ids));
      // Never a moment without a policy: ovs-vswitchd reads one of each zone.
      const json named = NewPolicy(zone);
      out_->operations.push_back(Update("CT_Zone", uuid, {{"timeout_policy", named}}));
      Say("change", zone);
    } else if (!right) {
      // Another switch of ours on the same datapath with the same timeouts is no problem.
      out_->problems.push_back(fmt::format(
          "zone {} of the {} datapath has timeouts that are not those of switch {}: they are left alone, so "
          "bindings in it may end early or late",
          zone.zone, desired_.datapath_type, desired_.switch_name));
    }
  }
  void MakeDatapath(const json& zones) {
    out_->changes.push_back(fmt::format("make the row of the {} datapath", desired_.datapath_type));
    out_->operations.push_back(Insert("Datapath", "datapath",
                                      {{"ct_zones", json::array({"map", zones})},
                                       {"external_ids", MapValue(FabricMark(desired_.fabric))}}));
    const json pair = json::array({json::array({desired_.datapath_type, Named("datapath")})});
    out_->operations.push_back(
        Mutate("Open_vSwitch", *db_.roots.begin(),
               json::array({json::array({"datapaths", "insert", json::array({"map", pair})})})));
  }

  const Database& db_;
  const DesiredBridge& desired_;
  PlanResult* out_;
  Uuid datapath_uuid_;
  const DatapathRow* datapath_ = nullptr;
};

bool SettingsAre(const FlowTableRow& row, int64_t limit) {
  return row.flow_limit == limit && row.overflow_policy == "refuse";
}

}  // namespace

void PlanZones(const Database& db, const DesiredBridge& desired, PlanResult* out) {
  ZonePlanner(db, desired, out).Run();
}

void ReleaseZones(const Database& db, const DesiredBridge& formerly, PlanResult* out) {
  ZonePlanner(db, formerly, out).Release();
}

void PlanFlowTables(const Database& db, const DesiredBridge& desired, const Uuid& bridge_uuid,
                    const BridgeRow* bridge, PlanResult* out) {
  const int64_t limit = desired.binding_flow_limit;
  const json settings = {{"flow_limit", limit}, {"overflow_policy", "refuse"}};
  json added = json::array();
  json surplus = json::array();
  for (const int64_t table : kBindingTables) {
    const auto have = bridge == nullptr ? UuidByNumber::const_iterator() : bridge->flow_tables.find(table);
    if (bridge == nullptr || have == bridge->flow_tables.end()) {
      if (limit == 0) continue;
      json row = settings;
      row["external_ids"] = MapValue(FabricMark(desired.fabric));
      const std::string name = fmt::format("flow_table{}", table);
      out->operations.push_back(Insert("Flow_Table", name, std::move(row)));
      added.push_back(json::array({table, Named(name)}));
      out->changes.push_back(fmt::format("limit table {} of {} to {} flows", table, desired.bridge, limit));
      continue;
    }
    const auto row = db.flow_tables.find(have->second);
    if (row == db.flow_tables.end()) continue;
    if (!IsOurs(row->second.external_ids, desired)) {
      if (limit != 0 && !SettingsAre(row->second, limit)) {
        out->problems.push_back(
            fmt::format("table {} of bridge {} has settings that are not ours: they are left alone, so its "
                        "limit is not {}",
                        table, desired.bridge, limit));
      }
    } else if (limit == 0) {
      surplus.push_back(table);
      out->changes.push_back(fmt::format("remove the limit of table {} of {}", table, desired.bridge));
    } else if (!SettingsAre(row->second, limit)) {
      out->operations.push_back(WaitFor("Flow_Table", have->second, row->second.external_ids));
      out->operations.push_back(Update("Flow_Table", have->second, settings));
      out->changes.push_back(fmt::format("limit table {} of {} to {} flows", table, desired.bridge, limit));
    }
  }
  json mutations = json::array();
  if (!surplus.empty()) mutations.push_back(json::array({"flow_tables", "delete", SetOf(surplus)}));
  if (!added.empty()) {
    mutations.push_back(json::array({"flow_tables", "insert", json::array({"map", added})}));
  }
  if (mutations.empty()) return;
  json where = WhereUuid(bridge_uuid);
  // A bridge that is made by this transaction has no UUID yet, but its name is unique.
  if (bridge == nullptr) where = json::array({json::array({"name", "==", desired.bridge})});
  out->operations.push_back(
      {{"op", "mutate"}, {"table", "Bridge"}, {"where", where}, {"mutations", mutations}});
}

void ReleaseFlowTables(const Database& db, const DesiredBridge& formerly, const BridgeRow& bridge,
                       PlanResult* out) {
  std::set<Uuid> done;
  for (const auto& [table, uuid] : bridge.flow_tables) {
    const auto row = db.flow_tables.find(uuid);
    if (row == db.flow_tables.end() || !IsOurs(row->second.external_ids, formerly)) continue;
    if (done.insert(uuid).second) {
      out->operations.push_back(Mutate("Flow_Table", uuid, json::array({DeleteMarks()})));
    }
  }
}

}  // namespace dyncast::ovsdb
