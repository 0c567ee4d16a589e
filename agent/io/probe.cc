#include "agent/io/probe.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "agent/io/netns.h"
#include "agent/io/sockaddr.h"

namespace dyncast::agent {
namespace {

constexpr std::string_view kAcceptPage =
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
constexpr size_t kReadsPerTurn = 8;

// A connection to a local port in the ephemeral range may meet itself when nothing listens there: the
// kernel picked the very port it connects to.
bool ConnectedToItself(int fd) {
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t own_size = sizeof own;
  socklen_t peer_size = sizeof peer;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0 && own_size == peer_size &&
         std::memcmp(&own, &peer, own_size) == 0;
}

}  // namespace

struct ProbeRunner::Connection {
  ProbeSpec spec;
  Done done;
  int fd = -1;
  MonoTime deadline{};
  bool connected = false;
  std::string request;  // what is still to send
  HttpResponseParser parser{HttpBody::kSkip};

  Error Failure(Errc code, const std::string& message) const {
    std::string where = spec.address.is_v4() ? spec.address.ToString() : "[" + spec.address.ToString() + "]";
    return MakeError(code, message, where + ":" + std::to_string(spec.port));
  }
  Error SystemFailure(const char* what, int error) const {
    return Failure(Errc::kUnavailable, std::string(what) + ": " + std::strerror(error));
  }
  ProbeAnswer Answer() const {
    return {.status = parser.status(),
            .body = parser.body(),
            .load_report = parser.load_report(),
            .load_report_bin = parser.load_report_bin()};
  }
  // What a failure means by now.
  Result<ProbeAnswer> Failed(Error error) const {
    if (spec.kind == ProbeSpec::Kind::kLoad && parser.head_complete()) return Answer();
    return error;
  }

  // nullopt: not finished. The three stages of a probe, in their order.
  std::optional<Result<ProbeAnswer>> OnConnected() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return SystemFailure("connect", error);
    if (ConnectedToItself(fd)) return SystemFailure("connect", ECONNREFUSED);
    connected = true;
    if (spec.kind == ProbeSpec::Kind::kConnect) return ProbeAnswer{};
    return std::nullopt;
  }
  std::optional<Result<ProbeAnswer>> Send() {
    while (!request.empty()) {
      const ssize_t sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
      if (sent < 0) return SystemFailure("send", errno);
      request.erase(0, static_cast<size_t>(sent));
    }
    return std::nullopt;
  }
  std::optional<Result<ProbeAnswer>> Receive() {
    std::array<char, 16384> buffer;
    for (size_t i = 0; i < kReadsPerTurn; ++i) {
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
      if (got < 0) return Failed(SystemFailure("receive", errno));
      const auto progress =
          got == 0 ? parser.Finish() : parser.Feed({buffer.data(), static_cast<size_t>(got)});
      if (!progress) return Failed(Failure(progress.error().code, progress.error().message));
      if (*progress == HttpProgress::kDone) return Answer();
    }
    return std::nullopt;
  }
};

ProbeRunner::ProbeRunner(Poller* poller) : poller_(poller) {}

ProbeRunner::~ProbeRunner() {
  for (auto& [id, connection] : running_) {
    poller_->Remove(connection->fd);
    close(connection->fd);
  }
}

void ProbeRunner::Start(ProbeSpec spec, MonoTime now, Done done) {
  auto connection = std::make_unique<Connection>();
  connection->deadline = now + spec.timeout;
  if (spec.kind == ProbeSpec::Kind::kPage) connection->parser = HttpResponseParser(HttpBody::kKeep);
  if (spec.kind == ProbeSpec::Kind::kLoad) connection->parser = HttpResponseParser(HttpBody::kTrailer);
  if (spec.kind != ProbeSpec::Kind::kConnect) {
    connection->request = HttpGetRequest({.address = spec.address, .port = spec.port, .path = spec.path},
                                         spec.kind == ProbeSpec::Kind::kPage ? kAcceptPage : "*/*");
  }
  const auto fd = OpenSocketIn(spec.network_namespace, spec.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM,
                               IPPROTO_TCP);
  if (!fd) return done(fd.error());
  connection->fd = *fd;
  connection->spec = std::move(spec);
  sockaddr_storage to{};
  const socklen_t size = ToSockaddr(connection->spec.address, connection->spec.port, &to);
  if (connect(*fd, reinterpret_cast<const sockaddr*>(&to), size) != 0 && errno != EINPROGRESS) {
    const Error error = connection->SystemFailure("connect", errno);
    close(*fd);
    return done(error);
  }
  const uint64_t id = ++last_id_;
  if (const Status added = poller_->Add(*fd, EPOLLOUT, [this, id](uint32_t events) { OnReady(id, events); });
      !added) {
    close(*fd);
    return done(added.error());
  }
  connection->done = std::move(done);
  running_[id] = std::move(connection);
}

void ProbeRunner::OnReady(uint64_t id, uint32_t /*events*/) {
  Connection& connection = *running_.at(id);
  std::optional<Result<ProbeAnswer>> result;
  if (!connection.connected) result = connection.OnConnected();
  if (!result && !connection.request.empty()) {
    result = connection.Send();
    if (!result && connection.request.empty()) poller_->Modify(connection.fd, EPOLLIN);
  } else if (!result) {
    result = connection.Receive();
  }
  if (result) Finish(id, std::move(*result));
}

void ProbeRunner::Finish(uint64_t id, Result<ProbeAnswer> result) {
  const auto it = running_.find(id);
  const std::unique_ptr<Connection> connection = std::move(it->second);
  running_.erase(it);
  poller_->Remove(connection->fd);
  close(connection->fd);
  connection->done(std::move(result));
}

void ProbeRunner::OnTimers(MonoTime now) {
  std::vector<uint64_t> late;
  for (const auto& [id, connection] : running_) {
    if (connection->deadline <= now) late.push_back(id);
  }
  for (const uint64_t id : late) {
    const Connection& connection = *running_.at(id);
    Finish(id, connection.Failed(connection.Failure(
                   Errc::kUnavailable,
                   std::string(connection.connected ? "no complete answer" : "no connection") + " within " +
                       std::to_string(connection.spec.timeout.count()) + " ms")));
  }
}

MonoTime ProbeRunner::NextDeadline() const {
  MonoTime next = MonoTime::max();
  for (const auto& [id, connection] : running_) next = std::min(next, connection->deadline);
  return next;
}

}  // namespace dyncast::agent
