#include "tests/support/web/load_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace dyncast::web {
namespace {

// The value below which `part` of the samples lie (nearest rank).
double Percentile(std::vector<float>* samples, double part) {
  if (samples->empty()) {
    return 0;
  }
  const auto rank = static_cast<size_t>(part * static_cast<double>(samples->size() - 1) + 0.5);
  std::nth_element(samples->begin(), samples->begin() + static_cast<std::ptrdiff_t>(rank), samples->end());
  return static_cast<double>((*samples)[rank]);
}

nlohmann::json Latencies(std::vector<float> samples) {
  return {{"count", samples.size()},
          {"p50", Percentile(&samples, 0.5)},
          {"p99", Percentile(&samples, 0.99)},
          {"max", Percentile(&samples, 1.0)}};
}

}  // namespace

void LoadReport::Count(const Answer& answer) {
  ++requests_;
  const auto [entry, is_new] = instance_of_connection_.try_emplace(answer.connection, answer.instance);
  if (!is_new && entry->second != answer.instance) {
    moved_connections_.insert(answer.connection);
  }
  PerInstance& instance = instances_[answer.instance];
  ++instance.requests;
  instance.connections += is_new ? 1 : 0;
  ++sources_[answer.source][answer.instance];
  ++targets_[answer.target][answer.instance];
  const auto ms = static_cast<float>(answer.latency.count()) / 1000.0f;
  (answer.first_of_connection ? first_latency_ms_ : latency_ms_).push_back(ms);
}

void LoadReport::CountFailure(std::string_view kind, double unix_time) {
  ++failed_;
  ++failures_[std::string(kind)];
  if (first_failure_at_ == 0) {
    first_failure_at_ = unix_time;
  }
  last_failure_at_ = unix_time;
}

uint64_t LoadReport::moved_clients() const {
  return static_cast<uint64_t>(std::count_if(sources_.begin(), sources_.end(),
                                             [](const auto& seen) { return seen.second.size() > 1; }));
}

std::string LoadReport::Json(std::string_view event, double unix_time, double seconds, uint64_t open) const {
  nlohmann::json json = {{"event", event},
                         {"at", unix_time},
                         {"seconds", seconds},
                         {"requests", requests_},
                         {"failed", failed_},
                         {"connections", connections_},
                         {"open", open},
                         {"moved_connections", moved_connections_.size()},
                         {"moved_clients", moved_clients()},
                         {"first_failure_at", first_failure_at_},
                         {"last_failure_at", last_failure_at_},
                         {"instances", nlohmann::json::object()}};
  for (const auto& [name, seen] : instances_) {
    json["instances"][name] = {{"requests", seen.requests}, {"connections", seen.connections}};
  }
  if (event == "report") {
    json["failures"] = failures_;
    json["sources"] = sources_;
    json["targets"] = targets_;
    json["latency_ms"] = Latencies(latency_ms_);
    json["first_latency_ms"] = Latencies(first_latency_ms_);
  }
  return json.dump();
}

}  // namespace dyncast::web
