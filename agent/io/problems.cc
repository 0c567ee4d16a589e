#include "agent/io/problems.h"

#include "schema/base/log.h"

namespace dyncast::agent {

void Problems::Failed(std::string_view code, const std::string& subject, const std::string& what,
                      const Error& error) {
  std::string reason = error.ToString();
  std::string& known = open_[{subject, what}];
  if (known == reason) return;
  known = std::move(reason);
  DYN_WARN(code, "agent", "unavailable", "subject={} what={} why=\"{}\"", subject, what, known);
}

void Problems::Works(const std::string& subject, const std::string& what) {
  const auto it = open_.find({subject, what});
  if (it == open_.end()) return;
  open_.erase(it);
  DYN_LOG(kInfo, "agent", "available-again", "subject={} what={}", subject, what);
}

}  // namespace dyncast::agent
