// Remembers which bindings we asked a switch to delete, so that the flow-removed that follows is not taken
// for a loss. Pure. Open vSwitch sends flow-removed after a grace period of its own, possibly behind the
// barrier's answer, so entries live for a time; a flow younger than the request cannot be meant.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "schema/base/ids.h"
#include "schema/base/time.h"
#include "schema/model/binding.h"

namespace dyncast::openflow {

class OwnRemovals {
 public:
  static constexpr std::chrono::seconds kKept{30};

  void Key(const BindingKey& key, MonoTime now) {
    Asked& asked = keys_[key];
    asked.last = now;
    ++asked.times;
    order_.push_back({key, now});
  }
  void Of(ServiceId service, InstanceId instance, MonoTime now) {
    many_.push_back({.service = service, .instance = instance, .sent = now});
  }
  void At(ServiceId service, BindingPlace place, MonoTime now) {
    many_.push_back({.service = service, .place = place, .sent = now});
  }

  // Was this end asked for? Each request answers for one end of its key.
  bool Take(const FoundBinding& ended, MonoTime now) {
    const MonoTime created = now - std::chrono::duration_cast<Micros>(ended.age);
    // First the requests for many, which are not used up: else they would use up one of the key's.
    for (const auto& request : many_) {
      const bool meant = request.place ? *request.place == ended.place : request.instance == ended.instance;
      if (request.service == ended.key.service && meant && created <= request.sent + kSlack) return true;
    }
    if (const auto it = keys_.find(ended.key); it != keys_.end() && created <= it->second.last + kSlack) {
      if (--it->second.times == 0) keys_.erase(it);
      return true;
    }
    return false;
  }

  void Expire(MonoTime now) {
    while (!order_.empty() && order_.front().second + kKept <= now) {
      const auto it = keys_.find(order_.front().first);
      if (it != keys_.end() && it->second.last == order_.front().second) keys_.erase(it);
      order_.pop_front();
    }
    while (!many_.empty() && many_.front().sent + kKept <= now) many_.pop_front();
  }
  size_t size() const { return order_.size() + many_.size(); }

 private:
  // Rounding of the age, and the way to the switch.
  static constexpr Micros kSlack{5000};
  struct Request {
    ServiceId service;
    InstanceId instance{};
    std::optional<BindingPlace> place{};  // all of the service there, whatever the instance
    MonoTime sent{};
  };
  struct Asked {
    MonoTime last{};
    uint32_t times = 0;
  };
  std::unordered_map<BindingKey, Asked> keys_;
  std::deque<std::pair<BindingKey, MonoTime>> order_;
  std::deque<Request> many_;
};

}  // namespace dyncast::openflow
