#include "controller/ctl/table.h"

#include <algorithm>
#include <utility>

#include "controller/ctl/text.h"

namespace dyncast::ctl {

Table::Table(std::vector<Heading> headings) : headings_(std::move(headings)) {}

void Table::Add(std::vector<std::string> cells) {
  cells.resize(headings_.size(), "-");
  rows_.push_back(std::move(cells));
}

std::string Table::Text(const std::string& indent) const {
  std::vector<std::string> first;
  for (const Heading& heading : headings_) first.push_back(heading.text);
  std::vector<size_t> widths;
  for (size_t column = 0; column < headings_.size(); ++column) {
    size_t width = Width(first[column]);
    for (const auto& row : rows_) width = std::max(width, Width(row[column]));
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text = indent;
    for (size_t column = 0; column < cells.size(); ++column) {
      const std::string fill(widths[column] - Width(cells[column]), ' ');
      if (column != 0) text += "  ";
      text += headings_[column].align == Align::kRight ? fill + cells[column] : cells[column] + fill;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line(first);
  for (const auto& row : rows_) line(row);
  return out;
}

}  // namespace dyncast::ctl
