#include "agent/io/plugin.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "agent/core/text.h"

namespace dyncast::agent {
namespace {

constexpr const char* kSearchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr size_t kReadsPerTurn = 4;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read;
  Descriptor write;
};

// The reader's end does not block.
std::optional<Pipe> OpenPipe() {
  std::array<int, 2> fds{};
  if (pipe2(fds.data(), O_CLOEXEC) != 0) return std::nullopt;
  Pipe made{.read = Descriptor(fds[0]), .write = Descriptor(fds[1])};
  if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) return std::nullopt;
  return made;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts)
    pointers.push_back(const_cast<char*>(text.c_str()));  // NOLINT: exec's
  pointers.push_back(nullptr);
  return pointers;
}

// The program in a process group of its own, with both pipes as its output, no other descriptor, and signals
// as at the start of any process. 0, or the errno of what failed.
int Spawn(const PluginSpec& spec, int out, int err, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> environment = spec.environment;
  environment.emplace_back(kSearchPath);
  const int error = posix_spawn(pid, spec.command[0].c_str(), &actions, &attributes,
                                Pointers(spec.command).data(), Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

std::string FirstLine(std::string_view text) {
  return text.empty() ? std::string() : ": " + Quoted(text.substr(0, text.find('\n')));
}

}  // namespace

struct PluginRunner::Run {
  std::string program;
  Done done;
  MonoTime deadline{};
  std::chrono::milliseconds timeout{0};
  pid_t pid = -1;
  Descriptor ended;  // readable when the program has ended
  std::array<Descriptor, 2> streams;
  std::array<std::string, 2> output;
  std::optional<Error> broken;  // why it was killed

  Error Failure(Errc code, std::string message) const { return MakeError(code, std::move(message), program); }
  void Kill(std::string why, Errc code) {
    if (!broken) broken = Failure(code, std::move(why));
    kill(-pid, SIGKILL);
  }
  // What is there to read of a stream, at most some reads. False: it is at its end.
  bool Take(size_t stream) {
    std::array<char, 16384> buffer;
    for (size_t i = 0; i < kReadsPerTurn; ++i) {
      const ssize_t got = read(streams[stream].get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno == EAGAIN;
      if (got == 0) return false;
      if (broken) continue;  // killed: what it still says is lost
      output[stream].append(buffer.data(), static_cast<size_t>(got));
      if (output[stream].size() > kMaxOutput) {
        Kill("more than " + std::to_string(kMaxOutput) + " bytes of output", Errc::kLimit);
      }
    }
    return true;
  }
  Result<std::string> Outcome(int status) {
    if (broken) return *broken;
    if (WIFSIGNALED(status)) {
      return Failure(Errc::kIo, "ended by signal " + std::to_string(WTERMSIG(status)) + FirstLine(output[1]));
    }
    if (WEXITSTATUS(status) != 0) {
      return Failure(Errc::kIo, "exit status " + std::to_string(WEXITSTATUS(status)) + FirstLine(output[1]));
    }
    return std::move(output[0]);
  }
};

PluginRunner::PluginRunner(Poller* poller) : poller_(poller) {}

PluginRunner::~PluginRunner() {
  for (auto& [id, run] : running_) {
    poller_->Remove(run->ended.get());
    for (const Descriptor& stream : run->streams) {
      if (stream.get() >= 0) poller_->Remove(stream.get());
    }
    kill(-run->pid, SIGKILL);
    waitpid(run->pid, nullptr, 0);
  }
}

void PluginRunner::Start(PluginSpec spec, MonoTime now, Done done) {
  if (running_.size() >= kMaxAtOnce) {
    waiting_.push_back({.spec = std::move(spec), .done = std::move(done)});
  } else {
    Launch(std::move(spec), now, std::move(done));
  }
}

void PluginRunner::Launch(PluginSpec spec, MonoTime now, Done done) {
  const auto failed = [&](const char* what, int error) {
    return done(MakeError(Errc::kIo, std::string(what) + ": " + std::strerror(error), spec.command[0]));
  };
  std::optional<Pipe> out = OpenPipe();
  std::optional<Pipe> err = OpenPipe();
  if (!out || !err) return failed("pipe", errno);
  auto run = std::make_unique<Run>();
  if (const int error = Spawn(spec, out->write.get(), err->write.get(), &run->pid); error != 0) {
    return failed("can't be started", error);
  }
  run->ended = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, run->pid, 0)));
  const int error = errno;
  const uint64_t id = ++last_id_;
  const auto watch = [&](int fd, Poller::Callback callback) {
    return poller_->Add(fd, EPOLLIN, std::move(callback)).ok();
  };
  if (run->ended.get() < 0 || !watch(run->ended.get(), [this, id](uint32_t) { OnEnd(id); })) {
    kill(-run->pid, SIGKILL);
    waitpid(run->pid, nullptr, 0);
    return failed("can't be watched", error);
  }
  run->program = spec.command[0];
  run->done = std::move(done);
  run->timeout = spec.timeout;
  run->deadline = now + spec.timeout;
  run->streams = {std::move(out->read), std::move(err->read)};
  for (const int stream : {0, 1}) {
    // Not watched is read at the end all the same.
    const int fd = run->streams[static_cast<size_t>(stream)].get();
    watch(fd, [this, id, stream](uint32_t) { OnOutput(id, stream); });
  }
  running_[id] = std::move(run);
}

void PluginRunner::OnOutput(uint64_t id, int stream) {
  Run& run = *running_.at(id);
  const auto index = static_cast<size_t>(stream);
  if (run.Take(index)) return;
  poller_->Remove(run.streams[index].get());
  run.streams[index].Close();
}

void PluginRunner::OnEnd(uint64_t id) {
  const auto it = running_.find(id);
  const std::unique_ptr<Run> run = std::move(it->second);
  running_.erase(it);
  poller_->Remove(run->ended.get());
  // What it started may still hold the pipes open: only what is there by now counts.
  for (size_t stream = 0; stream < run->streams.size(); ++stream) {
    const int fd = run->streams[stream].get();
    if (fd < 0) continue;
    run->Take(stream);  // at least what a pipe holds
    poller_->Remove(fd);
  }
  // Before it is waited for, its process group can be nobody else's.
  kill(-run->pid, SIGKILL);
  int status = 0;
  waitpid(run->pid, &status, 0);
  run->done(run->Outcome(status));
  while (!waiting_.empty() && running_.size() < kMaxAtOnce) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    Launch(std::move(next.spec), ReadClocks().mono, std::move(next.done));
  }
}

void PluginRunner::OnTimers(MonoTime now) {
  for (auto& [id, run] : running_) {
    if (run->deadline > now || run->broken) continue;
    run->Kill("still running after " + std::to_string(run->timeout.count()) + " ms", Errc::kUnavailable);
  }
}

MonoTime PluginRunner::NextDeadline() const {
  MonoTime next = MonoTime::max();
  for (const auto& [id, run] : running_) {
    if (!run->broken) next = std::min(next, run->deadline);
  }
  return next;
}

}  // namespace dyncast::agent
