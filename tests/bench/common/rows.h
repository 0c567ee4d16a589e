// The rows that every benchmark prints: a table for people, a JSON array for machines (docs/performance.md).
#pragma once

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dyncast::bench {

struct Row {
  std::string group;
  std::string name;     // the case
  std::string subject;  // what was measured: ours, or the limit or peer beside it
  std::string metric;
  double value = 0;
  std::string unit;
  int runs = 1;
  std::string ratio_to;  // the subject that `ratio` compares with; empty: none
  double ratio = 0;
};

inline double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Prints the table and, where `json_path` is not empty, writes the array. Returns a program's exit code.
inline int Report(const std::vector<Row>& rows, const std::string& json_path) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const Row& r : rows) {
    std::printf("%-9s %-26s %-14s %-28s %14.2f %-10s", r.group.c_str(), r.name.c_str(), r.subject.c_str(),
                r.metric.c_str(), r.value, r.unit.c_str());
    nlohmann::ordered_json row = {{"group", r.group},   {"case", r.name},   {"subject", r.subject},
                                  {"metric", r.metric}, {"value", r.value}, {"unit", r.unit},
                                  {"runs", r.runs}};
    if (!r.ratio_to.empty()) {
      std::printf(" %.2f of %s", r.ratio, r.ratio_to.c_str());
      row["ratio_to"] = r.ratio_to;
      row["ratio"] = r.ratio;
    }
    std::printf("\n");
    array.push_back(std::move(row));
  }
  if (json_path.empty()) return 0;
  std::ofstream out(json_path);
  out << array.dump(1) << "\n";
  return out.good() ? 0 : 1;
}

struct Options {
  bool quick = false;
  std::string json;
};

// --quick, --json FILE; exits on anything else.
inline Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--quick") {
      options.quick = true;
    } else if (arg == "--json" && i + 1 < argc) {
      options.json = argv[++i];
    } else {
      std::fprintf(stderr, "usage: %s [--quick] [--json FILE]\n", argv[0]);
      std::exit(2);
    }
  }
  return options;
}

}  // namespace dyncast::bench
