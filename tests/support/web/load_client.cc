#include "tests/support/web/load_client.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>

#include "tests/support/web/http.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

namespace dyncast::web {
namespace {

double UnixTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

const char* FailureKind(int error) {
  switch (error) {
    case ECONNREFUSED: return "refused";
    case ECONNRESET:
    case EPIPE: return "reset";
    case EHOSTUNREACH:
    case ENETUNREACH: return "unreachable";
    case ETIMEDOUT: return "timeout";
    default: return "error";
  }
}

SocketAddress ParseTarget(const std::string& text) {
  const auto endpoint = ParseEndpoint(text);
  const auto address = endpoint ? MakeAddress(endpoint->address, endpoint->port) : std::nullopt;
  if (!address) {
    throw std::invalid_argument("target " + text + ": not ADDRESS:PORT");
  }
  return *address;
}

}  // namespace

LoadClient::LoadClient(const LoadOptions& options) : options_(options), slots_(options.connections) {
  for (const std::string& target : options_.targets) {
    targets_.push_back(ParseTarget(target));
  }
  for (const std::string& source : options_.sources) {
    if (source.empty()) {
      sources_.push_back(std::nullopt);
      continue;
    }
    sources_.push_back(MakeAddress(source, 0));
    if (!sources_.back()) {
      throw std::invalid_argument("source " + source + ": not an address");
    }
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t i = 0; i < slots_.size(); ++i) {
    slots_[i].index = i;
    ready_.push_back(i);
  }
}

bool LoadClient::LimitReached(Clock::time_point now) {
  if (options_.requests != 0 && started_ >= options_.requests) {
    return true;
  }
  if (options_.seconds > 0 && now - begun_ >= std::chrono::duration<double>(options_.seconds)) {
    return true;
  }
  if (!options_.until_file.empty() && now - last_file_check_ > std::chrono::milliseconds(20)) {
    last_file_check_ = now;
    return access(options_.until_file.c_str(), F_OK) == 0;
  }
  return false;
}

bool LoadClient::MayStart(Clock::time_point now) {
  if (options_.requests_per_s <= 0) {
    return true;
  }
  const double allowed = std::chrono::duration<double>(now - begun_).count() * options_.requests_per_s;
  return static_cast<double>(started_) < allowed;
}

void LoadClient::StartReady(Clock::time_point now) {
  size_t looked_at = ready_.size();
  while (!stopping_ && looked_at-- > 0 && MayStart(now)) {
    stopping_ = LimitReached(now);
    if (stopping_) {
      return;
    }
    const uint32_t index = ready_.front();
    ready_.pop_front();
    Slot& slot = slots_[index];
    if (slot.not_before > now) {
      ready_.push_back(index);
      continue;
    }
    ++started_;
    ++under_way_;
    slot.started = now;
    slot.deadline = now + options_.timeout;
    slot.input.clear();
    slot.output =
        fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", options_.path, options_.targets[TargetOf(slot)]);
    if (slot.state == State::kClosed) {
      Open(&slot, now);
    } else {
      slot.state = State::kWaiting;
      Send(&slot);
    }
  }
}

void LoadClient::Open(Slot* slot, Clock::time_point now) {
  const SocketAddress& target = targets_[TargetOf(*slot)];
  slot->fd = socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (slot->fd < 0) {
    Fail(slot, "no-socket", now);
    return;
  }
  const int on = 1;
  setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (const auto& source = sources_[SourceOf(*slot)]) {
    setsockopt(slot->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(slot->fd, source->raw(), source->length) != 0) {
      Fail(slot, "bind", now);
      return;
    }
  }
  slot->connection = next_connection_++;
  slot->answers = 0;
  slot->state = State::kConnecting;
  if (connect(slot->fd, target.raw(), target.length) != 0 && errno != EINPROGRESS) {
    Fail(slot, FailureKind(errno), now);
    return;
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.u32 = slot->index;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, slot->fd, &event);
}

void LoadClient::Send(Slot* slot) {
  while (!slot->output.empty()) {
    const ssize_t sent = send(slot->fd, slot->output.data(), slot->output.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) {
        Fail(slot, FailureKind(errno), Clock::now());
      }
      return;
    }
    slot->output.erase(0, static_cast<size_t>(sent));
  }
}

