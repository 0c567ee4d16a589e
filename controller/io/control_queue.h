// Work that other threads hand to the control thread: a short, bounded queue with a descriptor that
// wakes the control loop. A task must be short: it runs between packet-ins.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

#include "schema/base/result.h"

namespace dyncast {

class ControlQueue {
 public:
  static constexpr size_t kMaxWaiting = 64;

  ControlQueue();
  ~ControlQueue();
  ControlQueue(const ControlQueue&) = delete;
  ControlQueue& operator=(const ControlQueue&) = delete;

  // Any thread. kUnavailable when kMaxWaiting tasks wait already.
  Status Post(std::function<void()> task);
  // The control thread: runs at most `most` tasks.
  void Run(size_t most);
  // Readable while tasks wait.
  int fd() const { return event_fd_; }

 private:
  int event_fd_ = -1;
  std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
};

}  // namespace dyncast
