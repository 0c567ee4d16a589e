// Servers that are away, silent, of another schema, or that send what they may not: a clear problem, a
// new connection, no change and no crash.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "tests/ovs/ovsdb/servers.h"

namespace dyncast::ovsdb {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

DesiredBridge Wish(const std::string& remote) {
  return {.switch_name = "d1",
          .remote = remote,
          .fabric = "f1",
          .bridge = "br0",
          .datapath_type = "netdev",
          .dpid = DatapathId{1},
          .controller_target = "tcp:127.0.0.1:6653",
          .adopt = false,
          .ports = {}};
}

// Accepts one connection after another and answers each request line with what it was given.
class Liar {
 public:
  Liar(const std::string& path, std::string answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 5), 0);
  }
  ~Liar() {
    if (peer_ >= 0) close(peer_);
    close(listener_);
  }
  Liar(const Liar&) = delete;
  Liar& operator=(const Liar&) = delete;

  void Turn() {
    const int next = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
    if (next >= 0) {
      if (peer_ >= 0) close(peer_);
      peer_ = next;
      ++accepted;
      heard_.clear();
    }
    if (peer_ < 0) return;
    std::array<char, 65536> chunk{};
    const ssize_t n = recv(peer_, chunk.data(), chunk.size(), 0);
    if (n <= 0) return;
    heard_.append(chunk.data(), static_cast<size_t>(n));
    const json request = json::parse(heard_, nullptr, false);
    if (request.is_discarded()) return;
    ++requests;
    if (answer_.empty()) return;
    heard_.clear();
    std::string answer = answer_;
    if (const size_t at = answer.find("ID"); at != std::string::npos) {
      answer.replace(at, 2, request["id"].dump());
    }
    EXPECT_EQ(send(peer_, answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
  }

  int accepted = 0;
  int requests = 0;

 private:
  std::string answer_;
  std::string heard_;
  int listener_ = -1;
  int peer_ = -1;
};

struct Lie {
  const char* answer;
  const char* problem;
};

class LyingServer : public ::testing::TestWithParam<Lie> {};

TEST_P(LyingServer, IsReportedAndCalledAgain) {
  Servers servers;
  Liar liar(servers.dir() + "/db.sock", GetParam().answer);
  Driver driver;
  driver.manager.SetDesired({Wish(servers.remote())});
  ASSERT_TRUE(driver.Until([&] {
    liar.Turn();
    return liar.accepted == 2;
  }));
  EXPECT_THAT(driver.problems, Contains(HasSubstr(GetParam().problem)));
  EXPECT_EQ(driver.Only().transactions, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    All, LyingServer,
    ::testing::Values(Lie{"hello, world", "lost: "},
                      Lie{R"({"id":ID,"result":7,"error":null})", "7 is not a set of table"},
                      Lie{R"({"id":ID,"result":{"Bridge":{"x":{"new":{}}}},"error":null})", "has no UUID"},
                      Lie{R"({"id":ID,"result":null,"error":"unknown database"})", "unknown database"},
                      Lie{R"({"id":99,"result":{},"error":null})", "a question that was not asked"},
                      Lie{R"({"id":"x","result":{},"error":null})", "an unexpected reply"},
                      Lie{R"({"id":null,"method":"update","params":["dyncast",{}]})", "an update before"},
                      Lie{R"({"id":null,"method":"surprise","params":[]})",
                          "an unexpected notification surprise"}));

TEST(HostileServer, SilentServerIsCalledAgain) {
  Servers servers;
  Liar liar(servers.dir() + "/db.sock", "");
  Driver driver;
  driver.manager.SetDesired({Wish(servers.remote())});
  ASSERT_TRUE(driver.Until([&] {
    liar.Turn();
    if (liar.requests == 1 && driver.ahead == Micros{0}) driver.ahead = std::chrono::seconds(11);
    return liar.accepted == 2;
  }));
  EXPECT_THAT(driver.problems, Contains(HasSubstr("no answer within 10 s")));
}

TEST(HostileServer, OtherSchemaIsNamed) {
  Servers servers;
  servers.CreateDatabase(R"({"name": "Open_vSwitch", "version": "1.0.0", "tables": {
      "Bridge": {"columns": {"name": {"type": "string"}}}}})");
  servers.StartDatabase();
  Driver driver;
  driver.manager.SetDesired({Wish(servers.remote())});
  ASSERT_TRUE(driver.Until([&] { return driver.problems.size() >= 2; }));
  EXPECT_THAT(driver.problems[0], HasSubstr("cannot be monitored"));
  EXPECT_EQ(driver.Only().state, "connecting");
  EXPECT_GE(driver.Only().messages_refused, 1u);
}

TEST(HostileServer, UninitialisedDatabaseIsNamed) {
  Servers servers;
  servers.CreateDatabase();
  servers.StartDatabase();
  Driver driver;
  driver.manager.SetDesired({Wish(servers.remote())});
  ASSERT_TRUE(driver.Until([&] { return driver.Only().state == "refused"; }));
  EXPECT_THAT(driver.Only().last_error, HasSubstr("ovs-vsctl init"));
  servers.Vsctl("init");
  ASSERT_TRUE(driver.UntilReady()) << driver.Only().last_error;
}

TEST(HostileServer, AbsentServerAndBadRemote) {
  Servers servers;
  Driver driver;
  driver.manager.SetDesired({Wish(servers.remote()), Wish("ptcp:6640")});
  ASSERT_TRUE(driver.Until([&] { return driver.problems.size() >= 3; }));
  EXPECT_THAT(driver.problems, Contains(HasSubstr("remote 'ptcp:6640' is neither")));
  EXPECT_THAT(driver.problems, Contains(HasSubstr("cannot be reached: ")));
}

}  // namespace
}  // namespace dyncast::ovsdb
