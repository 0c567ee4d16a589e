// What the agent costs its host: processor and memory of the real program with four instances (TCP and HTTP
// health checks, two scraped pages, sessions by sock_diag) and one controller that takes its messages,
// over 30 s (--quick: 5 s). Beside the limits that the project sets itself: 1% of a core, 20 MB.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "agent/core/open_metrics.h"
#include "schema/wire/message.h"
#include "tests/bench/common/rows.h"

namespace dyncast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kCpuLimitPercent = 1.0;
constexpr double kMemoryLimitMb = 20.0;
constexpr int kInstances = 4;

// Answers every connection with one page.
class PageServer {
 public:
  PageServer() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0 || listen(fd_, 64) != 0)
      std::exit(1);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~PageServer() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;
  uint16_t port() const { return port_; }

 private:
  void Serve() {
    std::string body;
    for (int i = 0; i < 100; ++i)
      body += "family_bucket{le=\"" + std::to_string(i) + "\",path=\"/x\"} 12345\n";
    body += "requests_total 1000\nqueue_length 3\n# EOF\n";
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    while (true) {
      const int client = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      char buffer[4096];
      if (read(client, buffer, sizeof buffer) > 0) {
        [[maybe_unused]] const ssize_t n = send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
      close(client);
    }
  }
  int fd_;
  uint16_t port_ = 0;
  std::thread thread_;
};

std::string Config(const std::string& endpoint, const std::vector<PageServer>& servers,
                   std::string_view options) {
  std::ostringstream yaml;
  yaml << "name: bench\ncontrollers: [\"" << endpoint << "\"]\n" << options << "instances:\n";
  for (size_t i = 0; i < servers.size(); ++i) {
    const uint16_t port = servers[i].port();
    yaml << "  - name: i" << i << "\n    service: web" << i << "\n    bid: 127.0.0.1\n    port: " << port
         << "\n";
    yaml << "    health: {check: " << (i % 2 == 0 ? "tcp" : "http") << "}\n";
    if (i % 2 != 0) continue;
    yaml << "    scrape:\n      url: http://127.0.0.1:" << port << "/metrics\n      metrics:\n"
         << "        - {name: queue, from: queue_length}\n"
         << "        - {name: request_rate, from: requests_total, rate: true}\n";
  }
  return yaml.str();
}

// User and system time of a process so far, in seconds; from its schedstat, which has nanoseconds and
// counts one thread, so over all of them.
double CpuSeconds(pid_t pid) {
  double sum = 0;
  std::error_code ec;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ec)) {
    std::ifstream in(task.path() / "schedstat");
    uint64_t ns = 0;
    if (in >> ns) sum += static_cast<double>(ns) * 1e-9;
  }
  return sum;
}

double ResidentMb(pid_t pid, std::string_view key) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size(), nullptr) / 1024;
  }
  return 0;
}

struct Cost {
  double cpu_percent = 0;
  double resident_mb = 0;
  double peak_mb = 0;
  double messages_per_s = 0;
  bool ok = false;
};

