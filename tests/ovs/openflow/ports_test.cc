// Port statistics of a real ovs-vswitchd: what is read by hand is what its own tools say.
#include <gmock/gmock.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "tests/ovs/openflow/switch_server_fixture.h"

namespace dyncast::test {
namespace {

class PortsOvs : public SwitchServerOvs {
 protected:
  void Receive(const std::string& port, int times) {
    const std::vector<uint8_t> broadcast = [] {
      std::vector<uint8_t> frame(100, 0);
      std::fill_n(frame.begin(), 6, uint8_t{0xff});
      frame[6] = 2;
      frame[12] = 0x88;
      frame[13] = 0xb5;
      return frame;
    }();
    for (int i = 0; i < times; ++i) ASSERT_TRUE(ovs->Inject(port, broadcast).ok());
  }
  std::map<PortNo, PortCounters> Counted() {
    const size_t before = recorder.ports.size();
    server->CountPorts(kDpid);
    EXPECT_TRUE(Until([&] { return recorder.ports.size() == before + 1; }));
    std::map<PortNo, PortCounters> ports;
    for (const PortCounters& port : recorder.ports.back()) ports[port.number] = port;
    return ports;
  }
  // As `ovs-ofctl dump-ports` says them: three lines a port.
  std::map<PortNo, PortCounters> Told() {
    const auto text = ovs->Ofctl({"dump-ports", "br0"});
    EXPECT_TRUE(text.ok());
    std::map<PortNo, PortCounters> told;
    std::istringstream lines(text.ok() ? *text : "");
    std::string line;
    PortCounters port;
    char name[16] = "";
    char drops[32] = "";
    unsigned long packets = 0;
    unsigned long bytes = 0;
    unsigned seconds = 0;
    unsigned ms = 0;
    const auto number = [](const char* digits) -> std::optional<uint64_t> {
      if (*digits == '?') return std::nullopt;
      return std::stoull(digits);
    };
    while (std::getline(lines, line)) {
      if (std::sscanf(line.c_str(), " port %15[^:]: rx pkts=%lu, bytes=%lu, drop=%31[^,]", name, &packets,
                      &bytes, drops) == 4) {
        port = PortCounters{
            .number =
                PortNo{std::string(name) == "LOCAL" ? 0xfffeu : static_cast<uint32_t>(std::stoul(name))},
            .in_bytes = bytes,
            .in_packets = packets,
            .in_dropped = number(drops)};
      } else if (std::sscanf(line.c_str(), " tx pkts=%lu, bytes=%lu, drop=%31[^,]", &packets, &bytes,
                             drops) == 3) {
        port.out_packets = packets;
        port.out_bytes = bytes;
        port.out_dropped = number(drops);
      } else if (std::sscanf(line.c_str(), " duration=%u.%us", &seconds, &ms) >= 1) {
        port.alive = std::chrono::seconds(seconds);
        told[port.number] = port;
      }
    }
    return told;
  }
};

TEST_F(PortsOvs, CountersAreWhatOfctlSays) {
  Start(SmallPlan());
  ASSERT_TRUE(ovs->Warp(std::chrono::seconds(20)).ok());
  Receive("p1", 20);
  Receive("p2", 10);
  const auto told = Told();
  auto counted = Counted();
  ASSERT_EQ(told.size(), 3u);
  for (auto& [number, port] : counted) {
    ASSERT_TRUE(port.alive);
    EXPECT_GE(*port.alive, std::chrono::seconds(20));
    port.alive = std::chrono::duration_cast<std::chrono::seconds>(*port.alive);
    port.speed_bit_s.reset();  // dump-ports does not say it
  }
  EXPECT_EQ(counted, told);
  EXPECT_EQ(counted[PortNo{1}].in_packets, 20u);
  EXPECT_EQ(counted[PortNo{2}].in_bytes, 1000u);
}

// In short steps: the switch asks for a sign of life after 5 s.
TEST_F(PortsOvs, APortThatIsMadeAnewIsYoung) {
  Start(SmallPlan());
  ASSERT_TRUE(ovs->Warp(std::chrono::seconds(4)).ok());
  const auto before = Counted();
  ASSERT_TRUE(ovs->Vsctl({"del-port", "p1"}).ok());
  ASSERT_TRUE(ovs->AddPort("br0", "p1", PortNo{1}).ok());
  ASSERT_TRUE(ovs->Warp(std::chrono::seconds(2)).ok());
  const auto after = Counted();
  ASSERT_EQ(after.count(PortNo{1}), 1u);
  EXPECT_LE(*after.at(PortNo{1}).alive, std::chrono::seconds(2)) << "no older than the time that has passed";
  EXPECT_EQ(*after.at(PortNo{2}).alive - *before.at(PortNo{2}).alive, std::chrono::seconds(2));
}

}  // namespace
}  // namespace dyncast::test
