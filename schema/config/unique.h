// Names that may be said only once.
#pragma once

#include <fmt/core.h>

#include <map>
#include <string>
#include <utility>

#include "schema/config/reader.h"

namespace dyncast::config {

class Unique {
 public:
  // `what`: what has the value, "a switch of this name".
  explicit Unique(std::string what) : what_(std::move(what)) {}

  // Refuses `value` at `path` if an earlier path had it. An empty value broke a rule of its own.
  void Check(Reader& reader, const std::string& path, const std::string& value) {
    if (value.empty()) return;
    const auto [first, fresh] = first_.emplace(value, path);
    if (!fresh) {
      reader.Refuse(path, value, fmt::format("{} is already at '{}'", what_, first->second),
                    Errc::kDuplicate);
    }
  }

 private:
  std::string what_;
  std::map<std::string, std::string> first_;
};

}  // namespace dyncast::config
