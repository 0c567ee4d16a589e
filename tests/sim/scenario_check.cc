#include "tests/sim/scenario_check.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "schema/config/option.h"
#include "schema/config/unique.h"

namespace dyncast::sim {
namespace {

using config::ChildPath;
using config::ItemPath;
using config::Reader;
using config::Unique;

// Addresses and core ids limit these; far more than one machine simulates in reasonable time.
constexpr size_t kMostInstances = 2000;
constexpr size_t kMostPlaces = 200;
// So that agents' names made of them are names too.
constexpr size_t kMostPlaceName = 50;

void CheckKnown(Reader& reader, const std::string& path, const std::string& value,
                const std::set<std::string>& known, std::string_view where) {
  if (value.empty() || known.contains(value)) return;
  reader.Refuse(path, value, fmt::format("is not listed under '{}'", where), Errc::kNotFound);
}

template <typename T>
std::set<std::string> NamesOf(const std::vector<T>& list) {
  std::set<std::string> names;
  for (const T& item : list) names.insert(item.name);
  return names;
}

void CheckLength(Reader& reader, const std::string& path, const std::string& name) {
  if (name.size() <= kMostPlaceName) return;
  reader.Refuse(path, name, fmt::format("must have at most {} octets", kMostPlaceName));
}

void CheckPlaces(Reader& reader, const Scenario& s) {
  Unique routers("a D-Router of this name");
  for (size_t i = 0; i < s.routers.size(); ++i) {
    const std::string path = ItemPath("routers", i) + ".name";
    routers.Check(reader, path, s.routers[i].name);
    CheckLength(reader, path, s.routers[i].name);
  }
  Unique edges("an edge of this name");
  Unique instances("an instance of this name");
  const std::set<std::string> services(s.services.begin(), s.services.end());
  size_t count = 0;
  for (size_t e = 0; e < s.edges.size(); ++e) {
    const std::string path = ItemPath("edges", e);
    const std::string& name = s.edges[e].name;
    edges.Check(reader, path + ".name", name);
    CheckLength(reader, path + ".name", name);
    for (size_t i = 0; i < s.edges[e].instances.size(); ++i, ++count) {
      const InstanceSpec& instance = s.edges[e].instances[i];
      const std::string at = ItemPath(path + ".instances", i);
      instances.Check(reader, at + ".name", instance.name);
      CheckKnown(reader, at + ".service", instance.service, services, "services");
    }
  }
  if (count > kMostInstances) {
    reader.Refuse("edges", fmt::format("hold {} instances, at most {} are simulated", count, kMostInstances));
  }
  for (const auto& [path, size] : {std::pair{"routers", s.routers.size()}, {"edges", s.edges.size()}}) {
    if (size > kMostPlaces) reader.Refuse(path, fmt::format("must have at most {} items", kMostPlaces));
  }
}

void CheckNetwork(Reader& reader, const Scenario& s) {
  const auto routers = NamesOf(s.routers);
  const auto edges = NamesOf(s.edges);
  std::set<std::pair<std::string, std::string>> said;
  for (size_t i = 0; i < s.network.delays.size(); ++i) {
    const DelaySpec& delay = s.network.delays[i];
    const std::string path = ItemPath("network.delays", i);
    CheckKnown(reader, path + ".router", delay.router, routers, "routers");
    CheckKnown(reader, path + ".edge", delay.edge, edges, "edges");
    if (!said.emplace(delay.router, delay.edge).second) {
      reader.Refuse(path, "says the same way again", Errc::kDuplicate);
    }
  }
  const bool placed = s.network.positions.has_value();
  const auto check = [&](const std::string& path, uint32_t site) {
    if (placed && site == 0) reader.Refuse(path, "needs a 'site', since network.positions is given");
    if (!placed && site != 0) reader.Refuse(path + ".site", "means nothing without network.positions");
  };
  for (size_t i = 0; i < s.routers.size(); ++i) check(ItemPath("routers", i), s.routers[i].site);
  for (size_t i = 0; i < s.edges.size(); ++i) check(ItemPath("edges", i), s.edges[i].site);
}

void CheckDemands(Reader& reader, const Scenario& s) {
  const bool synthetic = !s.demands.empty();
  if (synthetic == !s.trace.empty() && !reader.Refused("trace") && !reader.Refused("demands")) {
    reader.Refuse("", "one of 'demands' and 'trace' must say what comes in");
  }
  std::set<std::string> served;
  for (const EdgeSpec& edge : s.edges) {
    for (const InstanceSpec& instance : edge.instances) served.insert(instance.service);
  }
  for (size_t i = 0; i < s.demands.size(); ++i) {
    const std::string path = ItemPath("demands", i);
    const std::set<std::string> services(s.services.begin(), s.services.end());
    const std::string& service = s.demands[i].service;
    CheckKnown(reader, path + ".service", service, services, "services");
    if (services.contains(service) && !served.contains(service)) {
      reader.Refuse(path,
                    fmt::format("no instance serves '{}', so a part of its capacity is nothing", service));
    }
  }
}

}  // namespace

void FillIn(Reader& reader, Scenario* s) {
  if (s->services.empty() && !reader.Refused("services")) s->services = {"web"};
  const std::string first = s->services.empty() ? std::string() : s->services.front();
  for (EdgeSpec& edge : s->edges) {
    for (InstanceSpec& instance : edge.instances) {
      if (instance.service.empty()) instance.service = first;
    }
  }
  for (DemandSpec& demand : s->demands) {
    if (demand.service.empty()) demand.service = first;
  }
}

void CheckScenario(Reader& reader, const Scenario& s) {
  Unique services("a service of this name");
  for (size_t i = 0; i < s.services.size(); ++i) {
    services.Check(reader, ItemPath("services", i), s.services[i]);
  }
  CheckPlaces(reader, s);
  CheckNetwork(reader, s);
  const auto instances = [&] {
    std::set<std::string> names;
    for (const EdgeSpec& edge : s.edges) {
      for (const InstanceSpec& instance : edge.instances) names.insert(instance.name);
    }
    return names;
  }();
  for (size_t i = 0; i < s.speeds.size(); ++i) {
    CheckKnown(reader, ItemPath("speeds", i) + ".instance", s.speeds[i].instance, instances, "edges");
  }
  if (s.rotation && !s.speeds.empty()) {
    reader.Refuse("rotation", "contradicts 'speeds': both change the instances' speeds", Errc::kConflict);
  }
  CheckDemands(reader, s);
  if (s.idle_timeout % std::chrono::seconds{1} != Micros{0}) {
    reader.Refuse("idle_timeout", "must be whole seconds");
  }
  if (s.warm_up >= s.duration) reader.Refuse("warm_up", "must be less than 'duration'");
}

}  // namespace dyncast::sim
