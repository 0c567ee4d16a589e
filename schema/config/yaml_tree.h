// A YAML document as a tree that keeps what the checks need: the order of keys, repeated keys, and where
// everything stands. Made from yaml-cpp's parse events, so that depth, aliases and tags are refused
// before anything is built from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"

namespace dyncast::config {

inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr size_t kMaxYamlDepth = 50;

struct Place {
  int line = 0;  // from 1; 0: unknown
  int column = 0;
};

struct YamlEntry;

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  Place place;
  std::string scalar;              // kScalar
  std::vector<YamlNode> items;     // kList
  std::vector<YamlEntry> entries;  // kMap, in the order of the text; keys may repeat
};

struct YamlEntry {
  std::string key;
  Place place;  // of the key
  YamlNode value;
};

// `text` must hold exactly one document, without anchors, aliases and tags, its keys plain words. The
// error's message is "NAME:line:column: ...". Never throws.
Result<YamlNode> ParseYaml(std::string_view text, std::string_view name);

// "NAME:line:column", as it stands in front of a message.
std::string PlaceText(std::string_view name, Place place);

}  // namespace dyncast::config
