#include "ovs-integration/openflow/loop.h"

#include <config.h>
#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <limits>

extern "C" {
#include "fatal-signal.h"
}
#include <openvswitch/poll-loop.h>
#include <openvswitch/util.h>
#include <openvswitch/vlog.h>

// Declared by hand: ovs-thread.h pulls in ovs-atomic.h, which C++'s <atomic> does not bear.
extern "C" pthread_t ovs_thread_create(const char* name, void* (*start)(void*), void* arg);

namespace dyncast::openflow {

void InitLibrary(const char* program) {
  ovs_set_program_name(program, DYNCAST_VERSION);
  // Only our own log speaks; what the library would say comes back to us as error codes.
  vlog_set_levels(nullptr, static_cast<enum vlog_destination>(-1), VLL_OFF);
  fatal_ignore_sigpipe();
  // The first poll_block sets up the library's per-thread state while nothing else runs.
  poll_immediate_wake();
  poll_block();
  // The library takes a process for single-threaded, and skips its own locking, until a thread of its
  // own was made; std::thread does not count.
  pthread_join(ovs_thread_create(
                   "noop", [](void*) -> void* { return nullptr; }, nullptr),
               nullptr);
}

void WaitReadable(int fd) { poll_fd_wait(fd, POLLIN); }

void WakeAt(MonoTime when) {
  const auto now = std::chrono::time_point_cast<Micros>(std::chrono::steady_clock::now());
  if (when <= now) {
    poll_immediate_wake();
    return;
  }
  // The poll loop counts milliseconds: rounding down would spin.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(when - now).count();
  poll_timer_wait(std::min<int64_t>(ms, std::numeric_limits<int>::max()));
}

void WakeNow() { poll_immediate_wake(); }

void Block() { poll_block(); }

}  // namespace dyncast::openflow
