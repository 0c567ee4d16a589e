#include "tests/support/web/session_client.h"

#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

#include "tests/support/web/http.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

namespace dyncast::web {
namespace {

constexpr uint64_t kTimerEvent = 0;  // sessions count from 1

std::string_view FailureKind(int error) {
  switch (error) {
    case ECONNREFUSED: return "refused";
    case ECONNRESET:
    case EPIPE: return "reset";
    case EHOSTUNREACH:
    case ENETUNREACH: return "unreachable";
    default: return "error";
  }
}

}  // namespace

SessionClient::SessionClient(const SessionOptions& options) : options_(options), plan_(options.shape) {
  const auto endpoint = ParseEndpoint(options.target);
  const auto address = endpoint ? MakeAddress(endpoint->address, endpoint->port) : std::nullopt;
  if (!address) throw std::invalid_argument("target " + options.target + ": not ADDRESS:PORT");
  target_ = *address;
  for (const std::string& text : options.sources) {
    const auto source = MakeAddress(text, 0);
    if (!source) throw std::invalid_argument("source " + text + ": not an address");
    sources_.push_back(*source);
  }
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kTimerEvent;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event);
}

SessionClient::~SessionClient() {
  for (const auto& [id, session] : sessions_) {
    if (session->fd >= 0) close(session->fd);
  }
  close(timer_);
  close(epoll_);
}

void SessionClient::Begin(PlannedSession plan, Clock::time_point meant) {
  const uint64_t id = ++sessions_started_;
  auto owned = std::make_unique<Session>();
  Session* session = owned.get();
  session->plan = std::move(plan);
  session->meant = meant;
  const bool full = sessions_.size() >= options_.most_open;
  sessions_.emplace(id, std::move(owned));
  if (full) return Fail(id, session, "too-many");
  SendNext(id, session);
}

void SessionClient::SendNext(uint64_t id, Session* session) {
  session->output = fmt::format("GET /serve?us={} HTTP/1.1\r\nHost: {}\r\n\r\n",
                                session->plan.requests[session->request].work.count(), options_.target);
  session->input.clear();
  timers_.push({.at = session->meant + options_.timeout,
                .session = id,
                .request = session->request,
                .deadline = true});
  if (session->fd < 0) return Open(id, session);
  session->state = State::kWaiting;
  Write(id, session);
}

void SessionClient::Open(uint64_t id, Session* session) {
  session->state = State::kConnecting;
  session->fd = socket(target_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (session->fd < 0) return Fail(id, session, "no-socket");
  const int on = 1;
  setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!sources_.empty()) {
    const SocketAddress& source = sources_[id % sources_.size()];
    setsockopt(session->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(session->fd, source.raw(), source.length) != 0) return Fail(id, session, "bind");
  }
  if (connect(session->fd, target_.raw(), target_.length) != 0 && errno != EINPROGRESS) {
    return Fail(id, session, FailureKind(errno));
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLET;
  event.data.u64 = id;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, session->fd, &event);
}

void SessionClient::Write(uint64_t id, Session* session) {
  while (!session->output.empty()) {
    const ssize_t sent = send(session->fd, session->output.data(), session->output.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) Fail(id, session, FailureKind(errno));
      return;
    }
    session->output.erase(0, static_cast<size_t>(sent));
  }
}

void SessionClient::Read(uint64_t id, Session* session) {
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = recv(session->fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0 && session->state == State::kThinking) {
      close(session->fd);
      session->fd = -1;  // nothing was asked: the next request opens a new connection
      return;
    }
    if (got <= 0) return Fail(id, session, got == 0 ? "closed" : FailureKind(errno));
    session->input.append(buffer.data(), static_cast<size_t>(got));
  }
  if (session->state != State::kWaiting) return;
  const ParsedResponse parsed = ParseResponse(session->input);
  if (parsed.state == ParseState::kIncomplete) return;
  if (parsed.state == ParseState::kBad || parsed.response.status != 200)
    return Fail(id, session, "bad-answer");
  Answered(id, session, parsed.response.instance);
}

void SessionClient::Answered(uint64_t id, Session* session, const std::string& instance) {
  Sample(*session, instance, {});
  if (!session->instance.empty() && session->instance != instance) ++moved_;
  session->instance = instance;
  if (++session->request == session->plan.requests.size()) return End(id);
  session->state = State::kThinking;
  session->meant = Clock::now() + session->plan.requests[session->request].think;
  timers_.push({.at = session->meant, .session = id, .request = session->request});
}

void SessionClient::Sample(const Session& session, const std::string& instance, std::string_view failure) {
  const auto micros = [](Clock::duration d) {
    return std::chrono::duration_cast<std::chrono::microseconds>(d);
  };
  on_sample_({.meant = micros(session.meant - begun_),
              .latency = micros(Clock::now() - session.meant),
              .number = static_cast<uint32_t>(session.request),
              .instance = instance,
              .failure = failure});
}

// A session that failed once asks no more.
void SessionClient::Fail(uint64_t id, Session* session, std::string_view kind) {
  Sample(*session, {}, kind);
  End(id);
}

void SessionClient::End(uint64_t id) {
  const auto it = sessions_.find(id);
  if (it->second->fd >= 0) close(it->second->fd);
  sessions_.erase(it);
}

void SessionClient::OnTimer(const Timer& timer) {
  const auto it = sessions_.find(timer.session);
  if (it == sessions_.end() || it->second->request != timer.request) return;
  Session* session = it->second.get();
  if (timer.deadline) {
    Fail(timer.session, session, "timeout");
  } else {
    SendNext(timer.session, session);
  }
}

void SessionClient::OnEvent(uint64_t id, uint32_t events) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  Session* session = it->second.get();
  if (session->state == State::kConnecting) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Fail(id, session, FailureKind(error));
    if ((events & EPOLLOUT) == 0) return;
    session->state = State::kWaiting;
  }
  if (session->state == State::kWaiting && !session->output.empty()) {
    Write(id, session);
    if (!sessions_.contains(id)) return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Read(id, session);
}

void SessionClient::Arm(std::optional<Clock::time_point> next_session) {
  std::optional<Clock::time_point> next = next_session;
  if (!timers_.empty() && (!next || timers_.top().at < *next)) next = timers_.top().at;
  itimerspec spec{};
  if (next) {
    const int64_t ns = std::max<int64_t>(1, std::chrono::nanoseconds(next->time_since_epoch()).count());
    spec.it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  }
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void SessionClient::Run(const std::function<void(const SessionSample&)>& on_sample) {
  on_sample_ = on_sample;
  begun_ = Clock::now();
  const auto end = std::chrono::microseconds(static_cast<int64_t>(options_.seconds * 1e6));
  PlannedSession next = plan_.Next();
  while (next.start < end || !sessions_.empty()) {
    const Clock::time_point now = Clock::now();
    while (next.start < end && begun_ + next.start <= now) {
      const Clock::time_point meant = begun_ + next.start;
      Begin(std::exchange(next, plan_.Next()), meant);
    }
    while (!timers_.empty() && timers_.top().at <= now) {
      const Timer timer = timers_.top();
      timers_.pop();
      OnTimer(timer);
    }
    Arm(next.start < end ? std::optional(begun_ + next.start) : std::nullopt);
    if (sessions_.empty() && next.start >= end) break;
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == kTimerEvent) {
        uint64_t expirations = 0;
        [[maybe_unused]] const ssize_t got = read(timer_, &expirations, sizeof expirations);
      } else {
        OnEvent(event.data.u64, event.events);
      }
    }
  }
}

}  // namespace dyncast::web
