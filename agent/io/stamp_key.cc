#include "agent/io/stamp_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace dyncast::agent {
namespace {

constexpr size_t kLeast = 16;
constexpr size_t kMost = 1024;

Result<StampKey> ReadKey(int fd, const std::string& path) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return MakeError(Errc::kIo, std::strerror(errno), path);
  if (!S_ISREG(status.st_mode)) return MakeError(Errc::kInvalid, "is not a regular file", path);
  if ((status.st_mode & S_IRWXO) != 0) {
    return MakeError(Errc::kInvalid, "others may read or write this key: chmod o= it", path);
  }
  std::array<char, kMost + 2> octets;  // one more than a key and its newline
  size_t size = 0;
  while (size < octets.size()) {
    const ssize_t got = read(fd, octets.data() + size, octets.size() - size);
    if (got < 0) return MakeError(Errc::kIo, std::strerror(errno), path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > 0 && octets[size - 1] == '\n') --size;
  if (size < kLeast || size > kMost) {
    return MakeError(Errc::kInvalid, "a key has 16 to 1024 bytes, a newline at its end not counted", path);
  }
  return StampKey(std::string(octets.data(), size));
}

}  // namespace

Result<StampKey> LoadStampKey(const std::string& path) {
  if (path.empty()) return StampKey();
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return MakeError(Errc::kIo, std::strerror(errno), path);
  Result<StampKey> key = ReadKey(fd, path);
  close(fd);
  return key;
}

}  // namespace dyncast::agent
