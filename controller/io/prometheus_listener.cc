#include "controller/io/prometheus_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "controller/io/prometheus_page.h"
#include "controller/io/scrape_http.h"
#include "schema/base/log.h"

namespace dyncast {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{2};

Error SystemError(const std::string& what, const std::string& where) {
  return MakeError(Errc::kIo, what + ": " + std::generic_category().message(errno), where);
}

Result<sockaddr_in> ParseListen(const std::string& listen) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const size_t colon = listen.rfind(':');
  uint16_t port = 0;
  if (colon != std::string::npos &&
      inet_pton(AF_INET, listen.substr(0, colon).c_str(), &address.sin_addr) == 1) {
    const char* end = listen.data() + listen.size();
    const auto [rest, code] = std::from_chars(listen.data() + colon + 1, end, port);
    if (code == std::errc{} && rest == end) {
      address.sin_port = htons(port);
      return address;
    }
  }
  return MakeError(Errc::kInvalid, "must be IPv4:PORT", listen);
}

}  // namespace

struct PrometheusListener::Impl {
  ~Impl() {
    for (const int fd : {listener, stop}) {
      if (fd >= 0) close(fd);
    }
  }

  void Serve();
  void Answer(int peer);
  // False: stopped, or not in time.
  bool Ready(int fd, short what, Clock::time_point until) const;

  Page page;
  int listener = -1;
  int stop = -1;  // readable: leave
  int port = 0;
  std::thread thread;
};

bool PrometheusListener::Impl::Ready(int fd, short what, Clock::time_point until) const {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return false;
    pollfd fds[] = {{fd, what, 0}, {stop, POLLIN, 0}};
    const int n = poll(fds, 2, static_cast<int>(left));
    if (n < 0 && errno == EINTR) continue;
    return n > 0 && fds[1].revents == 0 && fds[0].revents != 0;
  }
}

void PrometheusListener::Impl::Answer(int peer) {
  const auto until = Clock::now() + kPatience;
  std::string head;
  while (head.find("\r\n\r\n") == std::string::npos) {
    char piece[2048];
    if (head.size() >= kMaxScrapeRequest || !Ready(peer, POLLIN, until)) return;
    const ssize_t n = recv(peer, piece, sizeof piece, MSG_DONTWAIT);
    if (n <= 0) return;
    head.append(piece, static_cast<size_t>(n));
  }
  std::string answer;
  switch (ReadScrape(head)) {
    case ScrapeWish::kPage: {
      const Result<std::string> text = page();
      answer = text.ok() ? ScrapeAnswer(200, api::kPrometheusContentType, *text)
                         : ScrapeAnswer(503, "text/plain", text.error().ToString() + "\n");
      break;
    }
    case ScrapeWish::kNotFound: answer = ScrapeAnswer(404, "text/plain", "only /metrics is here\n"); break;
    case ScrapeWish::kNotAllowed: answer = ScrapeAnswer(405, "text/plain", "only GET is served\n"); break;
    case ScrapeWish::kMalformed: answer = ScrapeAnswer(400, "text/plain", "not a request of HTTP/1\n"); break;
  }
  const auto sent_until = Clock::now() + kPatience;
  for (size_t sent = 0; sent < answer.size();) {
    if (!Ready(peer, POLLOUT, sent_until)) return;
    const ssize_t n = send(peer, answer.data() + sent, answer.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) return;
    sent += static_cast<size_t>(n);
  }
  shutdown(peer, SHUT_WR);
}

void PrometheusListener::Impl::Serve() {
  for (;;) {
    pollfd fds[] = {{listener, POLLIN, 0}, {stop, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    const int peer = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) {
      // Out of descriptors: somebody else must give one back first.
      if (errno == EMFILE || errno == ENFILE) poll(&fds[1], 1, 100);
      continue;
    }
    Answer(peer);
    close(peer);
  }
}

PrometheusListener::PrometheusListener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<PrometheusListener>> PrometheusListener::Start(const std::string& listen, Page page) {
  Result<sockaddr_in> address = ParseListen(listen);
  if (!address.ok()) return address.error();
  auto impl = std::make_unique<Impl>();
  impl->page = std::move(page);
  impl->stop = eventfd(0, EFD_CLOEXEC);
  impl->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (impl->listener < 0 || impl->stop < 0) return SystemError("cannot make a socket", listen);
  const int yes = 1;
  setsockopt(impl->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  auto* generic = reinterpret_cast<sockaddr*>(&*address);
  socklen_t size = sizeof *address;
  if (bind(impl->listener, generic, size) != 0 || ::listen(impl->listener, 16) != 0 ||
      getsockname(impl->listener, generic, &size) != 0) {
    return SystemError("cannot listen", listen);
  }
  impl->port = ntohs(address->sin_port);
  Impl* raw = impl.get();
  impl->thread = std::thread([raw] { raw->Serve(); });
  return std::unique_ptr<PrometheusListener>(new PrometheusListener(std::move(impl)));
}

PrometheusListener::~PrometheusListener() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(impl_->stop, &one, sizeof one);
  impl_->thread.join();
}

int PrometheusListener::port() const { return impl_->port; }

}  // namespace dyncast