void LoadClient::Receive(Slot* slot) {
  std::array<char, 16384> buffer;
  while (slot->fd >= 0) {
    const ssize_t got = recv(slot->fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    const Clock::time_point now = Clock::now();
    if (got <= 0) {
      const char* kind = got == 0 ? "closed" : FailureKind(errno);
      if (slot->state == State::kIdle) {
        // Nothing was asked: the next request opens a new connection, and only that one may fail.
        Close(slot);
      } else {
        Fail(slot, kind, now);
      }
      return;
    }
    slot->input.append(buffer.data(), static_cast<size_t>(got));
    const ParsedResponse parsed = ParseResponse(slot->input);
    if (parsed.state == ParseState::kBad ||
        (parsed.state == ParseState::kComplete && parsed.response.status != 200)) {
      Fail(slot, "bad-answer", now);
    } else if (parsed.state == ParseState::kComplete && slot->state == State::kWaiting) {
      Finish(slot, parsed.response.instance, now);
    }
  }
}

void LoadClient::Finish(Slot* slot, const std::string& instance, Clock::time_point now) {
  report_.Count({.connection = slot->connection,
                 .source = options_.sources[SourceOf(*slot)],
                 .target = options_.targets[TargetOf(*slot)],
                 .instance = instance,
                 .latency = std::chrono::duration_cast<std::chrono::microseconds>(now - slot->started),
                 .first_of_connection = slot->answers == 0});
  ++slot->answers;
  --under_way_;
  slot->state = State::kIdle;
  slot->input.clear();
  if (options_.new_connection_per_request) {
    Close(slot);
  }
  ready_.push_back(slot->index);
}

void LoadClient::Fail(Slot* slot, const char* kind, Clock::time_point now) {
  report_.CountFailure(kind, UnixTime());
  Close(slot);
  --under_way_;
  slot->not_before = now + options_.retry;
  ready_.push_back(slot->index);
}

void LoadClient::Close(Slot* slot) {
  if (slot->fd >= 0) {
    close(slot->fd);
  }
  slot->fd = -1;
  slot->state = State::kClosed;
}

void LoadClient::CheckDeadlines(Clock::time_point now) {
  for (Slot& slot : slots_) {
    if ((slot.state == State::kConnecting || slot.state == State::kWaiting) && slot.deadline <= now) {
      Fail(&slot, "timeout", now);
    }
  }
}

void LoadClient::Handle(Slot* slot, uint32_t events) {
  if (slot->state == State::kConnecting) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      Fail(slot, FailureKind(error), Clock::now());
      return;
    }
    if ((events & EPOLLOUT) == 0) {
      return;
    }
    report_.CountConnection();
    slot->state = State::kWaiting;
    Send(slot);
  } else if (slot->state == State::kWaiting && (events & EPOLLOUT) != 0) {
    Send(slot);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    Receive(slot);
  }
}

std::chrono::milliseconds LoadClient::UntilNext(Clock::time_point) const {
  return std::chrono::milliseconds(options_.requests_per_s > 0 || !ready_.empty() ? 1 : 10);
}

bool LoadClient::Run() {
  begun_ = Clock::now();
  Clock::time_point next_progress = begun_ + options_.progress;
  Clock::time_point next_deadline_check = begun_;
  const auto print = [this](std::string_view event, Clock::time_point now) {
    const auto open = std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.fd >= 0; });
    fmt::print("{}\n", report_.Json(event, UnixTime(), std::chrono::duration<double>(now - begun_).count(),
                                    static_cast<uint64_t>(open)));
    std::fflush(stdout);
  };
  while (!stopping_ || under_way_ > 0) {
    StartReady(Clock::now());
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(UntilNext(Clock::now()).count()));
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      Slot& slot = slots_[event.data.u32];
      if (slot.fd >= 0) {
        Handle(&slot, event.events);
      }
    }
    const Clock::time_point now = Clock::now();
    stopping_ = stopping_ || LimitReached(now);
    if (now >= next_deadline_check) {
      next_deadline_check = now + std::chrono::milliseconds(5);
      CheckDeadlines(now);
    }
    if (options_.progress.count() > 0 && now >= next_progress) {
      next_progress = now + options_.progress;
      print("progress", now);
    }
  }
  print("report", Clock::now());
  return report_.requests() > 0;
}

}  // namespace dyncast::web
