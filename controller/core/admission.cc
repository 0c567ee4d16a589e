// The registry's rules about who may announce what.
#include <fmt/core.h>

#include <algorithm>

#include "controller/core/registry.h"

namespace dyncast::core {
namespace {

// More than any host runs; keeps an agent gone wrong from using up all ids.
constexpr size_t kInstancesPerAgent = 4096;

bool PortsOverlap(const ServiceSpec& a, const ServiceSpec& b) {
  for (const PortRange& x : a.ports) {
    for (const PortRange& y : b.ports) {
      const bool same_proto = x.proto == y.proto || x.proto == IpProto::kAny || y.proto == IpProto::kAny;
      if (same_proto && x.first <= y.last && y.first <= x.last) return true;
    }
  }
  return false;
}

}  // namespace

bool Registry::CheckOwner(const Instance& instance, const std::string& agent) const {
  return instance.record.agent == agent;
}

std::optional<Refusal> Registry::CheckBid(const std::string& agent, const IpAddress& bid,
                                          const Service& service) const {
  const std::string text = bid.ToString();
  if (bid.is_none() || bid.is_multicast() || bid.is_loopback()) {
    return Refusal{"bid-not-unicast", fmt::format("D-BID {} is no unicast address of a host", text)};
  }
  if (!(bid.is_v4() ? service.spec.sid_v4 : service.spec.sid_v6).has_value()) {
    return Refusal{"bid-family", fmt::format("D-BID {}: service '{}' has no D-SID of that address family",
                                             text, service.spec.name)};
  }
  if (std::find(gateways_.begin(), gateways_.end(), bid) != gateways_.end()) {
    return Refusal{"bid-is-gateway", fmt::format("D-BID {} is a gateway's address", text)};
  }
  bool is_sid = false;
  services_->ForEach([&](const Service& s) {
    is_sid = is_sid || (s.configured && (s.spec.sid_v4 == bid || s.spec.sid_v6 == bid));
  });
  if (is_sid) return Refusal{"bid-is-sid", fmt::format("D-BID {} is a D-SID", text)};
  const config::AgentAllowance* allowance = agents_->Allowance(agent);
  const bool allowed =
      allowance != nullptr && std::any_of(allowance->bids.begin(), allowance->bids.end(),
                                          [&](const IpPrefix& prefix) { return prefix.Contains(bid); });
  if (!allowed) {
    return Refusal{"bid-not-allowed", fmt::format("D-BID {} is in none of agent '{}'s 'bids'", text, agent)};
  }
  return std::nullopt;
}

const Instance* Registry::Conflicting(const IpAddress& bid, const Service& service, const std::string& agent,
                                      const Instance* self) const {
  const Instance* found = nullptr;
  ForEach([&](const Instance& other) {
    if (found != nullptr || &other == self || other.record.bid != bid) return;
    const Service* others = services_->Find(other.record.service);
    if (other.record.agent != agent) {
      // A D-BID stays its agent's until that withdraws it or is itself no longer listed.
      const bool released =
          other.record.state == InstanceState::kDown &&
          (other.record.reason == "withdrawn" || agents_->Allowance(other.record.agent) == nullptr);
      if (!released) found = &other;
      return;
    }
    // Beside each other on one D-BID only what the return path can tell apart.
    if (other.record.state == InstanceState::kDown || others == nullptr) return;
    if (others == &service || PortsOverlap(others->spec, service.spec)) found = &other;
  });
  return found;
}

std::optional<Refusal> Registry::CheckAnnounce(const std::string& agent, const wire::Announce& announce,
                                               const Service* service, const Instance* known) const {
  if (service == nullptr || !service->configured) {
    return Refusal{"unknown-service", fmt::format("instance '{}' announces service '{}', which is not "
                                                  "listed under 'services'",
                                                  announce.instance, announce.service)};
  }
  if (announce.sid && announce.sid != service->spec.sid_v4 && announce.sid != service->spec.sid_v6) {
    return Refusal{"sid-mismatch",
                   fmt::format("instance '{}' announces D-SID {}, which is not service '{}'s",
                               announce.instance, announce.sid->ToString(), announce.service)};
  }
  if (auto refusal = CheckBid(agent, announce.bid, *service)) return refusal;
  if (known != nullptr && known->record.agent != agent) {
    const bool released =
        known->record.state == InstanceState::kDown &&
        (known->record.reason == "withdrawn" || agents_->Allowance(known->record.agent) == nullptr);
    if (!released) {
      return Refusal{"instance-of-another-agent",
                     fmt::format("instance '{}' is of agent '{}'", announce.instance, known->record.agent)};
    }
  }
  if (known != nullptr && known->record.state != InstanceState::kDown &&
      (known->record.bid != announce.bid || known->record.service != service->id)) {
    return Refusal{
        "instance-changed",
        fmt::format("instance '{}' is {} at {}: withdraw it before it gets another D-BID or "
                    "service",
                    announce.instance, InstanceStateName(known->record.state), known->record.bid.ToString())};
  }
  if (const Instance* other = Conflicting(announce.bid, *service, agent, known)) {
    if (other->record.agent != agent) {
      return Refusal{"bid-of-another-agent",
                     fmt::format("D-BID {} was announced by agent '{}' (instance '{}')",
                                 announce.bid.ToString(), other->record.agent, other->record.name)};
    }
    return Refusal{"bid-conflict", fmt::format("instance '{}' has D-BID {} and overlapping ports already",
                                               other->record.name, announce.bid.ToString())};
  }
  if (known == nullptr) {
    size_t mine = 0;
    ForEach([&](const Instance& instance) { mine += instance.record.agent == agent ? 1 : 0; });
    if (mine >= kInstancesPerAgent) {
      return Refusal{"too-many-instances", fmt::format("agent '{}' has {} instances already", agent, mine)};
    }
  }
  return std::nullopt;
}

}  // namespace dyncast::core
