// A strict reader of Prometheus' text format (version 0.0.4), for tests: what a server would refuse, and
// what its naming guide forbids, is a failure.
#pragma once

#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace dyncast::test {

struct PrometheusText {
  std::map<std::string, std::string> types;  // by family
  std::map<std::string, double> series;      // by name and labels as they stand: a{x="1"}
  std::vector<std::string> problems;

  double Value(const std::string& name) const {
    const auto at = series.find(name);
    return at == series.end() ? -1 : at->second;
  }
};

inline PrometheusText ReadPrometheus(const std::string& page) {
  PrometheusText out;
  static const std::regex kHelp(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (\S.*))");
  static const std::regex kType(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge))");
  static const std::regex kSample(R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+))");
  static const std::regex kLabels(
      R"(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*")*\})");
  const auto problem = [&out](const std::string& what, const std::string& line) {
    out.problems.push_back(what + ": " + line);
  };
  if (page.empty() || page.back() != '\n') problem("the last line does not end", page);
  std::set<std::string> helped;
  std::string family;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kHelp)) {
      if (!helped.insert(match[1]).second) problem("family said twice", line);
    } else if (std::regex_match(line, match, kType)) {
      family = match[1];
      if (helped.count(family) == 0) problem("no help before the type", line);
      if (!out.types.emplace(family, match[2]).second) problem("type said twice", line);
      if ((match[2] == "counter") != family.ends_with("_total")) problem("a counter is a _total", line);
    } else if (std::regex_match(line, match, kSample)) {
      if (match[1] != family) problem("sample outside of its family", line);
      if (match[2].matched && !std::regex_match(match[2].str(), kLabels)) problem("bad labels", line);
      char* end = nullptr;
      const std::string number = match[3];
      const double value = std::strtod(number.c_str(), &end);
      if (*end != '\0' || value != value) problem("bad value", line);
      if (!out.series.emplace(match[1].str() + match[2].str(), value).second) {
        problem("series said twice", line);
      }
    } else {
      problem("no line of the format", line);
    }
  }
  return out;
}

}  // namespace dyncast::test
