#include "schema/config/yaml_tree.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <utility>

#include "schema/model/name.h"

namespace dyncast::config {
namespace {

Place ToPlace(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {.line = mark.line + 1, .column = mark.column + 1};
}

// Leaves yaml-cpp's parser from inside a handler; caught in ParseYaml.
struct Refused {
  Error error;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view name) : name_(name) {}

  bool saw_document() const { return saw_document_; }
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (saw_document_) Refuse(ToPlace(mark), Errc::kInvalid, "a second document; a file holds one");
    saw_document_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(ToPlace(mark), anchor);
    YamlNode node;
    node.place = ToPlace(mark);
    Add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(ToPlace(mark), Errc::kInvalid, "an alias; write the value out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const Place place = ToPlace(mark);
    RefuseAnchor(place, anchor);
    RefuseTag(place, tag);
    if (!open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap && !open_.back().key) {
      open_.back().key = YamlEntry{.key = value, .place = place, .value = {}};
      return;
    }
    YamlNode node;
    node.place = place;
    node.kind = YamlNode::Kind::kScalar;
    node.scalar = value;
    Add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, ToPlace(mark), tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, ToPlace(mark), tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    YamlNode node;
    std::optional<YamlEntry> key;  // of a map: the key whose value comes next
  };

  [[noreturn]] void Refuse(Place place, Errc code, std::string_view what) {
    throw Refused{MakeError(code, fmt::format("{}: {}", PlaceText(name_, place), what))};
  }
  void RefuseAnchor(Place place, YAML::anchor_t anchor) {
    if (anchor != 0) Refuse(place, Errc::kInvalid, "an anchor; write the value out where it is needed");
  }
  void RefuseTag(Place place, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      Refuse(place, Errc::kInvalid, fmt::format("tag '{}': tags are not allowed", Shown(tag)));
    }
  }

  void Open(YamlNode::Kind kind, Place place, const std::string& tag, YAML::anchor_t anchor) {
    RefuseAnchor(place, anchor);
    RefuseTag(place, tag);
    if (open_.size() >= kMaxYamlDepth) {
      Refuse(place, Errc::kLimit, fmt::format("nested deeper than {} levels", kMaxYamlDepth));
    }
    if (!open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap && !open_.back().key) {
      Refuse(place, Errc::kInvalid, "a key must be a plain word");
    }
    Level level;
    level.node.kind = kind;
    level.node.place = place;
    open_.push_back(std::move(level));
  }

  void Close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = open_.back();
    if (level.node.kind == YamlNode::Kind::kList) {
      level.node.items.push_back(std::move(node));
      return;
    }
    if (!level.key) Refuse(node.place, Errc::kInvalid, "a key must be a plain word");
    level.key->value = std::move(node);
    level.node.entries.push_back(std::move(*level.key));
    level.key.reset();
  }

  const std::string_view name_;
  bool saw_document_ = false;
  YamlNode root_;
  std::vector<Level> open_;
};

// The first byte that no configuration needs: a control character, or a byte order mark of UTF-16 or 32.
std::optional<Error> RefuseBytes(std::string_view text, std::string_view name) {
  Place place{.line = 1, .column = 1};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < ' ' && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f || byte >= 0xfe) {
      return MakeError(Errc::kParse,
                       fmt::format("{}: byte 0x{:02x} is not text", PlaceText(name, place), byte));
    }
    ++place.column;
    if (c == '\n') place = {.line = place.line + 1, .column = 1};
  }
  return std::nullopt;
}

}  // namespace

std::string PlaceText(std::string_view name, Place place) {
  return place.line == 0 ? std::string(name) : fmt::format("{}:{}:{}", name, place.line, place.column);
}

Result<YamlNode> ParseYaml(std::string_view text, std::string_view name) {
  if (text.size() > kMaxYamlBytes) {
    return MakeError(Errc::kLimit,
                     fmt::format("{}: {} bytes, at most {} are read", name, text.size(), kMaxYamlBytes));
  }
  if (std::optional<Error> error = RefuseBytes(text, name)) return *error;
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    TreeBuilder builder(name);
    while (parser.HandleNextDocument(builder)) {
    }
    if (!builder.saw_document()) {
      return MakeError(Errc::kInvalid, fmt::format("{}: nothing in it", name));
    }
    return builder.TakeRoot();
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const YAML::Exception& e) {
    return MakeError(Errc::kParse, fmt::format("{}: not YAML: {}", PlaceText(name, ToPlace(e.mark)), e.msg));
  } catch (const std::exception& e) {
    return MakeError(Errc::kParse, fmt::format("{}: not YAML: {}", name, e.what()));
  }
}

}  // namespace dyncast::config
