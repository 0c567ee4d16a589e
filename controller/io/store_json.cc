#include "controller/io/store_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace dyncast::store {
namespace {

using Json = nlohmann::json;

Json NumberOrNull(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json(nullptr);
}

Json SampleArray(const std::vector<MetricSample>& samples) {
  Json out = Json::array();
  for (const MetricSample& s : samples) {
    out.push_back({{"name", s.name},
                   {"value", NumberOrNull(s.value)},
                   {"unit", s.unit},
                   {"level", MetricLevelName(s.level)},
                   {"source", MetricSourceName(s.source)},
                   {"statistic", MetricStatisticName(s.statistic)},
                   {"window_ms", s.window.count()}});
  }
  return out;
}

// Absent where nothing makes the score: it is no null.
void AddLevels(const ScoreValues& scores, Json* out) {
  for (const ScoreCategory category : kScoreCategories) {
    const std::optional<double>& score = scores.l1[IndexOf(category)];
    if (score) (*out)["l1_" + std::string(ScoreCategoryName(category))] = *score;
  }
  if (scores.l2) (*out)["l2"] = *scores.l2;
}

// Text from outside may be no UTF-8: it is shown with the replacement character, never refused.
std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

template <typename T>
void AppendNumber(std::string* out, T value) {
  std::array<char, 32> text{};
  const auto [end, code] = std::to_chars(text.data(), text.data() + text.size(), value);
  if (code == std::errc{}) out->append(text.data(), end);
}

}  // namespace

void ScoresJson(const Decision& decision, std::string* out) {
  out->clear();
  out->push_back('[');
  for (size_t i = 0; i < decision.kept && i < Decision::kKept; ++i) {
    const CandidateScore& score = decision.scores[i];
    out->append(i == 0 ? "[" : ",[");
    AppendNumber(out, score.instance.value());
    out->push_back(',');
    if (std::isfinite(score.cost)) {
      AppendNumber(out, score.cost);
    } else {
      out->append("null");
    }
    out->push_back(',');
    AppendNumber(out, score.bindings);
    out->push_back(']');
  }
  out->push_back(']');
}

std::string CandidatesJson(const DecisionContextRecord& record) {
  Json out = Json::array();
  for (const CandidateContext& c : record.candidates) {
    Json candidate = {{"instance_id", c.instance.value()},
                      {"state", InstanceStateName(c.state)},
                      {"load", NumberOrNull(c.load)},
                      {"capacity", NumberOrNull(c.capacity)},
                      {"request_rate_per_s", NumberOrNull(c.request_rate_per_s)},
                      {"metrics_age_ms", c.metrics_age ? Json(c.metrics_age->count()) : Json(nullptr)},
                      {"excluded", c.excluded.empty() ? Json(nullptr) : Json(c.excluded)},
                      {"metrics", SampleArray(c.metrics)}};
    if (c.rtt) candidate["rtt_ms"] = static_cast<double>(c.rtt->count()) / 1000;
    if (c.outstanding) candidate["outstanding"] = NumberOrNull(c.outstanding);
    if (c.expected_ms) candidate["expected_ms"] = NumberOrNull(c.expected_ms);
    if (c.scores != ScoreValues{}) AddLevels(c.scores, &candidate["levels"]);
    if (c.share) candidate["share"] = NumberOrNull(c.share);  // dispatch learn
    out.push_back(std::move(candidate));
  }
  return Dump(out);
}

std::string LevelsJson(const std::vector<InstanceScores>& scores) {
  Json out = Json::array();
  for (const InstanceScores& s : scores) {
    Json row = {{"switch_id", s.at.value()}};
    AddLevels(s.scores, &row);
    out.push_back(std::move(row));
  }
  return Dump(out);
}

std::string PathsJson(const std::vector<PathSample>& paths) {
  Json out = Json::array();
  for (const PathSample& path : paths) {
    Json row = {{"peer", path.peer}, {"ipv6", path.ipv6 ? 1 : 0}};
    const auto time = [&row](const char* key, const std::optional<Micros>& value) {
      if (value) row[key] = value->count();
    };
    const auto part = [&row](const char* key, const std::optional<double>& value) {
      if (value) row[key] = *value;
    };
    time("rtt_us", path.rtt);
    time("rtt_min_us", path.rtt_min);
    time("jitter_forward_us", path.jitter_forward);
    time("jitter_backward_us", path.jitter_backward);
    part("loss", path.loss);
    part("loss_forward", path.loss_forward);
    part("loss_backward", path.loss_backward);
    row["sent"] = path.sent;
    row["window_ms"] = path.window.count();
    out.push_back(std::move(row));
  }
  return Dump(out);
}

std::string LinksJson(const std::vector<LinkSample>& links) {
  Json out = Json::array();
  for (const LinkSample& link : links) {
    Json row = {{"port", link.port}, {"role", PortRoleName(link.role)}};
    const auto put = [&row](const char* key, const auto& value) {
      if (value) row[key] = *value;
    };
    put("speed_bit_s", link.speed_bit_s);
    if (link.rates) {
      put("in_bit_s", link.rates->in_bit_s);
      put("out_bit_s", link.rates->out_bit_s);
      put("in_packets_s", link.rates->in_packets_s);
      put("out_packets_s", link.rates->out_packets_s);
      row["window_us"] = link.rates->window.count();
    }
    if (link.counters) {
      put("in_bytes", link.counters->in_bytes);
      put("out_bytes", link.counters->out_bytes);
      put("in_packets", link.counters->in_packets);
      put("out_packets", link.counters->out_packets);
      put("in_dropped", link.counters->in_dropped);
      put("out_dropped", link.counters->out_dropped);
    }
    out.push_back(std::move(row));
  }
  return Dump(out);
}

std::string SamplesJson(const std::vector<MetricSample>& samples) { return Dump(SampleArray(samples)); }

void AddressText(const IpAddress& address, std::string* out) {
  if (!address.is_v4()) {
    *out = address.ToString();
    return;
  }
  out->clear();
  const uint32_t v4 = address.v4();
  for (int shift = 24; shift >= 0; shift -= 8) {
    AppendNumber(out, (v4 >> shift) & 0xffu);
    if (shift != 0) out->push_back('.');
  }
}

}  // namespace dyncast::store
