// The API's metrics and scores.
#include <string>

#include "controller/io/api_json.h"
#include "controller/io/api_values.h"

namespace dyncast::api {
namespace {

bool Fits(const core::MetricRow& row, const MetricFilter& filter) {
  const auto is = [](const std::string& wanted, const std::string& value) {
    return wanted.empty() || wanted == value;
  };
  return is(filter.instance, row.instance) && is(filter.service, row.service) && is(filter.site, row.site) &&
         is(filter.switch_name, row.switch_name) && is(filter.name, row.sample.name) &&
         (!filter.level || *filter.level == row.sample.level) &&
         (!filter.category || filter.category == row.category);
}

}  // namespace

Json MetricsJson(const std::vector<core::MetricRow>& rows, const MetricFilter& filter) {
  Json out = Json::array();
  for (const core::MetricRow& row : rows) {
    if (!Fits(row, filter)) continue;
    Json item = Json::object();
    const auto text = [&item](const char* key, std::string_view value) {
      if (!value.empty()) item[key] = value;
    };
    text("instance", row.instance);
    text("service", row.service);
    text("site", row.site);
    text("switch", row.switch_name);
    text("family", row.family);
    item["name"] = row.sample.name;
    item["value"] = row.sample.value;
    item["unit"] = row.sample.unit;
    item["level"] = MetricLevelName(row.sample.level);
    if (row.category) item["category"] = ScoreCategoryName(*row.category);
    Put(&item, "score", row.score);
    if (row.score) item["meaning"] = ScoreMeaningName(MeaningOf(*row.score));
    if (row.sample.level != MetricLevel::kL0) item["in_force"] = row.in_force;
    item["source"] = MetricSourceName(row.sample.source);
    item["statistic"] = MetricStatisticName(row.sample.statistic);
    item["window_s"] = Seconds(row.sample.window);
    item["age_s"] = Seconds(row.age);
    out.push_back(std::move(item));
  }
  return {{"metrics", std::move(out)}};
}

}  // namespace dyncast::api
