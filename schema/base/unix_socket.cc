#include "schema/base/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace dyncast {
namespace {

Error SystemError(const std::string& what, const std::string& path) {
  return MakeError(Errc::kIo, what + ": " + std::generic_category().message(errno), path);
}

}  // namespace

Result<int> ListenUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return MakeError(Errc::kInvalid,
                     "a socket's path has 1 to " + std::to_string(sizeof address.sun_path - 1) + " bytes",
                     path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);

  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return SystemError("cannot make a socket", path);
  if (connect(fd, generic, sizeof address) == 0) {
    close(fd);
    return MakeError(Errc::kConflict, "another program serves this socket already", path);
  }
  if (errno == ECONNREFUSED) unlink(path.c_str());  // left behind by a program that was killed

  const mode_t before = umask(0117);
  const int bound = bind(fd, generic, sizeof address);
  umask(before);
  if (bound != 0 || listen(fd, 64) != 0) {
    const Error error = SystemError("cannot listen", path);
    close(fd);
    return error;
  }
  return fd;
}

}  // namespace dyncast
