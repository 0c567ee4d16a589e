#include "agent/io/readers.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/core/cgroupfs.h"

namespace dyncast::agent {
namespace {

constexpr size_t kFileLimit = size_t{1} << 20;  // /proc/stat of a large machine has some 100 kB

// Reads and parses one file; names the problem or its end.
template <typename Parse>
auto ReadAndParse(const std::string& path, const char* what, const std::string& subject, std::string* buffer,
                  Problems* problems, Parse parse) -> std::optional<std::decay_t<decltype(*parse(""))>> {
  if (const Status read = ReadSmallFile(path, kFileLimit, buffer); !read) {
    problems->Failed("DC-AG-001", subject, what, read.error());
    return std::nullopt;
  }
  auto parsed = parse(*buffer);
  if (!parsed) {
    Error error = parsed.error();
    error.where = path;
    problems->Failed("DC-AG-001", subject, what, error);
    return std::nullopt;
  }
  problems->Works(subject, what);
  return std::move(*parsed);
}

}  // namespace

Status ReadSmallFile(const std::string& path, size_t limit, std::string* buffer) {
  const auto failed = [&] { return MakeError(Errc::kIo, std::strerror(errno), path); };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failed();
  size_t used = 0;
  Status status = Ok();
  while (true) {
    if (buffer->size() - used < 4096) buffer->resize(used + 16384);
    const ssize_t got = read(fd, buffer->data() + used, buffer->size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = failed();
    if (got <= 0) break;
    used += static_cast<size_t>(got);
    if (used > limit) {
      status = MakeError(Errc::kLimit, "more than " + std::to_string(limit) + " bytes", path);
      break;
    }
  }
  close(fd);
  buffer->resize(used);
  return status;
}

HostReadings HostReader::Read() {
  const std::string subject = "host";
  const auto read = [&](const char* file, const char* what, auto parse) {
    return ReadAndParse(proc_ + file, what, subject, &buffer_, problems_, parse);
  };
  HostReadings readings;
  readings.cpu = read("/stat", "cpu_utilization", ParseProcStat);
  readings.memory = read("/meminfo", "memory_utilization", ParseMeminfo);
  readings.load1 = read("/loadavg", "load1", ParseLoadavg);
  readings.pressure.cpu = read("/pressure/cpu", "cpu_pressure", ParsePressure);
  readings.pressure.memory = read("/pressure/memory", "memory_pressure", ParsePressure);
  readings.pressure.io = read("/pressure/io", "io_pressure", ParsePressure);
  return readings;
}

CgroupReadings CgroupReader::Read(const std::string& folder, const std::string& instance) {
  const auto read = [&](const char* file, const char* what, auto parse) {
    return ReadAndParse(folder + file, what, instance, &buffer_, problems_, parse);
  };
  CgroupReadings readings;
  readings.cpu_used = read("/cpu.stat", "cpu_utilization", ParseCpuStat);
  readings.cpu_limit_cores = read("/cpu.max", "cpu.max", ParseCpuMax);
  readings.memory_limit_bytes = read("/memory.max", "memory.max", ParseMemoryBytes);
  const auto memory = read("/memory.current", "memory_utilization", ParseMemoryBytes);
  if (memory && *memory) readings.memory_bytes = **memory;
  readings.pressure.cpu = read("/cpu.pressure", "cpu_pressure", ParsePressure);
  readings.pressure.memory = read("/memory.pressure", "memory_pressure", ParsePressure);
  readings.pressure.io = read("/io.pressure", "io_pressure", ParsePressure);
  return readings;
}

}  // namespace dyncast::agent
