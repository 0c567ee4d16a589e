// Instances that really serve, for tests of what selection does in the long run: demands come to switch r1,
// wait in line at their instance, are served and end. Around the core of CoreFixture, in virtual time.
#pragma once

#include <cmath>
#include <deque>
#include <map>
#include <queue>
#include <random>
#include <utility>

#include "tests/unit/core/fixture.h"

namespace dyncast::core {

class Farm : public CoreFixture {
 protected:
  struct Server {
    std::string agent;
    size_t workers = 1;
    double service_s = 0.05;  // exponential
    // What it says of itself beside its request rate, in place of the truth.
    std::vector<std::pair<std::string, double>> claims{};
    bool reports = true;
    // Since the last report.
    double busy_s = 0;
    uint64_t done = 0;
    double latency_s = 0;
    // State.
    size_t serving = 0;
    std::deque<size_t> waiting{};
    MonoTime since{};
    // Since ResetCounts.
    uint64_t got = 0;
  };
  struct Job {
    uint16_t port = 0;
    std::string server;
    MonoTime begun{};
    MonoTime asked{};
    MonoTime answered{};
    double service_s = 0;
  };

  // Instances of web at agents a2 and a3 by turns, all up.
  void Build(std::map<std::string, Server> servers) {
    servers_ = std::move(servers);
    ids_.clear();
    jobs_.clear();
    due_ = {};
    ResetCounts();
    Start();
    Connect("r1");
    int n = 0;
    for (auto& [name, server] : servers_) {
      server.agent = n % 2 == 0 ? "a2" : "a3";
      server.since = now_.mono;
      const std::string bid = (n % 2 == 0 ? "10.2.0." : "10.3.0.") + std::to_string(10 + n);
      Announce(server.agent, name, "web", bid);
      ids_[View(name).id] = name;
      ++n;
    }
    next_report_ = now_.mono + std::chrono::seconds{1};
  }

  // Demands come at `per_s` for `seconds`; each binding ends `linger` after its demand is answered.
  void Run(double per_s, double seconds, Micros linger) {
    const MonoTime until = now_.mono + Of(seconds);
    MonoTime next = now_.mono + Of(Exponential(1 / per_s));
    while (next < until) {
      Step(std::min({next, next_report_, now_.mono + std::chrono::milliseconds{100}}), linger);
      if (now_.mono >= next_report_) {
        Reports();
        next_report_ += std::chrono::seconds{1};
      }
      if (now_.mono < next) continue;
      Ask();
      next = now_.mono + Of(Exponential(1 / per_s));
    }
  }
  void ResetCounts() {
    for (auto& [name, server] : servers_) server.got = 0;
    waited_s_.clear();
  }
  double ShareOf(const std::string& name) const {
    double all = 0;
    for (const auto& [n, server] : servers_) all += static_cast<double>(server.got);
    return static_cast<double>(servers_.at(name).got) / all;
  }
  double MeanTime() const {
    double sum = 0;
    for (const double t : waited_s_) sum += t;
    return sum / static_cast<double>(waited_s_.size());
  }

  std::map<std::string, Server> servers_;
  Micros keep_open_{0};  // from a demand's answer to its binding's last packet

 private:
  enum class What : uint8_t { kServed, kEnded };
  using Due = std::pair<MonoTime, std::pair<What, size_t>>;

  static Micros Of(double seconds) { return Micros{static_cast<int64_t>(seconds * 1e6)}; }
  double Exponential(double mean) { return std::exponential_distribution<double>(1 / mean)(random_); }

