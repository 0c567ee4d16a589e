// GPUs' values for the event loop. A thread for each library loads it and reads it again and again; the loop
// only looks at the newest values, so a library or a driver that hangs delays nothing.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "agent/core/readings.h"
#include "agent/io/problems.h"
#include "schema/base/time.h"
#include "schema/config/agent.h"

namespace dyncast::agent {

class GpuReader {
 public:
  // From one reading of the library to the next; and how often one that is not there is looked for.
  static constexpr std::chrono::milliseconds kPeriod{250};
  static constexpr std::chrono::seconds kRetry{60};

  // `problems` must outlive the reader.
  explicit GpuReader(Problems* problems);
  ~GpuReader();  // waits for no library that hangs

  // Libraries that nobody asks for any more are read no more.
  void Retain(const config::AgentConfig& config);
  // The newest values of the devices that `config` names; absent if they are older than its timeout and the
  // period allow, or not there. The first call starts the library's thread, and finds nothing. `subject`:
  // whose they are, for the log.
  GpuReadings Read(const config::GpuConfig& config, const std::string& subject, MonoTime now);

 private:
  class Worker;
  Problems* problems_;
  std::map<std::string, std::unique_ptr<Worker>> workers_;  // by library
  std::map<std::string, std::string> absent_;               // libraries and devices -> why, as it was logged
};

}  // namespace dyncast::agent
