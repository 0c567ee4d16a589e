// Parser of an application's metrics page: OpenMetrics 1.0 and the older Prometheus text format 0.0.4.
// Pure and strict: a page with one malformed line is refused whole, since half a page may be a lie (a
// number cut short is still a number). Comments, types, timestamps and exemplars are read and left out.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

struct OpenMetricsLimits {
  size_t page_bytes = size_t{4} << 20;
  size_t line_bytes = size_t{16} << 10;
  size_t samples = 100000;
  size_t labels = 64;  // of one sample
};

struct OpenMetricsLabel {
  std::string_view name;
  std::string value;  // without its escapes
};

struct OpenMetricsSample {
  std::string_view name;  // points into the page
  std::vector<OpenMetricsLabel> labels;
  double value = 0;  // may be NaN or infinite: the format allows it
};

// Calls `visit` for each sample, in the page's order. An error names the line and the rule; samples
// before it were visited.
Status ParseOpenMetrics(std::string_view page, const std::function<void(const OpenMetricsSample&)>& visit,
                        const OpenMetricsLimits& limits = {});

// The values that `wanted` asks for, in its order, as they stand on the page (no factor, no rate). Where
// several samples match (fewer labels were asked for than the page has), their sum. nullopt: no match.
Result<std::vector<std::optional<double>>> PickMetrics(std::string_view page,
                                                       const std::vector<config::ScrapedMetric>& wanted,
                                                       const OpenMetricsLimits& limits = {});

}  // namespace dyncast::agent
