#include "agent/core/orca.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "agent/core/orca.pb.h"
#include "agent/core/text.h"

namespace dyncast::agent {
namespace {

namespace v1 = dyncast::orca::v1;

constexpr std::string_view kFields[] = {"application_utilization", "cpu_utilization", "mem_utilization",
                                        "rps_fractional", "eps"};
constexpr std::string_view kMaps[] = {"named_metrics.", "utilization.", "request_cost."};

// Protobuf writes to stderr about each string that is not UTF-8, which a peer could use to flood the log.
void SilenceProtobuf() {
  [[maybe_unused]] static const auto previous = google::protobuf::SetLogHandler(nullptr);
}

Error Bad(Errc code, std::string rule) { return MakeError(code, "load report: " + std::move(rule)); }

Status CheckSize(std::string_view bytes, const OrcaLimits& limits) {
  if (bytes.size() <= limits.bytes) return Ok();
  return Bad(Errc::kLimit, "has " + std::to_string(bytes.size()) + " bytes, at most " +
                               std::to_string(limits.bytes) + " are read");
}

// Collects the values of one report under their limits.
class Collector {
 public:
  explicit Collector(const OrcaLimits& limits) : limits_(limits) {}
  void Add(std::string_view map, std::string_view name, double value) {
    if (broken_) return;
    if (name.empty() || name.size() > limits_.name_bytes) {
      broken_ = Bad(Errc::kLimit, "a name must have 1 to " + std::to_string(limits_.name_bytes) +
                                      " bytes, found " + Quoted(name));
    } else if (values_.size() == limits_.values) {
      broken_ = Bad(Errc::kLimit, "has more than " + std::to_string(limits_.values) + " values");
    } else if (!values_.emplace(std::string(map) + std::string(name), value).second) {
      broken_ = Bad(Errc::kDuplicate, Quoted(name) + " stands twice");
    }
  }
  Result<LoadReport> Take() {
    if (broken_) return *broken_;
    return std::move(values_);
  }
  bool broken() const { return broken_.has_value(); }

 private:
  OrcaLimits limits_;
  LoadReport values_;
  std::optional<Error> broken_;
};

Result<LoadReport> FromProto(const v1::LoadReport& from, const OrcaLimits& limits) {
  Collector to(limits);
  if (from.has_application_utilization()) {
    to.Add("", "application_utilization", from.application_utilization());
  }
  if (from.has_cpu_utilization()) to.Add("", "cpu_utilization", from.cpu_utilization());
  if (from.has_mem_utilization()) to.Add("", "mem_utilization", from.mem_utilization());
  if (from.has_rps_fractional()) {
    to.Add("", "rps_fractional", from.rps_fractional());
  } else if (from.has_rps()) {
    to.Add("", "rps_fractional", static_cast<double>(from.rps()));
  }
  if (from.has_eps()) to.Add("", "eps", from.eps());
  for (const auto& [name, value] : from.named_metrics()) to.Add("named_metrics.", name, value);
  for (const auto& [name, value] : from.utilization()) to.Add("utilization.", name, value);
  for (const auto& [name, value] : from.request_cost()) to.Add("request_cost.", name, value);
  return to.Take();
}

int Base64Digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

// RFC 4648, section 4; the padding may be left out, as gRPC does. nullopt: not of that form.
std::optional<std::string> FromBase64(std::string_view text) {
  for (int padding = 0; padding < 2 && text.ends_with('=') && text.size() % 4 == (padding == 0 ? 0u : 3u);
       ++padding) {
    text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int digit = Base64Digit(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xff);
  }
  if ((bits & ((1u << held) - 1)) != 0) return std::nullopt;  // bits that stand for nothing
  return out;
}

bool IsKnown(std::string_view name) {
  if (std::find(std::begin(kFields), std::end(kFields), name) != std::end(kFields)) return true;
  return std::any_of(std::begin(kMaps), std::end(kMaps),
                     [&](std::string_view map) { return name.size() > map.size() && name.starts_with(map); });
}

std::optional<double> ValueOf(const LoadReport& report, std::string_view name) {
  const auto it = report.find(name);
  if (it == report.end()) return std::nullopt;
  return it->second;
}

}  // namespace

Result<LoadReport> ParseOrcaBinary(std::string_view bytes, const OrcaLimits& limits) {
  SilenceProtobuf();
  if (const Status size = CheckSize(bytes, limits); !size) return size.error();
  v1::LoadReport report;
  if (!report.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Bad(Errc::kParse, "is no serialized OrcaLoadReport");
  }
  return FromProto(report, limits);
}

Result<LoadReport> ParseOrcaJson(std::string_view json, const OrcaLimits& limits) {
  SilenceProtobuf();
  if (const Status size = CheckSize(json, limits); !size) return size.error();
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  v1::LoadReport report;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, &report, options);
  if (!parsed.ok()) return Bad(Errc::kParse, "is no OrcaLoadReport in JSON, found " + Quoted(json));
  return FromProto(report, limits);
}

