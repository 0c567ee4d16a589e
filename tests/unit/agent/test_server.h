// A small real HTTP server for tests: one thread, answers each connection by a script, or keeps it open.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "schema/base/ip.h"

namespace dyncast::agent {

// A listening TCP socket on 127.0.0.1, port chosen by the kernel. Accepts nothing by itself.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    listen(fd_, 64);
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { Close(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int fd() const { return fd_; }
  uint16_t port() const { return port_; }
  // A connected client; the caller closes it.
  int Connect() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(fd);
      return -1;
    }
    return fd;
  }

 private:
  int fd_;
  uint16_t port_ = 0;
};

class TestServer {
 public:
  // Gets the connection after its request was read; writes what it wants. The server closes it after,
  // or, for kHang, when it ends.
  enum class After : uint8_t { kClose, kHang };
  using Handler = std::function<After(int fd, const std::string& request)>;

  explicit TestServer(Handler handler)
      : handler_(std::move(handler)), stop_(eventfd(0, EFD_CLOEXEC)), thread_([this] { Serve(); }) {}
  ~TestServer() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = write(stop_, &one, sizeof one);
    thread_.join();
    for (const int fd : hanging_) close(fd);
    close(stop_);
  }
  uint16_t port() const { return listener_.port(); }
  void SetHandler(Handler handler) {
    const std::lock_guard<std::mutex> lock(mutex_);
    handler_ = std::move(handler);
  }

  static After Say(int fd, const std::string& text) {
    size_t at = 0;
    while (at < text.size()) {
      const ssize_t n = send(fd, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    return After::kClose;
  }
  static After Answer(int fd, int status, const std::string& body) {
    return Say(fd, "HTTP/1.1 " + std::to_string(status) +
                       " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

 private:
  void Serve() {
    while (true) {
      pollfd fds[2] = {{listener_.fd(), POLLIN, 0}, {stop_, POLLIN, 0}};
      poll(fds, 2, -1);
      if (fds[1].revents != 0) return;
      const int fd = accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const std::string request = ReadRequest(fd);
      Handler handler;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        handler = handler_;
      }
      if (handler(fd, request) == After::kHang) {
        hanging_.push_back(fd);
      } else {
        close(fd);
      }
    }
  }
  std::string ReadRequest(int fd) {
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      pollfd fds[2] = {{fd, POLLIN, 0}, {stop_, POLLIN, 0}};
      poll(fds, 2, -1);
      if (fds[1].revents != 0) break;
      const ssize_t n = read(fd, buffer, sizeof buffer);
      if (n <= 0) break;
      request.append(buffer, static_cast<size_t>(n));
    }
    return request;
  }

  Listener listener_;
  std::mutex mutex_;
  Handler handler_;
  int stop_;
  std::vector<int> hanging_;  // of the server's thread, then of the destructor
  std::thread thread_;
};

inline IpAddress Loopback() { return IpAddress::V4(INADDR_LOOPBACK); }

}  // namespace dyncast::agent
