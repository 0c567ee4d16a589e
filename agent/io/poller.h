// epoll with a callback for each descriptor. Level-triggered, one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>

#include "schema/base/result.h"

namespace dyncast::agent {

class Poller {
 public:
  using Callback = std::function<void(uint32_t events)>;
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // `events`: EPOLLIN and so on. The caller keeps the descriptor and must Remove it before closing it.
  // A callback may Add and Remove descriptors, its own included.
  Status Add(int fd, uint32_t events, Callback callback);
  void Modify(int fd, uint32_t events);
  void Remove(int fd);
  // Waits at most `timeout` (rounded up to milliseconds, so that no timer is polled for) for events and
  // calls their callbacks, a bounded number.
  void Wait(std::chrono::microseconds timeout);

 private:
  struct Entry {
    uint64_t generation;
    Callback callback;
  };
  int epoll_ = -1;
  uint64_t generation_ = 0;
  std::map<int, Entry> entries_;
};

}  // namespace dyncast::agent
