// Health checks and scrapes: one connection each, non-blocking, with a deadline for the whole of it.
// Nothing here ever waits, so an application that hangs delays nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/core/http.h"
#include "agent/io/poller.h"
#include "schema/base/ip.h"
#include "schema/base/result.h"
#include "schema/base/time.h"

namespace dyncast::agent {

struct ProbeSpec {
  enum class Kind : uint8_t {
    kConnect,  // done when the TCP connection stands
    kStatus,   // HTTP GET, done when the header is complete
    kPage,     // HTTP GET with the body
    kLoad,  // HTTP GET with the load report of header or trailer; whatever goes wrong after the header leaves
            // the answer as it is by then
  };
  Kind kind = Kind::kConnect;
  IpAddress address;
  uint16_t port = 0;
  std::string path = "/";
  std::string network_namespace;  // "": the agent's own
  std::chrono::milliseconds timeout{400};
};

struct ProbeAnswer {
  int status = 0;                              // HTTP status; 0 for kConnect
  std::string body;                            // of kPage
  std::optional<std::string> load_report;      // of kLoad: the header `endpoint-load-metrics`
  std::optional<std::string> load_report_bin;  // of kLoad: `endpoint-load-metrics-bin`
};

class ProbeRunner {
 public:
  using Done = std::function<void(Result<ProbeAnswer>)>;
  // `poller` must outlive the runner.
  explicit ProbeRunner(Poller* poller);
  ~ProbeRunner();  // ends what runs without calling back

  // Calls `done` exactly once, from within OnTimers or a poller's callback, or at once where the probe
  // can't even begin.
  void Start(ProbeSpec spec, MonoTime now, Done done);
  // Fails the probes whose deadline passed.
  void OnTimers(MonoTime now);
  MonoTime NextDeadline() const;  // MonoTime::max() if none runs
  size_t running() const { return running_.size(); }

 private:
  struct Connection;
  void OnReady(uint64_t id, uint32_t events);
  void Finish(uint64_t id, Result<ProbeAnswer> result);

  Poller* poller_;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<Connection>> running_;
};

}  // namespace dyncast::agent
