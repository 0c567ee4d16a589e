// An HTTP client with many connections in one thread, for the lab's tests: closed loop, over keep-alive
// connections or with a new one for each request, from one or several source addresses.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/web/load_report.h"
#include "tests/support/web/socket.h"

namespace dyncast::web {

struct LoadOptions {
  std::vector<std::string> targets;  // "ADDRESS:PORT"; connections take them in turn
  std::vector<std::string> sources;  // addresses to bind to; taken in turn after all targets of one
  uint32_t per_source = 1;           // so many rounds of the targets with one source before the next source
  std::string path = "/";
  uint32_t connections = 1;
  uint64_t requests = 0;  // stop after so many answers and failures; 0: no such limit
  double seconds = 0;     // stop after so long; 0: no such limit
  std::string until_file;
  double requests_per_s = 0;  // over all connections; 0: as fast as answers come
  std::chrono::milliseconds timeout{2000};
  std::chrono::milliseconds retry{20};    // wait before a failed connection is opened again
  std::chrono::milliseconds progress{0};  // a JSON line on stdout each such period; 0: none
  bool new_connection_per_request = false;
};

class LoadClient {
 public:
  explicit LoadClient(const LoadOptions& options);
  // Returns when the limit is reached and nothing is under way. The report is written to stdout.
  // False: not a single answer came.
  bool Run();

 private:
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t { kClosed, kConnecting, kIdle, kWaiting };
  struct Slot {
    State state = State::kClosed;
    int fd = -1;
    uint32_t index = 0;
    uint64_t connection = 0;
    uint64_t answers = 0;  // over this connection
    Clock::time_point started{};
    Clock::time_point deadline{};
    Clock::time_point not_before{};
    std::string output;
    std::string input;
  };

  size_t TargetOf(const Slot& slot) const { return slot.index % targets_.size(); }
  size_t SourceOf(const Slot& slot) const {
    return slot.index / targets_.size() / options_.per_source % options_.sources.size();
  }
  bool MayStart(Clock::time_point now);
  bool LimitReached(Clock::time_point now);
  void StartReady(Clock::time_point now);
  void Open(Slot* slot, Clock::time_point now);
  void Send(Slot* slot);
  void Receive(Slot* slot);
  void Finish(Slot* slot, const std::string& instance, Clock::time_point now);
  void Fail(Slot* slot, const char* kind, Clock::time_point now);
  void Close(Slot* slot);
  void CheckDeadlines(Clock::time_point now);
  void Handle(Slot* slot, uint32_t events);
  std::chrono::milliseconds UntilNext(Clock::time_point now) const;

  const LoadOptions options_;
  std::vector<SocketAddress> targets_;
  std::vector<std::optional<SocketAddress>> sources_;
  std::vector<Slot> slots_;
  std::deque<uint32_t> ready_;  // slots that may start a request, in the order they became free
  int epoll_ = -1;
  Clock::time_point begun_{};
  Clock::time_point last_file_check_{};
  uint64_t started_ = 0;
  uint64_t under_way_ = 0;
  uint64_t next_connection_ = 1;
  bool stopping_ = false;
  LoadReport report_;
};

}  // namespace dyncast::web
