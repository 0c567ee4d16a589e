// Plots as SVG text: lines over logarithmic or linear axes, and maps of colours over time. No script, no
// style sheet of others, no font of others.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dyncast::sim {

// Escapes text for HTML and SVG.
std::string Escaped(std::string_view text);

// A colour that is told from its neighbours, the same for the same index: "#1f77b4".
std::string Colour(size_t index);

enum class Scale : uint8_t { kLinear, kLog };

struct Line {
  std::string name;
  std::string colour;
  std::vector<std::pair<double, double>> points;  // with kLog > 0; others are left out
  bool marks = false;                             // a dot at each point
  bool dashed = false;
};

struct LinePlot {
  std::string title;
  std::string x_label;
  std::string y_label;
  Scale x = Scale::kLinear;
  Scale y = Scale::kLinear;
  std::vector<double> x_ticks;  // empty: chosen
  double y_least = 0;           // the axis spans at least y_least to y_most; equal: what the points need
  double y_most = 0;
  double y_cap = 0;  // > 0: the axis ends there at the latest
  int width = 460;
  int height = 300;
  std::vector<Line> lines;
};
std::string Render(const LinePlot& plot);

// One row for each name, one column for each step; the colour tells the value.
struct HeatMap {
  std::string title;
  std::string x_label;
  double x_from = 0;
  double x_step = 1;
  std::vector<std::string> names;
  std::vector<std::vector<float>> values;  // [row][column]
  double most = 4;                         // values from here on have the last colour
  int width = 460;
  int row_height = 13;
};
std::string Render(const HeatMap& map);
// The colours' meaning, for a map with this `most`.
std::string HeatLegend(double most, std::string_view label);

}  // namespace dyncast::sim
