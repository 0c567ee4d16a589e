#include "ovs-integration/openflow/port_read.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace dyncast::openflow {
namespace {

constexpr size_t kMultipartHead = 16;
constexpr size_t kStatsHead = 80;  // ofp14_port_stats
constexpr size_t kDescHead = 40;   // ofp14_port
constexpr uint32_t kAnyPort = 0xffffffff;
constexpr uint32_t kLastPort = 0xff00;    // OpenFlow ports of Open vSwitch have 16 bits
constexpr size_t kMostPorts = kLastPort;  // with LOCAL, without 0
constexpr uint32_t kLocal = 0xfffffffe;   // OFPP_LOCAL
constexpr uint32_t kLocalShort = 0xfffe;  // as TaggedPort names it
constexpr uint16_t kEthernet = 0;         // OFPPDPT_ETHERNET
constexpr size_t kEthernetSpeed = 24;     // curr_speed, kbit/s
constexpr size_t kEthernetOctets = 32;
constexpr uint64_t kBitsPerKbit = 1000;

Error Unreadable(const char* what, ByteView message) {
  return MakeError(Errc::kProtocol, fmt::format("{} of {} octets cannot be read", what, message.size()));
}

// Ports that the project can name; reserved ones are none.
std::optional<PortNo> NumberOf(uint32_t port) {
  if (port == kLocal) return PortNo{kLocalShort};
  if (port == 0 || port >= kLastPort) return std::nullopt;
  return PortNo{port};
}

// Time since the port was made, as seconds and nanoseconds.
std::optional<Micros> Alive(const uint8_t* p) {
  const uint32_t seconds = Get32(p);
  if (seconds == UINT32_MAX) return std::nullopt;  // "not known here"
  return std::chrono::seconds(seconds) +
         std::chrono::duration_cast<Micros>(std::chrono::nanoseconds(Get32(p + 4)));
}

std::optional<uint64_t> Counter(const uint8_t* p) {
  const uint64_t value = Get64(p);
  if (value == UINT64_MAX) return std::nullopt;  // "not counted here"
  return value;
}

}  // namespace

void WritePortRequest(OutBuffer* out, uint32_t xid, uint16_t multipart_type) {
  uint8_t* p = out->Message(MsgType::kMultipartRequest, xid, 24);
  Put16(p + 8, multipart_type);
  Put32(p + 16, kAnyPort);
}

Status ReadPortStats(ByteView message, std::vector<PortCounters>* ports) {
  constexpr const char* kWhat = "a port statistics reply";
  if (message.size() < kMultipartHead) return Unreadable(kWhat, message);
  ByteView rest = message.subspan(kMultipartHead);
  while (!rest.empty()) {
    if (rest.size() < kStatsHead) return Unreadable(kWhat, message);
    const size_t length = Get16(rest.data());
    if (length < kStatsHead || length > rest.size()) return Unreadable(kWhat, message);
    const uint8_t* p = rest.data();
    rest = rest.subspan(length);
    const auto number = NumberOf(Get32(p + 4));
    if (!number) continue;
    if (ports->size() >= kMostPorts) {
      return MakeError(Errc::kProtocol, "port statistics of more ports than a switch can have");
    }
    ports->push_back({.number = *number,
                      .in_bytes = Counter(p + 32),
                      .out_bytes = Counter(p + 40),
                      .in_packets = Counter(p + 16),
                      .out_packets = Counter(p + 24),
                      .in_dropped = Counter(p + 48),
                      .out_dropped = Counter(p + 56),
                      .speed_bit_s = std::nullopt,
                      .alive = Alive(p + 8)});
  }
  return Ok();
}

Status ReadPortSpeeds(ByteView message, std::map<PortNo, uint64_t>* speeds) {
  constexpr const char* kWhat = "a port description";
  if (message.size() < kMultipartHead) return Unreadable(kWhat, message);
  ByteView rest = message.subspan(kMultipartHead);
  while (!rest.empty()) {
    if (rest.size() < kDescHead) return Unreadable(kWhat, message);
    const size_t length = Get16(rest.data() + 4);
    if (length < kDescHead || length > rest.size()) return Unreadable(kWhat, message);
    const auto number = NumberOf(Get32(rest.data()));
    ByteView properties = rest.subspan(kDescHead, length - kDescHead);
    rest = rest.subspan(length);
    while (properties.size() >= 4) {
      const size_t size = Get16(properties.data() + 2);
      if (size < 4 || size > properties.size()) return Unreadable(kWhat, message);
      if (number && Get16(properties.data()) == kEthernet && size >= kEthernetOctets) {
        const uint32_t kbit_s = Get32(properties.data() + kEthernetSpeed);
        if (kbit_s != 0) (*speeds)[*number] = kbit_s * kBitsPerKbit;
      }
      properties = properties.subspan(std::min(properties.size(), (size + 7) / 8 * 8));
    }
  }
  return Ok();
}

}  // namespace dyncast::openflow
