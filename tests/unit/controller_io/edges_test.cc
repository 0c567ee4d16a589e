// The controller's small edges: queue, socket, intake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "controller/io/control_queue.h"
#include "controller/io/metric_subscriber.h"
#include "schema/base/unix_socket.h"
#include "tests/unit/controller_io/temp_dir.h"

namespace dyncast {
namespace {

using test::TempDir;

bool Readable(int fd) {
  pollfd p{fd, POLLIN, 0};
  return poll(&p, 1, 0) == 1;
}

TEST(ControlQueue, RunsInOrderAndAtMostSoMany) {
  ControlQueue queue;
  std::vector<int> ran;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(queue.Post([&ran, i] { ran.push_back(i); }).ok());
  EXPECT_TRUE(Readable(queue.fd()));
  queue.Run(3);
  EXPECT_THAT(ran, testing::ElementsAre(0, 1, 2));
  EXPECT_TRUE(Readable(queue.fd())) << "two tasks wait: the loop must not sleep";
  queue.Run(3);
  EXPECT_THAT(ran, testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_FALSE(Readable(queue.fd()));
}

TEST(ControlQueue, RefusesBeyondItsBound) {
  ControlQueue queue;
  for (size_t i = 0; i < ControlQueue::kMaxWaiting; ++i) ASSERT_TRUE(queue.Post([] {}).ok());
  const Status refused = queue.Post([] {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  queue.Run(1);
  EXPECT_TRUE(queue.Post([] {}).ok());
}

TEST(UnixSocket, TakesAStaleSocketOverButNotALiveOne) {
  const TempDir dir;
  const std::string path = dir.path() / "deep" / "api.sock";
  Result<int> first = ListenUnix(path);
  ASSERT_TRUE(first.ok()) << first.error().ToString();
  const auto mode = std::filesystem::status(path).permissions();
  EXPECT_EQ(mode & std::filesystem::perms::others_all, std::filesystem::perms::none);
  Result<int> second = ListenUnix(path);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Errc::kConflict);
  close(*first);  // the file stays behind, as after a kill -9
  Result<int> third = ListenUnix(path);
  ASSERT_TRUE(third.ok()) << third.error().ToString();
  close(*third);
}

TEST(UnixSocket, RefusesAPathThatDoesNotFit) {
  Result<int> fd = ListenUnix("/tmp/" + std::string(200, 'x'));
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.error().code, Errc::kInvalid);
}

class Intake : public testing::Test {
 protected:
  Intake() : endpoint_("ipc://" + (dir_.path() / "m.sock").string()) {
    auto bound = MetricSubscriber::Bind(endpoint_);
    if (bound.ok()) subscriber_ = std::move(*bound);
    pub_.set(zmq::sockopt::linger, 0);
    pub_.connect(endpoint_);
  }
  void Send(const std::vector<std::string>& parts) {
    for (size_t i = 0; i < parts.size(); ++i) {
      pub_.send(zmq::buffer(parts[i]),
                i + 1 < parts.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }
  // Sends until the subscriber counted one more: a slow joiner loses the first.
  void SendUntil(const std::vector<std::string>& parts, uint64_t SubscriberCounters::*counter) {
    const uint64_t before = subscriber_->counters().*counter;
    while (subscriber_->counters().*counter == before) {
      Send(parts);
      subscriber_->Run(100, [this](wire::AgentMessage m) { got_.push_back(std::move(m)); });
    }
  }
  void SendUntilSeen(const std::vector<std::string>& parts) {
    SendUntil(parts, &SubscriberCounters::received);
  }
  void SendUntilRefused(const std::vector<std::string>& parts) {
    SendUntil(parts, &SubscriberCounters::malformed);
  }
  TempDir dir_;
  std::string endpoint_;
  std::unique_ptr<MetricSubscriber> subscriber_;
  zmq::context_t context_;
  zmq::socket_t pub_{context_, zmq::socket_type::pub};
  std::vector<wire::AgentMessage> got_;
};

wire::AgentMessage Beat() {
  wire::AgentMessage m;
  m.agent = "edge2";
  m.boot_epoch = 7;
  m.sequence = 1;
  m.sent_at = FromUnixMicros(1700000000000000);
  m.body = wire::Heartbeat{};
  return m;
}

TEST_F(Intake, HandsOverWhatIsGoodAndCountsWhatIsNot) {
  ASSERT_NE(subscriber_, nullptr);
  SendUntilSeen({wire::Topic(Beat()), wire::Encode(Beat())});
  ASSERT_FALSE(got_.empty());
  EXPECT_EQ(got_.front(), Beat());
  got_.clear();
  EXPECT_EQ(subscriber_->counters().malformed, 0u);

  SendUntilRefused({"heartbeat/edge2", "garbage"});
  SendUntilRefused({"one part only"});
  SendUntilRefused({wire::Topic(Beat()), wire::Encode(Beat()), "a third part", "and a fourth"});
  SendUntilRefused({"heartbeat/another", wire::Encode(Beat())});
  // Good ones that were still under way at first may arrive in between; nothing else may.
  for (const wire::AgentMessage& m : got_) EXPECT_EQ(m, Beat());
  EXPECT_GE(subscriber_->counters().malformed, 4u);
  EXPECT_FALSE(subscriber_->counters().last_malformed.empty());
}

TEST(IntakeBind, NamesAnEndpointThatCannotBeBound) {
  auto bound = MetricSubscriber::Bind("tcp://not-an-address");
  ASSERT_FALSE(bound.ok());
  EXPECT_EQ(bound.error().where, "tcp://not-an-address");
}

}  // namespace
}  // namespace dyncast
