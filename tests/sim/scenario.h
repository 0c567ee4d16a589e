// What is simulated: a topology, its instances, who asks them for what, and what is reported. Read from a
// YAML file whose every key is known; docs/simulation.md describes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/time.h"
#include "schema/model/service.h"

namespace dyncast::sim {

// A D-Router where demands enter.
struct RouterSpec {
  std::string name;
  double share = 1;   // of the synthetic demands, relative to the others'; not with clients' positions
  uint32_t site = 0;  // SITE_ID in the sites' file; 0: nowhere
  friend bool operator==(const RouterSpec&, const RouterSpec&) = default;
};

struct InstanceSpec {
  std::string name;
  std::string service;   // default: the first one
  uint32_t workers = 1;  // demands served at the same time; 1..1024
  double speed = 1;      // seconds of work done per second by each worker
};

// A place with instances and one agent, "agent-NAME".
struct EdgeSpec {
  std::string name;
  uint32_t site = 0;
  std::vector<InstanceSpec> instances;
};

// One way from a D-Router to an edge, and as long back.
struct DelaySpec {
  std::string router;
  std::string edge;
  Micros delay{0};
};

// Delays from positions: constant + distance * per_km, one way.
struct PositionSpec {
  std::string sites;    // CSV with SITE_ID, LATITUDE, LONGITUDE; relative to the scenario's folder
  std::string clients;  // CSV with Latitude, Longitude; each asks the nearest D-Router
  Micros per_km{0};
  Micros constant{0};
};

struct NetworkSpec {
  Micros delay{0};  // where nothing else is said
  std::vector<DelaySpec> delays;
  std::optional<PositionSpec> positions;
};

// From `at` on (since the start) the instance's workers run at `speed` times their own.
struct SpeedSpec {
  std::string instance;
  Micros at{0};
  double factor = 1;
};

// One instance after the other runs at `factor` times its own speed for `time`, all the time.
struct RotationSpec {
  double factor = 1;
  Micros time{0};
};

enum class Distribution : uint8_t { kLognormal, kExponential, kFixed };

// Work of one request, in seconds of a worker of speed 1.
struct WorkSpec {
  Distribution distribution = Distribution::kLognormal;
  Micros mean{50000};
  double sigma = 1;  // lognormal: standard deviation of the logarithm
};

// A demand is a flow that sends requests for a time, and stays where it is bound.
struct SessionSpec {
  Micros length{std::chrono::seconds{30}};
  Micros gap{std::chrono::milliseconds{500}};  // mean between requests, exponential
};

// Poisson arrivals of one service.
struct DemandSpec {
  std::string service;  // default: the first one
  double load = 0.8;    // part of all its instances' capacity
  WorkSpec work;
  uint32_t clients = 1000;  // without clients' positions
  std::optional<SessionSpec> sessions;
};

struct ReportSpec {
  Micros period{std::chrono::seconds{1}};
  Micros window{0};  // 0: the period, at least 500 ms
  Micros delay{std::chrono::milliseconds{5}};
  double loss = 0;  // part of all agents' messages, 0..1
};

// How a binding ends: with its demand (the client's FIN), or a time after its last packet.
enum class Ending : uint8_t { kFin, kIdle };
std::string_view EndingName(Ending ending);  // "fin", "idle"

struct Scenario {
  std::string name;
  std::vector<std::string> services;  // default: "web"
  std::vector<RouterSpec> routers;
  std::vector<EdgeSpec> edges;
  NetworkSpec network;
  std::vector<SpeedSpec> speeds;
  std::optional<RotationSpec> rotation;
  std::vector<DemandSpec> demands;
  std::string trace;  // CSV, see trace.h; in place of `demands`
  ReportSpec reports;
  Ending ending = Ending::kFin;
  Micros idle_timeout{std::chrono::seconds{5}};
  Dispatch dispatch = Dispatch::kReactive;
  Micros metrics_expiry{0};                    // 0: three periods, at least 10 s
  Micros duration{std::chrono::seconds{120}};  // demands arrive until then
  Micros warm_up{std::chrono::seconds{20}};    // demands of before are not counted
  uint64_t seed = 1;

  std::string folder;  // of the file: where the files that it names are
};

// Parses and validates. All errors are found at once, one a line: "B.yaml:4:7: key 'edges[0].name': ...".
Result<Scenario> ParseScenario(std::string_view yaml, std::string_view name);
Result<Scenario> LoadScenario(const std::string& path);

// The reference of all keys, made from the same tables.
std::string ScenarioReferenceMarkdown();

}  // namespace dyncast::sim
