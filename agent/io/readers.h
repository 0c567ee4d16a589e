// Readers of /proc and of cgroup v2 folders. Paths are handed in, so that tests can use folders of their
// own. What can't be read is absent in the result and named to `problems`.
#pragma once

#include <string>

#include "agent/core/readings.h"
#include "agent/io/problems.h"
#include "schema/base/result.h"

namespace dyncast::agent {

// A small file's whole content; at most `limit` bytes. Reuses `*buffer`'s memory.
Status ReadSmallFile(const std::string& path, size_t limit, std::string* buffer);

class HostReader {
 public:
  // `proc`: "/proc" but in tests. `problems` must outlive the reader.
  HostReader(std::string proc, Problems* problems) : proc_(std::move(proc)), problems_(problems) {}
  HostReadings Read();

 private:
  std::string proc_;
  Problems* problems_;
  std::string buffer_;
};

class CgroupReader {
 public:
  explicit CgroupReader(Problems* problems) : problems_(problems) {}
  // `folder`: the cgroup's; `instance`: whose it is, for the log.
  CgroupReadings Read(const std::string& folder, const std::string& instance);

 private:
  Problems* problems_;
  std::string buffer_;
};

}  // namespace dyncast::agent
