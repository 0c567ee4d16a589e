#include "tests/ovs/pipeline/tunnel_frame.h"

namespace dyncast::test {
namespace {

constexpr uint16_t kClass = 0xff01;
constexpr uint16_t kPort = 6081;
constexpr size_t kOuter = 14 + 20 + 8;
constexpr size_t kBase = 8;

uint16_t At16(const Bytes& bytes, size_t at) {
  return static_cast<uint16_t>(bytes.at(at) << 8 | bytes.at(at + 1));
}

void Push16(Bytes* bytes, uint16_t value) {
  bytes->push_back(static_cast<uint8_t>(value >> 8));
  bytes->push_back(static_cast<uint8_t>(value));
}

}  // namespace

Bytes Build(const TunnelFrame& frame) {
  Bytes options;
  for (const auto& [type, value] : frame.options) {
    Push16(&options, kClass);
    options.push_back(type);
    options.push_back(static_cast<uint8_t>(value.size() / 4));
    options.insert(options.end(), value.begin(), value.end());
  }
  Bytes geneve{static_cast<uint8_t>(options.size() / 4), 0};
  Push16(&geneve, 0x6558);  // Ethernet
  geneve.insert(geneve.end(), 4, 0);
  geneve.insert(geneve.end(), options.begin(), options.end());
  geneve.insert(geneve.end(), frame.inner.begin(), frame.inner.end());
  return Build(Ipv4Packet{.eth_dst = frame.eth_dst,
                          .src = frame.src,
                          .dst = frame.dst,
                          .proto = IpProto::kUdp,
                          .src_port = 50000,
                          .dst_port = kPort,
                          .payload = std::string(geneve.begin(), geneve.end())});
}

std::optional<TunnelFrame> ReadTunnelFrame(const Bytes& frame) {
  if (frame.size() < kOuter + kBase || At16(frame, 12) != 0x0800 || frame[14] != 0x45 || frame[23] != 17 ||
      At16(frame, 36) != kPort) {
    return std::nullopt;
  }
  const auto address = [&](size_t at) {
    return IpAddress::V4(static_cast<uint32_t>(At16(frame, at)) << 16 | At16(frame, at + 2));
  };
  TunnelFrame read{.src = address(26), .dst = address(30), .options = {}, .inner = {}};
  const size_t end = kOuter + kBase + 4 * (frame[kOuter] & 0x3fu);
  for (size_t at = kOuter + kBase; at < end;) {
    const size_t size = 4 * (frame.at(at + 3) & 0x1fu);
    if (At16(frame, at) == kClass) {
      const auto first = frame.begin() + static_cast<std::ptrdiff_t>(at + 4);
      read.options[frame[at + 2]] = Bytes(first, first + static_cast<std::ptrdiff_t>(size));
    }
    at += 4 + size;
  }
  if (read.options.empty()) return std::nullopt;
  read.inner = Bytes(frame.begin() + static_cast<std::ptrdiff_t>(end), frame.end());
  return read;
}

Bytes Words(const std::vector<uint32_t>& words) {
  Bytes bytes;
  for (uint32_t word : words) {
    Push16(&bytes, static_cast<uint16_t>(word >> 16));
    Push16(&bytes, static_cast<uint16_t>(word));
  }
  return bytes;
}

}  // namespace dyncast::test
