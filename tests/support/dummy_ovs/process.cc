#include "tests/support/dummy_ovs/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace dyncast::test {
namespace {

// In the child. Does not return.
[[noreturn]] void Exec(std::vector<std::string> args, const Environment& environment, int output,
                       pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before prctl
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  // A preloaded sanitizer belongs to the test, not to what it starts.
  unsetenv("LD_PRELOAD");
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  const std::string sbin = "/usr/sbin/" + args[0];
  execv(sbin.c_str(), argv.data());
  _exit(127);
}

std::string Line(const std::vector<std::string>& args) {
  std::string line;
  for (const std::string& arg : args) line += (line.empty() ? "" : " ") + arg;
  return line;
}

}  // namespace

Result<Process> Process::Start(const std::vector<std::string>& args, const Environment& environment,
                               const std::string& output) {
  const int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return MakeError(Errc::kIo, output + ": " + std::strerror(errno));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Exec(args, environment, fd, parent);
  close(fd);
  if (pid < 0) return MakeError(Errc::kIo, Line(args) + ": " + std::strerror(errno));
  return Process(pid);
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, -1);
  }
  return *this;
}

bool Process::Running() {
  if (pid_ < 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

void Process::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Result<std::string> Run(const std::vector<std::string>& args, const Environment& environment) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return MakeError(Errc::kIo, std::strerror(errno));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) Exec(args, environment, ends[1], parent);
  close(ends[1]);
  std::string output;
  std::array<char, 65536> part{};
  for (;;) {
    const ssize_t n = read(ends[0], part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output.append(part.data(), static_cast<size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return MakeError(Errc::kIo, Line(args) + ": not started");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  return MakeError(Errc::kIo, Line(args) + ": status " + std::to_string(status) + ": " + output);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

namespace internal {
void PauseBriefly() { poll(nullptr, 0, 2); }
}  // namespace internal

}  // namespace dyncast::test
