// Numbers that stand for names, for ever: an id is given once and stays taken while its row exists.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "schema/base/ids.h"

namespace dyncast::core {

template <typename Id>
class IdAllocator {
 public:
  // Takes over a row of the database. False if the name or the number is taken already, or is 0.
  bool Adopt(std::string_view name, Id id) {
    if (!id.valid() || taken_.count(id) != 0 || by_name_.find(name) != by_name_.end()) return false;
    by_name_.emplace(std::string(name), id);
    taken_.insert(id);
    return true;
  }

  std::optional<Id> Find(std::string_view name) const {
    const auto it = by_name_.find(name);
    if (it == by_name_.end()) return std::nullopt;
    return it->second;
  }

  // The name's id, a new one if it has none. nullopt when all numbers are taken.
  std::optional<Id> Get(std::string_view name) {
    if (const auto known = Find(name)) return known;
    const auto id = Free();
    if (id) Adopt(name, *id);
    return id;
  }

  size_t size() const { return taken_.size(); }

 private:
  // Above the largest if there is room, so that numbers follow the order of arrival; else the first gap.
  std::optional<Id> Free() const {
    using Rep = typename Id::rep;
    constexpr Rep kMax = std::numeric_limits<Rep>::max();
    if (taken_.empty()) return Id{1};
    if (taken_.rbegin()->value() < kMax) return Id{static_cast<Rep>(taken_.rbegin()->value() + 1)};
    Rep candidate = 1;
    for (const Id id : taken_) {
      if (id.value() != candidate) return Id{candidate};
      if (candidate == kMax) return std::nullopt;
      ++candidate;
    }
    return std::nullopt;
  }

  std::map<std::string, Id, std::less<>> by_name_;
  std::set<Id> taken_;
};

}  // namespace dyncast::core
