// One JSON-RPC connection to an OVSDB server (RFC 7047 section 4), kept up with back-off by
// libopenvswitch's jsonrpc session inside the OVS poll loop. Knows nothing of tables.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "schema/base/result.h"
#include "schema/base/time.h"

namespace dyncast::ovsdb {

enum class SessionEventKind : uint8_t {
  kConnected,
  kLost,           // was connected; `text` says why it is not any more
  kFailedAttempt,  // could not connect; comes once an attempt, which the back-off spaces
  kUpdate,         // body: the <table-updates> of an "update" notification
  kReply,          // body: the result; `request` names what it answers
  kErrorReply,     // body: the error; `request` likewise
  kGarbage,        // something else; `text` quotes it
};

struct SessionEvent {
  SessionEventKind kind = SessionEventKind::kGarbage;
  int64_t request = 0;
  nlohmann::json body = nullptr;
  std::string text{};
};

class Session {
 public:
  // "tcp:IP:PORT" or "unix:PATH"; anything else is refused (a passive remote would listen).
  static Status CheckRemote(const std::string& remote);

  // Precondition: CheckRemote(remote).ok().
  explicit Session(const std::string& remote);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Bounded: at most 64 messages a call.
  std::vector<SessionEvent> Run();
  void Wait();
  // Makes the next poll return within `delay`.
  static void WakeAfter(Micros delay);
  // Returns the id under which the answer comes. Without a connection the request is lost, and no
  // answer comes: the next event is kLost.
  int64_t Request(const char* method, const nlohmann::json& params);
  // Drops the connection; the next one comes after the back-off.
  void Reconnect();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dyncast::ovsdb
