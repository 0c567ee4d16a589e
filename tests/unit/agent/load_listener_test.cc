#include "agent/io/load_listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "test_server.h"

namespace dyncast::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

uint16_t FreePort() {
  const Listener listener;
  return listener.port();
}

int ConnectTo(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return fd;
}

std::string Post(const std::string& path, const std::string& body, const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class LoadListenerTest : public testing::Test {
 protected:
  void SetUp() override {
    port_ = FreePort();
    const Status listens = listener_.Listen("127.0.0.1:" + std::to_string(port_));
    ASSERT_TRUE(listens) << listens.error().ToString();
  }
  void Turn() {
    const MonoTime now = ReadClocks().mono;
    listener_.OnTimers(now);
    poller_.Wait(std::min(listener_.NextDeadline(now), now + milliseconds(50)) - now);
  }
  // Writes `text` and turns the loop until the peer closed the connection or `enough` holds of what it said.
  std::string Talk(int fd, std::string text, const std::function<bool(const std::string&)>& enough) {
    std::string said;
    const MonoTime end = ReadClocks().mono + seconds(20);
    while (ReadClocks().mono < end) {
      if (!text.empty()) {
        const ssize_t sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent > 0) text.erase(0, static_cast<size_t>(sent));
        if (sent < 0 && errno != EAGAIN && errno != EINPROGRESS && errno != ENOTCONN) text.clear();
      }
      Turn();
      char buffer[4096];
      const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
      if (got == 0 || (got < 0 && errno == ECONNRESET)) break;
      if (got > 0) said.append(buffer, static_cast<size_t>(got));
      if (enough(said)) break;
    }
    return said;
  }
  std::string Ask(const std::string& text) {
    const int fd = ConnectTo(port_);
    std::string said = Talk(fd, text, [](const std::string& s) { return s.find("\r\n\r\n") != s.npos; });
    close(fd);
    return said;
  }

  Poller poller_;
  std::vector<LoadPost> posts_;
  LoadListener listener_{&poller_, [this](const LoadPost& post) {
                           posts_.push_back(post);
                           if (post.body == "bad")
                             return LoadListener::Answer{.status = 400, .text = "is bad"};
                           return LoadListener::Answer{};
                         }};
  uint16_t port_ = 0;
};

TEST_F(LoadListenerTest, HandsOverWhatIsPosted) {
  EXPECT_THAT(Ask(Post("/v1/load/a?x=1", "eps=1")), HasSubstr("HTTP/1.1 204 "));
  ASSERT_EQ(posts_.size(), 1u);
  EXPECT_EQ(posts_[0].path, "/v1/load/a");
  EXPECT_EQ(posts_[0].content_type, "text/plain");
  EXPECT_EQ(posts_[0].body, "eps=1");
  EXPECT_EQ(posts_[0].peer, Loopback());
  const std::string refused = Ask(Post("/v1/load/a", "bad"));
  EXPECT_THAT(refused, HasSubstr("HTTP/1.1 400 "));
  EXPECT_THAT(refused, HasSubstr("is bad"));
}

TEST_F(LoadListenerTest, TakesManyOverOneConnection) {
  const int fd = ConnectTo(port_);
  for (size_t i = 1; i <= 50; ++i) {
    const std::string said = Talk(fd, Post("/v1/load/a", "eps=" + std::to_string(i)),
                                  [](const std::string& s) { return s.find("\r\n\r\n") != s.npos; });
    ASSERT_THAT(said, HasSubstr(" 204 ")) << i;
    ASSERT_EQ(posts_.size(), i);
  }
  close(fd);
}

TEST_F(LoadListenerTest, TakesABodyInPiecesAndChunks) {
  EXPECT_THAT(Ask("POST /v1/load/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\neps\r\n2\r\n=1\r\n0\r\n\r\n"),
              HasSubstr(" 204 "));
  ASSERT_EQ(posts_.size(), 1u);
  EXPECT_EQ(posts_[0].body, "eps=1");
  EXPECT_EQ(posts_[0].content_type, "");
}

