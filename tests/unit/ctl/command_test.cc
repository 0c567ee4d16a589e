// Whole commands against a server on a unix socket that gives canned answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "controller/ctl/commands.h"

namespace dyncast::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CannedServer {
 public:
  CannedServer() {
    std::string pattern = std::filesystem::temp_directory_path() / "dyncast-ctl-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    dir_ = pattern;
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 5), 0);
    EXPECT_EQ(pipe(stop_.data()), 0);
    thread_ = std::thread([this] { Serve(); });
  }
  ~CannedServer() {
    close(stop_[1]);
    thread_.join();
    close(stop_[0]);
    close(listener_);
    std::filesystem::remove_all(dir_);
  }
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;

  std::string path() const { return dir_ + "/controller.sock"; }
  int status = 200;
  std::string body = "{}";
  std::vector<std::pair<int, std::string>> script;  // answers before those of `status` and `body`
  std::vector<std::string> requests;                // request lines; read them when the command is done

 private:
  void Serve() {
    for (;;) {
      std::array<pollfd, 2> fds{{{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
      poll(fds.data(), fds.size(), -1);
      if (fds[1].revents != 0) return;
      const int peer = accept(listener_, nullptr, nullptr);
      std::string request;
      std::array<char, 4096> chunk{};
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = recv(peer, chunk.data(), chunk.size(), 0);
        if (n <= 0) break;
        request.append(chunk.data(), static_cast<size_t>(n));
      }
      requests.push_back(request.substr(0, request.find(" HTTP")));
      if (requests.size() <= script.size()) std::tie(status, body) = script[requests.size() - 1];
      const std::string answer = "HTTP/1.1 " + std::to_string(status) +
                                 " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                                 "\r\n\r\n" + body;
      send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
      close(peer);
    }
  }

  std::string dir_;
  int listener_ = -1;
  std::array<int, 2> stop_{};
  std::thread thread_;
};

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

Ran RunOn(const CannedServer& server, Command command) {
  command.socket_path = server.path();
  Ran ran;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  ran.code = Execute(command);
  ran.out = ::testing::internal::GetCapturedStdout();
  ran.err = ::testing::internal::GetCapturedStderr();
  return ran;
}

Command Make(const char* name, std::vector<std::pair<std::string, std::string>> options = {}) {
  Command command;
  command.name = name;
  command.options = std::move(options);
  return command;
}

TEST(Execute, AsksTheDocumentedEndpoints) {
  CannedServer server;
  RunOn(server, Make("status"));
  RunOn(server, Make("bindings", {{"client", "10.0.0.1"}, {"limit", "5"}}));
  RunOn(server, Make("explain", {{"client", "10.0.0.1:80"}, {"service", "a b&c"}, {"port", "81"}}));
  RunOn(server, Make("drain", {{"instance", "web-1"}, {"deadline_s", "30"}}));
  RunOn(server, Make("undrain", {{"instance", "web-1"}}));
  RunOn(server, Make("check"));
  RunOn(server, Make("sync", {{"switch", "d1"}}));
  RunOn(server, Make("metrics", {{"instance", "web-1"}, {"name", "load1"}}));
  EXPECT_THAT(
      server.requests,
      ElementsAre("GET /v1/status", "GET /v1/bindings?client=10.0.0.1&limit=5",
                  "GET /v1/explain?client=10.0.0.1%3A80&service=a%20b%26c&port=81",
                  "POST /v1/drain?instance=web-1&deadline_s=30", "POST /v1/undrain?instance=web-1",
                  "POST /v1/check", "POST /v1/sync?switch=d1", "GET /v1/metrics?instance=web-1&name=load1"));
}

TEST(Execute, JsonIsPrintedAsReceived) {
  CannedServer server;
  server.body = "{ \"agents\" : [ {\"name\":\"a\"},{\"name\":\"b\"} ] }";
  Command command = Make("agents");
  command.output = Output::kJson;
  Ran ran = RunOn(server, command);
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, server.body + "\n");
  command.names = {"b"};
  EXPECT_EQ(RunOn(server, command).out, "{\"agents\":[{\"name\":\"b\"}]}\n");
  command.names = {"c"};
  ran = RunOn(server, command);
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("none of the agents has the name 'c'"));
}

TEST(Execute, ExitCodes) {
  CannedServer server;
  server.body = R"({"ok": false, "switches": []})";
  EXPECT_EQ(RunOn(server, Make("check")).code, 1);
  server.body = R"({"ok": true, "switches": []})";
  EXPECT_EQ(RunOn(server, Make("check")).code, 0);
  server.status = 404;
  server.body = R"({"error": {"code": "not_found", "message": "no instance has the name 'x'"}})";
  const Ran missing = RunOn(server, Make("drain", {{"instance", "x"}}));
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.err, "dyncastctl: no instance has the name 'x'\n");
  server.status = 400;
  EXPECT_EQ(RunOn(server, Make("explain")).code, 2);
}

TEST(Execute, GarbageAndSilence) {
  CannedServer server;
  server.body = "<html>";
  const Ran garbage = RunOn(server, Make("status"));
  EXPECT_EQ(garbage.code, 2);
  EXPECT_THAT(garbage.err, HasSubstr("is no JSON"));
  server.body = std::string(1'000'000, '[');
  EXPECT_EQ(RunOn(server, Make("status")).code, 2);
  server.body = R"({"[[[\"": "else"})";
  EXPECT_EQ(RunOn(server, Make("services")).code, 2);

  Command command = Make("status");
  command.socket_path = server.path() + ".absent";
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Execute(command), 2);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("no answer from the controller at"));
}

TEST(Execute, FollowPrintsEachEventOnce) {
  CannedServer server;
  server.script = {{200, R"({"events": [{"id": 4, "at": 0, "kind": "a"}, {"id": 7, "at": 0, "kind": "b"}]})"},
                   {200, R"({"events": []})"},
                   {200, R"({"events": [{"id": 9, "at": 0, "kind": "c"}]})"},
                   {400, R"({"error": {"code": "invalid", "message": "enough"}})"}};
  Command command = Make("events", {{"limit", "50"}});
  command.follow = Follow::kYes;
  const Ran ran = RunOn(server, command);
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.out,
            "1970-01-01T00:00:00.000Z  a  -  -\n1970-01-01T00:00:00.000Z  b  -  -\n"
            "1970-01-01T00:00:00.000Z  c  -  -\n");
  EXPECT_THAT(server.requests,
              ElementsAre("GET /v1/events?limit=50", "GET /v1/events?limit=50&after=7",
                          "GET /v1/events?limit=50&after=7", "GET /v1/events?limit=50&after=9"));
}

}  // namespace
}  // namespace dyncast::ctl
