// Gathers what is wrong with one configuration file, and remembers where each key stands, so that a rule
// that spans several values can still point at the place.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "schema/base/result.h"
#include "schema/config/yaml_tree.h"

namespace dyncast::config {

class Reader {
 public:
  // `name` is the file's name as it stands in front of every message; it must outlive the reader.
  explicit Reader(std::string_view name) : name_(name) {}

  // Notes that the file says `path` ("services[1].affinity.key") at `place`.
  void Saw(const std::string& path, Place place);
  bool Says(const std::string& path) const { return places_.contains(path); }

  // `value` broke `rule`: "NAME:3:7: key 'PATH': value 'VALUE': RULE". The value is cut to 64 bytes.
  void Refuse(const std::string& path, std::string_view value, std::string_view rule,
              Errc code = Errc::kInvalid);
  // The same where there is no value to show: "NAME:3:7: key 'PATH': RULE".
  void Refuse(const std::string& path, std::string_view rule, Errc code = Errc::kInvalid);
  // The same at a place that is not that of `path` (a key's second occurrence).
  void RefuseAt(Place place, const std::string& path, std::string_view rule, Errc code);

  // True if the value at `path` broke a rule: what the configuration holds there means nothing.
  bool Refused(const std::string& path) const { return refused_.contains(path); }

  bool ok() const { return count_ == 0; }
  // Precondition: !ok(). All messages in the order of the text, one a line; the code of the first.
  Error ToError() const;

 private:
  struct Message {
    Place place;
    Errc code = Errc::kInvalid;
    std::string text;
  };

  // Where `path` stands, or the nearest key above it that the file says.
  Place PlaceOf(std::string path) const;
  void Add(Place place, Errc code, std::string text);

  const std::string_view name_;
  std::unordered_map<std::string, Place> places_;
  std::unordered_set<std::string> refused_;
  std::vector<Message> messages_;  // at most kMaxMessages; the rest is counted
  size_t count_ = 0;
};

}  // namespace dyncast::config
