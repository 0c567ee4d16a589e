#include "tests/sim/svg.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace dyncast::sim {
namespace {

constexpr int kLeft = 62;
constexpr int kRight = 12;
constexpr int kTop = 26;
constexpr int kBottom = 42;
constexpr size_t kHeatColours = 9;

struct Rgb {
  int r;
  int g;
  int b;
};
// From pale to dark: light yellow, orange, red, black.
constexpr std::array<Rgb, 5> kHeat = {
    {{247, 251, 236}, {254, 217, 118}, {253, 141, 60}, {189, 0, 38}, {40, 0, 20}}};

std::string HeatColour(size_t level) {
  const double at = static_cast<double>(level) / (kHeatColours - 1) * (kHeat.size() - 1);
  const size_t low = std::min(static_cast<size_t>(at), kHeat.size() - 2);
  const double part = at - static_cast<double>(low);
  const auto mix = [part](int a, int b) { return static_cast<int>(std::lround(a + part * (b - a))); };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(kHeat[low].r, kHeat[low + 1].r),
                     mix(kHeat[low].g, kHeat[low + 1].g), mix(kHeat[low].b, kHeat[low + 1].b));
}

size_t HeatLevel(double value, double most) {
  const double part = std::clamp(value / most, 0.0, 1.0);
  return static_cast<size_t>(std::lround(part * (kHeatColours - 1)));
}

std::string Number(double value) {
  if (value != 0 && std::abs(value) < 0.001) return fmt::format("{:.1e}", value);
  return fmt::format("{:g}", value);
}

// Maps a range of values to a range of pixels.
class Axis {
 public:
  Axis(Scale scale, double from, double to, double at_from, double at_to)
      : scale_(scale), from_(Along(from)), to_(Along(to)), at_from_(at_from), at_to_(at_to) {
    if (to_ <= from_) to_ = from_ + 1;
  }
  double At(double value) const {
    return at_from_ + (Along(value) - from_) / (to_ - from_) * (at_to_ - at_from_);
  }
  // Round values within the range.
  std::vector<double> Ticks() const {
    std::vector<double> ticks;
    if (scale_ == Scale::kLog) {
      const bool few = to_ - from_ > 2.5;  // decades
      for (int e = static_cast<int>(std::floor(from_)); e <= static_cast<int>(std::ceil(to_)); ++e) {
        for (const double m : {1.0, 2.0, 5.0}) {
          if (few && m != 1) continue;
          const double along = e + std::log10(m);
          if (along >= from_ - 1e-9 && along <= to_ + 1e-9) ticks.push_back(m * std::pow(10, e));
        }
      }
      return ticks;
    }
    const double raw = (to_ - from_) / 5;
    const double unit = std::pow(10, std::floor(std::log10(raw)));
    const double step = raw / unit > 5   ? 10 * unit
                        : raw / unit > 2 ? 5 * unit
                        : raw / unit > 1 ? 2 * unit
                                         : unit;
    for (int i = 0; i <= 12; ++i) {
      const double tick = std::ceil(from_ / step - 1e-9) * step + i * step;
      if (tick <= to_ + step * 1e-9) ticks.push_back(tick);
    }
    return ticks;
  }

 private:
  double Along(double value) const { return scale_ == Scale::kLog ? std::log10(value) : value; }
  const Scale scale_;
  const double from_;
  double to_;
  const double at_from_;
  const double at_to_;
};

bool Drawn(const LinePlot& plot, const std::pair<double, double>& point) {
  const bool finite = std::isfinite(point.first) && std::isfinite(point.second);
  return finite && (plot.x == Scale::kLinear || point.first > 0) &&
         (plot.y == Scale::kLinear || point.second > 0);
}

struct Span {
  double least = 0;
  double most = 0;
  bool any = false;
  void Take(double value) {
    least = any ? std::min(least, value) : value;
    most = any ? std::max(most, value) : value;
    any = true;
  }
};

std::string Begin(int width, int height) {
  return fmt::format(
      "<svg width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n",
      width, height);
}

std::string Text(double x, double y, std::string_view anchor, std::string_view text,
                 std::string_view more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more,
                     Escaped(text));
}

std::string Frame(const LinePlot& plot, const Axis& x, const Axis& y, const std::vector<double>& x_ticks) {
  const double right = plot.width - kRight;
  const double bottom = plot.height - kBottom;
  std::string out = Text(plot.width / 2.0, 16, "middle", plot.title, " font-weight=\"bold\"");
  for (const double tick : y.Ticks()) {
    const double at = y.At(tick);
    out += fmt::format("<path d=\"M{} {:.1f}H{}\" stroke=\"#ddd\"/>\n", kLeft, at, right);
    out += Text(kLeft - 5, at + 4, "end", Number(tick));
  }
  for (const double tick : x_ticks) {
    const double at = x.At(tick);
    out += fmt::format("<path d=\"M{:.1f} {}V{}\" stroke=\"#ddd\"/>\n", at, kTop, bottom);
    out += Text(at, bottom + 15, "middle", Number(tick));
  }
  out += fmt::format("<path d=\"M{0} {1}V{2}H{3}\" fill=\"none\" stroke=\"#333\"/>\n", kLeft, kTop, bottom,
                     right);
  out += Text((kLeft + right) / 2, plot.height - 8, "middle", plot.x_label);
  const double middle = (kTop + bottom) / 2;
  out +=
      Text(14, middle, "middle", plot.y_label, fmt::format(" transform=\"rotate(-90 14 {:.1f})\"", middle));
  return out;
}

}  // namespace

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string Colour(size_t index) {
  static constexpr std::array<std::string_view, 14> kColours = {
      "#000000", "#999999", "#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd",
      "#17becf", "#8c564b", "#e377c2", "#bcbd22", "#006d5b", "#5b3a8c", "#b59b00"};
  return std::string(kColours[index % kColours.size()]);
}

