#include "schema/config/reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

#include "schema/model/name.h"

namespace dyncast::config {
namespace {

constexpr size_t kMaxMessages = 100;

}  // namespace

void Reader::Saw(const std::string& path, Place place) { places_.emplace(path, place); }

void Reader::Refuse(const std::string& path, std::string_view value, std::string_view rule, Errc code) {
  refused_.insert(path);
  Add(PlaceOf(path), code, fmt::format("key '{}': value '{}': {}", path, Shown(value), rule));
}

void Reader::Refuse(const std::string& path, std::string_view rule, Errc code) {
  RefuseAt(PlaceOf(path), path, rule, code);
}

void Reader::RefuseAt(Place place, const std::string& path, std::string_view rule, Errc code) {
  refused_.insert(path);
  Add(place, code, path.empty() ? std::string(rule) : fmt::format("key '{}': {}", path, rule));
}

Place Reader::PlaceOf(std::string path) const {
  while (true) {
    if (const auto found = places_.find(path); found != places_.end()) return found->second;
    const size_t cut = path.find_last_of(".[");
    if (cut == std::string::npos) break;
    path.resize(cut);
  }
  const auto root = places_.find("");
  return root == places_.end() ? Place{} : root->second;
}

void Reader::Add(Place place, Errc code, std::string text) {
  ++count_;
  if (messages_.size() < kMaxMessages) {
    messages_.push_back({.place = place, .code = code, .text = std::move(text)});
  }
}

Error Reader::ToError() const {
  std::vector<Message> sorted = messages_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Message& a, const Message& b) {
    return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
  });
  std::string text;
  for (const Message& message : sorted) {
    if (!text.empty()) text += '\n';
    text += fmt::format("{}: {}", PlaceText(name_, message.place), message.text);
  }
  if (count_ > sorted.size()) text += fmt::format("\n{}: {} more errors", name_, count_ - sorted.size());
  return MakeError(sorted.front().code, std::move(text));
}

}  // namespace dyncast::config
