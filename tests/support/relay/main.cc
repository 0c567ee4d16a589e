// dyncast-relay: joins two network interfaces as an imperfect link (delay, jitter, loss, rate), for
// kernels without netem. Frames are read and written by AF_PACKET sockets; both interfaces must have
// their offloads off, so that no frame is larger than the MTU or lacks its checksum.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "tests/support/relay/delay_queue.h"

namespace dyncast::relay {
namespace {

constexpr size_t kMaxFrame = 65536;
constexpr int kFramesPerTurn = 64;

struct Options {
  std::string a;
  std::string b;
  LinkParams link;
};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "dyncast-relay: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

int OpenInterface(const std::string& name) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    Die("AF_PACKET socket");
  }
  // Without this the socket would read what it writes.
  const int on = 1;
  if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0) {
    Die("PACKET_IGNORE_OUTGOING");
  }
  const int buffer_bytes = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(name.c_str()));
  if (address.sll_ifindex == 0) {
    Die("interface " + name);
  }
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = address.sll_ifindex;
  promiscuous.mr_type = PACKET_MR_PROMISC;
  setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    Die("bind to " + name);
  }
  return fd;
}

struct Direction {
  int from;
  int to;
  DelayQueue queue;
  uint64_t send_errors = 0;
};

void ReadFrames(Direction* direction) {
  static std::array<uint8_t, kMaxFrame> buffer;
  for (int i = 0; i < kFramesPerTurn; ++i) {
    const ssize_t got = recv(direction->from, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      return;
    }
    direction->queue.Offer({buffer.data(), static_cast<size_t>(got)}, std::chrono::steady_clock::now());
  }
}

void WriteDue(Direction* direction) {
  while (auto frame = direction->queue.PopDue(std::chrono::steady_clock::now())) {
    if (send(direction->to, frame->data(), frame->size(), 0) < 0) {
      ++direction->send_errors;
    }
  }
}

void ArmTimer(int timer, const Direction& one, const Direction& two) {
  std::optional<MonoTime> due = one.queue.NextDue();
  if (const auto other = two.queue.NextDue(); other && (!due || *other < *due)) {
    due = other;
  }
  itimerspec spec{};
  if (due) {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(due->time_since_epoch()).count();
    spec.it_value.tv_sec = ns / 1'000'000'000;
    spec.it_value.tv_nsec = ns % 1'000'000'000;
    if (ns <= 0) {
      spec.it_value.tv_nsec = 1;
    }
  }
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Report(const char* name, const Direction& direction) {
  const LinkCounters& c = direction.queue.counters();
  std::fprintf(stderr, "%s offered=%lu delivered=%lu lost=%lu queue_full=%lu send_errors=%lu\n", name,
               c.offered, c.delivered, c.lost, c.queue_full, direction.send_errors);
}

int Run(const Options& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  const int a = OpenInterface(options.a);
  const int b = OpenInterface(options.b);
  LinkParams back = options.link;
  back.seed = options.link.seed + 1;
  Direction ab{.from = a, .to = b, .queue = DelayQueue(options.link)};
  Direction ba{.from = b, .to = a, .queue = DelayQueue(back)};
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (const int fd : {signal_fd, a, b, timer}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
      Die("epoll");
    }
  }
  std::puts("ready");
  std::fflush(stdout);
  while (true) {
    std::array<epoll_event, 8> events;
    const int ready = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    if (ready < 0 && errno != EINTR) {
      Die("epoll_wait");
    }
    for (int i = 0; i < ready; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == a) {
        ReadFrames(&ab);
      } else if (fd == b) {
        ReadFrames(&ba);
      } else if (fd == timer) {
        uint64_t expirations = 0;
        [[maybe_unused]] const ssize_t got = read(timer, &expirations, sizeof expirations);
      } else {
        signalfd_siginfo info{};
        [[maybe_unused]] const ssize_t got = read(signal_fd, &info, sizeof info);
        Report("a->b", ab);
        Report("b->a", ba);
        if (info.ssi_signo != SIGUSR1) {
          return 0;
        }
      }
    }
    WriteDue(&ab);
    WriteDue(&ba);
    ArmTimer(timer, ab, ba);
  }
}

}  // namespace
}  // namespace dyncast::relay

int main(int argc, char** argv) {
  dyncast::relay::Options options;
  int64_t delay_us = 0;
  int64_t jitter_us = 0;
  double rate_mbit = 0;
  bool reorder = false;
  CLI::App app{"Joins two interfaces as a link with delay, jitter, loss and rate, each direction alike."};
  app.add_option("--a", options.a, "one interface")->required();
  app.add_option("--b", options.b, "the other interface")->required();
  app.add_option("--delay-us", delay_us, "delay, microseconds")->check(CLI::Range(0, 60'000'000));
  app.add_option("--jitter-us", jitter_us, "the delay varies by at most this, microseconds")
      ->check(CLI::Range(0, 60'000'000));
  app.add_option("--loss", options.link.loss, "share of frames that are lost, 0..1")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--rate-mbit", rate_mbit, "rate, Mbit/s; 0: no limit")->check(CLI::Range(0.0, 1e6));
  app.add_option("--queue-frames", options.link.queue_frames, "frames that may be under way");
  app.add_option("--seed", options.link.seed, "of loss and jitter");
  app.add_flag("--reorder", reorder, "jitter may let frames overtake one another");
  app.set_version_flag("--version", DYNCAST_VERSION);
  CLI11_PARSE(app, argc, argv);
  options.link.delay = std::chrono::microseconds(delay_us);
  options.link.jitter = std::chrono::microseconds(jitter_us);
  options.link.rate_bits_per_s = rate_mbit * 1e6;
  options.link.order = reorder ? dyncast::relay::Order::kFree : dyncast::relay::Order::kKept;
  return dyncast::relay::Run(options);
}
