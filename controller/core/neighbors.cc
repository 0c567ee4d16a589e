#include "controller/core/neighbors.h"

#include <algorithm>
#include <utility>

#include "controller/core/planner.h"

namespace dyncast::core {
namespace {

// Addresses of strangers remembered for their rate limit, per switch. Beyond it they are not asked for.
constexpr size_t kMostAsked = 1024;

}  // namespace

void Neighbors::SetPlan(const SwitchPlan& plan, MonoTime now) {
  PerSwitch& sw = switches_[plan.id];
  std::map<IpAddress, Target> next;
  const auto add = [&](const IpAddress& address) {
    if (FindOnLink(plan, address).port == nullptr) return;
    const auto known = sw.targets.find(address);
    next.emplace(address, known == sw.targets.end() ? Target{.next_ask = now} : known->second);
  };
  for (const PlannedRoute& route : plan.routes) add(route.via);
  for (const PlannedInstance& instance : plan.instances) {
    if (instance.reachable) add(instance.bid);
  }
  if (plan.tunnel) add(plan.tunnel->local);
  sw.targets = std::move(next);
}

void Neighbors::Connected(const SwitchPlan& plan, MonoTime now) {
  SetPlan(plan, now);
  PerSwitch& sw = switches_[plan.id];
  sw.connected = true;
  for (auto& [address, target] : sw.targets) target = Target{.next_ask = now};
}

void Neighbors::Disconnected(SwitchId at) {
  const auto it = switches_.find(at);
  if (it == switches_.end()) return;
  it->second.connected = false;
  it->second.asked.clear();
  held_dropped_ += std::erase_if(held_, [at](const Held& h) { return h.at == at; });
}

bool Neighbors::Ask(const SwitchPlan& plan, const IpAddress& target, Effects* effects) {
  const OnLink link = FindOnLink(plan, target);
  if (link.port == nullptr) return false;
  effects->emplace_back(AskNeighbor{.at = plan.id,
                                    .port = link.port->tagged(),
                                    .sender_mac = link.port->mac,
                                    .sender = link.gateway,
                                    .target = target});
  ++asked_;
  return true;
}

void Neighbors::Wanted(const NeighborWanted& event, const SwitchPlan* plan, MonoTime now, Effects* effects) {
  DropOld(now);
  if (plan == nullptr || FindOnLink(*plan, event.neighbor).port == nullptr) {
    ++held_dropped_;
    return;
  }
  const auto waiting = std::count_if(held_.begin(), held_.end(), [&](const Held& h) {
    return h.at == event.at && h.neighbor == event.neighbor;
  });
  if (static_cast<size_t>(waiting) < kHeldPerNeighbor && held_.size() < kHeldInAll) {
    held_.push_back({.at = event.at,
                     .neighbor = event.neighbor,
                     .until = now + kHoldTime,
                     .packet = {event.packet.begin(), event.packet.end()}});
  } else {
    ++held_dropped_;
  }

  PerSwitch& sw = switches_[event.at];
  const auto target = sw.targets.find(event.neighbor);
  if (target != sw.targets.end()) {
    // Its answer was forgotten by the switch: asking starts over, but never faster than the gap.
    Target& t = target->second;
    if (t.tries == 0 || now >= t.next_ask) {
      Ask(*plan, event.neighbor, effects);
      t.tries = std::max(t.tries, 1u);
      t.next_ask = now + kAskGap;
    } else {
      t.next_ask = std::min(t.next_ask, now + kAskGap);
    }
    return;
  }
  const auto asked = sw.asked.find(event.neighbor);
  if (asked != sw.asked.end() && now - asked->second < kAskGap) return;
  if (asked == sw.asked.end() && sw.asked.size() >= kMostAsked) {
    std::erase_if(sw.asked, [now](const auto& entry) { return now - entry.second >= kAskGap; });
    if (sw.asked.size() >= kMostAsked) return;
  }
  sw.asked[event.neighbor] = now;
  Ask(*plan, event.neighbor, effects);
}

void Neighbors::Found(const NeighborFound& event, MonoTime now, Effects* effects) {
  const auto sw = switches_.find(event.at);
  if (sw != switches_.end()) {
    const auto target = sw->second.targets.find(event.neighbor);
    if (target != sw->second.targets.end()) target->second = Target{.next_ask = now + kRefresh};
    sw->second.asked.erase(event.neighbor);
  }
  if (held_.empty()) return;
  DropOld(now);
  for (Held& held : held_) {
    if (held.at != event.at || held.neighbor != event.neighbor) continue;
    effects->emplace_back(
        SendHeld{.at = held.at, .neighbor = held.neighbor, .packet = std::move(held.packet)});
  }
  std::erase_if(held_, [&](const Held& h) { return h.at == event.at && h.neighbor == event.neighbor; });
}

void Neighbors::DropOld(MonoTime now) {
  while (!held_.empty() && held_.front().until <= now) {
    held_.pop_front();
    ++held_dropped_;
  }
}

void Neighbors::AskDue(PerSwitch* sw, const SwitchPlan& plan, MonoTime now, Effects* effects) {
  for (auto& [address, target] : sw->targets) {
    if (target.next_ask > now) continue;
    Ask(plan, address, effects);
    ++target.tries;
    target.next_ask = now + (target.tries <= kQuickTries ? kAskGap : kSlowRetry);
  }
  std::erase_if(sw->asked, [now](const auto& entry) { return now - entry.second >= kAskGap; });
}

std::optional<MonoTime> Neighbors::NextDeadline() const {
  std::optional<MonoTime> next;
  const auto consider = [&next](MonoTime at) {
    if (!next || at < *next) next = at;
  };
  if (!held_.empty()) consider(held_.front().until);
  for (const auto& [at, sw] : switches_) {
    if (!sw.connected) continue;
    for (const auto& [address, target] : sw.targets) consider(target.next_ask);
  }
  return next;
}

}  // namespace dyncast::core
