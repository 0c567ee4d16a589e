// Option tables: one declaration per option gives its key, type, rule, default, description and where its
// value goes. Reading, the messages and the reference (reference.h) all come from it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schema/base/result.h"
#include "schema/config/reader.h"
#include "schema/config/yaml_tree.h"

namespace dyncast::config {

enum class Presence : uint8_t { kOptional, kRequired };

// What a declaration says beside its type.
struct Said {
  std::string_view key;
  Presence presence = Presence::kOptional;
  std::string_view description;   // a sentence for the reference
  std::string_view fallback{};    // in the reference, in place of the member's own default
  std::string_view rule_added{};  // in the reference, added to the type's rule
};

// One kind of scalar value.
template <typename M>
struct Codec {
  std::string type;  // "duration"
  std::string rule;  // "1s to 65535s"; may be empty
  // The error's message is the rule that `text` breaks, as a sentence without subject ("must be ...").
  std::function<Result<M>(std::string_view text)> parse;
  std::function<std::string(const M&)> format;
};

struct TableInfo;

// An option as the reference shows it.
struct OptionInfo {
  std::string key;
  std::string type;
  std::string rule;
  std::string fallback;
  std::string description;
  Presence presence = Presence::kOptional;
  std::vector<TableInfo> children;  // of a section: its table; else empty
};

struct TableInfo {
  std::vector<OptionInfo> options;
};

template <typename T>
struct Option {
  OptionInfo info;
  std::function<void(Reader&, const YamlNode&, const std::string& path, T& to)> set;
};

// Not templates: see option.cc.
bool ExpectKind(Reader& reader, const YamlNode& node, const std::string& path, YamlNode::Kind kind);
// Checks that `node` is a map without unknown and repeated keys in which no required one is missing; gives
// the entries that may be read, each with its option's index. `reader` has noted their places.
std::vector<std::pair<size_t, const YamlEntry*>> CheckKeys(Reader& reader, const YamlNode& node,
                                                           const std::string& path,
                                                           const std::vector<const OptionInfo*>& options);
std::string ChildPath(const std::string& path, std::string_view key);
std::string ItemPath(const std::string& path, size_t index);
OptionInfo MakeInfo(const Said& said, std::string type, std::string rule, std::string fallback);

template <typename T>
class Table {
 public:
  explicit Table(std::vector<Option<T>> options) : options_(std::move(options)) {}

  // Sets what `node` says; what it leaves out or says wrongly keeps its value in `to`.
  void Read(Reader& reader, const YamlNode& node, const std::string& path, T& to) const {
    std::vector<const OptionInfo*> infos;
    for (const Option<T>& option : options_) infos.push_back(&option.info);
    for (const auto& [index, entry] : CheckKeys(reader, node, path, infos)) {
      options_[index].set(reader, entry->value, ChildPath(path, entry->key), to);
    }
  }

  TableInfo Info() const {
    TableInfo info;
    for (const Option<T>& option : options_) info.options.push_back(option.info);
    return info;
  }

 private:
  std::vector<Option<T>> options_;
};

// Reads one scalar; nothing (and a message) where it breaks the codec's rule.
template <typename M>
std::optional<M> ReadScalar(const Codec<M>& codec, Reader& reader, const YamlNode& node,
                            const std::string& path) {
  if (!ExpectKind(reader, node, path, YamlNode::Kind::kScalar)) return std::nullopt;
  Result<M> value = codec.parse(node.scalar);
  if (!value.ok()) {
    reader.Refuse(path, node.scalar, value.error().message);
    return std::nullopt;
  }
  return std::move(*value);
}

// A scalar into a member.
template <typename T, typename M>
Option<T> Value(M T::*member, const Codec<M>& codec, const Said& said) {
  return {.info = MakeInfo(said, codec.type, codec.rule, codec.format(T{}.*member)),
          .set = [member, codec](Reader& reader, const YamlNode& node, const std::string& path, T& to) {
            if (std::optional<M> value = ReadScalar(codec, reader, node, path))
              to.*member = std::move(*value);
          }};
}

// A scalar into a member that is empty while nothing was said.
template <typename T, typename M>
Option<T> Value(std::optional<M> T::*member, const Codec<M>& codec, const Said& said) {
  return {.info = MakeInfo(said, codec.type, codec.rule, ""),
          .set = [member, codec](Reader& reader, const YamlNode& node, const std::string& path, T& to) {
            to.*member = ReadScalar(codec, reader, node, path);
          }};
}

// A list of scalars. One that is required has at least one item. A wrong item leaves an M{} in its place,
// so that an index in a later message is that of the file; checks across values skip it.
template <typename T, typename M>
Option<T> List(std::vector<M> T::*member, const Codec<M>& codec, const Said& said) {
  return {.info = MakeInfo(said, "list of " + codec.type, codec.rule, ""),
          .set = [member, codec, presence = said.presence](Reader& reader, const YamlNode& node,
                                                           const std::string& path, T& to) {
            if (!ExpectKind(reader, node, path, YamlNode::Kind::kList)) return;
            if (node.items.empty() && presence == Presence::kRequired) {
              reader.Refuse(path, "must have at least one item");
            }
            for (size_t i = 0; i < node.items.size(); ++i) {
              const std::string item = ItemPath(path, i);
              reader.Saw(item, node.items[i].place);
              std::optional<M> value = ReadScalar(codec, reader, node.items[i], item);
              (to.*member).push_back(value ? std::move(*value) : M{});
            }
          }};
}

// A map with a table of its own.
template <typename T, typename S>
Option<T> Section(S T::*member, const Table<S>& table, const Said& said) {
  OptionInfo info = MakeInfo(said, "map", "", "");
  info.children.push_back(table.Info());
  return {.info = std::move(info),
          .set = [member, &table](Reader& reader, const YamlNode& node, const std::string& path, T& to) {
            table.Read(reader, node, path, to.*member);
          }};
}

template <typename T, typename S>
Option<T> Section(std::optional<S> T::*member, const Table<S>& table, const Said& said) {
  OptionInfo info = MakeInfo(said, "map", "", "");
  info.children.push_back(table.Info());
  return {.info = std::move(info),
          .set = [member, &table](Reader& reader, const YamlNode& node, const std::string& path, T& to) {
            table.Read(reader, node, path, (to.*member).emplace());
          }};
}

// A list of maps with a table of their own. An item that is wrong still takes its place in the list, so
// that an index in a message is that of the file.
template <typename T, typename S>
Option<T> Sections(std::vector<S> T::*member, const Table<S>& table, const Said& said) {
  OptionInfo info = MakeInfo(said, "list of maps", "", "");
  info.children.push_back(table.Info());
  return {.info = std::move(info),
          .set = [member, &table, presence = said.presence](Reader& reader, const YamlNode& node,
                                                            const std::string& path, T& to) {
            if (!ExpectKind(reader, node, path, YamlNode::Kind::kList)) return;
            if (node.items.empty() && presence == Presence::kRequired) {
              reader.Refuse(path, "must have at least one item");
            }
            for (size_t i = 0; i < node.items.size(); ++i) {
              const std::string item = ItemPath(path, i);
              reader.Saw(item, node.items[i].place);
              table.Read(reader, node.items[i], item, (to.*member).emplace_back());
            }
          }};
}

}  // namespace dyncast::config
