#include "agent/io/sock_diag.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <future>
#include <thread>

#include "agent/io/netns.h"
#include "test_server.h"

namespace dyncast::agent {
namespace {

SocketReadings ReadOne(SocketReader* reader, IpAddress address, uint16_t port) {
  const auto readings = reader->Read("", {{.address = address, .port = port}});
  EXPECT_TRUE(readings) << readings.error().ToString();
  return readings ? readings->at(0) : SocketReadings{};
}

TEST(SocketReader, CountsSessionsAndTheAcceptQueue) {
  const Listener listener;
  SocketReader reader;
  SocketReadings now = ReadOne(&reader, Loopback(), listener.port());
  EXPECT_EQ(now.sessions, 0u);
  EXPECT_EQ(now.accept_queue, 0u);
  std::vector<int> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(listener.Connect());
  now = ReadOne(&reader, Loopback(), listener.port());
  EXPECT_EQ(now.sessions, 5u);
  EXPECT_EQ(now.accept_queue, 5u);
  const int accepted = accept(listener.fd(), nullptr, nullptr);
  now = ReadOne(&reader, Loopback(), listener.port());
  EXPECT_EQ(now.sessions, 5u);
  EXPECT_EQ(now.accept_queue, 4u);
  close(accepted);
  now = ReadOne(&reader, Loopback(), listener.port());
  EXPECT_EQ(now.sessions, 4u);
  for (const int client : clients) close(client);
}

TEST(SocketReader, APortWithoutAListenerHasNoReadings) {
  Listener listener;
  listener.Close();
  SocketReader reader;
  const SocketReadings now = ReadOne(&reader, Loopback(), listener.port());
  EXPECT_FALSE(now.sessions);
  EXPECT_FALSE(now.accept_queue);
}

TEST(SocketReader, AnotherAddressIsAnotherInstance) {
  const Listener listener;
  SocketReader reader;
  EXPECT_FALSE(ReadOne(&reader, *IpAddress::Parse("127.0.0.2"), listener.port()).sessions);
  EXPECT_FALSE(ReadOne(&reader, *IpAddress::Parse("::1"), listener.port()).sessions);
}

TEST(SocketReader, ManyPortsInOneDumpKeepTheirOrder) {
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<ListeningPort> ports;
  std::vector<int> clients;
  for (size_t i = 0; i < 40; ++i) {
    listeners.push_back(std::make_unique<Listener>());
    ports.push_back({.address = Loopback(), .port = listeners.back()->port()});
    for (size_t n = 0; n < i % 4; ++n) clients.push_back(listeners.back()->Connect());
  }
  SocketReader reader;
  for (int round = 0; round < 3; ++round) {
    const auto readings = reader.Read("", ports);
    ASSERT_TRUE(readings) << readings.error().ToString();
    for (size_t i = 0; i < ports.size(); ++i) {
      EXPECT_EQ((*readings)[i].sessions, i % 4);
      EXPECT_EQ((*readings)[i].accept_queue, i % 4);
    }
  }
  for (const int client : clients) close(client);
}

// A dual-stack server (most of them): one IPv6 wildcard socket serves an IPv4 D-BID.
TEST(SocketReader, SeesAnIPv4InstanceBehindAnIPv6Socket) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(fd, 0) << "this test needs IPv6";
  for (const int only_v6 : {0, 1}) {
    const int server = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(server, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    ASSERT_EQ(bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(server, 8), 0);
    socklen_t size = sizeof address;
    getsockname(server, reinterpret_cast<sockaddr*>(&address), &size);
    const uint16_t port = ntohs(address.sin6_port);
    SocketReader reader;
    if (only_v6 != 0) {
      EXPECT_FALSE(ReadOne(&reader, Loopback(), port).accept_queue);
      EXPECT_EQ(ReadOne(&reader, *IpAddress::Parse("::1"), port).accept_queue, 0u);
    } else {
      sockaddr_in v4{};
      v4.sin_family = AF_INET;
      v4.sin_port = address.sin6_port;
      v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      ASSERT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&v4), sizeof v4), 0);
      EXPECT_EQ(ReadOne(&reader, Loopback(), port).sessions, 1u);
      EXPECT_EQ(ReadOne(&reader, Loopback(), port).accept_queue, 1u);
      close(client);
    }
    close(server);
  }
  close(fd);
}

TEST(SocketReader, ANamespaceThatIsNotThereIsNamed) {
  SocketReader reader;
  const auto readings = reader.Read("/run/netns/there-is-no-such-one", {{.address = Loopback(), .port = 1}});
  ASSERT_FALSE(readings);
  EXPECT_EQ(readings.error().where, "/run/netns/there-is-no-such-one");
}

// In a namespace of its own, made by a thread that keeps it alive; needs the right to do so.
TEST(SocketReader, ReadsAnotherNetworkNamespace) {
  std::promise<std::string> ready;
  std::promise<void> done;
  std::thread holder([&] {
    if (unshare(CLONE_NEWNET) != 0) {
      ready.set_value("");
      return;
    }
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(8080);
    bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    listen(fd, 8);
    ready.set_value("/proc/self/task/" + std::to_string(gettid()) + "/ns/net");
    done.get_future().wait();
    close(fd);
  });
  const std::string path = ready.get_future().get();
  if (path.empty()) {
    holder.join();
    FAIL() << "making a network namespace needs CAP_SYS_ADMIN: run the tests as root";
  }
  SocketReader reader;
  const ListeningPort port{.address = *IpAddress::Parse("10.1.2.3"), .port = 8080};
  const auto readings = reader.Read(path, {port});
  ASSERT_TRUE(readings) << readings.error().ToString();
  EXPECT_EQ(readings->at(0).accept_queue, 0u);
  EXPECT_TRUE(reader.Read(path, {port}));  // by the descriptor that was kept
  const auto outside = reader.Read("", {port});
  ASSERT_TRUE(outside);
  EXPECT_FALSE(outside->at(0).accept_queue);
  done.set_value();
  holder.join();
  EXPECT_FALSE(reader.Read(path, {port}));  // gone
}

}  // namespace
}  // namespace dyncast::agent
