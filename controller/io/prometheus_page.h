// The controller's state as a page in Prometheus' text format (version 0.0.4). Pure. Names, labels and units
// are listed in docs/metrics.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/core/view.h"
#include "controller/io/api_json.h"

namespace dyncast::api {

struct PrometheusInput {
  core::FabricView view;
  std::vector<core::MetricRow> rows;
  std::vector<core::PathView> paths;
  StatusInput status;
  WallTime started{};
};

inline constexpr std::string_view kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

std::string PrometheusPage(const PrometheusInput& input);

// The family that an agent's L0 metric stands in: "dyncast_l0_", its name, and its unit as Prometheus
// writes units; `name` is a metric name of the wire, `unit` a unit of the wire.
std::string FamilyOf(std::string_view name, std::string_view unit);

}  // namespace dyncast::api
