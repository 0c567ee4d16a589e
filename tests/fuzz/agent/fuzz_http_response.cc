// Any bytes in place of an HTTP server's answer. The result must not depend on the pieces in which they
// come (all at once, one by one, or as the first byte says), and bounds hold.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/core/http.h"

namespace {

std::string Outcome(std::string_view bytes, size_t piece, dyncast::agent::HttpBody body) {
  using namespace dyncast::agent;  // NOLINT: a fuzzer's helper
  const HttpLimits limits{.head_bytes = 256, .body_bytes = 128};
  HttpResponseParser parser(body, limits);
  bool done = false;
  for (size_t at = 0; at < bytes.size() && !done; at += piece) {
    const auto progress = parser.Feed(bytes.substr(at, piece));
    if (parser.body().size() > limits.body_bytes) std::abort();
    if (!progress) return "error";
    done = *progress == HttpProgress::kDone;
  }
  if (!done) {
    if (const auto end = parser.Finish(); !end) return "error";
  }
  if (parser.status() < 200 || parser.status() > 599) std::abort();
  if (body == HttpBody::kTrailer && !parser.body().empty()) std::abort();
  return std::to_string(parser.status()) + " " + parser.body() + " " + parser.load_report().value_or("-") +
         " " + parser.load_report_bin().value_or("-");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t piece = size == 0 ? 1 : data[0] % 16 + size_t{1};
  for (const auto body : {dyncast::agent::HttpBody::kKeep, dyncast::agent::HttpBody::kTrailer}) {
    const std::string whole = Outcome(bytes, std::max<size_t>(size, 1), body);
    if (Outcome(bytes, 1, body) != whole || Outcome(bytes, piece, body) != whole) std::abort();
  }
  dyncast::agent::ParseHttpUrl(bytes).ok();
  return 0;
}
