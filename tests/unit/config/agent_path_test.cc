// The part of agent.yaml about the network between agents.
#include <gmock/gmock.h>

#include "schema/config/agent.h"

namespace dyncast::config {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

IpAddress Address(std::string_view text) { return *IpAddress::Parse(text); }

constexpr std::string_view kValid = R"(name: edge2
controllers: [tcp://10.0.0.1:5570]
reflector:
  listen: [10.2.0.9:862, "[fd02::9]:862"]
  senders: [10.0.0.0/8, fd00::/16, 192.0.2.7]
  key_file: /etc/dyncast/stamp.key
  rate_limit: 50
probes:
  - {peer: edge3, address: 10.3.0.9}
  - peer: edge3
    address: fd03::9
    port: 8620
    source: fd02::9
    interval: 20ms
    timeout: 300ms
    window: 2s
    reflector: stateless
    key_file: /etc/dyncast/stamp.key
  - {peer: edge4, address: 10.4.0.9, interval: 1s}
path_threshold: {relative: 0.5, change: 200us, loss: 0.1}
)";

TEST(AgentPath, TakesEveryKey) {
  const Result<AgentConfig> c = ParseAgent(kValid, "a.yaml");
  ASSERT_TRUE(c.ok()) << c.error().ToString();
  ASSERT_TRUE(c->reflector);
  EXPECT_THAT(c->reflector->listen,
              ElementsAre(IpEndpoint{Address("10.2.0.9"), 862}, IpEndpoint{Address("fd02::9"), 862}));
  EXPECT_THAT(c->reflector->senders,
              ElementsAre(*IpPrefix::Parse("10.0.0.0/8"), *IpPrefix::Parse("fd00::/16"),
                          *IpPrefix::Parse("192.0.2.7/32")));
  EXPECT_EQ(c->reflector->key_file, "/etc/dyncast/stamp.key");
  EXPECT_EQ(c->reflector->rate_limit, 50u);
  ASSERT_EQ(c->probes.size(), 3u);
  EXPECT_EQ(c->probes[1], (ProbeConfig{.peer = "edge3",
                                       .address = Address("fd03::9"),
                                       .port = 8620,
                                       .source = Address("fd02::9"),
                                       .interval = milliseconds(20),
                                       .timeout = milliseconds(300),
                                       .window = seconds(2),
                                       .reflector = PeerReflector::kStateless,
                                       .key_file = "/etc/dyncast/stamp.key"}));
  EXPECT_EQ(c->path_threshold.relative, 0.5);
  EXPECT_EQ(c->path_threshold.change, microseconds(200));
  EXPECT_EQ(c->path_threshold.loss, 0.1);
}

TEST(AgentPath, FillsInTheRest) {
  const Result<AgentConfig> c = ParseAgent(kValid, "a.yaml");
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->probes[0].port, 862);
  EXPECT_EQ(c->probes[0].interval, milliseconds(100));
  EXPECT_EQ(c->probes[0].window, seconds(5));
  EXPECT_FALSE(c->probes[0].source);
  EXPECT_EQ(c->probes[2].window, seconds(10)) << "ten intervals";
}

TEST(AgentPath, NobodyIsAnsweredUnlessSaid) {
  const Result<AgentConfig> c = ParseAgent("name: edge2\ncontrollers: [tcp://10.0.0.1:5570]\n", "a.yaml");
  ASSERT_TRUE(c.ok());
  EXPECT_FALSE(c->reflector);
  EXPECT_TRUE(c->probes.empty());
}

struct Case {
  std::string what;
  std::string old_text;
  std::string new_text;
  std::string message;  // without "a.yaml:"
};

class AgentPathRefused : public ::testing::TestWithParam<Case> {};

