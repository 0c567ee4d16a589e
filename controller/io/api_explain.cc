// The API's `explain`: a demand as the caller describes it, asked of the core.
#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "controller/io/api_handlers.h"

namespace dyncast::api {
namespace {

// "10.0.0.1", "10.0.0.1:4711", "fd00::1" or "[fd00::1]:4711".
Result<std::pair<IpAddress, uint16_t>> ParseClient(const std::string& text) {
  const auto broken = [&text](const char* rule) {
    return MakeError(Errc::kInvalid, "'" + text.substr(0, 64) + "' " + rule);
  };
  std::string address = text;
  std::optional<std::string> port_text;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string::npos) return broken("has no ']'");
    address = text.substr(1, end - 1);
    if (end + 1 < text.size()) {
      if (text[end + 1] != ':') return broken("must have ':' and a port after ']'");
      port_text = text.substr(end + 2);
    }
  } else if (const size_t colon = text.find(':');
             colon != std::string::npos && text.find(':', colon + 1) == std::string::npos) {
    address = text.substr(0, colon);
    port_text = text.substr(colon + 1);
  }
  Result<IpAddress> parsed = IpAddress::Parse(address);
  if (!parsed.ok()) return parsed.error();
  unsigned port = 0;
  if (port_text) {
    const auto [end, code] = std::from_chars(port_text->data(), port_text->data() + port_text->size(), port);
    if (code != std::errc{} || end != port_text->data() + port_text->size() || port > 65535) {
      return broken("has no port from 0 to 65535");
    }
  }
  return std::make_pair(*parsed, static_cast<uint16_t>(port));
}

// What the caller leaves open comes from the first of the service's ports that fits.
Result<Demand> MakeDemand(const ServiceSpec& spec, const std::pair<IpAddress, uint16_t>& client,
                          uint16_t port, std::string_view proto) {
  Demand demand;
  demand.client = client.first;
  demand.src_port = client.second;
  const std::optional<IpAddress>& sid = client.first.is_v4() ? spec.sid_v4 : spec.sid_v6;
  if (!sid) {
    return MakeError(Errc::kNotFound, "service '" + spec.name + "' has no " +
                                          (client.first.is_v4() ? "IPv4" : "IPv6") + " D-SID, so " +
                                          client.first.ToString() + " cannot ask for it");
  }
  demand.sid = *sid;
  for (const PortRange& r : spec.ports) {
    if (!proto.empty() && IpProtoName(r.proto) != proto) continue;
    if (port != 0 && (port < r.first || port > r.last)) continue;
    demand.proto = r.proto;
    demand.dst_port = port != 0 ? port : r.first;
    return demand;
  }
  return MakeError(Errc::kNotFound, "service '" + spec.name + "' has no such port or protocol: " +
                                        std::string(proto) + (port != 0 ? "/" + std::to_string(port) : ""));
}

struct Explained {
  core::Explanation explanation;
  KeyState key = KeyState::kComplete;
  std::vector<std::pair<std::string, core::Explanation>> at_switches;  // dispatch learn
};

}  // namespace

Result<Json> Handlers::Explain(const Params& params) {
  Result<std::pair<IpAddress, uint16_t>> client = ParseClient(Param(params, "client"));
  if (!client.ok()) return client.error();
  Result<uint64_t> port = NumberParam(params, "port", 0, 65535);
  if (!port.ok()) return port.error();
  const std::string service = Param(params, "service");
  const std::string switch_name = Param(params, "switch");
  const std::string proto = Param(params, "proto");
  using Found = Result<Explained>;
  Result<Found> got = AskNow<Found>([this, client, port, service, switch_name, proto]() -> Found {
    const core::Core& core = loop_->core();
    const Now now = ReadClocks();
    const std::optional<ServiceId> id = core.FindService(service);
    if (!id) return MakeError(Errc::kNotFound, "no service has the name or D-SID '" + service + "'");
    std::optional<SwitchId> at;
    if (!switch_name.empty() && !(at = core.FindSwitch(switch_name))) {
      return MakeError(Errc::kNotFound, "no switch has the name '" + switch_name + "'");
    }
    const auto& services = loop_->config().services;
    std::optional<ServiceSpec> spec;
    for (const ServiceSpec& s : services) {
      if (core.FindService(s.name) == id) spec = s;
    }
    if (!spec) return MakeError(Errc::kNotFound, "the service is not configured");
    Result<Demand> demand = MakeDemand(*spec, *client, static_cast<uint16_t>(*port), proto);
    if (!demand.ok()) return demand.error();
    Explained out;
    out.explanation = core.Explain(*demand, *id, at, now);
    const bool needs_port = spec->affinity.kind == AffinityKind::k5Tuple && demand->proto != IpProto::kIcmp;
    if (needs_port && demand->src_port == 0) out.key = KeyState::kPartial;
    if (spec->dispatch != Dispatch::kLearn) return out;
    for (const config::SwitchConfig& sw : loop_->config().switches) {
      const std::optional<SwitchId> there = core.FindSwitch(sw.name);
      if (!there || (at && *there != *at)) continue;
      out.at_switches.emplace_back(sw.name, core.Explain(*demand, *id, there, now));
    }
    return out;
  });
  if (!got.ok()) return got.error();
  if (!got->ok()) return got->error();
  const Explained& explained = **got;
  Json out = ExplainJson(explained.explanation);
  // Why each live binding stands: the decision as it was recorded.
  for (size_t i = 0; i < explained.explanation.bound.size(); ++i) {
    Result<nlohmann::json> decision = reader_->DecisionFor(explained.explanation.bound[i].key);
    if (decision.ok() && !decision->is_null()) out["bound"][i]["decision"] = std::move(*decision);
  }
  if (explained.explanation.dispatch != Dispatch::kLearn) return out;
  Json verdicts = Json::array();
  for (const auto& [name, explanation] : explained.at_switches) {
    verdicts.push_back(VerdictJson(name, explanation, explained.key));
  }
  out["key_complete"] = explained.key == KeyState::kComplete;
  out["verdicts"] = std::move(verdicts);
  return out;
}

}  // namespace dyncast::api
