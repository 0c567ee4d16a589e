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

Micros Neighbors::GapAfter(uint32_t tries) {
  if (tries > kQuickTries) return kSlowRetry;
  return std::min<Micros>(kAskGap, Micros{kFirstGap} * (1 << (tries - 1)));
}

void Neighbors::Hold(const NeighborWanted& event, bool target, MonoTime now) {
  size_t for_it = 0;
  size_t in_all = 0;
  for (const Held& held : held_) {
    if (held.target != target) continue;
    ++in_all;
    if (held.at == event.at && held.neighbor == event.neighbor) ++for_it;
  }
  if (for_it >= (target ? kHeldPerTarget : kHeldPerOther) ||
      in_all >= (target ? kHeldForTargets : kHeldForOthers)) {
    ++held_dropped_;
    return;
  }
  held_.push_back({.at = event.at,
                   .neighbor = event.neighbor,
                   .target = target,
                   .until = now + kHoldTime,
                   .packet = {event.packet.begin(), event.packet.end()}});
}

void Neighbors::Wanted(const NeighborWanted& event, const SwitchPlan* plan, MonoTime now, Effects* effects) {
  DropOld(now);
  if (plan == nullptr || FindOnLink(*plan, event.neighbor).port == nullptr) {
    ++held_dropped_;
    return;
  }
  PerSwitch& sw = switches_[event.at];
  const auto target = sw.targets.find(event.neighbor);
  Hold(event, target != sw.targets.end(), now);
  if (target != sw.targets.end()) {
    // Its answer was forgotten by the switch: asking starts over, but never faster than the gap.
    Target& t = target->second;
    if (t.tries == 0 || now >= t.next_ask) {
      Ask(*plan, event.neighbor, effects);
      t.tries = std::max(t.tries, 1u);
      t.next_ask = now + GapAfter(t.tries);
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
    target.next_ask = now + GapAfter(target.tries);
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