std::string Render(const LinePlot& plot) {
  Span xs;
  Span ys;
  for (const Line& line : plot.lines) {
    for (const auto& point : line.points) {
      if (!Drawn(plot, point)) continue;
      xs.Take(point.first);
      ys.Take(plot.y_cap > 0 ? std::min(point.second, plot.y_cap) : point.second);
    }
  }
  std::string out = Begin(plot.width, plot.height);
  if (!xs.any)
    return out + Text(plot.width / 2.0, plot.height / 2.0, "middle", "nothing to show") + "</svg>\n";
  if (plot.y_least != plot.y_most) {
    ys.Take(plot.y_least);
    ys.Take(plot.y_most);
  }
  const Axis x(plot.x, xs.least, xs.most, kLeft, plot.width - kRight);
  const Axis y(plot.y, ys.least, ys.most, plot.height - kBottom, kTop);
  out += Frame(plot, x, y, plot.x_ticks.empty() ? x.Ticks() : plot.x_ticks);
  // A picture of its own cuts off what lies above the axis' end; dots on the edges are whole.
  constexpr int kMargin = 3;
  const int left = kLeft - kMargin;
  const int top = kTop - kMargin;
  const int wide = plot.width - kLeft - kRight + 2 * kMargin;
  const int high = plot.height - kTop - kBottom + 2 * kMargin;
  out += fmt::format("<svg x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" viewBox=\"{0} {1} {2} {3}\">\n",
                     left, top, wide, high);
  for (const Line& line : plot.lines) {
    std::string path;
    std::string marks;
    for (const auto& point : line.points) {
      if (!Drawn(plot, point)) continue;
      const double px = x.At(point.first);
      const double py = y.At(point.second);
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", px, py);
      if (line.marks) marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"/>", px, py);
    }
    out +=
        fmt::format("<g><title>{}</title><path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"{}/>",
                    Escaped(line.name), path, line.colour, line.dashed ? " stroke-dasharray=\"5 3\"" : "");
    if (!marks.empty()) out += fmt::format("<g fill=\"{}\">{}</g>", line.colour, marks);
    out += "</g>\n";
  }
  return out + "</svg>\n</svg>\n";
}

std::string Render(const HeatMap& map) {
  const int rows = static_cast<int>(map.values.size());
  const int height = kTop + rows * map.row_height + kBottom;
  std::string out = Begin(map.width, height);
  out += Text(map.width / 2.0, 16, "middle", map.title, " font-weight=\"bold\"");
  size_t columns = 0;
  for (const auto& row : map.values) columns = std::max(columns, row.size());
  if (columns == 0) return out + "</svg>\n";
  const double wide = static_cast<double>(map.width - kLeft - kRight) / static_cast<double>(columns);
  // One path for each colour; runs of one colour are one stroke.
  std::array<std::string, kHeatColours> paths;
  for (size_t r = 0; r < map.values.size(); ++r) {
    const auto& row = map.values[r];
    const double middle = kTop + (static_cast<double>(r) + 0.5) * map.row_height;
    for (size_t c = 0; c < row.size();) {
      const size_t level = HeatLevel(static_cast<double>(row[c]), map.most);
      size_t end = c + 1;
      while (end < row.size() && HeatLevel(static_cast<double>(row[end]), map.most) == level) ++end;
      paths[level] += fmt::format("M{:.1f} {:.1f}h{:.1f}", kLeft + static_cast<double>(c) * wide, middle,
                                  static_cast<double>(end - c) * wide);
      c = end;
    }
    out += Text(kLeft - 5, middle + 4, "end", map.names[r]);
  }
  for (size_t level = 0; level < kHeatColours; ++level) {
    if (paths[level].empty()) continue;
    out += fmt::format("<path d=\"{}\" stroke=\"{}\" stroke-width=\"{}\" fill=\"none\"/>\n", paths[level],
                       HeatColour(level), map.row_height);
  }
  const double bottom = kTop + rows * map.row_height;
  const Axis x(Scale::kLinear, map.x_from, map.x_from + static_cast<double>(columns) * map.x_step, kLeft,
               map.width - kRight);
  for (const double tick : x.Ticks()) {
    out += fmt::format("<path d=\"M{:.1f} {:.1f}v4\" stroke=\"#333\"/>\n", x.At(tick), bottom);
    out += Text(x.At(tick), bottom + 15, "middle", Number(tick));
  }
  out += Text((kLeft + map.width - kRight) / 2.0, height - 8, "middle", map.x_label);
  return out + "</svg>\n";
}

std::string HeatLegend(double most, std::string_view label) {
  constexpr int kBox = 34;
  constexpr int kWidth = kBox * static_cast<int>(kHeatColours);
  std::string out = Begin(kWidth + 340, 34);
  for (size_t level = 0; level < kHeatColours; ++level) {
    const int x = static_cast<int>(level) * kBox;
    out += fmt::format("<rect x=\"{}\" y=\"2\" width=\"{}\" height=\"14\" fill=\"{}\"/>\n", x, kBox,
                       HeatColour(level));
    const double value = most * static_cast<double>(level) / (kHeatColours - 1);
    out += Text(x + kBox / 2.0, 29, "middle", Number(value) + (level + 1 == kHeatColours ? "+" : ""));
  }
  return out + Text(kWidth + 8, 14, "start", label) + "</svg>\n";
}

}  // namespace dyncast::sim
