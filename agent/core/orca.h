// Load reports of applications: ORCA (Open Request Cost Aggregation), as xDS and gRPC define it
// (xds.data.orca.v3.OrcaLoadReport, gRFC A51). Pure: bytes or text in, values by name out. In the forms that
// can't tell, a field that was not said and a 0 are the same: absent.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/metrics.h"
#include "schema/base/result.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

// Flat: "cpu_utilization", "rps_fractional", "named_metrics.NAME", "utilization.NAME", ... Values may be NaN,
// infinite or negative: they are judged when a report is made of them.
using LoadReport = std::map<std::string, double, std::less<>>;

struct OrcaLimits {
  size_t bytes = size_t{64} << 10;
  size_t values = 1000;
  size_t name_bytes = 255;
};

// A serialized OrcaLoadReport.
Result<LoadReport> ParseOrcaBinary(std::string_view bytes, const OrcaLimits& limits = {});
// Its JSON form, field names in either case; fields that it does not have are passed over.
Result<LoadReport> ParseOrcaJson(std::string_view json, const OrcaLimits& limits = {});
// "cpu_utilization=0.3, named_metrics.queue=7"; ':' in place of '=' is taken too.
Result<LoadReport> ParseOrcaText(std::string_view text, const OrcaLimits& limits = {});

// The value of the header or trailer `endpoint-load-metrics`: "TEXT ...", "JSON ..." or "BIN " and base64.
Result<LoadReport> ParseOrcaHeader(std::string_view value, const OrcaLimits& limits = {});
// That of `endpoint-load-metrics-bin`: base64.
Result<LoadReport> ParseOrcaBinHeader(std::string_view value, const OrcaLimits& limits = {});

// Of the two headers' values, each absent where it was not said; nullopt: neither was.
std::optional<Result<LoadReport>> LoadReportOf(const std::optional<std::string>& header,
                                               const std::optional<std::string>& bin_header);

// What has a meaning of its own in a load report, under the names of metric.h: utilization, cpu_utilization,
// memory_utilization, request_rate and error_rate.
std::vector<ScrapedValue> StandardOrcaValues(const LoadReport& report);
// What the configuration asks for.
std::vector<ScrapedValue> ConfiguredOrcaValues(const LoadReport& report,
                                               const std::vector<config::OrcaMetric>& wanted);

}  // namespace dyncast::agent
