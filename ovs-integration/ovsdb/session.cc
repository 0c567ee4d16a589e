// clang-format off
#include <config.h>
// clang-format on

#include "ovs-integration/ovsdb/session.h"

#include <cstdlib>
#include <cstring>

extern "C" {
#include "jsonrpc.h"
#include "reconnect.h"
}
#include <fmt/core.h>
#include <openvswitch/json.h>
#include <openvswitch/poll-loop.h>

extern "C" const char* ovs_retval_to_string(int);  // util.h does not compile inside C++

namespace dyncast::ovsdb {
namespace {

constexpr int kMaxMessagesPerRun = 64;
constexpr int kMaxBackoffMs = 4000;
constexpr int kProbeIntervalMs = 5000;

std::string Text(const json* value) {
  if (value == nullptr) return {};
  char* text = json_to_string(value, 0);
  std::string copy(text);
  free(text);
  return copy;
}

// Discarded where the text is no JSON in UTF-8.
nlohmann::json Parse(const json* value) { return nlohmann::json::parse(Text(value), nullptr, false); }

std::string Reason(int error) {
  return error == 0 ? std::string("connection dropped") : std::string(ovs_retval_to_string(error));
}

SessionEvent ToEvent(const jsonrpc_msg& message) {
  SessionEvent event;
  if (message.type == JSONRPC_NOTIFY && std::strcmp(message.method, "update") == 0) {
    const nlohmann::json params = Parse(message.params);
    if (params.is_array() && params.size() == 2) {
      event.kind = SessionEventKind::kUpdate;
      event.body = params[1];
      return event;
    }
  } else if ((message.type == JSONRPC_REPLY || message.type == JSONRPC_ERROR) && message.id != nullptr &&
             message.id->type == JSON_INTEGER) {
    const bool good = message.type == JSONRPC_REPLY;
    event.request = json_integer(message.id);
    event.body = Parse(good ? message.result : message.error);
    if (!event.body.is_discarded()) {
      event.kind = good ? SessionEventKind::kReply : SessionEventKind::kErrorReply;
      return event;
    }
  }
  event.kind = SessionEventKind::kGarbage;
  event.text =
      fmt::format("an unexpected {}{}{}", jsonrpc_msg_type_to_string(message.type),
                  message.method == nullptr ? "" : " ", message.method == nullptr ? "" : message.method);
  if (event.text.size() > 100) event.text.resize(100);
  return event;
}

}  // namespace

struct Session::Impl {
  jsonrpc_session* rpc = nullptr;
  bool connected = false;
  bool more = false;          // the last Run stopped at its bound
  unsigned int seqno = 0;     // of the connection that `connected` speaks of
  unsigned int attempts = 0;  // connection attempts whose failure was reported

  unsigned int Attempts() const {
    reconnect_stats stats;
    jsonrpc_session_get_reconnect_stats(rpc, &stats);
    return stats.n_attempted_connections;
  }
};

Status Session::CheckRemote(const std::string& remote) {
  const bool known = remote.rfind("tcp:", 0) == 0 || remote.rfind("unix:", 0) == 0;
  if (known && remote.size() > remote.find(':') + 1) return Ok();
  return MakeError(Errc::kInvalid, fmt::format("remote '{}' is neither tcp:IP:PORT nor unix:PATH", remote));
}

Session::Session(const std::string& remote) : impl_(std::make_unique<Impl>()) {
  impl_->rpc = jsonrpc_session_open(remote.c_str(), true);
  jsonrpc_session_set_max_backoff(impl_->rpc, kMaxBackoffMs);
  jsonrpc_session_set_probe_interval(impl_->rpc, kProbeIntervalMs);
}

Session::~Session() { jsonrpc_session_close(impl_->rpc); }

std::vector<SessionEvent> Session::Run() {
  std::vector<SessionEvent> events;
  jsonrpc_session_run(impl_->rpc);
  const bool connected = jsonrpc_session_is_connected(impl_->rpc);
  const unsigned int seqno = jsonrpc_session_get_seqno(impl_->rpc);
  if (impl_->connected && (!connected || seqno != impl_->seqno)) {
    impl_->connected = false;
    events.push_back(
        {.kind = SessionEventKind::kLost, .text = Reason(jsonrpc_session_get_last_error(impl_->rpc))});
    impl_->attempts = impl_->Attempts();
  }
  if (connected && !impl_->connected) {
    impl_->connected = true;
    events.push_back({.kind = SessionEventKind::kConnected});
    impl_->attempts = impl_->Attempts();
  }
  impl_->seqno = seqno;
  if (!connected) {
    // The attempt under way has not failed yet; all before it have.
    const unsigned int attempts = impl_->Attempts();
    if (attempts > impl_->attempts + 1) {
      impl_->attempts = attempts - 1;
      events.push_back({.kind = SessionEventKind::kFailedAttempt,
                        .text = Reason(jsonrpc_session_get_last_error(impl_->rpc))});
    }
    return events;
  }
  impl_->more = true;
  for (int i = 0; i < kMaxMessagesPerRun; ++i) {
    jsonrpc_msg* message = jsonrpc_session_recv(impl_->rpc);
    if (message == nullptr) {
      impl_->more = false;
      break;
    }
    events.push_back(ToEvent(*message));
    jsonrpc_msg_destroy(message);
  }
  return events;
}

void Session::Wait() {
  jsonrpc_session_wait(impl_->rpc);
  jsonrpc_session_recv_wait(impl_->rpc);
  if (impl_->more) poll_immediate_wake();
}

void Session::WakeAfter(Micros delay) {
  poll_timer_wait(std::chrono::ceil<std::chrono::milliseconds>(delay).count());
}

int64_t Session::Request(const char* method, const nlohmann::json& params) {
  const std::string text = params.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  json* id = nullptr;
  jsonrpc_msg* request = jsonrpc_create_request(method, json_from_string(text.c_str()), &id);
  const int64_t number = json_integer(id);
  json_destroy(id);
  jsonrpc_session_send(impl_->rpc, request);
  return number;
}

void Session::Reconnect() { jsonrpc_session_force_reconnect(impl_->rpc); }

}  // namespace dyncast::ovsdb