TEST_P(AgentPathRefused, WithPlaceKeyValueAndRule) {
  const Case& c = GetParam();
  std::string text(kValid);
  const size_t at = text.find(c.old_text);
  ASSERT_NE(at, std::string::npos);
  const Result<AgentConfig> config = ParseAgent(text.replace(at, c.old_text.size(), c.new_text), "a.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().ToString(), "a.yaml:" + c.message);
}

const Case kCases[] = {
    {"listen_without_port", "10.2.0.9:862", "10.2.0.9",
     "4:12: key 'reflector.listen[0]': value '10.2.0.9': must be IPV4:PORT or [IPV6]:PORT, not multicast"},
    {"listen_without_brackets", "\"[fd02::9]:862\"", "\"fd02::9:862\"",
     "4:26: key 'reflector.listen[1]': value 'fd02::9:862': must be IPV4:PORT or [IPV6]:PORT, not multicast"},
    {"listen_port_zero", "10.2.0.9:862", "10.2.0.9:0",
     "4:12: key 'reflector.listen[0]': value '10.2.0.9:0': must be IPV4:PORT or [IPV6]:PORT, not multicast"},
    {"listen_multicast", "10.2.0.9:862", "224.0.0.1:862",
     "4:12: key 'reflector.listen[0]': value '224.0.0.1:862': must be IPV4:PORT or [IPV6]:PORT, not "
     "multicast"},
    {"listen_twice", "\"[fd02::9]:862\"", "10.2.0.9:862",
     "4:26: key 'reflector.listen[1]': value '10.2.0.9:862': this endpoint is already at "
     "'reflector.listen[0]'"},
    {"listen_nowhere", "listen: [10.2.0.9:862, \"[fd02::9]:862\"]", "listen: []",
     "4:11: key 'reflector.listen': must have at least one item"},
    {"no_senders", "  senders: [10.0.0.0/8, fd00::/16, 192.0.2.7]\n", "",
     "4:3: key 'reflector.senders': is missing"},
    {"senders_host_bits", "10.0.0.0/8", "10.1.0.0/8",
     "5:13: key 'reflector.senders[0]': value '10.1.0.0/8': has host bits set; the network is 10.0.0.0/8"},
    {"rate_zero", "rate_limit: 50", "rate_limit: 0",
     "7:15: key 'reflector.rate_limit': value '0': must be an integer, 1 to 100000"},
    {"peer_is_self", "peer: edge4", "peer: edge2",
     "19:12: key 'probes[2].peer': value 'edge2': must be another agent than this one"},
    {"peer_twice", "peer: edge4", "peer: edge3",
     "19:12: key 'probes[2].peer': value 'edge3 (IPv4)': a probe of this peer and address family is already "
     "at "
     "'probes[0].peer'"},
    {"source_of_other_family", "source: fd02::9", "source: 10.2.0.9",
     "13:13: key 'probes[1].source': value '10.2.0.9': must be of the same family as address"},
    {"interval_short", "interval: 20ms", "interval: 9ms",
     "14:15: key 'probes[1].interval': value '9ms': must be 10ms to 1m"},
    {"window_short", "window: 2s", "window: 500ms",
     "16:13: key 'probes[1].window': value '500ms': must be at least 2 timeout and 5 interval, 600ms here"},
    {"reflector_word", "reflector: stateless", "reflector: none",
     "17:16: key 'probes[1].reflector': value 'none': must be one of: stateful, stateless"},
    {"loss_above_one", "loss: 0.1", "loss: 5",
     "20:54: key 'path_threshold.loss': value '5': must be a number, above 0 and at most 1"},
};

INSTANTIATE_TEST_SUITE_P(All, AgentPathRefused, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.what; });

TEST(IpEndpoint, IsReadAndWritten) {
  for (const char* text : {"10.0.0.1:862", "[fd00::1]:1", "0.0.0.0:65535", "[::]:862"}) {
    const Result<IpEndpoint> endpoint = IpEndpoint::Parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->ToString(), text);
  }
  for (const char* text :
       {"", ":", "10.0.0.1", "10.0.0.1:", ":862", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1: 1",
        "[10.0.0.1]:1", "fd00::1:1", "[fd00::1]", "[fd00::1]:", "[]:1", "[[fd00::1]]:1", "a:1"}) {
    EXPECT_FALSE(IpEndpoint::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace dyncast::config
