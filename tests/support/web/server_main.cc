// dyncast-web: a real HTTP/1.1 server that says which instance it is and can do real work.
//   /            the instance's name
//   /whoami      who asks whom over which connection, as JSON
//   /work?ms=N   burns N ms of CPU, then answers as /
//   /serve?us=N  with --places: waits for a place, holds it for N us without CPU, then answers as /
//   /speed?percent=N  with --places: how fast the places work from now on
//   /metrics     OpenMetrics
//   /healthz     "ok"
#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "tests/support/web/http.h"
#include "tests/support/web/socket.h"
#include "tests/support/web/station.h"
#include "tests/support/web/stats.h"

namespace dyncast::web {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::vector<std::string> bind;
  std::string name;
  uint32_t workers = 2;
  uint32_t places = 0;  // of a station that serves /serve; 0: there is none
  bool udp = false;
};

[[noreturn]] void Die(const std::string& what) {
  fmt::print(stderr, "dyncast-web: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

struct Connection {
  uint64_t id = 0;
  SocketAddress peer;
  uint64_t requests = 0;
  // The request that waits for the station, or is served there; later ones wait for its answer.
  bool asked = false;
  bool asked_keep_alive = true;
  Clock::time_point asked_at{};
  std::string input;
  std::string output;
};

std::atomic<uint64_t> next_connection_id{1};

void BurnCpu(std::chrono::nanoseconds amount) {
  timespec start{};
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
  do {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  } while (std::chrono::seconds(now.tv_sec - start.tv_sec) +
               std::chrono::nanoseconds(now.tv_nsec - start.tv_nsec) <
           amount);
}

int OpenSocket(const SocketAddress& address, int type) {
  const int fd = socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
      bind(fd, address.raw(), address.length) != 0) {
    Die("bind");
  }
  return fd;
}

// One thread: own listeners (the kernel spreads connections over the workers), own connections.
class Worker {
 public:
  Worker(const Options& options, const std::vector<SocketAddress>& addresses, ServerStats* stats)
      : name_(options.name), stats_(stats), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    for (const SocketAddress& address : addresses) {
      const int tcp = OpenSocket(address, SOCK_STREAM);
      if (listen(tcp, 16384) != 0) {
        Die("listen");
      }
      Watch(tcp, EPOLLIN);
      listeners_.insert(tcp);
      if (options.udp) {
        const int udp = OpenSocket(address, SOCK_DGRAM);
        Watch(udp, EPOLLIN);
        datagrams_.insert(udp);
      }
    }
    if (options.places == 0) return;
    station_ = std::make_unique<Station>(options.places, Clock::now(),
                                         [stats](Clock::time_point from, Clock::time_point to, size_t busy) {
                                           stats->AddBusy(from, to, busy);
                                         });
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    Watch(timer_, EPOLLIN);
  }

  [[noreturn]] void Run() {
    while (true) {
      std::array<epoll_event, 64> events;
      const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      now_ = Clock::now();
      if (station_) {
        std::vector<int> done;
        station_->Run(now_, [&](uint64_t ticket, Clock::time_point at) {
          Served(tickets_.at(ticket), at);
          done.push_back(tickets_.at(ticket));
          tickets_.erase(ticket);
        });
        // What else they have asked for comes behind all that was done by now.
        for (const int fd : done) Process(fd, !connections_.at(fd)->asked_keep_alive);
      }
      for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        const int fd = event.data.fd;
        if (fd == timer_) {
          uint64_t expirations = 0;
          [[maybe_unused]] const ssize_t got = read(timer_, &expirations, sizeof expirations);
        } else if (listeners_.contains(fd)) {
          Accept(fd);
        } else if (datagrams_.contains(fd)) {
          AnswerDatagrams(fd);
        } else if (connections_.contains(fd)) {
          Serve(fd);
        }
      }
      if (station_) {
        stats_->SetWaiting(station_->waiting());
        ArmTimer();
      }
    }
  }

 private:
  void Watch(int fd, uint32_t what) {
    epoll_event event{};
    event.events = what;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void Accept(int listener) {
    while (true) {
      auto connection = std::make_unique<Connection>();
      connection->peer.length = sizeof connection->peer.storage;
      const int fd = accept4(listener, reinterpret_cast<sockaddr*>(&connection->peer.storage),
                             &connection->peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        return;
      }
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connection->id = next_connection_id++;
      stats_->ConnectionOpened();
      connections_[fd] = std::move(connection);
      Watch(fd, EPOLLIN);
    }
  }

  // The name and a line's end, then what was asked from there on: an answer as long as the question.
  void AnswerDatagrams(int fd) {
    std::array<char, 65536> buffer;
    SocketAddress peer;
    while (true) {
      peer.length = sizeof peer.storage;
      const ssize_t got = recvfrom(fd, buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&peer.storage), &peer.length);
      if (got < 0) {
        return;
      }
      std::string answer = name_ + "\n";
      if (static_cast<size_t>(got) > answer.size()) {
        answer.append(buffer.data() + answer.size(), static_cast<size_t>(got) - answer.size());
      }
      sendto(fd, answer.data(), answer.size(), 0, peer.raw(), peer.length);
    }
  }

  void ArmTimer() {
    itimerspec spec{};
    if (const auto due = station_->NextDue()) {
      const int64_t ns = std::max<int64_t>(1, std::chrono::nanoseconds(due->time_since_epoch()).count());
      spec.it_value = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    }
    timerfd_settime(timer_, TFD_TIMER_ABSTIME, &spec, nullptr);
  }

  void Close(int fd) {
    const Connection& connection = *connections_.at(fd);
    if (connection.asked) {
      station_->Cancel(connection.id, now_);
      tickets_.erase(connection.id);
      stats_->RequestLeft();
    }
    connections_.erase(fd);
    stats_->ConnectionClosed();
    close(fd);
  }

  void Serve(int fd) {
    Connection& connection = *connections_.at(fd);
    std::array<char, 16384> buffer;
    bool ended = false;
    while (true) {
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
      if (got > 0) {
        connection.input.append(buffer.data(), static_cast<size_t>(got));
        continue;
      }
      ended = got == 0 || (errno != EAGAIN && errno != EINTR);
      break;
    }
    Process(fd, ended);
  }

  // Answers what was read, in order. `ended`: the client is gone, or wants no more.
  void Process(int fd, bool ended) {
    Connection& connection = *connections_.at(fd);
    while (!ended && !connection.asked) {
      const ParsedRequest parsed = ParseRequest(connection.input);
      if (parsed.state == ParseState::kIncomplete) {
        break;
      }
      if (parsed.state == ParseState::kBad) {
        connection.output += "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        ended = true;
        break;
      }
      connection.input.erase(0, parsed.consumed);
      ++connection.requests;
      if (station_ && parsed.request.path == "/serve") {
        Ask(fd, parsed.request, &connection);
      } else {
        Answer(parsed.request, &connection);
        ended = !parsed.request.keep_alive;
      }
    }
    Flush(fd, &connection, ended);
  }

  // Puts a request before the station.
  void Ask(int fd, const Request& request, Connection* connection) {
    const std::string text = QueryValue(request.query, "us").value_or("");
    const int us = text.empty() || text.size() > 8 ? 0 : std::atoi(text.c_str());
    connection->asked = true;
    connection->asked_keep_alive = request.keep_alive;
    connection->asked_at = now_;
    tickets_[connection->id] = fd;
    stats_->RequestStarted();
    station_->Offer(connection->id, std::chrono::microseconds(std::max(0, us)), now_);
  }

  // The station is done with a connection's request.
  void Served(int fd, Clock::time_point at) {
    Connection& connection = *connections_.at(fd);
    connection.asked = false;
    stats_->RequestServed(connection.asked_at, at);
    Write(200, "text/plain", name_ + "\n", connection.asked_keep_alive, &connection);
  }

  // Changes how fast the station serves: percent=1..1000.
  std::optional<std::string> SetSpeed(const Request& request) {
    const std::string text = QueryValue(request.query, "percent").value_or("");
    const int percent = text.empty() || text.size() > 4 ? 0 : std::atoi(text.c_str());
    if (!station_ || percent < 1 || percent > 1000) return std::nullopt;
    station_->SetSpeed(percent / 100.0, now_);
    return fmt::format("{}\n", percent);
  }

  void Flush(int fd, Connection* connection, bool ended) {
    while (!connection->output.empty()) {
      const ssize_t sent = send(fd, connection->output.data(), connection->output.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        ended |= errno != EAGAIN;
        break;
      }
      connection->output.erase(0, static_cast<size_t>(sent));
    }
    if (ended) {
      Close(fd);
      return;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    if (!connection->output.empty()) {
      event.events |= EPOLLOUT;
    }
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
  }

  void Answer(const Request& request, Connection* connection) {
    const Clock::time_point started = Clock::now();
    stats_->RequestStarted();
    int status = 200;
    std::string body = name_ + "\n";
    std::string_view type = "text/plain";
    if (request.method != "GET") {
      status = 405;
    } else if (request.path == "/work") {
      const std::string text = QueryValue(request.query, "ms").value_or("");
      const int ms = text.empty() || text.size() > 5 ? -1 : std::atoi(text.c_str());
      if (ms < 0 || ms > 60000) {
        status = 400;
        body = "work: ms must be 0..60000\n";
      } else {
        BurnCpu(std::chrono::milliseconds(ms));
      }
    } else if (request.path == "/whoami") {
      type = "application/json";
      body =
          fmt::format(R"({{"instance":"{}","client_ip":"{}","client_port":{},"connection":{},"request":{}}})"
                      "\n",
                      name_, AddressText(connection->peer.storage), PortOf(connection->peer.storage),
                      connection->id, connection->requests);
    } else if (request.path == "/metrics") {
      type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
      body = stats_->OpenMetrics(started);
    } else if (request.path == "/healthz") {
      body = "ok\n";
    } else if (request.path == "/speed") {
      const auto set = SetSpeed(request);
      status = set ? 200 : 400;
      body = set.value_or("speed: percent must be 1..1000, and there must be --places\n");
    } else if (request.path != "/") {
      status = 404;
      body = "no such page\n";
    }
    Write(status, type, body, request.keep_alive, connection);
    if (station_) {
      stats_->RequestLeft();  // its figures are those of the station
    } else {
      stats_->RequestEnded(started, Clock::now());
    }
  }

  void Write(int status, std::string_view type, std::string_view body, bool keep_alive,
             Connection* connection) {
    connection->output +=
        fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nX-Instance: {}\r\nContent-Length: {}\r\n{}\r\n{}",
                    status, status == 200 ? "OK" : "Refused", type, name_, body.size(),
                    keep_alive ? "" : "Connection: close\r\n", body);
  }

  const std::string name_;
  ServerStats* const stats_;
  const int epoll_;
  Clock::time_point now_{};  // of this turn
  std::unique_ptr<Station> station_;
  int timer_ = -1;
  std::map<uint64_t, int> tickets_;  // the connection's id -> its descriptor, for those at the station
  std::set<int> listeners_;
  std::set<int> datagrams_;
  std::map<int, std::unique_ptr<Connection>> connections_;
};

