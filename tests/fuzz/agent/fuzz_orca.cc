// Any bytes in place of a load report: in each form, as a header and as what is posted. Bounds hold, errors
// are printable, and what was accepted in the binary form says the same in the others.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/core/load_post.h"
#include "agent/core/orca.h"

namespace {

using dyncast::agent::LoadReport;
using dyncast::agent::OrcaLimits;

void Require(bool holds) {
  if (!holds) std::abort();
}

bool Good(const dyncast::Result<LoadReport>& report, const OrcaLimits& limits) {
  if (!report) {
    Require(!report.error().message.empty());
    for (const char c : report.error().message) Require(c >= ' ' && c < 0x7f);
    return false;
  }
  Require(report->size() <= limits.values);
  for (const auto& [name, value] : *report) Require(!name.empty() && name.size() <= limits.name_bytes + 14);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast::agent;  // NOLINT: a fuzzer's entry
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const OrcaLimits limits{.bytes = 4096, .values = 8, .name_bytes = 24};
  Good(ParseOrcaBinary(bytes, limits), limits);
  Good(ParseOrcaJson(bytes, limits), limits);
  Good(ParseOrcaHeader(bytes, limits), limits);
  Good(ParseOrcaBinHeader(bytes, limits), limits);
  if (const auto text = ParseOrcaText(bytes, limits); Good(text, limits)) {
    StandardOrcaValues(*text);
    std::string again;
    for (const auto& [name, value] : *text) again += name + "=" + std::to_string(value) + ",";
    const auto second = ParseOrcaText(again);
    Require(second.ok() && second->size() == text->size());
  }
  // The first line is a path, the second a content type.
  const size_t path_end = bytes.find('\n');
  if (path_end == std::string_view::npos) return 0;
  const size_t type_end = bytes.find('\n', path_end + 1);
  if (type_end == std::string_view::npos) return 0;
  InstanceOfPath(bytes.substr(0, path_end));
  Good(ReadPost({.path = std::string(bytes.substr(0, path_end)),
                 .content_type = std::string(bytes.substr(path_end + 1, type_end - path_end - 1)),
                 .body = std::string(bytes.substr(type_end + 1)),
                 .peer = std::nullopt}),
       OrcaLimits{});
  return 0;
}
