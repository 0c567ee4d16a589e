// What the test client saw: pure book-keeping of answers and failures, and its JSON.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace dyncast::web {

struct Answer {
  uint64_t connection = 0;  // unique per opened connection
  std::string source;       // the client's address; empty: the kernel's choice
  std::string target;       // "ADDRESS:PORT"
  std::string instance;
  std::chrono::microseconds latency{0};
  bool first_of_connection = false;  // latency then holds the connection's set-up too
};

class LoadReport {
 public:
  // Unix time in seconds, as fractions, for what is compared with other programs' clocks.
  void Count(const Answer& answer);
  void CountFailure(std::string_view kind, double unix_time);
  void CountConnection() { ++connections_; }

  uint64_t requests() const { return requests_; }
  uint64_t failed() const { return failed_; }
  uint64_t moved_connections() const { return moved_connections_.size(); }
  // Client addresses that were seen on more than one instance, over all their connections and ports.
  uint64_t moved_clients() const;

  // One line of JSON. `event` is "progress" or "report"; a progress line leaves out the long parts.
  std::string Json(std::string_view event, double unix_time, double seconds, uint64_t open) const;

 private:
  struct PerInstance {
    uint64_t requests = 0;
    uint64_t connections = 0;
  };
  uint64_t requests_ = 0;
  uint64_t failed_ = 0;
  uint64_t connections_ = 0;
  double first_failure_at_ = 0;
  double last_failure_at_ = 0;
  std::map<std::string, uint64_t, std::less<>> failures_;
  std::map<std::string, PerInstance> instances_;
  std::map<std::string, std::map<std::string, uint64_t>> sources_;
  std::map<std::string, std::map<std::string, uint64_t>> targets_;
  std::map<uint64_t, std::string> instance_of_connection_;
  std::set<uint64_t> moved_connections_;
  std::vector<float> latency_ms_;
  std::vector<float> first_latency_ms_;
};

}  // namespace dyncast::web
