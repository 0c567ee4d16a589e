#include "tests/sim/csv_report.h"

#include <fmt/core.h>

namespace dyncast::sim {
namespace {

double Seconds(Micros t) { return static_cast<double>(t.count()) * 1e-6; }

template <typename M>
double MeanOf(const Cell& cell, M Outcome::*member) {
  return cell.Mean([member](const Outcome& o) { return static_cast<double>(o.*member); });
}

}  // namespace

std::string CsvReport(const std::vector<Cell>& cells) {
  std::string out =
      "scenario,policy,period_s,ending,dispatch,seeds,demands,requests,refused,mean_s,p50_s,p90_s,p99_s,p999_"
      "s,max_s,"
      "mean_over_oracle,p50_over_oracle,p99_over_oracle,mean_error,p50_error,p99_error,imbalance,moved_share_"
      "per_s,"
      "reports_sent,messages_lost,plans,bindings_pushed,slots_moved_per_s\n";
  for (const Cell& c : cells) {
    const Cell::Ratio mean = c.ToOracle(&Outcome::mean_s);
    const Cell::Ratio p50 = c.ToOracle(&Outcome::p50_s);
    const Cell::Ratio p99 = c.ToOracle(&Outcome::p99_s);
    out += fmt::format("{},{},{:g},{},{},{},{:.0f},{:.0f},{:.0f},", c.loaded->scenario.name, c.policy.name,
                       Seconds(c.period), EndingName(c.ending), DispatchName(c.dispatch), c.seeds.size(),
                       MeanOf(c, &Outcome::demands), MeanOf(c, &Outcome::requests),
                       MeanOf(c, &Outcome::refused));
    out += fmt::format("{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},", MeanOf(c, &Outcome::mean_s),
                       MeanOf(c, &Outcome::p50_s), MeanOf(c, &Outcome::p90_s), MeanOf(c, &Outcome::p99_s),
                       MeanOf(c, &Outcome::p999_s), MeanOf(c, &Outcome::max_s));
    out += fmt::format("{:.4f},{:.4f},{:.4f},{:.4f},{:.4f},{:.4f},", mean.mean, p50.mean, p99.mean,
                       mean.error, p50.error, p99.error);
    out += fmt::format("{:.4f},{:.4f},{:.0f},{:.0f},{:.0f},{:.0f},{:.5f}\n", MeanOf(c, &Outcome::imbalance),
                       MeanOf(c, &Outcome::moved_share_per_s), MeanOf(c, &Outcome::reports_sent),
                       MeanOf(c, &Outcome::messages_lost), MeanOf(c, &Outcome::plans),
                       MeanOf(c, &Outcome::bindings_pushed), MeanOf(c, &Outcome::slots_moved_per_s));
  }
  return out;
}

std::string TextReport(const std::vector<Cell>& cells) {
  std::string out =
      fmt::format("{:<10} {:<16} {:>7} {:<5} {:<9} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>9} {:>7}\n",
                  "scenario", "policy", "period", "end", "dispatch", "mean ms", "p50 ms", "p99 ms", "mean/o",
                  "p50/o", "p99/o", "+-", "imbalance", "moved/s");
  for (const Cell& c : cells) {
    const Cell::Ratio p99 = c.ToOracle(&Outcome::p99_s);
    out += fmt::format(
        "{:<10} {:<16} {:>6g}s {:<5} {:<9} {:>9.1f} {:>9.1f} {:>9.1f} {:>8.3f} {:>8.3f} {:>8.3f} "
        "{:>8.3f} {:>9.3f} {:>7.3f}\n",
        c.loaded->scenario.name, c.policy.name, Seconds(c.period), EndingName(c.ending),
        DispatchName(c.dispatch), MeanOf(c, &Outcome::mean_s) * 1e3, MeanOf(c, &Outcome::p50_s) * 1e3,
        MeanOf(c, &Outcome::p99_s) * 1e3, c.ToOracle(&Outcome::mean_s).mean, c.ToOracle(&Outcome::p50_s).mean,
        p99.mean, p99.error, MeanOf(c, &Outcome::imbalance), MeanOf(c, &Outcome::moved_share_per_s));
  }
  return out;
}

}  // namespace dyncast::sim
