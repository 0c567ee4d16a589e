// An HTTP client whose sessions come when they come (open loop): each opens a connection of its own, makes
// its requests one after the other, and closes it. Latency counts from the moment a request was meant to be
// sent, so a client that is late, or a connection that is slow, shows. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/web/session_plan.h"
#include "tests/support/web/socket.h"

namespace dyncast::web {

struct SessionOptions {
  std::string target;  // "ADDRESS:PORT"
  std::vector<std::string>
      sources;  // addresses to bind to, one session each in turn; empty: the kernel's choice
  SessionShape shape;
  double seconds = 1;                       // so long sessions come; those under way are finished
  std::chrono::milliseconds timeout{3000};  // of one request, from when it was meant to be sent
  size_t most_open = 20000;                 // sessions at once; one more fails at once ("too-many")
};

// What became of one request.
struct SessionSample {
  std::chrono::microseconds meant{0};  // when it was to be sent, since the start
  std::chrono::microseconds latency{0};
  uint32_t number = 0;       // within its session, from 0
  std::string instance;      // who answered; empty: nobody
  std::string_view failure;  // "timeout", "refused", ...; empty: answered
};

class SessionClient {
 public:
  // Throws std::invalid_argument for an address that is none.
  explicit SessionClient(const SessionOptions& options);
  ~SessionClient();
  SessionClient(const SessionClient&) = delete;
  SessionClient& operator=(const SessionClient&) = delete;

  // Returns when the time is over and nothing is under way. A sample for each request that was started.
  void Run(const std::function<void(const SessionSample&)>& on_sample);
  uint64_t sessions() const { return sessions_started_; }
  uint64_t moved() const { return moved_; }  // sessions that two instances answered

 private:
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t { kThinking, kConnecting, kWaiting };
  struct Session {
    PlannedSession plan;
    State state = State::kThinking;
    int fd = -1;
    size_t request = 0;         // the one that is under way, or next
    Clock::time_point meant{};  // when that one is to be sent
    std::string instance;       // who answered the one before
    std::string output;
    std::string input;
  };
  // When to look at a session again, and which of its requests that was about.
  struct Timer {
    Clock::time_point at;
    uint64_t session = 0;
    size_t request = 0;
    bool deadline = false;
    bool operator>(const Timer& other) const { return at > other.at; }
  };

  void Begin(PlannedSession plan, Clock::time_point meant);
  void SendNext(uint64_t id, Session* session);
  void Open(uint64_t id, Session* session);
  void Write(uint64_t id, Session* session);
  void Read(uint64_t id, Session* session);
  void OnTimer(const Timer& timer);
  void OnEvent(uint64_t id, uint32_t events);
  void Answered(uint64_t id, Session* session, const std::string& instance);
  void Fail(uint64_t id, Session* session, std::string_view kind);
  void Sample(const Session& session, const std::string& instance, std::string_view failure);
  void End(uint64_t id);
  void Arm(std::optional<Clock::time_point> next_session);

  const SessionOptions options_;
  SocketAddress target_;
  std::vector<SocketAddress> sources_;
  SessionPlan plan_;
  std::function<void(const SessionSample&)> on_sample_;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  int epoll_ = -1;
  int timer_ = -1;
  Clock::time_point begun_{};
  uint64_t sessions_started_ = 0;
  uint64_t moved_ = 0;
};

}  // namespace dyncast::web
