#include "agent/io/poller.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace dyncast::agent {

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Poller::~Poller() {
  if (epoll_ >= 0) close(epoll_);
}

Status Poller::Add(int fd, uint32_t events, Callback callback) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return MakeError(Errc::kIo, std::string("epoll: ") + std::strerror(errno));
  }
  entries_[fd] = {.generation = ++generation_, .callback = std::move(callback)};
  return Ok();
}

void Poller::Modify(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Poller::Remove(int fd) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  entries_.erase(fd);
}

void Poller::Wait(std::chrono::microseconds timeout) {
  std::array<epoll_event, 64> events;
  const auto ms =
      std::chrono::ceil<std::chrono::milliseconds>(std::max(timeout, std::chrono::microseconds{0}));
  const int64_t bounded = std::min<int64_t>(ms.count(), 3600 * 1000);
  const int got =
      epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(bounded));
  if (got <= 0) return;
  // A callback may close a descriptor and open another with the same number: its events are not for it.
  const uint64_t newest = generation_;
  for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
    const auto it = entries_.find(events[i].data.fd);
    if (it == entries_.end() || it->second.generation > newest) continue;
    const Callback callback = it->second.callback;  // a copy: it may remove itself
    callback(events[i].events);
  }
}

}  // namespace dyncast::agent
