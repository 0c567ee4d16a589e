#include "agent/io/load_listener.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "agent/io/sockaddr.h"
#include "schema/base/unix_socket.h"

namespace dyncast::agent {

struct LoadListener::Request {
  LoadPost post;
  size_t read_bytes = 0;  // of the body, kept or not
};

namespace {

constexpr std::string_view kUnix = "unix:";
constexpr size_t kMaxRead = size_t{1} << 20;  // of a body that is too large, for the sake of an answer

Result<int> ListenTcp(const std::string& endpoint) {
  const auto at = IpEndpoint::Parse(endpoint);
  if (!at) return at.error();
  const auto failed = [&](const char* what) {
    return MakeError(Errc::kIo, std::string(what) + ": " + std::strerror(errno), endpoint);
  };
  const int fd = socket(at->address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage to{};
  const socklen_t size = ToSockaddr(at->address, at->port, &to);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&to), size) != 0 || listen(fd, 64) != 0) {
    const Error error = failed("can't listen");
    close(fd);
    return error;
  }
  return fd;
}

Result<int> OpenListening(const std::string& endpoint) {
  if (!endpoint.starts_with(kUnix)) return ListenTcp(endpoint);
  const std::string path = endpoint.substr(kUnix.size());
  Result<int> fd = ListenUnix(path);
  // As with loopback, whoever is on this host may post.
  if (fd) chmod(path.c_str(), 0666);
  return fd;
}

std::optional<IpAddress> PeerOf(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == nullptr || info->client_addr == nullptr) return std::nullopt;
  const sa_family_t family = info->client_addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  sockaddr_storage storage{};
  std::memcpy(&storage, info->client_addr, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return FromSockaddr(storage).address;
}

std::string HeaderOf(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value != nullptr ? value : "";
}

MHD_Result Say(MHD_Connection* connection, const LoadListener::Answer& answer) {
  std::string text = answer.text.empty() ? "" : answer.text + "\n";
  MHD_Response* response = MHD_create_response_from_buffer(text.size(), text.data(), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  if (!text.empty()) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
  if (answer.status == 405) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "POST");
  const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned>(answer.status), response);
  MHD_destroy_response(response);
  return queued;
}

// Called when a request's header is complete, then with each piece of its body, then once without any.
MHD_Result OnRequest(void* self, MHD_Connection* connection, const char* url, const char* method, const char*,
                     const char* upload, size_t* upload_size, void** state) {
  try {
    const auto* listener = static_cast<LoadListener*>(self);
    if (*state == nullptr) {
      auto request = std::make_unique<LoadListener::Request>();
      request->post = {.path = url,
                       .content_type = HeaderOf(connection, MHD_HTTP_HEADER_CONTENT_TYPE),
                       .body = {},
                       .peer = PeerOf(connection)};
      *state = request.release();
      if (std::string_view(method) != MHD_HTTP_METHOD_POST) {
        return Say(connection, {.status = 405, .text = "only POST is served here"});
      }
      return MHD_YES;
    }
    auto* request = static_cast<LoadListener::Request*>(*state);
    if (*upload_size > 0) {
      request->read_bytes += *upload_size;
      if (request->read_bytes > kMaxRead) return MHD_NO;  // it may never end: the connection is closed
      if (request->read_bytes <= LoadListener::kMaxBody) request->post.body.append(upload, *upload_size);
      *upload_size = 0;
      return MHD_YES;
    }
    if (request->read_bytes > LoadListener::kMaxBody) {
      return Say(connection,
                 {.status = 413,
                  .text = "a load report has at most " + std::to_string(LoadListener::kMaxBody) + " bytes"});
    }
    return Say(connection, listener->Handle(request->post));
  } catch (const std::exception&) {  // no memory: nothing may pass through the library
    return MHD_NO;
  }
}

void OnCompleted(void*, MHD_Connection*, void** state, MHD_RequestTerminationCode) {
  delete static_cast<LoadListener::Request*>(*state);
  *state = nullptr;
}

}  // namespace

LoadListener::LoadListener(Poller* poller, Handler handler) : poller_(poller), handler_(std::move(handler)) {}

LoadListener::~LoadListener() { Close(); }

void LoadListener::Close() {
  if (daemon_ == nullptr) return;
  poller_->Remove(epoll_);
  MHD_stop_daemon(std::exchange(daemon_, nullptr));  // closes the socket too
  if (endpoint_.starts_with(kUnix)) unlink(endpoint_.c_str() + kUnix.size());
  endpoint_.clear();
}

Status LoadListener::Listen(const std::string& endpoint) {
  if (endpoint == endpoint_) return Ok();
  if (endpoint.empty()) {
    Close();
    return Ok();
  }
  const auto fd = OpenListening(endpoint);
  if (!fd) return fd.error();
  MHD_Daemon* daemon = MHD_start_daemon(
      MHD_USE_EPOLL, 0, nullptr, nullptr, &OnRequest, this, MHD_OPTION_LISTEN_SOCKET, *fd,
      MHD_OPTION_CONNECTION_LIMIT, kMaxConnections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, kMaxPerAddress,
      MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMaxConnectionMemory,
      MHD_OPTION_NOTIFY_COMPLETED, &OnCompleted, nullptr, MHD_OPTION_END);
  const MHD_DaemonInfo* info =
      daemon != nullptr ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD) : nullptr;
  if (info == nullptr) {
    if (daemon != nullptr) MHD_stop_daemon(daemon);
    if (daemon == nullptr) close(*fd);
    return MakeError(Errc::kIo, "the HTTP server can't be started", endpoint);
  }
  const int epoll = info->epoll_fd;
  if (const Status added = poller_->Add(epoll, EPOLLIN, [daemon](uint32_t) { MHD_run(daemon); }); !added) {
    MHD_stop_daemon(daemon);
    return added;
  }
  Close();
  daemon_ = daemon;
  epoll_ = epoll;
  endpoint_ = endpoint;
  return Ok();
}

MonoTime LoadListener::NextDeadline(MonoTime now) const {
  MHD_UNSIGNED_LONG_LONG ms = 0;
  if (daemon_ == nullptr || MHD_get_timeout(daemon_, &ms) != MHD_YES) return MonoTime::max();
  return now + std::chrono::milliseconds(ms);
}

void LoadListener::OnTimers(MonoTime now) {
  if (NextDeadline(now) <= now) MHD_run(daemon_);
}

}  // namespace dyncast::agent
