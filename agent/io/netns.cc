#include "agent/io/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

namespace dyncast::agent {
namespace {

Result<int> Open(int family, int type, int protocol) {
  const int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return MakeError(Errc::kIo, std::string("socket: ") + std::strerror(errno));
  return fd;
}

Result<int> OpenInside(const std::string& path, int family, int type, int protocol) {
  const int ns = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (ns < 0) return NamespaceError(path, errno);
  const int entered = setns(ns, CLONE_NEWNET);
  const int error = errno;
  close(ns);
  if (entered == 0) return Open(family, type, protocol);
  std::string message = std::string("can't enter the network namespace: ") + std::strerror(error);
  if (error == EPERM)
    message += " (it needs CAP_SYS_ADMIN: run the agent as root or grant it that capability)";
  return MakeError(Errc::kIo, std::move(message), path);
}

}  // namespace

Error NamespaceError(const std::string& path, int error_number) {
  std::string message = std::string("can't open the network namespace: ") + std::strerror(error_number);
  if (error_number == EACCES || error_number == EPERM) {
    message += " (the /proc/PID/ns/net of another user's process needs CAP_SYS_PTRACE)";
  }
  return MakeError(Errc::kIo, std::move(message), path);
}

Result<int> OpenSocketIn(const std::string& path, int family, int type, int protocol) {
  if (path.empty()) return Open(family, type, protocol);
  Result<int> result = MakeError(Errc::kInternal, "the helper thread did not run");
  try {
    std::thread([&] { result = OpenInside(path, family, type, protocol); }).join();
  } catch (const std::system_error& e) {
    return MakeError(Errc::kIo, std::string("no thread to enter the namespace: ") + e.what(), path);
  }
  return result;
}

}  // namespace dyncast::agent
