// The API's network: the ways between agents, the traffic of switches' ports.
#include <algorithm>
#include <string>
#include <vector>

#include "controller/io/api_handlers.h"
#include "controller/io/api_values.h"

namespace dyncast::api {
namespace {

void PutTime(Json* out, const char* key, const std::optional<Micros>& value) {
  if (value) (*out)[key] = static_cast<double>(value->count()) / 1e6;
}

}  // namespace

Json PathsJson(const std::vector<core::PathView>& paths, const std::string& agent, const std::string& peer) {
  Json rows = Json::array();
  for (const core::PathView& path : paths) {
    const PathSample& sample = path.sample;
    if ((!agent.empty() && path.from != agent) || (!peer.empty() && sample.peer != peer)) continue;
    Json row = {{"agent", path.from}, {"peer", sample.peer}, {"family", sample.ipv6 ? "ipv6" : "ipv4"}};
    PutTime(&row, "rtt_s", sample.rtt);
    PutTime(&row, "rtt_min_s", sample.rtt_min);
    PutTime(&row, "jitter_forward_s", sample.jitter_forward);
    PutTime(&row, "jitter_backward_s", sample.jitter_backward);
    row["loss"] = sample.loss;
    Put(&row, "loss_forward", sample.loss_forward);
    Put(&row, "loss_backward", sample.loss_backward);
    row["sent"] = sample.sent;
    row["window_s"] = Seconds(sample.window);
    row["age_s"] = Seconds(path.age);
    rows.push_back(std::move(row));
  }
  return {{"paths", std::move(rows)}};
}

Json LinkJson(const core::LinkView& link) {
  Json row = Json::object();
  if (link.number) row["number"] = link.number->value();
  const auto count = [&row](const char* key, const std::optional<uint64_t>& value) {
    if (value) row[key] = *value;
  };
  if (link.rates) {
    Put(&row, "in_bit_s", link.rates->in_bit_s);
    Put(&row, "out_bit_s", link.rates->out_bit_s);
    Put(&row, "in_packets_s", link.rates->in_packets_s);
    Put(&row, "out_packets_s", link.rates->out_packets_s);
  }
  count("speed_bit_s", link.speed_bit_s);
  if (link.rates) {
    Put(&row, "in_load", LinkLoad(link.rates->in_bit_s, link.speed_bit_s));
    Put(&row, "out_load", LinkLoad(link.rates->out_bit_s, link.speed_bit_s));
    row["window_s"] = static_cast<double>(link.rates->window.count()) / 1e6;
  }
  if (link.counters) {
    count("in_dropped", link.counters->in_dropped);
    count("out_dropped", link.counters->out_dropped);
    row["age_s"] = Seconds(link.age);
  }
  return row;
}

Json LinksJson(const core::FabricView& view, const std::string& switch_name) {
  Json rows = Json::array();
  for (const core::SwitchView& sw : view.switches) {
    if (!switch_name.empty() && sw.name != switch_name) continue;
    for (const core::LinkView& link : sw.links) {
      Json row = {{"switch", sw.name}, {"port", link.port}, {"role", PortRoleName(link.role)}};
      row.update(LinkJson(link));
      rows.push_back(std::move(row));
    }
  }
  return {{"links", std::move(rows)}};
}

Result<Json> Handlers::Links(const Params& params) {
  BindingFilter named;
  named.switch_name = Param(params, "switch");
  if (Status known = CheckFilter(named); !known.ok()) return known.error();
  Result<core::FabricView> view = View();
  if (!view.ok()) return view.error();
  return LinksJson(*view, named.switch_name);
}

Result<Json> Handlers::Paths(const Params& params) {
  using Got = std::pair<std::vector<core::PathView>, std::vector<std::string>>;
  Result<Got> got = AskNow<Got>([this] {
    Got out{loop_->core().Paths(ReadClocks()), {}};
    for (const config::AgentAllowance& agent : loop_->config().agents) out.second.push_back(agent.name);
    return out;
  });
  if (!got.ok()) return got.error();
  const auto& [paths, agents] = *got;
  for (const char* key : {"agent", "peer"}) {
    const std::string name = Param(params, key);
    if (name.empty() || std::find(agents.begin(), agents.end(), name) != agents.end()) continue;
    return MakeError(Errc::kNotFound, "no agent has the name '" + name.substr(0, 64) + "'");
  }
  return PathsJson(paths, Param(params, "agent"), Param(params, "peer"));
}

}  // namespace dyncast::api
