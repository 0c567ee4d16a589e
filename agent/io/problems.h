// What can't be read or reached, so that each is logged once when it begins, once when its reason changes
// and once when it ends, however often it is tried. Used by one thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "schema/base/result.h"

namespace dyncast::agent {

class Problems {
 public:
  // `code`: one of the DC-AG codes of agent/README.md. `subject`: an instance or "host". `what`: the
  // metric or thing, the same text in both calls.
  void Failed(std::string_view code, const std::string& subject, const std::string& what, const Error& error);
  void Works(const std::string& subject, const std::string& what);
  // Forgets all, so that what still fails is said again (after a reload).
  void Clear() { open_.clear(); }
  size_t open() const { return open_.size(); }

 private:
  std::map<std::pair<std::string, std::string>, std::string> open_;  // -> the reason
};

}  // namespace dyncast::agent