  // To `at`, through everything that is due before.
  void Step(MonoTime at, Micros linger) {
    while (!due_.empty() && due_.top().first <= at) {
      const auto [when, event] = due_.top();
      due_.pop();
      To(when);
      if (event.first == What::kServed) {
        Served(event.second, linger);
      } else {
        Ended(event.second, linger);
      }
    }
    To(at);
  }
  void To(MonoTime at) {
    if (at > now_.mono) Advance(at - now_.mono);
    if (now_.mono - ticked_ >= std::chrono::milliseconds{100}) {
      ticked_ = now_.mono;
      Do(core::Tick{});
      for (const std::string agent : {"a2", "a3"})
        Say(agent, wire::Heartbeat{.interval = std::chrono::seconds{1}});
    }
  }
  void Ask() {
    const size_t id = jobs_.size();
    port_ = port_ == 65535 ? 1024 : static_cast<uint16_t>(port_ + 1);
    const InstanceId to = Went(Do(Demand("r1", "web", port_)));
    ASSERT_TRUE(ids_.count(to));
    Server& server = servers_[ids_[to]];
    ++server.got;
    jobs_.push_back({.port = port_, .server = ids_[to], .asked = now_.mono});
    jobs_.back().service_s = Exponential(server.service_s);
    if (server.serving < server.workers) {
      Begin(id);
    } else {
      server.waiting.push_back(id);
    }
  }
  void Begin(size_t id) {
    Server& server = servers_[jobs_[id].server];
    Count(&server);
    ++server.serving;
    jobs_[id].begun = now_.mono;
    due_.push({now_.mono + Of(jobs_[id].service_s), {What::kServed, id}});
  }
  void Count(Server* server) {
    server->busy_s += static_cast<double>((now_.mono - server->since).count()) * 1e-6 *
                      static_cast<double>(server->serving);
    server->since = now_.mono;
  }
  void Served(size_t id, Micros linger) {
    Job& job = jobs_[id];
    Server& server = servers_[job.server];
    Count(&server);
    --server.serving;
    ++server.done;
    server.latency_s += static_cast<double>((now_.mono - job.begun).count()) * 1e-6;
    waited_s_.push_back(static_cast<double>((now_.mono - job.asked).count()) * 1e-6);
    job.answered = now_.mono;
    due_.push({now_.mono + keep_open_ + linger, {What::kEnded, id}});
    if (server.waiting.empty()) return;
    const size_t next = server.waiting.front();
    server.waiting.pop_front();
    Begin(next);
  }
  void Ended(size_t id, Micros linger) {
    const Job& job = jobs_[id];
    const auto demand = Demand("r1", "web", job.port);
    FoundBinding found;
    found.place = BindingPlace::kHeaderTimed;
    found.key = MakeBindingKey(config_.services[0].affinity, Sw("r1"), Sv("web"), demand.demand);
    for (const auto& [instance, name] : ids_) {
      if (name == job.server) found.instance = instance;
    }
    found.packets = 2;
    found.idle_age = std::chrono::duration_cast<std::chrono::milliseconds>(linger);
    found.age = std::chrono::duration_cast<std::chrono::milliseconds>(now_.mono - job.asked);
    Do(BindingFlowEnded{.at = Sw("r1"), .binding = found});
  }
  void Reports() {
    for (auto& [name, server] : servers_) {
      Count(&server);
      const auto done = static_cast<double>(server.done);
      std::vector<std::pair<std::string, double>> metrics = {{"request_rate", done}};
      if (!server.claims.empty()) {
        metrics.insert(metrics.end(), server.claims.begin(), server.claims.end());
      } else {
        metrics.insert(metrics.end(),
                       {{"utilization", server.busy_s / static_cast<double>(server.workers)},
                        {"sessions", static_cast<double>(server.serving + server.waiting.size())},
                        {"queue", static_cast<double>(server.waiting.size())}});
        if (server.done > 0) metrics.emplace_back("latency", server.latency_s / done);
      }
      if (server.reports) Report(server.agent, name, metrics);
      server.busy_s = server.latency_s = 0;
      server.done = 0;
    }
  }

  std::mt19937_64 random_{5};
  std::map<InstanceId, std::string> ids_;
  std::deque<Job> jobs_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<double> waited_s_;
  uint16_t port_ = 1024;
  MonoTime next_report_{};
  MonoTime ticked_{};
};

}  // namespace dyncast::core
