#include "controller/io/control_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace dyncast {

ControlQueue::ControlQueue() : event_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

ControlQueue::~ControlQueue() {
  if (event_fd_ >= 0) close(event_fd_);
}

Status ControlQueue::Post(std::function<void()> task) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (tasks_.size() >= kMaxWaiting) {
    return MakeError(Errc::kUnavailable,
                     "the control thread is busy: " + std::to_string(kMaxWaiting) + " requests wait");
  }
  tasks_.push_back(std::move(task));
  const uint64_t one = 1;
  if (write(event_fd_, &one, sizeof one) != static_cast<ssize_t>(sizeof one)) {
    // The counter is at its maximum: the descriptor is readable already, which is all that is wanted.
  }
  return Ok();
}

void ControlQueue::Run(size_t most) {
  for (size_t i = 0; i < most; ++i) {
    std::function<void()> task;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (tasks_.empty()) {
        uint64_t drained = 0;
        if (read(event_fd_, &drained, sizeof drained) < 0) return;  // EAGAIN: nothing was posted
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace dyncast
