// The API's answer to "where would this demand go, and why".
#include <map>
#include <string>

#include "controller/io/api_json.h"
#include "controller/io/api_values.h"
#include "ovs-integration/pipeline/compile.h"

namespace dyncast::api {
namespace {

Json KeyJson(const BindingKey& key) {
  Json out = {{"client", key.client.ToString()}};
  if (key.src_port != 0) out["src_port"] = key.src_port;
  if (key.dst_port != 0) out["dst_port"] = key.dst_port;
  if (key.proto != IpProto::kAny) out["proto"] = IpProtoName(key.proto);
  return out;
}

}  // namespace

Json ExplainJson(const core::Explanation& e) {
  Json bound = Json::array();
  for (const auto& b : e.bound) {
    Json row = KeyJson(b.key);
    row["switch"] = b.switch_name;
    row["instance"] = b.instance_name;
    row["instance_gone"] = b.instance_gone;
    bound.push_back(std::move(row));
  }
  Json candidates = Json::array();
  for (const auto& c : e.candidates) {
    Json metrics = Json::object();
    Json ages = Json::object();
    for (const auto& m : c.metrics) {
      metrics[m.sample.name] = m.sample.value;
      ages[m.sample.name] = Seconds(m.age);
    }
    Json row = {{"instance", c.name}, {"state", InstanceStateName(c.state)}, {"excluded", c.excluded}};
    Put(&row, "cost", c.cost);
    Put(&row, "load", c.load);
    Put(&row, "capacity", c.capacity);
    Put(&row, "share", c.share);
    row["bindings"] = c.bindings;
    if (c.rtt) row["rtt_ms"] = static_cast<double>(c.rtt->count()) / 1000;
    Put(&row, "outstanding", c.outstanding);
    Put(&row, "expected_ms", c.expected_ms);
    if (c.scores != ScoreValues{}) row["levels"] = LevelsJson(c.scores);
    row["metrics"] = metrics;
    row["metric_ages_s"] = ages;
    candidates.push_back(std::move(row));
  }
  Json out = {{"service", e.service},
              {"policy", e.policy},
              {"formula", e.formula},
              {"dispatch", DispatchName(e.dispatch)},
              {"store", BindingStoreKindName(e.store)},
              {"key", KeyJson(e.key)},
              {"bound", bound},
              {"candidates", candidates}};
  if (e.would_choose) out["would_choose"] = e.would_choose_name;
  out["no_instance_reason"] = e.no_instance_reason;
  return out;
}

Json VerdictJson(const std::string& switch_name, const core::Explanation& e, KeyState key) {
  std::map<InstanceId, std::string> names;
  for (const core::ExplainedCandidate& c : e.candidates) names[c.instance] = c.name;
  const auto name = [&names](InstanceId id) {
    const auto it = names.find(id);
    return it == names.end() ? "instance " + std::to_string(id.value()) : it->second;
  };
  Json out = {{"switch", switch_name}, {"closed", e.closed}};
  if (!e.asks.empty()) out["asks"] = e.asks;
  for (const core::ExplainedBinding& b : e.bound) {
    if (b.switch_name == switch_name && b.key == e.key) out["bound"] = b.instance_name;
  }
  if (key == KeyState::kComplete && !e.slots.empty()) {
    const size_t slot = pipeline::SlotOf(e.key, e.slots.size());
    out["slot"] = slot;
    out["instance"] = name(e.slots[slot]);
  }
  out["slots"] = e.slots.size();
  std::map<InstanceId, size_t> held;
  for (InstanceId id : e.slots) ++held[id];
  Json shares = Json::array();
  for (const auto& [id, slots] : held) shares.push_back({{"instance", name(id)}, {"share", ShareOf(slots)}});
  out["shares"] = shares;
  return out;
}

}  // namespace dyncast::api