Cost Measure(const std::string& name, std::string_view options, std::chrono::seconds duration) {
  zmq::context_t context(1);
  zmq::socket_t subscriber(context, zmq::socket_type::sub);
  subscriber.set(zmq::sockopt::linger, 0);
  subscriber.set(zmq::sockopt::subscribe, "");
  subscriber.bind("tcp://127.0.0.1:*");
  std::vector<PageServer> servers(kInstances);
  const std::string path =
      std::filesystem::temp_directory_path() / ("dyncast-bench-agent-" + std::to_string(getpid()) + ".yaml");
  std::ofstream(path) << Config(subscriber.get(zmq::sockopt::last_endpoint), servers, options);

  const pid_t pid = fork();
  if (pid == 0) {
    execl(DYNCAST_AGENT_PROGRAM, "dyncast-agent", "--config", path.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  // Measures from the second on in which the start is over.
  const auto begin = Clock::now() + std::chrono::seconds(1);
  const auto end = begin + duration;
  double cpu_at_begin = -1;
  uint64_t messages = 0;
  Cost cost;
  while (Clock::now() < end) {
    if (cpu_at_begin < 0 && Clock::now() >= begin) cpu_at_begin = CpuSeconds(pid);
    zmq::pollitem_t item{subscriber, 0, ZMQ_POLLIN, 0};
    if (zmq::poll(&item, 1, std::chrono::milliseconds(100)) == 0) continue;
    zmq::message_t topic;
    zmq::message_t body;
    if (!subscriber.recv(topic) || !subscriber.recv(body)) break;
    if (!wire::Decode(topic.to_string_view(), body.to_string_view())) break;
    if (cpu_at_begin >= 0) ++messages;
  }
  const double seconds = std::chrono::duration<double>(duration).count();
  cost.cpu_percent = (CpuSeconds(pid) - cpu_at_begin) / seconds * 100;
  cost.resident_mb = ResidentMb(pid, "VmRSS:");
  cost.peak_mb = ResidentMb(pid, "VmHWM:");
  cost.messages_per_s = static_cast<double>(messages) / seconds;
  kill(pid, SIGTERM);
  int status = 0;
  waitpid(pid, &status, 0);
  std::filesystem::remove(path);
  cost.ok = messages > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!cost.ok)
    std::fprintf(stderr, "%s: the agent sent nothing, or ended with status %d\n", name.c_str(), status);
  return cost;
}

// A large page, of 30,000 samples.
double PageMegabytesPerSecond() {
  std::string page;
  for (int i = 0; i < 30000; ++i)
    page += "http_requests_total{code=\"200\",path=\"/p" + std::to_string(i) + "\"} 1\n";
  page += "queue_length 3\n# EOF\n";
  config::ScrapedMetric metric;
  metric.from = "queue_length";
  std::vector<double> rates;
  for (int run = 0; run < 7; ++run) {
    const auto start = Clock::now();
    const auto picked = agent::PickMetrics(page, {metric});
    const std::chrono::duration<double> took = Clock::now() - start;
    if (!picked || (*picked)[0] != 3) std::exit(1);
    rates.push_back(static_cast<double>(page.size()) / 1e6 / took.count());
  }
  return bench::Median(rates);
}

int Main(const bench::Options& options) {
  const std::chrono::seconds duration(options.quick ? 5 : 30);
  struct Case {
    const char* name;
    const char* options;
  };
  const Case cases[] = {
      {"interval-1s", ""},
      {"thresholds-250ms",
       "thresholds: [{metric: cpu_utilization, change: 0.2}, {metric: sessions, change: 10}]\n"},
  };
  std::vector<bench::Row> rows;
  for (const Case& c : cases) {
    const Cost cost = Measure(c.name, c.options, duration);
    if (!cost.ok) return 1;
    const auto add = [&](const char* metric, double value, const char* unit, double limit) {
      bench::Row row{.group = "agent",
                     .name = c.name,
                     .subject = "dyncast-agent",
                     .metric = metric,
                     .value = value,
                     .unit = unit,
                     .runs = 1,
                     .ratio_to = limit > 0 ? "limit" : "",
                     .ratio = limit > 0 ? value / limit : 0};
      rows.push_back(row);
    };
    add("cpu", cost.cpu_percent, "% of core", kCpuLimitPercent);
    add("resident", cost.resident_mb, "MB", kMemoryLimitMb);
    add("resident-peak", cost.peak_mb, "MB", kMemoryLimitMb);
    add("messages", cost.messages_per_s, "1/s", 0);
  }
  rows.push_back({.group = "agent",
                  .name = "openmetrics-page",
                  .subject = "dyncast-agent",
                  .metric = "parsed",
                  .value = PageMegabytesPerSecond(),
                  .unit = "MB/s",
                  .runs = 7,
                  .ratio_to = "",
                  .ratio = 0});
  return bench::Report(rows, options.json);
}

}  // namespace
}  // namespace dyncast

int main(int argc, char** argv) { return dyncast::Main(dyncast::bench::ParseOptions(argc, argv)); }