TEST_F(LoadListenerTest, ServesNothingElse) {
  EXPECT_THAT(Ask("GET /v1/load/a HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr(" 405 "));
  EXPECT_THAT(Ask("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("Allow: POST"));
  EXPECT_TRUE(posts_.empty());
}

TEST_F(LoadListenerTest, GarbageIsAnsweredOrCutOffAndTheNextIsServed) {
  for (const std::string& text :
       {std::string("\x16\x03\x01\x02\x00 nonsense\r\n\r\n"), std::string("\r\n\r\n\r\n"),
        std::string(200000, 'x'), "POST / HTTP/1.1\r\n" + std::string(200000, 'h') + ": x\r\n\r\n",
        std::string("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    const MonoTime before = ReadClocks().mono;
    Ask(text);
    EXPECT_LT(ReadClocks().mono - before, seconds(15)) << text.substr(0, 40);
  }
  EXPECT_TRUE(posts_.empty());
  EXPECT_THAT(Ask(Post("/v1/load/a", "eps=1")), HasSubstr(" 204 "));
}

TEST_F(LoadListenerTest, ABodyThatIsTooLargeIsRefusedAndOneThatNeverEndsIsCutOff) {
  EXPECT_THAT(Ask(Post("/v1/load/a", std::string(LoadListener::kMaxBody + 1, 'x'))), HasSubstr(" 413 "));
  EXPECT_THAT(Ask(Post("/v1/load/a", std::string(LoadListener::kMaxBody, ' '))), HasSubstr(" 204 "));
  EXPECT_EQ(posts_.size(), 1u);
  std::string endless = "POST /v1/load/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 2000; ++i) endless += "4000\r\n" + std::string(0x4000, 'x') + "\r\n";  // 32 MB
  const int fd = ConnectTo(port_);
  Talk(fd, endless, [](const std::string&) { return false; });  // returns when it was cut off
  close(fd);
  EXPECT_EQ(posts_.size(), 1u);
}

TEST_F(LoadListenerTest, ConnectionsAreBounded) {
  std::vector<int> idle;
  for (unsigned i = 0; i < LoadListener::kMaxPerAddress; ++i) {
    idle.push_back(ConnectTo(port_));
    send(idle.back(), "P", 1, MSG_NOSIGNAL);
    Turn();
  }
  EXPECT_EQ(Ask(Post("/v1/load/a", "eps=1")), "") << "one more from this address is closed at once";
  close(idle.back());
  idle.pop_back();
  std::string said;
  const MonoTime end = ReadClocks().mono + seconds(10);
  while (said.empty() && ReadClocks().mono < end) said = Ask(Post("/v1/load/a", "eps=1"));
  EXPECT_THAT(said, HasSubstr(" 204 "));
  for (const int fd : idle) close(fd);
}

TEST_F(LoadListenerTest, MovesAndStops) {
  const std::string path = "/tmp/dyncast-load-" + std::to_string(getpid()) + ".sock";
  const std::string before = listener_.endpoint();
  const Listener taken;
  const Status refused = listener_.Listen("127.0.0.1:" + std::to_string(taken.port()));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().ToString(), HasSubstr("Address already in use"));
  EXPECT_EQ(listener_.endpoint(), before);
  EXPECT_THAT(Ask(Post("/v1/load/a", "eps=1")), HasSubstr(" 204 ")) << "where it was before";

  ASSERT_TRUE(listener_.Listen("unix:" + path));
  EXPECT_EQ(Ask(Post("/v1/load/a", "eps=1")), "");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
  posts_.clear();
  EXPECT_THAT(Talk(fd, Post("/v1/load/a", "eps=1"),
                   [](const std::string& s) { return s.find("\r\n\r\n") != s.npos; }),
              HasSubstr(" 204 "));
  close(fd);
  ASSERT_EQ(posts_.size(), 1u);
  EXPECT_FALSE(posts_[0].peer) << "whoever is on this host";

  ASSERT_TRUE(listener_.Listen(""));
  struct stat file {};
  EXPECT_NE(stat(path.c_str(), &file), 0) << "the socket's file is gone";
  EXPECT_EQ(listener_.NextDeadline(ReadClocks().mono), MonoTime::max());
}

}  // namespace
}  // namespace dyncast::agent
