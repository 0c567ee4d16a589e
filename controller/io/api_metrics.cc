// The API's `metrics` and its page for Prometheus.
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "controller/io/api_handlers.h"
#include "controller/io/prometheus_page.h"
#include "schema/base/log.h"

namespace dyncast::api {
namespace {

// Scrapers that come sooner get the page that is there: this old at least, and so old that pages take the
// control thread no more than a twentieth of its time, however many scrapers there are.
constexpr Micros kPageAge = std::chrono::milliseconds(500);
constexpr int kPageShare = 20;

// One of the words that `name_of` gives; absent for "".
template <typename E, size_t N>
Result<std::optional<E>> WordParam(const Params& params, const std::string& key, const std::array<E, N>& all,
                                   std::string_view (*name_of)(E)) {
  const std::string text = Param(params, key);
  if (text.empty()) return std::optional<E>();
  std::string known;
  for (const E value : all) {
    if (name_of(value) == text) return std::optional<E>(value);
    known += (known.empty() ? "" : ", ") + std::string(name_of(value));
  }
  return MakeError(Errc::kInvalid, key + "='" + text.substr(0, 64) + "' must be one of: " + known);
}

}  // namespace

Result<Json> Handlers::Metrics(const Params& params) {
  constexpr std::array kLevels = {MetricLevel::kL0, MetricLevel::kL1, MetricLevel::kL2};
  MetricFilter filter;
  Result<std::optional<MetricLevel>> level = WordParam(params, "level", kLevels, MetricLevelName);
  if (!level.ok()) return level.error();
  Result<std::optional<ScoreCategory>> category =
      WordParam(params, "category", kScoreCategories, ScoreCategoryName);
  if (!category.ok()) return category.error();
  filter.level = *level;
  filter.category = *category;
  filter.instance = Param(params, "instance");
  filter.service = Param(params, "service");
  filter.site = Param(params, "site");
  filter.switch_name = Param(params, "switch");
  filter.name = Param(params, "name");
  Result<std::vector<core::MetricRow>> rows =
      AskNow<std::vector<core::MetricRow>>([this] { return loop_->core().Metrics(ReadClocks()); });
  if (!rows.ok()) return rows.error();
  Json out = MetricsJson(*rows, filter);
  if (!out["metrics"].empty()) return out;
  // Nothing: perhaps there is nobody of that name.
  BindingFilter named;
  named.instance = filter.instance;
  named.service = filter.service;
  named.switch_name = filter.switch_name;
  if (Status known = CheckFilter(named); !known.ok()) return known.error();
  const auto missing = [&](const char* what, const std::string& value, auto&& of) -> Status {
    const bool there =
        value.empty() ||
        std::any_of(rows->begin(), rows->end(), [&](const core::MetricRow& row) { return of(row) == value; });
    if (there) return Ok();
    return MakeError(Errc::kNotFound, std::string("no ") + what + " '" + value.substr(0, 64) + "'");
  };
  if (Status s = missing("metrics are of site", filter.site, [](const auto& row) { return row.site; });
      !s.ok()) {
    return s.error();
  }
  if (Status s = missing("metric has the name", filter.name, [](const auto& row) { return row.sample.name; });
      !s.ok()) {
    return s.error();
  }
  return out;
}

Result<std::string> Handlers::Prometheus() {
  // One page at a time: those who ask meanwhile get the same.
  const std::lock_guard<std::mutex> lock(page_mutex_);
  if (ReadClocks().mono < page_until_) return page_;
  using Made = std::pair<PrometheusInput, Micros>;
  Result<Made> made = AskNow<Made>([this] {
    PrometheusInput out;
    const Now now = ReadClocks();
    out.view = loop_->core().View(now);
    out.rows = loop_->core().Metrics(now);
    out.paths = loop_->core().Paths(now);
    out.status.fabric = loop_->config().controller.fabric;
    out.status.intake = loop_->intake();
    out.status.packets_unreadable = loop_->unreadable_packets();
    return Made{std::move(out), ReadClocks().mono - now.mono};
  });
  if (!made.ok()) return made.error();
  auto& [input, took] = *made;
  input.started = started_.wall;
  input.status.warnings = log::WarningsWritten();
  input.status.store = store_->Counters();
  page_ = PrometheusPage(input);
  page_until_ = ReadClocks().mono + std::max(kPageAge, took * kPageShare);
  return page_;
}

}  // namespace dyncast::api
