// RouterPlan on a real ovs-vswitchd, and the hosts around it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/ovs/pipeline/pipeline_fixture.h"
#include "tests/ovs/pipeline/router_plan.h"

namespace dyncast::test {

class RouterTest : public PipelineTest {
 protected:
  RouterTest() { plan = RouterPlan(); }

  // A packet of `from` to `to`, over the gateway.
  static Ipv6Packet Packet6(const Host& from, const IpAddress& to);
  // The solicitation with which `from` asks for `target`.
  static NdFrame Solicit(const Host& from, const IpAddress& target);
  // What the switch answers to it.
  static NdFrame AdvertisementTo(const Host& asker, const IpAddress& target);
  // `host` asks for its gateway: the switch answers and learns it.
  void Announce6(const Host& host);
  // The flow in table neighbor for `host`; empty: there is none.
  std::vector<std::string> Learned(const IpAddress& address);

  // Hosts of the two VLANs; 20's has another address only. `tag` of what they send.
  static constexpr uint16_t kTag10 = 10;
  static constexpr uint16_t kTag20 = 20;
  const Host red{"trunk", Ip("10.30.10.7"), Mac("0a:00:00:00:30:10"), Mac("02:00:00:00:06:10"),
                 Ip("10.30.10.1")};
  const Host blue{"trunk", Ip("10.30.20.7"), Mac("0a:00:00:00:30:20"), Mac("02:00:00:00:06:20"),
                  Ip("10.30.20.1")};
  const Host client6{"acc1", Ip("fd10::7"), client.mac, client.gateway_mac, Ip("fd10::1")};
  const Host far6{"acc2", Ip("fd20::8"), far.mac, far.gateway_mac, Ip("fd20::1")};
  const Host server6{"edge", Ip("fd02:1::15"), server.mac, server.gateway_mac, Ip("fd02:1::1")};
  const Host router6{"up", Ip("fd16::2"), router.mac, router.gateway_mac, Ip("fd16::1")};
  const Host red6{"trunk", Ip("fd30:10::7"), red.mac, red.gateway_mac, Ip("fd30:10::1")};
  const Host blue6{"trunk", Ip("fd30:20::7"), blue.mac, blue.gateway_mac, Ip("fd30:20::1")};

  static std::optional<uint16_t> TagOf(const Host& host) {
    if (std::string(host.port) != "trunk") return std::nullopt;
    return host.gateway_mac == Mac("02:00:00:00:06:10") ? kTag10 : kTag20;
  }
};

inline Ipv6Packet RouterTest::Packet6(const Host& from, const IpAddress& to) {
  Ipv6Packet packet;
  packet.eth_src = from.mac;
  packet.eth_dst = from.gateway_mac;
  packet.vlan = TagOf(from);
  packet.src = from.address;
  packet.dst = to;
  packet.payload = "dyncast";
  return packet;
}

inline NdFrame RouterTest::Solicit(const Host& from, const IpAddress& target) {
  NdFrame frame;
  frame.eth_src = from.mac;
  frame.vlan = TagOf(from);
  frame.src = from.address;
  frame.target = target;
  frame.link_address = from.mac;
  return frame;
}

inline NdFrame RouterTest::AdvertisementTo(const Host& asker, const IpAddress& target) {
  NdFrame frame;
  frame.eth_src = asker.gateway_mac;
  frame.eth_dst = asker.mac;
  frame.vlan = TagOf(asker);
  frame.src = target;
  frame.dst = asker.address;
  frame.advertisement = true;
  frame.flags = 0xe0000000;  // router, solicited, override
  frame.target = target;
  frame.link_address = asker.gateway_mac;
  return frame;
}

inline void RouterTest::Announce6(const Host& host) {
  EXPECT_EQ(ToHex(Through(host.port, Build(Solicit(host, host.gateway)), host.port)),
            ToHex(Build(AdvertisementTo(host, host.gateway))));
}

inline std::vector<std::string> RouterTest::Learned(const IpAddress& address) {
  const std::string actions = pipeline::NeighborActions(address);
  const size_t begin = actions.find(':') + 1;
  const std::string value = actions.substr(begin, actions.find('-') - begin);
  const Result<std::vector<std::string>> flows =
      ovs->DumpFlows("br0", address.is_v4() ? "table=70,ip,reg5=" + value : "table=70,ipv6,xxreg3=" + value);
  EXPECT_TRUE(flows.ok()) << flows.error().ToString();
  return flows.ok() ? *flows : std::vector<std::string>{};
}

}  // namespace dyncast::test
