// Any bytes in place of an application's metrics page. Bounds hold, labels are unique, and what was
// accepted once is accepted again with the same samples.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/core/open_metrics.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dyncast::agent;  // NOLINT: a fuzzer's entry
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  const OpenMetricsLimits limits{.page_bytes = 4096, .line_bytes = 512, .samples = 50, .labels = 4};
  size_t samples = 0;
  double sum = 0;
  std::string name;
  const auto parsed = ParseOpenMetrics(
      page,
      [&](const OpenMetricsSample& s) {
        ++samples;
        if (s.name.empty() || s.labels.size() > limits.labels) std::abort();
        if (s.name.data() < page.data() || s.name.data() + s.name.size() > page.data() + page.size())
          std::abort();
        for (size_t i = 0; i < s.labels.size(); ++i) {
          for (size_t j = 0; j < i; ++j) {
            if (s.labels[i].name == s.labels[j].name) std::abort();
          }
        }
        if (name.empty()) name = s.name;
        if (s.name == name) sum += s.value;
      },
      limits);
  if (samples > limits.samples) std::abort();
  if (!parsed) {
    for (const char c : parsed.error().message) {
      if (c < ' ' || c >= 0x7f) std::abort();
    }
    return 0;
  }
  const auto picked = PickMetrics(
      page, {{.name = "x", .from = name, .labels = {}, .rate = false, .factor = 1, .unit = "1"}}, limits);
  if (!picked || (*picked)[0].has_value() != !name.empty()) std::abort();
  if (!name.empty() && !std::isnan(sum) && *(*picked)[0] != sum) std::abort();
  return 0;
}
