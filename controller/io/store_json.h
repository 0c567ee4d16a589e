// The JSON that stands inside table columns. Documented in docs/database.md.
#pragma once

#include <string>

#include "schema/model/record.h"

namespace dyncast::store {

// binding.scores: [[instance id, cost, bindings], ...], best first as the core gave them; a cost that is
// not finite is null. Replaces *out; on the hot path, so it allocates nothing once *out has grown.
void ScoresJson(const Decision& decision, std::string* out);
// decision_context.candidates
std::string CandidatesJson(const DecisionContextRecord& record);
// metric_report.samples
std::string SamplesJson(const std::vector<MetricSample>& samples);
// path_report.samples: [{"peer", "ipv6": 0 or 1, "rtt_us", ..., "loss", "sent", "window_ms"}, ...]; what is
// not known is left out.
std::string PathsJson(const std::vector<PathSample>& paths);
// link_report.samples: [{"port", "role", "in_bit_s", ..., "in_bytes", ..., "window_us"}, ...]; what is not
// known is left out.
std::string LinksJson(const std::vector<LinkSample>& links);
// metric_report.scores
std::string LevelsJson(const std::vector<InstanceScores>& scores);

// The address as IpAddress::ToString writes it; fast for IPv4. Replaces *out.
void AddressText(const IpAddress& address, std::string* out);

}  // namespace dyncast::store
