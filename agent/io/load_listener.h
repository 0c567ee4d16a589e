// Where applications post their load reports: HTTP by libmicrohttpd, in the event loop's own thread.
// Connections, their memory, the size of a report and the time without a byte are bounded.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "agent/core/load_post.h"
#include "agent/io/poller.h"
#include "schema/base/result.h"
#include "schema/base/time.h"

struct MHD_Daemon;

namespace dyncast::agent {

class LoadListener {
 public:
  static constexpr unsigned kMaxConnections = 64;
  static constexpr unsigned kMaxPerAddress = 16;
  static constexpr size_t kMaxConnectionMemory = size_t{32} << 10;  // request line and header among it
  static constexpr size_t kMaxBody = size_t{64} << 10;
  static constexpr unsigned kIdleSeconds = 10;

  struct Answer {
    int status = 204;
    std::string text;  // for people; "" for none
  };
  // Is called from within a poller's callback or OnTimers.
  using Handler = std::function<Answer(const LoadPost&)>;

  // `poller` must outlive the listener.
  LoadListener(Poller* poller, Handler handler);
  ~LoadListener();
  LoadListener(const LoadListener&) = delete;
  LoadListener& operator=(const LoadListener&) = delete;

  // Listens at `endpoint`, "ADDRESS:PORT" or "unix:PATH", in place of where it listened before; "": nowhere.
  // After an error it listens where it did before.
  Status Listen(const std::string& endpoint);
  const std::string& endpoint() const { return endpoint_; }

  void OnTimers(MonoTime now);
  MonoTime NextDeadline(MonoTime now) const;  // MonoTime::max(): none

  // Of a request that is being read; for the library's callbacks.
  struct Request;
  Answer Handle(const LoadPost& post) const { return handler_(post); }

 private:
  void Close();

  Poller* poller_;
  Handler handler_;
  std::string endpoint_;
  MHD_Daemon* daemon_ = nullptr;
  int socket_ = -1;
  int epoll_ = -1;
};

}  // namespace dyncast::agent
