// ParseTrace over arbitrary text: never crashes, an error says where it is, and what is accepted is in order.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tests/sim/trace.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using dyncast::Micros;
  const auto trace = dyncast::sim::ParseTrace({reinterpret_cast<const char*>(data), size}, "trace.csv",
                                              {"web", "api"}, {true, false});
  if (!trace.ok()) {
    if (!trace.error().message.starts_with("trace.csv:")) std::abort();
    return 0;
  }
  Micros last{0};
  for (const auto& row : trace->rows) {
    const bool work = std::isfinite(row.work_s) && row.work_s > 0;
    if (row.at < last || !work || row.service != 0 || row.client >= trace->clients.size()) std::abort();
    last = row.at;
  }
  return 0;
}
