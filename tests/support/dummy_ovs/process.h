// Child processes of a test: none outlives it, whatever happens.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "schema/base/result.h"

namespace dyncast::test {

using Environment = std::vector<std::pair<std::string, std::string>>;

// A running program. Killed (SIGKILL) and reaped by the destructor, and by the kernel if the thread that
// started it dies first.
class Process {
 public:
  // `args[0]` is looked up in PATH and then in /usr/sbin. stdout and stderr are appended to `output`.
  static Result<Process> Start(const std::vector<std::string>& args, const Environment& environment,
                               const std::string& output);
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Process& operator=(Process&& other) noexcept;
  ~Process() { Kill(); }

  bool Running();
  void Kill();
  pid_t pid() const { return pid_; }

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

// Runs to the end. Output (stdout and stderr together) if it exits with 0; else kIo with command, exit
// status and output.
Result<std::string> Run(const std::vector<std::string>& args, const Environment& environment);

std::string ReadFile(const std::string& path);  // empty where there is none

// Calls `holds` until it returns true; false after `limit` of real time.
template <typename F>
bool Eventually(F holds, std::chrono::milliseconds limit = std::chrono::milliseconds{20000});

namespace internal {
void PauseBriefly();
}
template <typename F>
bool Eventually(F holds, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    internal::PauseBriefly();
  }
  return true;
}

}  // namespace dyncast::test
