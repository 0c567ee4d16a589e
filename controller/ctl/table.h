// Aligned plain tables: texts to the left, numbers to the right, no trailing blanks. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dyncast::ctl {

enum class Align : uint8_t { kLeft, kRight };

struct Heading {
  std::string text;
  Align align = Align::kLeft;
};

// Cells are printed as they are: escape what comes from outside before. Missing cells are "-".
class Table {
 public:
  explicit Table(std::vector<Heading> headings);
  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Every line starts with `indent` and ends with a newline.
  std::string Text(const std::string& indent = {}) const;

 private:
  std::vector<Heading> headings_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace dyncast::ctl