Result<LoadReport> ParseOrcaText(std::string_view text, const OrcaLimits& limits) {
  if (const Status size = CheckSize(text, limits); !size) return size.error();
  Collector to(limits);
  while (!text.empty() && !to.broken()) {
    const size_t comma = text.find(',');
    const std::string_view pair = TrimBlanks(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find_first_of("=:");
    if (equals == std::string_view::npos) {
      return Bad(Errc::kParse, "must be NAME=VALUE, NAME=VALUE, found " + Quoted(pair));
    }
    const std::string_view name = TrimBlanks(pair.substr(0, equals));
    const auto value = ParseReal(TrimBlanks(pair.substr(equals + 1)));
    if (!value) return Bad(Errc::kParse, "a value must be a number, found " + Quoted(pair));
    // What a later version adds is passed over, as in the other forms.
    if (IsKnown(name)) to.Add("", name, *value);
  }
  return to.Take();
}

Result<LoadReport> ParseOrcaBinHeader(std::string_view value, const OrcaLimits& limits) {
  const auto bytes = FromBase64(TrimBlanks(value));
  if (!bytes) return Bad(Errc::kParse, "must be base64, found " + Quoted(value));
  return ParseOrcaBinary(*bytes, limits);
}

Result<LoadReport> ParseOrcaHeader(std::string_view value, const OrcaLimits& limits) {
  std::string_view rest = value;
  const std::string_view form = NextWord(&rest);
  if (form == "TEXT") return ParseOrcaText(rest, limits);
  if (form == "JSON") return ParseOrcaJson(rest, limits);
  if (form == "BIN") return ParseOrcaBinHeader(rest, limits);
  return Bad(Errc::kParse, "must begin with TEXT, JSON or BIN, found " + Quoted(value));
}

std::optional<Result<LoadReport>> LoadReportOf(const std::optional<std::string>& header,
                                               const std::optional<std::string>& bin_header) {
  if (header) return ParseOrcaHeader(*header);
  if (bin_header) return ParseOrcaBinHeader(*bin_header);
  return std::nullopt;
}

std::vector<ScrapedValue> StandardOrcaValues(const LoadReport& report) {
  struct Meaning {
    std::string_view field;
    std::string_view name;
    std::string_view unit;
    MetricStatistic statistic;
  };
  constexpr std::array<Meaning, 5> kMeanings = {{
      {"application_utilization", metric::kUtilization, "ratio", MetricStatistic::kInstant},
      {"cpu_utilization", metric::kCpuUtilization, "ratio", MetricStatistic::kInstant},
      {"mem_utilization", metric::kMemoryUtilization, "ratio", MetricStatistic::kInstant},
      {"rps_fractional", metric::kRequestRate, "1/s", MetricStatistic::kRate},
      {"eps", metric::kErrorRate, "1/s", MetricStatistic::kRate},
  }};
  std::vector<ScrapedValue> values;
  for (const Meaning& meaning : kMeanings) {
    const auto value = ValueOf(report, meaning.field);
    if (!value) continue;
    values.push_back({.name = std::string(meaning.name),
                      .unit = std::string(meaning.unit),
                      .statistic = meaning.statistic,
                      .value = {.value = *value}});
  }
  return values;
}

std::vector<ScrapedValue> ConfiguredOrcaValues(const LoadReport& report,
                                               const std::vector<config::OrcaMetric>& wanted) {
  std::vector<ScrapedValue> values;
  for (const config::OrcaMetric& metric : wanted) {
    const auto value = ValueOf(report, metric.from);
    if (!value) continue;
    values.push_back({.name = metric.name, .unit = metric.unit, .value = {.value = *value * metric.factor}});
  }
  return values;
}

}  // namespace dyncast::agent
