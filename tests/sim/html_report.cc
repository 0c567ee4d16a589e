#include "tests/sim/html_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/sim/svg.h"

namespace dyncast::sim {
namespace {

using Cells = std::vector<const Cell*>;

constexpr double kMostHeat = 4;
// What the plots over time show, where it is among the periods.
constexpr Micros kShownPeriod{1'000'000};

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Selection policies, simulated</title>
<style>
body{font-family:sans-serif;font-size:14px;max-width:1440px;margin:1em auto;padding:0 1em;color:#222}
h2{border-bottom:1px solid #ccc;margin-top:2em} .row{display:flex;flex-wrap:wrap;gap:8px}
table{border-collapse:collapse;font-size:12px} td,th{padding:2px 8px;text-align:right;border-bottom:1px solid #eee}
td:first-child,th:first-child{text-align:left} .key{display:inline-block;margin-right:14px;white-space:nowrap}
.key i{display:inline-block;width:22px;height:3px;vertical-align:middle;margin-right:4px} details{margin:.6em 0}
</style></head><body>
<h1>Selection policies, simulated</h1>
<p>Latency of requests, from the D-Router where they enter until their answer is back there, in virtual time. Every
policy gets the same demands with the same work. The <b>oracle</b> knows the present of every instance and of the
network at every moment, but not how much work a single request is. Ratios are means over the seeds.</p>
)";

class Report {
 public:
  explicit Report(const std::vector<Cell>& cells) {
    for (const Cell& cell : cells) all_.push_back(&cell);
    for (const Cell* cell : all_) {
      if (std::find(policies_.begin(), policies_.end(), cell->policy.name) == policies_.end()) {
        policies_.push_back(cell->policy.name);
      }
    }
  }

  std::string Make() {
    out_ = kHead;
    Legend();
    size_t begin = 0;
    while (begin < all_.size()) {
      size_t end = begin;
      while (end < all_.size() && all_[end]->loaded == all_[begin]->loaded) ++end;
      OneScenario(Cells(all_.begin() + static_cast<std::ptrdiff_t>(begin),
                        all_.begin() + static_cast<std::ptrdiff_t>(end)));
      begin = end;
    }
    return out_ + "</body></html>\n";
  }

 private:
  std::string ColourOf(const std::string& policy) const {
    const auto at = std::find(policies_.begin(), policies_.end(), policy);
    return Colour(static_cast<size_t>(at - policies_.begin()));
  }

  void Legend() {
    out_ += "<p>";
    for (const std::string& policy : policies_) {
      out_ += fmt::format("<span class=\"key\"><i style=\"background:{}\"></i>{}</span>", ColourOf(policy),
                          Escaped(policy));
    }
    out_ += "</p>\n";
  }

  void OneScenario(const Cells& cells) {
    const Scenario& s = cells.front()->loaded->scenario;
    const Topology& t = cells.front()->loaded->topology;
    out_ += fmt::format(
        "<h2>Scenario {}</h2>\n<p>D-Routers: {}, edges: {}, instances: {}; demands for {:g} s, counted from "
        "{:g} s on; seeds:",
        Escaped(s.name), s.routers.size(), s.edges.size(), t.instances.size(), Seconds(s.duration),
        Seconds(s.warm_up));
    for (const uint64_t seed : cells.front()->seeds) out_ += fmt::format(" {}", seed);
    out_ += ".</p>\n";
    size_t begin = 0;
    while (begin < cells.size()) {
      size_t end = begin;
      const auto same = [&](const Cell* c) {
        return c->ending == cells[begin]->ending && c->dispatch == cells[begin]->dispatch;
      };
      while (end < cells.size() && same(cells[end])) ++end;
      Group(Cells(cells.begin() + static_cast<std::ptrdiff_t>(begin),
                  cells.begin() + static_cast<std::ptrdiff_t>(end)),
            begin == 0);
      begin = end;
    }
  }

  void Group(const Cells& cells, bool first) {
    const bool fin = cells.front()->ending == Ending::kFin;
    out_ += fmt::format("<h3>Scenario {}: bindings end {}, dispatch {}</h3>\n",
                        Escaped(cells.front()->loaded->scenario.name),
                        fin ? "with their demands"
                            : fmt::format("{:g} s after their last packet",
                                          Seconds(cells.front()->loaded->scenario.idle_timeout)),
                        DispatchName(cells.front()->dispatch));
    out_ += "<div class=\"row\">\n";
    out_ += ByPeriod(cells, "p99", &Outcome::p99_s, Scale::kLog);
    out_ += ByPeriod(cells, "p99", &Outcome::p99_s, Scale::kLinear);
    out_ += ByPeriod(cells, "p50", &Outcome::p50_s, Scale::kLinear);
    out_ += ByPeriod(cells, "mean", &Outcome::mean_s, Scale::kLinear);
    out_ += "</div>\n";
    Table(cells);
    OverTime(cells, first);
  }

  // Linear: what lies near the oracle, up to three times.
  std::string ByPeriod(const Cells& cells, const std::string& name, double Outcome::*member, Scale scale) {
    LinePlot plot;
    plot.title = name + " latency over the oracle's";
    plot.x_label = "report period, seconds";
    plot.y_label = "ratio";
    plot.x = Scale::kLog;
    plot.y = scale;
    plot.y_least = scale == Scale::kLog ? 0.9 : 0.8;
    plot.y_most = 2;
    plot.y_cap = scale == Scale::kLog ? 0 : 3;
    plot.width = 340;
    std::set<double> periods;
    for (const std::string& policy : policies_) {
      Line line{.name = policy, .colour = ColourOf(policy), .points = {}, .marks = true};
      for (const Cell* cell : cells) {
        if (cell->policy.name != policy) continue;
        line.points.emplace_back(Seconds(cell->period), cell->ToOracle(member).mean);
        periods.insert(Seconds(cell->period));
      }
      plot.lines.push_back(std::move(line));
    }
    plot.x_ticks.assign(periods.begin(), periods.end());
    return Render(plot);
  }

  void Table(const Cells& cells) {
    out_ +=
        "<details><summary>Figures</summary><table><tr><th>policy</th><th>period s</th><th>mean "
        "ms</th><th>p50 ms</th>"
        "<th>p99 ms</th><th>mean / oracle</th><th>p50 / oracle</th><th>p99 / oracle</th><th>&plusmn;</th>"
        "<th>imbalance</th><th>moved share / s</th><th>reports</th><th>plans</th><th>refused</th></tr>\n";
    for (const Cell* c : cells) {
      const Cell::Ratio p99 = c->ToOracle(&Outcome::p99_s);
      const auto mean = [c](auto member) {
        return c->Mean([member](const Outcome& o) { return static_cast<double>(o.*member); });
      };
      out_ += fmt::format(
          "<tr><td>{}</td><td>{:g}</td><td>{:.1f}</td><td>{:.1f}</td><td>{:.1f}</td><td>{:.3f}</td>"
          "<td>{:.3f}</td><td>{:.3f}</td><td>{:.3f}</td><td>{:.2f}</td><td>{:.3f}</td><td>{:.0f}</td>"
          "<td>{:.0f}</td><td>{:.0f}</td></tr>\n",
          Escaped(c->policy.name), Seconds(c->period), mean(&Outcome::mean_s) * 1e3,
          mean(&Outcome::p50_s) * 1e3, mean(&Outcome::p99_s) * 1e3, c->ToOracle(&Outcome::mean_s).mean,
          c->ToOracle(&Outcome::p50_s).mean, p99.mean, p99.error, mean(&Outcome::imbalance),
          mean(&Outcome::moved_share_per_s), mean(&Outcome::reports_sent), mean(&Outcome::plans),
          mean(&Outcome::refused));
    }
    out_ += "</table></details>\n";
  }

  // The period among the cells that is nearest to the one to show.
  static Micros Shown(const Cells& cells) {
    Micros shown = cells.front()->period;
    const auto away = [](Micros p) { return std::abs(std::log(Seconds(p) / Seconds(kShownPeriod))); };
    for (const Cell* cell : cells) {
      if (away(cell->period) < away(shown)) shown = cell->period;
    }
    return shown;
  }

  void OverTime(const Cells& cells, bool open) {
    const Micros shown = Shown(cells);
    out_ += fmt::format("<details{}><summary>Instances over time, report period {:g} s, seed {}</summary>\n",
                        open ? " open" : "", Seconds(shown), cells.front()->seeds.front());
    out_ += HeatLegend(kMostHeat, "requests at the instance (served and waiting) for each worker");
    for (const Cell* cell : cells) {
      if (cell->period != shown) continue;
      const Series& series = cell->outcomes.front().series;
      out_ += "<div class=\"row\">\n" + Load(*cell, series) + Queue(*cell, series) + Shares(*cell, series) +
              "</div>\n";
    }
    out_ += "</details>\n";
  }

  static std::string Load(const Cell& cell, const Series& series) {
    HeatMap map;
    map.title = cell.policy.name + ": load of each instance";
    map.x_label = "seconds";
    map.x_from = Seconds(series.from);
    map.x_step = Seconds(series.step);
    map.most = kMostHeat;
    map.values = series.present;
    for (const Topology::Instance& i : cell.loaded->topology.instances) map.names.push_back(i.name);
    return Render(map);
  }

  static std::string Queue(const Cell& cell, const Series& series) {
    LinePlot plot;
    plot.title = cell.policy.name + ": queue of each instance";
    plot.y_label = "requests waiting";
    Begin(cell, &plot);
    for (size_t i = 0; i < series.present.size(); ++i) {
      const double workers = cell.loaded->topology.instances[i].workers;
      double at_s = Seconds(series.from);
      for (const float present : series.present[i]) {
        plot.lines[i].points.emplace_back(at_s, std::max(0.0, (static_cast<double>(present) - 1) * workers));
        at_s += Seconds(series.step);
      }
    }
    plot.y_most = 10;
    return Render(plot);
  }

  static std::string Shares(const Cell& cell, const Series& series) {
    LinePlot plot;
    plot.title = cell.policy.name + ": share of each second's demands";
    plot.y_label = "share";
    Begin(cell, &plot);
    for (size_t i = 0; i < series.share.size(); ++i) {
      double at_s = Seconds(series.from);
      for (const float share : series.share[i]) {
        plot.lines[i].points.emplace_back(at_s, share);
        plot.lines[i].points.emplace_back(++at_s, share);
      }
    }
    plot.y_most = 0.5;
    return Render(plot);
  }

  static void Begin(const Cell& cell, LinePlot* plot) {
    plot->x_label = "seconds";
    plot->height = 220;
    for (const Topology::Instance& instance : cell.loaded->topology.instances) {
      plot->lines.push_back({.name = instance.name, .colour = Colour(plot->lines.size() + 2), .points = {}});
    }
  }

  Cells all_;
  std::vector<std::string> policies_;
  std::string out_;
};

}  // namespace

std::string HtmlReport(const std::vector<Cell>& cells) { return Report(cells).Make(); }

}  // namespace dyncast::sim