int Run(const Options& options) {
  std::vector<SocketAddress> addresses;
  for (const std::string& text : options.bind) {
    const auto endpoint = ParseEndpoint(text);
    const auto address = endpoint ? MakeAddress(endpoint->address, endpoint->port) : std::nullopt;
    if (!address) {
      fmt::print(stderr, "dyncast-web: --bind {}: not ADDRESS:PORT\n", text);
      return 2;
    }
    addresses.push_back(*address);
  }
  const rlimit files{.rlim_cur = 65536, .rlim_max = 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  // A station's places are what can be busy; one thread moves requests in and out.
  ServerStats stats(options.places != 0 ? options.places : options.workers);
  std::vector<std::unique_ptr<Worker>> workers;
  for (uint32_t i = 0; i < (options.places != 0 ? 1 : options.workers); ++i) {
    workers.push_back(std::make_unique<Worker>(options, addresses, &stats));
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  for (auto& worker : workers) {
    std::thread([&worker] { worker->Run(); }).detach();
  }
  int signal = 0;
  sigwait(&signals, &signal);
  std::_Exit(0);  // the workers' sockets close with the process
}

}  // namespace
}  // namespace dyncast::web

int main(int argc, char** argv) {
  dyncast::web::Options options;
  CLI::App app{"An HTTP server that says which instance it is and can do real work."};
  app.add_option("--bind", options.bind, "ADDRESS:PORT to listen on, several with commas")
      ->required()
      ->delimiter(',');
  app.add_option("--name", options.name, "the instance's name")->required();
  app.add_option("--workers", options.workers, "threads; each serves one request at a time")
      ->check(CLI::Range(1, 64));
  app.add_option("--places", options.places,
                 "one thread; /serve?us=N waits for one of so many places and holds it for N us")
      ->check(CLI::Range(1, 100000));
  app.add_flag("--udp", options.udp,
               "answer datagrams on the same ports, too: the name, then the question's rest");
  app.set_version_flag("--version", DYNCAST_VERSION);
  CLI11_PARSE(app, argc, argv);
  return dyncast::web::Run(options);
}
