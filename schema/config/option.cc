#include "schema/config/option.h"

#include <fmt/core.h>

#include "schema/model/name.h"

namespace dyncast::config {
namespace {

std::string_view KindText(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull: return "nothing";
    case YamlNode::Kind::kScalar: return "a single value";
    case YamlNode::Kind::kList: return "a list";
    case YamlNode::Kind::kMap: return "a map";
  }
  return "?";
}

std::string KnownKeys(const std::vector<const OptionInfo*>& options) {
  std::string out;
  for (const OptionInfo* option : options) {
    if (!out.empty()) out += ", ";
    out += option->key;
  }
  return out;
}

}  // namespace

bool ExpectKind(Reader& reader, const YamlNode& node, const std::string& path, YamlNode::Kind kind) {
  if (node.kind == kind) return true;
  if (path.empty()) {
    reader.Refuse(path, fmt::format("the file must hold {}, not {}", KindText(kind), KindText(node.kind)));
  } else if (node.kind == YamlNode::Kind::kScalar) {
    reader.Refuse(path, node.scalar, fmt::format("must be {}", KindText(kind)));
  } else {
    reader.Refuse(path, fmt::format("must be {}, not {}", KindText(kind), KindText(node.kind)));
  }
  return false;
}

std::string ChildPath(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string ItemPath(const std::string& path, size_t index) { return fmt::format("{}[{}]", path, index); }

std::vector<std::pair<size_t, const YamlEntry*>> CheckKeys(Reader& reader, const YamlNode& node,
                                                           const std::string& path,
                                                           const std::vector<const OptionInfo*>& options) {
  std::vector<std::pair<size_t, const YamlEntry*>> readable;
  if (!ExpectKind(reader, node, path, YamlNode::Kind::kMap)) return readable;
  std::map<std::string_view, Place> seen;
  for (const YamlEntry& entry : node.entries) {
    const std::string child = ChildPath(path, Shown(entry.key));
    const auto [first, fresh] = seen.emplace(entry.key, entry.place);
    if (!fresh) {
      reader.RefuseAt(entry.place, child,
                      fmt::format("said twice; the first time in line {}", first->second.line),
                      Errc::kDuplicate);
      continue;
    }
    size_t index = 0;
    while (index < options.size() && options[index]->key != entry.key) ++index;
    if (index == options.size()) {
      reader.RefuseAt(entry.place, child, "unknown; known here: " + KnownKeys(options), Errc::kUnknownKey);
      continue;
    }
    // Where there is no value, yaml-cpp gives the place of what comes next.
    reader.Saw(child, entry.value.kind == YamlNode::Kind::kNull ? entry.place : entry.value.place);
    readable.emplace_back(index, &entry);
  }
  for (const OptionInfo* option : options) {
    if (option->presence == Presence::kRequired && !seen.contains(option->key)) {
      reader.Refuse(ChildPath(path, option->key), "is missing");
    }
  }
  return readable;
}

OptionInfo MakeInfo(const Said& said, std::string type, std::string rule, std::string fallback) {
  if (!said.rule_added.empty()) {
    if (!rule.empty()) rule += "; ";
    rule += said.rule_added;
  }
  return {.key = std::string(said.key),
          .type = std::move(type),
          .rule = std::move(rule),
          .fallback = said.fallback.empty() ? std::move(fallback) : std::string(said.fallback),
          .description = std::string(said.description),
          .presence = said.presence,
          .children = {}};
}

}  // namespace dyncast::config
