// Drives an AgentCore with a clock of the test's own and keeps what it says.
#pragma once

#include <string>
#include <vector>

#include "agent/core/agent.h"

namespace dyncast::agent {

inline config::InstanceConfig TestInstance(const std::string& name, const std::string& bid = "10.0.0.1") {
  config::InstanceConfig config;
  config.name = name;
  config.service = "web";
  config.bid = *IpAddress::Parse(bid);
  config.port = 80;
  return config;
}

inline config::AgentConfig TestConfig(std::vector<config::InstanceConfig> instances) {
  config::AgentConfig config;
  config.name = "edge-2";
  config.controllers = {"tcp://127.0.0.1:1"};
  config.instances = std::move(instances);
  return config;
}

class CoreDriver {
 public:
  explicit CoreDriver(config::AgentConfig config) : core(std::move(config), 42) {}

  Now now() const {
    return {.mono = MonoTime{Micros{1000000000 + at_us}}, .wall = FromUnixMicros(5000000 + at_us)};
  }
  int64_t ms() const { return at_us / 1000; }

  void Take(Effects effects) {
    for (wire::AgentMessage& m : effects.messages) {
      times_ms.push_back(ms());
      messages.push_back(std::move(m));
    }
    for (const Slot slot : effects.checks) {
      checks.push_back({ms(), slot});
      if (answer_checks) Take(core.OnCheck(slot, outcome, "", now()));
    }
    for (const Slot slot : effects.scrapes) scrapes.push_back({ms(), slot});
    for (const Slot slot : effects.load_fetches) load_fetches.push_back({ms(), slot});
    for (const PluginRun& run : effects.plugins) plugins.push_back({ms(), run});
    for (Note& note : effects.notes) notes.push_back(std::move(note));
    if (effects.sample) {
      samples.push_back(ms());
      Take(core.OnSample(host, readings, now()));
    }
  }
  // Runs all deadlines up to and with `until_ms`. A core that asks for the same moment for ever fails.
  bool RunTo(int64_t until_ms) {
    for (size_t turn = 0; turn < 100000; ++turn) {
      const int64_t due = core.NextDeadline() == MonoTime::min() || core.NextDeadline() <= now().mono
                              ? at_us
                              : (core.NextDeadline() - MonoTime{Micros{1000000000}}).count();
      if (core.NextDeadline() == MonoTime::max() || due > until_ms * 1000) {
        at_us = until_ms * 1000;
        return true;
      }
      at_us = due;
      Take(core.Tick(now()));
    }
    return false;
  }
  template <typename Body>
  std::vector<int64_t> TimesOf(const std::string& instance = "") const {
    std::vector<int64_t> found;
    for (size_t i = 0; i < messages.size(); ++i) {
      const Body* body = std::get_if<Body>(&messages[i].body);
      if (body == nullptr) continue;
      if constexpr (!std::is_same_v<Body, wire::Heartbeat>) {
        if (!instance.empty() && body->instance != instance) continue;
      }
      found.push_back(times_ms[i]);
    }
    return found;
  }
  template <typename Body>
  const Body* Last() const {
    for (size_t i = messages.size(); i-- > 0;) {
      if (const Body* body = std::get_if<Body>(&messages[i].body)) return body;
    }
    return nullptr;
  }
  void Clear() {
    messages.clear();
    times_ms.clear();
  }

  AgentCore core;
  int64_t at_us = 0;
  HostReadings host;
  std::map<Slot, InstanceReadings> readings;
  bool answer_checks = true;
  CheckOutcome outcome = CheckOutcome::kPass;
  std::vector<wire::AgentMessage> messages;
  std::vector<int64_t> times_ms;
  std::vector<std::pair<int64_t, Slot>> checks;
  std::vector<std::pair<int64_t, Slot>> scrapes;
  std::vector<std::pair<int64_t, Slot>> load_fetches;
  std::vector<std::pair<int64_t, PluginRun>> plugins;
  std::vector<int64_t> samples;
  std::vector<Note> notes;
};

}  // namespace dyncast::agent
