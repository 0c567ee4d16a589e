#include "agent/core/open_metrics.h"

#include <algorithm>

#include "agent/core/text.h"

namespace dyncast::agent {
namespace {

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':'; }
bool IsNameRest(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

std::string_view TakeName(std::string_view* rest) {
  size_t end = 0;
  if (!rest->empty() && IsNameStart(rest->front())) {
    while (end < rest->size() && IsNameRest((*rest)[end])) ++end;
  }
  const std::string_view name = rest->substr(0, end);
  rest->remove_prefix(end);
  return name;
}

void SkipBlanks(std::string_view* rest) {
  while (!rest->empty() && IsBlank(rest->front())) rest->remove_prefix(1);
}

bool TakeChar(std::string_view* rest, char c) {
  if (rest->empty() || rest->front() != c) return false;
  rest->remove_prefix(1);
  return true;
}

// After the opening quote up to and with the closing one. False: no closing quote or an unknown escape.
bool TakeQuoted(std::string_view* rest, std::string* value) {
  while (!rest->empty()) {
    const char c = rest->front();
    rest->remove_prefix(1);
    if (c == '"') return true;
    if (c != '\\') {
      *value += c;
      continue;
    }
    if (rest->empty()) return false;
    switch (rest->front()) {
      case 'n': *value += '\n'; break;
      case '"': *value += '"'; break;
      case '\\': *value += '\\'; break;
      default: return false;
    }
    rest->remove_prefix(1);
  }
  return false;
}

// What is wrong with the line, or nullptr. After the opening brace up to and with the closing one.
const char* TakeLabels(std::string_view* rest, size_t limit, std::vector<OpenMetricsLabel>* labels) {
  while (true) {
    SkipBlanks(rest);
    if (TakeChar(rest, '}')) return nullptr;
    OpenMetricsLabel label;
    label.name = TakeName(rest);
    if (label.name.empty()) return "a label needs a name";
    SkipBlanks(rest);
    if (!TakeChar(rest, '=')) return "a label's name must be followed by '='";
    SkipBlanks(rest);
    if (!TakeChar(rest, '"')) return "a label's value must be quoted";
    if (!TakeQuoted(rest, &label.value))
      return "a label's value must end with a quote and hold only \\n \\\" \\\\";
    for (const OpenMetricsLabel& other : *labels) {
      if (other.name == label.name) return "a label stands twice";
    }
    if (labels->size() == limit) return "too many labels";
    labels->push_back(std::move(label));
    SkipBlanks(rest);
    if (TakeChar(rest, ',')) continue;
    if (TakeChar(rest, '}')) return nullptr;
    return "labels must be separated by ',' and end with '}'";
  }
}

const char* ParseSample(std::string_view line, const OpenMetricsLimits& limits, OpenMetricsSample* sample) {
  sample->name = TakeName(&line);
  if (sample->name.empty()) return "a sample must begin with a name";
  sample->labels.clear();
  if (line.empty() || (!IsBlank(line.front()) && line.front() != '{')) {
    return "a name must be followed by labels or a value";
  }
  SkipBlanks(&line);
  if (TakeChar(&line, '{')) {
    if (const char* wrong = TakeLabels(&line, limits.labels, &sample->labels)) return wrong;
  }
  const auto value = ParseReal(NextWord(&line));
  if (!value) return "the value must be a number";
  sample->value = *value;
  const std::string_view stamp = NextWord(&line);
  if (stamp.empty() || stamp.front() == '#') return nullptr;  // '#' begins an exemplar
  if (!ParseReal(stamp)) return "the time stamp must be a number";
  const std::string_view more = NextWord(&line);
  return more.empty() || more.front() == '#' ? nullptr : "nothing may follow the time stamp";
}

bool Matches(const OpenMetricsSample& sample, const config::ScrapedMetric& wanted) {
  if (sample.name != wanted.from) return false;
  return std::all_of(wanted.labels.begin(), wanted.labels.end(), [&](const auto& label) {
    return std::any_of(sample.labels.begin(), sample.labels.end(), [&](const OpenMetricsLabel& have) {
      return have.name == label.first && have.value == label.second;
    });
  });
}

Error AtLine(Errc code, size_t line, std::string message) {
  return MakeError(code, std::move(message), "line " + std::to_string(line));
}

}  // namespace

Status ParseOpenMetrics(std::string_view page, const std::function<void(const OpenMetricsSample&)>& visit,
                        const OpenMetricsLimits& limits) {
  if (page.size() > limits.page_bytes) {
    return MakeError(Errc::kLimit, "the page has " + std::to_string(page.size()) + " bytes, at most " +
                                       std::to_string(limits.page_bytes) + " are read");
  }
  OpenMetricsSample sample;
  size_t number = 0;
  size_t samples = 0;
  while (!page.empty()) {
    ++number;
    const bool whole = page.find('\n') != std::string_view::npos;
    std::string_view line = *NextLine(&page);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > limits.line_bytes) {
      return AtLine(Errc::kLimit, number, "longer than " + std::to_string(limits.line_bytes) + " bytes");
    }
    if (line == "# EOF") {
      if (!page.empty()) return AtLine(Errc::kParse, number, "something follows '# EOF'");
      return Ok();
    }
    if (!whole) return AtLine(Errc::kParse, number, "the page is cut off in the middle of a line");
    line = TrimBlanks(line);
    if (line.empty() || line.front() == '#') continue;
    if (const char* wrong = ParseSample(line, limits, &sample)) {
      return AtLine(Errc::kParse, number, std::string(wrong) + ", found " + Quoted(line));
    }
    if (++samples > limits.samples) {
      return AtLine(Errc::kLimit, number, "more than " + std::to_string(limits.samples) + " samples");
    }
    visit(sample);
  }
  return Ok();
}

Result<std::vector<std::optional<double>>> PickMetrics(std::string_view page,
                                                       const std::vector<config::ScrapedMetric>& wanted,
                                                       const OpenMetricsLimits& limits) {
  std::vector<std::optional<double>> values(wanted.size());
  const Status parsed = ParseOpenMetrics(
      page,
      [&](const OpenMetricsSample& sample) {
        for (size_t i = 0; i < wanted.size(); ++i) {
          if (Matches(sample, wanted[i])) values[i] = values[i].value_or(0.0) + sample.value;
        }
      },
      limits);
  if (!parsed) return parsed.error();
  return values;
}

}  // namespace dyncast::agent
